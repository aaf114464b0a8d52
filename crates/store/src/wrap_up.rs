//! What is left to do when a call is over: claimed like everything that outlives a process.

use super::call_days::{count_call, recount_outcome};
use super::deliveries::enqueue;
use super::fair_queue::{WorkOwner, WorkQuery, fair_limit, order_fairly};
use super::{OrgScope, Store, StoreError, now, parsed, storable_or_none, text};
use sqlx::Row as _;
use trunkline_domain::call::{CallOutcome, CallUsage};
use trunkline_domain::delivery::Delivery;
use trunkline_domain::fair_share::FairShares;
use trunkline_domain::ids::{CallId, OrganizationId};

/// Calls that wait for it.
const WRAP_UPS: WorkQuery =
    WorkQuery { table: "calls", waits: "w.wrap_up = 'pending'", is_due: "w.wrap_up_lease_until <= NOW" };

/// A call whose end is to be reported.
#[derive(Clone, Copy, Debug)]
pub struct WrapUpJob {
    /// The organization whose call it was.
    pub scope: OrgScope,
    /// Of the organization's family.
    pub root: OrganizationId,
    /// The call, which is over.
    pub call: CallId,
    /// Attempts before this one.
    pub attempts: i64,
}

/// What the analysis says about the call.
fn success(outcome: &CallOutcome) -> Option<bool> {
    outcome.report.as_ref().and_then(|report| report["success"].as_bool())
}

impl Store {
    /// Calls that are over and not wrapped up, each claimed until the lease ends, in fair shares of what is under way.
    pub async fn claim_wrap_ups(&self, shares: &mut FairShares, lease_ms: i64) -> Result<Vec<WrapUpJob>, StoreError> {
        let mut turns = self.organizations_with_work(WRAP_UPS, "", i64::MAX).await?;
        order_fairly(&mut turns, shares);
        let mut claimed = Vec::new();
        for (done, turn) in turns.iter().enumerate() {
            let max = fair_limit(shares, *turn, turns.len() - done);
            if max > 0 {
                self.claim_wrap_ups_of(*turn, max, lease_ms, shares, &mut claimed).await?;
            }
        }
        Ok(claimed)
    }

    async fn claim_wrap_ups_of(
        &self, turn: WorkOwner, max: i64, lease_ms: i64, shares: &mut FairShares, claimed: &mut Vec<WrapUpJob>,
    ) -> Result<(), StoreError> {
        let now = self.clock();
        let due = format!(
            "SELECT id, wrap_up_attempts FROM calls WHERE organization_id = $1 AND wrap_up = 'pending' \
             AND wrap_up_lease_until <= {now} ORDER BY wrap_up_lease_until LIMIT $2"
        );
        let claim = format!(
            "UPDATE calls SET wrap_up_lease_until = {now} + $1, wrap_up_attempts = wrap_up_attempts + 1 \
             WHERE id = $2 AND wrap_up = 'pending' AND wrap_up_lease_until <= {now}"
        );
        let due = sqlx::query(sqlx::AssertSqlSafe(due)).bind(turn.organization.to_string()).bind(max);
        let rows = due.fetch_all(&self.read).await?;
        for row in &rows {
            let id: String = row.try_get("id")?;
            let done =
                sqlx::query(sqlx::AssertSqlSafe(claim.as_str())).bind(lease_ms).bind(&id).execute(&self.write).await?;
            if done.rows_affected() == 1 && shares.take(turn.organization, turn.root).is_ok() {
                claimed.push(WrapUpJob {
                    scope: OrgScope::new(turn.organization),
                    root: turn.root,
                    call: parsed(CallId::parse(&id), "calls.id")?,
                    attempts: row.try_get("wrap_up_attempts")?,
                });
            }
        }
        Ok(())
    }

    /// What is known of the call, what it used, and what is to be sent about it: all or nothing, once.
    pub async fn record_wrap_up(
        &self, scope: OrgScope, call: CallId, outcome: &CallOutcome, billed: &CallUsage, deliveries: &[Delivery],
    ) -> Result<(), StoreError> {
        let mut transaction = self.write.begin().await?;
        let done = sqlx::query(
            "UPDATE calls SET wrap_up = 'done', summary = $1, report = $2, extracted_data = $3, cost = $4, \
             billed_to = COALESCE((SELECT billing_org_id FROM organizations o WHERE o.id = calls.organization_id), organization_id), \
             billed_day = $5, billed_seconds = $6, billed_prompt_tokens = $7, billed_completion_tokens = $8, \
             billed_characters = $9, billed_micros = $10 WHERE id = $11 AND organization_id = $12 AND wrap_up = 'pending'",
        )
        .bind(storable_or_none(outcome.summary.as_ref()))
        .bind(outcome.report.as_ref().map(text).transpose()?)
        .bind(outcome.extracted_data.as_ref().map(text).transpose()?)
        .bind(outcome.cost.as_ref().map(text).transpose()?)
        .bind(&billed.day)
        .bind(billed.seconds)
        .bind(billed.prompt_tokens)
        .bind(billed.completion_tokens)
        .bind(billed.characters)
        .bind(billed.micros)
        .bind(call.to_string())
        .bind(scope.organization().to_string())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 1 {
            // A call whose report is late is counted already.
            recount_outcome(&mut transaction, &call.to_string(), success(outcome), billed.micros).await?;
            count_call(&mut transaction, &call.to_string()).await?;
            for one in deliveries {
                enqueue(&mut transaction, one, self.full_outboxes.refuse(one).as_ref()).await?;
            }
        }
        transaction.commit().await?;
        self.notifiers.outbox.notify_one();
        Ok(())
    }

    /// No report comes of this call.
    pub async fn give_up_wrap_up(&self, scope: OrgScope, call: CallId) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE calls SET wrap_up = 'failed' WHERE id = $1 AND organization_id = $2 AND wrap_up = 'pending'",
        )
        .bind(call.to_string())
        .bind(scope.organization().to_string())
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// A report that was asked for replaces the one before; the tokens it took are added to the bill.
    pub async fn put_outcome(
        &self, scope: OrgScope, call: CallId, outcome: &CallOutcome, added: &CallUsage,
    ) -> Result<(), StoreError> {
        let (id, organization, today) = (call.to_string(), scope.organization().to_string(), now().day());
        let mut transaction = self.write.begin().await?;
        sqlx::query(
            "UPDATE calls SET summary = $1, report = $2, extracted_data = $3, \
             billed_prompt_tokens = COALESCE(billed_prompt_tokens, 0) + $4, \
             billed_completion_tokens = COALESCE(billed_completion_tokens, 0) + $5, \
             billed_micros = COALESCE(billed_micros, 0) + $6 WHERE id = $7 AND organization_id = $8",
        )
        .bind(storable_or_none(outcome.summary.as_ref()))
        .bind(outcome.report.as_ref().map(text).transpose()?)
        .bind(outcome.extracted_data.as_ref().map(text).transpose()?)
        .bind(added.prompt_tokens)
        .bind(added.completion_tokens)
        .bind(added.micros)
        .bind(&id)
        .bind(&organization)
        .execute(&mut *transaction)
        .await?;
        recount_outcome(&mut transaction, &id, success(outcome), added.micros).await?;
        // The bill is the call's, the money is today's.
        sqlx::query(
            "INSERT INTO spent_besides (organization_id, day, micros) SELECT organization_id, CAST($1 AS TEXT), CAST($2 AS BIGINT) FROM calls \
             WHERE id = $3 AND organization_id = $4 AND billed_day <> $1 \
             ON CONFLICT (organization_id, day) DO UPDATE SET micros = spent_besides.micros + excluded.micros",
        )
        .bind(today)
        .bind(added.micros)
        .bind(&id)
        .bind(&organization)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}
