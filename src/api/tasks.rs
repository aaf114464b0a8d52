//! `/tasks`: calls to be made, and making them.

use super::Api;
use super::agents::AgentView;
use super::auth::Caller;
use super::calls;
use super::envelope::{Answer, Deleted};
use super::error::ApiError;
use super::input::{IdPath, Object, Paging, Query, id, merge, typed};
use crate::call::driver::{OutboundOrder, outbound};
use crate::call::registry::Command;
use crate::domain::agent::Agent;
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId, TaskId};
use crate::domain::phone_number::Destination;
use crate::domain::speech::{LlmProvider, TtsProvider};
use crate::domain::task::{Task, TaskFields, TaskStatus};
use crate::domain::trunk::Trunk;
use crate::store::{OrgScope, Page, now};
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
    #[schema(format = "uuid")]
    agent_id: String,
    /// Only where one task is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentView>,
    /// `pending`, `in_progress`, `completed` or `failed`.
    status: &'static str,
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
            agent: None,
            status: task.status.name(),
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
            created_at: task.created_at.rfc3339(),
            updated_at: task.updated_at.rfc3339(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct TaskBody {
    task: TaskView,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TaskPage {
    tasks: Vec<TaskView>,
    total: i64,
    limit: i64,
    offset: i64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Executed {
    /// The call that is being set up.
    #[schema(format = "uuid")]
    call_id: String,
    message: &'static str,
}

async fn find(api: &Api, scope: OrgScope, text: &str) -> Result<Task, ApiError> {
    let id = id(text, TaskId::parse, "Task")?;
    api.context.store.task(scope, id).await?.ok_or_else(|| ApiError::not_found("Task"))
}

/// Splits the agent off and checks both; the agent has to be one of the organization.
async fn check(api: &Api, scope: OrgScope, mut object: Map<String, Value>) -> Result<(AgentId, TaskFields), ApiError> {
    let agent = match object.remove("agent_id") {
        Some(Value::String(text)) => {
            let unknown = || ApiError::field("agent_id", "is not an agent of this organization");
            let id = AgentId::parse(&text).ok_or_else(unknown)?;
            api.context.store.agent(scope, id).await?.ok_or_else(unknown)?.id
        }
        Some(_) => return Err(ApiError::field("agent_id", "must be a string")),
        None => return Err(ApiError::field("agent_id", "is required")),
    };
    let fields: TaskFields = typed(object)?;
    fields.validate()?;
    if fields.webhook_url.as_deref().is_some_and(|url| !url.starts_with("https://")) {
        return Err(ApiError::field("webhook_url", "must be an HTTPS URL"));
    }
    if let Some(Destination::SipUri(_)) = Destination::parse(&fields.to_number)
        && !trunks(api, scope).await?.iter().any(|trunk| trunk.fields.allow_sip_uri)
    {
        return Err(ApiError::field("to_number", "a SIP URI needs a trunk with allow_sip_uri"));
    }
    Ok((agent, fields))
}

async fn trunks(api: &Api, scope: OrgScope) -> Result<Vec<Trunk>, ApiError> {
    Ok(api.context.store.trunks(scope, Page { limit: 1_000, offset: 0 }).await?.0)
}

/// The tasks of the organization, newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks", params(Paging, ("agent_id" = Option<String>, Query, format = "uuid"), ("status" = Option<TaskStatus>, Query)), responses((status = 200, body = TaskPage)))]
pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let agent = query.value("agent_id", AgentId::parse, "a UUID")?;
    let status = query.value("status", TaskStatus::parse, "one of pending, in_progress, completed, failed")?;
    let (tasks, total) = api.context.store.tasks(scope, agent, status, page).await?;
    let tasks = tasks.iter().map(TaskView::from).collect();
    Ok(Answer::ok(TaskPage { tasks, total, limit: page.limit, offset: page.offset }))
}

/// Creates a task.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = TaskFields, responses((status = 201, body = TaskBody)))]
pub(super) async fn create(
    State(api): State<Api>, Caller(scope): Caller, Object(mut object): Object,
) -> Result<Answer, ApiError> {
    object.retain(|_, value| !value.is_null());
    let (agent, fields) = check(&api, scope, object).await?;
    let task = api.context.store.create_task(scope, agent, fields).await?;
    Ok(Answer::created(TaskBody { task: (&task).into() }))
}

/// One task.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks", params(IdPath), responses((status = 200, body = TaskBody)))]
pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let task = find(&api, scope, &id).await?;
    let agent = api.context.store.agent(scope, task.agent).await?;
    let view = TaskView { agent: agent.as_ref().map(AgentView::from), ..(&task).into() };
    Ok(Answer::ok(TaskBody { task: view }))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/tasks/{id}", tag = "tasks", params(IdPath), request_body = TaskFields, responses((status = 200, body = TaskBody)))]
pub(super) async fn update(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>, Object(changes): Object,
) -> Result<Answer, ApiError> {
    let mut task = find(&api, scope, &id).await?;
    let not_pending = || ApiError::state("Only a pending task can be changed");
    if task.status != TaskStatus::Pending {
        return Err(not_pending());
    }
    let Ok(Value::Object(mut document)) = serde_json::to_value(&task.fields) else {
        return Err(ApiError::not_found("Task"));
    };
    document.retain(|_, value| !value.is_null());
    document.insert("agent_id".to_owned(), json!(task.agent.to_string()));
    merge(&mut document, changes);
    (task.agent, task.fields) = check(&api, scope, document).await?;
    task.updated_at = now();
    if !api.context.store.update_task(scope, &task).await? {
        return Err(not_pending());
    }
    Ok(Answer::ok(TaskBody { task: (&task).into() }))
}

/// Deletes a task.
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let task = find(&api, scope, &id).await?;
    if !api.context.store.delete_task(scope, task.id).await? {
        return Err(ApiError::state("Only a pending or failed task can be deleted"));
    }
    Ok(Answer::deleted())
}

/// Calls the number of a pending task; answers while the call is being set up.
#[utoipa::path(post, path = "/tasks/{id}/execute", tag = "tasks", params(IdPath), responses((status = 200, body = Executed)))]
pub(super) async fn execute(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let task = find(&api, scope, &id).await?;
    let not_pending = || ApiError::state("Only a pending task can be executed");
    if task.status != TaskStatus::Pending {
        return Err(not_pending());
    }
    let agent =
        api.context.store.agent(scope, task.agent).await?.ok_or_else(|| ApiError::state("The task's agent is gone"))?;
    if !agent.fields.is_active {
        return Err(ApiError::state("The task's agent is not active"));
    }
    require_providers(&api, &agent)?;
    let (trunk, from_number) = choose_trunk(&api, scope, &task).await?;
    if api.context.registry.count() >= api.context.limits.calls_max {
        return Err(ApiError::unavailable("overloaded", "This server holds as many calls as it may"));
    }
    if !api.context.store.move_task(scope, task.id, TaskStatus::Pending, TaskStatus::InProgress).await? {
        return Err(not_pending());
    }
    let call = CallId::new();
    outbound(api.context.clone(), OutboundOrder { scope, call, task, agent, trunk, from_number }).await;
    Ok(Answer::ok(Executed { call_id: call.to_string(), message: "Call initiated" }))
}

/// A provider without a key or a client cannot hold the call: said before anybody's phone rings.
fn require_providers(api: &Api, agent: &Agent) -> Result<(), ApiError> {
    let providers = &api.context.providers;
    let missing = |name: &str| {
        let mut error =
            ApiError::unavailable("provider_not_configured", format!("The provider {name} is not configured"));
        error.details["provider"] = json!(name);
        Err(error)
    };
    if providers.deepgram.api_key.is_none() {
        return missing("deepgram");
    }
    match agent.fields.llm_config.as_ref().map_or(LlmProvider::Openai, |c| c.provider) {
        LlmProvider::Openai if providers.openai.api_key.is_some() => {}
        LlmProvider::Openai => return missing("openai"),
        LlmProvider::Anthropic => return missing("anthropic"),
        LlmProvider::Groq => return missing("groq"),
        LlmProvider::Mistral => return missing("mistral"),
        LlmProvider::Xai | LlmProvider::XaiRealtime => return missing("xai"),
    }
    match agent.fields.tts_config.as_ref().map(|c| c.provider) {
        Some(TtsProvider::Openai) if providers.openai.api_key.is_none() => missing("openai"),
        Some(TtsProvider::Elevenlabs) if providers.elevenlabs.api_key.is_none() => missing("elevenlabs"),
        Some(TtsProvider::Cartesia) => missing("cartesia"),
        _ => Ok(()),
    }
}

/// The trunk of the number the task calls from; without one, the first trunk that can call out.
async fn choose_trunk(api: &Api, scope: OrgScope, task: &Task) -> Result<(Trunk, Option<String>), ApiError> {
    let store = &api.context.store;
    let (numbers, _) = store.phone_numbers(scope, Page { limit: 1_000, offset: 0 }).await?;
    let wanted = task.fields.from_number.as_deref();
    let number = match wanted {
        Some(wanted) => {
            let own = numbers.into_iter().find(|row| row.number.as_str() == wanted);
            Some(own.ok_or_else(|| ApiError::field("from_number", "is not a number of this organization"))?)
        }
        None => numbers.iter().find(|row| row.agent == Some(task.agent)).or(numbers.first()).cloned(),
    };
    let is_uri = matches!(Destination::parse(&task.fields.to_number), Some(Destination::SipUri(_)));
    let usable = |trunk: &Trunk| trunk.fields.host.is_some() && (!is_uri || trunk.fields.allow_sip_uri);
    let mut trunks = trunks(api, scope).await?;
    trunks.reverse(); // oldest first
    let of_number = number.as_ref().and_then(|row| row.trunk);
    let chosen = trunks
        .iter()
        .find(|trunk| Some(trunk.id) == of_number && usable(trunk))
        .or_else(|| trunks.iter().find(|trunk| usable(trunk)))
        .cloned();
    let trunk = chosen
        .ok_or_else(|| ApiError::unavailable("trunk_not_configured", "No trunk of this organization can call out"))?;
    Ok((trunk, number.map(|row| row.number.to_string())))
}

/// Makes a task pending again; a live call is cancelled first.
#[utoipa::path(post, path = "/tasks/{id}/reset", tag = "tasks", params(IdPath), responses((status = 200, body = TaskBody)))]
pub(super) async fn reset(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let task = find(&api, scope, &id).await?;
    if task.status == TaskStatus::Pending {
        return Err(ApiError::state("The task is pending already"));
    }
    if task.status == TaskStatus::InProgress {
        api.context.registry.command_task(scope, task.id, Command::End(EndReason::Canceled));
        calls::task_is_free(&api, scope, task.id).await;
    }
    let store = &api.context.store;
    for from in [TaskStatus::Completed, TaskStatus::Failed, TaskStatus::InProgress] {
        if store.move_task(scope, task.id, from, TaskStatus::Pending).await? {
            break;
        }
    }
    let task = find(&api, scope, &id).await?;
    Ok(Answer::ok(TaskBody { task: (&task).into() }))
}
