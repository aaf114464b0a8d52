//! `/users` and `/invitations`: the people of an organization.

use super::auth::{UserAuth, check_origin};
use super::client_ip::ClientIp;
use super::error::ApiError;
use super::input::{IdPath, JsonObject, Paging, QueryParams, id, typed, typed_with};
use super::response::{ApiResponse, Deleted};
use super::sessions::logged_in;
use super::state::ApiState;
use super::user_view::UserView;
use crate::domain::ids::{InvitationId, UserId};
use crate::domain::login_address::LoginAddress;
use crate::domain::organization::check_name;
use crate::domain::password;
use crate::domain::permission::UserRole;
use crate::domain::secret::{Secret, exposed};
use crate::store::{Invitation, StoreError, User};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Milliseconds an invitation is good for.
const INVITATION_MS: i64 = 7 * 86_400_000;

/// One person.
#[derive(Serialize, ToSchema)]
pub(super) struct UserBody {
    /// The person.
    user: UserView,
}

/// A page of people.
#[derive(Serialize, ToSchema)]
pub(super) struct UserPage {
    /// The people of the organization.
    users: Vec<UserView>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// A person to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Invite {
    /// Address of the person.
    #[schema(format = "email", example = "colleague@example.com", max_length = 320)]
    email: String,
    /// What they will be allowed to do; not above your own role. `member` by default.
    #[serde(default = "member")]
    role: UserRole,
}

fn member() -> UserRole {
    UserRole::Member
}

/// An invitation that waits for its person.
#[derive(Serialize, ToSchema)]
#[schema(as = Invitation)]
pub(super) struct InvitationView {
    #[schema(format = "uuid")]
    id: String,
    /// Address of the person.
    email: String,
    /// What they will be allowed to do.
    role: UserRole,
    /// What `POST /invitations/accept` takes; shown once.
    #[serde(serialize_with = "exposed")]
    #[schema(value_type = String)]
    token: Secret,
    #[schema(format = "date-time")]
    created_at: String,
    /// When the invitation ends (RFC 3339, UTC).
    #[schema(format = "date-time")]
    expires_at: String,
}

impl InvitationView {
    fn new(made: &Invitation, token: Secret) -> Self {
        Self {
            id: made.id.to_string(),
            email: made.email.clone(),
            role: made.role,
            token,
            created_at: made.created_at.rfc3339(),
            expires_at: made.expires_at.rfc3339(),
        }
    }
}

/// One invitation.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationBody {
    /// The invitation.
    invitation: InvitationView,
}

/// An invitation that nobody has taken up yet.
#[derive(Serialize, ToSchema)]
pub(super) struct PendingInvitation {
    #[schema(format = "uuid")]
    id: String,
    /// Address of the person.
    email: String,
    /// What they will be allowed to do.
    role: UserRole,
    #[schema(format = "date-time")]
    created_at: String,
    /// When the invitation ends (RFC 3339, UTC).
    #[schema(format = "date-time")]
    expires_at: String,
}

impl From<&Invitation> for PendingInvitation {
    fn from(made: &Invitation) -> Self {
        Self {
            id: made.id.to_string(),
            email: made.email.clone(),
            role: made.role,
            created_at: made.created_at.rfc3339(),
            expires_at: made.expires_at.rfc3339(),
        }
    }
}

/// A page of invitations.
#[derive(Serialize, ToSchema)]
pub(super) struct InvitationPage {
    /// The invitations that can still be accepted.
    invitations: Vec<PendingInvitation>,
    total: i64,
    limit: i64,
    offset: i64,
}

/// An invited person's answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    /// The token of the invitation.
    #[schema(value_type = String, max_length = 256)]
    token: Secret,
    /// Name of the person: 1 to 200 characters.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The password to log in with: 10 to 256 characters.
    #[schema(value_type = String, min_length = 10, max_length = 256)]
    password: Secret,
}

/// A new role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleChange {
    /// What the person may do; not above your own role.
    role: UserRole,
}

async fn find(api: &ApiState, person: &UserAuth, text: &str) -> Result<User, ApiError> {
    let id = id(text, UserId::parse, "User")?;
    api.store.user(person.scope(), id).await?.ok_or_else(|| ApiError::not_found("User"))
}

/// The people of the organization.
#[utoipa::path(get, path = "/users", tag = "users", security(("session" = [])), params(Paging), responses((status = 200, body = UserPage)))]
pub(super) async fn list(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    let page = query.page()?;
    let (rows, total) = api.store.users(person.scope(), page).await?;
    let users = rows.iter().map(UserView::from).collect();
    Ok(ApiResponse::ok(UserPage { users, total, limit: page.limit, offset: page.offset }))
}

/// Invites a user; the role cannot be above your own. The answer says nothing about accounts that the address has in
/// other organizations. An earlier invitation of the same address by this organization is void from now on.
#[utoipa::path(post, path = "/users/invite", tag = "users", security(("session" = [])), request_body = Invite, responses((status = 201, body = InvitationBody)))]
pub(super) async fn invite(
    State(api): State<ApiState>, person: UserAuth, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let Invite { email, role } = typed(object)?;
    person.require(UserRole::Admin)?;
    person.require(role)?;
    let address = LoginAddress::parse(&email);
    let address = address.ok_or_else(|| ApiError::field("email", "is not an e-mail address"))?;
    let invited = api.store.invite(person.scope(), &address, role, INVITATION_MS).await;
    let (made, token) = invited.map_err(|error| {
        let is_member = matches!(error, StoreError::Duplicate(_));
        let mut error = ApiError::from(error);
        if is_member {
            error.details["field"] = "email".into();
        }
        error
    })?;
    person.audit(&api, "user.invite", made.id).await?;
    Ok(ApiResponse::created(InvitationBody { invitation: InvitationView::new(&made, token.into()) }))
}

/// The invitations that can still be accepted, oldest first, without their tokens.
#[utoipa::path(get, path = "/users/invitations", tag = "users", operation_id = "list_invitations", security(("session" = [])), params(Paging), responses((status = 200, body = InvitationPage)))]
pub(super) async fn invitations(
    State(api): State<ApiState>, person: UserAuth, query: QueryParams,
) -> Result<ApiResponse, ApiError> {
    person.require(UserRole::Admin)?;
    let page = query.page()?;
    let (rows, total) = api.store.invitations(person.scope(), page).await?;
    let invitations = rows.iter().map(PendingInvitation::from).collect();
    Ok(ApiResponse::ok(InvitationPage { invitations, total, limit: page.limit, offset: page.offset }))
}

/// Takes an invitation back: its link works no longer.
#[utoipa::path(delete, path = "/users/invitations/{id}", tag = "users", operation_id = "revoke_invitation", security(("session" = [])), params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn revoke_invitation(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    person.require(UserRole::Admin)?;
    let id = id(&text, InvitationId::parse, "Invitation")?;
    if !api.store.revoke_invitation(person.scope(), id).await? {
        return Err(ApiError::not_found("Invitation"));
    }
    person.audit(&api, "user.invite_revoke", id).await?;
    Ok(ApiResponse::deleted())
}

/// The invited person becomes a user of the organization, with a password for it, and is logged in. Accounts of the same
/// address in other organizations keep their passwords.
#[utoipa::path(post, path = "/invitations/accept", tag = "users", operation_id = "accept_invitation", security(()), request_body = Acceptance, responses((status = 201, body = super::sessions::Me)))]
pub(super) async fn accept(
    State(api): State<ApiState>, visitor: ClientIp, headers: HeaderMap, JsonObject(mut object, _turn): JsonObject,
) -> Result<Response, ApiError> {
    visitor.count(&api)?;
    check_origin(&api, &Method::POST, &headers)?;
    object.retain(|_, value| !value.is_null());
    let Acceptance { token, name, password } = typed_with(object, Vec::new(), |fields: &Acceptance| {
        let name = fields.name.as_deref().and_then(|name| check_name(name).err());
        password::validate(fields.password.expose()).err().into_iter().chain(name).collect()
    })?;
    let store = &api.store;
    let void = || ApiError::no_reference("token", "is unknown, used or expired");
    // Checked before the slow hash: a client that guesses tokens costs us no CPU time.
    let address = store.invited_address(token.expose()).await?.ok_or_else(void)?;
    let hash = api.passwords.hash(store, &address, password, visitor.address()).await?;
    let user = store.accept_invitation(token.expose(), name.as_deref(), &hash).await?.ok_or_else(void)?;
    let mut response = logged_in(&api, &headers, visitor, &user).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Changes a person's role; the last owner stays one.
#[utoipa::path(patch, path = "/users/{id}", tag = "users", security(("session" = [])), params(IdPath), request_body = RoleChange, responses((status = 200, body = UserBody)))]
pub(super) async fn update(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>, JsonObject(object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    let mut user = find(&api, &person, &text).await?;
    let RoleChange { role } = typed(object)?;
    person.require(UserRole::Owner)?;
    change(&api, &person, &user, Some(role)).await?;
    user.role = role;
    person.audit(&api, "user.role", user.id).await?;
    Ok(ApiResponse::ok(UserBody { user: (&user).into() }))
}

/// Removes a person, with their sessions.
#[utoipa::path(delete, path = "/users/{id}", tag = "users", security(("session" = [])), params(IdPath), responses((status = 200, body = Deleted)))]
pub(super) async fn delete(
    State(api): State<ApiState>, person: UserAuth, Path(text): Path<String>,
) -> Result<ApiResponse, ApiError> {
    let user = find(&api, &person, &text).await?;
    person.require(UserRole::Owner)?;
    change(&api, &person, &user, None).await?;
    person.audit(&api, "user.remove", user.id).await?;
    Ok(ApiResponse::deleted())
}

async fn change(api: &ApiState, person: &UserAuth, user: &User, role: Option<UserRole>) -> Result<(), ApiError> {
    if !api.store.change_user(person.scope(), user.id, role).await? {
        return Err(ApiError::state("An organization keeps at least one owner"));
    }
    Ok(())
}
