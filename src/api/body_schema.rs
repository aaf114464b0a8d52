//! Validates a body against the schema of its type. Deserializing is not enough: serde also reads a struct from an
//! array and an enum from an object.

use super::{router, text_limits};
use crate::domain::{FAULTS_MAX, FieldError};
use dashmap::DashMap;
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};
use trunkline_json::schema::TrustedSchema;

/// Characters of a field's path that an answer repeats: names of unknown fields are as long as the client likes.
const FIELD_CHARS_MAX: usize = 200;

/// The types of the document.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut described = serde_json::to_value(router::mount().into_openapi()).unwrap_or_default();
    let mut schemas = described["components"]["schemas"].take();
    simplify(&mut schemas);
    schemas
});

/// Compiled on first use; there are about a dozen.
static SHAPES: LazyLock<DashMap<String, Arc<TrustedSchema>>> = LazyLock::new(DashMap::new);

fn body_schema(name: &str) -> Option<Arc<TrustedSchema>> {
    if let Some(known) = SHAPES.get(name) {
        return Some(known.clone());
    }
    let mut used = Map::new();
    collect(name, &mut used);
    let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": used}});
    let built = Arc::new(TrustedSchema::compile(&schema)?);
    SHAPES.insert(name.to_owned(), built.clone());
    Some(built)
}

/// A schema and those it refers to.
fn collect(name: &str, used: &mut Map<String, Value>) {
    let Some(schema) = SCHEMAS.get(name) else { return };
    if used.insert(name.to_owned(), schema.clone()).is_some() {
        return;
    }
    let mut waiting = vec![schema];
    while let Some(one) = waiting.pop() {
        match one {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    collect(reference.rsplit('/').next().unwrap_or_default(), used);
                }
                waiting.extend(fields.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
}

/// Leaves out what the checks do not use. Patterns and formats are left to the domain types, which say what is wrong
/// in better words. `null` stands for a field that is not set, and is removed from the values.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // A property may have such a name; its value is an object then.
            fields.retain(|name, value| value.is_object() || !matches!(name.as_str(), "pattern" | "format"));
            for choice in ["oneOf", "anyOf"] {
                let Some(Value::Array(mut forms)) = fields.remove(choice) else { continue };
                forms.retain(|form| form["type"] != "null");
                // One form is no choice: its faults are listed as they are, without a copy of the value for each.
                fields.insert(if forms.len() == 1 { "allOf" } else { choice }.to_owned(), Value::Array(forms));
            }
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|kind| kind != "null");
            }
            fields.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// The value without members that are `null`, except in what belongs to the customer.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let kept = if text_limits::FREE.contains(&name.as_str()) { value.clone() } else { without_null(value) };
                (name.clone(), kept)
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_null).collect(),
        other => other.clone(),
    }
}

/// A JSON pointer as customers write a path: `llm_config.tools[0].name`.
fn field_path(pointer: &str) -> String {
    let mut field = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match part.parse::<usize>() {
            Ok(index) => field.push_str(&format!("[{index}]")),
            Err(_) if part.is_empty() => field.push_str("\"\""),
            Err(_) if field.is_empty() => field.push_str(&part),
            Err(_) => field.push_str(&format!(".{part}")),
        }
    }
    match field.char_indices().nth(FIELD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", field.get(..end).unwrap_or_default()),
        None if field.is_empty() => "body".to_owned(),
        None => field,
    }
}

/// Says how an object violates its schema: every fault, [`FAULTS_MAX`] at most.
pub(super) fn check(schema: &str, object: &Map<String, Value>) -> Vec<FieldError> {
    let Some(validator) = body_schema(schema) else { return Vec::new() };
    let faults = validator.faults(&without_null(&Value::Object(object.clone())), FAULTS_MAX);
    faults.into_iter().map(|fault| FieldError::new(field_path(&fault.place), fault.message)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(schema: &str, object: Value) -> Vec<(String, String)> {
        let faults = check(schema, object.as_object().unwrap());
        faults.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    fn fault(field: &str, message: &str) -> (String, String) {
        (field.to_owned(), message.to_owned())
    }

    #[test]
    fn arrays_are_no_objects_and_objects_no_names() {
        let agent =
            |voice_settings: Value| faults("AgentFields", json!({"name": "A", "voice_settings": voice_settings}));
        assert_eq!(agent(json!({"stability": 0.5, "speed": null})), []);
        assert_eq!(agent(json!([null, null])), [fault("voice_settings", "must be an object")]);
        let transport = faults("TrunkFields", json!({"name": "T", "transport": {"udp": null}}));
        assert!(transport.iter().any(|(field, _)| field == "transport"), "{transport:?}");
    }

    #[test]
    fn names_from_outside_are_shown_and_bounded() {
        let long = "é".repeat(100_000);
        let found = faults("AgentFields", json!({"name": "A", "": 1, "a/b~c": 1, long.as_str(): 1}));
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert!(fields.contains(&"\"\"") && fields.contains(&"a/b~c"), "{fields:?}");
        assert!(fields.iter().all(|field| field.chars().count() <= FIELD_CHARS_MAX + 1));
        let many: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), Value::Null)).collect();
        assert_eq!(faults("AgentFields", Value::Object(many)), [fault("name", "is required")], "null is not set");
        let many: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(1))).collect();
        assert_eq!(faults("AgentFields", Value::Object(many)).len(), FAULTS_MAX);
    }

    #[test]
    fn every_fault_is_said_in_plain_words() {
        let agent = json!({"nme": "A", "max_duration_seconds": "long",
            "autonomous_silence_handling": "yes",
            "voice_settings": {"speed": 9, "tone": 1}, "metadata": {"anything": null},
            "llm_config": {"provider": "acme", "model": "m", "tools": [{"type": "function", "function": 1}]}});
        let mut found = faults("AgentFields", agent);
        found.sort();
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        let wanted = [
            "autonomous_silence_handling",
            "llm_config.provider",
            "llm_config.tools[0].function",
            "max_duration_seconds",
            "name",
            "nme",
            "voice_settings.speed",
            "voice_settings.tone",
        ];
        assert_eq!(fields, wanted, "{found:?}");
        for (field, message) in [
            ("autonomous_silence_handling", "must be true or false"),
            ("llm_config.tools[0].function", "must be an object"),
            ("max_duration_seconds", "must be a whole number"),
            ("name", "is required"),
            ("nme", "is not a known field"),
            ("voice_settings.speed", "must be at most 2"),
        ] {
            assert!(found.contains(&fault(field, message)), "{field}: {found:?}");
        }
        let provider = found.iter().find(|(field, _)| field == "llm_config.provider").unwrap();
        assert!(provider.1.starts_with("must be one of openai, anthropic"), "{provider:?}");
    }
}
