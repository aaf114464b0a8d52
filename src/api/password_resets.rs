//! `/auth/password-reset`: a forgotten password is set anew by a link that is sent to the account's address.

use super::auth::check_origin;
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::input::{JsonObject, typed, typed_with};
use super::response::ApiResponse;
use super::state::ApiState;
use crate::domain::delivery::{Delivery, DeliveryChannel, mail_body};
use crate::domain::ids::DeliveryId;
use crate::domain::login_address::LoginAddress;
use crate::domain::password;
use crate::domain::secret::Secret;
use crate::store::{LoginAccount, StoreError, now};
use crate::supervision;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use utoipa::ToSchema;

/// Requests whose mails are prepared at once; more are answered 503, whatever their addresses.
static UNDER_WAY: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(32)));

/// How long a request keeps its place at least. An address with accounts takes longer than one without: whether there is
/// a place must not tell them apart.
const PLACE_KEPT: Duration = Duration::from_millis(500);

/// Whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordForgotten {
    /// Address of the account.
    #[schema(format = "email", example = "owner@example.com", max_length = 320)]
    email: String,
}

/// What happens now.
#[derive(Serialize, ToSchema)]
pub(super) struct ResetRequested {
    /// Whether this server sends mail at all; it says nothing about the address. `false`: the operator makes a link with
    /// `trunkline reset-password`.
    sends_mail: bool,
}

/// A new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The last part of the link.
    #[schema(value_type = String, max_length = 256)]
    token: Secret,
    /// The password to log in with from now on: 10 to 256 characters.
    #[schema(value_type = String, min_length = 10, max_length = 256)]
    password: Secret,
}

/// Whose password was set.
#[derive(Serialize, ToSchema)]
pub(super) struct PasswordReset {
    /// Address to log in with.
    #[schema(format = "email")]
    email: String,
}

/// The mail with the link.
fn mail(base_url: &str, account: &LoginAccount, token: &str) -> Delivery {
    let (user, at) = (&account.user, now());
    let text = format!(
        "Somebody, hopefully you, wants to set a new password for {} in the organization {}.\n\n\
         Set it here within an hour:\n{base_url}/#/reset/{token}\n\n\
         The link works once. If it was not you, ignore this mail: your password stays as it is.\n",
        user.email, account.organization_name,
    );
    Delivery {
        id: DeliveryId::new(),
        organization: user.organization,
        channel: DeliveryChannel::Mail,
        order_key: format!("{} password", user.id),
        call: None,
        task: None,
        agent: None,
        event_type: "password-reset".to_owned(),
        target: user.email.clone(),
        body: mail_body("Set a new password", &text),
        created_at: at,
    }
}

async fn send(api: &ApiState, address: &LoginAddress) -> Result<(), StoreError> {
    for account in api.store.accounts_of_address(address).await? {
        let user = &account.user;
        let base_url = &api.links.base_url;
        let begun = api.store.begin_password_reset(user, |token| Some(mail(base_url, &account, token))).await?;
        if begun.is_some() {
            let id = Some(user.id.to_string());
            api.store.record_audit_entry(user.scope(), &user.email, "user.password_reset_request", id).await?;
        }
    }
    Ok(())
}

/// Sends a link that sets a new password to an address, for each of its accounts; three in an hour at most. The answer
/// and its time are the same whether or not the address has accounts.
#[utoipa::path(post, path = "/auth/password-reset", tag = "auth", operation_id = "forgot_password", security(()), request_body = PasswordForgotten, responses((status = 202, body = ResetRequested, description = "Taken, whether or not the address has accounts.")))]
pub(super) async fn request(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &Method::POST, &headers)?;
    let PasswordForgotten { email } = typed(object)?;
    let address = LoginAddress::parse(&email).ok_or_else(|| ApiError::field("email", "is not an e-mail address"))?;
    let sends_mail = api.health.sends_mail();
    if sends_mail {
        let busy = |_| ApiError::unavailable("overloaded", "Too many people ask for a new password at once");
        let place = UNDER_WAY.clone().try_acquire_owned().map_err(busy)?;
        let (own, kept_until) = (api.clone(), Instant::now() + PLACE_KEPT);
        // After the answer: how long it takes says nothing about the address.
        drop(supervision::spawn("password_reset", async move {
            if let Err(error) = send(&own, &address).await {
                tracing::error!(%error, "cannot prepare the reset of a password");
            }
            sleep_until(kept_until).await;
            drop(place);
        }));
    }
    let ApiResponse(_, payload) = ApiResponse::ok(ResetRequested { sends_mail });
    Ok(ApiResponse(StatusCode::ACCEPTED, payload))
}

/// Sets a new password by the token of a link, once. All sessions of the account end, also the caller's: log in again.
#[utoipa::path(post, path = "/auth/password-reset/confirm", tag = "auth", operation_id = "reset_password", security(()), request_body = NewPassword, responses((status = 200, body = PasswordReset)))]
pub(super) async fn confirm(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &Method::POST, &headers)?;
    let NewPassword { token, password } = typed_with(object, Vec::new(), |fields: &NewPassword| {
        password::validate(fields.password.expose()).err().into_iter().collect()
    })?;
    let store = &api.store;
    let void = || ApiError::no_reference("token", "is unknown, used or expired");
    // Checked before the slow hash: a client that guesses tokens costs us no CPU time.
    let account = store.password_reset_account(token.expose()).await?.ok_or_else(void)?;
    let hash = api.passwords.hash(store, &LoginAddress::new(&account.email), password, visitor.address()).await?;
    if !store.finish_password_reset(token.expose(), &account, &hash).await? {
        return Err(void());
    }
    let id = Some(account.id.to_string());
    store.record_audit_entry(account.scope(), &account.email, "user.password_reset", id).await?;
    Ok(ApiResponse::ok(PasswordReset { email: account.email }))
}
