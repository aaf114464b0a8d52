//! What this installation made up for itself once and every process shares.

use super::{Store, StoreError};

impl Store {
    /// The value of a name; `made` is kept when there is none yet.
    pub async fn get_or_create_setting(&self, name: &str, made: &str) -> Result<String, StoreError> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(made)
            .execute(&self.write)
            .await?;
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE name = $1").bind(name).fetch_one(&self.write).await?)
    }
}
