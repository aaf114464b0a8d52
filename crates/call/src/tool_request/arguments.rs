//! The parameters of a tool call: what the model says, and what is always sent.

use crate::domain::template::{TemplateReport, TemplateUse, TemplateValues, fill};
use serde_json::{Map, Value};

/// Bytes of the fixed parameters after their variables were filled in.
const FILLED_BYTES_MAX: usize = 256 * 1_024;

/// The fixed parameters with their variables filled in. Fails with the text for the model if they become too long.
pub(super) fn filled(fixed: &Map<String, Value>, values: &dyn TemplateValues) -> Result<Map<String, Value>, String> {
    let mut room = FILLED_BYTES_MAX;
    filled_fields(fixed, values, &mut room).ok_or_else(|| "the tool's parameters are too long".to_owned())
}

fn filled_fields(
    fields: &Map<String, Value>, values: &dyn TemplateValues, room: &mut usize,
) -> Option<Map<String, Value>> {
    fields.iter().map(|(name, value)| Some((name.clone(), filled_value(value, values, room)?))).collect()
}

fn filled_value(value: &Value, values: &dyn TemplateValues, room: &mut usize) -> Option<Value> {
    Some(match value {
        Value::String(text) => {
            let text = fill(text, TemplateUse::Text, values, &mut TemplateReport::default());
            *room = room.checked_sub(text.len())?;
            Value::String(text)
        }
        Value::Array(items) => items.iter().map(|item| filled_value(item, values, room)).collect::<Option<_>>()?,
        Value::Object(fields) => Value::Object(filled_fields(fields, values, room)?),
        other => other.clone(),
    })
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
