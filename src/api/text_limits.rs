//! Bounds of texts and lists that no rule of a field makes shorter. A field's own length stands on its type.

use crate::domain::FieldError;
use serde_json::{Map, Value};

/// Default limit: larger than any sensible text, small enough to catch mistakes.
const CHARS_MAX: usize = 100_000;
/// JSON text of what customers keep with an agent, a task or a schema.
const FREE_BYTES_MAX: usize = 65_536;
/// Entries of a list.
const ITEMS_MAX: usize = 1_000;

/// Fields whose content the customer chooses.
pub(super) const FREE: [&str; 5] =
    ["metadata", "context_data", "structured_data_plan", "parameters", "static_parameters"];

/// The texts and lists of an object that are too long, by their paths.
pub(super) fn check(object: &Map<String, Value>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    object.iter().for_each(|(name, value)| walk(name, name, value, &mut faults));
    faults
}

fn walk(path: &str, name: &str, value: &Value, faults: &mut Vec<FieldError>) {
    if FREE.contains(&name) {
        if value.to_string().len() > FREE_BYTES_MAX {
            faults.push(FieldError::new(path, format!("must have at most {FREE_BYTES_MAX} bytes of JSON")));
        }
        return;
    }
    match value {
        Value::String(text) if text.chars().count() > CHARS_MAX => {
            faults.push(FieldError::new(path, format!("must have at most {CHARS_MAX} characters")));
        }
        Value::Array(items) if items.len() > ITEMS_MAX => {
            faults.push(FieldError::new(path, format!("must have at most {ITEMS_MAX} entries")));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{path}[{index}]"), name, item, faults);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(&format!("{path}.{name}"), name, value, faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(body: &Value) -> Option<String> {
        check(body.as_object().unwrap()).first().map(|error| error.field.clone())
    }

    #[test]
    fn long_texts_are_refused_by_their_path() {
        let long = |length: usize| "é".repeat(length);
        assert_eq!(field(&json!({"name": long(200), "system_prompt": long(100_000)})), None);
        let messages = json!({"llm_config": {"messages": [{"content": "x"}, {"content": long(100_001)}]}});
        assert_eq!(field(&messages), Some("llm_config.messages[1].content".into()));
        assert_eq!(field(&json!({"metadata": {"name": long(40_000)}})), Some("metadata".into()));
        assert_eq!(field(&json!({"metadata": {"name": long(1_000)}})), None);
    }
}
