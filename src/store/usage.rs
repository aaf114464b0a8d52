//! What was used: summed from the calls themselves, so that it cannot differ from them.

use super::{OrgScope, Store, StoreError, document, now, parsed};
use crate::domain::ids::OrganizationId;
use crate::domain::organization::{Limits, Spent};
use sqlx::any::Any;
use sqlx::{Row as _, Transaction};

/// A call may have begun on the day before, and its bill may be late.
const LOOK_BACK_MS: i64 = 2 * 86_400_000;

/// What an organization has used of this UTC day: bills that are written, and the seconds of calls that have none yet,
/// those that go on among them, at the price of their minutes.
pub(super) async fn spent_today(
    transaction: &mut Transaction<'_, Any>, organization: &str, price_per_minute: f64,
) -> Result<Spent, StoreError> {
    let at = now();
    let midnight = at.0 - at.0.rem_euclid(86_400_000);
    let row = sqlx::query(
        "SELECT CAST(SUM(CASE WHEN billed_day = $1 THEN billed_seconds ELSE 0 END) AS BIGINT) AS seconds, \
         CAST(SUM(CASE WHEN billed_day = $1 THEN billed_micros ELSE 0 END) AS BIGINT) AS micros, \
         CAST(SUM(CASE WHEN billed_day IS NULL AND answered_at IS NOT NULL AND COALESCE(ended_at, $2) >= $3 \
         THEN COALESCE(ended_at, $2) - answered_at ELSE 0 END) AS BIGINT) AS open_ms \
         FROM calls WHERE organization_id = $4 AND started_at >= $5",
    )
    .bind(at.day())
    .bind(at.0)
    .bind(midnight)
    .bind(organization.to_owned())
    .bind(at.0 - LOOK_BACK_MS)
    .fetch_one(&mut **transaction)
    .await?;
    let sum = |name: &str| row.try_get::<Option<i64>, _>(name).map(Option::unwrap_or_default);
    let open_s = sum("open_ms")? / 1_000;
    let open_micros = (open_s as f64 / 60.0 * price_per_minute * 1e6) as i64;
    Ok(Spent { seconds: sum("seconds")? + open_s, micros: sum("micros")? + open_micros })
}

/// One organization's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDay {
    pub organization: OrganizationId,
    /// `2026-03-27`, in UTC, by the end of the call.
    pub day: String,
    pub calls: i64,
    pub seconds: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub characters: i64,
    pub micros: i64,
}

impl Store {
    /// Whether the limits of the day allow the organization another call.
    pub async fn may_call(&self, scope: OrgScope, price_per_minute: f64) -> Result<bool, StoreError> {
        let organization = scope.organization().to_string();
        let mut transaction = self.read.begin().await?;
        let settings: String = sqlx::query_scalar("SELECT settings FROM organizations WHERE id = $1")
            .bind(&organization)
            .fetch_one(&mut *transaction)
            .await?;
        let limits: Limits = document(&settings)?;
        if !limits.is_capped() {
            return Ok(true);
        }
        Ok(limits.allows(spent_today(&mut transaction, &organization, price_per_minute).await?))
    }

    /// Days from `first` to `last`, newest first: the organization's own, and what is billed to it.
    pub async fn usage(&self, scope: OrgScope, first: &str, last: &str) -> Result<Vec<UsageDay>, StoreError> {
        let rows = sqlx::query(
            "SELECT organization_id, billed_day, COUNT(*) AS calls, CAST(SUM(billed_seconds) AS BIGINT) AS seconds, \
             CAST(SUM(billed_prompt_tokens) AS BIGINT) AS prompt, CAST(SUM(billed_completion_tokens) AS BIGINT) AS completion, \
             CAST(SUM(billed_characters) AS BIGINT) AS characters, CAST(SUM(billed_micros) AS BIGINT) AS micros \
             FROM calls WHERE (billed_to = $1 OR organization_id = $1) AND billed_day >= $2 AND billed_day <= $3 \
             GROUP BY organization_id, billed_day ORDER BY billed_day DESC, organization_id",
        )
        .bind(scope.organization().to_string())
        .bind(first)
        .bind(last)
        .fetch_all(&self.read)
        .await?;
        rows.iter()
            .map(|row| {
                let sum = |name: &str| row.try_get::<Option<i64>, _>(name).map(Option::unwrap_or_default);
                Ok(UsageDay {
                    organization: parsed(
                        OrganizationId::parse(row.try_get("organization_id")?),
                        "calls.organization_id",
                    )?,
                    day: row.try_get("billed_day")?,
                    calls: row.try_get("calls")?,
                    seconds: sum("seconds")?,
                    prompt_tokens: sum("prompt")?,
                    completion_tokens: sum("completion")?,
                    characters: sum("characters")?,
                    micros: sum("micros")?,
                })
            })
            .collect()
    }
}
