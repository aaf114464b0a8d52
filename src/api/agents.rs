//! `/agents`.

use super::Api;
use super::auth::Caller;
use super::envelope::Answer;
use super::error::ApiError;
use super::input::{Object, Query, id, merge, typed, unify};
use crate::domain::agent::{Agent, AgentFields};
use crate::domain::ids::AgentId;
use crate::store::{OrgScope, now};
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

/// An agent as clients see it: both names of the fields that have two, secrets only as "is set".
pub(super) fn view(agent: &Agent) -> Value {
    let mut fields = serde_json::to_value(&agent.fields).unwrap_or_default();
    fields["webhook_secret_set"] = json!(agent.fields.webhook_secret.is_some());
    if let Value::Object(fields) = &mut fields {
        fields.remove("webhook_secret");
    }
    fields["id"] = json!(agent.id.to_string());
    fields["organization_id"] = json!(agent.organization.to_string());
    fields["starting_message"] = json!(agent.fields.first_message);
    fields["enabled"] = json!(agent.fields.is_active);
    fields["created_at"] = json!(agent.created_at.rfc3339());
    fields["updated_at"] = json!(agent.updated_at.rfc3339());
    fields
}

fn fields(object: Map<String, Value>) -> Result<AgentFields, ApiError> {
    let fields: AgentFields = typed(object)?;
    fields.validate()?;
    Ok(fields)
}

fn unify_names(object: &mut Map<String, Value>) -> Result<(), ApiError> {
    unify(object, "first_message", "starting_message")?;
    unify(object, "is_active", "enabled")
}

pub(super) async fn find(api: &Api, scope: OrgScope, text: &str) -> Result<Agent, ApiError> {
    let id = id(text, AgentId::parse, "Agent")?;
    api.context.store.agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))
}

pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let enabled = match query.flag("enabled")? {
        Some(enabled) => Some(enabled),
        None => query.flag("is_active")?,
    };
    let (agents, total) = api.context.store.agents(scope, enabled, page).await?;
    let agents: Vec<Value> = agents.iter().map(view).collect();
    Ok(Answer::ok(json!({"agents": agents, "total": total, "limit": page.limit, "offset": page.offset})))
}

pub(super) async fn create(
    State(api): State<Api>, Caller(scope): Caller, Object(mut object): Object,
) -> Result<Answer, ApiError> {
    unify_names(&mut object)?;
    object.retain(|_, value| !value.is_null());
    let agent = api.context.store.create_agent(scope, fields(object)?).await?;
    Ok(Answer::created(json!({"agent": view(&agent)})))
}

pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    Ok(Answer::ok(json!({"agent": view(&find(&api, scope, &id).await?)})))
}

pub(super) async fn update(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>, Object(mut changes): Object,
) -> Result<Answer, ApiError> {
    let mut agent = find(&api, scope, &id).await?;
    unify_names(&mut changes)?;
    let Ok(Value::Object(mut document)) = serde_json::to_value(&agent.fields) else {
        return Err(ApiError::not_found("Agent"));
    };
    document.retain(|_, value| !value.is_null());
    merge(&mut document, changes);
    agent.fields = fields(document)?;
    agent.updated_at = now();
    api.context.store.update_agent(scope, &agent).await?;
    Ok(Answer::ok(json!({"agent": view(&agent)})))
}

pub(super) async fn delete(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let agent = find(&api, scope, &id).await?;
    if !api.context.store.delete_agent(scope, agent.id).await? {
        return Err(ApiError::state("The agent has tasks that are pending or in progress"));
    }
    Ok(Answer::deleted())
}
