//! `/audit-log`: who managed what.

use super::auth::UserAuth;
use super::error::ApiError;
use super::input::{Paging, QueryParams};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::permission::UserRole;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// A change that was made, or a command to a call.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditEntryView {
    #[schema(format = "uuid")]
    id: String,
    /// E-mail address of the person; `api_key:` and its id where a key was used.
    actor: String,
    /// What was done, such as `api_key.create` or `call.say`.
    action: String,
    /// Id of the changed object.
    target: Option<String>,
    /// When (RFC 3339, UTC).
    #[schema(format = "date-time")]
    at: String,
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// Changes, newest first.
    entries: Vec<AuditEntryView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// What people changed, and commands to calls, newest first.
#[utoipa::path(get, path = "/audit-log", tag = "audit-log", security(("session" = [])), params(Paging), responses((status = 200, body = AuditPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    person.require(UserRole::Admin)?;
    let (rows, total) = api.store.audit_log(person.scope(), page).await?;
    let entry = |row: crate::store::AuditEntry| AuditEntryView {
        id: row.id,
        actor: row.actor,
        action: row.action,
        target: row.target,
        at: row.at.rfc3339(),
    };
    let entries = rows.into_iter().map(entry).collect();
    Ok(ApiResponse::ok(AuditPage { entries, total, limit: page.limit, offset: page.offset }))
}
