//! Organizations: the caller's own and those below it.

use super::list::Bind;
use super::people::NewUser;
use super::{NewKey, OrgScope, Page, Store, StoreError, document, now, parsed, text};
use crate::domain::ids::{OrganizationId, UserId};
use crate::domain::organization::{Limits, Organization};
use crate::domain::permission::Role;
use crate::domain::time::UnixMs;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// What `trunkline bootstrap` made.
#[derive(Clone, Debug)]
pub struct Bootstrapped {
    pub scope: OrgScope,
    pub user: UserId,
    pub key: NewKey,
}

fn organization(row: &AnyRow) -> Result<Organization, StoreError> {
    let optional = |name: &str| row.try_get::<Option<String>, _>(name);
    let id = parsed(OrganizationId::parse(row.try_get("id")?), "organizations.id")?;
    Ok(Organization {
        id,
        parent: optional("parent_org_id")?.as_deref().and_then(OrganizationId::parse),
        billed_to: optional("billing_org_id")?.as_deref().and_then(OrganizationId::parse).unwrap_or(id),
        name: row.try_get("name")?,
        limits: document::<Limits>(row.try_get("settings")?)?,
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
        let made = self.create_organization(None, name, Limits::default()).await?;
        let scope = OrgScope::new(made.id);
        let owner = NewUser { email, name: None, role: Role::Owner, password_hash };
        let user = self.create_user(scope, owner).await?.id;
        let key = self.create_key(scope, "bootstrap", None, None).await?;
        Ok(Bootstrapped { scope, user, key })
    }

    /// A new organization; below a parent it is billed to the parent's root.
    pub async fn create_organization(
        &self, parent: Option<&Organization>, name: &str, limits: Limits,
    ) -> Result<Organization, StoreError> {
        let (id, at) = (OrganizationId::new(), now());
        let made = Organization {
            id,
            parent: parent.map(|parent| parent.id),
            billed_to: parent.map_or(id, |parent| parent.billed_to),
            name: name.to_owned(),
            limits,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        sqlx::query(
            "INSERT INTO organizations (id, parent_org_id, billing_org_id, name, settings, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(made.parent.map(|id| id.to_string()))
        .bind(made.billed_to.to_string())
        .bind(name)
        .bind(text(&made.limits)?)
        .bind(at.0)
        .bind(at.0)
        .execute(&self.write)
        .await?;
        Ok(made)
    }

    /// The scope of an organization that was just created by somebody who may.
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

    pub async fn organizations(&self, scope: OrgScope, page: Page) -> Result<(Vec<Organization>, i64), StoreError> {
        let from = "FROM organizations WHERE id IN (WITH RECURSIVE family (id) AS (SELECT CAST($1 AS TEXT) UNION \
            SELECT o.id FROM organizations o JOIN family f ON o.parent_org_id = f.id) SELECT id FROM family)";
        let binds = [Bind::Text(scope.organization().to_string())];
        self.list("*", from, "created_at, id", &binds, page, organization).await
    }

    /// Changes an organization if it is still in the version that `changed` was read in; false when it is not.
    pub async fn update_organization(&self, scope: OrgScope, changed: &Organization) -> Result<bool, StoreError> {
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
            .execute(&self.write)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}
