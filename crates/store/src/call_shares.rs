//! Links that show one call to people without an account. The link's token is signed; its row says whether it is still
//! good, so that it can be revoked.

use super::{OrgScope, Store, StoreError, now, parsed};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::{CallId, CallShareId};
use trunkline_domain::time::UnixMs;

/// Links of one call that are good at once.
const SHARES_MAX: i64 = 20;

/// A link to a call.
#[derive(Clone, Debug)]
pub struct CallShare {
    /// Identifies the link; it is in the token.
    pub id: CallShareId,
    /// The call that it shows.
    pub call: CallId,
    /// Whether it plays the recording too.
    pub recording: bool,
    /// Who made it: an e-mail address, or `api_key:` and an id.
    pub created_by: String,
    /// When it was made.
    pub created_at: UnixMs,
    /// When it stops working.
    pub expires_at: UnixMs,
}

fn share(row: &AnyRow) -> Result<CallShare, StoreError> {
    Ok(CallShare {
        id: parsed(CallShareId::parse(row.try_get("id")?), "call_shares.id")?,
        call: parsed(CallId::parse(row.try_get("call_id")?), "call_shares.call_id")?,
        recording: row.try_get::<i64, _>("recording")? != 0,
        created_by: row.try_get("created_by")?,
        created_at: UnixMs(row.try_get("created_at")?),
        expires_at: UnixMs(row.try_get("expires_at")?),
    })
}

impl Store {
    /// Makes a link to a call of the organization. Fails with `QuotaExceeded` if the call has too many.
    pub async fn share_call(
        &self, scope: OrgScope, call: CallId, recording: bool, created_by: &str, lasts_ms: i64,
    ) -> Result<CallShare, StoreError> {
        let at = now();
        let made = CallShare {
            id: CallShareId::new(),
            call,
            recording,
            created_by: created_by.to_owned(),
            created_at: at,
            expires_at: UnixMs(at.0 + lasts_ms),
        };
        let done = sqlx::query(
            "INSERT INTO call_shares (id, organization_id, call_id, recording, created_by, created_at, expires_at) \
             SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS TEXT), \
             CAST($6 AS BIGINT), CAST($7 AS BIGINT) WHERE (SELECT COUNT(*) FROM call_shares s \
             WHERE s.organization_id = $2 AND s.call_id = $3 AND s.expires_at > $6) < $8",
        )
        .bind(made.id.to_string())
        .bind(scope.organization().to_string())
        .bind(call.to_string())
        .bind(i64::from(recording))
        .bind(created_by)
        .bind(at.0)
        .bind(made.expires_at.0)
        .bind(SHARES_MAX)
        .execute(&self.write)
        .await?;
        match done.rows_affected() {
            1 => Ok(made),
            _ => Err(StoreError::QuotaExceeded { limit: "shares_per_call", max: SHARES_MAX }),
        }
    }

    /// The links of a call that are good, newest first.
    pub async fn call_shares(&self, scope: OrgScope, call: CallId) -> Result<Vec<CallShare>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM call_shares WHERE organization_id = $1 AND call_id = $2 AND expires_at > $3 \
             ORDER BY created_at DESC, id DESC LIMIT $4",
        )
        .bind(scope.organization().to_string())
        .bind(call.to_string())
        .bind(now().0)
        .bind(SHARES_MAX)
        .fetch_all(&self.read)
        .await?;
        rows.iter().map(share).collect()
    }

    /// Returns a link that is good; `None` if it has expired or was revoked.
    pub async fn call_share(&self, scope: OrgScope, id: CallShareId) -> Result<Option<CallShare>, StoreError> {
        let row = sqlx::query("SELECT * FROM call_shares WHERE id = $1 AND organization_id = $2 AND expires_at > $3")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .bind(now().0)
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(share).transpose()
    }

    /// Revokes a link of a call; false when the call has no such link.
    pub async fn revoke_call_share(&self, scope: OrgScope, call: CallId, id: CallShareId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM call_shares WHERE id = $1 AND organization_id = $2 AND call_id = $3")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .bind(call.to_string())
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
