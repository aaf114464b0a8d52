//! Room for one more: what an organization and its family hold is counted in the transaction that adds to it.

use super::{Store, StoreError, document, now, parsed};
use sqlx::any::Any;
use sqlx::{Row as _, Transaction};
use trunkline_domain::ids::OrganizationId;
use trunkline_domain::quota::{QuotaOverrides, QuotaResource, Quotas};

/// Looks at a whole family before it writes: the row of its root is locked until the transaction ends, so that of two
/// who count at the same time the second sees what the first has added, on both databases.
pub(super) async fn lock_family(
    transaction: &mut Transaction<'_, Any>, organization: OrganizationId,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE organizations SET updated_at = updated_at WHERE id = \
         (SELECT COALESCE(o.billing_org_id, o.id) FROM organizations o WHERE o.id = $1)",
    )
    .bind(organization.to_string())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Table of a resource, and which of its rows count. `$2` is the present time.
fn rows(resource: QuotaResource) -> (&'static str, &'static str) {
    match resource {
        QuotaResource::Agents => ("agents", "$2 = $2"),
        QuotaResource::Tasks => ("tasks", "status IN ('pending', 'in_progress') AND $2 = $2"),
        QuotaResource::Trunks => ("trunks", "$2 = $2"),
        QuotaResource::PhoneNumbers => ("phone_numbers", "$2 = $2"),
        QuotaResource::ApiKeys => ("api_keys", "(expires_at IS NULL OR expires_at > $2)"),
        QuotaResource::Users => ("users", "$2 = $2"),
        QuotaResource::Invitations => ("invitations", "accepted_at IS NULL AND expires_at > $2"),
        QuotaResource::Organizations => ("organizations", "$2 = $2"),
    }
}

impl Store {
    /// The quotas of this server.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// The same database with other quotas.
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        self.with(|parts| parts.quotas = quotas)
    }

    /// Fails with [`StoreError::QuotaExceeded`] unless the organization and its family may hold one more. Add
    /// it in the same transaction.
    pub(super) async fn reserve(
        &self, transaction: &mut Transaction<'_, Any>, organization: OrganizationId, resource: QuotaResource,
    ) -> Result<(), StoreError> {
        self.reserve_many(transaction, organization, resource, 1).await
    }

    /// The same for several at once.
    pub(super) async fn reserve_many(
        &self, transaction: &mut Transaction<'_, Any>, organization: OrganizationId, resource: QuotaResource, more: i64,
    ) -> Result<(), StoreError> {
        lock_family(transaction, organization).await?;
        let row = sqlx::query(
            "SELECT o.quotas AS own, r.quotas AS root, r.id AS root_id FROM organizations o \
             JOIN organizations r ON r.id = COALESCE(o.billing_org_id, o.id) WHERE o.id = $1",
        )
        .bind(organization.to_string())
        .fetch_one(&mut **transaction)
        .await?;
        let (own, root): (String, String) = (row.try_get("own")?, row.try_get("root")?);
        let root_id: String = row.try_get("root_id")?;
        let own = document::<QuotaOverrides>(&own)?.of_one(&self.quotas, resource);
        let family = document::<QuotaOverrides>(&root)?.of_family(&self.quotas, resource);
        let (table, which) = rows(resource);
        // Counted up to the bound and no further.
        if resource != QuotaResource::Organizations {
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} WHERE organization_id = $1 AND {which} LIMIT $3) held"
            );
            let held = count(transaction, &sql, &organization.to_string(), own).await?;
            exceeded(resource, held + more - 1, own)?;
        }
        let id = if resource == QuotaResource::Organizations { "id" } else { "organization_id" };
        let sql = format!(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {table} WHERE {id} IN \
             (SELECT f.id FROM organizations f WHERE f.billing_org_id = $1) AND {which} LIMIT $3) held"
        );
        let held = count(transaction, &sql, &root_id, family).await?;
        exceeded(resource, held + more - 1, family)
    }

    /// What the operator allows an organization in place of the server's quotas; false when there is no such
    /// organization.
    pub async fn set_quota_overrides(
        &self, organization: OrganizationId, allowance: &QuotaOverrides,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query("UPDATE organizations SET quotas = $1 WHERE id = $2")
            .bind(super::text(allowance)?)
            .bind(organization.to_string())
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Returns what the operator allows an organization; `None` if there is no such organization.
    pub async fn quota_overrides(&self, organization: OrganizationId) -> Result<Option<QuotaOverrides>, StoreError> {
        let row: Option<String> = sqlx::query_scalar("SELECT quotas FROM organizations WHERE id = $1")
            .bind(organization.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_deref().map(document).transpose()
    }

    /// Every organization with the root of its family.
    pub async fn families(&self) -> Result<Vec<(OrganizationId, OrganizationId)>, StoreError> {
        let rows = sqlx::query("SELECT id, COALESCE(billing_org_id, id) AS root FROM organizations")
            .fetch_all(&self.lists)
            .await?;
        let id = |text: String| parsed(OrganizationId::parse(&text), "organizations.id");
        rows.iter().map(|row| Ok((id(row.try_get("id")?)?, id(row.try_get("root")?)?))).collect()
    }
}

async fn count(transaction: &mut Transaction<'_, Any>, sql: &str, id: &str, max: i64) -> Result<i64, StoreError> {
    let query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).bind(id.to_owned()).bind(now().0).bind(max);
    Ok(query.fetch_one(&mut **transaction).await?)
}

fn exceeded(resource: QuotaResource, held: i64, max: i64) -> Result<(), StoreError> {
    if held < max { Ok(()) } else { Err(StoreError::QuotaExceeded { limit: resource.name(), max }) }
}
