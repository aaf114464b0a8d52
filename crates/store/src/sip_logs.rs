//! The SIP messages of calls, as they are read. They are written through the journal.

use super::{OrgScope, Store, StoreError, document};
use sqlx::{Any, Row as _, Transaction};
use trunkline_domain::ids::CallId;
use trunkline_domain::sip_log::SipLog;

impl Store {
    /// The SIP messages of a call. `None` if they are not stored: the organization has no such call, the call goes on,
    /// or it had none.
    pub async fn sip_log(&self, scope: OrgScope, id: CallId) -> Result<Option<SipLog>, StoreError> {
        let row = sqlx::query(
            "SELECT l.log FROM sip_logs l JOIN calls c ON c.id = l.call_id WHERE l.call_id = $1 AND c.organization_id = $2",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .fetch_optional(&self.read)
        .await?;
        row.map(|row| document(row.try_get("log")?)).transpose()
    }
}

/// Writes the log of a call, or replaces it.
pub(super) async fn write_sip_log(
    transaction: &mut Transaction<'_, Any>, call: CallId, log: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sip_logs (call_id, log) VALUES ($1, $2) ON CONFLICT (call_id) DO UPDATE SET log = excluded.log",
    )
    .bind(call.to_string())
    .bind(log)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
