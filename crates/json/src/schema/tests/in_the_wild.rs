//! Schemas as tools and libraries write them go on working, in every draft.

use super::*;

#[test]
fn a_function_of_openai_is_checked_as_before() {
    let schema = json!({"type": "object", "properties": {
        "order": {"type": "integer", "description": "Number of the order"},
        "channel": {"type": "string", "enum": ["sms", "email"]},
        "when": {"type": ["string", "null"], "format": "date-time"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2}\\d+$"},
            "count": {"type": "integer", "minimum": 1}}, "required": ["sku"], "additionalProperties": false}, "maxItems": 3}},
        "required": ["order"], "additionalProperties": false});
    check(
        &schema,
        &[
            (json!({"order": 4, "channel": "sms", "when": null, "items": [{"sku": "AB12", "count": 1}]}), ""),
            (json!({"order": "four"}), "order: \"four\" is not of type \"integer\""),
            (json!({}), "\"order\" is a required property"),
            (json!({"order": 4, "channel": "fax"}), "channel: \"fax\" is not one of \"sms\" or \"email\""),
            (json!({"order": 4, "items": [{"sku": "x"}]}), "items/0/sku: \"x\" does not match \"^[A-Z]{2}\\d+$\""),
            (
                json!({"order": 4, "items": [{"sku": "AB1", "count": 0}]}),
                "items/0/count: 0 is less than the minimum of 1",
            ),
            (json!({"order": 4, "x": 1}), "Additional properties are not allowed ('x' was unexpected)"),
        ],
    );
}

#[test]
fn what_pydantic_writes_is_checked() {
    let schema = json!({"$defs": {
            "Address": {"properties": {"street": {"title": "Street", "type": "string"}, "country": {"$ref": "#/$defs/Country", "default": "nl"}},
                "required": ["street"], "title": "Address", "type": "object"},
            "Country": {"enum": ["nl", "be"], "title": "Country", "type": "string"},
            "Cat": {"properties": {"kind": {"const": "cat", "type": "string"}, "lives": {"type": "integer"}}, "required": ["kind"], "type": "object"},
            "Dog": {"properties": {"kind": {"const": "dog", "type": "string"}}, "required": ["kind"], "type": "object"}},
        "properties": {"address": {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}], "default": null},
            "pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"},
                "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}},
        "title": "Customer", "type": "object"});
    check(
        &schema,
        &[
            (json!({"address": {"street": "Dam", "country": "be"}, "pet": {"kind": "cat", "lives": 9}}), ""),
            (json!({"address": null, "pet": {"kind": "dog"}}), ""),
            (
                json!({"address": {"street": 1}}),
                "address: {\"street\":1} is not valid under any of the schemas listed in the 'anyOf' keyword",
            ),
            (
                json!({"pet": {"kind": "cow"}}),
                "pet: {\"kind\":\"cow\"} is not valid under any of the schemas listed in the 'oneOf' keyword",
            ),
        ],
    );
}

#[test]
fn what_zod_and_typebox_write_is_checked() {
    // zod-to-json-schema refers to where something was first, typebox to names.
    let zod = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
        "properties": {"from": {"type": "object", "properties": {"zip": {"type": "string", "minLength": 4}}, "required": ["zip"]},
            "to": {"$ref": "#/properties/from", "description": "ignored beside a reference"},
            "tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/properties/tree"}}}}}});
    check(
        &zod,
        &[
            (json!({"from": {"zip": "1012"}, "to": {"zip": "1013"}, "tree": {"children": [{"children": []}, {}]}}), ""),
            (json!({"to": {"zip": "1"}}), "to/zip: \"1\" is shorter than 4 characters"),
            (
                json!({"tree": {"children": [{"children": [1]}]}}),
                "tree/children/0/children/0: 1 is not of type \"object\"",
            ),
        ],
    );
    let typebox = json!({"type": "object", "properties": {"node": {"$id": "Node", "type": "object",
        "properties": {"id": {"type": "string"}, "nodes": {"type": "array", "items": {"$ref": "Node"}}}, "required": ["id", "nodes"]}}});
    check(
        &typebox,
        &[
            (json!({"node": {"id": "a", "nodes": [{"id": "b", "nodes": []}]}}), ""),
            (json!({"node": {"id": "a", "nodes": [{"id": "b"}]}}), "node/nodes/0: \"nodes\" is a required property"),
        ],
    );
}

#[test]
fn a_tree_refers_to_itself() {
    for reference in ["#", "#/$defs/node", "#node", "https://example.com/tree", "https://example.com/tree#/$defs/node"]
    {
        let node = json!({"type": "object", "properties": {"value": {"type": "integer"},
            "children": {"type": "array", "items": {"$ref": reference}}}, "required": ["value"]});
        let mut schema = node.clone();
        schema["$id"] = json!("https://example.com/tree");
        schema["$defs"] = json!({"node": node});
        schema["$defs"]["node"]["$anchor"] = json!("node");
        check(
            &schema,
            &[
                (json!({"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}), ""),
                (
                    json!({"value": 1, "children": [{"value": 2, "children": [{"value": "3"}]}]}),
                    "children/0/children/0/value: \"3\" is not of type \"integer\"",
                ),
            ],
        );
    }
}

#[test]
fn every_draft_keeps_its_meaning() {
    let draft = |name: &str, mut schema: Value| {
        schema["$schema"] = json!(name);
        schema
    };
    let four = "http://json-schema.org/draft-04/schema#";
    check(
        &draft(
            four,
            json!({"minimum": 1, "exclusiveMinimum": true, "id": "x", "properties": {"id": {"type": "string"}}}),
        ),
        &[(json!(1), "1 is less than or equal to the minimum of 1"), (json!({"id": "a"}), ""), (json!(1.5), "")],
    );
    let seven = "http://json-schema.org/draft-07/schema";
    check(
        &draft(
            seven,
            json!({"items": [{"type": "string"}], "additionalItems": false, "format": "ipv4",
            "dependencies": {"a": ["b"], "c": {"required": ["d"]}}, "if": {"required": ["x"]}, "then": {"required": ["y"]}}),
        ),
        &[
            (json!(["a"]), ""),
            (json!(["a", 1]), "Additional items are not allowed (1 was unexpected)"),
            (json!("10.0.0.256"), "\"10.0.0.256\" is not a \"ipv4\""),
            (json!({"a": 1}), "\"b\" is a required property"),
            (json!({"c": 1}), "\"d\" is a required property"),
            (json!({"x": 1}), "\"y\" is a required property"),
        ],
    );
    let nineteen = "https://json-schema.org/draft/2019-09/schema";
    check(
        &draft(
            nineteen,
            json!({"properties": {"next": {"$recursiveRef": "#"}}, "dependentRequired": {"a": ["b"]},
            "unevaluatedProperties": false, "allOf": [{"properties": {"a": true, "b": true}}]}),
        ),
        &[
            (json!({"next": {"next": {}}, "a": 1, "b": 2}), ""),
            (json!({"next": {"c": 1}}), "next: Unevaluated properties are not allowed ('c' was unexpected)"),
            (json!({"a": 1}), "\"b\" is a required property"),
        ],
    );
    let twenty = "https://json-schema.org/draft/2020-12/schema";
    check(
        &draft(
            twenty,
            json!({"prefixItems": [{"type": "string"}], "items": {"$dynamicRef": "#node"}, "$dynamicAnchor": "node",
            "contains": {"const": "x"}, "maxContains": 1, "minContains": 0, "uniqueItems": true, "format": "regex"}),
        ),
        &[
            (json!(["a", ["b"]]), ""),
            (json!(["a", [1]]), "1/0: 1 is not of type \"string\""),
            (json!(["a", ["b"], ["b"]]), "[\"a\",[\"b\"],[\"b\"]] has non-unique elements"),
        ],
    );
    refused(&draft("https://example.com/meta", json!({})), "/$schema", "must be draft-04");
    refused(&json!({"properties": {"a": {"$schema": four}}}), "/properties/a/$schema", "differs");
    assert!(compile(&json!({"properties": {"a": {"$schema": twenty}}})).is_ok());
}
