//! Calls and their turns, as they are read. They are written through the journal.

use super::{OrgScope, Page, Store, StoreError, document, now, parsed};
use crate::domain::call::{Call, CallStatus, Direction};
use crate::domain::end_reason::EndReason;
use crate::domain::ids::{AgentId, CallId, TaskId};
use crate::domain::time::UnixMs;
use crate::domain::transcript::{Role, Turn};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

/// Filters of a list of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallFilter {
    pub task: Option<TaskId>,
    pub agent: Option<AgentId>,
    pub status: Option<CallStatus>,
}

fn call(scope: OrgScope, row: &SqliteRow) -> Result<Call, StoreError> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    let metrics = text("metrics")?;
    let metadata = text("metadata")?;
    Ok(Call {
        id: parsed(CallId::parse(row.try_get("id")?), "calls.id")?,
        organization: scope.organization(),
        agent: text("agent_id")?.as_deref().and_then(AgentId::parse),
        task: text("task_id")?.as_deref().and_then(TaskId::parse),
        direction: parsed(Direction::parse(row.try_get("direction")?), "calls.direction")?,
        from_number: row.try_get("from_number")?,
        to_number: row.try_get("to_number")?,
        status: parsed(CallStatus::parse(row.try_get("status")?), "calls.status")?,
        end_reason: text("end_reason")?.as_deref().and_then(EndReason::parse),
        started_at: UnixMs(row.try_get("started_at")?),
        answered_at: row.try_get::<Option<i64>, _>("answered_at")?.map(UnixMs),
        ended_at: row.try_get::<Option<i64>, _>("ended_at")?.map(UnixMs),
        sip_call_id: text("sip_call_id")?,
        recording: text("recording")?,
        metrics: metrics.as_deref().map(document).transpose()?,
        metadata: metadata.as_deref().map(document).transpose()?,
    })
}

impl Store {
    pub async fn call(&self, scope: OrgScope, id: CallId) -> Result<Option<Call>, StoreError> {
        let row = sqlx::query("SELECT * FROM calls WHERE id = ? AND organization_id = ?")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| call(scope, row)).transpose()
    }

    pub async fn calls(&self, scope: OrgScope, filter: CallFilter, page: Page) -> Result<(Vec<Call>, i64), StoreError> {
        const WHERE: &str = "FROM calls WHERE organization_id = ?1 AND (?2 IS NULL OR task_id = ?2) \
            AND (?3 IS NULL OR agent_id = ?3) AND (?4 IS NULL OR status = ?4)";
        let organization = scope.organization().to_string();
        let task = filter.task.map(|id| id.to_string());
        let agent = filter.agent.map(|id| id.to_string());
        let status = filter.status.map(CallStatus::name);
        let total: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT COUNT(*) {WHERE}")))
            .bind(&organization)
            .bind(&task)
            .bind(&agent)
            .bind(status)
            .fetch_one(&self.read)
            .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT * {WHERE} ORDER BY started_at DESC, id DESC LIMIT ?5 OFFSET ?6"
        )))
        .bind(&organization)
        .bind(&task)
        .bind(&agent)
        .bind(status)
        .bind(page.limit)
        .bind(page.offset)
        .fetch_all(&self.read)
        .await?;
        Ok((rows.iter().map(|row| call(scope, row)).collect::<Result<_, _>>()?, total))
    }

    /// The turns of a call in order; empty for a call of another organization.
    pub async fn turns(&self, scope: OrgScope, id: CallId) -> Result<Vec<Turn>, StoreError> {
        let rows = sqlx::query(
            "SELECT t.* FROM turns t JOIN calls c ON c.id = t.call_id \
             WHERE t.call_id = ? AND c.organization_id = ? ORDER BY t.position",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(turn).collect()
    }

    /// After a crash: calls that were live when the process died are failed, and so are their tasks.
    /// Recordings are playable up to their last half second and stay. Returns how many there were.
    pub async fn recover(&self, recording_of: impl Fn(&str, &str) -> Option<String>) -> Result<u64, StoreError> {
        let mut transaction = self.write.begin().await?;
        let rows =
            sqlx::query("SELECT id, organization_id, task_id FROM calls WHERE status IN ('initiated', 'in_progress')")
                .fetch_all(&mut *transaction)
                .await?;
        for row in &rows {
            let (id, organization): (String, String) = (row.try_get("id")?, row.try_get("organization_id")?);
            sqlx::query("UPDATE calls SET status = 'failed', end_reason = ?, ended_at = ?, recording = ? WHERE id = ?")
                .bind(EndReason::ServerCrash.name())
                .bind(now().0)
                .bind(recording_of(&organization, &id))
                .bind(&id)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("UPDATE tasks SET status = 'failed', updated_at = ? WHERE status = 'in_progress'")
            .bind(now().0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(rows.len() as u64)
    }
}

fn turn(row: &SqliteRow) -> Result<Turn, StoreError> {
    let role: String = row.try_get("role")?;
    Ok(Turn {
        role: match role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => Role::System,
        },
        content: row.try_get("content")?,
        started_at_ms: row.try_get::<i64, _>("started_at_ms")? as u64,
        ended_at_ms: row.try_get::<i64, _>("ended_at_ms")? as u64,
        interrupted: row.try_get::<i64, _>("interrupted")? != 0,
        confidence: row.try_get::<Option<f64>, _>("confidence")?.map(|c| c as f32),
    })
}
