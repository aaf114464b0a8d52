//! SIP trunks.

use super::list_permits::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::{OrganizationId, TrunkId};
use trunkline_domain::inbound_claim::InboundClaim;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::time::UnixMs;
use trunkline_domain::trunk::{Trunk, TrunkFields};

fn trunk(row: &AnyRow) -> Result<Trunk, StoreError> {
    let created_at = UnixMs(row.try_get("created_at")?);
    let fields = document(row.try_get("fields")?)?;
    let inbound_claim = match row.try_get::<Option<String>, _>("inbound_claim")? {
        Some(text) => document(&text)?,
        None => InboundClaim::new(&fields, created_at),
    };
    Ok(Trunk {
        id: parsed(TrunkId::parse(row.try_get("id")?), "trunks.id")?,
        organization: parsed(OrganizationId::parse(row.try_get("organization_id")?), "trunks.organization_id")?,
        fields,
        inbound_claim,
        version: row.try_get("version")?,
        created_at,
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

impl Store {
    /// Creates a trunk. Fails with `QuotaExceeded` if the organization or its family has too many.
    pub async fn create_trunk(&self, scope: OrgScope, fields: TrunkFields) -> Result<Trunk, StoreError> {
        let at = now();
        let trunk = Trunk::new(scope.organization(), fields, at);
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::Trunks).await?;
        sqlx::query(
            "INSERT INTO trunks (id, organization_id, fields, inbound_claim, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(trunk.id.to_string())
        .bind(scope.organization().to_string())
        .bind(text(&trunk.fields)?)
        .bind(text(&trunk.inbound_claim)?)
        .bind(at.0)
        .bind(at.0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.cache.forget_routes();
        Ok(trunk)
    }

    /// Returns a trunk; `None` if the organization has no such trunk.
    pub async fn trunk(&self, scope: OrgScope, id: TrunkId) -> Result<Option<Trunk>, StoreError> {
        let row = sqlx::query("SELECT * FROM trunks WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(trunk).transpose()
    }

    /// Returns a page of trunks, newest first, and the number of all.
    pub async fn trunks(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<Trunk>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        self.list("*", "FROM trunks WHERE organization_id = $1", "created_at DESC, id DESC", &binds, page, trunk).await
    }

    /// Changes a trunk if it is still in the version that `trunk` was read in; false when it is not.
    pub async fn update_trunk(&self, scope: OrgScope, trunk: &Trunk) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE trunks SET fields = $1, inbound_claim = $2, updated_at = $3, version = version + 1 \
             WHERE id = $4 AND organization_id = $5 AND version = $6",
        )
        .bind(text(&trunk.fields)?)
        .bind(text(&trunk.inbound_claim)?)
        .bind(trunk.updated_at.0)
        .bind(trunk.id.to_string())
        .bind(scope.organization().to_string())
        .bind(trunk.version)
        .execute(&self.write)
        .await?;
        self.cache.forget_routes();
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a trunk; does nothing if the organization has no such trunk.
    pub async fn delete_trunk(&self, scope: OrgScope, id: TrunkId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM trunks WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        self.cache.forget_routes();
        Ok(())
    }

    /// All trunks of all organizations: the endpoint decides with them who may call in.
    pub async fn trunks_of_everyone(&self) -> Result<Vec<Trunk>, StoreError> {
        let rows = sqlx::query("SELECT * FROM trunks ORDER BY created_at, id").fetch_all(&self.read).await?;
        rows.iter().map(trunk).collect()
    }
}
