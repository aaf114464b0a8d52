//! Logging in: which accounts of an address a password opens, and from where each was opened before.

use super::api_keys::{hash, random_text};
use super::users::{User, user};
use super::{Store, StoreError, now, parsed};
use std::net::IpAddr;
use trunkline_domain::ids::{OrganizationId, UserId};
use trunkline_domain::login_address::LoginAddress;
use trunkline_domain::password::{HashParams, OUTPUT_CHARS};

/// Accounts with one address and password that a login can choose from. A user with more accounts must name the
/// organization.
const CHOICES_MAX: i64 = 100;
/// Recipes of one address. There is one, unless two accounts were made by an operator at the same moment.
const RECIPES_MAX: i64 = 4;
/// Sources remembered of one account; the one that was used the longest ago is forgotten.
const SOURCES_MAX: i64 = 16;
/// How long a source is remembered.
const SOURCE_RETENTION_MS: i64 = 90 * 86_400_000;

/// An account that a password opens.
#[derive(Clone, Debug)]
pub struct LoginAccount {
    /// The account, which belongs to one organization.
    pub user: User,
    /// Name of that organization, for the person to choose by.
    pub organization_name: String,
}

impl Store {
    /// A secret of this installation that salts of passwords and names of sources are made with.
    async fn login_secret(&self) -> Result<&str, StoreError> {
        let made = self
            .login_secret
            .get_or_try_init(|| async { self.get_or_create_setting("login_secret", &random_text()).await });
        Ok(made.await?)
    }

    /// What passwords of an address are hashed with: the recipes of its accounts, or the one of its first.
    pub async fn password_recipes(&self, address: &LoginAddress) -> Result<Vec<HashParams>, StoreError> {
        let secret = self.login_secret().await?;
        let [canonical, lowercase] = address.stored_forms();
        let sql = format!(
            "SELECT DISTINCT substr(password_hash, 1, length(password_hash) - {OUTPUT_CHARS}) FROM users \
             WHERE email IN ($1, $2) AND length(password_hash) > {OUTPUT_CHARS} LIMIT $3"
        );
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(canonical).bind(lowercase).bind(RECIPES_MAX);
        let stored: Vec<String> = query.fetch_all(&self.read).await?;
        if stored.is_empty() {
            return Ok(vec![HashParams::of_address(secret, address)]);
        }
        Ok(stored.into_iter().map(HashParams::stored).collect())
    }

    /// The recipe of another account of an address.
    pub async fn password_recipe(&self, address: &LoginAddress) -> Result<HashParams, StoreError> {
        let first = self.password_recipes(address).await?.into_iter().next();
        parsed(first, "users.password_hash")
    }

    /// Accounts of an address whose password has one of these hashes, those of one organization if it is named; by the
    /// names of their organizations, a hundred at most.
    pub async fn accounts(
        &self, address: &LoginAddress, hashes: &[String], organization: Option<OrganizationId>,
    ) -> Result<Vec<LoginAccount>, StoreError> {
        let [canonical, lowercase] = address.stored_forms();
        let organization = organization.map(|id| id.to_string()).unwrap_or_default();
        let mut found = Vec::new();
        for hash in hashes {
            let rows = sqlx::query(
                "SELECT u.*, o.name AS organization_name FROM users u JOIN organizations o ON o.id = u.organization_id \
                 WHERE u.email IN ($1, $2) AND u.password_hash = $3 AND ($4 = '' OR u.organization_id = $4) \
                 ORDER BY o.name, u.id LIMIT $5",
            )
            .bind(canonical)
            .bind(lowercase)
            .bind(hash)
            .bind(&organization)
            .bind(CHOICES_MAX)
            .fetch_all(&self.read)
            .await?;
            for row in &rows {
                let organization_name = sqlx::Row::try_get(row, "organization_name")?;
                found.push(LoginAccount { user: user(row)?, organization_name });
            }
        }
        Ok(found)
    }

    /// Accounts of an address that were logged in from this source before.
    pub async fn familiar_accounts(&self, address: &LoginAddress, source: IpAddr) -> Result<Vec<UserId>, StoreError> {
        let [canonical, lowercase] = address.stored_forms();
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT s.user_id FROM login_sources s JOIN users u ON u.id = s.user_id \
             WHERE u.email IN ($1, $2) AND s.source = $3 AND s.seen_at > $4 LIMIT $5",
        )
        .bind(canonical)
        .bind(lowercase)
        .bind(self.source_name(source).await?)
        .bind(now().0 - SOURCE_RETENTION_MS)
        .bind(CHOICES_MAX)
        .fetch_all(&self.read)
        .await?;
        ids.iter().map(|id| parsed(UserId::parse(id), "login_sources.user_id")).collect()
    }

    /// Remembers that a user has logged in to an account from this source.
    pub async fn remember_source(&self, user: UserId, source: IpAddr) -> Result<(), StoreError> {
        let (user, source, at) = (user.to_string(), self.source_name(source).await?, now().0);
        sqlx::query(
            "INSERT INTO login_sources (user_id, source, seen_at) VALUES ($1, $2, $3) \
             ON CONFLICT (user_id, source) DO UPDATE SET seen_at = $3",
        )
        .bind(&user)
        .bind(source)
        .bind(at)
        .execute(&self.write)
        .await?;
        sqlx::query(
            "DELETE FROM login_sources WHERE user_id = $1 AND (seen_at < $2 OR source NOT IN \
             (SELECT s.source FROM login_sources s WHERE s.user_id = $1 ORDER BY s.seen_at DESC, s.source LIMIT $3))",
        )
        .bind(&user)
        .bind(at - SOURCE_RETENTION_MS)
        .bind(SOURCES_MAX)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// The database holds no addresses of people's machines.
    async fn source_name(&self, source: IpAddr) -> Result<String, StoreError> {
        Ok(hash(&format!("{} {source}", self.login_secret().await?)))
    }
}
