//! `/api-keys`: people create, list, regenerate and delete API keys. The key text is shown once.

use super::auth::UserAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed_with};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::ids::ApiKeyId;
use crate::domain::organization::check_name;
use crate::domain::permission::{KeyScope, UserRole};
use crate::domain::secret::{Secret, exposed};
use crate::domain::time::UnixMs;
use crate::store::{ApiKeyRow, CreatedApiKey};
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An API key, without its text.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct ApiKeyView {
    #[schema(format = "uuid")]
    id: String,
    /// What people call the key.
    name: String,
    /// The first characters, to recognise it by.
    prefix: String,
    /// What it may do; `null`: everything.
    scopes: Option<Vec<KeyScope>>,
    /// When the key stops working (RFC 3339, UTC); `null`: never.
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// When a request last used it (RFC 3339, UTC), to the minute; `null`: never.
    #[schema(format = "date-time")]
    last_used_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
}

impl From<&ApiKeyRow> for ApiKeyView {
    fn from(row: &ApiKeyRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            prefix: row.prefix.clone(),
            scopes: row.scopes.clone(),
            expires_at: row.expires_at.map(UnixMs::rfc3339),
            last_used_at: row.last_used_at.map(UnixMs::rfc3339),
            created_at: row.created_at.rfc3339(),
        }
    }
}

/// A key with its text, the only time it is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = NewApiKey)]
pub(super) struct NewKeyView {
    #[serde(flatten)]
    row: ApiKeyView,
    /// `va_…`; shown once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    key: Secret,
}

impl From<CreatedApiKey> for NewKeyView {
    fn from(made: CreatedApiKey) -> Self {
        Self { row: (&made.row).into(), key: made.text }
    }
}

/// A key with its text, which is shown only here.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKeyBody {
    /// The key.
    api_key: NewKeyView,
}

/// A page of API keys.
#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeyPage {
    /// Keys, newest first.
    api_keys: Vec<ApiKeyView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// An API key to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApiKeyFields)]
pub(super) struct ApiKeyInput {
    /// What people call the key: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "CRM")]
    name: String,
    /// Without any the key may do everything.
    #[serde(default)]
    #[schema(min_items = 1)]
    scopes: Option<Vec<KeyScope>>,
    /// After this time the key stops working.
    #[serde(default)]
    #[schema(format = "date-time")]
    expires_at: Option<String>,
}

impl ApiKeyInput {
    fn expires_at(&self) -> Result<Option<UnixMs>, FieldError> {
        let no_time = || FieldError::new("expires_at", "must be an RFC 3339 time such as 2026-03-27T12:00:00Z");
        self.expires_at.as_deref().map(|text| UnixMs::parse(text).ok_or_else(no_time)).transpose()
    }
}

fn faults(input: &ApiKeyInput) -> Vec<FieldError> {
    let no_scope = || FieldError::new("scopes", "must not be empty; leave it out for a key that may do everything");
    let scopes = input.scopes.as_ref().is_some_and(Vec::is_empty).then(no_scope);
    check_name(&input.name).err().into_iter().chain(scopes).chain(input.expires_at().err()).collect()
}

/// The keys of the organization, newest first, without secret values.
#[utoipa::path(get, path = "/api-keys", tag = "api-keys", security(("session" = [])), params(Paging), responses((status = 200, body = ApiKeyPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.store.keys(person.scope(), page).await?;
    let api_keys = rows.iter().map(ApiKeyView::from).collect();
    Ok(ApiResponse::ok(ApiKeyPage { api_keys, total, limit: page.limit, offset: page.offset }))
}

/// Creates a key. The response is the only place where its text appears.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", security(("session" = [])), request_body = ApiKeyInput, responses((status = 201, body = NewKeyBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, person: UserAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let input: ApiKeyInput = typed_with(object, Vec::new(), faults)?;
    person.require(UserRole::Admin)?;
    let expires_at = input.expires_at()?;
    let made = api.store.create_key(person.scope(), &input.name, input.scopes, expires_at).await?;
    person.audit(&api, "api_key.create", made.row.id).await?;
    Ok(ApiResponse::created(NewKeyBody { api_key: made.into() }))
}

/// Deletes a key; it stops working at once.
#[utoipa::path(delete, path = "/api-keys/{id}", tag = "api-keys", security(("session" = [])), params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let id = id(&text, ApiKeyId::parse, "API key")?;
    person.require(UserRole::Admin)?;
    if !api.store.delete_key(person.scope(), id).await? {
        return Err(ApiError::not_found("API key"));
    }
    person.audit(&api, "api_key.delete", id).await?;
    Ok(ApiResponse::deleted())
}

/// Generates a new text for the same key; the old text stops working.
#[utoipa::path(post, path = "/api-keys/{id}/regenerate", tag = "api-keys", security(("session" = [])), params(IdPath), responses((status = 200, body = NewKeyBody)))]
pub(super) async fn regenerate(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let id = id(&text, ApiKeyId::parse, "API key")?;
    person.require(UserRole::Admin)?;
    let made = api.store.regenerate_key(person.scope(), id).await?;
    let made = made.ok_or_else(|| ApiError::not_found("API key"))?;
    person.audit(&api, "api_key.regenerate", id).await?;
    Ok(ApiResponse::ok(NewKeyBody { api_key: made.into() }))
}
