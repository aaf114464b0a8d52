//! Organizations: the caller's organization and those below it.

use super::list_permits::BindValue;
use super::quotas::lock_family;
use super::users::NewUser;
use super::{CreatedApiKey, OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sqlx::any::{Any, AnyRow};
use sqlx::{Executor, Row as _};
use trunkline_domain::ids::{OrganizationId, UserId};
use trunkline_domain::organization::{Ancestor, LEVELS_MAX, Lineage, Organization, OrganizationLimits};
use trunkline_domain::permission::UserRole;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::time::UnixMs;
use trunkline_domain::trunk::Trunk;

/// What `trunkline bootstrap` made.
#[derive(Clone, Debug)]
pub struct Bootstrapped {
    /// Scope of the new root organization.
    pub scope: OrgScope,
    /// Its first user, an owner.
    pub user: UserId,
    /// Its first API key, for everything.
    pub key: CreatedApiKey,
}

/// Why an organization is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationError {
    /// The parent, or the organization to be changed, does not exist.
    #[error("The organization is not one of yours")]
    Unknown,
    /// The field that its own people wanted to lift.
    #[error("{0}: is set by the organization above and can only be lowered here")]
    Lifted(&'static str),
    /// A limit is higher than that of an ancestor.
    #[error("{field}: must be at most {max}, as of the organization above")]
    Over {
        /// Name of the limit, such as `max_concurrent_calls`.
        field: &'static str,
        /// The lowest value that an ancestor has for it.
        max: f64,
    },
    /// The parent is on the lowest level that a family may have.
    #[error("parent_org_id: has {LEVELS_MAX} levels already")]
    TooDeep,
    /// The database failed, or a quota is used up.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OrganizationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An organization with those above it. Longer chains than we make are cut off.
pub(super) async fn lineage_in<'e>(
    executor: impl Executor<'e, Database = Any>, organization: OrganizationId,
) -> Result<Option<Lineage>, StoreError> {
    let rows = sqlx::query(
        "WITH RECURSIVE up (id, parent, settings, level) AS ( \
         SELECT id, parent_org_id, settings, 0 FROM organizations WHERE id = $1 UNION ALL \
         SELECT o.id, o.parent_org_id, o.settings, up.level + 1 FROM organizations o JOIN up ON o.id = up.parent \
         WHERE up.level < 32) SELECT id, settings FROM up ORDER BY level",
    )
    .bind(organization.to_string())
    .fetch_all(executor)
    .await?;
    let one = |row: &AnyRow| {
        Ok(Ancestor {
            id: parsed(OrganizationId::parse(row.try_get("id")?), "organizations.id")?,
            limits: document::<OrganizationLimits>(row.try_get("settings")?)?,
        })
    };
    Ok(Lineage::new(rows.iter().map(one).collect::<Result<_, StoreError>>()?))
}

fn organization(row: &AnyRow) -> Result<Organization, StoreError> {
    let optional = |name: &str| row.try_get::<Option<String>, _>(name);
    let id = parsed(OrganizationId::parse(row.try_get("id")?), "organizations.id")?;
    Ok(Organization {
        id,
        parent: optional("parent_org_id")?.as_deref().and_then(OrganizationId::parse),
        billed_to: optional("billing_org_id")?.as_deref().and_then(OrganizationId::parse).unwrap_or(id),
        name: row.try_get("name")?,
        limits: document::<OrganizationLimits>(row.try_get("settings")?)?,
        version: row.try_get("version")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

/// The caller's organization and everything below it.
const FAMILY: &str = "WITH RECURSIVE family (id) AS (SELECT CAST($1 AS TEXT) UNION \
    SELECT o.id FROM organizations o JOIN family f ON o.parent_org_id = f.id) ";

impl Store {
    /// An organization with its owner and a first key. The password comes hashed.
    pub async fn bootstrap(&self, name: &str, email: &str, password_hash: &str) -> Result<Bootstrapped, StoreError> {
        let made = Organization::root(name, now());
        insert(&self.write, &made).await?;
        let scope = OrgScope::new(made.id);
        let owner = NewUser { email, name: None, role: UserRole::Owner, password_hash };
        let user = self.create_user(scope, owner).await?.id;
        let key = self.create_key(scope, "bootstrap", None, None).await?;
        Ok(Bootstrapped { scope, user, key })
    }

    /// A new organization below another one, billed to its root. Only [`Store::bootstrap`] makes one without a parent.
    pub async fn create_organization(
        &self, parent: &Organization, name: &str, limits: OrganizationLimits,
    ) -> Result<Organization, OrganizationError> {
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, parent.id, QuotaResource::Organizations).await?;
        let lineage = lineage_in(&mut *transaction, parent.id).await?.ok_or(OrganizationError::Unknown)?;
        if !lineage.may_have_children() {
            return Err(OrganizationError::TooDeep);
        }
        if let Some((field, max)) = limits.over(&OrganizationLimits::default(), lineage.all()) {
            return Err(OrganizationError::Over { field, max });
        }
        let made = Organization {
            parent: Some(parent.id),
            billed_to: parent.billed_to,
            limits,
            ..Organization::root(name, now())
        };
        insert(&mut *transaction, &made).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// The organization of a scope with those above it, as they were a second ago at most.
    pub async fn lineage(&self, scope: OrgScope) -> Result<Lineage, StoreError> {
        let id = scope.organization();
        let load = async { parsed(lineage_in(&self.read, id).await?, "organizations.parent_org_id") };
        self.cache.lineage(id, load).await
    }

    /// The same for the organization of a trunk.
    pub async fn lineage_of_trunk(&self, trunk: &Trunk) -> Result<Lineage, StoreError> {
        self.lineage(OrgScope::new(trunk.organization)).await
    }

    /// The scope of an organization that an authorized user has just created.
    pub fn scope_of_created(&self, made: &Organization) -> OrgScope {
        OrgScope::new(made.id)
    }

    /// One of the caller's family.
    pub async fn organization(&self, scope: OrgScope, id: OrganizationId) -> Result<Option<Organization>, StoreError> {
        let sql = format!("{FAMILY} SELECT o.* FROM organizations o JOIN family f ON f.id = o.id WHERE o.id = $2");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(scope.organization().to_string())
            .bind(id.to_string())
            .fetch_optional(&self.read)
            .await?;
        row.as_ref().map(organization).transpose()
    }

    /// Returns a page of the organization and everything below it, oldest first, and the number of all.
    pub async fn organizations(
        &self, scope: OrgScope, page: PageRequest,
    ) -> Result<(Vec<Organization>, i64), StoreError> {
        let from = "FROM organizations WHERE id IN (WITH RECURSIVE family (id) AS (SELECT CAST($1 AS TEXT) UNION \
            SELECT o.id FROM organizations o JOIN family f ON o.parent_org_id = f.id) SELECT id FROM family)";
        let binds = [BindValue::Text(scope.organization().to_string())];
        self.list("*", from, "created_at, id", &binds, page, organization).await
    }

    /// Changes an organization if it is still in the version that `changed` was read in; false when it is not. What the
    /// parent has set is lifted by the parent's people alone, and never over what anybody above may; null lifts nothing.
    pub async fn update_organization(
        &self, scope: OrgScope, changed: &Organization,
    ) -> Result<bool, OrganizationError> {
        let mut transaction = self.write.begin().await?;
        lock_family(&mut transaction, changed.id).await?;
        let lineage = lineage_in(&mut *transaction, changed.id).await?.ok_or(OrganizationError::Unknown)?;
        let sql = format!(
            "{FAMILY} UPDATE organizations SET name = $2, settings = $3, updated_at = $4, version = version + 1 \
             WHERE id = $5 AND version = $6 AND id IN (SELECT id FROM family)"
        );
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(scope.organization().to_string())
            .bind(&changed.name)
            .bind(text(&changed.limits)?)
            .bind(changed.updated_at.0)
            .bind(changed.id.to_string())
            .bind(changed.version)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        // Compared with the values before the change: nothing is written when it fails.
        let before = &lineage.own().limits;
        let is_own = changed.id == scope.organization();
        if let Some(field) = changed.limits.first_raised_limit(before).filter(|_| is_own && !lineage.above().is_empty())
        {
            return Err(OrganizationError::Lifted(field));
        }
        if let Some((field, max)) = changed.limits.over(before, lineage.above()) {
            return Err(OrganizationError::Over { field, max });
        }
        transaction.commit().await?;
        self.cache.forget_lineages();
        Ok(true)
    }
}

async fn insert<'e>(executor: impl Executor<'e, Database = Any>, made: &Organization) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO organizations (id, parent_org_id, billing_org_id, name, settings, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(made.id.to_string())
    .bind(made.parent.map(|id| id.to_string()))
    .bind(made.billed_to.to_string())
    .bind(&made.name)
    .bind(text(&made.limits)?)
    .bind(made.created_at.0)
    .bind(made.updated_at.0)
    .execute(executor)
    .await?;
    Ok(())
}
