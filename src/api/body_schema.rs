//! Validates a body against the schema of its type. Deserializing is not enough: serde also reads a struct from an
//! array and an enum from an object.

use super::error::ApiError;
use super::router;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use trunkline_json::schema::TrustedSchema;

/// The types of the document.
static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let mut described = serde_json::to_value(router::mount().into_openapi()).unwrap_or_default();
    let mut schemas = described["components"]["schemas"].take();
    types_only(&mut schemas);
    schemas
});

/// Compiled on first use; there are about a dozen.
static SHAPES: LazyLock<Mutex<HashMap<String, Arc<TrustedSchema>>>> = LazyLock::new(Mutex::default);

fn body_schema(name: &str) -> Option<Arc<TrustedSchema>> {
    let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = shapes.get(name) {
        return Some(known.clone());
    }
    let mut used = Map::new();
    collect(name, &mut used);
    let schema = json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": used}});
    let built = Arc::new(TrustedSchema::compile(&schema)?);
    shapes.insert(name.to_owned(), built.clone());
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

/// Ranges and patterns are left to the domain types, which give better messages.
fn types_only(schema: &mut Value) {
    const NOT_TYPES: [&str; 8] =
        ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format"];
    match schema {
        Value::Object(fields) => {
            // A property may have such a name; what it holds is an object then.
            fields.retain(|name, value| value.is_object() || !NOT_TYPES.contains(&name.as_str()));
            fields.values_mut().for_each(types_only);
        }
        Value::Array(items) => items.iter_mut().for_each(types_only),
        _ => {}
    }
}

/// Refuses an object that has not the shape of its schema, by the path of the first fault.
pub(super) fn check(schema: &str, object: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(validator) = body_schema(schema) else { return Ok(()) };
    // Fields that are not set are as good as not there.
    let object: Map<String, Value> = object
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let value = Value::Object(object);
    let Err(fault) = validator.check_value(&value) else { return Ok(()) };
    let mut field = String::new();
    for part in fault.place.split('/').filter(|part| !part.is_empty()) {
        match part.parse::<usize>() {
            Ok(index) => field.push_str(&format!("[{index}]")),
            Err(_) if field.is_empty() => field.push_str(part),
            Err(_) => field.push_str(&format!(".{part}")),
        }
    }
    Err(ApiError::field(if field.is_empty() { "body" } else { &field }, fault.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_no_objects_and_objects_no_names() {
        let agent = |more: Value| {
            let mut object = json!({"name": "A"}).as_object().unwrap().clone();
            object.extend(more.as_object().unwrap().clone());
            check("AgentFields", &object).map_err(|error| error.details["field"].as_str().unwrap().to_owned())
        };
        assert_eq!(agent(json!({"voice_settings": {"stability": 0.5}, "description": null})), Ok(()));
        assert_eq!(agent(json!({"voice_settings": [null, null]})), Err("voice_settings".into()));
        let trunk = json!({"name": "T", "transport": {"udp": null}});
        assert!(check("TrunkFields", trunk.as_object().unwrap()).is_err());
    }
}
