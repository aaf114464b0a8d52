//! Who asks: the API key of the Authorization header becomes an organization's scope.

use super::Api;
use super::error::ApiError;
use crate::store::OrgScope;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

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
        let scope = api.context.store.authenticate(key).await?.ok_or_else(ApiError::unauthorized)?;
        Ok(Self(scope))
    }
}
