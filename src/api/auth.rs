//! Authentication: turns an API key or a session cookie into an organization scope and checks what it may do.

use super::ApiState;
use super::error::ApiError;
use super::http_listener::ConnectionPlace;
use super::organization_rates::RateKind;
use super::rate_limit::RateLimitStatus;
use crate::domain::permission::{KeyScope, UserRole};
use crate::store::{AuthenticatedKey, OrgScope, UserSession, now};
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use std::sync::{Arc, OnceLock};

/// Name of the session cookie.
pub(super) const COOKIE: &str = "trunkline_session";

/// Request extension in which authentication leaves the rate limit status for the response headers.
#[derive(Clone, Debug, Default)]
pub(super) struct RateLimitSlot(pub Arc<OnceLock<RateLimitStatus>>);

/// The caller of an endpoint that works with a key; people who are logged in may use it too.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrgAuth(pub OrgScope);

/// A person who is logged in: the management endpoints are for people (document A).
#[derive(Clone, Debug)]
pub(super) struct UserAuth(pub UserSession);

impl UserAuth {
    pub(super) fn scope(&self) -> OrgScope {
        self.0.scope
    }

    /// 403 unless the person's role is at least this.
    pub(super) fn require(&self, role: UserRole) -> Result<(), ApiError> {
        if self.0.user.role.includes(role) {
            return Ok(());
        }
        Err(ApiError::forbidden("insufficient_role", format!("This needs the role {}", role.name())))
    }

    /// Writes an audit log entry for what the person did.
    pub(super) async fn audit(&self, api: &ApiState, action: &str, target: impl ToString) -> Result<(), ApiError> {
        let store = &api.context.store;
        Ok(store.record_audit_entry(self.scope(), &self.0.user.email, action, Some(target.to_string())).await?)
    }
}

impl FromRequestParts<ApiState> for OrgAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        if let Some(text) = bearer(&parts.headers) {
            let (key, quota) = authenticate(api, text).await?;
            count_request(parts, quota)?;
            check_scope(parts, &key)?;
            api.count(key.scope, RateKind::Requests).await?;
            count_connection(parts, key.scope)?;
            parts.extensions.insert(key.scope);
            return Ok(Self(key.scope));
        }
        if cookie(&parts.headers).is_some() {
            return UserAuth::from_request_parts(parts, api).await.map(|person| Self(person.scope()));
        }
        Err(ApiError::unauthorized())
    }
}

impl FromRequestParts<ApiState> for UserAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        let Some(token) = cookie(&parts.headers) else {
            let Some(text) = bearer(&parts.headers) else { return Err(ApiError::unauthorized()) };
            // Even a key with all scopes is not a person.
            let (_, quota) = authenticate(api, text).await?;
            count_request(parts, quota)?;
            let message = "This endpoint is for people: log in with POST /auth/login";
            return Err(ApiError::forbidden("session_required", message));
        };
        check_origin(api, &parts.method, &parts.headers)?;
        let session = api.context.store.session(token).await?.ok_or_else(ApiError::unauthorized)?;
        api.count(session.scope, RateKind::Requests).await?;
        count_connection(parts, session.scope)?;
        parts.extensions.insert(session.scope);
        Ok(Self(session))
    }
}

/// What follows `Bearer`.
pub(super) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_token(headers).filter(|key| key.starts_with("va_"))
}

/// The session token among the cookies.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// An origin that is this server's own.
pub(super) fn is_own_origin(api: &ApiState, origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    authority == host || !api.public_url.is_empty() && origin == api.public_url.trim_end_matches('/')
}

/// Browsers send the origin of a request that changes something: requests from other sites are refused.
pub(super) fn check_origin(api: &ApiState, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    if method.is_safe() || is_own_origin(api, origin, headers) {
        return Ok(());
    }
    Err(ApiError::forbidden("bad_origin", "This request comes from another site"))
}

fn count_request(parts: &Parts, quota: RateLimitStatus) -> Result<(), ApiError> {
    if let Some(slot) = parts.extensions.get::<RateLimitSlot>() {
        slot.0.set(quota).ok();
    }
    if quota.retry_after_s > 0 { Err(ApiError::too_many_requests()) } else { Ok(()) }
}

/// Counts the connection against the organization from now on.
fn count_connection(parts: &Parts, scope: OrgScope) -> Result<(), ApiError> {
    let takes = |place: &ConnectionPlace| place.belongs_to(scope);
    if parts.extensions.get::<ConnectionPlace>().is_none_or(takes) {
        Ok(())
    } else {
        Err(ApiError::too_many_connections())
    }
}

/// The first path segment says which scope a key needs.
fn check_scope(parts: &Parts, key: &AuthenticatedKey) -> Result<(), ApiError> {
    if key.scopes.is_none() {
        return Ok(());
    }
    let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0);
    let path = uri.path().trim_start_matches("/api").trim_start_matches("/v1").trim_start_matches('/');
    let resource = path.split('/').next().unwrap_or_default();
    let needed = KeyScope::needed(resource, !parts.method.is_safe());
    if needed.is_some_and(|needed| key.may(needed)) {
        return Ok(());
    }
    let message = needed
        .map_or("This key may not do that".to_owned(), |needed| format!("This key lacks the scope {}", needed.name()));
    Err(ApiError::forbidden("insufficient_scope", message))
}

/// Authenticates a key and counts this request against its rate limit.
pub(super) async fn authenticate(
    api: &ApiState, key: &str,
) -> Result<(Arc<AuthenticatedKey>, RateLimitStatus), ApiError> {
    let key = api.context.store.authenticate(key).await?.ok_or_else(ApiError::unauthorized)?;
    let quota = api.rate_limit.take(key.id, unix_s());
    Ok((key, quota))
}

pub(super) fn unix_s() -> u64 {
    now().0.unsigned_abs() / 1_000
}
