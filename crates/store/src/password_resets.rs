//! Forgotten passwords: a token that sets a new one, once and for a while. What is stored is its hash.

use super::api_keys::{hash, random_text};
use super::deliveries::enqueue;
use super::logins::LoginAccount;
use super::users::{User, user};
use super::{Store, StoreError, now};
use sqlx::Row as _;
use trunkline_domain::delivery::Delivery;
use trunkline_domain::login_address::LoginAddress;

/// How long a token is good.
const RESET_MS: i64 = 3_600_000;
/// Tokens of one account that are good at once: whoever asks again and again sends no more mail.
const RESETS_MAX: i64 = 3;
/// Accounts of one address that are looked at.
const ACCOUNTS_MAX: i64 = 20;

impl Store {
    /// The accounts of an address, by the names of their organizations.
    pub async fn accounts_of_address(&self, address: &LoginAddress) -> Result<Vec<LoginAccount>, StoreError> {
        let [canonical, lowercase] = address.stored_forms();
        let rows = sqlx::query(
            "SELECT u.*, o.name AS organization_name FROM users u JOIN organizations o ON o.id = u.organization_id \
             WHERE u.email IN ($1, $2) ORDER BY o.name, u.id LIMIT $3",
        )
        .bind(canonical)
        .bind(lowercase)
        .bind(ACCOUNTS_MAX)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| Ok(LoginAccount { user: user(row)?, organization_name: row.try_get("organization_name")? }))
            .collect()
    }

    /// A token that sets a new password of an account, with the mail that carries it if there is one. `None` when the
    /// account has too many already.
    pub async fn begin_password_reset(
        &self, account: &User, mail: impl FnOnce(&str) -> Option<Delivery>,
    ) -> Result<Option<String>, StoreError> {
        let (token, at) = (random_text(), now().0);
        let mut transaction = self.write.begin().await?;
        // Requests of one account are counted one after the other from here on.
        sqlx::query("UPDATE users SET updated_at = updated_at WHERE id = $1")
            .bind(account.id.to_string())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM password_resets WHERE expires_at <= $1").bind(at).execute(&mut *transaction).await?;
        let done = sqlx::query(
            "INSERT INTO password_resets (hash, user_id, created_at, expires_at) \
             SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT) \
             WHERE (SELECT COUNT(*) FROM password_resets r WHERE r.user_id = $2) < $5",
        )
        .bind(hash(&token))
        .bind(account.id.to_string())
        .bind(at)
        .bind(at + RESET_MS)
        .bind(RESETS_MAX)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        if let Some(mail) = mail(&token) {
            enqueue(&mut transaction, &mail, self.full_outboxes.refuse(&mail).as_ref()).await?;
        }
        transaction.commit().await?;
        self.notifiers.outbox.notify_one();
        Ok(Some(token))
    }

    /// The account whose password a token sets, while it is good.
    pub async fn password_reset_account(&self, token: &str) -> Result<Option<User>, StoreError> {
        let row = sqlx::query(
            "SELECT u.* FROM password_resets r JOIN users u ON u.id = r.user_id WHERE r.hash = $1 AND r.expires_at > $2",
        )
        .bind(hash(token))
        .bind(now().0)
        .fetch_optional(&self.read)
        .await?;
        row.as_ref().map(user).transpose()
    }

    /// Sets the password of an account by a token, which is used up with all others of the account; every session ends.
    /// False when the token is not good any more.
    pub async fn finish_password_reset(
        &self, token: &str, account: &User, password_hash: &str,
    ) -> Result<bool, StoreError> {
        let id = account.id.to_string();
        let mut transaction = self.write.begin().await?;
        let used = sqlx::query("DELETE FROM password_resets WHERE hash = $1 AND user_id = $2 AND expires_at > $3")
            .bind(hash(token))
            .bind(&id)
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE users SET password_hash = $1, updated_at = $2 WHERE id = $3")
            .bind(password_hash)
            .bind(now().0)
            .bind(&id)
            .execute(&mut *transaction)
            .await?;
        for sql in ["DELETE FROM sessions WHERE user_id = $1", "DELETE FROM password_resets WHERE user_id = $1"] {
            sqlx::query(sql).bind(&id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }
}
