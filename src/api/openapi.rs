//! The API described by its handlers' own types (OpenAPI 3.1), for both mounts: the same operations, with
//! the envelope under `/api/v1` and bare under `/v1`.

use super::auth_header::COOKIE;
use super::{constraints, examples, idempotency};
use crate::domain::agent::ALIASES;
use crate::domain::call::{CallStatus, Direction};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::task::TaskStatus;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;

/// Bodies of creates whose patches are the same with nothing required and `null` to clear.
const PATCHED: [&str; 4] = ["AgentFields", "TaskFields", "PhoneNumberFields", "TrunkFields"];
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// `GET /docs`: a page that shows it.
pub(super) const PAGE: &str = include_str!("docs.html");
pub(super) const PAGE_STYLE: &str = include_str!("docs.css");
pub(super) const PAGE_SCRIPT: &str = include_str!("docs.js");

/// Types that only queries use.
fn queried(schemas: &mut Value) {
    for (name, schema) in [
        ("TaskStatus", TaskStatus::schema()),
        ("DeliveryStatus", DeliveryStatus::schema()),
        ("CallStatus", CallStatus::schema()),
        ("Direction", Direction::schema()),
        ("EndReason", EndReason::schema()),
    ] {
        schemas[name] = serde_json::to_value(schema).unwrap_or_default();
    }
}

/// The whole document, from what the mounted handlers say.
pub(super) fn document(described: OpenApi) -> Value {
    let mut described = serde_json::to_value(described).unwrap_or_default();
    let operations = described["paths"].take();
    let schemas = completed(described["components"]["schemas"].take());
    let mut paths = Map::new();
    for (prefix, enveloped) in [("/api/v1", true), ("/v1", false)] {
        for (path, item) in operations.as_object().into_iter().flatten() {
            let mut item = item.clone();
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    describe(operation, method, path, enveloped);
                    examples::add(operation, &schemas);
                }
            }
            paths.insert(format!("{prefix}{path}"), item);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Trunkline",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Telephony media server for AI voice agents. Every operation exists twice: under /api/v1 in an envelope, under /v1 bare; the bare body is what the envelope carries in data.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key: va_…"},
                "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "Set by POST /auth/login."},
            },
            "schemas": schemas,
        },
    })
}

/// The schemas with what their types cannot say, and those of patches and answers.
fn completed(mut schemas: Value) -> Value {
    queried(&mut schemas);
    two_names(&mut schemas["AgentFields"]);
    // A task has an agent in addition to its own fields.
    schemas["TaskFields"]["properties"]["agent_id"] = json!({"type": "string", "format": "uuid"});
    require(&mut schemas["TaskFields"], "agent_id");
    constraints::add(&mut schemas);
    for name in PATCHED {
        clearable(&mut schemas[name]);
        schemas[format!("{name}Patch")] = schemas[name].clone();
        if let Some(patch) = schemas[format!("{name}Patch")].as_object_mut() {
            patch.remove("required");
        }
    }
    // Both names with the same text are fine, which a schema cannot say.
    if let Some(rules) = schemas["AgentFieldsPatch"]["allOf"].as_array_mut() {
        rules.remove(0);
        // A new secret with an end for the stored one: that one becomes the one before.
        rules.pop();
    }
    if let Some(fields) = schemas["PhoneNumberFieldsPatch"].as_object_mut() {
        fields.remove("allOf");
    }
    // The number itself stays.
    if let Some(fields) = schemas["PhoneNumberFieldsPatch"]["properties"].as_object_mut() {
        fields.remove("number");
    }
    schemas["Meta"] = json!({"type": "object", "required": ["timestamp", "request_id"], "properties": {
        "timestamp": {"type": "string", "format": "date-time"}, "request_id": {"type": "string", "format": "uuid"}}});
    schemas["Details"] = json!({"type": "object", "required": ["code"], "properties": {
        "code": {"type": "string"}, "field": {"type": "string"}}});
    schemas["Refusal"] = json!({"type": "object", "required": ["error", "details"], "properties": {
        "error": {"type": "string"}, "details": {"$ref": "#/components/schemas/Details"}}});
    schemas["RefusalEnvelope"] = json!({"type": "object", "required": ["success", "error", "details", "meta"], "properties": {
        "success": {"const": false}, "error": {"type": "string"},
        "details": {"$ref": "#/components/schemas/Details"}, "meta": {"$ref": "#/components/schemas/Meta"}}});
    schemas
}

/// Input takes either name of a field that has two.
fn two_names(schema: &mut Value) {
    for (canonical, alias) in ALIASES {
        schema["properties"][alias] = schema["properties"][canonical].clone();
        schema["properties"][alias]["description"] = json!(format!("The same as {canonical}."));
    }
}

fn require(schema: &mut Value, field: &str) {
    match schema["required"].as_array_mut() {
        Some(required) => required.push(json!(field)),
        None => schema["required"] = json!([field]),
    }
}

/// `null` is accepted where a field is optional, and clears it in a patch; required fields stay required.
fn clearable(schema: &mut Value) {
    let required = schema["required"].clone();
    let needed = |name: &str| required.as_array().is_some_and(|all| all.iter().any(|one| one == name));
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if !needed(name) {
            *property = json!({"anyOf": [property.take(), {"type": "null"}]});
        }
    }
}

fn describe(operation: &mut Value, method: &str, path: &str, enveloped: bool) {
    let tag = operation["tags"][0].as_str().unwrap_or("").replace('-', "_");
    let name = operation["operationId"].as_str().unwrap_or(method).to_owned();
    operation["operationId"] = json!(format!("{tag}_{name}{}", if enveloped { "" } else { "_bare" }));
    if method == "patch" && operation["requestBody"]["content"]["application/json"].is_object() {
        let schema = &mut operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str().and_then(|reference| reference.rsplit('/').next()).unwrap_or_default();
        if PATCHED.contains(&name) {
            *schema = json!(format!("{}Patch", schema.as_str().unwrap_or("")));
        }
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!(match status.as_str() {
                "201" => "Created.",
                "206" => "The part that was asked for.",
                "503" => "Does not work; the body says what.",
                _ => "Done.",
            });
        }
    }
    if path.starts_with("/health") {
        return;
    }
    if idempotency::applies(method, path) {
        let key = json!({"name": "Idempotency-Key", "in": "header", "required": false,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "A name for this request, such as a UUID: a repeated request gets the first answer again for a day, with Idempotency-Replayed: true. 422 if the key was used for another request, 409 while the first one is being answered."});
        match operation["parameters"].as_array_mut() {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
    if let Value::Object(responses) = &mut operation["responses"] {
        for (status, response) in responses.iter_mut() {
            let schema = response.pointer_mut("/content/application~1json/schema");
            if let (Some(schema), true) = (schema, enveloped) {
                *schema =
                    if status.starts_with('4') { refusal_envelope(schema.take()) } else { envelope(schema.take()) };
            }
        }
        let refusal = if enveloped { "RefusalEnvelope" } else { "Refusal" };
        let refused = |why: &str| {
            json!({"description": why, "content": {"application/json": {
                "schema": {"$ref": format!("#/components/schemas/{refusal}")}}}})
        };
        responses.insert("401".into(), refused("Missing or invalid API key."));
        responses.insert("default".into(), refused("Refused; details.code says why, details.field where."));
        if path.contains('{') {
            responses.insert("404".into(), refused("There is none, or it is another organization's."));
        }
    }
}

/// An error response with additional details.
fn refusal_envelope(refusal: Value) -> Value {
    json!({"allOf": [{"$ref": "#/components/schemas/RefusalEnvelope"}, refusal]})
}

fn envelope(data: Value) -> Value {
    let meta = json!({"$ref": "#/components/schemas/Meta"});
    if data["$ref"] == json!("#/components/schemas/Deleted") {
        return json!({"type": "object", "required": ["success", "meta"], "properties": {
            "success": {"const": true}, "meta": meta}});
    }
    json!({"type": "object", "required": ["success", "data", "meta"], "properties": {
        "success": {"const": true}, "data": data, "meta": meta}})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of a value.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_is_there_twice() {
        let document = super::super::router::openapi_document();
        let mut found = vec![];
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        }
        let paths = document["paths"].as_object().unwrap();
        let mut names = std::collections::HashSet::new();
        for (path, item) in paths {
            let twin = path.strip_prefix("/api").map_or_else(|| format!("/api{path}"), str::to_owned);
            assert!(paths.contains_key(&twin), "{path} has no twin");
            for operation in item.as_object().unwrap().values() {
                assert!(names.insert(operation["operationId"].clone()), "{} is there twice", operation["operationId"]);
                assert!(
                    operation["description"].is_string() || operation["summary"].is_string(),
                    "{path} says nothing"
                );
            }
        }
    }
}
