//! `/phone-numbers`: which agent answers a number, and over which trunk it comes.

use super::Api;
use super::auth::Caller;
use super::envelope::{Answer, Deleted};
use super::error::ApiError;
use super::input::{IdPath, Object, Paging, Query, id, merge, typed};
use crate::domain::ids::{AgentId, PhoneNumberId, TrunkId};
use crate::domain::phone_number::PhoneNumber;
use crate::store::{OrgScope, PhoneNumberRow, now};
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PhoneNumberFields)]
pub(super) struct PhoneNumberFields {
    /// E.164.
    number: String,
    #[serde(default)]
    agent_id: Option<String>,
    #[serde(default)]
    trunk_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
}

/// A body whose references were looked up.
struct Checked {
    number: PhoneNumber,
    agent: Option<AgentId>,
    trunk: Option<TrunkId>,
    name: Option<String>,
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
    #[schema(format = "date-time")]
    created_at: String,
    #[schema(format = "date-time")]
    updated_at: String,
}

impl From<&PhoneNumberRow> for PhoneNumberView {
    fn from(row: &PhoneNumberRow) -> Self {
        Self {
            id: row.id.to_string(),
            number: row.number.to_string(),
            agent_id: row.agent.map(|id| id.to_string()),
            trunk_id: row.trunk.map(|id| id.to_string()),
            name: row.name.clone(),
            created_at: row.created_at.rfc3339(),
            updated_at: row.updated_at.rfc3339(),
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct PhoneNumberBody {
    phone_number: PhoneNumberView,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PhoneNumberPage {
    phone_numbers: Vec<PhoneNumberView>,
    total: i64,
    limit: i64,
    offset: i64,
}

async fn check(api: &Api, scope: OrgScope, object: Map<String, Value>) -> Result<Checked, ApiError> {
    let body: PhoneNumberFields = typed(object)?;
    let number = PhoneNumber::parse(&body.number)
        .ok_or_else(|| ApiError::field("number", "must be an E.164 number such as +31201234567"))?;
    let store = &api.context.store;
    let agent = match body.agent_id.as_deref() {
        None => None,
        Some(text) => {
            let unknown = || ApiError::field("agent_id", "is not an agent of this organization");
            let id = AgentId::parse(text).ok_or_else(unknown)?;
            Some(store.agent(scope, id).await?.ok_or_else(unknown)?.id)
        }
    };
    let trunk = match body.trunk_id.as_deref() {
        None => None,
        Some(text) => {
            let unknown = || ApiError::field("trunk_id", "is not a trunk of this organization");
            let id = TrunkId::parse(text).ok_or_else(unknown)?;
            Some(store.trunk(scope, id).await?.ok_or_else(unknown)?.id)
        }
    };
    Ok(Checked { number, agent, trunk, name: body.name })
}

async fn find(api: &Api, scope: OrgScope, text: &str) -> Result<PhoneNumberRow, ApiError> {
    let id = id(text, PhoneNumberId::parse, "Phone number")?;
    api.context.store.phone_number(scope, id).await?.ok_or_else(|| ApiError::not_found("Phone number"))
}

/// The phone numbers of the organization, newest first.
#[utoipa::path(get, path = "/phone-numbers", tag = "phone-numbers", params(Paging), responses((status = 200, body = PhoneNumberPage)))]
pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.context.store.phone_numbers(scope, page).await?;
    let phone_numbers = rows.iter().map(PhoneNumberView::from).collect();
    Ok(Answer::ok(PhoneNumberPage { phone_numbers, total, limit: page.limit, offset: page.offset }))
}

/// Creates a phone number.
#[utoipa::path(post, path = "/phone-numbers", tag = "phone-numbers", request_body = PhoneNumberFields, responses((status = 201, body = PhoneNumberBody)))]
pub(super) async fn create(
    State(api): State<Api>, Caller(scope): Caller, Object(mut object): Object,
) -> Result<Answer, ApiError> {
    object.retain(|_, value| !value.is_null());
    let Checked { number, agent, trunk, name } = check(&api, scope, object).await?;
    let row = api.context.store.create_phone_number(scope, &number, agent, trunk, name).await?;
    Ok(Answer::created(PhoneNumberBody { phone_number: (&row).into() }))
}

/// One phone number.
#[utoipa::path(get, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath), responses((status = 200, body = PhoneNumberBody)))]
pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    Ok(Answer::ok(PhoneNumberBody { phone_number: (&find(&api, scope, &id).await?).into() }))
}

/// Changes some fields; `null` clears one.
#[utoipa::path(patch, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath), request_body = PhoneNumberFields, responses((status = 200, body = PhoneNumberBody)))]
pub(super) async fn update(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>, Object(changes): Object,
) -> Result<Answer, ApiError> {
    let mut row = find(&api, scope, &id).await?;
    let mut document = Map::new();
    document.insert("number".to_owned(), json!(row.number.as_str()));
    for (name, value) in [
        ("agent_id", row.agent.map(|id| id.to_string())),
        ("trunk_id", row.trunk.map(|id| id.to_string())),
        ("name", row.name.clone()),
    ] {
        if let Some(value) = value {
            document.insert(name.to_owned(), json!(value));
        }
    }
    merge(&mut document, changes);
    let checked = check(&api, scope, document).await?;
    if checked.number != row.number {
        return Err(ApiError::field("number", "cannot be changed; delete this number and create another"));
    }
    (row.agent, row.trunk, row.name, row.updated_at) = (checked.agent, checked.trunk, checked.name, now());
    api.context.store.update_phone_number(scope, &row).await?;
    Ok(Answer::ok(PhoneNumberBody { phone_number: (&row).into() }))
}

/// Deletes a phone number.
#[utoipa::path(delete, path = "/phone-numbers/{id}", tag = "phone-numbers", params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let row = find(&api, scope, &id).await?;
    api.context.store.delete_phone_number(scope, row.id).await?;
    Ok(Answer::deleted())
}
