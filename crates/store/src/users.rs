//! Users, their sessions, and invitations. A user is an address with a password in one organization; the same address may
//! be a user of several.

use super::api_keys::{hash, random_text};
use super::list_permits::BindValue;
use super::quotas::lock_family;
use super::{OrgScope, PageRequest, Store, StoreError, now, parsed, unique};
use sqlx::any::{Any, AnyRow};
use sqlx::{Row as _, Transaction};
use trunkline_domain::ids::{InvitationId, OrganizationId, UserId};
use trunkline_domain::login_address::LoginAddress;
use trunkline_domain::permission::UserRole;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::time::UnixMs;

/// One person in one organization; the same address may be a user of several.
#[derive(Clone, Debug)]
pub struct User {
    /// Chosen when the user is created; never changes.
    pub id: UserId,
    /// The organization that the user belongs to.
    pub organization: OrganizationId,
    /// The address to log in with, in its canonical form.
    pub email: String,
    /// Name of the person. `None` if it was never given.
    pub name: Option<String>,
    /// What the person may do in the organization.
    pub role: UserRole,
    /// When the user was created.
    pub created_at: UnixMs,
}

impl User {
    /// What is done for the user is done in this scope.
    pub fn scope(&self) -> OrgScope {
        OrgScope::new(self.organization)
    }
}

/// A user to be created; the password comes hashed.
#[derive(Clone, Copy)]
pub struct NewUser<'a> {
    /// The address to log in with; stored in its canonical form.
    pub email: &'a str,
    /// Name of the person. `None` if it was never given.
    pub name: Option<&'a str>,
    /// What the person may do in the organization.
    pub role: UserRole,
    /// Argon2id hash in the PHC format.
    pub password_hash: &'a str,
}

impl std::fmt::Debug for NewUser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("role", &self.role).finish_non_exhaustive()
    }
}

/// An invitation that was sent and not accepted yet; its token is stored as a hash.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Chosen when the invitation is made; never changes.
    pub id: InvitationId,
    /// The address that was invited, in its canonical form.
    pub email: String,
    /// The role that the user will have.
    pub role: UserRole,
    /// When the invitation was made.
    pub created_at: UnixMs,
    /// When the token stops working.
    pub expires_at: UnixMs,
}

/// Whose session a request came with.
#[derive(Clone, Debug)]
pub struct UserSession {
    /// The organization of the user.
    pub scope: OrgScope,
    /// The user who logged in.
    pub user: User,
}

pub(super) fn user(row: &AnyRow) -> Result<User, StoreError> {
    let organization: String = row.try_get("organization_id")?;
    Ok(User {
        id: parsed(UserId::parse(row.try_get("id")?), "users.id")?,
        organization: parsed(OrganizationId::parse(&organization), "users.organization_id")?,
        email: row.try_get("email")?,
        name: row.try_get("name")?,
        role: parsed(UserRole::parse(row.try_get("role")?), "users.role")?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

fn invitation(row: &AnyRow) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: parsed(InvitationId::parse(row.try_get("id")?), "invitations.id")?,
        email: row.try_get("email")?,
        role: parsed(UserRole::parse(row.try_get("role")?), "invitations.role")?,
        created_at: UnixMs(row.try_get("created_at")?),
        expires_at: UnixMs(row.try_get("expires_at")?),
    })
}

impl Store {
    /// Creates a user. Fails with `Duplicate` if the organization has the address, with `QuotaExceeded` if it is full.
    pub async fn create_user(&self, scope: OrgScope, new: NewUser<'_>) -> Result<User, StoreError> {
        let mut transaction = self.write.begin().await?;
        let made = self.create_user_in(&mut transaction, scope, new).await?;
        transaction.commit().await?;
        Ok(made)
    }

    async fn create_user_in(
        &self, transaction: &mut Transaction<'_, Any>, scope: OrgScope, new: NewUser<'_>,
    ) -> Result<User, StoreError> {
        let made = User {
            id: UserId::new(),
            organization: scope.organization(),
            email: LoginAddress::new(new.email).as_str().to_owned(),
            name: new.name.map(str::to_owned),
            role: new.role,
            created_at: now(),
        };
        self.reserve(transaction, scope.organization(), QuotaResource::Users).await?;
        sqlx::query("INSERT INTO users (id, organization_id, email, name, password_hash, role, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(made.id.to_string())
            .bind(scope.organization().to_string())
            .bind(&made.email)
            .bind(&made.name)
            .bind(new.password_hash)
            .bind(new.role.name())
            .bind(made.created_at.0)
            .bind(made.created_at.0)
            .execute(&mut **transaction)
            .await
            .map_err(|error| unique(error, IN_ORGANIZATION))?;
        Ok(made)
    }

    /// Returns a user; `None` if the organization has no such user.
    pub async fn user(&self, scope: OrgScope, id: UserId) -> Result<Option<User>, StoreError> {
        let row = sqlx::query("SELECT * FROM users WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// Returns a page of users, oldest first, and the number of all.
    pub async fn users(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<User>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        self.list("*", "FROM users WHERE organization_id = $1", "created_at, id", &binds, page, user).await
    }

    /// Changes a role or (`None`) removes the user with its sessions; false when that would leave the
    /// organization without an owner.
    pub async fn change_user(&self, scope: OrgScope, id: UserId, role: Option<UserRole>) -> Result<bool, StoreError> {
        let organization = scope.organization().to_string();
        let mut transaction = self.write.begin().await?;
        // Serialises changes of one organization's people on both databases.
        sqlx::query("UPDATE organizations SET updated_at = updated_at WHERE id = $1")
            .bind(&organization)
            .execute(&mut *transaction)
            .await?;
        let query = match role {
            Some(role) => {
                sqlx::query("UPDATE users SET role = $3, updated_at = $4 WHERE id = $1 AND organization_id = $2")
                    .bind(id.to_string())
                    .bind(&organization)
                    .bind(role.name())
                    .bind(now().0)
            }
            None => sqlx::query("DELETE FROM users WHERE id = $1 AND organization_id = $2")
                .bind(id.to_string())
                .bind(&organization),
        };
        query.execute(&mut *transaction).await?;
        let owners: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE organization_id = $1 AND role = 'owner'")
                .bind(&organization)
                .fetch_one(&mut *transaction)
                .await?;
        if owners == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The hash of a user's password; `None` when the user was removed.
    pub async fn password_hash(&self, user: &User) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1 AND organization_id = $2")
            .bind(user.id.to_string())
            .bind(user.organization.to_string());
        Ok(query.fetch_optional(&self.read).await?)
    }

    /// A session's token; what is stored is its hash.
    pub async fn create_session(&self, user: &User, lasts_ms: i64) -> Result<String, StoreError> {
        let (token, at) = (random_text(), now().0);
        sqlx::query(
            "INSERT INTO sessions (hash, user_id, organization_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(hash(&token))
        .bind(user.id.to_string())
        .bind(user.organization.to_string())
        .bind(at)
        .bind(at + lasts_ms)
        .execute(&self.write)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at < $1").bind(at).execute(&self.write).await?;
        // Keeps the newest sessions: a user who logs in again and again keeps as many as a person has devices.
        sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND hash NOT IN (SELECT s.hash FROM sessions s WHERE s.user_id = $1 \
             ORDER BY s.created_at DESC, s.hash LIMIT $2)",
        )
        .bind(user.id.to_string())
        .bind(i64::from(self.quotas.sessions_per_user))
        .execute(&self.write)
        .await?;
        Ok(token)
    }

    /// Returns the session of a token; `None` if it is unknown, ended or expired.
    pub async fn session(&self, token: &str) -> Result<Option<UserSession>, StoreError> {
        let row = sqlx::query(
            "SELECT u.* FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = $1 AND s.expires_at > $2",
        )
        .bind(hash(token))
        .bind(now().0)
        .fetch_optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let user = user(&row)?;
        Ok(Some(UserSession { scope: OrgScope::new(user.organization), user }))
    }

    /// Another password; every session but this one ends.
    pub async fn change_password(&self, user: &User, hashed: &str, token: &str) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        sqlx::query("UPDATE users SET password_hash = $1 WHERE id = $2 AND organization_id = $3")
            .bind(hashed)
            .bind(user.id.to_string())
            .bind(user.organization.to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND hash <> $2")
            .bind(user.id.to_string())
            .bind(hash(token))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Ends the session of a token; does nothing if there is none.
    pub async fn end_session(&self, token: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash(token)).execute(&self.write).await?;
        Ok(())
    }

    /// An invitation and its token, which is shown once. One that the organization has sent to this address before is
    /// void from now on. Whether the address has accounts elsewhere is not looked at.
    pub async fn invite(
        &self, scope: OrgScope, address: &LoginAddress, role: UserRole, lasts_ms: i64,
    ) -> Result<(Invitation, String), StoreError> {
        let (token, at) = (random_text(), now());
        let made = Invitation {
            id: InvitationId::new(),
            email: address.as_str().to_owned(),
            role,
            created_at: at,
            expires_at: UnixMs(at.0 + lasts_ms),
        };
        let organization = scope.organization().to_string();
        let mut transaction = self.write.begin().await?;
        // Invitations of one organization are made one after the other from here on.
        lock_family(&mut transaction, scope.organization()).await?;
        let [canonical, lowercase] = address.stored_forms();
        let members: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE organization_id = $1 AND email IN ($2, $3)")
                .bind(&organization)
                .bind(canonical)
                .bind(lowercase)
                .fetch_one(&mut *transaction)
                .await?;
        if members > 0 {
            return Err(StoreError::Duplicate(IN_ORGANIZATION));
        }
        revoke_invitations(&mut transaction, &organization, &made.email).await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::Invitations).await?;
        sqlx::query("INSERT INTO invitations (id, organization_id, email, role, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(made.id.to_string())
            .bind(&organization)
            .bind(&made.email)
            .bind(role.name())
            .bind(hash(&token))
            .bind(at.0)
            .bind(made.expires_at.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok((made, token))
    }

    /// A page of the invitations that can still be accepted, oldest first, and the number of all.
    pub async fn invitations(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<Invitation>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string()), BindValue::MaybeInt(Some(now().0))];
        let from = "FROM invitations WHERE organization_id = $1 AND expires_at > $2 AND accepted_at IS NULL";
        self.list("*", from, "created_at, id", &binds, page, invitation).await
    }

    /// Takes an invitation back: its token works no longer. False if there is none that can be accepted.
    pub async fn revoke_invitation(&self, scope: OrgScope, id: InvitationId) -> Result<bool, StoreError> {
        let revoked = sqlx::query(
            "DELETE FROM invitations WHERE id = $1 AND organization_id = $2 AND expires_at > $3 AND accepted_at IS NULL",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .bind(now().0)
        .execute(&self.write)
        .await?;
        Ok(revoked.rows_affected() > 0)
    }

    /// The address that a token invites, while it can be accepted.
    pub async fn invited_address(&self, token: &str) -> Result<Option<LoginAddress>, StoreError> {
        let found: Option<String> = sqlx::query_scalar(
            "SELECT email FROM invitations WHERE hash = $1 AND accepted_at IS NULL AND expires_at > $2",
        )
        .bind(hash(token))
        .bind(now().0)
        .fetch_optional(&self.read)
        .await?;
        Ok(found.as_deref().map(LoginAddress::new))
    }

    /// The invited person as a user of the organization, with a password for it; accounts of the same address in other
    /// organizations have no part in this. `None` for a token that is unknown, used or old.
    pub async fn accept_invitation(
        &self, token: &str, name: Option<&str>, password_hash: &str,
    ) -> Result<Option<User>, StoreError> {
        let (at, hashed) = (now().0, hash(token));
        let mut transaction = self.write.begin().await?;
        let organization: Option<String> =
            sqlx::query_scalar("SELECT organization_id FROM invitations WHERE hash = $1 AND accepted_at IS NULL")
                .bind(&hashed)
                .fetch_optional(&mut *transaction)
                .await?;
        let Some(organization) = organization else { return Ok(None) };
        let organization = parsed(OrganizationId::parse(&organization), "invitations.organization_id")?;
        // Invitations take these locks in the same order.
        lock_family(&mut transaction, organization).await?;
        // Of two who accept at the same time one finds the invitation taken.
        let row = sqlx::query(
            "UPDATE invitations SET accepted_at = $1 WHERE hash = $2 AND accepted_at IS NULL AND expires_at > $1 \
             RETURNING email, role",
        )
        .bind(at)
        .bind(&hashed)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let scope = OrgScope::new(organization);
        let role = parsed(UserRole::parse(row.try_get("role")?), "invitations.role")?;
        let email: String = row.try_get("email")?;
        let new = NewUser { email: &email, name, role, password_hash };
        let user = match self.create_user_in(&mut transaction, scope, new).await {
            // Has become a member by another invitation of an earlier version: this one is as good as used.
            Err(StoreError::Duplicate(_)) => return Ok(None),
            made => made?,
        };
        transaction.commit().await?;
        Ok(Some(user))
    }
}

/// What an organization says about itself.
const IN_ORGANIZATION: &str = "a user of this organization with this e-mail address";

async fn revoke_invitations(
    transaction: &mut Transaction<'_, Any>, organization: &str, email: &str,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM invitations WHERE organization_id = $1 AND email = $2 AND accepted_at IS NULL")
        .bind(organization)
        .bind(email)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
