//! Fair distribution of queued work: an organization with ten thousand rows must not delay one with a single row.

use super::{Store, StoreError, parsed};
use sqlx::Row as _;
use trunkline_domain::fair_share::FairShares;
use trunkline_domain::ids::OrganizationId;

/// Organizations that have rows of a kind, at most so many of them at a time.
const ORGANIZATIONS_MAX: i64 = 1_000;

/// Rows that wait: a table, which of its rows wait at all, and which of those are due at `NOW`.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkQuery {
    pub table: &'static str,
    pub waits: &'static str,
    pub is_due: &'static str,
}

/// An organization with work that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkOwner {
    pub organization: OrganizationId,
    pub root: OrganizationId,
}

impl Store {
    /// Who has rows that are due, in no order, beginning after an identifier.
    pub(super) async fn organizations_with_work(
        &self, WorkQuery { table, waits, is_due }: WorkQuery, after: &str, max: i64,
    ) -> Result<Vec<WorkOwner>, StoreError> {
        let is_due = is_due.replace("NOW", self.clock());
        let sql = format!(
            "WITH RECURSIVE waiting (id) AS (SELECT MIN(w.organization_id) FROM {table} w WHERE {waits} AND w.organization_id > $1 \
             UNION ALL SELECT (SELECT MIN(w.organization_id) FROM {table} w WHERE {waits} AND w.organization_id > waiting.id) \
             FROM waiting WHERE waiting.id IS NOT NULL) \
             SELECT o.id, COALESCE(o.billing_org_id, o.id) AS root FROM waiting JOIN organizations o ON o.id = waiting.id \
             WHERE EXISTS (SELECT 1 FROM {table} w WHERE {waits} AND w.organization_id = waiting.id AND {is_due}) \
             ORDER BY o.id LIMIT $2"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(after.to_owned()).bind(max.min(ORGANIZATIONS_MAX));
        let rows = query.fetch_all(&self.read).await?;
        rows.iter()
            .map(|row| {
                Ok(WorkOwner {
                    organization: parsed(OrganizationId::parse(row.try_get("id")?), "organizations.id")?,
                    root: parsed(OrganizationId::parse(row.try_get("root")?), "organizations.billing_org_id")?,
                })
            })
            .collect()
    }
}

/// Organizations with the least running work go first; ties are random.
pub(super) fn order_fairly(turns: &mut [WorkOwner], shares: &FairShares) {
    turns.sort_by_cached_key(|turn| (shares.taken_by(turn.organization, turn.root), rand::random::<u32>()));
}

/// How many rows the next of so many who wait may have.
pub(super) fn fair_limit(shares: &FairShares, turn: WorkOwner, waiting: usize) -> i64 {
    let equal = shares.room().div_ceil(waiting.max(1));
    i64::try_from(shares.room_of(turn.organization, turn.root).min(equal)).unwrap_or(i64::MAX)
}
