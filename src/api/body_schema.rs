//! Validates a body against the schema of its type. Deserializing is not enough: serde also reads a struct from an
//! array and an enum from an object.

use super::text_limits;
use crate::domain::{FAULTS_MAX, FieldError};
use dashmap::DashMap;
use serde_json::{Map, Value, json};
use std::sync::{Arc, LazyLock};
use trunkline_json::schema::TrustedSchema;
use utoipa::ToSchema;

/// Characters of a field's path that an answer repeats: names of unknown fields are as long as the client likes.
const FIELD_CHARS_MAX: usize = 200;

/// Schemas by the names of their types, compiled on first use; there are about a dozen.
static SCHEMAS: LazyLock<DashMap<String, Arc<BodySchema>>> = LazyLock::new(DashMap::new);

/// The schema of a body, with all that it refers to.
#[derive(Debug)]
pub(super) struct BodySchema {
    name: String,
    /// Of the type and those that it uses, by name.
    types: Map<String, Value>,
    compiled: Option<TrustedSchema>,
}

impl BodySchema {
    /// The schema of a type, as the OpenAPI document has it.
    pub(super) fn of<T: ToSchema>() -> Arc<Self> {
        let name = T::name().into_owned();
        if let Some(known) = SCHEMAS.get(&name) {
            return known.clone();
        }
        let mut collected = vec![(name.clone(), T::schema())];
        T::schemas(&mut collected);
        let types = collected.into_iter().map(|(name, schema)| {
            let mut schema = serde_json::to_value(schema).unwrap_or_default();
            simplify(&mut schema);
            (name, schema)
        });
        let types: Map<String, Value> = types.collect();
        let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": types}});
        let built = Arc::new(Self { compiled: TrustedSchema::compile(&schema), types, name: name.clone() });
        SCHEMAS.insert(name, built.clone());
        built
    }

    /// Says how an object violates its schema: every fault, [`FAULTS_MAX`] at most.
    pub(super) fn check(&self, object: &Map<String, Value>) -> Vec<FieldError> {
        let Some(validator) = &self.compiled else { return Vec::new() };
        let faults = validator.faults(&without_null(&Value::Object(object.clone())), FAULTS_MAX);
        faults.into_iter().map(|fault| FieldError::new(field_path(&fault.place), fault.message)).collect()
    }

    /// A body that follows its schema, with as much of `object` as does so already. What violates the schema is taken
    /// out, and an example stands for what is required: the rules beyond the schema can be checked on the rest.
    pub(super) fn repaired(&self, object: &Map<String, Value>) -> Option<Value> {
        let validator = self.compiled.as_ref()?;
        let mut value = without_null(&Value::Object(object.clone()));
        for _ in 0..REPAIRS_MAX {
            let faults = validator.faults(&value, FAULTS_MAX);
            if faults.is_empty() {
                return Some(value);
            }
            for fault in faults {
                self.repair(&mut value, &fault.place);
            }
        }
        None
    }

    /// Takes out the member that a JSON pointer names; an example takes the place of an entry, and of what is missing.
    fn repair(&self, value: &mut Value, pointer: &str) {
        let Some((parent, name)) = pointer.rsplit_once('/') else { return };
        let name = name.replace("~1", "/").replace("~0", "~");
        let example = || self.schema_of(pointer).and_then(|schema| self.example(schema, EXAMPLE_DEPTH_MAX));
        match value.pointer_mut(parent) {
            Some(Value::Object(fields)) => {
                let removed = fields.remove(&name);
                if removed.is_none() {
                    fields.extend(example().map(|example| (name, example)));
                }
            }
            Some(Value::Array(items)) => {
                let item = name.parse().ok().and_then(|index: usize| items.get_mut(index));
                if let (Some(item), Some(example)) = (item, example()) {
                    *item = example;
                }
            }
            _ => {}
        }
    }

    /// The schema itself, or the one it refers to. Only one form is followed where there is a choice.
    fn resolved<'a>(&'a self, mut schema: &'a Value) -> Option<&'a Value> {
        for _ in 0..EXAMPLE_DEPTH_MAX {
            let forms = ["allOf", "oneOf", "anyOf"].iter().find_map(|choice| schema.get(choice)?.get(0));
            match (schema.get("$ref").and_then(Value::as_str), forms) {
                (Some(reference), _) => schema = self.types.get(reference.rsplit('/').next()?)?,
                (None, Some(form)) => schema = form,
                (None, None) => return Some(schema),
            }
        }
        None
    }

    /// The schema of what a JSON pointer names.
    fn schema_of(&self, pointer: &str) -> Option<&Value> {
        pointer.split('/').skip(1).try_fold(self.types.get(&self.name)?, |schema, part| {
            let schema = self.resolved(schema)?;
            let name = part.replace("~1", "/").replace("~0", "~");
            schema.get("properties").and_then(|fields| fields.get(&name)).or_else(|| schema.get("items"))
        })
    }

    /// A small value that follows the schema, mostly.
    fn example(&self, schema: &Value, depth: usize) -> Option<Value> {
        let schema = self.resolved(schema)?;
        if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
            return Some(first.clone());
        }
        let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind));
        match kind.and_then(Value::as_str)? {
            "string" => Some(Value::from("x")),
            "boolean" => Some(Value::Bool(false)),
            "array" => Some(json!([])),
            "integer" | "number" => Some(schema.get("minimum").cloned().unwrap_or(json!(1))),
            "object" => {
                let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
                let fields = names.filter_map(Value::as_str).map(|name| {
                    let depth = depth.checked_sub(1)?;
                    Some((name.to_owned(), self.example(schema.get("properties")?.get(name)?, depth)?))
                });
                fields.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            _ => None,
        }
    }
}

/// Rounds of repairing a body: what is filled in for a missing object may itself be incomplete.
const REPAIRS_MAX: usize = 4;
/// How deep an example follows the schemas it refers to.
const EXAMPLE_DEPTH_MAX: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentFields;
    use crate::domain::trunk::TrunkFields;

    #[test]
    fn a_repaired_body_keeps_what_is_right() {
        let agent = json!({"nme": 1, "voice_settings": {"speed": 9, "stability": 0.5}, "webhook_url": "nowhere",
            "llm_config": {"model": "m", "tools": [1, {"type": "function", "function": 1}]}});
        let repaired = BodySchema::of::<AgentFields>().repaired(agent.as_object().unwrap()).unwrap();
        assert_eq!(repaired["voice_settings"], json!({"stability": 0.5}));
        assert_eq!(repaired["webhook_url"], "nowhere");
        assert_eq!(repaired["llm_config"]["model"], "m");
        assert!(repaired["name"].is_string() && repaired.get("nme").is_none(), "{repaired}");
    }

    fn faults<T: ToSchema>(object: Value) -> Vec<(String, String)> {
        let faults = BodySchema::of::<T>().check(object.as_object().unwrap());
        faults.into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    fn fault(field: &str, message: &str) -> (String, String) {
        (field.to_owned(), message.to_owned())
    }

    #[test]
    fn arrays_are_no_objects_and_objects_no_names() {
        let agent =
            |voice_settings: Value| faults::<AgentFields>(json!({"name": "A", "voice_settings": voice_settings}));
        assert_eq!(agent(json!({"stability": 0.5, "speed": null})), []);
        assert_eq!(agent(json!([null, null])), [fault("voice_settings", "must be an object")]);
        let transport = faults::<TrunkFields>(json!({"name": "T", "transport": {"udp": null}}));
        assert!(transport.iter().any(|(field, _)| field == "transport"), "{transport:?}");
    }

    #[test]
    fn names_from_outside_are_shown_and_bounded() {
        let long = "é".repeat(100_000);
        let found = faults::<AgentFields>(json!({"name": "A", "": 1, "a/b~c": 1, long.as_str(): 1}));
        let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
        assert!(fields.contains(&"\"\"") && fields.contains(&"a/b~c"), "{fields:?}");
        assert!(fields.iter().all(|field| field.chars().count() <= FIELD_CHARS_MAX + 1));
        let many: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), Value::Null)).collect();
        assert_eq!(faults::<AgentFields>(Value::Object(many)), [fault("name", "is required")], "null is not set");
        let many: Map<String, Value> = (0..1_000).map(|n| (format!("x{n}"), json!(1))).collect();
        assert_eq!(faults::<AgentFields>(Value::Object(many)).len(), FAULTS_MAX);
    }

    #[test]
    fn every_fault_is_said_in_plain_words() {
        let agent = json!({"nme": "A", "max_duration_seconds": "long",
            "autonomous_silence_handling": "yes",
            "voice_settings": {"speed": 9, "tone": 1}, "metadata": {"anything": null},
            "llm_config": {"provider": "acme", "model": "m", "tools": [{"type": "function", "function": 1}]}});
        let mut found = faults::<AgentFields>(agent);
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
