//! Authentication: turns an API key or a session cookie into an organization scope and checks what it may do.

use super::auth_header::{bearer_token, cookie};
use super::error::ApiError;
use super::http_listener::ConnectionPlace;
use super::organization_rates::RateKind;
use super::rate_limit::{RateLimitSlot, RateLimitStatus, unix_s};
use super::state::ApiState;
use crate::domain::ids::ApiKeyId;
use crate::domain::permission::{KeyScope, UserRole};
use crate::store::{AuthenticatedKey, OrgScope, UserSession};
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use std::sync::Arc;

/// The caller of an endpoint that works with a key; people who are logged in may use it too.
#[derive(Clone, Copy, Debug)]
pub(super) struct OrgAuth(pub OrgScope);

/// Who asks, for what is written down with a name: a key, or a person who is logged in.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// The organization it acts for.
    pub(super) scope: OrgScope,
    kind: ActorKind,
}

#[derive(Clone, Debug)]
enum ActorKind {
    Key(ApiKeyId),
    Person(String),
}

impl Actor {
    /// E-mail address of a person; `api_key:` and the id of a key.
    pub(super) fn name(&self) -> String {
        match &self.kind {
            ActorKind::Key(id) => format!("api_key:{id}"),
            ActorKind::Person(email) => email.clone(),
        }
    }

    /// Writes an audit log entry for what was done.
    pub(super) async fn audit(&self, api: &ApiState, action: &str, target: impl ToString) -> Result<(), ApiError> {
        Ok(api.store.record_audit_entry(self.scope, &self.name(), action, Some(target.to_string())).await?)
    }
}

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
        let store = &api.store;
        Ok(store.record_audit_entry(self.scope(), &self.0.user.email, action, Some(target.to_string())).await?)
    }
}

impl FromRequestParts<ApiState> for OrgAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        Actor::from_request_parts(parts, api).await.map(|actor| Self(actor.scope))
    }
}

impl FromRequestParts<ApiState> for Actor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        if let Some(text) = bearer(&parts.headers) {
            let (key, quota) = authenticate(api, text).await?;
            count_request(parts, quota)?;
            check_scope(parts, &key)?;
            api.limits.count(key.scope, RateKind::Requests).await?;
            count_connection(parts, key.scope)?;
            parts.extensions.insert(key.scope);
            return Ok(Self { scope: key.scope, kind: ActorKind::Key(key.id) });
        }
        if cookie(&parts.headers).is_some() {
            let person = UserAuth::from_request_parts(parts, api).await?;
            let kind = ActorKind::Person(person.0.user.email.clone());
            return Ok(Self { scope: person.scope(), kind });
        }
        Err(ApiError::no_credentials())
    }
}

impl FromRequestParts<ApiState> for UserAuth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> Result<Self, ApiError> {
        let Some(token) = cookie(&parts.headers) else {
            let Some(text) = bearer(&parts.headers) else { return Err(ApiError::no_credentials()) };
            // Even a key with all scopes is not a person.
            let (_, quota) = authenticate(api, text).await?;
            count_request(parts, quota)?;
            let message = "This endpoint is for people: log in with POST /auth/login";
            return Err(ApiError::forbidden("session_required", message));
        };
        check_origin(api, &parts.method, &parts.headers)?;
        let session = api.store.session(token).await?.ok_or_else(ApiError::session_over)?;
        api.limits.count(session.scope, RateKind::Requests).await?;
        count_connection(parts, session.scope)?;
        parts.extensions.insert(session.scope);
        Ok(Self(session))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    bearer_token(headers).filter(|key| key.starts_with("va_"))
}

/// Browsers send the origin of a request that changes something: requests from other sites are refused.
pub(super) fn check_origin(api: &ApiState, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return Ok(()) };
    if method.is_safe() || api.http.is_own_origin(origin, headers) {
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
    let key = api.store.authenticate(key).await?.ok_or_else(ApiError::invalid_key)?;
    let quota = api.limits.per_key.take(key.id, unix_s());
    Ok((key, quota))
}
