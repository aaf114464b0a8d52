//! The parameters of a tool call: what the model says, and what is always sent.

use crate::domain::template::{TemplateReport, TemplateUse, TemplateValues, fill};
use serde_json::{Map, Value};

/// The fixed parameters with their variables filled in.
pub(super) fn filled(fixed: &Map<String, Value>, values: &dyn TemplateValues) -> Map<String, Value> {
    fixed.iter().map(|(name, value)| (name.clone(), filled_value(value, values))).collect()
}

fn filled_value(value: &Value, values: &dyn TemplateValues) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, TemplateUse::Text, values, &mut TemplateReport::default())),
        Value::Array(items) => items.iter().map(|item| filled_value(item, values)).collect(),
        Value::Object(fields) => Value::Object(filled(fields, values)),
        other => other.clone(),
    }
}

/// The model's arguments with the fixed parameters, which come first. Fails with the text for the model.
pub(super) fn merged(arguments: &str, fixed: Map<String, Value>) -> Result<Map<String, Value>, String> {
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    let Ok(Value::Object(mut all)) = serde_json::from_str(text) else {
        return Err("the arguments must be an object".to_owned());
    };
    all.extend(fixed);
    Ok(all)
}

/// A value as it stands in a path; null is none.
pub(super) fn single(name: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Array(_) | Value::Object(_) => Err(format!("{name} must be a single value")),
        value => Ok(text(value)),
    }
}

/// A value as a form has it: lists repeat their name, objects are JSON.
pub(super) fn pairs(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        value => text(value).into_iter().collect(),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
