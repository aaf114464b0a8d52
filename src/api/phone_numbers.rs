//! `/phone-numbers`: which agent answers a number, and over which trunk it comes.

use super::Api;
use super::auth::Caller;
use super::envelope::Answer;
use super::error::ApiError;
use super::input::{Object, Query, id, merge, typed};
use crate::domain::ids::{AgentId, PhoneNumberId, TrunkId};
use crate::domain::phone_number::PhoneNumber;
use crate::store::{OrgScope, PhoneNumberRow, now};
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
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

fn view(row: &PhoneNumberRow) -> Value {
    json!({
        "id": row.id.to_string(),
        "number": row.number.as_str(),
        "agent_id": row.agent.map(|id| id.to_string()),
        "trunk_id": row.trunk.map(|id| id.to_string()),
        "name": row.name,
        "created_at": row.created_at.rfc3339(),
        "updated_at": row.updated_at.rfc3339(),
    })
}

async fn check(api: &Api, scope: OrgScope, object: Map<String, Value>) -> Result<Checked, ApiError> {
    let body: Body = typed(object)?;
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

pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.context.store.phone_numbers(scope, page).await?;
    let rows: Vec<Value> = rows.iter().map(view).collect();
    Ok(Answer::ok(json!({"phone_numbers": rows, "total": total, "limit": page.limit, "offset": page.offset})))
}

pub(super) async fn create(
    State(api): State<Api>, Caller(scope): Caller, Object(mut object): Object,
) -> Result<Answer, ApiError> {
    object.retain(|_, value| !value.is_null());
    let Checked { number, agent, trunk, name } = check(&api, scope, object).await?;
    let row = api.context.store.create_phone_number(scope, &number, agent, trunk, name).await?;
    Ok(Answer::created(json!({"phone_number": view(&row)})))
}

pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    Ok(Answer::ok(json!({"phone_number": view(&find(&api, scope, &id).await?)})))
}

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
    Ok(Answer::ok(json!({"phone_number": view(&row)})))
}

pub(super) async fn delete(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let row = find(&api, scope, &id).await?;
    api.context.store.delete_phone_number(scope, row.id).await?;
    Ok(Answer::deleted())
}
