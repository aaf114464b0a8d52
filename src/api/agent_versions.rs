//! `/agents/{id}/versions`: lists every saved version of an agent and restores one.

use super::agent_view::{AgentBody, AgentView};
use super::agents::{find, saved, stored};
use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{IdPath, QueryParams, VersionPaging};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::agent::Agent;
use crate::store::{AgentVersion, now};
use crate::supervision::in_place;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Map;
use utoipa::ToSchema;

/// One saved version of an agent.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentVersion)]
pub(super) struct VersionView {
    /// Counts from 1; the newest is the agent as it is.
    version: i64,
    /// When the agent was saved in this state (RFC 3339, UTC).
    #[schema(format = "date-time")]
    created_at: String,
    /// The agent as it was.
    agent: AgentView,
}

/// A page of an agent's versions.
#[derive(Serialize, ToSchema)]
#[schema(as = AgentVersionPage)]
pub(super) struct VersionPage {
    /// Versions, newest first.
    versions: Vec<VersionView>,
    total: i64,
    limit: i64,
    offset: i64,
}

fn view(agent: &Agent, version: AgentVersion) -> VersionView {
    let then = Agent { fields: version.fields, updated_at: version.created_at, ..agent.clone() };
    VersionView { version: version.version, created_at: version.created_at.rfc3339(), agent: (&then).into() }
}

/// The states an agent was saved in, newest first; the last 200 are kept.
#[utoipa::path(get, path = "/agents/{id}/versions", tag = "agents", operation_id = "list_versions", params(IdPath, VersionPaging), responses((status = 200, body = VersionPage)))]
pub(super) async fn versions(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    // A page of agents can be large: serialize it away from the async threads.
    let _turn = api.limits.turn(scope).await?;
    let (agent, page) = (find(&api, scope, &id).await?, query.page_of_versions()?);
    let (versions, total) = api.store.agent_versions(scope, agent.id, page).await?;
    let written = || {
        let versions = versions.into_iter().map(|version| view(&agent, version)).collect();
        ApiResponse::ok(VersionPage { versions, total, limit: page.limit, offset: page.offset })
    };
    Ok(in_place(written))
}

/// Restores an earlier version; the restore itself is saved as a new version.
#[utoipa::path(post, path = "/agents/{id}/versions/{version}/restore", tag = "agents", operation_id = "restore_version", params(IdPath, ("version" = i64, Path, description = "Number of the version to restore."), IfMatchHeader), responses((status = 200, body = AgentBody)))]
pub(super) async fn restore(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path((id, version)): Path<(String, String)>,
    if_match: IfMatch,
) -> Result<Versioned, ApiError> {
    let _turn = api.limits.turn(scope).await?;
    let agent = find(&api, scope, &id).await?;
    let missing = || ApiError::not_found("Version");
    let number = version.parse().map_err(|_| missing())?;
    let version = api.store.agent_version(scope, agent.id, number).await?.ok_or_else(missing)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut agent = stored(&api, scope, &id).await?;
        if_match.check(agent.version, &Map::new(), AgentView::from(&agent))?;
        agent.fields = version.fields.clone();
        agent.updated_at = now();
        if api.store.update_agent(scope, &agent).await? {
            return Ok(Versioned(agent.version + 1, ApiResponse::ok(saved(&api, &agent))));
        }
    }
    Err(contended())
}
