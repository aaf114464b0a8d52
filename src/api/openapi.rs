//! The API described by its handlers' own types (OpenAPI 3.1), for both mounts: the same operations, with
//! the envelope under `/api/v1` and bare under `/v1`.

use super::auth_header::COOKIE;
use super::schema_forms::{bring_into_form, nullable, one_line};
use super::{constraints, examples, idempotency, webhook_descriptions};
use crate::domain::agent::ALIASES;
use crate::domain::batch::BatchStatus;
use crate::domain::call::{CallStatus, Direction};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::end_reason::EndReason;
use crate::domain::task::TaskStatus;
use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::OpenApi;

/// Bodies of creates whose patches are the same with nothing required and `null` to clear.
const PATCHED: [&str; 5] = ["AgentFields", "TaskFields", "PhoneNumberFields", "TrunkFields", "AlertRuleFields"];
const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// Closed lists whose types say only their names.
const NAMED_LISTS: [(&str, &str); 3] = [
    ("EndReason", "Why a call ended."),
    ("KeyScope", "What an API key that is not for everything may do."),
    ("Role", "What a person may do in an organization."),
];

/// Groups of operations.
const TAGS: [(&str, &str); 22] = [
    ("agents", "How calls are answered and how the conversation goes."),
    ("tasks", "Outbound calls, at once or at a time of their own."),
    ("batches", "Tasks that are started, paused and repeated together."),
    ("calls", "Calls with their transcripts, reports, recordings and SIP messages."),
    ("web-calls", "Calls from browsers (WHIP, RFC 9725)."),
    ("phone-numbers", "Numbers that come in, and who answers them."),
    ("trunks", "Carriers and PBXs that calls come from and go to."),
    ("do-not-call", "Numbers that are never called."),
    ("providers", "Services for STT, LLM and TTS."),
    ("webhook-deliveries", "Webhooks that were or are to be sent."),
    ("usage", "What was used, by day."),
    ("analytics", "Sums of calls by day, agent, provider and reason of the end."),
    ("alert-rules", "Rules that watch calls, trunks and cost, and tell by mail or webhook."),
    ("auth", "Sessions of people."),
    ("api-keys", "Keys of programs."),
    ("users", "The people of the organization."),
    ("organizations", "The organization and those below it."),
    ("secrets", "Stored keys of providers."),
    ("audit-log", "What people changed."),
    ("doctor", "What is wrong with what the organization has set up, and what to do."),
    ("health", "Whether the server works."),
    ("webhooks", "What the server sends to yours."),
];

/// `GET /docs`: a page that shows it.
pub(super) const PAGE: &str = include_str!("docs.html");
pub(super) const PAGE_STYLE: &str = include_str!("docs.css");
pub(super) const PAGE_SCRIPT: &str = include_str!("docs.js");

/// Types that only queries use.
fn queried(schemas: &mut Value) {
    for (name, schema) in [
        ("TaskStatus", TaskStatus::schema()),
        ("BatchStatus", BatchStatus::schema()),
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
        "tags": TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "webhooks": webhook_descriptions::webhooks(),
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
    webhook_descriptions::add_schemas(&mut schemas);
    two_names(&mut schemas["AgentFields"]);
    // A task has an agent in addition to its own fields.
    schemas["TaskFields"]["properties"]["agent_id"] =
        json!({"type": "string", "format": "uuid", "description": "The agent that calls; one of the organization's."});
    schemas["TaskFields"]["properties"]["batch_id"] = json!({"type": ["string", "null"], "format": "uuid", "description": "The batch it comes into; stays as it is once the task is created."});
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
    refusals(&mut schemas);
    for (name, description) in NAMED_LISTS {
        schemas[name]["description"] = json!(description);
    }
    bring_into_form(&mut schemas);
    webhook_descriptions::complete_assistant(&mut schemas);
    schemas
}

/// The envelope's parts and the body of a refusal on either mount.
fn refusals(schemas: &mut Value) {
    let id = "Identifies the request in the server's log; the header `X-Request-Id` of the request, if it was a UUID.";
    schemas["Meta"] = json!({"type": "object", "description": "About the answer itself.",
        "required": ["timestamp", "request_id"], "properties": {
            "timestamp": {"type": "string", "format": "date-time", "description": "When it was answered (RFC 3339, UTC)."},
            "request_id": {"type": "string", "format": "uuid", "description": id}}});
    schemas["FieldFault"] = json!({"type": "object", "description": "A field that is wrong.",
        "required": ["field", "message"], "properties": {
            "field": {"type": "string", "description": "Path of the field, such as `llm_config.tools[0].url`."},
            "message": {"type": "string", "description": "What is wrong with it."}}});
    schemas["Details"] = json!({"type": "object", "required": ["code"],
        "description": "Why a request was refused, for programs. Some codes come with further fields.", "properties": {
            "code": {"type": "string", "description": "The reason, such as `invalid_field`, `not_found` or `rate_limited`."},
            "field": {"type": "string", "description": "The first field that is wrong."},
            "faults": {"type": "array", "items": {"$ref": "#/components/schemas/FieldFault"},
                "description": "Every field that is wrong, 50 at most; with the code `invalid_field`."},
            "retry_after_seconds": {"type": "integer", "minimum": 0, "description": "Seconds to wait before the next attempt."},
            "limit": {"type": "string", "description": "The limit that was reached; with the code `quota_exceeded`."}}});
    let error = json!({"type": "string", "description": "What is wrong, in a sentence."});
    let details = json!({"$ref": "#/components/schemas/Details", "description": "The same for programs."});
    schemas["Refusal"] = json!({"type": "object", "description": "A refusal under /v1.",
        "required": ["error", "details"], "properties": {"error": error, "details": details}});
    schemas["RefusalEnvelope"] = json!({"type": "object", "description": "A refusal under /api/v1.",
        "required": ["success", "error", "details", "meta"], "properties": {
            "success": {"const": false, "description": "Always false."}, "error": error, "details": details,
            "meta": {"$ref": "#/components/schemas/Meta", "description": "About the answer itself."}}});
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
            *property = nullable(property.take());
        }
    }
}

fn describe(operation: &mut Value, method: &str, path: &str, enveloped: bool) {
    let tag = operation["tags"][0].as_str().unwrap_or("").replace('-', "_");
    let name = operation["operationId"].as_str().unwrap_or(method).to_owned();
    operation["operationId"] = json!(format!("{tag}_{name}{}", if enveloped { "" } else { "_bare" }));
    explain(operation);
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
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(schema) = response.pointer_mut("/content/audio~1wav/schema") {
            *schema = json!({"type": "string", "format": "binary"});
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
        responses.insert("401".into(), refused("No API key, or one that is not valid."));
        responses.insert("default".into(), refused("Refused; details.code says why, details.field where."));
        if path.contains('{') {
            responses.insert("404".into(), refused("There is none, or it is another organization's."));
        }
    }
}

/// The summary is the first sentence of what the handler says about itself, the description all of it.
fn explain(operation: &mut Value) {
    let said = ["summary", "description"].map(|name| operation[name].as_str().unwrap_or_default().to_owned());
    let whole = one_line(&said.join("\n\n"));
    let whole = whole.trim();
    operation["summary"] = json!(whole.split_inclusive(". ").next().unwrap_or(whole).trim());
    operation["description"] = json!(whole);
}

/// An error response with additional details.
fn refusal_envelope(refusal: Value) -> Value {
    json!({"allOf": [{"$ref": "#/components/schemas/RefusalEnvelope"}, refusal]})
}

fn envelope(data: Value) -> Value {
    let success = json!({"const": true, "description": "Always true."});
    let meta = json!({"$ref": "#/components/schemas/Meta", "description": "About the answer itself."});
    if data["$ref"] == json!("#/components/schemas/Deleted") {
        return json!({"type": "object", "required": ["success", "meta"], "properties": {"success": success, "meta": meta}});
    }
    let mut data = data;
    data["description"] = json!("What was asked for; the whole body under /v1.");
    json!({"type": "object", "required": ["success", "data", "meta"], "properties": {
        "success": success, "data": data, "meta": meta}})
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

    /// Properties whose shape is the customer's own.
    const ANY_JSON: [&str; 3] = ["extracted_data", "structured_data", "result"];

    /// Properties without a description, or without a shape. Rules between fields say nothing about a field.
    fn undescribed(schema: &Value, place: &str, found: &mut Vec<String>) {
        if !schema.is_object() {
            return;
        }
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            let shapes = ["type", "$ref", "anyOf", "oneOf", "allOf", "const", "enum"];
            if property["description"].as_str().is_none_or(str::is_empty) {
                found.push(place.clone());
            }
            if !ANY_JSON.contains(&name.as_str()) && !shapes.iter().any(|shape| property.get(shape).is_some()) {
                found.push(format!("{place} has no shape"));
            }
            undescribed(property, &place, found);
        }
        for inner in ["items", "additionalProperties"] {
            undescribed(&schema[inner], &format!("{place}.{inner}"), found);
        }
        if schema["properties"].is_null() {
            for choice in ["anyOf", "oneOf", "allOf"] {
                let forms = schema[choice].as_array().into_iter().flatten();
                forms.for_each(|form| undescribed(form, &format!("{place}/{choice}"), found));
            }
        }
    }

    #[test]
    fn everything_is_described() {
        let document = super::super::router::openapi_document();
        let mut found = vec![];
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            if schema["description"].as_str().is_none_or(str::is_empty) {
                found.push(name.clone());
            }
            undescribed(schema, name, &mut found);
        }
        let all =
            document["paths"].as_object().unwrap().values().chain(document["webhooks"].as_object().unwrap().values());
        for operation in all.flat_map(|item| item.as_object().unwrap().values()) {
            let id = operation["operationId"].as_str().unwrap();
            for said in ["summary", "description"] {
                let text = operation[said].as_str().unwrap_or_default();
                if text.is_empty() || (said == "summary" && text.contains('\n')) {
                    found.push(format!("{id}: {said}"));
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if parameter["description"].as_str().is_none_or(str::is_empty) {
                    found.push(format!("{id}: {}", parameter["name"]));
                }
            }
            for (status, response) in operation["responses"].as_object().unwrap() {
                undescribed(&response["content"]["application/json"]["schema"], &format!("{id}: {status}"), &mut found);
            }
        }
        assert!(found.is_empty(), "{found:#?}");
    }

    /// `agents_create` becomes `client.agents.create`: the group, and one or a few words of it.
    #[test]
    fn operations_have_names_for_methods() {
        let document = super::super::router::openapi_document();
        for operation in
            document["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values())
        {
            let (id, tag) = (operation["operationId"].as_str().unwrap(), operation["tags"][0].as_str().unwrap());
            assert!(TAGS.iter().any(|(known, _)| *known == tag), "{tag}");
            let name = id.strip_prefix(&tag.replace('-', "_")).and_then(|rest| rest.strip_prefix('_'));
            let name = name.map(|name| name.strip_suffix("_bare").unwrap_or(name)).unwrap_or_default();
            let is_plain = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(name.split('_').all(is_plain) && name.split('_').count() <= 3, "{id}");
        }
    }
}
