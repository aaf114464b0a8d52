//! Schemas that are valid and that no vendor of models takes, or that nothing fits.

use serde_json::{Map, Value};

/// Bounds of which the first must not be above the second.
const BOUNDS: [(&str, &str); 4] =
    [("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"), ("minProperties", "maxProperties")];
/// Words that hold schemas by name, one schema, and a list of them.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
const SINGLE: [&str; 3] = ["items", "additionalProperties", "not"];
const LISTED: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Words with which properties may be described elsewhere.
const ELSEWHERE: [&str; 6] = ["$ref", "anyOf", "oneOf", "allOf", "patternProperties", "if"];
/// Characters of the name of an argument, as vendors take them.
const NAME_CHARS_MAX: usize = 64;

/// What the names of properties may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropertyNames {
    /// Those that vendors take as arguments of a tool.
    OfArguments,
    /// Any.
    Any,
}

/// What is wrong with a schema, and where; `None` if it makes sense. The schema is within the limits of depth and size.
pub fn find_nonsense(schema: &Value, names: PropertyNames) -> Option<String> {
    let mut open = vec![(String::new(), schema)];
    while let Some((place, schema)) = open.pop() {
        let Some(schema) = schema.as_object() else { continue };
        if let Some(fault) = fault_of(schema, names) {
            let at = place.trim_start_matches('.');
            return Some(if at.is_empty() { fault } else { format!("at {at}: {fault}") });
        }
        for word in NAMED {
            let of = schema.get(word).and_then(Value::as_object).into_iter().flatten();
            open.extend(of.map(|(name, one)| (format!("{place}.{word}.{name}"), one)));
        }
        for word in SINGLE {
            open.extend(schema.get(word).map(|one| (format!("{place}.{word}"), one)));
        }
        for word in LISTED {
            let of = schema.get(word).and_then(Value::as_array).into_iter().flatten().enumerate();
            open.extend(of.map(|(at, one)| (format!("{place}.{word}[{at}]"), one)));
        }
    }
    None
}

/// What is wrong with one schema, without those in it.
fn fault_of(schema: &Map<String, Value>, names: PropertyNames) -> Option<String> {
    if schema.get("enum").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        return Some("enum lists no value".to_owned());
    }
    if let Some(types) = schema.get("type")
        && let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.iter().any(|value| is_of(value, types))
    {
        return Some(format!("enum has no value of the type {types}"));
    }
    for (low, high) in BOUNDS {
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        if bound(low).zip(bound(high)).is_some_and(|(low, high)| low > high) {
            return Some(format!("{low} is above {high}"));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object)?;
    if let Some(name) = properties.keys().find(|name| names == PropertyNames::OfArguments && !is_name(name)) {
        let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
        return Some(format!("properties: {shown:?} must have 1 to {NAME_CHARS_MAX} letters, digits, _, . or -"));
    }
    let is_open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    if is_open || ELSEWHERE.iter().any(|word| schema.contains_key(*word)) {
        return None;
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let unknown = required.into_iter().find(|name| !properties.contains_key(*name))?;
    let shown: String = unknown.chars().take(NAME_CHARS_MAX).collect();
    Some(format!("required names {shown:?}, which is not in properties"))
}

/// Whether a value has a type, or one of a list. Types that nobody knows are judged elsewhere.
fn is_of(value: &Value, types: &Value) -> bool {
    let is_one = |name: &str| match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => true,
    };
    match types {
        Value::Array(list) => list.iter().filter_map(Value::as_str).any(is_one),
        one => one.as_str().is_none_or(is_one),
    }
}

/// Whether a schema describes something other than an object, which vendors do not take as what a model is to answer.
pub fn describes_no_object(schema: &Value) -> bool {
    let is_object = |name: &Value| name == "object";
    match schema.get("type") {
        Some(Value::Array(list)) => !list.iter().any(is_object),
        Some(one) => !is_object(one),
        None => false,
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_no_vendor_takes_is_found_with_its_place() {
        let nested =
            |schema: Value| json!({"type": "object", "properties": {"order": {"type": "array", "items": schema}}});
        for (schema, wanted) in [
            (json!({"type": "string", "enum": []}), "enum lists no value"),
            (json!({"type": "integer", "enum": ["x", 1.5]}), "enum has no value of the type \"integer\""),
            (json!({"type": ["null", "boolean"], "enum": ["yes"]}), "enum has no value of the type"),
            (json!({"type": "integer", "minimum": 5, "maximum": 1}), "minimum is above maximum"),
            (json!({"type": "string", "minLength": 3, "maxLength": 2}), "minLength is above maxLength"),
            (json!({"type": "array", "minItems": 3, "maxItems": 2}), "minItems is above maxItems"),
            (json!({"type": "object", "properties": {"a b": {}}}), "\"a b\" must have 1 to 64"),
            (json!({"type": "object", "properties": {"": {}}}), "\"\" must have 1 to 64"),
            (json!({"type": "object", "properties": {"é": {}}}), "must have 1 to 64"),
            (json!({"type": "object", "properties": {"x".repeat(65): {}}}), "must have 1 to 64"),
            (json!({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]}), "required names \"b\""),
            (json!({"anyOf": [{"type": "null"}, {"enum": []}]}), "anyOf[1]: enum lists no value"),
        ] {
            let fault = find_nonsense(&schema, PropertyNames::OfArguments).unwrap_or_default();
            assert!(fault.contains(wanted), "{schema}: {fault}");
            let inner = find_nonsense(&nested(schema.clone()), PropertyNames::OfArguments).unwrap_or_default();
            assert!(inner.starts_with("at properties.order.items") && inner.contains(wanted), "{schema}: {inner}");
        }
    }

    #[test]
    fn an_analysis_may_name_its_properties_as_it_likes() {
        let schema = json!({"type": "object", "properties": {"caller's name": {"type": "string"}}});
        assert_eq!(find_nonsense(&schema, PropertyNames::Any), None);
    }

    #[test]
    fn what_a_model_answers_is_an_object() {
        for schema in [json!({"type": "array"}), json!({"type": "string"}), json!({"type": ["array", "null"]})] {
            assert!(describes_no_object(&schema), "{schema}");
        }
        for schema in [json!({}), json!({"type": "object"}), json!({"type": ["object", "null"]}), json!({"anyOf": []})]
        {
            assert!(!describes_no_object(&schema), "{schema}");
        }
    }

    #[test]
    fn what_makes_sense_is_left_alone() {
        for schema in [
            json!({}),
            json!({"type": "object"}),
            json!({"type": "object", "required": ["a"]}),
            json!({"type": "object", "properties": {}, "additionalProperties": true, "required": ["a"]}),
            json!({"type": "object", "properties": {}, "patternProperties": {"^x": {}}, "required": ["x1"]}),
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "required": ["a"], "$defs": {"a": {"type": "string"}}}),
            json!({"type": "object", "properties": {"order-id.2": {"type": "integer", "minimum": 1, "maximum": 1}}}),
            json!({"type": "string", "enum": [""]}),
            json!({"type": "integer", "enum": ["x", 2]}),
            json!({"type": ["string", "null"], "enum": [null]}),
            json!({"enum": [1, "x"]}),
            json!({"type": "object", "properties": {"enum": {"type": "string"}, "required": {"type": "string"}}}),
        ] {
            assert_eq!(find_nonsense(&schema, PropertyNames::OfArguments), None, "{schema}");
        }
    }
}
