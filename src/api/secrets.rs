//! `/secrets`: the organization's own provider keys. They can be stored but never read back.

use super::auth::UserAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed_with};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::call::driver::normalize_base_url;
use crate::domain::FieldError;
use crate::domain::ids::SecretId;
use crate::domain::organization::check_name;
use crate::domain::permission::UserRole;
use crate::domain::provider::ProviderAccount;
use crate::domain::secret::Secret;
use crate::store::SecretRow;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Of an address: hosts have 253 at most.
const BASE_URL_BYTES_MAX: usize = 2_048;

/// A stored provider key, without its text.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
pub(super) struct SecretView {
    #[schema(format = "uuid")]
    id: String,
    /// What people call the key.
    name: String,
    /// The provider whose key it is.
    provider: String,
    /// The only address the key is sent to; null for the provider's default address.
    #[schema(format = "uri")]
    base_url: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&SecretRow> for SecretView {
    fn from(row: &SecretRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name.clone(),
            provider: row.provider.clone(),
            base_url: row.base_url.clone(),
            created_at: row.created_at.rfc3339(),
            updated_at: row.updated_at.rfc3339(),
        }
    }
}

/// One stored key.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretBody {
    /// The key, without its text.
    secret: SecretView,
}

/// A page of stored keys.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretPage {
    /// Keys, newest first.
    secrets: Vec<SecretView>,
    total: i64,
    limit: i64,
    offset: i64,
    /// Id of the key that `xai` and `xai_realtime` share.
    #[schema(format = "uuid")]
    xai_secret_id: Option<String>,
}

/// A provider key to store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecretFields)]
pub(super) struct SecretInput {
    /// What people call the key: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Our OpenAI account")]
    name: String,
    /// `xai` is also the key of `xai_realtime`.
    provider: ProviderAccount,
    /// The provider's key; never returned.
    #[schema(value_type = String, min_length = 1, max_length = 4096)]
    value: Secret,
    /// The only `base_url` this key is sent to; without it, the provider's default address.
    #[serde(default)]
    #[schema(format = "uri", max_length = 2048)]
    base_url: Option<String>,
}

fn faults(input: &SecretInput) -> Vec<FieldError> {
    let value = input.value.expose();
    let is_key = !value.trim().is_empty() && value.len() <= 4_096 && value.is_ascii();
    let wrong = |is_right: bool, field: &str, message: &str| (!is_right).then(|| FieldError::new(field, message));
    let faults = [
        check_name(&input.name).err(),
        wrong(is_key, "value", "must have 1 to 4096 ASCII characters"),
        wrong(input.provider.needs_key(), "provider", "needs no key"),
    ];
    faults.into_iter().flatten().collect()
}

/// The stored keys, without their text.
#[utoipa::path(get, path = "/secrets", tag = "secrets", security(("session" = [])), params(Paging), responses((status = 200, body = SecretPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.store.secrets(person.scope(), page).await?;
    let secrets: Vec<SecretView> = rows.iter().map(SecretView::from).collect();
    let xai_secret_id =
        secrets.iter().find(|one| one.provider == "xai" && one.base_url.is_none()).map(|secret| secret.id.clone());
    Ok(ApiResponse::ok(SecretPage { secrets, total, limit: page.limit, offset: page.offset, xai_secret_id }))
}

/// Stores the key of a provider, or of your own server at `base_url`, in place of the one before. Calls of the
/// organization use it at that address instead of the server's.
#[utoipa::path(post, path = "/secrets", tag = "secrets", security(("session" = [])), request_body = SecretInput, responses((status = 201, body = SecretBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, person: UserAuth, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let input: SecretInput = typed_with(object, Vec::new(), faults)?;
    person.require(UserRole::Admin)?;
    let value = input.value.expose();
    let Some(master) = &api.accounts.master_key else {
        return Err(ApiError::unavailable("master_key_not_configured", "secrets.master_key is not configured"));
    };
    let provider = input.provider.name();
    let base_url = input.base_url.as_deref().map(|url| checked_base(&api, url)).transpose()?;
    let (store, value) = (&api.store, value.trim());
    let stored = store.put_secret(person.scope(), master, &input.name, provider, base_url.as_deref(), value).await?;
    let Some(row) = stored else {
        let message = "Other processes on this database have another secrets.master_key";
        return Err(ApiError::unavailable("master_key_mismatch", message));
    };
    person.audit(&api, "secret.put", row.id).await?;
    Ok(ApiResponse::created(SecretBody { secret: (&row).into() }))
}

/// An address that a key may be for, as it is compared with those of agents.
fn checked_base(api: &ApiState, url: &str) -> Result<String, ApiError> {
    if url.len() > BASE_URL_BYTES_MAX {
        return Err(ApiError::field("base_url", format!("must not be longer than {BASE_URL_BYTES_MAX} bytes")));
    }
    api.addresses.providers.check_base_url(url).map_err(|why| ApiError::field("base_url", why.to_string()))?;
    Ok(normalize_base_url(url))
}

/// Forgets a key.
#[utoipa::path(delete, path = "/secrets/{id}", tag = "secrets", security(("session" = [])), params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let id = id(&text, SecretId::parse, "Secret")?;
    person.require(UserRole::Admin)?;
    if !api.store.delete_secret(person.scope(), id).await? {
        return Err(ApiError::not_found("Secret"));
    }
    person.audit(&api, "secret.delete", id).await?;
    Ok(ApiResponse::deleted())
}
