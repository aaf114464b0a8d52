//! API keys: shown once, kept as a hash.

use super::{OrgScope, Store, StoreError, now, parsed};
use crate::domain::ids::{ApiKeyId, OrganizationId};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

/// A key just made; its text is not stored anywhere.
#[derive(Clone)]
pub struct NewKey {
    pub id: ApiKeyId,
    pub text: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// 256 random bits need no salt and no slow hash.
fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Store {
    pub async fn create_key(&self, scope: OrgScope, name: &str) -> Result<NewKey, StoreError> {
        let secret: [u8; 32] = rand::random();
        let text = format!("va_{}", secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let id = ApiKeyId::new();
        sqlx::query(
            "INSERT INTO api_keys (id, organization_id, name, prefix, hash, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(id.to_string())
        .bind(scope.organization().to_string())
        .bind(name)
        .bind(&text[..11])
        .bind(hash(&text))
        .bind(now().0)
        .execute(&self.write)
        .await?;
        Ok(NewKey { id, text })
    }

    /// The key's identity and its organization; `None` for unknown and expired keys.
    pub async fn authenticate(&self, key: &str) -> Result<Option<(ApiKeyId, OrgScope)>, StoreError> {
        let row = sqlx::query(
            "SELECT id, organization_id FROM api_keys WHERE hash = ? AND (expires_at IS NULL OR expires_at > ?)",
        )
        .bind(hash(key))
        .bind(now().0)
        .fetch_optional(&self.read)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (id, organization): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let id = parsed(ApiKeyId::parse(&id), "api_keys.id")?;
        Ok(Some((id, OrgScope::new(parsed(OrganizationId::parse(&organization), "api_keys.organization_id")?))))
    }
}
