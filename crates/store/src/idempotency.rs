//! Requests with an `Idempotency-Key`: who answers them, and what the answer was.

use super::{OrgScope, Store, StoreError};
use sqlx::Row as _;

/// How long an answer is kept.
const KEPT_MS: i64 = 86_400_000;
/// How long a request may be answered; longer than any handler takes.
const LEASE_MS: i64 = 300_000;
/// Keys of one organization that are kept; the oldest go first.
const KEYS_MAX: i64 = 100_000;

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyClaim {
    /// Nobody has used it within a day: the caller answers, and must record or release it.
    Claimed,
    /// The first request with it is still being answered.
    Running,
    /// The process that was answering is gone: nobody knows how far it came.
    Interrupted,
    /// It was used for another request.
    OtherRequest,
    /// The answer to the same request.
    Answered {
        /// The HTTP status.
        status: i64,
        /// What the API stored with it.
        answer: String,
    },
}

impl Store {
    /// Claims a key of the organization for a request, or says what became of the one that has it.
    pub async fn claim_idempotency_key(
        &self, scope: OrgScope, key: &str, fingerprint: &str,
    ) -> Result<IdempotencyClaim, StoreError> {
        let now = self.clock();
        // One statement: of two requests at once, on whichever nodes, one gets the row. One that is too old is as good
        // as none.
        let claim = format!(
            "INSERT INTO idempotency_keys (organization_id, idempotency_key, fingerprint, created_at, lease_until) \
             VALUES ($1, $2, $3, {now}, {now} + {LEASE_MS}) \
             ON CONFLICT (organization_id, idempotency_key) DO UPDATE SET fingerprint = excluded.fingerprint, \
             created_at = excluded.created_at, lease_until = excluded.lease_until, status = NULL, answer = NULL \
             WHERE idempotency_keys.created_at <= {now} - {KEPT_MS}"
        );
        let organization = scope.organization().to_string();
        let claimed = sqlx::query(sqlx::AssertSqlSafe(claim))
            .bind(&organization)
            .bind(key)
            .bind(fingerprint)
            .execute(&self.write)
            .await?;
        if claimed.rows_affected() == 1 {
            return Ok(IdempotencyClaim::Claimed);
        }
        let read = format!(
            "SELECT fingerprint, status, answer, CASE WHEN lease_until > {now} THEN 1 ELSE 0 END AS is_leased \
             FROM idempotency_keys WHERE organization_id = $1 AND idempotency_key = $2"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(read)).bind(&organization).bind(key).fetch_optional(&self.write);
        // It was released in between: the client comes again.
        let Some(row) = row.await? else { return Ok(IdempotencyClaim::Running) };
        if row.try_get::<String, _>("fingerprint")? != fingerprint {
            return Ok(IdempotencyClaim::OtherRequest);
        }
        Ok(match (row.try_get::<Option<i64>, _>("status")?, row.try_get::<Option<String>, _>("answer")?) {
            (Some(status), Some(answer)) => IdempotencyClaim::Answered { status, answer },
            _ if row
                .try_get::<i32, _>("is_leased")
                .map(i64::from)
                .or_else(|_| row.try_get::<i64, _>("is_leased"))?
                > 0 =>
            {
                IdempotencyClaim::Running
            }
            _ => IdempotencyClaim::Interrupted,
        })
    }

    /// Keeps the answer of a key that was claimed.
    pub async fn record_idempotent_answer(
        &self, scope: OrgScope, key: &str, status: i64, answer: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE idempotency_keys SET status = $1, answer = $2, lease_until = 0 \
             WHERE organization_id = $3 AND idempotency_key = $4 AND status IS NULL",
        )
        .bind(status)
        .bind(super::storable(answer))
        .bind(scope.organization().to_string())
        .bind(key)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// Gives a claimed key back: nothing was done, so the request may come again.
    pub async fn release_idempotency_key(&self, scope: OrgScope, key: &str) -> Result<(), StoreError> {
        sqlx::query(
            "DELETE FROM idempotency_keys WHERE organization_id = $1 AND idempotency_key = $2 AND status IS NULL",
        )
        .bind(scope.organization().to_string())
        .bind(key)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// Forgets keys after a day, and the oldest of an organization that uses very many.
    pub(super) async fn delete_old_idempotency_keys(&self) -> Result<(), StoreError> {
        let now = self.clock();
        let old = format!("DELETE FROM idempotency_keys WHERE created_at <= {now} - {KEPT_MS}");
        sqlx::query(sqlx::AssertSqlSafe(old)).execute(&self.write).await?;
        let many = "SELECT organization_id, COUNT(*) AS keys FROM idempotency_keys GROUP BY organization_id HAVING COUNT(*) > $1";
        for row in sqlx::query(many).bind(KEYS_MAX).fetch_all(&self.lists).await? {
            let (organization, keys): (String, i64) = (row.try_get("organization_id")?, row.try_get("keys")?);
            sqlx::query(
                "DELETE FROM idempotency_keys WHERE organization_id = $1 AND idempotency_key IN \
                 (SELECT idempotency_key FROM idempotency_keys WHERE organization_id = $1 ORDER BY created_at LIMIT $2)",
            )
            .bind(organization)
            .bind(keys - KEYS_MAX)
            .execute(&self.write)
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bootstrapped;

    async fn store() -> (Store, OrgScope) {
        let store = Store::open("sqlite::memory:").await.unwrap();
        store.migrate().await.unwrap();
        let Bootstrapped { scope, .. } = store.bootstrap("Test", "owner@example.com", "x").await.unwrap();
        (store, scope)
    }

    async fn age(store: &Store, column: &str, ms: i64) {
        let sql = format!("UPDATE idempotency_keys SET {column} = {column} - {ms}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.write).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_answer_is_given_again_for_a_day() {
        let (store, scope) = store().await;
        let claim = |fingerprint: &'static str| store.claim_idempotency_key(scope, "k", fingerprint);
        assert_eq!(claim("a").await.unwrap(), IdempotencyClaim::Claimed);
        assert_eq!(claim("a").await.unwrap(), IdempotencyClaim::Running);
        assert_eq!(claim("b").await.unwrap(), IdempotencyClaim::OtherRequest);
        store.record_idempotent_answer(scope, "k", 201, "{}").await.unwrap();
        let answered = IdempotencyClaim::Answered { status: 201, answer: "{}".into() };
        assert_eq!(claim("a").await.unwrap(), answered);
        assert_eq!(claim("b").await.unwrap(), IdempotencyClaim::OtherRequest);
        age(&store, "created_at", KEPT_MS - 60_000).await;
        store.delete_old_idempotency_keys().await.unwrap();
        assert_eq!(claim("a").await.unwrap(), answered);
        age(&store, "created_at", 120_000).await;
        assert_eq!(claim("b").await.unwrap(), IdempotencyClaim::Claimed, "a day is over");
    }

    #[tokio::test]
    async fn a_released_key_is_free_and_an_abandoned_one_is_not() {
        let (store, scope) = store().await;
        assert_eq!(store.claim_idempotency_key(scope, "k", "a").await.unwrap(), IdempotencyClaim::Claimed);
        store.release_idempotency_key(scope, "k").await.unwrap();
        assert_eq!(store.claim_idempotency_key(scope, "k", "b").await.unwrap(), IdempotencyClaim::Claimed);
        age(&store, "lease_until", LEASE_MS + 1_000).await;
        assert_eq!(store.claim_idempotency_key(scope, "k", "b").await.unwrap(), IdempotencyClaim::Interrupted);
        // What was answered is never given back.
        store.record_idempotent_answer(scope, "k", 200, "{}").await.unwrap();
        store.release_idempotency_key(scope, "k").await.unwrap();
        let again = store.claim_idempotency_key(scope, "k", "b").await.unwrap();
        assert!(matches!(again, IdempotencyClaim::Answered { .. }), "{again:?}");
    }

    #[tokio::test]
    async fn of_many_requests_at_once_one_is_carried_out() {
        let (store, scope) = store().await;
        let claims = (0..20).map(|_| store.claim_idempotency_key(scope, "k", "a"));
        let claims = futures_util::future::join_all(claims).await;
        let claimed = claims.iter().filter(|claim| matches!(claim, Ok(IdempotencyClaim::Claimed))).count();
        assert_eq!(claimed, 1);
    }
}
