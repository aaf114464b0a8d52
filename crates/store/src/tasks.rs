//! Tasks.

use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::{AgentId, TaskId};
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::task::{Task, TaskFields, TaskStatus};
use trunkline_domain::time::UnixMs;

fn task(scope: OrgScope, row: &AnyRow) -> Result<Task, StoreError> {
    Ok(Task {
        id: parsed(TaskId::parse(row.try_get("id")?), "tasks.id")?,
        organization: scope.organization(),
        agent: parsed(AgentId::parse(row.try_get("agent_id")?), "tasks.agent_id")?,
        status: parsed(TaskStatus::parse(row.try_get("status")?), "tasks.status")?,
        fields: document(row.try_get("fields")?)?,
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates a pending task. Fails with `QuotaExceeded` if the organization or its family has too many.
    pub async fn create_task(&self, scope: OrgScope, agent: AgentId, fields: TaskFields) -> Result<Task, StoreError> {
        let at = now();
        let task = Task {
            id: TaskId::new(),
            organization: scope.organization(),
            agent,
            status: TaskStatus::Pending,
            fields,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::Tasks).await?;
        sqlx::query("INSERT INTO tasks (id, organization_id, agent_id, status, fields, priority, due_at, created_at, updated_at) VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8)")
            .bind(task.id.to_string())
            .bind(scope.organization().to_string())
            .bind(agent.to_string())
            .bind(text(&task.fields)?)
            .bind(task.fields.priority)
            .bind(task.fields.due_at().map(|at| at.0))
            .bind(at.0)
            .bind(at.0)
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

    /// Returns a page, newest first, and the number of all that match. `None` as a filter: any agent, any status.
    pub async fn tasks(
        &self, scope: OrgScope, agent: Option<AgentId>, status: Option<TaskStatus>, page: PageRequest,
    ) -> Result<(Vec<Task>, i64), StoreError> {
        let from =
            "FROM tasks WHERE organization_id = $1 AND ($2 IS NULL OR agent_id = $2) AND ($3 IS NULL OR status = $3)";
        let binds = [
            BindValue::Text(scope.organization().to_string()),
            BindValue::MaybeText(agent.map(|id| id.to_string())),
            BindValue::MaybeText(status.map(|status| status.name().to_owned())),
        ];
        self.list("*", from, "created_at DESC, id DESC", &binds, page, |row| task(scope, row)).await
    }

    /// Changes the fields of a pending task; false when it is not pending any more, or not in the version that `task` was
    /// read in.
    pub async fn update_task(&self, scope: OrgScope, task: &Task) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE tasks SET agent_id = $1, fields = $2, priority = $3, due_at = CASE WHEN call_id IS NULL THEN $4 ELSE COALESCE($4, due_at) END, updated_at = $5, version = version + 1 WHERE id = $6 AND organization_id = $7 AND status = 'pending' AND version = $8")
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

    /// Moves a task from one status to another; false when it was not in the first. The database
    /// decides, so that two requests cannot both execute a task.
    pub async fn move_task(
        &self, scope: OrgScope, id: TaskId, from: TaskStatus, to: TaskStatus,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        if to == TaskStatus::Pending && !matches!(from, TaskStatus::Pending | TaskStatus::InProgress) {
            self.reserve(&mut transaction, scope.organization(), QuotaResource::Tasks).await?;
        }
        let done = sqlx::query(
            "UPDATE tasks SET status = $1, updated_at = $2, due_at = NULL, call_id = NULL, lease_until = 0, attempts = 0 WHERE id = $3 AND organization_id = $4 AND status = $5",
        )
        .bind(to.name())
        .bind(now().0)
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .bind(from.name())
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
