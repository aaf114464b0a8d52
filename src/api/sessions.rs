//! `/auth`: people log in and out. Passwords are checked off the async threads, and guessing is slowed down.

use super::Api;
use super::auth::{COOKIE, Person, check_origin, cookie};
use super::envelope::{Answer, Deleted};
use super::error::ApiError;
use super::input::{Object, typed};
use super::organizations::OrganizationView;
use super::users::UserView;
use super::visitor::Visitor;
use crate::domain::password;
use crate::store::{Session, User};
use crate::supervision;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Seconds a session lasts: a working week.
const LASTS_S: i64 = 7 * 86_400;
/// Wrong passwords for one address in a window before it has to wait.
const FAILURES_MAX: u32 = 5;
const WINDOW_S: u64 = 300;
/// Addresses remembered; a full table is emptied.
const ADDRESSES_MAX: usize = 10_000;
/// Passwords hashed at once: each takes a core and 19 MiB.
const HASHES_MAX: usize = 2;
/// Checked when there is no such user, so that the answer takes as long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$dHJ1bmtsaW5lLW5vYm9keQ$7Zc1jEYkVJv2gGq0jCxWxWw5Qk5s2S5cJ0qO9mYxS2k";

/// Hashes passwords away from the async threads, few at a time.
#[derive(Clone, Debug)]
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
    failures: Arc<Mutex<HashMap<String, (u64, u32)>>>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(HASHES_MAX)), failures: Arc::default() }
    }
}

impl Passwords {
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let broken = |_| ApiError::unavailable("overloaded", "Too many people log in at once");
        let _permit = self.permits.acquire().await.map_err(|_| broken(()))?;
        let worked = supervision::spawn_blocking("password", work).await;
        worked.map_err(|_| broken(()))?.map_err(|_| ApiError::internal())
    }

    pub(super) async fn hash(&self, text: String) -> Result<String, ApiError> {
        self.work(move || password::hash(&text)).await?.map_err(|error| {
            tracing::error!(%error, "a password cannot be hashed");
            ApiError::internal()
        })
    }

    async fn verify(&self, text: String, hash: String) -> Result<bool, ApiError> {
        self.work(move || password::verify(&text, &hash)).await
    }

    /// Seconds an address has to wait, if it has.
    fn wait(&self, email: &str, now_s: u64) -> Option<u64> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = failures.get(email)?;
        let over = since + WINDOW_S;
        (*count >= FAILURES_MAX && now_s < over).then(|| over - now_s)
    }

    fn failed(&self, email: &str, now_s: u64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES_MAX {
            failures.clear();
        }
        let entry = failures.entry(email.to_owned()).or_insert((now_s, 0));
        if now_s >= entry.0 + WINDOW_S {
            *entry = (now_s, 0);
        }
        entry.1 += 1;
    }

    fn succeeded(&self, email: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(email);
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    #[schema(format = "email", example = "owner@example.com")]
    email: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    user: UserView,
    organization: OrganizationView,
}

async fn me_of(api: &Api, session: &Session) -> Result<Me, ApiError> {
    let organization = api.context.store.organization(session.scope, session.scope.organization()).await?;
    let organization = organization.ok_or_else(|| ApiError::not_found("Organization"))?;
    Ok(Me { user: (&session.user).into(), organization: (&organization).into() })
}

/// Secure off loopback: a browser sends a Secure cookie over https only.
fn set_cookie(api: &Api, headers: &HeaderMap, token: &str, max_age_s: i64) -> Option<HeaderValue> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]") && !api.public_url.starts_with("https:");
    let secure = if loopback { "" } else { "; Secure" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).ok()
}

/// An answer that makes the browser a session of the user.
pub(super) async fn logged_in(api: &Api, headers: &HeaderMap, user: &User) -> Result<Response, ApiError> {
    let token = api.context.store.create_session(user, LASTS_S * 1_000).await?;
    let session = api.context.store.session(&token).await?.ok_or_else(ApiError::unauthorized)?;
    let mut response = Answer::ok(me_of(api, &session).await?).into_response();
    if let Some(cookie) = set_cookie(api, headers, &token, LASTS_S) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Logs a person in: the answer sets a session cookie.
#[utoipa::path(post, path = "/auth/login", tag = "auth", security(()), request_body = Login, responses((status = 200, body = Me)))]
pub(super) async fn login(
    State(api): State<Api>, visitor: Visitor, headers: HeaderMap, Object(object): Object,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &Method::POST, &headers)?;
    let Login { email, password } = typed(object)?;
    let (email, now_s) = (email.to_lowercase(), super::auth::unix_s());
    if let Some(wait) = api.passwords.wait(&email, now_s) {
        return Err(ApiError::login_throttled(wait));
    }
    let known = api.context.store.credentials(&email).await?;
    let hash = known.as_ref().map_or(NOBODY, |(_, hash)| hash).to_owned();
    let fits = api.passwords.verify(password, hash).await?;
    match known.filter(|_| fits) {
        Some((user, _)) => {
            api.passwords.succeeded(&email);
            logged_in(&api, &headers, &user).await
        }
        None => {
            api.passwords.failed(&email, now_s);
            Err(ApiError::wrong_password())
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    current_password: String,
    #[schema(min_length = 10)]
    new_password: String,
}

/// Another password for whoever is logged in; their other sessions end.
#[utoipa::path(post, path = "/auth/password", tag = "auth", security(("session" = [])), request_body = PasswordChange, responses((status = 200, body = Me)))]
pub(super) async fn change_password(
    State(api): State<Api>, visitor: Visitor, person: Person, headers: HeaderMap, Object(object): Object,
) -> Result<Answer, ApiError> {
    visitor.count(&api)?;
    let PasswordChange { current_password, new_password } = typed(object)?;
    password::validate(&new_password).map_err(|fault| ApiError::field("new_password", fault.message))?;
    let user = &person.0.user;
    let known = api.context.store.credentials(&user.email).await?;
    let hash = known.as_ref().map_or(NOBODY, |(_, hash)| hash).to_owned();
    if !api.passwords.verify(current_password, hash).await? {
        let mut wrong = ApiError::forbidden("wrong_password", "current_password: is wrong");
        wrong.details["field"] = "current_password".into();
        return Err(wrong);
    }
    let hashed = api.passwords.hash(new_password).await?;
    api.context.store.change_password(user, &hashed, cookie(&headers).unwrap_or_default()).await?;
    person.audit(&api, "user.password", user.id).await?;
    Ok(Answer::ok(me_of(&api, &person.0).await?))
}

/// Ends the session; without one it does nothing.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", security(()), responses((status = 200, body = Deleted)))]
pub(super) async fn logout(State(api): State<Api>, headers: HeaderMap) -> Result<Response, ApiError> {
    check_origin(&api, &Method::POST, &headers)?;
    if let Some(token) = cookie(&headers) {
        api.context.store.end_session(token).await?;
    }
    let mut response = Answer::deleted().into_response();
    if let Some(cookie) = set_cookie(&api, &headers, "", 0) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Who is logged in.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("session" = [])), responses((status = 200, body = Me)))]
pub(super) async fn me(State(api): State<Api>, Person(session): Person) -> Result<Answer, ApiError> {
    Ok(Answer::ok(me_of(&api, &session).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slowed_down_for_a_while() {
        let passwords = Passwords::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(passwords.wait("a@example.com", 100), None);
            passwords.failed("a@example.com", 100);
        }
        assert_eq!(passwords.wait("a@example.com", 110), Some(WINDOW_S - 10));
        assert_eq!(passwords.wait("b@example.com", 110), None);
        assert_eq!(passwords.wait("a@example.com", 100 + WINDOW_S), None);
        passwords.failed("a@example.com", 100 + WINDOW_S);
        assert_eq!(passwords.wait("a@example.com", 101 + WINDOW_S), None);
    }

    #[test]
    fn nobody_has_a_hash_that_takes_as_long_as_anybodys() {
        assert!(!password::verify("x", NOBODY));
        let anybody = password::hash("x").unwrap();
        assert_eq!(NOBODY.split('$').nth(3), anybody.split('$').nth(3));
    }
}
