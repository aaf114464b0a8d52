//! The webhooks of the OpenAPI document: what the server sends to customers' servers, with which headers, and what they
//! may answer.

use super::schema_forms::merged;
use crate::domain::agent::{ALIASES, AgentFields};
use crate::domain::alert_message::{ALERT, AlertMessage};
use crate::webhooks::event;
use crate::webhooks::message::{
    AgentChanged, Assistant, AssistantAnswer, AssistantIgnored, AssistantRequest, CallControlled, EndOfCallReport,
    ServerMessage, StatusUpdate, TaskEvent, ToolCallsAnswer, ToolCallsMessage,
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// Fields of an agent that webhooks never show.
const SECRETS: [&str; 3] = ["webhook_secret", "previous_webhook_secret", "webhook_rotation_ends_at"];

/// A webhook, and what it is said about it.
struct Webhook {
    /// What it is called in `webhook_events` and in its body.
    event: &'static str,
    /// The schema of its body.
    message: &'static str,
    /// The schema of an answer that is read.
    answer: Option<&'static str>,
    summary: &'static str,
    description: &'static str,
}

/// Those of agents go below `webhook_url`, those of tasks to it.
const WEBHOOKS: [Webhook; 9] = [
    Webhook {
        event: event::ASSISTANT_REQUEST,
        message: "AssistantRequest",
        answer: Some("AssistantAnswer"),
        summary: "Who answers this call?",
        description: "Sent before an inbound call is answered, to `{webhook_url}/assistant-request` of the agent or of a number without an agent. The answer is waited for, five seconds at most; without one the saved agent takes the call.",
    },
    Webhook {
        event: event::TOOL_CALLS,
        message: "ToolCallsMessage",
        answer: Some("ToolCallsAnswer"),
        summary: "The LLM calls tools.",
        description: "Sent when the LLM calls a function of `llm_config.tools`, to the tool's own `url` or else to `{webhook_url}/tool-calls`. The answer is waited for: ten seconds, or the tool's `timeout_ms`.",
    },
    Webhook {
        event: event::STATUS_UPDATE,
        message: "StatusUpdate",
        answer: None,
        summary: "A call is in progress or over.",
        description: "Sent to `{webhook_url}/status-update` when the call is answered and when it ends. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: event::AGENT_CHANGED,
        message: "AgentChanged",
        answer: None,
        summary: "Another agent has the call.",
        description: "Sent to `{webhook_url}/agent-changed` of both agents. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: event::END_OF_CALL_REPORT,
        message: "EndOfCallReport",
        answer: None,
        summary: "A call is over: transcript, analysis, cost, recording.",
        description: "Sent to `{webhook_url}/end-of-call-report` once the call is over and analysed. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: "call_started",
        message: "TaskEvent",
        answer: None,
        summary: "The call of a task began.",
        description: "Sent to the task's `webhook_url`. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: "call_completed",
        message: "TaskEvent",
        answer: None,
        summary: "The call of a task was completed.",
        description: "Sent to the task's `webhook_url`. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: "call_failed",
        message: "TaskEvent",
        answer: None,
        summary: "The call of a task failed.",
        description: "Sent to the task's `webhook_url`. Repeated for a day until it is accepted.",
    },
    Webhook {
        event: ALERT,
        message: "AlertMessage",
        answer: None,
        summary: "An alert rule fires, or is resolved.",
        description: "Sent to the rule's `webhook_url`, signed with its `webhook_secret`: once when it fires, once when it is resolved. Repeated for a day until it is accepted.",
    },
];

/// Adds the schemas of messages and answers, with all that they refer to.
pub(super) fn add_schemas(schemas: &mut Value) {
    add::<ServerMessage>(schemas);
    add::<Assistant>(schemas);
    add::<AssistantRequest>(schemas);
    add::<AssistantAnswer>(schemas);
    add::<ToolCallsMessage>(schemas);
    add::<ToolCallsAnswer>(schemas);
    add::<StatusUpdate>(schemas);
    add::<AgentChanged>(schemas);
    add::<CallControlled>(schemas);
    add::<AssistantIgnored>(schemas);
    add::<EndOfCallReport>(schemas);
    add::<TaskEvent>(schemas);
    add::<AlertMessage>(schemas);
    let sent = WEBHOOKS.iter().map(|webhook| (webhook.message, webhook.event));
    // No webhook carries these; the list of a call's events has them.
    let listed = [("CallControlled", event::CALL_CONTROL), ("AssistantIgnored", event::ASSISTANT_IGNORED)];
    let all = sent.chain(listed);
    for (name, event) in all.filter(|(name, _)| *name != "TaskEvent") {
        let mut message = merged(&schemas[name], schemas);
        message["properties"]["type"] =
            json!({"type": "string", "const": event, "description": format!("Always `{event}`.")});
        schemas[name] = message;
    }
    let events: Vec<&str> = WEBHOOKS.iter().filter(|one| one.message == "TaskEvent").map(|one| one.event).collect();
    // One of them fits: `type` or `event_type` says which.
    let told = ["StatusUpdate", "AgentChanged", "CallControlled", "AssistantIgnored", "EndOfCallReport", "TaskEvent"];
    schemas["CallEvent"] = json!({
        "description": "An event of a call, as its webhook says it: `type` tells `status-update`, `agent-changed`, `call-control`, `assistant-ignored` and `end-of-call-report` apart; the events of a task have `event_type` instead.",
        "example": {
            "event_type": "call_started", "message_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88",
            "task_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88", "call_id": "17a0cb75-fa09-4bdd-9a44-92a70d829c88",
            "status": "in_progress", "data": {"transcript_excerpt": "", "report_excerpt": ""},
        },
        "oneOf": told.map(|name| json!({"$ref": format!("#/components/schemas/{name}")})),
    });
    schemas["CallEventPage"]["properties"]["events"]["items"] = json!({"$ref": "#/components/schemas/CallEvent"});
    schemas["TaskEvent"]["properties"]["event_type"]["enum"] = json!(events);
    schemas["StatusUpdate"]["properties"]["status"]["enum"] = json!(["in-progress", "ended", "ended-with-error"]);
    if let Some(schemas) = schemas.as_object_mut() {
        schemas.remove("ServerMessage");
    }
}

fn add<T: ToSchema>(schemas: &mut Value) {
    let mut found: Vec<(String, RefOr<Schema>)> = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut found);
    for (name, schema) in found {
        if schemas[&name].is_null() {
            schemas[name] = serde_json::to_value(schema).unwrap_or_default();
        }
    }
}

/// Gives the configuration in webhooks the fields of an agent; whatever the customer's server added is there too.
pub(super) fn complete_assistant(schemas: &mut Value) {
    let mut fields = schemas[&*AgentFields::name()]["properties"].clone();
    if let (Some(fields), Some(own)) = (fields.as_object_mut(), schemas["Assistant"]["properties"].as_object().cloned())
    {
        fields.retain(|name, _| !SECRETS.contains(&name.as_str()));
        fields.extend(own);
    }
    let names = ALIASES.map(|(name, alias)| format!("`{name}` is `{alias}` too")).join(", ");
    schemas["Assistant"] = json!({
        "type": "object",
        "description": format!("The configuration of an agent without its secrets: {names}. Fields without a value are left out."),
        "properties": fields,
        "additionalProperties": true,
    });
}

fn header(name: &str, required: bool, schema: Value, description: &str) -> Value {
    json!({"name": name, "in": "header", "required": required, "schema": schema, "description": description})
}

fn headers() -> Value {
    json!([
        header(
            "webhook-id",
            true,
            json!({"type": "string"}),
            "Identifies the message; the same in every attempt. Ignore what you have seen."
        ),
        header(
            "webhook-timestamp",
            true,
            json!({"type": "integer"}),
            "When this attempt was made, Unix time in seconds. Refuse what is older than five minutes."
        ),
        header(
            "webhook-signature",
            false,
            json!({"type": "string", "example": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}),
            "With a `webhook_secret`: `v1,` and the base64 of an HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`. While a secret is being changed there are two with a space between them: one of them must fit."
        ),
        header("idempotency-key", true, json!({"type": "string"}), "The same as `webhook-id`."),
    ])
}

/// The member `webhooks` of the document.
pub(super) fn webhooks() -> Value {
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let all = WEBHOOKS.iter().map(|webhook| {
        let mut taken = json!({"description": "Taken; any status from 200 to 299."});
        if let Some(answer) = webhook.answer {
            taken["content"] = json!({"application/json": {"schema": reference(answer)}});
        }
        let item = json!({"post": {
            "tags": ["webhooks"],
            "operationId": format!("webhook_{}", webhook.event.replace('-', "_")),
            "summary": webhook.summary,
            "description": webhook.description,
            "security": [],
            "parameters": headers(),
            "requestBody": {"required": true, "content": {"application/json": {"schema": reference(webhook.message)}}},
            "responses": {
                "2XX": taken,
                "default": {"description": "Refused: it is sent again, except after 404, 405, 410, 413 and 501."},
            },
        }});
        (webhook.event.to_owned(), item)
    });
    Value::Object(all.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::WEBHOOK_EVENTS as AGENT_EVENTS;
    use crate::domain::call::{Call, Direction};
    use crate::domain::chat::ToolCall;
    use crate::domain::ids::{AgentId, CallId, DeliveryId, OrganizationId, TaskId};
    use crate::domain::price::{BillableUsage, PriceTable};
    use crate::domain::task::WEBHOOK_EVENTS as TASK_EVENTS;
    use crate::domain::time::UnixMs;
    use trunkline_json::schema::TrustedSchema;

    #[test]
    fn every_event_that_can_be_chosen_is_described() {
        let described: Vec<&str> = WEBHOOKS.iter().map(|webhook| webhook.event).collect();
        for event in AGENT_EVENTS.iter().chain(TASK_EVENTS) {
            assert!(described.contains(event), "{event}");
        }
        // Those of alert rules are not chosen.
        assert_eq!(described.len(), AGENT_EVENTS.len() + TASK_EVENTS.len() + [ALERT].len());
    }

    /// A call with everything in it.
    fn call() -> Call {
        let mut call = Call::begun(CallId::new(), OrganizationId::new(), Direction::Inbound, UnixMs(0));
        call.agent = Some(AgentId::new());
        let fields = AgentFields { name: "A".into(), is_active: true, ..AgentFields::default() };
        let added = Map::from_iter([("crm".to_owned(), json!(7))]);
        call.assistant = Some(event::assistant(call.agent, &fields, &added));
        call.signalling = Some(json!({"headers": {"X-A": "1"}, "identity": {"verification": "passed"}}));
        call.outcome.report = Some(json!({"analysed": true, "success": true, "sentiment": "neutral"}));
        let used = BillableUsage { seconds: 60, stt: vec![("deepgram/nova-3".into(), 60)], ..BillableUsage::default() };
        call.outcome.cost = Some(PriceTable::default().bill(&used).0);
        call
    }

    #[test]
    fn what_is_sent_is_what_is_described() {
        let document = super::super::openapi_document();
        let (id, at, call) = (DeliveryId::new(), UnixMs(0), call());
        let tool =
            ToolCall { id: "a".into(), name: "f".into(), arguments: "{}".into(), schema_error: None, opaque: None };
        for (event, body) in [
            ("assistant-request", event::assistant_request(id, &call, at)),
            ("tool-calls", event::tool_calls(id, &call, &[&tool], at)),
            ("status-update", event::status_update(id, &call, at)),
            ("agent-changed", event::agent_changed(id, &call, None, at)),
            ("end-of-call-report", event::end_of_call_report(id, &call, &[], None, at)),
            ("call_completed", event::task_event("call_completed", TaskId::new(), &call, &[])),
        ] {
            let content = &document["webhooks"][event]["post"]["requestBody"]["content"]["application/json"];
            let mut schema = content["schema"].clone();
            schema["components"] = document["components"].clone();
            let name = schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            // Nothing is sent that is not described.
            schema["components"]["schemas"][&name]["additionalProperties"] = json!(false);
            schema["components"]["schemas"]["WebhookCall"]["additionalProperties"] = json!(false);
            let checked = TrustedSchema::compile(&schema).unwrap().check_value(&body);
            assert!(checked.is_ok(), "{event}: {checked:?}\n{body}");
        }
    }
}
