//! Calls and their turns, as they are read. They are written through the journal.

use super::journal::write_turn;
use super::list_permits::BindValue;
use super::schedule::record_task_ended;
use super::{DatabaseBackend, OrgScope, PageRequest, Store, StoreError, document, now, parsed};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;
use trunkline_domain::call::{Call, CallOutcome, CallProgress, CallStatus, Direction};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::ids::{AgentId, BatchId, CallId, OrganizationId, TaskId, TrunkId};
use trunkline_domain::time::UnixMs;
use trunkline_domain::transcript::{Turn, TurnAuthor, TurnRole};

/// Filters of a list of calls.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Only calls of this task. `None`: any, or no task.
    pub task: Option<TaskId>,
    /// Only calls of tasks that are in this batch. `None`: any, or no task.
    pub batch: Option<BatchId>,
    /// Only calls of this agent. `None`: any agent.
    pub agent: Option<AgentId>,
    /// Only calls in this status. `None`: any status.
    pub status: Option<CallStatus>,
    /// Only calls of this direction. `None`: any direction.
    pub direction: Option<Direction>,
    /// Only calls that ended for this reason. `None`: any, also those that go on.
    pub end_reason: Option<EndReason>,
    /// Only calls that began at this time or later. `None`: no lower bound.
    pub started_after: Option<UnixMs>,
    /// Only calls that began before this time. `None`: no upper bound.
    pub started_before: Option<UnixMs>,
    /// Only calls from or to this number, as they have it. `None`: any.
    pub number: Option<String>,
    /// Only calls that this provider had a part in. `None`: any. Calls that go on have none yet.
    pub provider: Option<String>,
    /// Only calls that the analysis has judged so. `None`: any, also those that it has not judged.
    pub success: Option<bool>,
    /// Part of a number, of the summary or of the transcript; or the call's identifier. Searches the newest 10,000
    /// calls: every turn of each is read.
    pub text: Option<String>,
}

/// A pattern for LIKE that stands for itself.
fn containing(text: &str) -> String {
    let escaped = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// The calls of an organization that a filter leaves. What it does not ask for is not in the statement: a condition that
/// holds for every row keeps the database from its indexes.
fn filtered(scope: OrgScope, filter: CallFilter) -> (String, Vec<BindValue>) {
    let mut from = "FROM calls WHERE organization_id = $1".to_owned();
    let mut binds = vec![BindValue::Text(scope.organization().to_string())];
    let texts = [
        ("task_id", filter.task.map(|id| id.to_string())),
        ("agent_id", filter.agent.map(|id| id.to_string())),
        ("status", filter.status.map(|status| status.name().to_owned())),
        ("direction", filter.direction.map(|direction| direction.name().to_owned())),
        ("end_reason", filter.end_reason.map(|reason| reason.name().to_owned())),
    ];
    for (column, value) in texts.into_iter().filter_map(|(column, value)| Some((column, value?))) {
        binds.push(BindValue::Text(value));
        from += &format!(" AND {column} = ${}", binds.len());
    }
    if let Some(batch) = filter.batch {
        binds.push(BindValue::Text(batch.to_string()));
        from += &format!(
            " AND task_id IN (SELECT id FROM tasks WHERE organization_id = $1 AND batch_id = ${})",
            binds.len()
        );
    }
    let times = [(">=", filter.started_after), ("<", filter.started_before)];
    for (compare, at) in times.into_iter().filter_map(|(compare, at)| Some((compare, at?))) {
        binds.push(BindValue::MaybeInt(Some(at.0)));
        from += &format!(" AND started_at {compare} ${}", binds.len());
    }
    if let Some(number) = filter.number {
        binds.push(BindValue::Text(number));
        let at = binds.len();
        // Not with OR: SQLite would read every row of the organization instead of the two indexes.
        from += &format!(
            " AND id IN (SELECT f.id FROM calls f WHERE f.organization_id = $1 AND f.from_number = ${at} UNION ALL \
             SELECT t.id FROM calls t WHERE t.organization_id = $1 AND t.to_number = ${at})"
        );
    }
    if let Some(provider) = filter.provider {
        binds.push(BindValue::Text(provider));
        let at = binds.len();
        from += &format!(" AND (stt_provider = ${at} OR llm_provider = ${at} OR tts_provider = ${at})");
    }
    if let Some(success) = filter.success {
        binds.push(BindValue::MaybeInt(Some(success.into())));
        from += &format!(" AND success = ${}", binds.len());
    }
    if let Some(text) = filter.text {
        binds.push(BindValue::Text(containing(&text)));
        let part = format!("${}", binds.len());
        binds.push(BindValue::Text(text.to_lowercase()));
        from += &format!(
            " AND started_at >= COALESCE((SELECT s.started_at FROM calls s WHERE s.organization_id = $1 \
             ORDER BY s.started_at DESC LIMIT 1 OFFSET 10000), 0) \
             AND (id = ${} OR LOWER(from_number) LIKE {part} ESCAPE '\\' OR LOWER(to_number) LIKE {part} ESCAPE '\\' \
             OR LOWER(COALESCE(summary, '')) LIKE {part} ESCAPE '\\' OR EXISTS (SELECT 1 FROM turns t \
             WHERE t.call_id = calls.id AND LOWER(t.content) LIKE {part} ESCAPE '\\'))",
            binds.len()
        );
    }
    (from, binds)
}

fn call(scope: OrgScope, row: &AnyRow) -> Result<Call, StoreError> {
    let text = |name: &str| row.try_get::<Option<String>, _>(name);
    let json = |name: &str| text(name)?.as_deref().map(document).transpose();
    let at = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(UnixMs));
    Ok(Call {
        id: parsed(CallId::parse(row.try_get("id")?), "calls.id")?,
        organization: scope.organization(),
        agent: text("agent_id")?.as_deref().and_then(AgentId::parse),
        task: text("task_id")?.as_deref().and_then(TaskId::parse),
        direction: parsed(Direction::parse(row.try_get("direction")?), "calls.direction")?,
        from_number: row.try_get("from_number")?,
        to_number: row.try_get("to_number")?,
        started_at: UnixMs(row.try_get("started_at")?),
        progress: CallProgress::from_columns(
            parsed(CallStatus::parse(row.try_get("status")?), "calls.status")?,
            text("end_reason")?.as_deref().and_then(EndReason::parse),
            at("answered_at")?,
            at("ended_at")?,
        ),
        sip_call_id: text("sip_call_id")?,
        recording: text("recording")?,
        metrics: json("metrics")?,
        metadata: json("metadata")?,
        legs: row.try_get::<i64, _>("legs")?.try_into().unwrap_or(1),
        trunk: text("trunk_id")?.as_deref().and_then(TrunkId::parse),
        node: text("node")?,
        assistant: json("assistant")?,
        signalling: json("signalling")?,
        outcome: CallOutcome {
            summary: text("summary")?,
            report: json("report")?,
            extracted_data: json("extracted_data")?,
            cost: json("cost")?,
        },
    })
}

impl Store {
    /// Returns a call; `None` if the organization has no such call, or the journal has not written it yet.
    pub async fn call(&self, scope: OrgScope, id: CallId) -> Result<Option<Call>, StoreError> {
        let row = sqlx::query("SELECT * FROM calls WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(|row| call(scope, row)).transpose()
    }

    /// Returns a page of calls, newest first, and the number of all that match.
    pub async fn calls(
        &self, scope: OrgScope, filter: CallFilter, page: PageRequest,
    ) -> Result<(Vec<Call>, i64), StoreError> {
        let (from, binds) = filtered(scope, filter);
        self.list("*", &from, "started_at DESC, id DESC", &binds, page, |row| call(scope, row)).await
    }

    /// The turns of a call in order; empty for a call of another organization.
    pub async fn turns(&self, scope: OrgScope, id: CallId) -> Result<Vec<Turn>, StoreError> {
        Ok(self.turns_by_position(scope, id).await?.into_values().collect())
    }

    /// The same with their positions.
    pub async fn turns_by_position(&self, scope: OrgScope, id: CallId) -> Result<BTreeMap<u32, Turn>, StoreError> {
        let rows = sqlx::query(
            "SELECT t.* FROM turns t JOIN calls c ON c.id = t.call_id \
             WHERE t.call_id = $1 AND c.organization_id = $2 ORDER BY t.position",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(|row| Ok((row.try_get::<i64, _>("position")? as u32, turn(row)?))).collect()
    }

    /// Calls whose process died are failed, with their tasks. Recordings are playable up to their last half
    /// second and stay. Returns how many there were; none while this process may not judge others.
    pub async fn recover(
        &self, node: &str, at_start: bool, recording_of: impl Fn(&str, &str) -> Option<String>,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.write.begin().await?;
        if self.backend == DatabaseBackend::Postgres
            && !at_start
            && !self.delete_dead_nodes(&mut transaction, node).await?
        {
            return Ok(0);
        }
        // A call without a process waits for its task's turn.
        let dead = format!(
            "SELECT * FROM calls WHERE status IN ('initiated', 'in_progress') AND {} AND NOT (node IS NULL AND EXISTS \
             (SELECT 1 FROM tasks t WHERE t.call_id = calls.id AND (t.status = 'pending' OR t.lease_until > 0)))",
            self.is_dead(at_start)
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(dead)).bind(node).fetch_all(&mut *transaction).await?;
        let mut failed = 0;
        for row in &rows {
            let (id, organization): (String, String) = (row.try_get("id")?, row.try_get("organization_id")?);
            let done = sqlx::query(
                "UPDATE calls SET status = 'failed', end_reason = $1, ended_at = $2, recording = $3, wrap_up = 'pending' \
                 WHERE id = $4 AND status IN ('initiated', 'in_progress')",
            )
            .bind(EndReason::ServerCrash.name())
            .bind(now().0)
            .bind(recording_of(&organization, &id))
            .bind(&id)
            .execute(&mut *transaction)
            .await?;
            if done.rows_affected() == 0 {
                continue; // it has ended meanwhile
            }
            failed += 1;
            let organization = parsed(OrganizationId::parse(&organization), "calls.organization_id")?;
            let dead = call(OrgScope::new(organization), row)?;
            if let Some(task) = dead.task {
                record_task_ended(&mut transaction, organization, task, dead.id, true, Some(EndReason::ServerCrash))
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(failed)
    }

    /// Those of some calls that are over in the database.
    pub async fn over_among(&self, calls: &[CallId]) -> Result<Vec<CallId>, StoreError> {
        let mut over = Vec::new();
        for id in calls {
            let found: Option<String> =
                sqlx::query_scalar("SELECT id FROM calls WHERE id = $1 AND status NOT IN ('initiated', 'in_progress')")
                    .bind(id.to_string())
                    .fetch_optional(&self.read)
                    .await?;
            over.extend(found.map(|_| *id));
        }
        Ok(over)
    }

    /// Calls that are open in the database and named after this process.
    pub async fn open_calls_of(&self, node: &str) -> Result<Vec<(OrgScope, CallId)>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, organization_id FROM calls WHERE status IN ('initiated', 'in_progress') AND node = $1",
        )
        .bind(node)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let organization: String = row.try_get("organization_id")?;
                let organization = parsed(OrganizationId::parse(&organization), "calls.organization_id")?;
                Ok((OrgScope::new(organization), parsed(CallId::parse(row.try_get("id")?), "calls.id")?))
            })
            .collect()
    }

    /// Other turns in place of those that are stored.
    pub async fn replace_turns(&self, scope: OrgScope, id: CallId, turns: &[Turn]) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        sqlx::query("DELETE FROM turns WHERE call_id IN (SELECT id FROM calls WHERE id = $1 AND organization_id = $2)")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        for (turn, position) in turns.iter().zip(0..) {
            write_turn(&mut transaction, id, position, turn).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Takes a call that is only promised to a waiting task back; false when it is more than that.
    pub async fn cancel_queued(&self, scope: OrgScope, id: CallId, reason: EndReason) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        let freed = sqlx::query(
            "UPDATE tasks SET status = 'failed', due_at = NULL, call_id = NULL, updated_at = $1 \
             WHERE call_id = $2 AND organization_id = $3 AND status = 'pending'",
        )
        .bind(now().0)
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .execute(&mut *transaction)
        .await?;
        if freed.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE calls SET status = 'failed', end_reason = $1, ended_at = $2 WHERE id = $3 AND organization_id = $4 AND node IS NULL",
        )
        .bind(reason.name())
        .bind(now().0)
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn turn(row: &AnyRow) -> Result<Turn, StoreError> {
    let role: String = row.try_get("role")?;
    Ok(Turn {
        role: match role.as_str() {
            "user" => TurnRole::User,
            "assistant" => TurnRole::Assistant,
            "tool" => TurnRole::Tool,
            _ => TurnRole::System,
        },
        content: row.try_get("content")?,
        started_at_ms: row.try_get::<i64, _>("started_at_ms")? as u64,
        ended_at_ms: row.try_get::<i64, _>("ended_at_ms")? as u64,
        interrupted: row.try_get::<i64, _>("interrupted")? != 0,
        confidence: row.try_get::<Option<f64>, _>("confidence")?.map(|c| c as f32),
        agent_id: row.try_get::<Option<String>, _>("agent_id")?.as_deref().and_then(AgentId::parse),
        said_by: row.try_get::<Option<String>, _>("said_by")?.as_deref().and_then(TurnAuthor::parse),
    })
}

#[cfg(test)]
mod tests;
