//! `/tasks`: creates, lists, changes and executes outbound call tasks.

use super::agent_view::AgentView;
use super::auth::OrgAuth;
use super::calls;
use super::error::ApiError;
use super::field_selection::{FieldSelection, Selected};
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, validated};
use super::patch::Patch;
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::call::driver::{PlaceCallError, PlacedCall};
use crate::call::registry::CallCommand;
use crate::domain::FieldError;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, BatchId, TaskId};
use crate::domain::phone_number::Destination;
use crate::domain::schedule::{CallingWindow, RetryPolicy};
use crate::domain::task::{Task, TaskFields, TaskStatus};
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, PageRequest, now};
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A task as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(super) struct TaskView {
    #[schema(format = "uuid")]
    id: String,
    #[schema(format = "uuid")]
    organization_id: String,
    /// The agent that calls.
    #[schema(format = "uuid")]
    agent_id: String,
    /// The batch it belongs to.
    #[schema(format = "uuid")]
    batch_id: Option<String>,
    /// Only where one task is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentView>,
    /// `pending`, `in_progress`, `completed` or `failed`.
    #[schema(value_type = TaskStatus)]
    status: &'static str,
    /// Why it failed before anything was dialed, such as a number on the do-not-call list; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
    name: Option<String>,
    to_number: String,
    from_number: Option<String>,
    description: Option<String>,
    starting_message: Option<String>,
    context_data: Option<Map<String, Value>>,
    priority: i64,
    scheduled_at: Option<String>,
    webhook_url: Option<String>,
    webhook_events: Option<Vec<String>>,
    metadata: Option<Map<String, Value>>,
    retry_policy: Option<RetryPolicy>,
    calling_windows: Vec<CallingWindow>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&Task> for TaskView {
    fn from(task: &Task) -> Self {
        let fields = task.fields.clone();
        Self {
            id: task.id.to_string(),
            organization_id: task.organization.to_string(),
            agent_id: task.agent.to_string(),
            batch_id: task.batch.map(|id| id.to_string()),
            agent: None,
            status: task.status.name(),
            failure_reason: task.failure.clone(),
            name: fields.name,
            to_number: fields.to_number,
            from_number: fields.from_number,
            description: fields.description,
            starting_message: fields.starting_message,
            context_data: fields.context_data,
            priority: fields.priority,
            scheduled_at: fields.scheduled_at,
            webhook_url: fields.webhook_url,
            webhook_events: fields.webhook_events,
            metadata: fields.metadata,
            retry_policy: fields.retry_policy,
            calling_windows: fields.calling_windows,
            created_at: task.created_at.rfc3339(),
            updated_at: task.updated_at.rfc3339(),
        }
    }
}

/// One task.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskBody {
    /// The task.
    task: TaskView,
}

/// A page of tasks.
#[derive(Serialize, ToSchema)]
pub(super) struct TaskPage {
    /// Tasks, newest first.
    #[schema(value_type = Vec<TaskView>)]
    tasks: Vec<Selected<TaskView>>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// A call that was begun.
#[derive(Serialize, ToSchema)]
pub(super) struct Executed {
    /// The call that is being set up.
    #[schema(format = "uuid")]
    call_id: String,
    /// Whether the call is being set up or waits for a free place.
    message: &'static str,
}

/// A task as a client writes it: its fields, and its agent.
#[derive(Serialize)]
pub(super) struct TaskDocument {
    agent_id: String,
    batch_id: Option<String>,
    #[serde(flatten)]
    fields: TaskFields,
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Task, ApiError> {
    let id = id(text, TaskId::parse, "Task")?;
    api.store.task(scope, id).await?.ok_or_else(|| ApiError::not_found("Task"))
}

/// Splits the batch off; it has to be one of the organization.
async fn batch(api: &ApiState, scope: OrgScope, object: &mut Map<String, Value>) -> Result<Option<BatchId>, ApiError> {
    let text = match object.remove("batch_id") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(ApiError::field("batch_id", "must be a string")),
    };
    let unknown = || ApiError::no_reference("batch_id", "is not a batch of this organization");
    let id = BatchId::parse(&text).ok_or_else(unknown)?;
    Ok(Some(api.store.batch(scope, id).await?.ok_or_else(unknown)?.id))
}

/// Splits the agent off and checks both; the agent has to be one of the organization.
async fn check(
    api: &ApiState, scope: OrgScope, mut object: Map<String, Value>,
) -> Result<(AgentId, TaskFields), ApiError> {
    let agent = match object.remove("agent_id") {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(FieldError::new("agent_id", "must be a string")),
        None => Err(FieldError::new("agent_id", "is required")),
    };
    let webhook_url = |fields: &TaskFields| {
        let judged = fields.webhook_url.as_deref().map(|url| api.addresses.check_webhook("webhook_url", url));
        judged.and_then(Result::err).into_iter().collect()
    };
    let fields: TaskFields = validated(object, agent.as_ref().err().cloned().into_iter().collect(), webhook_url)?;
    let unknown = || ApiError::no_reference("agent_id", "is not an agent of this organization");
    let agent = agent.ok().and_then(|text| AgentId::parse(&text)).ok_or_else(unknown)?;
    let agent = api.store.agent(scope, agent).await?.ok_or_else(unknown)?.id;
    let destination = Destination::parse(&fields.to_number);
    if let Some(number) = destination.as_ref().and_then(Destination::number)
        && api.store.is_not_to_be_called(scope, &number).await?
    {
        return Err(PlaceCallError::DoNotCall.into());
    }
    if let Some(Destination::SipUri(_)) = destination
        && !trunks(api, scope).await?.iter().any(|trunk| trunk.fields.allow_sip_uri)
    {
        return Err(ApiError::field("to_number", "a SIP URI needs a trunk with allow_sip_uri"));
    }
    Ok((agent, fields))
}

async fn trunks(api: &ApiState, scope: OrgScope) -> Result<Vec<Trunk>, ApiError> {
    Ok(api.store.trunks(scope, PageRequest::first(1_000)).await?.0)
}

/// The tasks of the organization, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(Paging, ("fields" = Option<String>, Query, description = "Only these fields of each entry, separated by commas, such as `id,status`: a list of large documents stays small.", min_length = 1, max_length = 500), ("agent_id" = Option<String>, Query, description = "Only tasks of this agent.", format = "uuid"), ("status" = Option<TaskStatus>, Query, description = "Only tasks with this status."), ("batch_id" = Option<String>, Query, description = "Only tasks of this batch.", format = "uuid")), responses((status = 200, body = TaskPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let (page, fields) = (query.page()?, FieldSelection::read::<TaskView>(&query)?);
    let agent = query.value("agent_id", AgentId::parse, "a UUID")?;
    let status = query.value("status", TaskStatus::parse, "one of pending, in_progress, completed, failed")?;
    let batch = query.value("batch_id", BatchId::parse, "a UUID")?;
    let (tasks, total) = api.store.tasks(scope, agent, status, batch, page).await?;
    let tasks = tasks.iter().map(|task| fields.apply(TaskView::from(task))).collect();
    Ok(ApiResponse::ok(TaskPage { tasks, total, limit: page.limit, offset: page.offset }))
}

/// Creates a task.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = TaskFields, responses((status = 201, body = TaskBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    object.retain(|_, value| !value.is_null());
    let batch = batch(&api, scope, &mut object).await?;
    let (agent, fields) = check(&api, scope, object).await?;
    let task = api.store.create_task(scope, agent, batch, fields).await?;
    Ok(Versioned(task.version, ApiResponse::created(TaskBody { task: (&task).into() })))
}

/// One task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(IdPath), responses((status = 200, body = TaskBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let task = find(&api, scope, &id).await?;
    let agent = api.store.agent(scope, task.agent).await?;
    let view = TaskView { agent: agent.as_ref().map(AgentView::from), ..(&task).into() };
    Ok(Versioned(task.version, ApiResponse::ok(TaskBody { task: view })))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "tasks", params(IdPath, IfMatchHeader), request_body = TaskFields, responses((status = 200, body = TaskBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, if_match: IfMatch,
    mut patch: Patch<TaskDocument>,
) -> Result<Versioned, ApiError> {
    let _turn = api.limits.turn_of_change(patch.take_permit(), scope).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut task = find(&api, scope, &id).await?;
        if task.status != TaskStatus::Pending {
            return Err(ApiError::state("Only a pending task can be changed"));
        }
        if_match.check(task.version, patch.sent(), TaskView::from(&task))?;
        let batch_id = task.batch.map(|id| id.to_string());
        let current = TaskDocument { agent_id: task.agent.to_string(), batch_id, fields: task.fields };
        let mut changed = patch.apply(&current);
        if batch(&api, scope, &mut changed).await? != task.batch {
            return Err(ApiError::field("batch_id", "cannot be changed"));
        }
        (task.agent, task.fields) = check(&api, scope, changed).await?;
        task.updated_at = now();
        if api.store.update_task(scope, &task).await? {
            return Ok(Versioned(task.version + 1, ApiResponse::ok(TaskBody { task: (&task).into() })));
        }
    }
    Err(contended())
}

/// Deletes a task.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let task = find(&api, scope, &id).await?;
    if !api.store.delete_task(scope, task.id).await? {
        return Err(ApiError::state("Only a pending or failed task can be deleted"));
    }
    Ok(ApiResponse::deleted())
}

/// Calls the number of a pending task; answers while the call is being set up.
#[utoipa::path(post, path = "/tasks/{id}/execute", tag = "tasks", params(IdPath), responses((status = 200, body = Executed)))]
pub(super) async fn execute(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let task = find(&api, scope, &id).await?;
    let placed = api.calls.place(scope, task.id, true, &[]).await?;
    let (call, message) = match placed {
        PlacedCall::Dialing(call) => (call, "Call initiated"),
        PlacedCall::Queued(call) => (call, "Call queued: the organization has reached its limit of concurrent calls"),
    };
    Ok(ApiResponse::ok(Executed { call_id: call.to_string(), message }))
}

impl From<PlaceCallError> for ApiError {
    fn from(fault: PlaceCallError) -> Self {
        let message = fault.to_string();
        match fault {
            PlaceCallError::NotFound => Self::not_found("Task"),
            PlaceCallError::NotPending
            | PlaceCallError::AgentGone
            | PlaceCallError::AgentInactive
            | PlaceCallError::OutsideWindow => Self::state(message),
            PlaceCallError::ForeignNumber => Self::field("from_number", "is not a number of this organization"),
            PlaceCallError::VariablesMissing(names) => {
                let text = format!("has no value for {}, which texts of the call name", names.join(", "));
                let mut error = Self::field("context_data", text);
                error.details["missing_variables"] = json!(names);
                error
            }
            PlaceCallError::ProviderMissing(provider) => {
                let mut error = Self::unavailable("provider_not_configured", message);
                error.details["provider"] = json!(provider);
                error
            }
            PlaceCallError::DoNotCall => Self::field("to_number", "is on the do-not-call list of this organization"),
            PlaceCallError::DestinationDenied => Self::field("to_number", "no trunk may call this destination"),
            PlaceCallError::Internal => Self::internal(),
            PlaceCallError::Spent => Self::forbidden("daily_limit_reached", message),
            PlaceCallError::TrunkMissing => Self::unavailable("trunk_not_configured", message),
            PlaceCallError::Busy(_) | PlaceCallError::Overloaded => Self::unavailable("overloaded", message),
            PlaceCallError::Store(error) => error.into(),
        }
    }
}

/// Makes a task pending again; a live call is cancelled first.
#[utoipa::path(post, path = "/tasks/{id}/reset", tag = "tasks", params(IdPath), responses((status = 200, body = TaskBody)))]
pub(super) async fn reset(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let task = find(&api, scope, &id).await?;
    if task.status == TaskStatus::Pending {
        return Err(ApiError::state("The task is pending already"));
    }
    if task.status == TaskStatus::InProgress {
        if !api.live_calls.registry.command_task(scope, task.id, CallCommand::End(EndReason::Canceled)) {
            api.live_calls.cluster.end_task(scope, task.id, EndReason::Canceled).await;
        }
        calls::task_is_free(&api, scope, task.id).await;
    }
    let store = &api.store;
    for from in [TaskStatus::Completed, TaskStatus::Failed, TaskStatus::InProgress] {
        if store.move_task(scope, task.id, from, TaskStatus::Pending, None).await? {
            break;
        }
    }
    let task = find(&api, scope, &id).await?;
    Ok(ApiResponse::ok(TaskBody { task: (&task).into() }))
}
