//! `/auth`: people log in and out. A password opens the accounts of an address that it fits, in one organization or more.

use super::auth::{UserAuth, check_origin};
use super::auth_header::{COOKIE, cookie};
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::input::{JsonObject, typed};
use super::organizations::OrganizationView;
use super::passwords::Credentials;
use super::response::{ApiResponse, Deleted};
use super::state::ApiState;
use super::user_view::UserView;
use crate::domain::ids::OrganizationId;
use crate::domain::login_address::LoginAddress;
use crate::domain::password;
use crate::domain::permission::UserRole;
use crate::domain::secret::Secret;
use crate::store::{LoginAccount, User, UserSession};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Lifetime of a session in seconds: one week.
const SESSION_LIFETIME_S: i64 = 7 * 86_400;
/// Longer inputs cannot match any stored address or password.
const EMAIL_BYTES_MAX: usize = 1_024;
const PASSWORD_BYTES_MAX: usize = 4_096;

/// Who logs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// Address of the account.
    #[schema(format = "email", example = "owner@example.com", max_length = 320)]
    email: String,
    /// Its password, 256 characters at most.
    #[schema(value_type = String, max_length = 256)]
    password: Secret,
    /// Which organization's account, where the password fits several: one of those that a 409 has listed.
    #[serde(default)]
    #[schema(format = "uuid")]
    organization_id: Option<String>,
}

/// One of the organizations that a password opens.
#[derive(Serialize, ToSchema)]
pub(super) struct OrganizationChoice {
    /// Id of the organization, for `organization_id`.
    #[schema(format = "uuid")]
    id: String,
    /// Name of the organization.
    name: String,
    /// The account's role there.
    role: UserRole,
}

impl From<&LoginAccount> for OrganizationChoice {
    fn from(account: &LoginAccount) -> Self {
        let LoginAccount { user, organization_name } = account;
        Self { id: user.organization.to_string(), name: organization_name.clone(), role: user.role }
    }
}

/// The body of a 409 to `POST /auth/login`; in the envelope with `success` and `meta`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes ApiError::organization_required")]
pub(super) struct OrganizationRequired {
    /// What is wrong, in words.
    error: String,
    /// The choice.
    details: OrganizationRequiredDetails,
}

/// Organizations that an account may be meant of.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes ApiError::organization_required")]
struct OrganizationRequiredDetails {
    /// Always `organization_required`.
    #[schema(pattern = "^organization_required$")]
    code: String,
    /// Always `organization_id`.
    #[schema(pattern = "^organization_id$")]
    field: String,
    /// By name, a hundred at most.
    organizations: Vec<OrganizationChoice>,
}

/// The account of a session.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The person.
    user: UserView,
    /// Their organization.
    organization: OrganizationView,
}

async fn me_of(api: &ApiState, session: &UserSession) -> Result<Me, ApiError> {
    let organization = api.store.organization(session.scope, session.scope.organization()).await?;
    let organization = organization.ok_or_else(|| ApiError::not_found("Organization"))?;
    Ok(Me { user: (&session.user).into(), organization: (&organization).into() })
}

/// Secure off loopback: a browser sends a Secure cookie over https only.
fn set_cookie(api: &ApiState, headers: &HeaderMap, token: &str, max_age_s: i64) -> Option<HeaderValue> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]") && !api.http.public_url.starts_with("https:");
    let secure = if loopback { "" } else { "; Secure" };
    let text = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).ok()
}

/// An answer that makes the browser a session of the user.
pub(super) async fn logged_in(
    api: &ApiState, headers: &HeaderMap, visitor: ClientIp, user: &User,
) -> Result<Response, ApiError> {
    let token = api.store.create_session(user, SESSION_LIFETIME_S * 1_000).await?;
    api.store.remember_source(user.id, visitor.address()).await?;
    let session = api.store.session(&token).await?.ok_or_else(ApiError::session_over)?;
    let mut response = ApiResponse::ok(me_of(api, &session).await?).into_response();
    if let Some(cookie) = set_cookie(api, headers, &token, SESSION_LIFETIME_S) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Logs a person in: the answer sets a session cookie. Where the password fits accounts in several organizations, and
/// `organization_id` names none of them, the answer is 409 with the organizations to choose from.
#[utoipa::path(post, path = "/auth/login", tag = "auth", security(()), request_body = Login, responses((status = 200, body = Me), (status = 409, body = OrganizationRequired, description = "The password fits in several organizations: ask again with the organization_id of one of them.")))]
pub(super) async fn login(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap, JsonObject(object, _turn): JsonObject,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &Method::POST, &headers)?;
    let Login { email, password, organization_id } = typed(object)?;
    let unknown = || ApiError::field("organization_id", "is not an identifier");
    let organization = organization_id.map(|id| OrganizationId::parse(&id).ok_or_else(unknown)).transpose()?;
    if email.len() > EMAIL_BYTES_MAX || password.expose().len() > PASSWORD_BYTES_MAX {
        // Longer inputs match no account: refuse them by length.
        return Err(ApiError::wrong_password());
    }
    let credentials = Credentials { address: LoginAddress::new(&email), password, organization };
    let accounts = api.passwords.accounts_for_password(&api.store, credentials, visitor.address()).await?;
    match accounts.as_slice() {
        [account] => logged_in(&api, &headers, visitor, &account.user).await,
        several => Err(ApiError::organization_required(several.iter().map(OrganizationChoice::from).collect())),
    }
}

/// A change of the own password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordChange {
    /// The password so far.
    #[schema(value_type = String)]
    current_password: Secret,
    /// The new one: 10 to 256 characters.
    #[schema(value_type = String, min_length = 10)]
    new_password: Secret,
}

/// Changes the password of the user in this organization; their other sessions end. Accounts of the same address
/// in other organizations keep theirs.
#[utoipa::path(post, path = "/auth/password", tag = "auth", security(("session" = [])), request_body = PasswordChange, responses((status = 200, body = Me)))]
pub(super) async fn change_password(
    State(api): State<ApiState>, visitor: ClientIp, person: UserAuth, headers: HeaderMap,
    JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    visitor.count(&api)?;
    let PasswordChange { current_password, new_password } = typed(object)?;
    password::validate(new_password.expose()).map_err(|fault| ApiError::field("new_password", fault.message))?;
    let (user, store, source) = (&person.0.user, &api.store, visitor.address());
    if !api.passwords.is_right(store, user, current_password, source).await? {
        let mut wrong = ApiError::forbidden("wrong_password", "current_password: is wrong");
        wrong.details["field"] = "current_password".into();
        return Err(wrong);
    }
    let hashed = api.passwords.hash(store, &LoginAddress::new(&user.email), new_password, source).await?;
    store.change_password(user, &hashed, cookie(&headers).unwrap_or_default()).await?;
    person.audit(&api, "user.password", user.id).await?;
    Ok(ApiResponse::ok(me_of(&api, &person.0).await?))
}

/// Ends the session; without one it does nothing.
#[utoipa::path(post, path = "/auth/logout", tag = "auth", security(()), responses((status = 200, body = Deleted)))]
pub(super) async fn logout(State(api): State<ApiState>, headers: HeaderMap) -> Result<Response, ApiError> {
    check_origin(&api, &Method::POST, &headers)?;
    if let Some(token) = cookie(&headers) {
        api.store.end_session(token).await?;
    }
    let mut response = ApiResponse::deleted().into_response();
    if let Some(cookie) = set_cookie(&api, &headers, "", 0) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Who is logged in.
#[utoipa::path(get, path = "/auth/me", tag = "auth", security(("session" = [])), responses((status = 200, body = Me)))]
pub(super) async fn me(State(api): State<ApiState>, UserAuth(session): UserAuth) -> Result<ApiResponse, ApiError> {
    Ok(ApiResponse::ok(me_of(&api, &session).await?))
}
