//! Who managed what: one row for each change made by a person.

use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, now};
use sqlx::Row as _;
use trunkline_domain::ids::AuditId;
use trunkline_domain::time::UnixMs;

/// A change that a person made.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// UUID of the entry.
    pub id: String,
    /// E-mail address of the person.
    pub actor: String,
    /// `api_key.create`, `user.invite`, …
    pub action: String,
    /// Id of the changed object. `None` if the action has no object.
    pub target: Option<String>,
    /// When it was done.
    pub at: UnixMs,
}

impl Store {
    /// Appends an entry with the present time; entries beyond the quota are deleted later.
    pub async fn record_audit_entry(
        &self, scope: OrgScope, actor: &str, action: &str, target: Option<String>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit_log (id, organization_id, actor, action, target, at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(AuditId::new().to_string())
        .bind(scope.organization().to_string())
        .bind(actor)
        .bind(action)
        .bind(target)
        .bind(now().0)
        .execute(&self.write)
        .await?;
        Ok(())
    }

    /// Of organizations with more entries than may be kept the oldest go.
    pub(super) async fn delete_old_audit_entries(&self) -> Result<(), StoreError> {
        let max = i64::from(self.quotas.audit_entries);
        let full = sqlx::query("SELECT organization_id FROM audit_log GROUP BY organization_id HAVING COUNT(*) > $1")
            .bind(max)
            .fetch_all(&self.lists)
            .await?;
        for row in full {
            let organization: String = row.try_get("organization_id")?;
            sqlx::query(
                "DELETE FROM audit_log WHERE organization_id = $1 AND at < (SELECT a.at FROM audit_log a \
                 WHERE a.organization_id = $1 ORDER BY a.at DESC LIMIT 1 OFFSET $2)",
            )
            .bind(organization)
            .bind(max - 1)
            .execute(&self.write)
            .await?;
        }
        Ok(())
    }

    /// Returns a page of the log, newest first, and the number of all entries.
    pub async fn audit_log(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<AuditEntry>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        self.list("*", "FROM audit_log WHERE organization_id = $1", "at DESC, id DESC", &binds, page, |row| {
            Ok(AuditEntry {
                id: row.try_get("id")?,
                actor: row.try_get("actor")?,
                action: row.try_get("action")?,
                target: row.try_get("target")?,
                at: UnixMs(row.try_get("at")?),
            })
        })
        .await
    }
}
