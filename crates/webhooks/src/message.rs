//! The bodies of webhooks and of their answers, as types: what is sent and what the OpenAPI document describes are one.

use crate::domain::call_documents::{CallCost, CallReport, CallSignalling};
use crate::domain::chat::ToolCall;
use crate::domain::transcript::Turn;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The head of every message to an agent's webhook.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerMessage {
    /// The event, which is also the end of the path.
    pub r#type: &'static str,
    /// Identifies the message; the same in every attempt, and the same as the header `webhook-id`.
    #[schema(format = "uuid")]
    pub message_id: String,
    /// When the event happened (RFC 3339, UTC).
    #[schema(format = "date-time")]
    pub timestamp: String,
    /// The call that it is about.
    pub call: WebhookCall,
    /// The configuration in force, with your `metadata` and any other fields that you added; `null` before there is one.
    #[schema(value_type = Option<Assistant>)]
    pub assistant: Option<Value>,
}

/// A call as webhooks show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookCall {
    /// Id of the call, as in `GET /calls/{id}`.
    #[schema(format = "uuid")]
    pub id: String,
    /// `inbound`, `outbound` or `web`.
    #[schema(value_type = crate::domain::call::Direction)]
    pub direction: &'static str,
    /// Number of the caller (E.164), or what the caller said about themselves.
    pub from_number: String,
    /// Number that was called (E.164), or a SIP URI.
    pub to_number: String,
    /// `initiated`, `in_progress`, `completed` or `failed`.
    #[schema(value_type = crate::domain::call::CallStatus)]
    pub status: &'static str,
    /// The task that the call was made for; `null` for other calls.
    #[schema(format = "uuid")]
    pub task_id: Option<String>,
    /// What the signalling said; `null` if nothing.
    #[schema(value_type = Option<CallSignalling>)]
    pub signalling: Option<Value>,
}

/// Describes the field `assistant`; the OpenAPI document gives it the fields of an agent.
#[derive(Debug, ToSchema)]
pub struct Assistant {
    /// Id of the saved agent; `null` for a configuration that your server answered.
    #[schema(format = "uuid")]
    pub id: Option<String>,
}

/// Asks who answers an inbound call. Your answer is waited for.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssistantRequest {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
}

/// Asks for the results of tool calls. Your answer is waited for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolCallsMessage {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// What the model calls.
    pub tool_calls: Vec<WebhookToolCall>,
}

/// One call of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookToolCall {
    /// Identifies the call; a result names it as `tool_call_id`.
    pub id: String,
    /// Name of the function.
    pub name: String,
    /// Its arguments: an object by the function's `parameters`, or a string if the model wrote no JSON.
    #[schema(value_type = Object)]
    pub arguments: Value,
}

impl From<&ToolCall> for WebhookToolCall {
    fn from(call: &ToolCall) -> Self {
        let arguments = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
        Self { id: call.id.clone(), name: call.name.clone(), arguments }
    }
}

/// Tells that a call is in progress or over.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusUpdate {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// `in-progress`, `ended` or `ended-with-error`.
    pub status: &'static str,
    /// Why the call ended; `null` while it goes on.
    #[schema(value_type = Option<crate::domain::end_reason::EndReason>)]
    pub end_reason: Option<&'static str>,
}

/// Tells that another agent has the call.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentChanged {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// The agent that has the call now.
    #[schema(format = "uuid")]
    pub agent_id: Option<String>,
    /// Its name.
    pub agent_name: Option<String>,
    /// The agent that had it before.
    #[schema(format = "uuid")]
    pub previous_agent_id: Option<String>,
}

/// Tells of a command from beside the call; only `GET /calls/{id}/events` has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallControlled {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// `say`, `instruct`, `transfer`, `hold` or `resume`.
    pub control: String,
    /// What was said or instructed, or where the caller was put through; `null` for the others.
    pub text: Option<String>,
    /// E-mail address of the person, or `api_key:` and the id of the key.
    pub by: String,
}

/// Tells what of the answer to `assistant-request` was ignored; only `GET /calls/{id}/events` has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssistantIgnored {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// What was ignored, and why: `assistant_override: ignored, it needs assistant_id`.
    pub faults: Vec<String>,
}

/// Tells everything about a call that is over.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndOfCallReport {
    /// Event, ids, call and configuration.
    #[serde(flatten)]
    pub head: ServerMessage,
    /// Why the call ended.
    #[schema(value_type = Option<crate::domain::end_reason::EndReason>)]
    pub end_reason: Option<&'static str>,
    /// When the call began to be set up (RFC 3339, UTC).
    #[schema(format = "date-time")]
    pub started_at: String,
    /// When it was answered (RFC 3339, UTC); `null` if it was not.
    #[schema(format = "date-time")]
    pub answered_at: Option<String>,
    /// When it ended (RFC 3339, UTC).
    #[schema(format = "date-time")]
    pub ended_at: Option<String>,
    /// Seconds from the answer to the end; 0 if the call was not answered.
    pub duration_seconds: i64,
    /// The call in two or three sentences.
    pub summary: Option<String>,
    /// The transcript.
    #[schema(value_type = Vec<Turn>)]
    pub messages: Vec<Turn>,
    /// By the agent's `structured_data_plan`; `null` without one.
    pub structured_data: Option<Value>,
    /// What the analysis found.
    #[schema(value_type = Option<CallReport>)]
    pub analysis: Option<Value>,
    /// Link to the recording that works for a week without a key; `null` without a recording.
    #[schema(format = "uri")]
    pub recording_url: Option<String>,
    /// What the call cost by the server's price table.
    #[schema(value_type = Option<CallCost>)]
    pub cost: Option<Value>,
}

/// Tells that the call of a task began, was completed or failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskEvent {
    /// `call_started`, `call_completed` or `call_failed`.
    pub event_type: String,
    /// Only where the events of a call are listed: the id that the header `webhook-id` has when it is sent.
    #[schema(format = "uuid")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The task.
    #[schema(format = "uuid")]
    pub task_id: String,
    /// Its call.
    #[schema(format = "uuid")]
    pub call_id: String,
    /// `initiated`, `in_progress`, `completed` or `failed`.
    #[schema(value_type = crate::domain::call::CallStatus)]
    pub status: &'static str,
    /// What is known of the call.
    pub data: TaskEventData,
}

/// The beginnings of transcript and summary.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskEventData {
    /// The first 500 characters of the transcript, a line for each turn; empty at the start.
    pub transcript_excerpt: String,
    /// The first 500 characters of the summary; empty at the start.
    pub report_excerpt: String,
}

/// Who answers the call. An empty object means the saved agent.
#[derive(Debug, ToSchema)]
pub struct AssistantAnswer {
    /// A saved agent of yours that takes the call.
    #[schema(format = "uuid")]
    pub assistant_id: Option<String>,
    /// Blocks that replace those of the saved agent, such as `first_message` or `llm_config`.
    #[schema(value_type = Option<Object>)]
    pub assistant_override: Option<Map<String, Value>>,
    /// A configuration that takes the call alone: the fields of an agent, and any of your own.
    #[schema(value_type = Option<Object>)]
    pub assistant: Option<Map<String, Value>>,
    /// Rejects the caller instead.
    pub reject: Option<CallRejection>,
}

/// How a caller is rejected.
#[derive(Debug, ToSchema)]
pub struct CallRejection {
    /// Why; the call's `metrics.assistant_request` shows it.
    pub reason: Option<String>,
    /// SIP status of the refusal: 400 to 699; 603 by default.
    #[schema(minimum = 400, maximum = 699)]
    pub sip_code: Option<u16>,
}

/// The results of tool calls. Any other JSON, text or an empty body is taken as the result itself.
#[derive(Debug, ToSchema)]
pub struct ToolCallsAnswer {
    /// One result for each call.
    pub results: Vec<WebhookToolResult>,
}

/// The result of one tool call.
#[derive(Debug, ToSchema)]
pub struct WebhookToolResult {
    /// `id` of the call.
    pub tool_call_id: String,
    /// What the model reads: any JSON.
    pub result: Option<Value>,
    /// What went wrong, for the model, in place of a result.
    pub error: Option<String>,
}
