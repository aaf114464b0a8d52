//! The processes that share a database, by their signs of life.

use super::{Backend, Store, StoreError, now};

impl Store {
    /// This process is alive.
    pub async fn beat(&self, node: &str) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO nodes (id, seen_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
        )
        .bind(node)
        .bind(now().0)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// This process ends in order.
    pub async fn leave(&self, node: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM nodes WHERE id = $1").bind(node).execute(&self.write).await?;
        Ok(())
    }

    /// Condition on `calls.node`: the process that held the call is gone. A file has one process, so
    /// whatever another one left there is dead; and a process that has just started holds nothing yet,
    /// whatever is there under its name.
    pub(super) fn is_dead(&self, at_start: bool) -> &'static str {
        match (self.backend, at_start) {
            (Backend::Sqlite, true) => "($1 = $1 AND $2 = $2)",
            (Backend::Sqlite, false) => "(node IS NULL OR node <> $1) AND $2 = $2",
            (Backend::Postgres, true) => {
                "(node IS NULL OR node = $1 OR NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = node AND n.seen_at > $2))"
            }
            (Backend::Postgres, false) => {
                "(node IS NULL OR (node <> $1 AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = node AND n.seen_at > $2)))"
            }
        }
    }
}
