//! Customers' schemas in the vendors' dialects.

use super::*;

/// Every object says that it is closed.
fn assert_closed(schema: &Value) {
    match schema {
        Value::Object(fields) => {
            let is_object =
                fields.get("type").is_some_and(|kind| kind == "object" || kind == &json!(["object", "null"]));
            assert!(!is_object || fields.get("additionalProperties") == Some(&json!(false)), "{schema}");
            fields.values().for_each(assert_closed);
        }
        Value::Array(items) => items.iter().for_each(assert_closed),
        _ => {}
    }
}

#[test]
fn what_anthropic_does_not_take_is_said_in_words() {
    let schema = json!({"type": "object", "properties": {
        "score": {"type": "integer", "minimum": 1, "maximum": 10, "description": "How it went"},
        "topics": {"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "string", "maxLength": 9}},
        "when": {"type": "string", "format": "date"}, "zip": {"type": "string", "format": "zip", "pattern": "^x$"},
        "minimum": {"type": ["object", "null"], "properties": {"a": {"type": "boolean", "default": true}}}},
        "required": ["score", "gone"], "$schema": "x", "minProperties": 1});
    let taken = for_anthropic(&schema).unwrap();
    assert_closed(&taken);
    let properties = &taken["properties"];
    assert_eq!(properties["score"], json!({"type": "integer", "description": "How it went (maximum: 10, minimum: 1)"}));
    assert_eq!(
        properties["topics"],
        json!({"type": "array", "description": "(minItems: 2, uniqueItems: true)",
            "items": {"type": "string", "description": "(maxLength: 9)"}})
    );
    assert_eq!(properties["when"], json!({"type": "string", "format": "date"}));
    assert_eq!(properties["zip"]["description"], json!("(format: \"zip\", pattern: \"^x$\")"));
    assert_eq!(properties["minimum"]["properties"]["a"], json!({"type": "boolean"}));
    assert_eq!((&taken["required"], &taken["description"]), (&json!(["score"]), &json!("(minProperties: 1)")));
    assert!(taken.get("$schema").is_none() && taken.get("minProperties").is_none());
}

#[test]
fn choices_and_definitions_are_closed_as_well() {
    let schema = json!({"type": "object", "properties": {
        "one": {"oneOf": [{"properties": {"a": {"type": "string"}}}, {"type": "null"}]},
        "two": {"$ref": "#/$defs/two"}, "three": {"const": 3}, "four": {"enum": ["a", null]}},
        "$defs": {"two": {"type": "object", "properties": {"b": {"$ref": "#/$defs/leaf"}}}, "leaf": {"type": "number", "multipleOf": 2}}});
    let taken = for_anthropic(&schema).unwrap();
    assert_closed(&taken);
    assert_eq!(taken["properties"]["one"]["anyOf"][0]["type"], json!("object"));
    assert!(taken["properties"]["one"].get("oneOf").is_none());
    assert_eq!(taken["$defs"]["leaf"], json!({"type": "number", "description": "(multipleOf: 2)"}));
}

#[test]
fn what_closed_objects_cannot_say_stands_in_the_prompt() {
    for property in [
        json!({}),
        json!(true),
        json!({"type": "object"}),
        json!({"type": "object", "additionalProperties": {"type": "string"}}),
        json!({"type": "array"}),
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "string"}}),
        json!({"allOf": [{"properties": {"a": {"type": "string"}}}]}),
        json!({"patternProperties": {"x": {"type": "string"}}, "properties": {"a": {"type": "string"}}}),
        json!({"enum": [{"a": 1}]}),
        json!({"$ref": "#/$defs/node"}),
        json!({"$ref": "https://example.com/schema"}),
        json!({"$ref": "#"}),
    ] {
        let node = json!({"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}});
        let schema = json!({"type": "object", "properties": {"x": property}, "$defs": {"node": node}});
        assert_eq!(for_anthropic(&schema), None, "{schema}");
    }
    let deep = (0..100).fold(json!({"type": "string"}), |inner, _| json!({"type": "array", "items": inner}));
    assert_eq!(for_anthropic(&deep), None);
}

#[test]
fn objects_are_closed_for_others_where_that_changes_nothing() {
    let schema = json!({"type": "object", "properties": {"a": {"properties": {"b": {"type": "string"}}}, "m": {"type": "object"},
        "list": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}}}});
    let taken = closed(&schema);
    assert_eq!(taken["additionalProperties"], json!(false));
    assert_eq!(taken["properties"]["a"]["additionalProperties"], json!(false));
    assert_eq!(taken["properties"]["list"]["items"]["additionalProperties"], json!(false));
    assert_eq!(taken["properties"]["m"], json!({"type": "object"}), "any object");
    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": true});
    assert_eq!(closed(&open), open);
    let all = json!({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]});
    assert_eq!(closed(&all), all);
    let beside = json!({"properties": {"a": {"type": "string"}}, "anyOf": [{"properties": {"b": {"type": "string"}}}]});
    assert_eq!(closed(&beside), beside);
}

#[test]
fn strict_tools_are_those_whose_properties_are_all_required() {
    let schema = |required: Value| json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": required});
    let strict = for_openai_strict(&schema(json!(["a", "b"]))).unwrap();
    assert_eq!(strict["additionalProperties"], json!(false));
    assert_eq!(for_openai_strict(&schema(json!(["a"]))), None);
    assert_eq!(for_openai_strict(&json!({"type": "object", "properties": {}})), None, "any arguments");
    let nested = json!({"type": "object", "properties": {"a": schema(json!(["a"]))}, "required": ["a"]});
    assert_eq!(for_openai_strict(&nested), None);
}

#[test]
fn the_schema_stands_in_the_prompt_where_the_vendor_is_not_given_it() {
    let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
    let schema = json!({"type": "object"});
    assert_eq!(AnswerShape::Schema.ask(&messages, &schema), messages);
    let asked = AnswerShape::JsonObject.ask(&messages, &schema);
    assert!(
        matches!(&asked[1], ChatMessage::System(text) if text.contains("JSON") && text.ends_with("{\"type\":\"object\"}"))
    );
    assert_eq!((asked.len(), asked.last()), (3, messages.last()));
    assert_eq!(AnswerShape::Schema.weaker().and_then(AnswerShape::weaker).and_then(AnswerShape::weaker), None);
}
