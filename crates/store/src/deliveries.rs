//! The outbox: webhooks and mail that wait, and what became of those that went out.

use super::fair_queue::{WorkOwner, WorkQuery, fair_limit, order_fairly};
use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, now, parsed, storable, storable_or_none};
use sqlx::Row as _;
use sqlx::Transaction;
use sqlx::any::{Any, AnyRow};
use std::collections::HashSet;
use trunkline_domain::alert_message::ALERT;
use trunkline_domain::delivery::{Delivery, DeliveryChannel, DeliveryProgress, DeliveryStatus};
use trunkline_domain::fair_share::FairShares;
use trunkline_domain::ids::{AgentId, CallId, DeliveryId, OrganizationId, TaskId};
use trunkline_domain::time::UnixMs;
use trunkline_domain::webhook_secret::WebhookSecrets;

/// Deliveries that wait.
const DELIVERIES: WorkQuery =
    WorkQuery { table: "deliveries", waits: "w.status = 'pending'", is_due: "w.next_attempt_at <= NOW" };

/// Which deliveries `e` a later one of the same order key waits for: those that nobody has tried yet, and those whose
/// receiver is away as a whole (no answer, or a status that says so), for their first three attempts, some 35 seconds. A
/// receiver that refuses one event, or is away for longer, gets the others all the same.
const HOLDS_BACK: &str = "(e.attempts = 0 OR e.attempts < 3 AND \
    (e.response_status IS NULL OR e.response_status IN (408, 425, 429, 502, 503, 504)))";

/// How long a delivery waits for earlier ones altogether: a receiver that takes none of several must not add up their
/// waits before the last one.
const HELD_BACK_MAX_MS: i64 = 35_000;

/// Which deliveries a list shows.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only deliveries about this call. `None`: about any, or no call.
    pub call: Option<CallId>,
    /// Only deliveries about this task. `None`: about any, or no task.
    pub task: Option<TaskId>,
    /// Only deliveries in this status. `None`: any status.
    pub status: Option<DeliveryStatus>,
    /// Only deliveries of this event, such as `status-update`. `None`: any event.
    pub event_type: Option<String>,
}

/// A delivery this process has claimed, and the scope it acts in.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    /// The organization whose delivery it is.
    pub scope: OrgScope,
    /// Of the organization's family.
    pub root: OrganizationId,
    /// What is to be sent, and where to.
    pub delivery: Delivery,
    /// Attempts before this one.
    pub attempts: i64,
}

fn delivery(row: &AnyRow) -> Result<Delivery, StoreError> {
    let optional = |name: &str| row.try_get::<Option<String>, _>(name);
    let organization: String = row.try_get("organization_id")?;
    Ok(Delivery {
        id: parsed(DeliveryId::parse(row.try_get("id")?), "deliveries.id")?,
        organization: parsed(OrganizationId::parse(&organization), "deliveries.organization_id")?,
        channel: parsed(DeliveryChannel::parse(row.try_get("channel")?), "deliveries.channel")?,
        order_key: row.try_get("order_key")?,
        call: optional("call_id")?.as_deref().and_then(CallId::parse),
        task: optional("task_id")?.as_deref().and_then(TaskId::parse),
        agent: optional("agent_id")?.as_deref().and_then(AgentId::parse),
        event_type: row.try_get("event_type")?,
        target: row.try_get("target")?,
        body: row.try_get("body")?,
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

fn with_progress(row: &AnyRow) -> Result<(Delivery, DeliveryProgress), StoreError> {
    let at = |name: &str| row.try_get::<Option<i64>, _>(name).map(|at| at.map(UnixMs));
    let progress = DeliveryProgress {
        status: parsed(DeliveryStatus::parse(row.try_get("status")?), "deliveries.status")?,
        attempts: row.try_get("attempts")?,
        next_attempt_at: at("next_attempt_at")?,
        response_status: row.try_get("response_status")?,
        error: row.try_get("error")?,
        delivered_at: at("delivered_at")?,
    };
    Ok((delivery(row)?, progress))
}

/// Puts a delivery into the outbox, due at once, or with what became of it already; twice is once.
pub(super) async fn enqueue(
    transaction: &mut Transaction<'_, Any>, one: &Delivery, progress: Option<&DeliveryProgress>,
) -> Result<(), StoreError> {
    let due = DeliveryProgress {
        status: DeliveryStatus::Pending,
        attempts: 0,
        next_attempt_at: Some(one.created_at),
        response_status: None,
        error: None,
        delivered_at: None,
    };
    let progress = progress.unwrap_or(&due);
    sqlx::query(
        "INSERT INTO deliveries (id, organization_id, channel, order_key, call_id, task_id, agent_id, event_type, target, \
         body, status, attempts, next_attempt_at, response_status, error, delivered_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO NOTHING",
    )
    .bind(one.id.to_string())
    .bind(one.organization.to_string())
    .bind(one.channel.name())
    .bind(&one.order_key)
    .bind(one.call.map(|id| id.to_string()))
    .bind(one.task.map(|id| id.to_string()))
    .bind(one.agent.map(|id| id.to_string()))
    .bind(storable(&one.event_type))
    .bind(storable(&one.target))
    .bind(storable(&one.body))
    .bind(progress.status.name())
    .bind(progress.attempts)
    .bind(progress.next_attempt_at.map(|at| at.0))
    .bind(progress.response_status)
    .bind(storable_or_none(progress.error.as_ref()))
    .bind(progress.delivered_at.map(|at| at.0))
    .bind(one.created_at.0)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Store {
    /// Deliveries that are due, each claimed for this process until the lease ends, in fair shares of what is under
    /// way. Of one order key only the oldest that is pending is handed out, unless it has been refused.
    pub async fn claim_deliveries(
        &self, shares: &mut FairShares, lease_ms: i64,
    ) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let mut turns = self.organizations_with_work(DELIVERIES, "", i64::MAX).await?;
        order_fairly(&mut turns, shares);
        let mut claimed = Vec::new();
        for (done, turn) in turns.iter().enumerate() {
            let max = fair_limit(shares, *turn, turns.len() - done);
            if max > 0 {
                self.claim_of(*turn, max, lease_ms, shares, &mut claimed).await?;
            }
        }
        Ok(claimed)
    }

    async fn claim_of(
        &self, turn: WorkOwner, max: i64, lease_ms: i64, shares: &mut FairShares, claimed: &mut Vec<ClaimedDelivery>,
    ) -> Result<(), StoreError> {
        let now = self.clock();
        let claim = format!(
            "UPDATE deliveries SET lease_until = {now} + $1 WHERE id = $2 AND status = 'pending' AND lease_until <= {now}"
        );
        let due = format!(
            "SELECT d.* FROM deliveries d WHERE d.organization_id = $1 AND d.status = 'pending' AND d.next_attempt_at <= {now} \
             AND d.lease_until <= {now} \
             AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.order_key = d.order_key AND e.status = 'pending' AND e.id < d.id \
             AND d.created_at > {now} - {HELD_BACK_MAX_MS} AND {HOLDS_BACK}) \
             ORDER BY d.next_attempt_at, d.id LIMIT $2",
        );
        let due = sqlx::query(sqlx::AssertSqlSafe(due)).bind(turn.organization.to_string()).bind(max);
        let rows = due.fetch_all(&self.read).await?;
        for row in &rows {
            let delivery = delivery(row)?;
            let done = sqlx::query(sqlx::AssertSqlSafe(claim.as_str()))
                .bind(lease_ms)
                .bind(delivery.id.to_string())
                .execute(&self.write)
                .await?;
            if done.rows_affected() == 1 && shares.take(turn.organization, turn.root).is_ok() {
                let scope = OrgScope::new(delivery.organization);
                claimed.push(ClaimedDelivery { scope, root: turn.root, delivery, attempts: row.try_get("attempts")? });
            }
        }
        Ok(())
    }

    /// Looks which organizations have as many deliveries waiting as they may.
    pub async fn count_waiting(&self) -> Result<(), StoreError> {
        let rows = sqlx::query(
            "SELECT organization_id FROM deliveries WHERE status = 'pending' GROUP BY organization_id HAVING COUNT(*) >= $1",
        )
        .bind(i64::from(self.quotas.deliveries_waiting))
        .fetch_all(&self.lists)
        .await?;
        let id = |row: &AnyRow| {
            let id: String = row.try_get("organization_id")?;
            parsed(OrganizationId::parse(&id), "deliveries.organization_id")
        };
        let full: HashSet<OrganizationId> = rows.iter().map(id).collect::<Result<_, StoreError>>()?;
        self.full_outboxes.set(full);
        Ok(())
    }

    /// Writes down how an attempt went. A mail that resets a password is not kept: its link opens the account.
    pub async fn record_delivery_attempt(
        &self, scope: OrgScope, id: DeliveryId, progress: &DeliveryProgress,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE deliveries SET status = $1, attempts = $2, next_attempt_at = $3, response_status = $4, error = $5, \
             delivered_at = $6, lease_until = 0, \
             body = CASE WHEN event_type = 'password-reset' AND $1 <> 'pending' THEN '{}' ELSE body END \
             WHERE id = $7 AND organization_id = $8",
        )
        .bind(progress.status.name())
        .bind(progress.attempts)
        .bind(progress.next_attempt_at.map(|at| at.0))
        .bind(progress.response_status)
        .bind(storable_or_none(progress.error.as_ref()))
        .bind(progress.delivered_at.map(|at| at.0))
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// Deliveries of everybody that were over before this time are forgotten.
    pub async fn delete_expired(&self, before: UnixMs) -> Result<(), StoreError> {
        self.delete_old_audit_entries().await?;
        self.delete_old_idempotency_keys().await?;
        for sql in [
            "DELETE FROM deliveries WHERE status <> 'pending' AND created_at < $1",
            "DELETE FROM invitations WHERE expires_at < $1",
            "DELETE FROM call_shares WHERE expires_at < $1",
            "DELETE FROM password_resets WHERE expires_at < $1",
            "DELETE FROM alert_events WHERE created_at < $1",
        ] {
            sqlx::query(sql).bind(before.0).execute(&self.write).await?;
        }
        Ok(())
    }

    /// Makes a delivery that is over due again; false while it is pending.
    pub async fn resend(&self, scope: OrgScope, id: DeliveryId) -> Result<bool, StoreError> {
        let full = self.full_outboxes.contains(scope.organization());
        if full {
            let max = i64::from(self.quotas.deliveries_waiting);
            return Err(StoreError::QuotaExceeded { limit: "deliveries_waiting", max });
        }
        let done = sqlx::query(
            "UPDATE deliveries SET status = 'pending', attempts = 0, next_attempt_at = $1, lease_until = 0, error = NULL, \
             delivered_at = NULL WHERE id = $2 AND organization_id = $3 AND status <> 'pending'",
        )
        .bind(now().0)
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .execute(&self.write)
        .await?;
        self.notifiers.outbox.notify_one();
        Ok(done.rows_affected() == 1)
    }

    /// Returns a webhook with its progress; `None` for mail and if the organization has no such delivery.
    pub async fn delivery(
        &self, scope: OrgScope, id: DeliveryId,
    ) -> Result<Option<(Delivery, DeliveryProgress)>, StoreError> {
        let row =
            sqlx::query("SELECT * FROM deliveries WHERE id = $1 AND organization_id = $2 AND channel = 'webhook'")
                .bind(id.to_string())
                .bind(scope.organization().to_string())
                .fetch_optional(&self.read)
                .await?;
        row.as_ref().map(with_progress).transpose()
    }

    /// Webhook deliveries of the organization, newest first.
    pub async fn deliveries(
        &self, scope: OrgScope, filter: DeliveryFilter, page: PageRequest,
    ) -> Result<(Vec<(Delivery, DeliveryProgress)>, i64), StoreError> {
        let from = "FROM deliveries WHERE organization_id = $1 AND channel = 'webhook' AND ($2 IS NULL OR call_id = $2) \
            AND ($3 IS NULL OR task_id = $3) AND ($4 IS NULL OR status = $4) AND ($5 IS NULL OR event_type = $5)";
        let binds = [
            BindValue::Text(scope.organization().to_string()),
            BindValue::MaybeText(filter.call.map(|id| id.to_string())),
            BindValue::MaybeText(filter.task.map(|id| id.to_string())),
            BindValue::MaybeText(filter.status.map(|status| status.name().to_owned())),
            BindValue::MaybeText(filter.event_type),
        ];
        self.list("*", from, "created_at DESC, id DESC", &binds, page, with_progress).await
    }

    /// Webhooks about a call, oldest first, and the number of all.
    pub async fn deliveries_of_call(
        &self, scope: OrgScope, call: CallId, page: PageRequest,
    ) -> Result<(Vec<Delivery>, i64), StoreError> {
        let from = "FROM deliveries WHERE organization_id = $1 AND channel = 'webhook' AND call_id = $2";
        let binds = [BindValue::Text(scope.organization().to_string()), BindValue::Text(call.to_string())];
        self.list("*", from, "created_at, id", &binds, page, delivery).await
    }

    /// The secrets that sign a webhook: of its agent; where that has none or there is no agent, of the
    /// number that was called, or of the number's agent, if the webhook is theirs.
    pub async fn webhook_secrets(&self, scope: OrgScope, delivery: &Delivery) -> Result<WebhookSecrets, StoreError> {
        if let Some(agent) = delivery.agent
            && let Some(agent) = self.shared_agent(scope, agent).await?
            && agent.fields.webhook_secret.is_some()
        {
            return Ok(agent.fields.webhook_secrets());
        }
        let none = WebhookSecrets::default;
        if delivery.event_type == ALERT {
            return self.alert_secrets(scope, &delivery.order_key).await;
        }
        let Some(call) = delivery.call else { return Ok(none()) };
        let Some(call) = self.call(scope, call).await? else { return Ok(none()) };
        let Some(number) = self.number_called(scope, &call.to_number).await? else { return Ok(none()) };
        let theirs = |url: &Option<String>| {
            url.as_deref().is_some_and(|url| {
                delivery.target.starts_with(url.split('?').next().unwrap_or(url).trim_end_matches('/'))
            })
        };
        if theirs(&number.webhook_url) {
            return Ok(number.webhook_secrets());
        }
        let Some(agent) = number.agent else { return Ok(none()) };
        let agent = self.shared_agent(scope, agent).await?.filter(|agent| theirs(&agent.fields.webhook_url));
        Ok(agent.map(|agent| agent.fields.webhook_secrets()).unwrap_or_default())
    }
}
