//! Who asks: the API key of the Authorization header becomes an organization's scope.

use super::Api;
use super::error::ApiError;
use super::rate_limit::Quota;
use crate::store::{OrgScope, now};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use std::sync::{Arc, OnceLock};

/// Where authentication leaves the key's quota for the headers of the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct QuotaSlot(pub Arc<OnceLock<Quota>>);

/// The caller of a keyed endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub OrgScope);

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let value = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let key = value
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, key)| key.trim())
            .filter(|key| key.starts_with("va_"))
            .ok_or_else(ApiError::unauthorized)?;
        let (scope, quota) = authenticate(api, key).await?;
        if let Some(slot) = parts.extensions.get::<QuotaSlot>() {
            slot.0.set(quota).ok();
        }
        if quota.retry_after_s > 0 {
            return Err(ApiError::too_many_requests());
        }
        Ok(Self(scope))
    }
}

/// A key's scope and what is left of its minute, this request counted.
pub(super) async fn authenticate(api: &Api, key: &str) -> Result<(OrgScope, Quota), ApiError> {
    let (id, scope) = api.context.store.authenticate(key).await?.ok_or_else(ApiError::unauthorized)?;
    Ok((scope, api.rate_limit.take(id, unix_s())))
}

pub(super) fn unix_s() -> u64 {
    now().0.unsigned_abs() / 1_000
}
