//! Tasks.

use super::{OrgScope, Page, Store, StoreError, document, now, parsed, text};
use crate::domain::ids::{AgentId, TaskId};
use crate::domain::task::{Task, TaskFields, TaskStatus};
use crate::domain::time::UnixMs;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

fn task(scope: OrgScope, row: &SqliteRow) -> Result<Task, StoreError> {
    Ok(Task {
        id: parsed(TaskId::parse(row.try_get("id")?), "tasks.id")?,
        organization: scope.organization(),
        agent: parsed(AgentId::parse(row.try_get("agent_id")?), "tasks.agent_id")?,
        status: parsed(TaskStatus::parse(row.try_get("status")?), "tasks.status")?,
        fields: document(row.try_get("fields")?)?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    pub async fn create_task(&self, scope: OrgScope, agent: AgentId, fields: TaskFields) -> Result<Task, StoreError> {
        let at = now();
        let task = Task {
            id: TaskId::new(),
            organization: scope.organization(),
            agent,
            status: TaskStatus::Pending,
            fields,
            created_at: at,
            updated_at: at,
        };
        sqlx::query("INSERT INTO tasks (id, organization_id, agent_id, status, fields, created_at, updated_at) VALUES (?, ?, ?, 'pending', ?, ?, ?)")
            .bind(task.id.to_string())
            .bind(scope.organization().to_string())
            .bind(agent.to_string())
            .bind(text(&task.fields)?)
            .bind(at.0)
            .bind(at.0)
            .execute(&self.write)
            .await?;
        Ok(task)
    }

    pub async fn task(&self, scope: OrgScope, id: TaskId) -> Result<Option<Task>, StoreError> {
        let row = sqlx::query("SELECT * FROM tasks WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| task(scope, row)).transpose()
    }

    pub async fn tasks(
        &self, scope: OrgScope, agent: Option<AgentId>, status: Option<TaskStatus>, page: Page,
    ) -> Result<(Vec<Task>, i64), StoreError> {
        const WHERE: &str =
            "FROM tasks WHERE organization_id = ?1 AND (?2 IS NULL OR agent_id = ?2) AND (?3 IS NULL OR status = ?3)";
        let organization = scope.organization().to_string();
        let (agent, status) = (agent.map(|id| id.to_string()), status.map(TaskStatus::name));
        let total: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) {WHERE}")))
            .bind(&organization)
            .bind(&agent)
            .bind(status)
            .fetch_one(&self.read)
            .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * {WHERE} ORDER BY created_at DESC, id DESC LIMIT ?4 OFFSET ?5"
        )))
        .bind(&organization)
        .bind(&agent)
        .bind(status)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(&self.read)
        .await?;
        Ok((rows.iter().map(|row| task(scope, row)).collect::<Result<_, _>>()?, total))
    }

    /// Changes the fields of a pending task; false when it is not pending any more.
    pub async fn update_task(&self, scope: OrgScope, task: &Task) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE tasks SET agent_id = ?, fields = ?, updated_at = ? WHERE id = ? AND organization_id = ? AND status = 'pending'")
            .bind(task.agent.to_string())
            .bind(text(&task.fields)?)
            .bind(task.updated_at.0)
            .bind(task.id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Moves a task from one status to another; false when it was not in the first. The database
    /// decides, so that two requests cannot both execute a task.
    pub async fn move_task(
        &self, scope: OrgScope, id: TaskId, from: TaskStatus, to: TaskStatus,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tasks SET status = ?, updated_at = ? WHERE id = ? AND organization_id = ? AND status = ?",
        )
        .bind(to.name())
        .bind(now().0)
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .bind(from.name())
        .execute(&self.write)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// False when the task is neither pending nor failed.
    pub async fn delete_task(&self, scope: OrgScope, id: TaskId) -> Result<bool, StoreError> {
        let done =
            sqlx::query("DELETE FROM tasks WHERE id = ? AND organization_id = ? AND status IN ('pending', 'failed')")
                .bind(id.to_string())
                .bind(scope.organization().to_string())
                .execute(&self.write)
                .await?;
        Ok(done.rows_affected() == 1)
    }
}
