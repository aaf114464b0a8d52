//! `/trunks`. Every change reaches the SIP endpoint at once.

use super::Api;
use super::auth::Caller;
use super::envelope::Answer;
use super::error::ApiError;
use super::input::{Object, Query, id, merge, typed};
use crate::domain::ids::TrunkId;
use crate::domain::trunk::{Trunk, TrunkFields};
use crate::store::{OrgScope, now};
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

/// A trunk as clients see it; passwords only as "is set".
fn view(trunk: &Trunk) -> Value {
    let mut fields = serde_json::to_value(&trunk.fields).unwrap_or_default();
    for secret in ["password", "inbound_password"] {
        let is_set = fields.get(secret).is_some_and(|value| !value.is_null());
        fields[format!("{secret}_set")] = json!(is_set);
        if let Value::Object(fields) = &mut fields {
            fields.remove(secret);
        }
    }
    fields["id"] = json!(trunk.id.to_string());
    fields["organization_id"] = json!(trunk.organization.to_string());
    fields["created_at"] = json!(trunk.created_at.rfc3339());
    fields["updated_at"] = json!(trunk.updated_at.rfc3339());
    fields
}

fn fields(object: Map<String, Value>) -> Result<TrunkFields, ApiError> {
    let fields: TrunkFields = typed(object)?;
    fields.validate()?;
    Ok(fields)
}

async fn find(api: &Api, scope: OrgScope, text: &str) -> Result<Trunk, ApiError> {
    let id = id(text, TrunkId::parse, "Trunk")?;
    api.context.store.trunk(scope, id).await?.ok_or_else(|| ApiError::not_found("Trunk"))
}

pub(super) async fn list(State(api): State<Api>, Caller(scope): Caller, query: Query) -> Result<Answer, ApiError> {
    let page = query.page()?;
    let (trunks, total) = api.context.store.trunks(scope, page).await?;
    let trunks: Vec<Value> = trunks.iter().map(view).collect();
    Ok(Answer::ok(json!({"trunks": trunks, "total": total, "limit": page.limit, "offset": page.offset})))
}

pub(super) async fn create(
    State(api): State<Api>, Caller(scope): Caller, Object(mut object): Object,
) -> Result<Answer, ApiError> {
    object.retain(|_, value| !value.is_null());
    let trunk = api.context.store.create_trunk(scope, fields(object)?).await?;
    api.context.reload_trunks().await?;
    Ok(Answer::created(json!({"trunk": view(&trunk)})))
}

pub(super) async fn get(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    Ok(Answer::ok(json!({"trunk": view(&find(&api, scope, &id).await?)})))
}

pub(super) async fn update(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>, Object(changes): Object,
) -> Result<Answer, ApiError> {
    let mut trunk = find(&api, scope, &id).await?;
    let Ok(Value::Object(mut document)) = serde_json::to_value(&trunk.fields) else {
        return Err(ApiError::not_found("Trunk"));
    };
    document.retain(|_, value| !value.is_null());
    merge(&mut document, changes);
    trunk.fields = fields(document)?;
    trunk.updated_at = now();
    api.context.store.update_trunk(scope, &trunk).await?;
    api.context.reload_trunks().await?;
    Ok(Answer::ok(json!({"trunk": view(&trunk)})))
}

pub(super) async fn delete(
    State(api): State<Api>, Caller(scope): Caller, Path(id): Path<String>,
) -> Result<Answer, ApiError> {
    let trunk = find(&api, scope, &id).await?;
    api.context.store.delete_trunk(scope, trunk.id).await?;
    api.context.reload_trunks().await?;
    Ok(Answer::deleted())
}
