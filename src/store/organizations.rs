//! Organizations and their first owner.

use super::{NewKey, OrgScope, Store, StoreError, now};
use crate::domain::ids::{OrganizationId, UserId};

/// What `trunkline bootstrap` made.
#[derive(Clone, Debug)]
pub struct Bootstrapped {
    pub scope: OrgScope,
    pub user: UserId,
    pub key: NewKey,
}

impl Store {
    /// An organization with its owner and a first key. The password comes hashed.
    pub async fn bootstrap(&self, name: &str, email: &str, password_hash: &str) -> Result<Bootstrapped, StoreError> {
        let (organization, user, at) = (OrganizationId::new(), UserId::new(), now().0);
        let mut transaction = self.write.begin().await?;
        sqlx::query("INSERT INTO organizations (id, name, created_at, updated_at) VALUES (?, ?, ?, ?)")
            .bind(organization.to_string())
            .bind(name)
            .bind(at)
            .bind(at)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO users (id, organization_id, email, password_hash, role, created_at) VALUES (?, ?, ?, ?, 'owner', ?)")
            .bind(user.to_string())
            .bind(organization.to_string())
            .bind(email)
            .bind(password_hash)
            .bind(at)
            .execute(&mut *transaction)
            .await
            .map_err(|error| super::unique(error, "a user with this e-mail address"))?;
        transaction.commit().await?;
        let scope = OrgScope::new(organization);
        let key = self.create_key(scope, "bootstrap").await?;
        Ok(Bootstrapped { scope, user, key })
    }
}
