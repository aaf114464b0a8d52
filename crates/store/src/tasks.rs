//! Tasks.

use super::batches::IS_HELD;
use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::{AgentId, BatchId, TaskId};
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::task::{Task, TaskFields, TaskStatus};
use trunkline_domain::time::UnixMs;

fn task(scope: OrgScope, row: &AnyRow) -> Result<Task, StoreError> {
    Ok(Task {
        id: parsed(TaskId::parse(row.try_get("id")?), "tasks.id")?,
        organization: scope.organization(),
        agent: parsed(AgentId::parse(row.try_get("agent_id")?), "tasks.agent_id")?,
        batch: row.try_get::<Option<String>, _>("batch_id")?.as_deref().and_then(BatchId::parse),
        status: parsed(TaskStatus::parse(row.try_get("status")?), "tasks.status")?,
        failure: row.try_get("failure")?,
        fields: document(row.try_get("fields")?)?,
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates a pending task. In a batch that runs, a task without a time of its own is due at once; in one that is
    /// paused none is. Fails with `QuotaExceeded` if the organization or its family has too many.
    pub async fn create_task(
        &self, scope: OrgScope, agent: AgentId, batch: Option<BatchId>, fields: TaskFields,
    ) -> Result<Task, StoreError> {
        let at = now();
        let task = Task {
            id: TaskId::new(),
            organization: scope.organization(),
            agent,
            batch,
            status: TaskStatus::Pending,
            failure: None,
            fields,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::Tasks).await?;
        let due = task.fields.due_at().or_else(|| batch.map(|_| at));
        let paused = "(CAST($9 AS TEXT) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.id = $9 AND b.status = 'running'))";
        let insert = format!(
            "INSERT INTO tasks (id, organization_id, agent_id, status, fields, priority, due_at, held_due_at, created_at, updated_at, batch_id) \
             VALUES ($1, $2, $3, 'pending', $4, $5, CASE WHEN {paused} THEN NULL ELSE CAST($6 AS BIGINT) END, CASE WHEN {paused} THEN CAST($6 AS BIGINT) END, $7, $8, $9)"
        );
        sqlx::query(sqlx::AssertSqlSafe(insert))
            .bind(task.id.to_string())
            .bind(scope.organization().to_string())
            .bind(agent.to_string())
            .bind(text(&task.fields)?)
            .bind(task.fields.priority)
            .bind(due.map(|at| at.0))
            .bind(at.0)
            .bind(at.0)
            .bind(batch.map(|id| id.to_string()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(task)
    }

    /// Returns a task; `None` if the organization has no such task.
    pub async fn task(&self, scope: OrgScope, id: TaskId) -> Result<Option<Task>, StoreError> {
        let row = sqlx::query("SELECT * FROM tasks WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| task(scope, row)).transpose()
    }

    /// Returns a page, newest first, and the number of all that match. `None` as a filter: any agent, any status, any batch.
    pub async fn tasks(
        &self, scope: OrgScope, agent: Option<AgentId>, status: Option<TaskStatus>, batch: Option<BatchId>,
        page: PageRequest,
    ) -> Result<(Vec<Task>, i64), StoreError> {
        let from = "FROM tasks WHERE organization_id = $1 AND ($2 IS NULL OR agent_id = $2) AND ($3 IS NULL OR status = $3) AND ($4 IS NULL OR batch_id = $4)";
        let binds = [
            BindValue::Text(scope.organization().to_string()),
            BindValue::MaybeText(agent.map(|id| id.to_string())),
            BindValue::MaybeText(status.map(|status| status.name().to_owned())),
            BindValue::MaybeText(batch.map(|id| id.to_string())),
        ];
        self.list("*", from, "created_at DESC, id DESC", &binds, page, |row| task(scope, row)).await
    }

    /// Changes the fields of a pending task; false when it is not pending any more, or not in the version that `task` was
    /// read in.
    pub async fn update_task(&self, scope: OrgScope, task: &Task) -> Result<bool, StoreError> {
        // A task of a batch without a time of its own stays due.
        let update = format!(
            "UPDATE tasks SET agent_id = $1, fields = $2, priority = $3, due_at = CASE WHEN {IS_HELD} THEN NULL \
             WHEN call_id IS NULL AND batch_id IS NULL THEN CAST($4 AS BIGINT) ELSE COALESCE(CAST($4 AS BIGINT), due_at) END, \
             held_due_at = CASE WHEN {IS_HELD} THEN COALESCE(CAST($4 AS BIGINT), held_due_at) END, updated_at = $5, \
             version = version + 1 WHERE id = $6 AND organization_id = $7 AND status = 'pending' AND version = $8"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(update))
            .bind(task.agent.to_string())
            .bind(text(&task.fields)?)
            .bind(task.fields.priority)
            .bind(task.fields.due_at().map(|at| at.0))
            .bind(task.updated_at.0)
            .bind(task.id.to_string())
            .bind(scope.organization().to_string())
            .bind(task.version)
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves a task from one status to another, with why it failed; false when it was not in the first. The database
    /// decides, so that two requests cannot both execute a task.
    pub async fn move_task(
        &self, scope: OrgScope, id: TaskId, from: TaskStatus, to: TaskStatus, failure: Option<&str>,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        if to == TaskStatus::Pending && !matches!(from, TaskStatus::Pending | TaskStatus::InProgress) {
            self.reserve(&mut transaction, scope.organization(), QuotaResource::Tasks).await?;
        }
        // What becomes pending in a batch that runs is called, like everything else in it.
        let update = format!(
            "UPDATE tasks SET status = $1, updated_at = $2, due_at = {}, held_due_at = NULL, call_id = NULL, lease_until = 0, \
             attempts = 0, failure = $6 WHERE id = $3 AND organization_id = $4 AND status = $5",
            if to == TaskStatus::Pending {
                format!("CASE WHEN batch_id IS NOT NULL AND NOT {IS_HELD} THEN CAST($2 AS BIGINT) END")
            } else {
                "NULL".to_owned()
            }
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(update))
            .bind(to.name())
            .bind(now().0)
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .bind(from.name())
            .bind(failure)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// False when the task is neither pending nor failed.
    pub async fn delete_task(&self, scope: OrgScope, id: TaskId) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM tasks WHERE id = $1 AND organization_id = $2 AND status IN ('pending', 'failed')")
                .bind(id.to_string())
                .bind(scope.organization().to_string())
                .execute(&self.write)
                .await?;
        Ok(done.rows_affected() == 1)
    }
}
