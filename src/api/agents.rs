//! `/agents`.

use super::agent_view::{AgentBody, AgentView};
use super::auth::OrgAuth;
use super::error::ApiError;
use super::field_selection::{FieldSelection, Selected};
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, unify, validated};
use super::patch::{Patch, check_rotation, rotate_webhook_secret};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use super::tool_secrets;
use crate::domain::FieldError;
use crate::domain::agent::{ALIASES, Agent, AgentFields};
use crate::domain::ids::AgentId;
use crate::store::{OrgScope, now};
use crate::supervision::in_place;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A page of agents.
#[derive(Serialize, ToSchema)]
pub(super) struct AgentPage {
    /// Agents, newest first.
    #[schema(value_type = Vec<AgentView>)]
    agents: Vec<Selected<AgentView>>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// Fields that hold JSON schemas. A change to other fields does not validate these again.
const HOLDS_SCHEMAS: [&str; 2] = ["llm_config", "analysis_plan"];

async fn fields(api: &ApiState, scope: OrgScope, object: Map<String, Value>) -> Result<AgentFields, ApiError> {
    checked_schemas(api, scope, fields_but_schemas(api, object)?).await
}

fn fields_but_schemas(api: &ApiState, object: Map<String, Value>) -> Result<AgentFields, ApiError> {
    validated(object, Vec::new(), |fields| api.addresses.faults(fields))
}

/// Compiles the schemas on the schema workers, because it may take longer than other requests should wait.
async fn checked_schemas(api: &ApiState, scope: OrgScope, fields: AgentFields) -> Result<AgentFields, ApiError> {
    if fields.has_no_schemas() {
        return Ok(fields);
    }
    let checked = api.schemas.of_request(scope, move || fields.check_schemas("").map(|()| fields)).await;
    let busy = |_| ApiError::unavailable("overloaded", "The schemas cannot be checked now");
    Ok(checked.map_err(busy)??)
}

/// Whether each agent that calls may be handed to is one of the organization, and can take them. What changes later is
/// found during the call.
async fn check_handovers(
    api: &ApiState, scope: OrgScope, own: Option<AgentId>, fields: &AgentFields,
) -> Result<(), ApiError> {
    for (index, target) in fields.handovers().iter().enumerate() {
        let refused = |why: &str| FieldError::new(format!("handover_config.agents[{index}].agent_id"), why);
        let Some(id) = target.agent() else { continue };
        if Some(id) == own {
            return Err(refused("must be another agent").into());
        }
        match api.store.shared_agent(scope, id).await? {
            None => return Err(refused("is not an agent of the organization").into()),
            Some(agent) if agent.fields.is_realtime() => {
                return Err(refused("has a realtime model, which cannot take a call over from STT, LLM and TTS").into());
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn unify_names(object: &mut Map<String, Value>) -> Result<(), ApiError> {
    ALIASES.iter().try_for_each(|(canonical, alias)| unify(object, canonical, alias))
}

pub(super) async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<Agent, ApiError> {
    let id = id(text, AgentId::parse, "Agent")?;
    api.store.agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))
}

/// The agent as the database has it now, for changes.
pub(super) async fn stored(api: &ApiState, scope: OrgScope, text: &str) -> Result<Agent, ApiError> {
    let id = id(text, AgentId::parse, "Agent")?;
    api.store.stored_agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))
}

/// The agents of the organization, newest first.
#[utoipa::path(get, path = "/agents", tag = "agents", params(Paging, ("fields" = Option<String>, Query, description = "Only these fields of each entry, separated by commas, such as `id,status`: a list of large documents stays small.", min_length = 1, max_length = 500), ("enabled" = Option<bool>, Query, description = "Only agents that are or are not enabled.")), responses((status = 200, body = AgentPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let (page, fields) = (query.page()?, FieldSelection::read::<AgentView>(&query)?);
    let enabled = match query.flag("enabled")? {
        Some(enabled) => Some(enabled),
        None => query.flag("is_active")?,
    };
    // A page of large documents is large.
    let _turn = api.limits.turn(scope).await?;
    let (agents, total) = api.store.agents(scope, enabled, page).await?;
    let written = || {
        let agents = agents.iter().map(|agent| fields.apply(AgentView::from(agent))).collect();
        ApiResponse::ok(AgentPage { agents, total, limit: page.limit, offset: page.offset })
    };
    Ok(in_place(written))
}

/// The answer to a change, with what this server lacks for the agent. What it has is loaded.
pub(super) fn saved(api: &ApiState, agent: &Agent) -> AgentBody {
    let warnings = api.accounts.warnings(&agent.fields);
    api.accounts.prepare(&agent.fields);
    AgentBody { agent: agent.into(), warnings }
}

/// Creates an agent.
#[utoipa::path(post, path = "/agents", tag = "agents", request_body = AgentFields, responses((status = 201, body = AgentBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    object.retain(|_, value| !value.is_null());
    unify_names(&mut object)?;
    check_rotation(&object, now()).map_err(|fault| ApiError::fields(vec![fault]))?;
    let fields = fields(&api, scope, object).await?;
    check_handovers(&api, scope, None, &fields).await?;
    let agent = api.store.create_agent(scope, fields).await?;
    Ok(Versioned(agent.version, ApiResponse::created(saved(&api, &agent))))
}

/// One agent.
#[utoipa::path(get, path = "/agents/{id}", tag = "agents", params(IdPath), responses((status = 200, body = AgentBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let id = self::id(&id, AgentId::parse, "Agent")?;
    let agent = api.store.shared_agent(scope, id).await?.ok_or_else(|| ApiError::not_found("Agent"))?;
    Ok(Versioned(agent.version, ApiResponse::written(api.written.agent(&agent))))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/agents/{id}", tag = "agents", params(IdPath, IfMatchHeader), request_body = AgentFields, responses((status = 200, body = AgentBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, if_match: IfMatch,
    mut patch: Patch<AgentFields>,
) -> Result<Versioned, ApiError> {
    unify_names(patch.sent_mut())?;
    let _turn = api.limits.turn_of_change(patch.take_permit(), scope).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut agent = stored(&api, scope, &id).await?;
        if_match.check(agent.version, patch.sent(), AgentView::from(&agent))?;
        let mut document = in_place(|| patch.apply(&agent.fields));
        rotate_webhook_secret(&patch, &mut document, &agent.fields.webhook_secrets(), now())
            .map_err(|fault| ApiError::fields(vec![fault]))?;
        if patch.change("llm_config").is_some() {
            ApiError::unless_empty(tool_secrets::keep(&mut document, &agent.fields))?;
        }
        agent.fields = match HOLDS_SCHEMAS.iter().any(|name| patch.change(name).is_some()) {
            true => fields(&api, scope, document).await?,
            false => fields_but_schemas(&api, document)?,
        };
        if patch.change("handover_config").is_some() {
            check_handovers(&api, scope, Some(agent.id), &agent.fields).await?;
        }
        agent.updated_at = now();
        if api.store.update_agent(scope, &agent).await? {
            return Ok(Versioned(agent.version + 1, ApiResponse::ok(saved(&api, &agent))));
        }
    }
    Err(contended())
}

/// Deletes an agent.
#[utoipa::path(delete, path = "/agents/{id}", tag = "agents", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let agent = find(&api, scope, &id).await?;
    if !api.store.delete_agent(scope, agent.id).await? {
        return Err(ApiError::state("The agent has tasks that are pending or in progress"));
    }
    Ok(ApiResponse::deleted())
}
