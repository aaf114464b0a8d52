//! Schemas of tools without the keywords that a grammar or a vendor's dialect may not know. Arguments are held against the
//! tool's own schema here, so a server that cannot read one gets what tells a model which arguments there are.

use serde_json::{Map, Value, json};

/// What says which arguments there are.
const KEPT: [&str; 13] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "description",
    "title",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "$defs",
    "definitions",
];

/// Writes the schemas of all tools of a body in plain keywords.
pub(crate) fn write(body: &mut Value) {
    for tool in body.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        for pointer in ["/function/parameters", "/input_schema"] {
            tool.pointer_mut(pointer).into_iter().for_each(simplify);
        }
        // It needs closed objects.
        if let Some(function) = tool.get_mut("function").and_then(Value::as_object_mut) {
            function.remove("strict");
        }
    }
}

/// The keywords of a body's tools that are not plain.
pub(crate) fn other_keywords(body: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for tool in body["tools"].as_array().into_iter().flatten() {
        for pointer in ["/function/parameters", "/input_schema"] {
            tool.pointer(pointer).into_iter().for_each(|schema| collect(schema, &mut all));
        }
    }
    all
}

fn is_plain(keyword: &str) -> bool {
    KEPT.contains(&keyword)
}

/// The schemas within a schema: by name, in lists, alone.
fn each_part(fields: &mut Map<String, Value>, mut change: impl FnMut(&mut Value)) {
    for (name, value) in fields.iter_mut() {
        match (name.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(named)) => {
                named.iter_mut().for_each(|(_, one)| change(one));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(all)) => all.iter_mut().for_each(&mut change),
            ("items", one) => change(one),
            _ => {}
        }
    }
}

fn simplify(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if let Some(only) = fields.remove("const") {
        fields.entry("enum").or_insert_with(|| json!([only]));
    }
    fields.retain(|name, _| is_plain(name));
    each_part(fields, simplify);
}

fn collect(schema: &Value, all: &mut Vec<String>) {
    let Some(mut fields) = schema.as_object().cloned() else { return };
    all.extend(fields.keys().filter(|name| !is_plain(name)).cloned());
    each_part(&mut fields, |part| collect(part, all));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stay_and_rules_about_them_go() {
        let schema = json!({"type": "object", "additionalProperties": false, "required": ["pattern"], "properties": {
            "pattern": {"type": "string", "pattern": "^[0-9]+$", "description": "Keys"},
            "list": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "date"}},
            "kind": {"const": "a"}, "either": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}}});
        let mut body = json!({"tools": [{"type": "function", "function": {"name": "a", "strict": true, "parameters": schema}},
            {"name": "b", "input_schema": {"type": "object", "$schema": "x"}}, {"type": "web_search"}]});
        let mut others = other_keywords(&body);
        others.sort();
        assert_eq!(others, ["$schema", "additionalProperties", "const", "format", "minItems", "minimum", "pattern"]);
        write(&mut body);
        let plain = json!({"type": "object", "required": ["pattern"], "properties": {
            "pattern": {"type": "string", "description": "Keys"}, "list": {"type": "array", "items": {"type": "string"}},
            "kind": {"enum": ["a"]}, "either": {"anyOf": [{"type": "integer"}, {"type": "null"}]}}});
        let wanted = json!({"tools": [{"type": "function", "function": {"name": "a", "parameters": plain}},
            {"name": "b", "input_schema": {"type": "object"}}, {"type": "web_search"}]});
        assert_eq!(body, wanted);
        assert!(other_keywords(&body).is_empty());
    }
}
