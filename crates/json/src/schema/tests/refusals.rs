//! What is refused, with its limit and its place.

use super::*;

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
