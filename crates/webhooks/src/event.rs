//! What webhooks say: document B's server messages and document A's task events.

use super::message::{
    AgentChanged, AssistantIgnored, AssistantRequest, CallControlled, EndOfCallReport, ServerMessage, StatusUpdate,
    TaskEvent, TaskEventData, ToolCallsMessage, WebhookCall, WebhookToolCall,
};
use crate::domain::agent::{ALIASES, AgentFields};
use crate::domain::call::{Call, CallStatus};
use crate::domain::chat::ToolCall;
use crate::domain::ids::{AgentId, DeliveryId, TaskId};
use crate::domain::time::UnixMs;
use crate::domain::transcript::Turn;
use serde::Serialize;
use serde_json::{Map, Value, json};
use trunkline_json::document::{DocumentError, DocumentLimits};

/// Asks before an inbound call is answered who is to answer it; the answer is waited for.
pub const ASSISTANT_REQUEST: &str = "assistant-request";
/// Asks for the results of tool calls; the answer is waited for.
pub const TOOL_CALLS: &str = "tool-calls";
/// Tells that a call is in progress or over.
pub const STATUS_UPDATE: &str = "status-update";
/// Tells that another agent has the call.
pub const AGENT_CHANGED: &str = "agent-changed";
/// Tells of a command from beside the call. No webhook carries it; `GET /calls/{id}/events` lists it.
pub const CALL_CONTROL: &str = "call-control";
/// Tells what of the answer to `assistant-request` was ignored. No webhook carries it; `GET /calls/{id}/events` lists it.
pub const ASSISTANT_IGNORED: &str = "assistant-ignored";
/// Tells everything about a call that is over.
pub const END_OF_CALL_REPORT: &str = "end-of-call-report";

/// Characters of an excerpt in a task's event.
const EXCERPT_CHARS: usize = 500;

/// Where document B's messages go: `{webhook_url}/tool-calls`.
pub fn url(webhook_url: &str, event: &str) -> String {
    match webhook_url.split_once('?') {
        Some((path, query)) => format!("{}/{event}?{query}", path.trim_end_matches('/')),
        None => format!("{}/{event}", webhook_url.trim_end_matches('/')),
    }
}

/// An agent as webhooks show it: everything but its secrets, both names of a field, and whatever the
/// customer's server added.
pub fn assistant(id: Option<AgentId>, fields: &AgentFields, added: &Map<String, Value>) -> Value {
    let mut json = serde_json::to_value(fields.without_secrets()).unwrap_or_default();
    if let Value::Object(object) = &mut json {
        object.retain(|_, value| !value.is_null());
        object.insert("id".to_owned(), json!(id.map(|id| id.to_string())));
        for (name, alias) in ALIASES {
            if let Some(value) = object.get(name).cloned() {
                object.insert(alias.to_owned(), value);
            }
        }
        for (name, value) in added {
            object.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    json
}

/// The head of every server message.
fn head(id: DeliveryId, event: &'static str, call: &Call, now: UnixMs) -> ServerMessage {
    ServerMessage {
        r#type: event,
        message_id: id.to_string(),
        timestamp: now.rfc3339(),
        call: WebhookCall {
            id: call.id.to_string(),
            direction: call.direction.name(),
            from_number: call.from_number.clone(),
            to_number: call.to_number.clone(),
            status: call.status().name(),
            task_id: call.task.map(|id| id.to_string()),
            signalling: call.signalling.clone(),
        },
        assistant: call.assistant.clone(),
    }
}

fn to_json(message: impl Serialize) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

/// Returns the JSON of `assistant-request`; `id` becomes its `message_id`.
pub fn assistant_request(id: DeliveryId, call: &Call, now: UnixMs) -> Value {
    to_json(AssistantRequest { head: head(id, ASSISTANT_REQUEST, call, now) })
}

/// Returns the JSON of `tool-calls`. Arguments that are no JSON are sent as a string.
pub fn tool_calls(id: DeliveryId, call: &Call, calls: &[&ToolCall], now: UnixMs) -> Value {
    let tool_calls = calls.iter().map(|call| WebhookToolCall::from(*call)).collect();
    to_json(ToolCallsMessage { head: head(id, TOOL_CALLS, call, now), tool_calls })
}

/// `in-progress`, `ended` or `ended-with-error`.
pub fn status_update(id: DeliveryId, call: &Call, now: UnixMs) -> Value {
    let status = match call.status() {
        CallStatus::Initiated | CallStatus::InProgress => "in-progress",
        CallStatus::Completed => "ended",
        CallStatus::Failed => "ended-with-error",
    };
    let end_reason = call.end_reason().map(|reason| reason.name());
    to_json(StatusUpdate { head: head(id, STATUS_UPDATE, call, now), status, end_reason })
}

/// Returns the JSON of `agent-changed`; `call` has its new agent already.
pub fn agent_changed(id: DeliveryId, call: &Call, previous: Option<AgentId>, now: UnixMs) -> Value {
    let name = call.assistant.as_ref().and_then(|assistant| assistant["name"].as_str());
    to_json(AgentChanged {
        head: head(id, AGENT_CHANGED, call, now),
        agent_id: call.agent.map(|id| id.to_string()),
        agent_name: name.map(str::to_owned),
        previous_agent_id: previous.map(|id| id.to_string()),
    })
}

/// Returns the JSON of `call-control`; `note` is an entry of the call's `metrics.controls`.
pub fn call_control(id: DeliveryId, call: &Call, note: &Value, at: UnixMs) -> Value {
    let text = |name: &str| note[name].as_str().map(str::to_owned);
    to_json(CallControlled {
        head: head(id, CALL_CONTROL, call, at),
        control: text("control").unwrap_or_default(),
        text: text("text"),
        by: text("by").unwrap_or_default(),
    })
}

/// Returns the JSON of `assistant-ignored`; `faults` are those of the call's `metrics.assistant_request`.
pub fn assistant_ignored(id: DeliveryId, call: &Call, faults: Vec<String>, at: UnixMs) -> Value {
    to_json(AssistantIgnored { head: head(id, ASSISTANT_IGNORED, call, at), faults })
}

/// Returns the JSON of `end-of-call-report`. Without a recording URL, `recording_url` is null.
pub fn end_of_call_report(
    id: DeliveryId, call: &Call, turns: &[Turn], recording_url: Option<String>, now: UnixMs,
) -> Value {
    to_json(EndOfCallReport {
        head: head(id, END_OF_CALL_REPORT, call, now),
        end_reason: call.end_reason().map(|reason| reason.name()),
        started_at: call.started_at.rfc3339(),
        answered_at: call.answered_at().map(UnixMs::rfc3339),
        ended_at: call.ended_at().map(UnixMs::rfc3339),
        duration_seconds: call.duration_seconds().unwrap_or(0),
        summary: call.outcome.summary.clone(),
        messages: turns.to_vec(),
        structured_data: call.outcome.extracted_data.clone(),
        analysis: call.outcome.report.clone(),
        recording_url,
        cost: call.outcome.cost.clone(),
    })
}

/// Document A's event of a task.
pub fn task_event(event: &str, task: TaskId, call: &Call, turns: &[Turn]) -> Value {
    let transcript: Vec<String> = turns
        .iter()
        .map(|turn| {
            format!("{}: {}", serde_json::to_value(turn.role).unwrap_or_default().as_str().unwrap_or(""), turn.content)
        })
        .collect();
    let excerpt = |text: &str| text.chars().take(EXCERPT_CHARS).collect::<String>();
    to_json(TaskEvent {
        event_type: event.to_owned(),
        message_id: None,
        task_id: task.to_string(),
        call_id: call.id.to_string(),
        status: call.status().name(),
        data: TaskEventData {
            transcript_excerpt: excerpt(&transcript.join("\n")),
            report_excerpt: excerpt(call.outcome.summary.as_deref().unwrap_or("")),
        },
    })
}

/// What is read of an answer to `tool-calls`.
const ANSWER: DocumentLimits = DocumentLimits { bytes_max: 256 * 1024, depth_max: 64, values_max: 50_000 };

/// Characters of an answer that goes to the model as text.
const TEXT_CHARS_MAX: usize = 8_000;

/// A server's answer to `tool-calls`, for one call. `Err` goes to the model as a failure: only an answer that says so
/// itself is one. What is no JSON within the limits is the result as text.
pub fn tool_result(answer: &[u8], call_id: &str) -> Result<Value, String> {
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Ok(json!("done"));
    }
    let answer = match parse_answer(answer) {
        Ok(answer) => answer,
        Err(text) => return Ok(json!(text)),
    };
    let Value::Object(object) = &answer else { return Ok(answer) };
    if let Some(Value::Array(results)) = object.get("results") {
        let of_call = |one: &&Value| one["tool_call_id"].as_str() == Some(call_id);
        let named = |one: &&Value| one.get("tool_call_id").is_some_and(|id| !id.is_null());
        let found = results.iter().find(of_call).or_else(|| match results.as_slice() {
            [one] if !named(&one) => Some(one),
            _ => None,
        });
        let Some(found) = found else { return Ok(answer.clone()) };
        return match (found.get("result"), found.get("error")) {
            (_, Some(error)) if !error.is_null() => Err(plain(error)),
            (Some(result), _) => Ok(result.clone()),
            (None, _) => Ok(found.clone()),
        };
    }
    if let Some(error) = object.get("error").filter(|error| !error.is_null()) {
        return Err(plain(error));
    }
    match object.get("result") {
        Some(result) if object.len() == 1 => Ok(result.clone()),
        _ => Ok(answer),
    }
}

/// Reads an answer as JSON: after a byte order mark too, and with line breaks inside its texts. `Err` holds its text.
fn parse_answer(answer: &[u8]) -> Result<Value, String> {
    let answer = answer.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(answer);
    match ANSWER.parse(answer) {
        Ok(value) => return Ok(value),
        Err(DocumentError::Invalid(_)) => {
            let without_controls: Vec<u8> = answer.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }).collect();
            if let Ok(value) = ANSWER.parse(&without_controls) {
                return Ok(value);
            }
        }
        Err(_) => {}
    }
    Err(String::from_utf8_lossy(answer).trim().chars().take(TEXT_CHARS_MAX).collect())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, wanted: Result<Value, &str>) {
        assert_eq!(tool_result(answer.as_bytes(), "tool_abc123"), wanted.map_err(str::to_owned), "{answer}");
    }

    #[test]
    fn the_four_formats_of_a_tool_result() {
        check(
            r#"{"results": [{"tool_call_id": "tool_abc123", "result": {"name": "Jan"}}]}"#,
            Ok(json!({"name": "Jan"})),
        );
        check(
            r#"{"results": [{"tool_call_id": "x", "result": 1}, {"tool_call_id": "tool_abc123", "result": 2}]}"#,
            Ok(json!(2)),
        );
        let other = json!({"results": [{"tool_call_id": "x", "result": 1}]});
        check(&other.to_string(), Ok(other));
        check(r#"{"results": [{"tool_call_id": "tool_abc123", "error": "gone"}]}"#, Err("gone"));
        check(r#"{"result": {"name": "Jan"}}"#, Ok(json!({"name": "Jan"})));
        check(r#"{"name": "Jan"}"#, Ok(json!({"name": "Jan"})));
        check(r#"{"error": "Contact not found"}"#, Err("Contact not found"));
        check("[1]", Ok(json!([1])));
        check("", Ok(json!("done")));
    }

    #[test]
    fn an_answer_of_any_shape_is_a_result() {
        check("Accepted", Ok(json!("Accepted")));
        check(" Created\n", Ok(json!("Created")));
        check("<html>ok</html>", Ok(json!("<html>ok</html>")));
        check("{\"result\":\"line one\nline two\"}", Ok(json!("line one line two")));
        check("\u{FEFF}{\"result\":\"ok\"}", Ok(json!("ok")));
        check("{\"result\": tru", Ok(json!("{\"result\": tru")));
        check("true", Ok(json!(true)));
        check(&"[".repeat(100_000), Ok(json!("[".repeat(TEXT_CHARS_MAX))));
        let many = format!("[{}1]", "1,".repeat(60_000));
        check(&many, Ok(json!(many[..TEXT_CHARS_MAX])));
        assert_eq!(tool_result(b"caf\xE9", "x"), Ok(json!("caf\u{FFFD}")), "another encoding");
    }

    #[test]
    fn events_go_below_the_webhook_url() {
        assert_eq!(url("https://a.example/hook/", "tool-calls"), "https://a.example/hook/tool-calls");
        assert_eq!(url("https://a.example/hook?k=1", "tool-calls"), "https://a.example/hook/tool-calls?k=1");
    }

    #[test]
    fn an_assistant_has_no_secret_and_keeps_what_was_added() {
        let fields = AgentFields { name: "A".into(), webhook_secret: Some("s".into()), ..AgentFields::default() };
        let added = Map::from_iter([("crm".to_owned(), json!(7)), ("name".to_owned(), json!("other"))]);
        let json = assistant(None, &fields, &added);
        assert_eq!((&json["crm"], &json["name"], json.get("webhook_secret")), (&json!(7), &json!("A"), None));
    }
}
