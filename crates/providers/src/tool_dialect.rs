//! Definitions of tools in a form that every vendor takes. Arguments are held against the tool's own schema here, so what a
//! vendor does not take may be left out of what it gets.

use serde_json::{Map, Value, json};
use std::borrow::Cow;
use trunkline_domain::chat::ToolOffer;
use trunkline_domain::tool_limits::{OFFERS_MAX, is_tool_name, shortened};

/// What no vendor takes at the top of a tool's schema, or what says nothing to a model.
const NOT_AT_THE_TOP: [&str; 11] =
    ["$schema", "$id", "oneOf", "anyOf", "allOf", "not", "enum", "const", "if", "then", "else"];

/// The tools of a request within the vendors' limits; one that cannot be named is left out.
pub fn offers(tools: &[ToolOffer]) -> impl Iterator<Item = ToolOffer> {
    tools.iter().filter(|tool| is_tool_name(&tool.name)).take(OFFERS_MAX).map(|tool| ToolOffer {
        name: tool.name.clone(),
        description: shortened(&tool.description).unwrap_or(&tool.description).to_owned(),
        parameters: parameters(&tool.parameters),
        strict: tool.strict,
    })
}

/// The schema of the arguments: an object with properties, even where there are none.
fn parameters(schema: &Value) -> Value {
    let mut fields = top(schema).into_owned();
    for name in NOT_AT_THE_TOP {
        fields.remove(name);
    }
    fields.insert("type".to_owned(), json!("object"));
    if !fields.get("properties").is_some_and(Value::is_object) {
        fields.insert("properties".to_owned(), json!({}));
    }
    let mut schema = Value::Object(fields);
    name_items(&mut schema);
    schema
}

/// The top of a schema; one that only refers to a definition is replaced by it.
fn top(schema: &Value) -> Cow<'_, Map<String, Value>> {
    let Some(fields) = schema.as_object() else { return Cow::Owned(Map::new()) };
    let Some(place) = fields.get("$ref").and_then(Value::as_str) else { return Cow::Borrowed(fields) };
    let definition = place.strip_prefix('#').and_then(|place| schema.pointer(place)).and_then(Value::as_object);
    let mut fields = fields.clone();
    fields.remove("$ref");
    fields.extend(definition.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    Cow::Owned(fields)
}

/// OpenAI takes no array whose items are not described.
fn name_items(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    if fields.get("type").is_some_and(|kind| kind == "array") && !fields.contains_key("items") {
        fields.insert("items".to_owned(), json!({}));
    }
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).into_iter().for_each(name_items);
    }
    for name in ["properties", "$defs", "definitions"] {
        fields.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten().for_each(|(_, one)| name_items(one));
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        fields.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().for_each(name_items);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(parameters: Value) -> Value {
        let tool = ToolOffer { name: "find".into(), parameters, ..ToolOffer::default() };
        offers(&[tool]).next().unwrap().parameters
    }

    #[test]
    fn a_tool_without_properties_has_an_empty_list_of_them() {
        let empty = json!({"type": "object", "properties": {}});
        for schema in [json!(null), json!({}), json!(true), json!({"type": "object"}), json!({"properties": null})] {
            assert_eq!(offered(schema), empty);
        }
        let one = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(offered(one.clone()), one);
    }

    #[test]
    fn the_top_of_a_schema_is_an_object_and_nothing_else() {
        let choice = json!({"$schema": "x", "type": "object", "properties": {"anyOf": {"type": "string"}}, "anyOf": [{"required": ["a"]}]});
        assert_eq!(offered(choice), json!({"type": "object", "properties": {"anyOf": {"type": "string"}}}));
        let definition = json!({"type": "object", "properties": {"a": {"type": "array"}}});
        let reference = json!({"$ref": "#/$defs/A", "$defs": {"A": definition}});
        assert_eq!(offered(reference)["properties"], json!({"a": {"type": "array", "items": {}}}));
        assert_eq!(offered(json!({"$ref": "#/nowhere"})), json!({"type": "object", "properties": {}}));
    }

    #[test]
    fn arguments_may_be_named_like_words_of_schemas() {
        let schema =
            json!({"type": "object", "properties": {"properties": {"type": "string"}, "type": {"type": "array"}}});
        let offered = offered(schema);
        assert_eq!(offered["properties"]["properties"], json!({"type": "string"}));
        assert_eq!(offered["properties"]["type"], json!({"type": "array", "items": {}}));
    }

    #[test]
    fn a_tool_beyond_the_limits_costs_that_tool() {
        let tool =
            |name: &str, description: String| ToolOffer { name: name.into(), description, ..ToolOffer::default() };
        let long = "Looks up one order. ".repeat(150);
        let tools = [tool("bad.name", "x".into()), tool("", "x".into()), tool("find", long)];
        let offered: Vec<ToolOffer> = offers(&tools).collect();
        assert_eq!(offered.len(), 1);
        assert!(offered[0].description.len() <= 1_024 && offered[0].description.ends_with("order."));
        let many: Vec<ToolOffer> = (0..200).map(|number| tool(&format!("t{number}"), String::new())).collect();
        assert_eq!(offers(&many).count(), OFFERS_MAX);
    }
}
