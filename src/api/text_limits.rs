//! Maximum lengths of customers' texts by field name; the OpenAPI document states the same.

use crate::domain::FieldError;
use serde_json::{Map, Value};

/// Default limit: larger than any sensible text, small enough to catch mistakes.
const CHARS_MAX: usize = 100_000;
/// JSON text of what customers keep with an agent, a task or a schema.
const FREE_BYTES_MAX: usize = 65_536;
/// Entries of a list.
const ITEMS_MAX: usize = 1_000;

/// Fields whose content the customer chooses.
pub(super) const FREE: [&str; 4] = ["metadata", "context_data", "structured_data_plan", "parameters"];

/// Characters of fields that are short by nature.
pub(super) const SHORT: [(&str, usize); 26] = [
    ("name", 200),
    ("business_name", 200),
    ("email", 320),
    ("notification_email", 320),
    ("owner_email", 320),
    ("password", 256),
    ("token", 256),
    ("webhook_url", 2_048),
    ("url", 2_048),
    ("base_url", 2_048),
    ("server_url", 2_048),
    ("authorization", 4_096),
    ("webhook_secret", 1_024),
    ("value", 4_096),
    ("host", 253),
    ("from_domain", 253),
    ("from_user", 256),
    ("username", 256),
    ("inbound_username", 256),
    ("inbound_password", 256),
    ("dial_string", 100),
    ("model", 200),
    ("voice_id", 200),
    ("voice", 200),
    ("language", 35),
    ("time_zone", 64),
];

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
        Value::String(text) => {
            let max = SHORT.iter().find(|(short, _)| *short == name).map_or(CHARS_MAX, |(_, max)| *max);
            if text.chars().count() > max {
                faults.push(FieldError::new(path, format!("must have at most {max} characters")));
            }
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
        assert_eq!(field(&json!({"name": long(201)})), Some("name".into()));
        assert_eq!(field(&json!({"llm_config": {"model": long(201)}})), Some("llm_config.model".into()));
        let messages = json!({"llm_config": {"messages": [{"content": "x"}, {"content": long(100_001)}]}});
        assert_eq!(field(&messages), Some("llm_config.messages[1].content".into()));
        assert_eq!(field(&json!({"metadata": {"name": long(40_000)}})), Some("metadata".into()));
        assert_eq!(field(&json!({"metadata": {"name": long(1_000)}})), None);
    }
}
