//! Usage: summed from the calls themselves, so that it cannot differ from them.

use super::{DatabaseBackend, OrgScope, Store, StoreError, now, parsed};
use sqlx::any::{Any, AnyRow};
use sqlx::{Executor, Row as _};
use std::collections::HashMap;
use trunkline_domain::ids::{OrganizationId, TrunkId};
use trunkline_domain::organization::DailyUsage;

/// A call may have begun on the day before, and its bill may be late.
const LOOK_BACK_MS: i64 = 2 * 86_400_000;

/// An organization (`$1`) and everything below it, as a set of identifiers.
pub(super) const FAMILY_OF: &str = "(WITH RECURSIVE family (id) AS (SELECT CAST($1 AS TEXT) UNION \
    SELECT o.id FROM organizations o JOIN family f ON o.parent_org_id = f.id) SELECT id FROM family)";

/// What an organization and everything below it have used of this UTC day: bills that are written, and the seconds of
/// calls that have none yet, those that go on among them, at the price of their minutes.
pub(super) async fn spent_today<'e>(
    executor: impl Executor<'e, Database = Any>, organization: OrganizationId, price_per_minute: f64,
) -> Result<DailyUsage, StoreError> {
    let at = now();
    let midnight = at.0 - at.0.rem_euclid(86_400_000);
    let sql = format!(
        "SELECT CAST(SUM(CASE WHEN billed_day = $2 THEN billed_seconds ELSE 0 END) AS BIGINT) AS seconds, \
         CAST(SUM(CASE WHEN billed_day = $2 THEN billed_micros ELSE 0 END) AS BIGINT) AS micros, \
         CAST(SUM(CASE WHEN billed_day IS NULL AND answered_at IS NOT NULL AND COALESCE(ended_at, $3) >= $4 \
         THEN COALESCE(ended_at, $3) - answered_at ELSE 0 END) AS BIGINT) AS open_ms, \
         CAST((SELECT SUM(b.micros) FROM spent_besides b WHERE b.day = $2 AND b.organization_id IN {FAMILY_OF}) AS BIGINT) AS besides \
         FROM calls WHERE organization_id IN {FAMILY_OF} AND started_at >= $5"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(organization.to_string())
        .bind(at.day())
        .bind(at.0)
        .bind(midnight)
        .bind(at.0 - LOOK_BACK_MS)
        .fetch_one(executor)
        .await?;
    let sum = |name: &str| row.try_get::<Option<i64>, _>(name).map(Option::unwrap_or_default);
    let open_s = sum("open_ms")? / 1_000;
    let open_micros = (open_s as f64 / 60.0 * price_per_minute * 1e6) as i64;
    Ok(DailyUsage { seconds: sum("seconds")? + open_s, micros: sum("micros")? + sum("besides")? + open_micros })
}

/// Lines that other processes hold.
#[derive(Clone, Debug, Default)]
pub struct RemoteLineCounts {
    /// Lines by organization, everything below it included; no entry for none.
    pub organizations: HashMap<OrganizationId, u32>,
    /// Lines by trunk; no entry for none.
    pub trunks: HashMap<TrunkId, u32>,
}

/// One organization's day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageDay {
    /// The organization whose calls they were.
    pub organization: OrganizationId,
    /// `2026-03-27`, in UTC, by the end of the call.
    pub day: String,
    /// Calls that ended that day and were billed.
    pub calls: i64,
    /// Seconds between answer and end, of all calls.
    pub seconds: i64,
    /// Tokens sent to LLMs, those of analyses included.
    pub prompt_tokens: i64,
    /// Tokens written by LLMs, those of analyses included.
    pub completion_tokens: i64,
    /// Characters spoken by TTS.
    pub characters: i64,
    /// Cost in millionths of the price table's currency.
    pub micros: i64,
}

impl Store {
    /// What an organization with everything below it has used of this UTC day, as it was a second ago at most.
    pub async fn spent(&self, organization: OrganizationId, price_per_minute: f64) -> Result<DailyUsage, StoreError> {
        self.cache.spent(organization, spent_today(&self.read, organization, price_per_minute)).await
    }

    /// The lines that other processes hold, for every organization with those below it, and for every trunk. A file
    /// has one process.
    pub async fn lines_on_other_nodes(&self, node: &str) -> Result<RemoteLineCounts, StoreError> {
        if self.backend == DatabaseBackend::Sqlite {
            return Ok(RemoteLineCounts::default());
        }
        let held = "status IN ('initiated', 'in_progress') AND node IS NOT NULL AND node <> $1";
        let sql = format!(
            "WITH RECURSIVE used (id, lines, level) AS (\
             SELECT organization_id, CAST(SUM(legs) AS BIGINT), 0 FROM calls WHERE {held} GROUP BY organization_id UNION ALL \
             SELECT o.parent_org_id, u.lines, u.level + 1 FROM used u JOIN organizations o ON o.id = u.id \
             WHERE o.parent_org_id IS NOT NULL AND u.level < 32) \
             SELECT id, CAST(SUM(lines) AS BIGINT) AS lines FROM used GROUP BY id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node).fetch_all(&self.read).await?;
        let of = |row: &AnyRow| {
            let id = parsed(OrganizationId::parse(row.try_get("id")?), "calls.organization_id")?;
            Ok::<_, StoreError>((id, row.try_get::<i64, _>("lines")?.try_into().unwrap_or(0)))
        };
        let organizations = rows.iter().map(of).collect::<Result<_, _>>()?;
        let sql = format!(
            "SELECT trunk_id AS id, CAST(SUM(legs) AS BIGINT) AS lines FROM calls WHERE {held} AND trunk_id IS NOT NULL \
             GROUP BY trunk_id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(node).fetch_all(&self.read).await?;
        let of = |row: &AnyRow| {
            let id = parsed(TrunkId::parse(row.try_get("id")?), "calls.trunk_id")?;
            Ok::<_, StoreError>((id, row.try_get::<i64, _>("lines")?.try_into().unwrap_or(0)))
        };
        Ok(RemoteLineCounts { organizations, trunks: rows.iter().map(of).collect::<Result<_, _>>()? })
    }

    /// Number of organizations without a parent: the operator's direct customers.
    pub async fn roots(&self) -> Result<i64, StoreError> {
        let sql = "SELECT COUNT(*) FROM organizations WHERE parent_org_id IS NULL";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.read).await?)
    }

    /// Days from `first` to `last`, newest first: usage of the organization, and usage that is billed to it.
    pub async fn usage(&self, scope: OrgScope, first: &str, last: &str) -> Result<Vec<UsageDay>, StoreError> {
        let rows = sqlx::query(
            "SELECT organization_id, billed_day, COUNT(*) AS calls, CAST(SUM(billed_seconds) AS BIGINT) AS seconds, \
             CAST(SUM(billed_prompt_tokens) AS BIGINT) AS prompt, CAST(SUM(billed_completion_tokens) AS BIGINT) AS completion, \
             CAST(SUM(billed_characters) AS BIGINT) AS characters, CAST(SUM(billed_micros) AS BIGINT) AS micros \
             FROM (SELECT organization_id, billed_day, billed_seconds, billed_prompt_tokens, billed_completion_tokens, \
             billed_characters, billed_micros FROM calls \
             WHERE organization_id = $1 AND billed_day >= $2 AND billed_day <= $3 UNION ALL \
             SELECT organization_id, billed_day, billed_seconds, billed_prompt_tokens, billed_completion_tokens, \
             billed_characters, billed_micros FROM calls \
             WHERE billed_to = $1 AND organization_id <> $1 AND billed_day >= $2 AND billed_day <= $3) AS bills \
             GROUP BY organization_id, billed_day ORDER BY billed_day DESC, organization_id",
        )
        .bind(scope.organization().to_string())
        .bind(first)
        .bind(last)
        .fetch_all(&self.lists)
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
