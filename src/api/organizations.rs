//! `/organizations`: the user's organization and those below it.

use super::api_keys::NewKeyView;
use super::auth::UserAuth;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed, typed_with};
use super::precondition::{ATTEMPTS_MAX, IfMatch, IfMatchHeader, Versioned, contended};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::ids::OrganizationId;
use crate::domain::login_address::LoginAddress;
use crate::domain::organization::{Organization, OrganizationLimits, check_name};
use crate::domain::permission::UserRole;
use crate::domain::secret::{Secret, exposed};
use crate::domain::{FieldError, faults};
use crate::store::now;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Milliseconds the owner of a new organization has to accept the invitation.
const INVITATION_MS: i64 = 14 * 86_400_000;

#[derive(Serialize, ToSchema)]
#[schema(as = Organization)]
pub(super) struct OrganizationView {
    #[schema(format = "uuid")]
    id: String,
    /// What people call the organization.
    name: String,
    /// The organization above this one; `null` for the topmost.
    #[schema(format = "uuid")]
    parent_org_id: Option<String>,
    /// Who pays: itself, or the root of its parents.
    #[schema(format = "uuid")]
    billing_org_id: String,
    /// Calls at once, those of all organizations below included; `null`: no limit of its own.
    max_concurrent_calls: Option<u32>,
    /// New calls a second, those of all organizations below included; `null`: no limit of its own.
    calls_per_second: Option<f64>,
    /// Of answered calls in a UTC day, of everything below too; no call begins beyond them.
    max_minutes_per_day: Option<u32>,
    /// In a UTC day, in the price table's currency; no call begins beyond it.
    max_spend_per_day: Option<f64>,
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&Organization> for OrganizationView {
    fn from(one: &Organization) -> Self {
        Self {
            id: one.id.to_string(),
            name: one.name.clone(),
            parent_org_id: one.parent.map(|id| id.to_string()),
            billing_org_id: one.billed_to.to_string(),
            max_concurrent_calls: one.limits.max_concurrent_calls,
            calls_per_second: one.limits.calls_per_second,
            max_minutes_per_day: one.limits.max_minutes_per_day,
            max_spend_per_day: one.limits.max_spend_per_day,
            created_at: one.created_at.rfc3339(),
            updated_at: one.updated_at.rfc3339(),
        }
    }
}

/// One organization.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganizationBody {
    /// The organization.
    organization: OrganizationView,
}

/// A new organization with its first key.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganizationCreated {
    /// The organization.
    organization: OrganizationView,
    /// Shown once.
    api_key: NewKeyView,
    /// For `owner_email`: what `POST /invitations/accept` takes. Shown once.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schema(value_type = Option<String>)]
    invitation_token: Option<Secret>,
}

/// A page of organizations.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganizationPage {
    /// The own organization and those below it.
    organizations: Vec<OrganizationView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// An organization to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrganizationFields)]
pub(super) struct OrganizationInput {
    /// What people call the organization: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200, example = "Reseller's customer")]
    name: String,
    /// The new organization is below this one and bills to its root. Without it: 403, the operator makes those.
    #[serde(default)]
    #[schema(format = "uuid")]
    parent_org_id: Option<String>,
    /// Invited to own it.
    #[serde(default)]
    #[schema(format = "email", max_length = 320)]
    owner_email: Option<String>,
    /// Calls at once, 1 to 100,000; further tasks wait, further callers are refused. None: the parent's limit alone.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    max_concurrent_calls: Option<u32>,
    /// New calls a second, 0.01 to 1,000. None: the parent's limit alone.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 1_000)]
    calls_per_second: Option<f64>,
    /// Minutes of answered calls in a UTC day, 1 to 10,000,000. None: the parent's limit alone.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000_000)]
    max_minutes_per_day: Option<u32>,
    /// Spend in a UTC day in the price table's currency, 0.01 to 10,000,000. None: the parent's limit alone.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 10_000_000)]
    max_spend_per_day: Option<f64>,
}

impl OrganizationInput {
    fn owner(&self) -> Result<Option<LoginAddress>, FieldError> {
        let no_address = || FieldError::new("owner_email", "is not an e-mail address");
        self.owner_email.as_deref().map(|email| LoginAddress::parse(email).ok_or_else(no_address)).transpose()
    }

    fn limits(&self) -> OrganizationLimits {
        OrganizationLimits {
            max_concurrent_calls: self.max_concurrent_calls,
            calls_per_second: self.calls_per_second,
            max_minutes_per_day: self.max_minutes_per_day,
            max_spend_per_day: self.max_spend_per_day,
        }
    }
}

/// What changes of an organization.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganizationPatch {
    /// What people call the organization: 1 to 200 characters.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Calls at once, 1 to 100,000; `null` removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    max_concurrent_calls: Option<Option<u32>>,
    /// New calls a second, 0.01 to 1,000; `null` removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<f64>, minimum = 0.01, maximum = 1_000)]
    calls_per_second: Option<Option<f64>>,
    /// Minutes of answered calls in a UTC day, 1 to 10,000,000; `null` removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000_000)]
    max_minutes_per_day: Option<Option<u32>>,
    /// Spend in a UTC day in the price table's currency, 0.01 to 10,000,000; `null` removes the limit.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<f64>, minimum = 0.01, maximum = 10_000_000)]
    max_spend_per_day: Option<Option<f64>>,
}

/// Distinguishes `null` from a missing field.
fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

async fn find(api: &ApiState, person: &UserAuth, text: &str) -> Result<Organization, ApiError> {
    let id = id(text, OrganizationId::parse, "Organization")?;
    api.store.organization(person.scope(), id).await?.ok_or_else(|| ApiError::not_found("Organization"))
}

/// The person's organization and those below it.
#[utoipa::path(get, path = "/organizations", tag = "organizations", security(("session" = [])), params(Paging), responses((status = 200, body = OrganizationPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.store.organizations(person.scope(), page).await?;
    let organizations = rows.iter().map(OrganizationView::from).collect();
    Ok(ApiResponse::ok(OrganizationPage { organizations, total, limit: page.limit, offset: page.offset }))
}

/// Creates an organization below `parent_org_id`, billed to its root. Its limits may not exceed those of its ancestors,
/// and its usage counts for them too. The API key is returned only once.
#[utoipa::path(post, path = "/organizations", tag = "organizations", security(("session" = [])), request_body = OrganizationInput, responses((status = 201, body = OrganizationCreated)))]
pub(super) async fn create(
    State(api): State<ApiState>, person: UserAuth, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let input: OrganizationInput = typed_with(object, Vec::new(), |input: &OrganizationInput| {
        let owner = input.owner().err();
        check_name(&input.name).err().into_iter().chain(owner).chain(faults(&input.limits())).collect()
    })?;
    person.require(UserRole::Owner)?;
    let (owner, limits) = (input.owner()?, input.limits());
    // Without a parent, the operator would not know which organization to bill.
    let Some(parent) = &input.parent_org_id else {
        let message = "parent_org_id: is required; the operator makes organizations without one (trunkline bootstrap)";
        let mut error = ApiError::forbidden("parent_required", message);
        error.details["field"] = "parent_org_id".into();
        return Err(error);
    };
    let unknown = |_| ApiError::no_reference("parent_org_id", "is not an organization of yours");
    let parent = find(&api, &person, parent).await.map_err(unknown)?;
    let store = &api.store;
    let made = store.create_organization(&parent, &input.name, limits).await?;
    let scope = store.scope_of_created(&made);
    let key = store.create_key(scope, "first key", None, None).await?;
    let invitation_token = match &owner {
        Some(address) => Some(store.invite(scope, address, UserRole::Owner, INVITATION_MS).await?.1.into()),
        None => None,
    };
    person.audit(&api, "organization.create", made.id).await?;
    Ok(ApiResponse::created(OrganizationCreated {
        organization: (&made).into(),
        api_key: key.into(),
        invitation_token,
    }))
}

/// One organization.
#[utoipa::path(get, path = "/organizations/{id}", tag = "organizations", security(("session" = [])), params(IdPath), responses((status = 200, body = OrganizationBody)))]
pub(super) async fn get(
    State(api): State<ApiState>, person: UserAuth, Path(id): Path<String>,
) -> Result<Versioned, ApiError> {
    let one = find(&api, &person, &id).await?;
    Ok(Versioned(one.version, ApiResponse::ok(OrganizationBody { organization: (&one).into() })))
}

/// Changes name or limits; `null` removes a limit. Limits set by the parent can only be lowered here; the parent's
/// users raise them, up to the parent's own limits.
#[utoipa::path(patch, path = "/organizations/{id}", tag = "organizations", security(("session" = [])), params(IdPath, IfMatchHeader), request_body = OrganizationPatch, responses((status = 200, body = OrganizationBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, person: UserAuth, Path(id): Path<String>, if_match: IfMatch,
    JsonObject(object, turn): JsonObject,
) -> Result<Versioned, ApiError> {
    let _turn = api.limits.turn_of_change(turn, person.scope()).await?;
    find(&api, &person, &id).await?;
    if object.get("name").is_some_and(Value::is_null) {
        return Err(ApiError::field("name", "cannot be cleared"));
    }
    let patch: OrganizationPatch = typed(object.clone())?;
    person.require(UserRole::Owner)?;
    for _ in 0..ATTEMPTS_MAX {
        let mut one = find(&api, &person, &id).await?;
        if_match.check(one.version, &object, OrganizationView::from(&one))?;
        change(&mut one, &patch)?;
        one.updated_at = now();
        if api.store.update_organization(person.scope(), &one).await? {
            person.audit(&api, "organization.update", one.id).await?;
            return Ok(Versioned(one.version + 1, ApiResponse::ok(OrganizationBody { organization: (&one).into() })));
        }
    }
    Err(contended())
}

fn change(one: &mut Organization, patch: &OrganizationPatch) -> Result<(), ApiError> {
    if let Some(name) = &patch.name {
        check_name(name)?;
        one.name.clone_from(name);
    }
    if let Some(max) = patch.max_concurrent_calls {
        one.limits.max_concurrent_calls = max;
    }
    if let Some(cps) = patch.calls_per_second {
        one.limits.calls_per_second = cps;
    }
    if let Some(max) = patch.max_minutes_per_day {
        one.limits.max_minutes_per_day = max;
    }
    if let Some(max) = patch.max_spend_per_day {
        one.limits.max_spend_per_day = max;
    }
    ApiError::unless_empty(faults(&one.limits))
}
