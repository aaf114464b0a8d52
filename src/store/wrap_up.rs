//! What is left to do when a call is over: claimed like everything that outlives a process.

use super::deliveries::enqueue;
use super::{OrgScope, Store, StoreError, now, parsed, storable_or_none, text};
use crate::domain::call::{Billed, Outcome};
use crate::domain::delivery::Delivery;
use crate::domain::ids::{CallId, OrganizationId};
use sqlx::Row as _;

/// A call whose end is to be reported.
#[derive(Clone, Copy, Debug)]
pub struct WrapUp {
    pub scope: OrgScope,
    pub call: CallId,
    /// Attempts before this one.
    pub attempts: i64,
}

impl Store {
    pub async fn claim_wrap_ups(&self, max: i64, lease_ms: i64) -> Result<Vec<WrapUp>, StoreError> {
        let at = now().0;
        let rows = sqlx::query(
            "SELECT id, organization_id, wrap_up_attempts FROM calls WHERE wrap_up = 'pending' AND wrap_up_lease_until <= $1 \
             ORDER BY wrap_up_lease_until LIMIT $2",
        )
        .bind(at)
        .bind(max)
        .fetch_all(&self.read)
        .await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            let (id, organization): (String, String) = (row.try_get("id")?, row.try_get("organization_id")?);
            let done = sqlx::query(
                "UPDATE calls SET wrap_up_lease_until = $1, wrap_up_attempts = wrap_up_attempts + 1 \
                 WHERE id = $2 AND wrap_up = 'pending' AND wrap_up_lease_until <= $3",
            )
            .bind(at + lease_ms)
            .bind(&id)
            .bind(at)
            .execute(&self.write)
            .await?;
            if done.rows_affected() == 1 {
                let organization = parsed(OrganizationId::parse(&organization), "calls.organization_id")?;
                claimed.push(WrapUp {
                    scope: OrgScope::new(organization),
                    call: parsed(CallId::parse(&id), "calls.id")?,
                    attempts: row.try_get("wrap_up_attempts")?,
                });
            }
        }
        Ok(claimed)
    }

    /// What is known of the call, what it used, and what is to be sent about it: all or nothing, once.
    pub async fn wrapped_up(
        &self, scope: OrgScope, call: CallId, outcome: &Outcome, billed: &Billed, deliveries: &[Delivery],
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
            for one in deliveries {
                enqueue(&mut transaction, one, None).await?;
            }
        }
        transaction.commit().await?;
        self.wakes.outbox.notify_one();
        Ok(())
    }

    /// A report that was asked for replaces the one before; the tokens it took are added to the bill.
    pub async fn put_outcome(
        &self, scope: OrgScope, call: CallId, outcome: &Outcome, added: &Billed,
    ) -> Result<(), StoreError> {
        let (id, organization) = (call.to_string(), scope.organization().to_string());
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
        .execute(&self.write)
        .await?;
        Ok(())
    }
}
