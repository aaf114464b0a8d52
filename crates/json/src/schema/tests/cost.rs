//! What hostile schemas cost is counted before it is done.

use super::*;

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
