//! Authentication: turns an API key or a session cookie into an organization scope and checks what it may do.

use super::Api;
use super::error::ApiError;
use super::listener::Place;
use super::rate_limit::Quota;
use super::rates::Rate;
use crate::domain::permission::{KeyScope, Role};
use crate::store::{Key, OrgScope, Session, now};
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use std::sync::{Arc, OnceLock};

/// Name of the session cookie.
pub(super) const COOKIE: &str = "trunkline_session";

/// Request extension in which authentication leaves the rate limit status for the response headers.
#[derive(Clone, Debug, Default)]
pub(super) struct QuotaSlot(pub Arc<OnceLock<Quota>>);

/// The caller of an endpoint that works with a key; people who are logged in may use it too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller(pub OrgScope);

/// A person who is logged in: the management endpoints are for people (document A).
#[derive(Clone, Debug)]
pub(super) struct Person(pub Session);

impl Person {
    pub(super) fn scope(&self) -> OrgScope {
        self.0.scope
    }

    /// 403 unless the person's role is at least this.
    pub(super) fn require(&self, role: Role) -> Result<(), ApiError> {
        if self.0.user.role.includes(role) {
            return Ok(());
        }
        Err(ApiError::forbidden("insufficient_role", format!("This needs the role {}", role.name())))
    }

    /// Writes an audit log entry for what the person did.
    pub(super) async fn audit(&self, api: &Api, action: &str, target: impl ToString) -> Result<(), ApiError> {
        let store = &api.context.store;
        Ok(store.audit(self.scope(), &self.0.user.email, action, Some(target.to_string())).await?)
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        if let Some(text) = bearer(&parts.headers) {
            let (key, quota) = authenticate(api, text).await?;
            take(parts, quota)?;
            permit(parts, &key)?;
            api.count(key.scope, Rate::Requests).await?;
            take_place(parts, key.scope)?;
            parts.extensions.insert(key.scope);
            return Ok(Self(key.scope));
        }
        if cookie(&parts.headers).is_some() {
            return Person::from_request_parts(parts, api).await.map(|person| Self(person.scope()));
        }
        Err(ApiError::unauthorized())
    }
}

impl FromRequestParts<Api> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let Some(token) = cookie(&parts.headers) else {
            let Some(text) = bearer(&parts.headers) else { return Err(ApiError::unauthorized()) };
            // Even a key with all scopes is not a person.
            let (_, quota) = authenticate(api, text).await?;
            take(parts, quota)?;
            let message = "This endpoint is for people: log in with POST /auth/login";
            return Err(ApiError::forbidden("session_required", message));
        };
        check_origin(api, &parts.method, &parts.headers)?;
        let session = api.context.store.session(token).await?.ok_or_else(ApiError::unauthorized)?;
        api.count(session.scope, Rate::Requests).await?;
        take_place(parts, session.scope)?;
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
pub(super) fn is_ours(api: &Api, origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, rest)| rest);
    authority == host || !api.public_url.is_empty() && origin == api.public_url.trim_end_matches('/')
}

/// Browsers send the origin of a request that changes something: requests from other sites are refused.
pub(super) fn check_origin(api: &Api, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    if method.is_safe() || is_ours(api, origin, headers) {
        return Ok(());
    }
    Err(ApiError::forbidden("bad_origin", "This request comes from another site"))
}

fn take(parts: &Parts, quota: Quota) -> Result<(), ApiError> {
    if let Some(slot) = parts.extensions.get::<QuotaSlot>() {
        slot.0.set(quota).ok();
    }
    if quota.retry_after_s > 0 { Err(ApiError::too_many_requests()) } else { Ok(()) }
}

/// Counts the connection against the organization from now on.
fn take_place(parts: &Parts, scope: OrgScope) -> Result<(), ApiError> {
    let takes = |place: &Place| place.belongs_to(scope);
    if parts.extensions.get::<Place>().is_none_or(takes) { Ok(()) } else { Err(ApiError::too_many_connections()) }
}

/// The first path segment says which scope a key needs.
fn permit(parts: &Parts, key: &Key) -> Result<(), ApiError> {
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
pub(super) async fn authenticate(api: &Api, key: &str) -> Result<(Arc<Key>, Quota), ApiError> {
    let key = api.context.store.authenticate(key).await?.ok_or_else(ApiError::unauthorized)?;
    let quota = api.rate_limit.take(key.id, unix_s());
    Ok((key, quota))
}

pub(super) fn unix_s() -> u64 {
    now().0.unsigned_abs() / 1_000
}
