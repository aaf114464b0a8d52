//! Examples of the API's document: requests by hand, answers made from their schemas.

use serde_json::{Map, Value, json};

/// Maximum depth to which an example follows its schemas.
const DEPTH_MAX: usize = 32;

/// A request of each body.
fn request(schema: &str) -> Option<Value> {
    let agent = "17a0cb75-fa09-4bdd-9a44-92a70d829c88";
    Some(match schema {
        "AgentFields" => json!({
            "name": "Customer Support Agent", "business_name": "Acme Corp", "first_message": "Welcome to Acme. How can I help you?",
            "system_prompt": "You are a helpful customer service agent of Acme.", "max_duration_seconds": 600,
            "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en", "keyterms": ["Acme"]},
            "llm_config": {"provider": "openai", "model": "gpt-4o-mini", "temperature": 0.7},
            "tts_config": {"provider": "elevenlabs", "voice_id": "EXAVITQu4vr4xnSDxMaL", "language": "en"},
        }),
        "AgentFieldsPatch" => {
            json!({"first_message": "Good afternoon, Acme support.", "is_active": false, "voicemail_message": null})
        }
        "TaskFields" => json!({
            "agent_id": agent, "name": "Call customer", "to_number": "+31201234567", "description": "Follow up call",
            "context_data": {"customer_name": "John Doe", "order_id": "12345"}, "priority": 0,
            "scheduled_at": "2026-03-27T12:00:00Z", "webhook_url": "https://your-app.example.com/webhooks",
            "webhook_events": ["call_started", "call_completed"],
            "retry_policy": {"max_attempts": 3, "delay_seconds": 900, "on": ["busy", "no_answer"]},
            "calling_windows": [{"time_zone": "Europe/Amsterdam", "days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "18:00"}],
        }),
        "TaskFieldsPatch" => json!({"priority": 5, "scheduled_at": null}),
        "PhoneNumberFields" => json!({"number": "+31201234567", "agent_id": agent, "name": "Main line"}),
        "PhoneNumberFieldsPatch" => json!({"agent_id": null, "webhook_url": "https://your-app.example.com/numbers"}),
        "TrunkFields" => {
            json!({"name": "Carrier", "host": "sip.carrier.example", "username": "acme", "password": "a password",
            "allowed_addresses": ["203.0.113.0/24"], "max_concurrent_calls": 30})
        }
        "TrunkFieldsPatch" => json!({"calls_per_second": 5.0}),
        "Login" => json!({"email": "owner@example.com", "password": "a long password"}),
        "PasswordChange" => json!({"current_password": "a long password", "new_password": "another long password"}),
        "Invite" => json!({"email": "colleague@example.com", "role": "member"}),
        "Acceptance" => {
            json!({"token": "the token of the invitation", "name": "A Colleague", "password": "a long password"})
        }
        "RoleChange" => json!({"role": "admin"}),
        "ApiKeyFields" => json!({"name": "CRM", "scopes": ["calls:read"], "expires_at": "2027-03-27T12:00:00Z"}),
        "OrganizationFields" => {
            json!({"name": "Customer of a reseller", "parent_org_id": agent, "owner_email": "boss@example.com"})
        }
        "OrganizationPatch" => json!({"name": "Acme Corp", "max_concurrent_calls": 50}),
        "WebCallFields" => {
            json!({"agent_id": agent, "caller": "Jane of example.com", "context_data": {"customer_name": "Jane Doe"}})
        }
        "BatchFields" => json!({"name": "Reminders of March", "start": false}),
        "DoNotCallFields" => json!({"numbers": ["+31201234567"], "reason": "Asked on the phone"}),
        "SayCommand" => json!({"text": "Your parcel has arrived.", "interrupt": false}),
        "InstructCommand" => json!({"text": "Offer the caller a discount of ten percent."}),
        "TransferCommand" => json!({"to": "+31201234567"}),
        "SecretFields" => json!({"name": "Our account", "provider": "openai", "value": "sk-your-key"}),
        _ => return request_beside_calls(schema),
    })
}

/// A request of a body that is not about agents, calls or accounts.
fn request_beside_calls(schema: &str) -> Option<Value> {
    Some(match schema {
        "AlertRuleFields" => json!({
            "name": "Failures at night", "condition": "failure_rate", "threshold": 20.0, "window_minutes": 60,
            "calls_min": 20, "cool_down_minutes": 60, "channel": "webhook",
            "webhook_url": "https://your-app.example.com/alerts", "webhook_secret": "a secret of your own",
        }),
        "AlertRuleFieldsPatch" => json!({"threshold": 30.0, "is_active": false}),
        "CallShareFields" => json!({"expires_in_hours": 24, "recording": true}),
        "PasswordForgotten" => json!({"email": "owner@example.com"}),
        "NewPassword" => json!({"token": "the last part of the link", "password": "a long password"}),
        "MessageCommand" => json!({"text": "Where is my order?"}),
        "SpeechFields" => json!({
            "tts_config": {"provider": "elevenlabs", "voice_id": "EXAVITQu4vr4xnSDxMaL", "language": "en"},
            "text": "Good morning, how can I help you?",
        }),
        "ToolTestFields" => json!({
            "tool": {"url": "https://your-app.example.com/orders", "function": {"name": "find_order"}},
            "arguments": {"number": "1234"},
        }),
        "ListenFields" => json!({"sdp": "v=0\r\n…"}),
        _ => return None,
    })
}

/// Gives an operation its examples.
pub(super) fn add(operation: &mut Value, schemas: &Value) {
    if let Some(content) = operation.pointer_mut("/requestBody/content/application~1json") {
        let name = content["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        if let Some(example) = name.and_then(request) {
            content["example"] = example;
        }
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if let Some(content) = response.pointer_mut("/content/application~1json")
            && status.starts_with('2')
        {
            content["example"] = of(&content["schema"], schemas, DEPTH_MAX);
        }
    }
}

/// A value that fits a schema, as it might be.
fn of(schema: &Value, schemas: &Value, depth: usize) -> Value {
    for given in ["example", "const"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if depth == 0 {
        return Value::Null;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return of(&schemas[name], schemas, depth - 1);
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if schema["type"] == json!("object") {
        return plain(schema, schemas, depth);
    }
    for kind in ["oneOf", "anyOf"] {
        if let Some(all) = schema[kind].as_array() {
            let real = all.iter().find(|one| one["type"] != json!("null")).unwrap_or(&Value::Null);
            return of(real, schemas, depth - 1);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for one in all {
            if let Value::Object(part) = of(one, schemas, depth - 1) {
                whole.extend(part);
            }
        }
        return Value::Object(whole);
    }
    plain(schema, schemas, depth)
}

fn plain(schema: &Value, schemas: &Value, depth: usize) -> Value {
    let kinds = &schema["type"];
    let optional = kinds.as_array().is_some_and(|all| all.contains(&json!("null")));
    let kind = kinds.as_str().or_else(|| kinds[0].as_str()).unwrap_or("null");
    match (kind, schema["format"].as_str()) {
        ("string", Some("uuid")) => json!("17a0cb75-fa09-4bdd-9a44-92a70d829c88"),
        ("string", Some("date-time")) => json!("2026-03-27T12:00:00.000Z"),
        ("string", Some("date")) => json!("2026-03-27"),
        ("string", Some("email")) => json!("owner@example.com"),
        ("string", Some("uri")) => json!("https://your-app.example.com/webhooks"),
        ("string", _) if optional => Value::Null,
        ("string", _) => json!("text"),
        ("integer" | "number", _) => schema.get("minimum").cloned().unwrap_or(json!(1)),
        ("boolean", _) => json!(true),
        ("array", _) => json!([of(&schema["items"], schemas, depth - 1)]),
        ("object", _) => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            Value::Object(fields.map(|(name, field)| (name.clone(), of(field, schemas, depth - 1))).collect())
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use crate::api::openapi_document as document;
    use serde_json::{Value, json};

    #[test]
    fn every_example_fits_its_schema() {
        let document = document();
        let mut checked = 0;
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let bodies = operation["responses"].as_object().unwrap().values().chain([&operation["requestBody"]]);
                for content in bodies.filter_map(|body| body.pointer("/content/application~1json")) {
                    let Some(example) = content.get("example") else { continue };
                    let mut schema = content["schema"].clone();
                    schema["components"] = document["components"].clone();
                    let schema = trunkline_json::schema::TrustedSchema::compile(&schema).unwrap();
                    let checked_example = schema.check_value(example);
                    assert!(checked_example.is_ok(), "{}: {checked_example:?}\n{example}", operation["operationId"]);
                    checked += 1;
                }
                let body = operation.pointer("/requestBody/content/application~1json");
                assert!(
                    body.is_none_or(|body| body.get("example").is_some_and(|e| *e != json!(null))),
                    "{}",
                    operation["operationId"]
                );
                let _: &Value = operation;
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
