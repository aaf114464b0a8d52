//! Batches of tasks.
//!
//! A paused batch holds its tasks: `due_at` is empty, and the time stands in `held_due_at`. Whatever makes a task due
//! looks at the status of its batch in the same statement.

use super::list_permits::BindValue;
use super::quotas::lock_family;
use super::{OrgScope, PageRequest, Store, StoreError, now, parsed};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;
use trunkline_domain::batch::{Batch, BatchStatus};
use trunkline_domain::ids::BatchId;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::time::UnixMs;

/// True for a task, a row of `tasks`, whose batch does not run. A batch that was deleted in the same moment runs neither:
/// nobody is called for want of a row.
pub(super) const IS_HELD: &str = "(tasks.batch_id IS NOT NULL AND NOT EXISTS \
    (SELECT 1 FROM batches b WHERE b.id = tasks.batch_id AND b.status = 'running'))";

/// The number of tasks by status, of each batch.
pub type BatchTasks = BTreeMap<BatchId, BTreeMap<String, i64>>;

fn batch(row: &AnyRow) -> Result<Batch, StoreError> {
    Ok(Batch {
        id: parsed(BatchId::parse(row.try_get("id")?), "batches.id")?,
        name: row.try_get("name")?,
        status: parsed(BatchStatus::parse(row.try_get("status")?), "batches.status")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates an empty batch.
    pub async fn create_batch(&self, scope: OrgScope, name: &str, status: BatchStatus) -> Result<Batch, StoreError> {
        let at = now();
        let batch = Batch { id: BatchId::new(), name: name.to_owned(), status, created_at: at, updated_at: at };
        sqlx::query(
            "INSERT INTO batches (id, organization_id, name, status, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(batch.id.to_string())
        .bind(scope.organization().to_string())
        .bind(&batch.name)
        .bind(batch.status.name())
        .bind(at.0)
        .bind(at.0)
        .execute(&self.write)
        .await?;
        Ok(batch)
    }

    /// Returns a batch; `None` if the organization has no such batch.
    pub async fn batch(&self, scope: OrgScope, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let row = sqlx::query("SELECT * FROM batches WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(batch).transpose()
    }

    /// Returns a page of batches, newest first, and the number of all.
    pub async fn batches(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<Batch>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        let from = "FROM batches WHERE organization_id = $1";
        self.list("*", from, "created_at DESC, id DESC", &binds, page, batch).await
    }

    /// The tasks of these batches by their status.
    pub async fn batch_tasks(&self, scope: OrgScope, ids: &[BatchId]) -> Result<BatchTasks, StoreError> {
        let mut all = BatchTasks::new();
        if ids.is_empty() {
            return Ok(all);
        }
        let places: Vec<String> = (0..ids.len()).map(|at| format!("${}", at + 2)).collect();
        let sql = format!(
            "SELECT batch_id, status, COUNT(*) AS number FROM tasks WHERE organization_id = $1 AND batch_id IN ({}) \
             GROUP BY batch_id, status",
            places.join(", ")
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(scope.organization().to_string());
        let query = ids.iter().fold(query, |query, id| query.bind(id.to_string()));
        for row in query.fetch_all(&self.lists).await? {
            let id = parsed(BatchId::parse(row.try_get("batch_id")?), "tasks.batch_id")?;
            all.entry(id).or_default().insert(row.try_get("status")?, row.try_get("number")?);
        }
        Ok(all)
    }

    /// The calls of a batch that are over, by why they ended. A task that was tried again has several.
    pub async fn batch_ended_calls(&self, scope: OrgScope, id: BatchId) -> Result<BTreeMap<String, i64>, StoreError> {
        let ended = sqlx::query(
            "SELECT c.end_reason AS name, COUNT(*) AS number FROM tasks t JOIN calls c ON c.task_id = t.id \
             WHERE t.batch_id = $1 AND t.organization_id = $2 AND c.end_reason IS NOT NULL \
             GROUP BY c.end_reason ORDER BY c.end_reason",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_all(&self.lists)
        .await?;
        ended.iter().map(|row| Ok((row.try_get("name")?, row.try_get("number")?))).collect()
    }

    /// Starts or pauses a batch, and with it every pending task. False when there is none.
    pub async fn set_batch_status(
        &self, scope: OrgScope, id: BatchId, status: BatchStatus,
    ) -> Result<bool, StoreError> {
        let at = now().0;
        let mut transaction = self.write.begin().await?;
        let done =
            sqlx::query("UPDATE batches SET status = $1, updated_at = $2 WHERE id = $3 AND organization_id = $4")
                .bind(status.name())
                .bind(at)
                .bind(id.to_string())
                .bind(scope.organization().to_string())
                .execute(&mut *transaction)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let tasks = match status {
            BatchStatus::Paused => {
                "UPDATE tasks SET held_due_at = due_at, due_at = NULL, updated_at = $1 \
                 WHERE batch_id = $2 AND status = 'pending' AND due_at IS NOT NULL"
            }
            BatchStatus::Running => {
                "UPDATE tasks SET due_at = COALESCE(held_due_at, CAST($1 AS BIGINT)), held_due_at = NULL, updated_at = $1 \
                 WHERE batch_id = $2 AND status = 'pending' AND due_at IS NULL"
            }
        };
        sqlx::query(tasks).bind(at).bind(id.to_string()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Makes the failed tasks of a batch pending again; how many there were. They are called at once if the batch runs.
    /// Fails with `QuotaExceeded` if the organization holds as many unfinished tasks as it may.
    pub async fn retry_batch(&self, scope: OrgScope, id: BatchId) -> Result<u64, StoreError> {
        let at = now().0;
        let mut transaction = self.write.begin().await?;
        lock_family(&mut transaction, scope.organization()).await?;
        let failed: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM tasks WHERE batch_id = $1 AND organization_id = $2 AND status = 'failed'",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_one(&mut *transaction)
        .await?;
        self.reserve_many(&mut transaction, scope.organization(), QuotaResource::Tasks, failed).await?;
        let sql = format!(
            "UPDATE tasks SET status = 'pending', failure = NULL, attempts = 0, call_id = NULL, lease_until = 0, updated_at = $1, \
             held_due_at = CASE WHEN {IS_HELD} THEN CAST($1 AS BIGINT) END, \
             due_at = CASE WHEN {IS_HELD} THEN NULL ELSE CAST($1 AS BIGINT) END \
             WHERE batch_id = $2 AND organization_id = $3 AND status = 'failed'"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(at)
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// Deletes a batch with its pending and failed tasks; the others stay, without a batch. How many tasks were deleted;
    /// `None` when there is no such batch.
    pub async fn delete_batch(&self, scope: OrgScope, id: BatchId) -> Result<Option<u64>, StoreError> {
        let (organization, id) = (scope.organization().to_string(), id.to_string());
        let mut transaction = self.write.begin().await?;
        let done = sqlx::query("DELETE FROM batches WHERE id = $1 AND organization_id = $2")
            .bind(&id)
            .bind(&organization)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let tasks = sqlx::query(
            "DELETE FROM tasks WHERE batch_id = $1 AND organization_id = $2 AND status IN ('pending', 'failed')",
        )
        .bind(&id)
        .bind(&organization)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE tasks SET batch_id = NULL, held_due_at = NULL WHERE batch_id = $1 AND organization_id = $2",
        )
        .bind(&id)
        .bind(&organization)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(tasks.rows_affected()))
    }
}
