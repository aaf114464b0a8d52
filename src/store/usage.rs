//! What was used: summed from the calls themselves, so that it cannot differ from them.

use super::{OrgScope, Store, StoreError, parsed};
use crate::domain::ids::OrganizationId;
use sqlx::Row as _;

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
