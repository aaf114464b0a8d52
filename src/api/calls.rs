//! `/calls`: what was said, and ending what is going on.
#![expect(clippy::disallowed_methods, reason = "an ended call is waited for with a deadline")]

use super::Api;
use super::auth::Caller;
use super::envelope::Answer;
use super::error::ApiError;
use super::input::{Query, id};
use crate::call::registry::Command;
use crate::domain::call::{Call, CallStatus};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId, TaskId};
use crate::domain::transcript::Turn;
use crate::store::{CallFilter, OrgScope, Page};
use axum::extract::{Path, State};
use serde_json::{Value, json};
use std::time::Duration;

/// How long an ended call may take to write its last state before the answer shows the one before it.
const SETTLE_DEADLINE: Duration = Duration::from_secs(3);
const SETTLE_POLL: Duration = Duration::from_millis(20);

fn view(call: &Call) -> Value {
    json!({
        "id": call.id.to_string(),
        "organization_id": call.organization.to_string(),
        "agent_id": call.agent.map(|id| id.to_string()),
        "task_id": call.task.map(|id| id.to_string()),
        "direction": call.direction.name(),
        "transport": "sip",
        "from_number": call.from_number,
        "to_number": call.to_number,
        "status": call.status.name(),
        "end_reason": call.end_reason.map(EndReason::name),
        "started_at": call.started_at.rfc3339(),
        "answered_at": call.answered_at.map(|at| at.rfc3339()),
        "ended_at": call.ended_at.map(|at| at.rfc3339()),
        "duration_seconds": call.duration_seconds(),
        "recording_available": call.recording.is_some(),
        "metrics": call.metrics,
        "cost": null,
        "metadata": call.metadata,
        "sip_call_id": call.sip_call_id,
        "report": null,
    })
}

fn turns_json(turns: &[Turn]) -> Value {
    serde_json::to_value(turns).unwrap_or_default()
}

pub(super) async fn find(api: &Api, scope: OrgScope, text: &str) -> Result<Call, ApiError> {
    let id = id(text, CallId::parse, "Call")?;
    api.context.store.call(scope, id).await?.ok_or_else(|| ApiError::not_found("Call"))
}

async fn with_transcript(api: &Api, scope: OrgScope, call: &Call) -> Result<Value, ApiError> {
    let mut view = view(call);
    view["transcript"] = turns_json(&api.context.store.turns(scope, call.id).await?);
    Ok(view)
}

pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let filter = CallFilter {
        task: query.value("task_id", TaskId::parse, "a UUID")?,
        agent: query.value("agent_id", AgentId::parse, "a UUID")?,
        status: query.value("status", CallStatus::parse, "one of initiated, in_progress, completed, failed")?,
    };
    let (calls, total) = api.context.store.calls(scope, filter, page).await?;
    let calls: Vec<Value> = calls.iter().map(view).collect();
    Ok(Answer::ok(json!({"calls": calls, "total": total, "limit": page.limit, "offset": page.offset})))
}

pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let call = find(&api, scope, &id).await?;
    Ok(Answer::ok(json!({"call": with_transcript(&api, scope, &call).await?})))
}

pub(super) async fn transcript(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let call = find(&api, scope, &id).await?;
    let turns = api.context.store.turns(scope, call.id).await?;
    Ok(Answer::ok(
        json!({"call_id": call.id.to_string(), "status": call.status.name(), "transcript": turns_json(&turns)}),
    ))
}

pub(super) async fn end(State(api): State<Api>, caller: Caller, id: Path<String>) -> Result<Answer, ApiError> {
    stop(&api, caller.0, &id, EndReason::EndedByApi).await
}

pub(super) async fn cancel(State(api): State<Api>, caller: Caller, id: Path<String>) -> Result<Answer, ApiError> {
    stop(&api, caller.0, &id, EndReason::Canceled).await
}

async fn stop(api: &Api, scope: OrgScope, id: &str, reason: EndReason) -> Result<Answer, ApiError> {
    let call = find(api, scope, id).await?;
    if call.status.is_over() || !api.context.registry.command(scope, call.id, Command::End(reason)) {
        return Err(ApiError::state("The call is not active"));
    }
    let call = settled(api, scope, call).await?;
    Ok(Answer::ok(json!({"call": with_transcript(api, scope, &call).await?})))
}

/// The call once its end is written.
async fn settled(api: &Api, scope: OrgScope, call: Call) -> Result<Call, ApiError> {
    let wait = async {
        loop {
            if let Ok(Some(now)) = api.context.store.call(scope, call.id).await
                && now.status.is_over()
            {
                return now;
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    Ok(tokio::time::timeout(SETTLE_DEADLINE, wait).await.unwrap_or(call))
}

/// Waits until no call of a task is live any more.
pub(super) async fn task_is_free(api: &Api, scope: OrgScope, task: TaskId) {
    let filter = CallFilter { task: Some(task), status: None, agent: None };
    let wait = async {
        loop {
            match api.context.store.calls(scope, filter, Page { limit: 1, offset: 0 }).await {
                Ok((calls, _)) if calls.first().is_some_and(|call| !call.status.is_over()) => {}
                _ => return,
            }
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    let _ = tokio::time::timeout(SETTLE_DEADLINE, wait).await;
}
