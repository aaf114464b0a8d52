//! `/phone-numbers`: which agent answers a number, and over which trunk it comes.

use super::auth::OrgAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed_with};
use super::patch::{Patch, check_rotation, rotate_webhook_secret};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use crate::domain::FieldError;
use crate::domain::agent::check_webhook_secret;
use crate::domain::ids::{AgentId, PhoneNumberId, TrunkId};
use crate::domain::phone_number::{PhoneNumber, read_number};
use crate::domain::secret::{Secret, exposed};
use crate::domain::time::UnixMs;
use crate::domain::webhook_secret::PreviousSecret;
use crate::store::{OrgScope, PhoneNumberFields, PhoneNumberRow, now};
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A phone number that comes in, and who answers it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberFields)]
pub(super) struct PhoneNumberInput {
    /// E.164; separators such as spaces, dots, hyphens and parentheses are left out.
    #[serde(deserialize_with = "read_number")]
    number: String,
    /// The agent that answers. None: the server at `webhook_url` says who does.
    #[serde(default)]
    agent_id: Option<String>,
    /// The trunk over which the number comes, and goes out as `from_number`. None: any trunk of the organization.
    #[serde(default)]
    trunk_id: Option<String>,
    /// What people call the number: 200 characters at most.
    #[serde(default)]
    #[schema(max_length = 200)]
    name: Option<String>,
    /// Where no agent is set: the server that is asked who answers (`{webhook_url}/assistant-request`).
    #[serde(default)]
    #[schema(format = "uri", max_length = 2_048)]
    webhook_url: Option<String>,
    /// Key that signs requests to `webhook_url`, printable ASCII; after `whsec_` it is base64. Never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>, max_length = 1_024)]
    webhook_secret: Option<Secret>,
    /// The secret before the present one: it signs as well until `webhook_rotation_ends_at`. A PATCH with a new
    /// `webhook_secret` and that time alone keeps the stored one here.
    #[serde(default, serialize_with = "exposed")]
    #[schema(write_only, value_type = Option<String>, max_length = 1_024)]
    previous_webhook_secret: Option<Secret>,
    /// Until when the secret before the present one signs, at most 30 days from now. It is set with a new `webhook_secret`.
    #[serde(default)]
    #[schema(format = "date-time")]
    webhook_rotation_ends_at: Option<String>,
}

impl From<&PhoneNumberFields> for PhoneNumberInput {
    fn from(fields: &PhoneNumberFields) -> Self {
        let previous = fields.previous_webhook_secret.as_ref();
        Self {
            number: fields.number.to_string(),
            agent_id: fields.agent.map(|id| id.to_string()),
            trunk_id: fields.trunk.map(|id| id.to_string()),
            name: fields.name.clone(),
            webhook_url: fields.webhook_url.clone(),
            webhook_secret: fields.webhook_secret.clone(),
            previous_webhook_secret: previous.map(|previous| previous.secret.clone()),
            webhook_rotation_ends_at: previous.map(|previous| previous.until.rfc3339()),
        }
    }
}

impl PhoneNumberInput {
    /// The secret before the present one, if it is set with its end.
    fn previous_secret(&self) -> Result<Option<PreviousSecret>, FieldError> {
        let until = "webhook_rotation_ends_at";
        match (&self.previous_webhook_secret, &self.webhook_rotation_ends_at) {
            (None, None) => Ok(None),
            (Some(secret), Some(text)) => {
                check_webhook_secret(Some(secret))
                    .map_err(|fault| FieldError::new("previous_webhook_secret", fault.message))?;
                let wrong = || FieldError::new(until, "must be an RFC 3339 time such as 2026-03-27T12:00:00Z");
                Ok(Some(PreviousSecret { secret: secret.clone(), until: UnixMs::parse(text).ok_or_else(wrong)? }))
            }
            (None, Some(_)) => Err(FieldError::new(until, "must be set together with a new webhook_secret")),
            (Some(_), None) => Err(FieldError::new(until, "must be set together with previous_webhook_secret")),
        }
    }
}

/// A number as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PhoneNumber)]
pub(super) struct PhoneNumberView {
    #[schema(format = "uuid")]
    id: String,
    number: String,
    #[schema(format = "uuid")]
    agent_id: Option<String>,
    #[schema(format = "uuid")]
    trunk_id: Option<String>,
    name: Option<String>,
    webhook_url: Option<String>,
    /// Whether a secret is stored; it is never shown.
    webhook_secret_set: bool,
    /// Until when the secret before it signs as well.
    #[schema(format = "date-time")]
    webhook_rotation_ends_at: Option<String>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&PhoneNumberRow> for PhoneNumberView {
    fn from(row: &PhoneNumberRow) -> Self {
        let previous = row.fields.previous_webhook_secret.as_ref();
        Self {
            id: row.id.to_string(),
            number: row.fields.number.to_string(),
            agent_id: row.fields.agent.map(|id| id.to_string()),
            trunk_id: row.fields.trunk.map(|id| id.to_string()),
            name: row.fields.name.clone(),
            webhook_url: row.fields.webhook_url.clone(),
            webhook_secret_set: row.fields.webhook_secret.is_some(),
            webhook_rotation_ends_at: previous.map(|previous| previous.until.rfc3339()),
            created_at: row.created_at.rfc3339(),
            updated_at: row.updated_at.rfc3339(),
        }
    }
}

/// One phone number.
#[derive(Serialize, ToSchema)]
pub(super) struct PhoneNumberBody {
    /// The phone number.
    phone_number: PhoneNumberView,
}

/// A page of phone numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct PhoneNumberPage {
    /// Phone numbers, newest first.
    phone_numbers: Vec<PhoneNumberView>,
    total: i64,
    limit: i64,
    offset: i64,
}

fn not_e164() -> FieldError {
    FieldError::new("number", "must be an E.164 number such as +31201234567")
}

/// What is wrong with the fields one by one.
fn faults(api: &ApiState, body: &PhoneNumberInput) -> Vec<FieldError> {
    let number = PhoneNumber::parse(&body.number).is_none().then(not_e164);
    let secret = check_webhook_secret(body.webhook_secret.as_ref()).err();
    let url = body.webhook_url.as_deref().and_then(|url| api.addresses.check_webhook("webhook_url", url).err());
    let previous = body.previous_secret().err();
    number.into_iter().chain(secret).chain(url).chain(previous).collect()
}

async fn check(api: &ApiState, scope: OrgScope, object: Map<String, Value>) -> Result<PhoneNumberFields, ApiError> {
    let body: PhoneNumberInput = typed_with(object, Vec::new(), |body| faults(api, body))?;
    let number = PhoneNumber::parse(&body.number).ok_or_else(not_e164)?;
    let store = &api.store;
    let agent = match body.agent_id.as_deref() {
        None => None,
        Some(text) => {
            let unknown = || ApiError::no_reference("agent_id", "is not an agent of this organization");
            let id = AgentId::parse(text).ok_or_else(unknown)?;
            Some(store.agent(scope, id).await?.ok_or_else(unknown)?.id)
        }
    };
    let trunk = match body.trunk_id.as_deref() {
        None => None,
        Some(text) => {
            let unknown = || ApiError::no_reference("trunk_id", "is not a trunk of this organization");
            let id = TrunkId::parse(text).ok_or_else(unknown)?;
            Some(store.trunk(scope, id).await?.ok_or_else(unknown)?.id)
        }
    };
    let previous_webhook_secret = body.previous_secret().map_err(|fault| ApiError::fields(vec![fault]))?;
    let PhoneNumberInput { name, webhook_url, webhook_secret, .. } = body;
    Ok(PhoneNumberFields { number, agent, trunk, name, webhook_url, webhook_secret, previous_webhook_secret })
}

async fn find(api: &ApiState, scope: OrgScope, text: &str) -> Result<PhoneNumberRow, ApiError> {
    let id = id(text, PhoneNumberId::parse, "Phone number")?;
    api.store.phone_number(scope, id).await?.ok_or_else(|| ApiError::not_found("Phone number"))
}

/// The phone numbers of the organization, newest first.
#[utoipa::path(get, path = "/phone-numbers", tag = "phone-numbers", params(Paging), responses((status = 200, body = PhoneNumberPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.store.phone_numbers(scope, page).await?;
    let phone_numbers = rows.iter().map(PhoneNumberView::from).collect();
    Ok(ApiResponse::ok(PhoneNumberPage { phone_numbers, total, limit: page.limit, offset: page.offset }))
}

/// Creates a phone number.
#[utoipa::path(post, path = "/phone-numbers", tag = "phone-numbers", request_body = PhoneNumberInput, responses((status = 201, body = PhoneNumberBody)))]
pub(super) async fn create(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<Versioned, ApiError> {
    object.retain(|_, value| !value.is_null());
    check_rotation(&object, now()).map_err(|fault| ApiError::fields(vec![fault]))?;
    let fields = check(&api, scope, object).await?;
    let row = api.store.create_phone_number(scope, fields).await?;
    Ok(Versioned(row.version, ApiResponse::created(PhoneNumberBody { phone_number: (&row).into() })))
}

/// One phone number.
#[utoipa::path(get, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath), responses((status = 200, body = PhoneNumberBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let row = find(&api, scope, &id).await?;
    Ok(Versioned(row.version, ApiResponse::ok(PhoneNumberBody { phone_number: (&row).into() })))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath, IfMatchHeader), request_body = PhoneNumberInput, responses((status = 200, body = PhoneNumberBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>, if_match: IfMatch,
    mut patch: Patch<PhoneNumberInput>,
) -> Result<Versioned, ApiError> {
    let _turn = api.limits.turn_of_change(patch.take_permit(), scope).await?;
    for _ in 0..ATTEMPTS_MAX {
        let mut row = find(&api, scope, &id).await?;
        if_match.check(row.version, patch.sent(), PhoneNumberView::from(&row))?;
        let mut document = patch.apply(&PhoneNumberInput::from(&row.fields));
        rotate_webhook_secret(&patch, &mut document, &row.fields.webhook_secrets(), now())
            .map_err(|fault| ApiError::fields(vec![fault]))?;
        let checked = check(&api, scope, document).await?;
        if checked.number != row.fields.number {
            return Err(ApiError::field("number", "cannot be changed; delete this number and create another"));
        }
        (row.fields, row.updated_at) = (checked, now());
        if api.store.update_phone_number(scope, &row).await? {
            return Ok(Versioned(row.version + 1, ApiResponse::ok(PhoneNumberBody { phone_number: (&row).into() })));
        }
    }
    Err(contended())
}

/// Deletes a phone number.
#[utoipa::path(delete, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, OrgAuth(scope): OrgAuth, Path(id): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let row = find(&api, scope, &id).await?;
    api.store.delete_phone_number(scope, row.id).await?;
    Ok(ApiResponse::deleted())
}
