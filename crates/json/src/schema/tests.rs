//! What schemas in the wild do goes on; what hostile ones do is counted before it is done.

use super::*;
use serde_json::json;

fn compile(schema: &Value) -> Result<CompiledSchema, SchemaError> {
    CompiledSchema::compile(schema, &mut SchemaBudget::default(), PatternPolicy::None)
}

/// Compiles a schema and holds values against it: what is wrong with each, or an empty text.
fn check(schema: &Value, values: &[(Value, &str)]) {
    let compiled = compile(schema).unwrap_or_else(|error| panic!("{error}: {schema}"));
    for (value, wanted) in values {
        let found = compiled.check_value(value, 5).map_or_else(|misfit| misfit.describe(), |()| String::new());
        assert_eq!(found, *wanted, "{value} against {schema}");
    }
}

fn refused(schema: &Value, place: &str, message: &str) {
    let error = compile(schema).map(|_| ()).unwrap_err();
    assert!(error.message.contains(message), "{error}");
    assert_eq!(error.place, place, "{error}");
}

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

#[test]
fn the_faults_that_were_shown_are_refused() {
    let chain = |length: usize| {
        let mut all: serde_json::Map<String, Value> =
            (0..length - 1).map(|at| (at.to_string(), json!({"$ref": format!("#/$defs/{}", at + 1)}))).collect();
        all.insert((length - 1).to_string(), json!({"type": "object"}));
        json!({"$defs": all, "$ref": "#/$defs/0"})
    };
    let error = compile(&chain(2_184)).map(|_| ()).unwrap_err();
    assert!(error.message.contains("1000 references"), "{error}");
    let error = compile(&chain(200)).map(|_| ()).unwrap_err();
    assert!(error.message.contains("more than 32 references and combinators"), "{error}");
    assert!(compile(&chain(30)).is_ok());
    refused(&json!({"unevaluatedProperties": false, "$ref": "#"}), "", "refers to itself");
    refused(&json!({"unevaluatedItems": false, "allOf": [{"$ref": "#"}]}), "/allOf/0", "refers to itself");
    let mut all: serde_json::Map<String, Value> = (0..40)
        .map(|at| (format!("a{at}"), json!({"allOf": vec![json!({"$ref": format!("#/$defs/a{}", at + 1)}); 2]})))
        .collect();
    all.insert("a40".to_owned(), json!({}));
    let error = compile(&json!({"type": "object", "$defs": all, "$ref": "#/$defs/a0"})).map(|_| ()).unwrap_err();
    assert!(error.message.contains("more than 5000 subschemas") && error.place.starts_with("/$defs/a"), "{error}");
    let many: serde_json::Map<String, Value> =
        (0..300).map(|at| (at.to_string(), json!({"pattern": format!("^(a{{1,50}}b?){{1,50}}{at}$")}))).collect();
    let error = compile(&json!({"properties": many})).map(|_| ()).unwrap_err();
    assert!(error.message.contains("patterns"), "{error}");
}

#[test]
fn what_is_refused_says_which_limit_and_where() {
    let nested =
        |levels: usize, keyword: &str| (0..levels).fold(json!({"type": "string"}), |inner, _| json!({keyword: inner}));
    refused(&nested(70, "not"), "", "nested more than 64 levels deep");
    refused(&nested(40, "not"), &"/not".repeat(7), "more than 32 references and combinators inside of each other");
    assert!(compile(&nested(60, "items")).is_ok());
    refused(&json!({"enum": vec![0; 10_001]}), "", "more than 10000 values");
    refused(&json!({"const": "x".repeat(300_000)}), "", "more than 262144 bytes of text");
    refused(&json!({"anyOf": vec![json!({}); 3_001]}), "", "more than 3000 subschemas");
    refused(&json!({"properties": {"a": {"pattern": "(?!x)"}}}), "/properties/a/pattern", "lookaround");
    refused(&json!({"patternProperties": {"(a)\\1": {}}}), "/patternProperties", "back-reference");
    refused(&json!({"items": {"pattern": "["}}), "/items/pattern", "no regular expression");
    refused(&json!({"pattern": "x".repeat(1_001)}), "/pattern", "more than 1000 bytes");
    refused(&json!({"pattern": "(?:a{1,999}){1,999}"}), "/pattern", "when it is compiled");
    for elsewhere in ["https://example.com/x", "other.json#/a", "file:///etc/passwd", "//host/x#", "urn:x", "x"] {
        refused(&json!({"items": {"$ref": elsewhere}}), "/items/$ref", "only references within the schema");
    }
    for nothing in ["#/$defs/b", "#b", "#/%zz", "#/items/0", "#/$defs/a/x"] {
        refused(&json!({"items": {"$ref": nothing}, "$defs": {"a": {}}}), "/items/$ref", "is not there");
    }
    refused(&json!({"$id": "a", "items": {"$id": "a"}}), "/items/$id", "is there twice");
    refused(&json!({"$anchor": "a", "items": {"$anchor": "a"}}), "/items/$anchor", "is there twice");
    refused(&json!({"items": {"$id": "b"}, "not": {"$dynamicRef": "#"}}), "/not/$dynamicRef", "$id of its own");
    refused(&json!({"type": "strin"}), "/type", "is not a JSON schema");
    refused(
        &json!({"properties": {"a~/b": {"minLength": -1}}}),
        "/properties/a~0~1b/minLength",
        "is not a JSON schema",
    );
    let long = compile(&json!({"type": "x".repeat(100_000)})).map(|_| ()).unwrap_err();
    assert!(long.to_string().len() < 1_000, "{} bytes", long.to_string().len());
}

#[test]
fn all_schemas_of_a_document_share_a_budget() {
    let mut budget = SchemaBudget::default();
    let large = json!({"enum": (0..9_000).collect::<Vec<_>>()});
    let taken = (0..10).take_while(|_| CompiledSchema::check(&large, &mut budget, PatternPolicy::None).is_ok()).count();
    assert_eq!(taken, 5);
    let mut budget = SchemaBudget::default();
    let patterns: serde_json::Map<String, Value> =
        (0..30).map(|at| (at.to_string(), json!({"pattern": format!("^{at}$")}))).collect();
    let patterns = json!({"properties": patterns});
    let taken =
        (0..10).take_while(|_| CompiledSchema::check(&patterns, &mut budget, PatternPolicy::None).is_ok()).count();
    assert_eq!(taken, 3);
    let mut budget = SchemaBudget::default();
    let large = json!({"pattern": "^[\\p{L}x]{1,50}y$"});
    let error = (0..100).find_map(|_| CompiledSchema::check(&large, &mut budget, PatternPolicy::None).err());
    assert!(error.is_some_and(|error| error.message.contains("patterns of all schemas together take more")));
}

#[test]
fn backtracking_patterns_of_saved_schemas_are_left_unchecked() {
    let schema = json!({"properties": {"a": {"type": "string", "pattern": "^(?!\\s*$).+"}}});
    let lenient =
        CompiledSchema::compile(&schema, &mut SchemaBudget::default(), PatternPolicy::SkipBacktracking).unwrap();
    assert_eq!(lenient.unchecked_patterns, 1);
    assert_eq!(lenient.check_value(&json!({"a": " "}), 5), Ok(()));
    assert!(lenient.check_value(&json!({"a": 1}), 5).is_err());
}

#[test]
fn numbers_at_their_limits_are_taken_or_refused() {
    let wild: Value = serde_json::from_str(
        r#"{"multipleOf": 1e-300, "minimum": -1e308, "maximum": 1e308, "exclusiveMinimum": -1e-308, "enum": [1e-320, 0.1, 1e300],
        "minLength": 9223372036854775808, "maxLength": 18446744073709551615, "minItems": 1e3, "maxProperties": 4.0}"#,
    )
    .unwrap();
    for (keyword, value) in wild.as_object().unwrap() {
        let schema = json!({keyword: value});
        let Ok(compiled) = compile(&schema) else { continue };
        for value in ["1e300", "1e-300", "-0.0", "18446744073709551615", "\"x\"", "[]", "{}", "0.1"] {
            let value: Value = serde_json::from_str(value).unwrap();
            let _ = compiled.check_value(&value, 5);
        }
    }
    for wrong in [
        json!({"multipleOf": 0}),
        json!({"minLength": 1.5}),
        json!({"minLength": -1}),
        json!({"maxItems": f64::INFINITY}),
    ] {
        assert!(compile(&wrong).is_err() || wrong["maxItems"].is_null(), "{wrong}");
    }
}

mod counted {
    //! Values that count how often they are read, and stop an evaluation that reads them too often.

    use super::super::{normalize, pattern_options, reader};
    use super::*;
    use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
    use jsonschema::{JsonType, Validator};
    use std::borrow::Cow;
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
        static LOOKS_MAX: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    fn look(times: u64) {
        let looks = LOOKS.get() + times;
        LOOKS.set(looks);
        assert!(looks <= LOOKS_MAX.get(), "the evaluation exceeds the counted reads: {looks}");
    }

    pub(super) struct Counted;

    #[derive(Clone, Copy)]
    pub(super) struct CountedNode<'a>(pub &'a Value);

    pub(super) struct Members<'a>(&'a serde_json::Map<String, Value>);

    pub(super) struct Items<'a>(&'a [Value]);

    impl Json for Counted {
        type Node<'a> = CountedNode<'a>;
        type PreparedKey = String;
        type StringBuffer = ();
        const ACYCLIC: bool = true;

        fn prepare_key(key: &str) -> String {
            key.to_owned()
        }

        fn with_string_node<T>((): &mut (), text: &str, f: impl FnOnce(CountedNode<'_>) -> T) -> T {
            f(CountedNode(&Value::String(text.to_owned())))
        }
    }

    impl<'a> Node<'a, Counted> for CountedNode<'a> {
        type Object = Members<'a>;
        type Array = Items<'a>;
        type Number = &'a serde_json::Number;

        fn as_object(&self) -> Option<Members<'a>> {
            look(1);
            self.0.as_object().map(Members)
        }

        fn as_array(&self) -> Option<Items<'a>> {
            look(1);
            self.0.as_array().map(|items| Items(items))
        }

        fn as_string(&self) -> Option<Cow<'a, str>> {
            look(1 + self.0.as_str().map_or(0, |text| text.len() as u64 / 16));
            self.0.as_str().map(Cow::Borrowed)
        }

        fn as_number(&self) -> Option<&'a serde_json::Number> {
            look(1);
            self.0.as_number()
        }

        fn as_boolean(&self) -> Option<bool> {
            look(1);
            self.0.as_bool()
        }

        fn is_null(&self) -> bool {
            look(1);
            self.0.is_null()
        }

        fn json_type(&self) -> JsonType {
            look(1);
            match self.0 {
                Value::Null => JsonType::Null,
                Value::Bool(_) => JsonType::Boolean,
                Value::Number(_) => JsonType::Number,
                Value::String(_) => JsonType::String,
                Value::Array(_) => JsonType::Array,
                Value::Object(_) => JsonType::Object,
            }
        }

        fn to_value(&self) -> Cow<'a, Value> {
            look(1);
            Cow::Borrowed(self.0)
        }

        fn identity(&self) -> Option<NodeIdentity> {
            Some(NodeIdentity::new(std::ptr::from_ref(self.0) as usize))
        }
    }

    impl<'a> Object<'a, Counted> for Members<'a> {
        type Node = CountedNode<'a>;
        type MemberName = &'a str;
        type MembersIter = std::vec::IntoIter<(&'a str, CountedNode<'a>)>;

        fn len(&self) -> usize {
            self.0.len()
        }

        fn get(&self, key: &String) -> Option<CountedNode<'a>> {
            look(1);
            self.0.get(key).map(CountedNode)
        }

        fn members(&self) -> Self::MembersIter {
            look(self.0.len() as u64);
            self.0.iter().map(|(name, value)| (name.as_str(), CountedNode(value))).collect::<Vec<_>>().into_iter()
        }
    }

    impl<'a> Array<'a, Counted> for Items<'a> {
        type Node = CountedNode<'a>;
        type ElementsIter = std::vec::IntoIter<CountedNode<'a>>;

        fn len(&self) -> usize {
            self.0.len()
        }

        fn elements(&self) -> Self::ElementsIter {
            look(self.0.len() as u64);
            self.0.iter().map(CountedNode).collect::<Vec<_>>().into_iter()
        }
    }

    /// A schema compiled for counted values.
    pub(super) fn compile(schema: &Value) -> Option<Validator<Counted>> {
        let walked = reader::walk(schema, &mut SchemaBudget::default(), PatternPolicy::None).ok()?;
        let options = jsonschema::options_for::<Counted>().with_draft(walked.draft).offline();
        options.with_pattern_options(pattern_options()).build(&normalize::normal(&walked)).ok()
    }

    /// How often a value is looked at when it is held against a schema; panics beyond `max`.
    pub(super) fn looks(validator: &Validator<Counted>, value: &Value, max: u64) -> (bool, u64) {
        LOOKS.set(0);
        LOOKS_MAX.set(max);
        let fits = validator.is_valid(CountedNode(value));
        LOOKS_MAX.set(u64::MAX);
        (fits, LOOKS.get())
    }

    /// The same when all faults are listed.
    pub(super) fn looks_listing(validator: &Validator<Counted>, value: &Value, max: u64) -> u64 {
        LOOKS.set(0);
        LOOKS_MAX.set(max);
        let _ = validator.iter_errors(CountedNode(value)).count();
        LOOKS_MAX.set(u64::MAX);
        LOOKS.get()
    }
}

mod hostile {
    //! Schemas as an enemy writes them, from a seed.

    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    const DRAFTS: [&str; 5] = [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ];

    pub(super) struct SchemaFuzzer(StdRng);

    impl SchemaFuzzer {
        pub(super) fn new(seed: u64) -> Self {
            Self(StdRng::seed_from_u64(seed))
        }

        fn below(&mut self, end: usize) -> usize {
            self.0.random_range(0..end)
        }

        fn name(&mut self) -> &'static str {
            NAMES[self.below(NAMES.len())]
        }

        fn reference(&mut self, definitions: usize) -> Value {
            let keyword = match self.below(12) {
                0 => "$dynamicRef",
                1 => "$recursiveRef",
                _ => "$ref",
            };
            let target = match self.below(12) {
                0 => "#".to_owned(),
                1 => format!("#anchor{}", self.below(definitions)),
                2 => format!("#/properties/{}", self.name()),
                3 => format!("id{}", self.below(definitions)),
                4 => format!("#/%24defs/{}", self.below(definitions)),
                _ => format!("#/$defs/{}", self.below(definitions)),
            };
            json!({keyword: target})
        }

        fn assertion(&mut self) -> (&'static str, Value) {
            match self.below(16) {
                0 => ("type", json!(["object", "array", "string", "integer", "null"][self.below(5)])),
                1 => ("enum", json!([1, "a", {"a": [1]}, null])),
                2 => ("const", json!({"a": 1})),
                3 => ("minLength", json!(self.below(3))),
                4 => ("maximum", json!(self.below(10))),
                5 => ("multipleOf", json!([0.1, 3.0, 1e-300, 1e300][self.below(4)])),
                6 => ("uniqueItems", json!(true)),
                7 => ("required", json!([self.name()])),
                8 => ("pattern", json!(["^a+$", "(a|b){0,40}c", "^\\p{L}{1,20}$", "(a*)*b", "\\d+"][self.below(5)])),
                9 => ("format", json!(["email", "regex", "uri", "date-time", "idn-hostname"][self.below(5)])),
                10 => ("minItems", json!(self.below(3))),
                11 => ("maxProperties", json!(self.below(4))),
                12 => ("dependentRequired", json!({self.name(): [self.name()]})),
                13 => ("contentMediaType", json!("application/json")),
                14 => ("minContains", json!(self.below(3))),
                _ => ("exclusiveMinimum", json!(0)),
            }
        }

        pub(super) fn subschema(&mut self, depth: usize, definitions: usize) -> Value {
            if depth == 0 || self.below(12) == 0 {
                return match self.below(4) {
                    0 => json!(true),
                    1 => json!(false),
                    2 => json!({}),
                    _ => self.reference(definitions),
                };
            }
            let mut schema = serde_json::Map::new();
            for _ in 0..1 + self.below(3) {
                let (keyword, value) = self.keyword(depth, definitions);
                match value {
                    Value::Object(inner) if keyword.is_empty() => schema.extend(inner),
                    value => drop(schema.insert(keyword.to_owned(), value)),
                }
            }
            Value::Object(schema)
        }

        fn keyword(&mut self, depth: usize, definitions: usize) -> (&'static str, Value) {
            let one = |enemy: &mut Self| enemy.subschema(depth - 1, definitions);
            let list =
                |enemy: &mut Self| {
                    let same = enemy.subschema(depth - 1, definitions);
                    let count = 1 + enemy.below(3);
                    Value::Array(
                        (0..count)
                            .map(|_| {
                                if enemy.below(2) == 0 { same.clone() } else { enemy.subschema(depth - 1, definitions) }
                            })
                            .collect(),
                    )
                };
            match self.below(26) {
                0..3 => ("allOf", list(self)),
                3 => ("anyOf", list(self)),
                4 => ("oneOf", list(self)),
                5 => ("not", one(self)),
                6 => ("if", one(self)),
                7 => ("then", one(self)),
                8 => ("else", one(self)),
                9..12 => ("properties", json!({self.name(): one(self), self.name(): one(self)})),
                12 => ("additionalProperties", one(self)),
                13 => ("patternProperties", json!({"^[ab]": one(self), ".": one(self)})),
                14 => ("propertyNames", one(self)),
                15 => ("items", if self.below(3) == 0 { list(self) } else { one(self) }),
                16 => ("prefixItems", list(self)),
                17 => ("contains", one(self)),
                18 => ("unevaluatedProperties", one(self)),
                19 => ("unevaluatedItems", one(self)),
                20 => ("dependentSchemas", json!({self.name(): one(self)})),
                21 => ("dependencies", json!({self.name(): one(self), self.name(): ["a"]})),
                22 => ("additionalItems", one(self)),
                23 => ("", self.reference(definitions)),
                _ => self.assertion(),
            }
        }

        /// A schema of anything.
        pub(super) fn soup(&mut self) -> Value {
            let definitions = 1 + self.below(6);
            let mut schema = self.subschema(3, definitions);
            if !schema.is_object() {
                schema = json!({"not": schema});
            }
            let mut all = serde_json::Map::new();
            for at in 0..definitions {
                let mut one = self.subschema(3, definitions);
                if let (Value::Object(one), 0) = (&mut one, self.below(3)) {
                    let anchor = ["$anchor", "$dynamicAnchor"][self.below(2)];
                    one.insert(anchor.to_owned(), json!(format!("anchor{at}")));
                }
                if let (Value::Object(one), 0) = (&mut one, self.below(6)) {
                    one.insert("$id".to_owned(), json!(format!("id{at}")));
                }
                all.insert(at.to_string(), one);
            }
            schema["$defs"] = Value::Object(all);
            if self.below(2) == 0 {
                schema["$schema"] = json!(DRAFTS[self.below(DRAFTS.len())]);
            }
            schema
        }

        pub(super) fn value(&mut self, depth: usize) -> Value {
            match self.below(if depth == 0 { 5 } else { 9 }) {
                0 => json!(null),
                1 => json!(self.below(5)),
                2 => json!(["a", "ab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "x@y.example"][self.below(4)]),
                3 => json!(true),
                4 => json!(0.3),
                5 | 6 => {
                    let count = self.below(4);
                    (0..count).map(|_| self.value(depth - 1)).collect()
                }
                _ => {
                    let count = self.below(4);
                    Value::Object((0..count).map(|_| (self.name().to_owned(), self.value(depth - 1))).collect())
                }
            }
        }
    }

    /// A diamond of `levels` through a keyword, and a value that goes all the way down.
    pub(super) fn diamond(keyword: &str, levels: usize) -> (Value, Value) {
        let twice = |next: Value| match keyword {
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => json!({keyword: [next.clone(), next]}),
            "if" => json!({"if": next.clone(), "then": next.clone(), "else": next}),
            "dependentSchemas" | "dependencies" => json!({keyword: {"a": next.clone(), "b": next}}),
            "not" => json!({"not": next.clone(), "allOf": [next]}),
            "properties" => json!({"allOf": [{"properties": {"a": next.clone()}}, {"properties": {"a": next}}]}),
            "patternProperties" => json!({"patternProperties": {"^a": next.clone(), "a$": next}}),
            "items" => json!({"items": next.clone(), "contains": next}),
            "unevaluatedProperties" => json!({"allOf": [next.clone()], "unevaluatedProperties": next}),
            _ => json!({"anyOf": [next.clone()], keyword: next}),
        };
        let mut all: serde_json::Map<String, Value> =
            (0..levels).map(|at| (at.to_string(), twice(json!({"$ref": format!("#/$defs/{}", at + 1)})))).collect();
        all.insert(levels.to_string(), json!({"type": "string"}));
        let value = (0..levels.min(60)).fold(json!(1), |inner, _| match keyword {
            "items" | "prefixItems" | "unevaluatedItems" => json!([inner]),
            _ => json!({"a": inner, "b": 1}),
        });
        (json!({"$defs": all, "$ref": "#/$defs/0"}), value)
    }
}

/// Looks at values that a step stands for, at most. Found by trial; the loops below say when it is too low.
const LOOKS_PER_STEP: u64 = 16;

/// Compiles a schema of an enemy and holds values against it; true if it was taken.
fn survives(schema: &Value, values: &[Value]) -> bool {
    let Ok(compiled) = compile(schema) else { return false };
    let counted = counted::compile(schema).unwrap_or_else(|| panic!("{schema}"));
    for value in values {
        let Some(steps) = compiled.steps(value) else {
            assert_eq!(compiled.check_value(value, 5), Err(ValueError::TooCostly));
            continue;
        };
        let (fits, looks) = counted::looks(&counted, value, LOOKS_PER_STEP * (steps + 4));
        assert_eq!(compiled.check_value(value, 5).is_ok(), fits, "{schema} {value}");
        if steps <= LISTING_STEPS_MAX {
            // Listing looks at each level of combinators once more.
            let max = LOOKS_PER_STEP * (steps + 4) * (2 + limits::IN_PLACE_DEPTH_MAX as u64);
            counted::looks_listing(&counted, value, max);
        }
        assert!(looks <= LOOKS_PER_STEP * (steps + 4));
    }
    true
}

#[test]
fn ten_thousand_schemas_of_an_enemy_cost_what_was_counted() {
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..10_000 {
        let mut enemy = hostile::SchemaFuzzer::new(seed);
        let schema = enemy.soup();
        let values: Vec<Value> = (0..3).map(|depth| enemy.value(2 + depth)).collect();
        if survives(&schema, &values) { taken += 1 } else { refused += 1 }
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} taken, {refused} refused");
}

#[test]
fn diamonds_of_every_keyword_are_refused_or_counted() {
    for keyword in [
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "dependentSchemas",
        "dependencies",
        "properties",
        "patternProperties",
        "additionalProperties",
        "items",
        "prefixItems",
        "contains",
        "unevaluatedProperties",
        "unevaluatedItems",
        "propertyNames",
    ] {
        for levels in [1, 2, 3, 5, 8, 10, 12, 16, 25, 40, 100, 400] {
            let (schema, value) = hostile::diamond(keyword, levels);
            let taken = survives(&schema, &[value.clone(), json!("x"), json!({}), json!([])]);
            assert!(taken || levels > 3 || keyword.starts_with("unevaluated") && levels > 1, "{keyword} {levels}");
        }
    }
}

#[test]
fn cycles_through_every_keyword_are_refused_unless_they_go_down() {
    for reference in ["$ref", "$dynamicRef", "$recursiveRef"] {
        let draft = if reference == "$recursiveRef" { "2019-09" } else { "2020-12" };
        for keyword in ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies", ""]
        {
            let back = json!({reference: "#"});
            let mut schema = match keyword {
                "" => back,
                "allOf" | "anyOf" | "oneOf" => json!({keyword: [{}, back]}),
                "dependentSchemas" | "dependencies" => json!({keyword: {"a": back}}),
                _ => json!({keyword: back}),
            };
            schema["$schema"] = json!(format!("https://json-schema.org/draft/{draft}/schema"));
            for more in [json!({}), json!({"unevaluatedProperties": false}), json!({"unevaluatedItems": false})] {
                let mut schema = schema.clone();
                schema.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                let error = compile(&schema).map(|_| ()).unwrap_err();
                assert!(error.message.contains("refers to itself"), "{error}: {schema}");
            }
        }
        for keyword in [
            "properties",
            "patternProperties",
            "additionalProperties",
            "propertyNames",
            "items",
            "contains",
            "unevaluatedProperties",
            "unevaluatedItems",
        ] {
            let back = json!({reference: "#"});
            let down =
                if keyword.ends_with("roperties") && keyword.starts_with('p') { json!({"a": back}) } else { back };
            let schema = json!({"$schema": format!("https://json-schema.org/draft/{draft}/schema"), keyword: down});
            assert!(survives(&schema, &[json!({"a": {"a": [[{}]]}}), json!([[[]]])]), "{schema}");
        }
    }
}

#[test]
fn values_double_at_each_level_and_are_counted() {
    let schema = json!({"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]});
    let compiled = compile(&schema).unwrap();
    let nested = |levels: usize| (0..levels).fold(json!([]), |inner, _| json!([inner]));
    assert!(survives(&schema, &(0..64).map(nested).collect::<Vec<_>>()));
    assert!(compiled.steps(&nested(10)).is_some_and(|steps| steps > 2_u64.pow(10)));
    assert_eq!(compiled.check_value(&nested(60), 5), Err(ValueError::TooCostly));
    // A chain of members, each with thirty references in a row: the stack is counted too.
    let mut all: serde_json::Map<String, Value> =
        (0..30).map(|at| (at.to_string(), json!({"$ref": format!("#/$defs/{}", at + 1)}))).collect();
    all.insert("30".to_owned(), json!({"properties": {"a": {"$ref": "#/$defs/0"}}}));
    let chain = compile(&json!({"$defs": all, "$ref": "#/$defs/0"})).unwrap();
    let down = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(chain.check_value(&down(10), 5), Ok(()));
    assert_eq!(chain.check_value(&down(60), 5), Err(ValueError::TooCostly));
}

#[test]
fn what_is_compiled_means_what_was_written() {
    let mut compared = 0;
    for seed in 20_000..24_000 {
        let mut enemy = hostile::SchemaFuzzer::new(seed);
        let mut schema = enemy.soup();
        // Formats are checked where a draft asserts them, but for those that compile what a caller says.
        strip(&mut schema, "format");
        let Ok(ours) = compile(&schema) else { continue };
        let Ok(theirs) = jsonschema::options().offline().build(&schema) else { continue };
        for _ in 0..4 {
            let value = enemy.value(4);
            if ours.steps(&value).is_some() {
                assert_eq!(ours.validator.is_valid(&value), theirs.is_valid(&value), "{schema} {value}");
                compared += 1;
            }
        }
    }
    assert!(compared > 1_000, "{compared}");
}

fn strip(value: &mut Value, keyword: &str) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| name != keyword);
            members.values_mut().for_each(|value| strip(value, keyword));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| strip(value, keyword)),
        _ => {}
    }
}

#[test]
fn schemas_that_broke_others_do_not_break_us() {
    // networknt/json-schema-validator#1276: two branches into the same items.
    let arm = |more: Value| {
        let mut arm = json!({"type": "array", "items": {"$ref": "#/$defs/n"}});
        arm.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arm
    };
    let twice = json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [arm(json!({"minItems": 0})), arm(json!({"maxItems": 99}))]}}});
    let nested = |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!([inner]));
    assert!(survives(&twice, &(0..40).map(nested).collect::<Vec<_>>()));
    assert_eq!(compile(&twice).unwrap().check_value(&nested(40), 5), Err(ValueError::TooCostly));
    // Stranger6667/jsonschema#420: two schemas that lead to each other through members.
    let each = |name: &str, other: &str| {
        json!({"type": "object", "required": [name], "properties": {name: {"allOf": [{"$ref": format!("#/$defs/{other}")}],
            "unevaluatedProperties": false}}})
    };
    let mutual = json!({"allOf": [{"$ref": "#/$defs/a"}], "unevaluatedProperties": false, "$defs": {"a": each("b", "c"), "c": each("f", "a")}});
    assert!(survives(&mutual, &[json!({"b": {"f": {"b": {}}}}), json!({"b": {"f": {"x": 1}}}), json!(1)]));
    // everit-org/json-schema#147: exponential for regex libraries that backtrack.
    let optional = json!({"pattern": format!("^{}{}$", "a?".repeat(60), "a".repeat(60))});
    assert!(survives(&optional, &[json!("a".repeat(60)), json!("a".repeat(59))]));
    // json-editor/json-editor#792: expressions of expressions; each branch names its type.
    let operation = |name: &str| {
        json!({"type": "object", "required": ["op", "left", "right"], "properties": {"op": {"const": name},
            "left": {"$ref": "#/$defs/e"}, "right": {"$ref": "#/$defs/e"}}})
    };
    let tree = json!({"$ref": "#/$defs/e", "$defs": {"e": {"oneOf": [operation("and"), operation("or"), {"type": "string"}]}}});
    let deep = (0..6).fold(
        json!("x"),
        |inner, at| json!({"op": if at % 2 == 0 { "and" } else { "or" }, "left": inner, "right": inner}),
    );
    assert!(survives(&tree, std::slice::from_ref(&deep)));
    assert_eq!(compile(&tree).unwrap().check_value(&deep, 5), Ok(()));
    // spring-projects/spring-ai#5888: definitions below a property, referred to from the root.
    let lost = json!({"properties": {"f": {"$defs": {"x": {}}, "items": {"$ref": "#/$defs/x"}}}});
    refused(&lost, "/properties/f/items/$ref", "is not there");
}

#[test]
fn the_stack_suffices_for_the_deepest_value() {
    for keyword in ["$ref", "allOf", "anyOf", "oneOf", "if", "not", "dependentSchemas", "unevaluatedProperties"] {
        let step = |next: Value| match keyword {
            "$ref" => next,
            "if" => json!({"if": next, "else": false}),
            "not" => json!({"not": {"not": next}}),
            "dependentSchemas" => json!({"dependentSchemas": {"a": next}}),
            "unevaluatedProperties" => json!({"allOf": [next]}),
            _ => json!({keyword: [next]}),
        };
        let length = match keyword {
            "$ref" => 30,
            "not" => 10,
            _ => 15,
        };
        let mut all: serde_json::Map<String, Value> =
            (0..length).map(|at| (at.to_string(), step(json!({"$ref": format!("#/$defs/{}", at + 1)})))).collect();
        let mut last = json!({"properties": {"a": {"$ref": "#/$defs/0"}, "z": false}});
        if keyword == "unevaluatedProperties" {
            last["properties"]["a"] = json!({"allOf": [{"$ref": "#/$defs/0"}], "unevaluatedProperties": false});
        }
        all.insert(length.to_string(), last);
        let compiled = compile(&json!({"$defs": all, "$ref": "#/$defs/0"})).unwrap();
        let down = |levels: usize, leaf: Value| (0..levels).fold(leaf, |inner, _| json!({"a": inner}));
        let deepest = (1..60).take_while(|levels| compiled.steps(&down(*levels, json!({}))).is_some()).last();
        let deepest = deepest.unwrap();
        assert!(deepest > 1 && deepest < 59, "{keyword} {deepest}");
        for leaf in [json!({}), json!({"z": 1}), json!({"y": 1})] {
            let _ = compiled.check_value(&down(deepest, leaf), 5);
        }
    }
}
