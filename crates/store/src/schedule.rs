//! The queue of calls to be made: claims are leases, so that a task is called once although several
//! processes look for it and any of them may die.

use super::batches::IS_HELD;
use super::fair_queue::WorkQuery;
use super::organizations::lineage_in;
use super::quotas::lock_family;
use super::usage::{FAMILY_OF, spent_today};
use super::{DatabaseBackend, OrgScope, Store, StoreError, document, now, parsed};
use sqlx::any::Any;
use sqlx::{Row as _, Transaction};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::ids::{CallId, OrganizationId, TaskId, TrunkId};
use trunkline_domain::organization::OrganizationLimits;
use trunkline_domain::schedule::next_allowed;
use trunkline_domain::task::{TaskFields, TaskStatus};
use trunkline_domain::time::UnixMs;

/// How long a claimed task may take to become a call.
const LEASE_MS: i64 = 10_000;

const DAY_MS: i64 = 86_400_000;

/// A task that may be called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueTask {
    /// The organization whose task it is.
    pub scope: OrgScope,
    /// The task, which another node may still claim first.
    pub task: TaskId,
}

/// Tasks that wait for their time.
const TASKS: WorkQuery =
    WorkQuery { table: "tasks", waits: "w.status = 'pending' AND w.due_at IS NOT NULL", is_due: "w.due_at <= NOW" };

/// What came of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskClaim {
    /// This process has claimed the call.
    Claimed(CallId),
    /// The organization makes as many calls as it may, or, with `trunk`, only the trunk does.
    Busy {
        /// Only the trunk is busy: tasks over other trunks may still be called.
        trunk: bool,
    },
    /// The organization has used up what it may in a day.
    Spent,
    /// Another process has it, or it is no longer pending.
    NotPending,
}

impl Store {
    /// Tasks that are due, so many of each organization, its most urgent ones first, and of as many organizations as
    /// fit into `max`, beginning after `after`: a caller that passes on the last one each time visits all of them.
    pub async fn due_tasks(
        &self, of_one: i64, max: i64, after: Option<OrganizationId>,
    ) -> Result<(Vec<DueTask>, Option<OrganizationId>), StoreError> {
        let organizations = (max / of_one.max(1)).max(1);
        let start = after.map(|id| id.to_string()).unwrap_or_default();
        let turns = self.organizations_with_work(TASKS, &start, organizations).await?;
        let last = turns.last().map(|turn| turn.organization).filter(|_| turns.len() as i64 >= organizations);
        let most_urgent = format!(
            "SELECT id FROM tasks WHERE organization_id = $1 AND status = 'pending' AND due_at IS NOT NULL AND due_at <= {} \
             ORDER BY priority DESC, due_at, id LIMIT $2",
            self.clock()
        );
        let mut due = Vec::new();
        for turn in turns {
            let query = sqlx::query(sqlx::AssertSqlSafe(most_urgent.as_str()));
            let rows = query.bind(turn.organization.to_string()).bind(of_one).fetch_all(&self.read).await?;
            for (place, row) in rows.iter().enumerate() {
                let task = parsed(TaskId::parse(row.try_get("id")?), "tasks.id")?;
                due.push((place, DueTask { scope: OrgScope::new(turn.organization), task }));
            }
        }
        // Round robin: everybody's first task, then everybody's second.
        due.sort_by_key(|(place, _)| *place);
        Ok((due.into_iter().map(|(_, due)| due).collect(), last))
    }

    /// Takes a pending task for this process, if the limits of the trunk, of the organization and of all its ancestors
    /// allow another call. The calls of all processes count.
    /// The call still has to be begun before the lease ends.
    pub async fn claim_task(
        &self, scope: OrgScope, task: TaskId, trunk: TrunkId, trunk_limits: &OrganizationLimits, price_per_minute: f64,
    ) -> Result<TaskClaim, StoreError> {
        let organization = scope.organization().to_string();
        let mut transaction = self.write.begin().await?;
        lock_family(&mut transaction, scope.organization()).await?;
        let lineage = lineage_in(&mut *transaction, scope.organization()).await?;
        let lineage = parsed(lineage, "organizations.parent_org_id")?;
        let trunk = trunk.to_string();
        let of_family = format!("organization_id IN {FAMILY_OF}");
        for one in lineage.all() {
            if !has_room(&mut transaction, &of_family, &one.id.to_string(), &one.limits).await? {
                return Ok(TaskClaim::Busy { trunk: false });
            }
        }
        for one in lineage.all().iter().filter(|one| one.limits.is_capped()) {
            if !one.limits.allows(spent_today(&mut *transaction, one.id, price_per_minute).await?) {
                return Ok(TaskClaim::Spent);
            }
        }
        if !has_room(&mut transaction, "trunk_id = $1", &trunk, trunk_limits).await? {
            return Ok(TaskClaim::Busy { trunk: true });
        }
        let call = CallId::new();
        let at = now().0;
        // A task whose call was promised keeps that call.
        let claim = format!(
            "UPDATE tasks SET status = 'in_progress', lease_until = {} + $1, call_id = COALESCE(call_id, $2), attempts = attempts + 1, \
             updated_at = $3 WHERE id = $4 AND organization_id = $5 AND status = 'pending'",
            self.clock()
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(claim))
            .bind(LEASE_MS)
            .bind(call.to_string())
            .bind(at)
            .bind(task.to_string())
            .bind(&organization)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(TaskClaim::NotPending);
        }
        let call: String = sqlx::query_scalar("SELECT call_id FROM tasks WHERE id = $1")
            .bind(task.to_string())
            .fetch_one(&mut *transaction)
            .await?;
        // Counted at once, so that the next claim sees it.
        sqlx::query(
            "INSERT INTO calls (id, organization_id, task_id, trunk_id, direction, from_number, to_number, status, started_at) \
             VALUES ($1, $2, $3, $4, 'outbound', '', '', 'initiated', $5) \
             ON CONFLICT (id) DO UPDATE SET trunk_id = excluded.trunk_id, started_at = excluded.started_at",
        )
        .bind(&call)
        .bind(&organization)
        .bind(task.to_string())
        .bind(&trunk)
        .bind(at)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(TaskClaim::Claimed(parsed(CallId::parse(&call), "tasks.call_id")?))
    }

    /// The call of a claimed task begins: from here on it is made once or counted as failed. False when
    /// the lease ran out in the meantime.
    pub async fn begin_call(
        &self, scope: OrgScope, task: TaskId, call: CallId, node: &str,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.write.begin().await?;
        self.record_heartbeat_in(&mut transaction, node).await?;
        let begin = format!(
            "UPDATE tasks SET lease_until = 0 WHERE id = $1 AND organization_id = $2 AND call_id = $3 AND status = 'in_progress' \
             AND lease_until > {}",
            self.clock()
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(begin))
            .bind(task.to_string())
            .bind(scope.organization().to_string())
            .bind(call.to_string())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE calls SET node = $1 WHERE id = $2 AND organization_id = $3")
            .bind(node)
            .bind(call.to_string())
            .bind(scope.organization().to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// A pending task is not looked at before this time.
    pub async fn postpone(&self, scope: OrgScope, task: TaskId, until: UnixMs) -> Result<(), StoreError> {
        sqlx::query("UPDATE tasks SET due_at = $1 WHERE id = $2 AND organization_id = $3 AND status = 'pending' AND due_at IS NOT NULL")
            .bind(until.0)
            .bind(task.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// The same until the next UTC day.
    pub async fn postpone_to_tomorrow(&self, scope: OrgScope, task: TaskId) -> Result<(), StoreError> {
        let at = now().0;
        self.postpone(scope, task, UnixMs(at - at.rem_euclid(DAY_MS) + DAY_MS)).await
    }

    /// The same until its calling windows open.
    pub async fn postpone_to_window(&self, scope: OrgScope, task: TaskId) -> Result<(), StoreError> {
        match self.task(scope, task).await? {
            Some(found) => self.postpone(scope, task, next_allowed(&found.fields.calling_windows, now())).await,
            None => Ok(()),
        }
    }

    /// Asks for a task to be called as soon as the limits allow; the call it will be. `None` when the
    /// task is not pending.
    pub async fn queue_task(&self, scope: OrgScope, task: TaskId) -> Result<Option<CallId>, StoreError> {
        let at = now().0;
        let done = sqlx::query(
            "UPDATE tasks SET due_at = $1, call_id = COALESCE(call_id, $2), updated_at = $3 \
             WHERE id = $4 AND organization_id = $5 AND status = 'pending'",
        )
        .bind(at)
        .bind(CallId::new().to_string())
        .bind(at)
        .bind(task.to_string())
        .bind(scope.organization().to_string())
        .execute(&self.write)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let call: Option<String> =
            sqlx::query_scalar("SELECT call_id FROM tasks WHERE id = $1 AND organization_id = $2")
                .bind(task.to_string())
                .bind(scope.organization().to_string())
                .fetch_one(&self.write)
                .await?;
        Ok(call.as_deref().and_then(CallId::parse))
    }

    /// A task whose call cannot be set up for a defect of ours fails, and the call that was promised with it. A call
    /// that has begun ends by itself.
    pub async fn fail_task(&self, scope: OrgScope, task: TaskId) -> Result<(), StoreError> {
        let at = now().0;
        let mut transaction = self.write.begin().await?;
        sqlx::query(
            "UPDATE calls SET status = 'failed', end_reason = $1, ended_at = $2 WHERE node IS NULL AND status = 'initiated' \
             AND organization_id = $3 AND id IN (SELECT call_id FROM tasks WHERE id = $4)",
        )
        .bind(EndReason::ServerCrash.name())
        .bind(at)
        .bind(scope.organization().to_string())
        .bind(task.to_string())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE tasks SET status = 'failed', due_at = NULL, lease_until = 0, call_id = NULL, updated_at = $1 \
             WHERE id = $2 AND organization_id = $3 AND (status = 'pending' OR (status = 'in_progress' AND lease_until > 0))",
        )
        .bind(at)
        .bind(task.to_string())
        .bind(scope.organization().to_string())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Claims whose process died before the call began are due again.
    pub async fn expire_claims(&self, at_start: bool) -> Result<u64, StoreError> {
        let at = now().0;
        // A file has one process: at its start every claim is a dead one's.
        let until =
            if at_start && self.backend == DatabaseBackend::Sqlite { "9223372036854775807" } else { self.clock() };
        let mut transaction = self.write.begin().await?;
        let forget = format!(
            "DELETE FROM calls WHERE status = 'initiated' AND node IS NULL AND id IN (SELECT call_id FROM tasks \
             WHERE status = 'in_progress' AND lease_until > 0 AND lease_until <= {until})"
        );
        sqlx::query(sqlx::AssertSqlSafe(forget)).execute(&mut *transaction).await?;
        let free = format!(
            "UPDATE tasks SET status = 'pending', due_at = CASE WHEN {IS_HELD} THEN NULL ELSE COALESCE(due_at, CAST($1 AS BIGINT)) END, \
             held_due_at = CASE WHEN {IS_HELD} THEN COALESCE(due_at, CAST($1 AS BIGINT)) END, lease_until = 0, attempts = attempts - 1 \
             WHERE status = 'in_progress' AND lease_until > 0 AND lease_until <= {until}"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(free)).bind(at).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Another call fits into the limits; calls that are being claimed count. `whose` is a condition on `calls` with the
/// identifier as `$1`.
async fn has_room(
    transaction: &mut Transaction<'_, Any>, whose: &str, id: &str, limits: &OrganizationLimits,
) -> Result<bool, StoreError> {
    if let Some(max) = limits.max_concurrent_calls {
        let open = format!(
            "SELECT CAST(COALESCE(SUM(legs), 0) AS BIGINT) FROM calls WHERE {whose} AND status IN ('initiated', 'in_progress') AND (node IS NOT NULL OR trunk_id IS NOT NULL)"
        );
        let open: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(open)).bind(id.to_owned()).fetch_one(&mut **transaction).await?;
        if open >= i64::from(max) {
            return Ok(false);
        }
    }
    if let Some((max, window_ms)) = limits.rate_window() {
        let recent = format!(
            "SELECT COUNT(*) FROM calls WHERE {whose} AND started_at > $2 AND (node IS NOT NULL OR trunk_id IS NOT NULL)"
        );
        let recent: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(recent))
            .bind(id.to_owned())
            .bind(now().0 - window_ms)
            .fetch_one(&mut **transaction)
            .await?;
        if recent >= max {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The task of a call that ended: completed, failed, or due again by its retry policy.
pub(super) async fn record_task_ended(
    transaction: &mut Transaction<'_, Any>, organization: OrganizationId, task: TaskId, call: CallId, failed: bool,
    reason: Option<EndReason>,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT fields, attempts FROM tasks WHERE id = $1 AND organization_id = $2")
        .bind(task.to_string())
        .bind(organization.to_string())
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let fields: TaskFields = document(row.try_get("fields")?)?;
    let attempts: i64 = row.try_get("attempts")?;
    let again = fields.retry_policy.as_ref().zip(reason);
    let again = again.and_then(|(policy, reason)| policy.next(reason, attempts.max(1) as u32, now()));
    let again = again.map(|at| next_allowed(&fields.calling_windows, at));
    let status = match (again, failed) {
        (Some(_), _) => TaskStatus::Pending,
        (None, true) => TaskStatus::Failed,
        (None, false) => TaskStatus::Completed,
    };
    // A task that was reset meanwhile is left alone.
    let update = format!(
        "UPDATE tasks SET status = $1, due_at = CASE WHEN {IS_HELD} THEN NULL ELSE CAST($2 AS BIGINT) END, \
         held_due_at = CASE WHEN {IS_HELD} THEN CAST($2 AS BIGINT) END, call_id = NULL, lease_until = 0, updated_at = $3 \
         WHERE id = $4 AND organization_id = $5 AND status = 'in_progress' AND (call_id IS NULL OR call_id = $6)"
    );
    sqlx::query(sqlx::AssertSqlSafe(update))
        .bind(status.name())
        .bind(again.map(|at| at.0))
        .bind(now().0)
        .bind(task.to_string())
        .bind(organization.to_string())
        .bind(call.to_string())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
