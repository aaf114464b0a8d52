//! `/calls`: lists and reads calls and their transcripts, and ends live calls.
#![expect(clippy::disallowed_methods, reason = "waits for the end of a call with a deadline")]

use super::auth::{Actor, OrgAuth};
use super::error::ApiError;
use super::field_selection::{FieldSelection, Selected};
use super::input::{IdPath, Paging, QueryParams, id};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::call::registry::CallCommand;
use crate::domain::call::{Call, CallStatus, Direction};
use crate::domain::call_documents::{CallCost, CallFigures, CallReport, CallSignalling};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, BatchId, CallId, TaskId};
use crate::domain::time::UnixMs;
use crate::domain::transcript::Turn;
use crate::store::{CallFilter, OrgScope, PageRequest};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use utoipa::ToSchema;

/// How long to wait until an ended call has written its final state; after that the response shows the previous state.
const SETTLE_DEADLINE: Duration = Duration::from_secs(3);
const SETTLE_POLL: Duration = Duration::from_millis(20);

/// A call as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub(super) struct CallView {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    organization_id: String,
    /// The agent that has or had the call; `null` if none took it.
    #[schema(format = "uuid")]
    agent_id: Option<String>,
    /// The task that the call was made for; `null` for other calls.
    #[schema(format = "uuid")]
    task_id: Option<String>,
    /// `inbound`, `outbound`, `web` or `chat`.
    #[schema(value_type = Direction)]
    direction: &'static str,
    /// `sip`, `webrtc`, or `text` for a chat.
    transport: &'static str,
    /// Number of the caller (E.164), or what the caller said about themselves: a SIP user, `anonymous`, `web`.
    from_number: String,
    /// Number that was called (E.164), or a SIP URI.
    to_number: String,
    /// `initiated`, `in_progress`, `completed` or `failed`.
    #[schema(value_type = CallStatus)]
    status: &'static str,
    /// One of a closed list, once the call is over.
    #[schema(value_type = Option<EndReason>)]
    end_reason: Option<&'static str>,
    /// When the call began to be set up (RFC 3339, UTC).
    #[schema(format = "date-time")]
    started_at: String,
    /// When it was answered (RFC 3339, UTC); `null` if it was not.
    #[schema(format = "date-time")]
    answered_at: Option<String>,
    /// When it ended (RFC 3339, UTC); `null` while it goes on.
    #[schema(format = "date-time")]
    ended_at: Option<String>,
    /// Seconds from the answer to the end; `null` while the call goes on or if it was not answered.
    duration_seconds: Option<i64>,
    /// Not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript: Option<Vec<Turn>>,
    /// The call in two or three sentences, once it is over and analysed.
    summary: Option<String>,
    /// What the analysis found; `null` before it.
    #[schema(value_type = Option<CallReport>)]
    report: Option<Value>,
    /// By the agent's `structured_data_plan`.
    extracted_data: Option<Value>,
    /// Whether `recording/stream` has the recording.
    recording_available: bool,
    /// Latency of every turn, packets, tokens and errors.
    #[schema(value_type = Option<CallFigures>)]
    metrics: Option<Value>,
    /// What the call cost by the server's price table; `null` before the end.
    #[schema(value_type = Option<CallCost>)]
    cost: Option<Value>,
    /// The `metadata` of the task, else of the agent, as it was when the call began.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
    /// Call-ID of the caller's or callee's leg; `null` for calls from browsers.
    sip_call_id: Option<String>,
    /// Facts from signalling: `headers` (`X-…` and similar), `identity` (STIR/SHAKEN), `diversion`; about the end
    /// `sip_status`, `sip_reason`, `q850_cause`, `reason_text`, `problem`.
    #[schema(value_type = Option<CallSignalling>)]
    signalling: Option<Value>,
}

impl From<&Call> for CallView {
    fn from(call: &Call) -> Self {
        Self {
            id: call.id.to_string(),
            organization_id: call.organization.to_string(),
            agent_id: call.agent.map(|id| id.to_string()),
            task_id: call.task.map(|id| id.to_string()),
            direction: call.direction.name(),
            transport: call.direction.transport(),
            from_number: call.from_number.clone(),
            to_number: call.to_number.clone(),
            status: call.status().name(),
            end_reason: call.end_reason().map(EndReason::name),
            started_at: call.started_at.rfc3339(),
            answered_at: call.answered_at().map(|at| at.rfc3339()),
            ended_at: call.ended_at().map(|at| at.rfc3339()),
            duration_seconds: call.duration_seconds(),
            transcript: None,
            summary: call.outcome.summary.clone(),
            extracted_data: call.outcome.extracted_data.clone(),
            report: call.outcome.report.clone(),
            recording_available: call.recording.is_some(),
            metrics: call.metrics.clone(),
            cost: call.outcome.cost.clone(),
            metadata: call.metadata.clone(),
            sip_call_id: call.sip_call_id.clone(),
            signalling: call.signalling.clone(),
        }
    }
}

/// One call.
#[derive(Serialize, ToSchema)]
pub(super) struct CallBody {
    /// The call.
    call: CallView,
}

/// A page of calls.
#[derive(Serialize, ToSchema)]
pub(super) struct CallPage {
    /// Calls, newest first.
    #[schema(value_type = Vec<CallView>)]
    calls: Vec<Selected<CallView>>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// What was said in a call.
#[derive(Serialize, ToSchema)]
pub(super) struct TranscriptBody {
    /// Id of the call.
    #[schema(format = "uuid")]
    call_id: String,
    /// `initiated`, `in_progress`, `completed` or `failed`.
    #[schema(value_type = CallStatus)]
    status: &'static str,
    /// The turns in the order in which they began.
    transcript: Vec<Turn>,
}

pub(super) async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Call, ApiError> {
    let id = id(text, CallId::parse, "Call")?;
    api.store.call(scope, id).await?.ok_or_else(|| ApiError::not_found("Call"))
}

async fn with_transcript(api: &ApiState, scope: OrgScope, call: &Call) -> Result<CallBody, ApiError> {
    let transcript = api.store.turns(scope, call.id).await?;
    Ok(CallBody { call: CallView { transcript: Some(transcript), ..call.into() } })
}

/// The calls of the organization, newest first.
#[utoipa::path(get, path = "/calls", tag = "calls", params(Paging, ("fields" = Option<String>, Query, description = "Only these fields of each entry, separated by commas, such as `id,status`: a list of large documents stays small.", min_length = 1, max_length = 500), ("task_id" = Option<String>, Query, description = "Only calls of this task.", format = "uuid"), ("batch_id" = Option<String>, Query, description = "Only calls of the tasks in this batch.", format = "uuid"), ("agent_id" = Option<String>, Query, description = "Only calls of this agent.", format = "uuid"), ("status" = Option<CallStatus>, Query, description = "Only calls with this status."), ("direction" = Option<Direction>, Query, description = "Only calls in this direction."), ("end_reason" = Option<EndReason>, Query, description = "Only calls that ended for this reason."), ("number" = Option<String>, Query, description = "Only calls from or to this number, as the call has it: E.164, or a SIP address.", min_length = 1, max_length = 300), ("provider" = Option<String>, Query, description = "Only calls that this provider had a part in, such as `openai`; known once a call is over.", min_length = 1, max_length = 100), ("success" = Option<bool>, Query, description = "Only calls that the analysis has judged a success, or none."), ("started_after" = Option<String>, Query, description = "Only calls that began at this time or later.", format = "date-time"), ("started_before" = Option<String>, Query, description = "Only calls that began before this time.", format = "date-time"), ("q" = Option<String>, Query, description = "Part of a number, of the summary or of what was said, or a call's identifier; looked for in the newest 10,000 calls.", min_length = 1, max_length = 200, pattern = "[^\\s]")), responses((status = 200, body = CallPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let (page, fields) = (query.page()?, FieldSelection::read::<CallView>(&query)?);
    let filter = CallFilter {
        task: query.value("task_id", TaskId::parse, "a UUID")?,
        batch: query.value("batch_id", BatchId::parse, "a UUID")?,
        agent: query.value("agent_id", AgentId::parse, "a UUID")?,
        status: query.value("status", CallStatus::parse, "one of initiated, in_progress, completed, failed")?,
        direction: query.value("direction", Direction::parse, "one of inbound, outbound, web, chat")?,
        end_reason: query.value("end_reason", EndReason::parse, "an end reason")?,
        started_after: query.value("started_after", UnixMs::parse, "a time such as 2026-03-27T12:00:00Z")?,
        started_before: query.value("started_before", UnixMs::parse, "a time such as 2026-03-27T12:00:00Z")?,
        number: query.value("number", |text| named(text, 300), "1 to 300 characters")?,
        provider: query.value("provider", |text| named(text, 100), "1 to 100 characters")?,
        success: query.flag("success")?,
        text: query.value("q", searched, "1 to 200 characters")?,
    };
    let (calls, total) = api.store.calls(scope, filter, page).await?;
    let calls = calls.iter().map(|call| fields.apply(CallView::from(call))).collect();
    Ok(ApiResponse::ok(CallPage { calls, total, limit: page.limit, offset: page.offset }))
}

fn named(text: &str, chars_max: usize) -> Option<String> {
    (1..=chars_max).contains(&text.chars().count()).then(|| text.to_owned())
}

fn searched(text: &str) -> Option<String> {
    named(text.trim(), 200)
}

/// One call with its transcript.
#[utoipa::path(get, path = "/calls/{id}", tag = "calls", params(IdPath), responses((status = 200, body = CallBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    Ok(ApiResponse::ok(with_transcript(&api, scope, &call).await?))
}

/// The transcript: the words of both sides, as far as they were heard.
#[utoipa::path(get, path = "/calls/{id}/transcript", tag = "calls", operation_id = "get_transcript", params(IdPath), responses((status = 200, body = TranscriptBody)))]
pub(super) async fn transcript(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let call = find(&api, scope, &id).await?;
    let transcript = api.store.turns(scope, call.id).await?;
    Ok(ApiResponse::ok(TranscriptBody { call_id: call.id.to_string(), status: call.status().name(), transcript }))
}

/// Ends a call; it counts as completed.
#[utoipa::path(post, path = "/calls/{id}/end", tag = "calls", params(IdPath), responses((status = 200, body = CallBody)))]
pub(super) async fn end(State(api): State<ApiState>, caller: Actor, id: Path<String>) -> Result<ApiResponse, ApiError> {
    let ended = end_with_reason(&api, caller.scope, &id, EndReason::EndedByApi).await?;
    caller.audit(&api, "call.end", &*id).await?;
    Ok(ended)
}

/// Cancels a call; it counts as failed.
#[utoipa::path(post, path = "/calls/{id}/cancel", tag = "calls", params(IdPath), responses((status = 200, body = CallBody)))]
pub(super) async fn cancel(
    State(api): State<ApiState>, caller: OrgAuth, id: Path<String>,
) -> Result<ApiResponse, ApiError> {
    end_with_reason(&api, caller.0, &id, EndReason::Canceled).await
}

async fn end_with_reason(
    api: &ApiState, scope: OrgScope, id: &str, reason: EndReason,
) -> Result<ApiResponse, ApiError> {
    let call = find(api, scope, id).await?;
    let ended = !call.status().is_over()
        && (api.live_calls.registry.command(scope, call.id, CallCommand::End(reason))
            || api.store.cancel_queued(scope, call.id, EndReason::Canceled).await?
            || api.live_calls.cluster.end(scope, call.id, reason).await);
    if !ended {
        return Err(ApiError::state("The call is not active"));
    }
    let call = wait_until_ended(api, scope, call).await?;
    Ok(ApiResponse::ok(with_transcript(api, scope, &call).await?))
}

/// Waits until the end of the call is written and returns the call.
async fn wait_until_ended(api: &ApiState, scope: OrgScope, call: Call) -> Result<Call, ApiError> {
    let wait = async {
        loop {
            if let Ok(Some(now)) = api.store.call(scope, call.id).await
                && now.status().is_over()
            {
                return now;
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    Ok(tokio::time::timeout(SETTLE_DEADLINE, wait).await.unwrap_or(call))
}

/// Waits until no call of the task is live.
pub(super) async fn task_is_free(api: &ApiState, scope: OrgScope, task: TaskId) {
    let filter = CallFilter { task: Some(task), ..CallFilter::default() };
    let wait = async {
        loop {
            match api.store.calls(scope, filter.clone(), PageRequest::first(1)).await {
                Ok((calls, _)) if calls.first().is_some_and(|call| !call.status().is_over()) => {}
                _ => return,
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    let _ = tokio::time::timeout(SETTLE_DEADLINE, wait).await;
}

#[cfg(test)]
mod tests;
