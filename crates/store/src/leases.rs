//! Work that one process of the installation does at a time.

use super::{Store, StoreError};

impl Store {
    /// Takes or renews a lease by the database's clock; false while another holder has it.
    pub async fn hold_lease(&self, name: &str, holder: &str, lasts_ms: i64) -> Result<bool, StoreError> {
        let now = self.clock();
        let sql = format!(
            "INSERT INTO leases (name, holder, held_until) VALUES ($1, $2, {now} + $3) \
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until \
             WHERE leases.holder = excluded.holder OR leases.held_until <= {now}"
        );
        let done =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(name).bind(holder).bind(lasts_ms).execute(&self.write).await?;
        Ok(done.rows_affected() == 1)
    }
}
