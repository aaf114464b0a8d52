//! Nodes (processes) that share a database, by heartbeat. The database's clock decides who is dead, because the
//! processes' clocks may differ.
//!
//! A node may judge others only after it has been present without a gap for the dead-after time: after an outage all
//! heartbeats are old. Every write for a call is a heartbeat in the same transaction, so that no call appears without
//! its node.

use super::{DatabaseBackend, Store, StoreError};
use sqlx::any::Any;
use sqlx::{Row as _, Transaction};
use trunkline_domain::time::UnixMs;

/// A sign of life, by the database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeHeartbeat {
    /// The time of this heartbeat.
    pub last_heartbeat_at: UnixMs,
    /// Since when this process has been here without a gap. Another value than before: it was away, and others may have
    /// taken it for dead.
    pub joined_at: UnixMs,
}

impl Store {
    /// The database's clock, as SQL: milliseconds since 1970. Within a statement that waits it goes on.
    pub(super) fn clock(&self) -> &'static str {
        match self.backend {
            DatabaseBackend::Sqlite => "CAST((julianday('now') - 2440587.5) * 86400000.0 AS BIGINT)",
            DatabaseBackend::Postgres => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
        }
    }

    /// Records a heartbeat.
    pub async fn record_heartbeat(&self, node: &str) -> Result<NodeHeartbeat, StoreError> {
        let mut transaction = self.write.begin().await?;
        let beat = self.record_heartbeat_in(&mut transaction, node).await?;
        transaction.commit().await?;
        Ok(beat)
    }

    /// The same within a transaction that writes for its calls; first in it, so that all lock in the same order.
    pub(super) async fn record_heartbeat_in(
        &self, transaction: &mut Transaction<'_, Any>, node: &str,
    ) -> Result<NodeHeartbeat, StoreError> {
        let now = self.clock();
        // A clock that was set back is a gap too.
        let sql = format!(
            "INSERT INTO nodes (id, seen_at, joined_at) VALUES ($1, {now}, {now}) ON CONFLICT (id) DO UPDATE SET \
             joined_at = CASE WHEN nodes.seen_at < excluded.seen_at - $2 OR nodes.seen_at > excluded.seen_at + $2 \
             THEN excluded.seen_at ELSE nodes.joined_at END, seen_at = excluded.seen_at RETURNING seen_at, joined_at"
        );
        let row =
            sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node).bind(self.gap_ms()).fetch_one(&mut **transaction).await?;
        Ok(NodeHeartbeat {
            last_heartbeat_at: UnixMs(row.try_get("seen_at")?),
            joined_at: UnixMs(row.try_get("joined_at")?),
        })
    }

    /// Signs of life further apart than this are not without a gap: two of them are missing.
    fn gap_ms(&self) -> i64 {
        self.dead_after_ms / 2
    }

    /// Removes this node at an orderly shutdown.
    pub async fn deregister_node(&self, node: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM nodes WHERE id = $1").bind(node).execute(&self.write).await?;
        Ok(())
    }

    /// Deletes dead nodes; false when this node may not judge yet. Rows stay locked until the transaction ends, so a
    /// returning node learns that it was considered dead.
    pub(super) async fn delete_dead_nodes(
        &self, transaction: &mut Transaction<'_, Any>, node: &str,
    ) -> Result<bool, StoreError> {
        let now = self.clock();
        let judge = format!(
            "SELECT 1 FROM nodes WHERE id = $1 AND seen_at >= {now} - $2 AND joined_at <= {now} - $3 AND seen_at <= {now} + $2"
        );
        let may = sqlx::query(sqlx::AssertSqlSafe(judge))
            .bind(node)
            .bind(self.gap_ms())
            .bind(self.dead_after_ms)
            .fetch_optional(&mut **transaction)
            .await?;
        if may.is_none() {
            return Ok(false);
        }
        // Heartbeats in the future come from a clock that was set back: count them from now.
        let (ahead, dead) = (
            format!("UPDATE nodes SET seen_at = {now} WHERE seen_at > {now} + $1"),
            format!("DELETE FROM nodes WHERE id <> $1 AND seen_at <= {now} - $2"),
        );
        sqlx::query(sqlx::AssertSqlSafe(ahead)).bind(self.gap_ms()).execute(&mut **transaction).await?;
        sqlx::query(sqlx::AssertSqlSafe(dead)).bind(node).bind(self.dead_after_ms).execute(&mut **transaction).await?;
        Ok(true)
    }

    /// Condition on `calls.node`, with the process as `$1`: no process holds the call any more. A process that has just
    /// started holds nothing yet, whatever is there under its name; and a file has one process, so whatever another one
    /// left there is dead.
    pub(super) fn is_dead(&self, at_start: bool) -> &'static str {
        match (self.backend, at_start) {
            (DatabaseBackend::Sqlite, true) => "$1 = $1",
            (DatabaseBackend::Sqlite, false) => "(node IS NULL OR node <> $1)",
            (DatabaseBackend::Postgres, true) => "node = $1",
            (DatabaseBackend::Postgres, false) => {
                "(node IS NULL OR (node <> $1 AND NOT EXISTS (SELECT 1 FROM nodes n WHERE n.id = node)))"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> Store {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// Moves what is known of a process into the past.
    async fn age(store: &Store, node: &str, ms: i64) {
        sqlx::query("UPDATE nodes SET seen_at = seen_at - $1, joined_at = joined_at - $1 WHERE id = $2")
            .bind(ms)
            .bind(node)
            .execute(&store.write)
            .await
            .unwrap();
    }

    async fn buries(store: &Store, node: &str) -> bool {
        let mut transaction = store.write.begin().await.unwrap();
        let may = store.delete_dead_nodes(&mut transaction, node).await.unwrap();
        transaction.commit().await.unwrap();
        may
    }

    async fn known(store: &Store) -> Vec<String> {
        sqlx::query_scalar("SELECT id FROM nodes ORDER BY id").fetch_all(&store.read).await.unwrap()
    }

    #[tokio::test]
    async fn process_that_lost_the_database_waits_before_it_declares_others_dead() {
        let store = store().await;
        store.record_heartbeat("first").await.unwrap();
        store.record_heartbeat("second").await.unwrap();
        assert!(!buries(&store, "first").await, "it has only just come");
        // Both have been here for long; then the database was away for everybody.
        for node in ["first", "second"] {
            age(&store, node, 60_000).await;
        }
        let before = store.record_heartbeat("first").await.unwrap();
        assert_eq!(before.joined_at, before.last_heartbeat_at, "it was away");
        assert!(!buries(&store, "first").await);
        assert_eq!(known(&store).await, ["first", "second"]);
        // The first one stays; the other one says nothing for as long as it is given.
        for _ in 0..3 {
            age(&store, "first", 5_000).await;
            store.record_heartbeat("first").await.unwrap();
        }
        assert!(buries(&store, "first").await);
        assert_eq!(known(&store).await, ["first"]);
        // It comes back, and finds out.
        let back = store.record_heartbeat("second").await.unwrap();
        assert_eq!(back.joined_at, back.last_heartbeat_at);
        assert!(!buries(&store, "second").await);
    }

    #[tokio::test]
    async fn clock_set_back_declares_no_node_dead() {
        let store = store().await;
        store.record_heartbeat("first").await.unwrap();
        store.record_heartbeat("second").await.unwrap();
        for node in ["first", "second"] {
            age(&store, node, -3_600_000).await;
        }
        let beat = store.record_heartbeat("first").await.unwrap();
        assert_eq!(beat.joined_at, beat.last_heartbeat_at, "the length of the absence is unknown");
        for _ in 0..3 {
            age(&store, "first", 5_000).await;
            store.record_heartbeat("first").await.unwrap();
        }
        assert!(buries(&store, "first").await);
        assert_eq!(known(&store).await, ["first", "second"], "it counts from now on");
        age(&store, "second", 12_500).await;
        assert!(buries(&store, "first").await);
        assert_eq!(known(&store).await, ["first"]);
    }

    #[tokio::test]
    async fn the_databases_clock_is_right() {
        let store = store().await;
        let beat = store.record_heartbeat("first").await.unwrap();
        assert!((beat.last_heartbeat_at.0 - super::super::now().0).abs() < 5_000, "{beat:?}");
    }
}
