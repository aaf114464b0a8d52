//! API keys: shown once, kept as a hash.

use super::cached_rows::AuthenticatedKey;
use super::pagination::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, document, now, parsed, text};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::sync::Arc;
use trunkline_domain::ids::{ApiKeyId, OrganizationId};
use trunkline_domain::permission::KeyScope;
use trunkline_domain::quota::QuotaResource;
use trunkline_domain::secret::Secret;
use trunkline_domain::time::UnixMs;

/// How often the last use of a key is written down.
const USE_RESOLUTION_MS: i64 = 60_000;

/// A key just made; its text is not stored anywhere.
#[derive(Clone, Debug)]
pub struct CreatedApiKey {
    /// What is stored of the key.
    pub row: ApiKeyRow,
    /// The key itself: `va_` and 64 hexadecimal digits.
    pub text: Secret,
}

/// A key as its owner may see it again.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Chosen when the key is created; stays when the key is regenerated.
    pub id: ApiKeyId,
    /// What people call the key.
    pub name: String,
    /// What a person recognises it by.
    pub prefix: String,
    /// `None`: everything.
    pub scopes: Option<Vec<KeyScope>>,
    /// When the key stops working. `None`: never.
    pub expires_at: Option<UnixMs>,
    /// When the key was last used, to the minute. `None`: not since it was created or regenerated.
    pub last_used_at: Option<UnixMs>,
    /// When the key was created.
    pub created_at: UnixMs,
}

/// 256 random bits need no salt and no slow hash.
pub(super) fn hash(secret: &str) -> String {
    hex(&digest(secret))
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 256 random bits as text.
pub(super) fn random_text() -> String {
    hex(&rand::random::<[u8; 32]>())
}

fn scopes(row: &AnyRow) -> Result<Option<Vec<KeyScope>>, StoreError> {
    row.try_get::<Option<String>, _>("scopes")?.as_deref().map(document).transpose()
}

fn key(row: &AnyRow) -> Result<ApiKeyRow, StoreError> {
    Ok(ApiKeyRow {
        id: parsed(ApiKeyId::parse(row.try_get("id")?), "api_keys.id")?,
        name: row.try_get("name")?,
        prefix: row.try_get("prefix")?,
        scopes: scopes(row)?,
        expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixMs),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_at")?.map(UnixMs),
        created_at: UnixMs(row.try_get("created_at")?),
    })
}

impl Store {
    /// Creates a key. Fails with `QuotaExceeded` if the organization or its family has too many.
    pub async fn create_key(
        &self, scope: OrgScope, name: &str, scopes: Option<Vec<KeyScope>>, expires_at: Option<UnixMs>,
    ) -> Result<CreatedApiKey, StoreError> {
        let key = format!("va_{}", random_text());
        let row = ApiKeyRow {
            id: ApiKeyId::new(),
            name: name.to_owned(),
            prefix: key[..11].to_owned(),
            scopes,
            expires_at,
            last_used_at: None,
            created_at: now(),
        };
        let mut transaction = self.write.begin().await?;
        self.reserve(&mut transaction, scope.organization(), QuotaResource::ApiKeys).await?;
        sqlx::query(
            "INSERT INTO api_keys (id, organization_id, name, prefix, hash, scopes, expires_at, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(row.id.to_string())
        .bind(scope.organization().to_string())
        .bind(name)
        .bind(&row.prefix)
        .bind(hash(&key))
        .bind(row.scopes.as_ref().map(text).transpose()?)
        .bind(expires_at.map(|at| at.0))
        .bind(row.created_at.0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(CreatedApiKey { row, text: key.into() })
    }

    /// Returns a page of keys, newest first, and the number of all.
    pub async fn keys(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<ApiKeyRow>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
        self.list("*", "FROM api_keys WHERE organization_id = $1", "created_at DESC, id DESC", &binds, page, key).await
    }

    /// False when there is none.
    pub async fn delete_key(&self, scope: OrgScope, id: ApiKeyId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM api_keys WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        self.cache.forget_key(id);
        Ok(done.rows_affected() == 1)
    }

    /// The same key with a new text; the old one stops working.
    pub async fn regenerate_key(&self, scope: OrgScope, id: ApiKeyId) -> Result<Option<CreatedApiKey>, StoreError> {
        let text = format!("va_{}", random_text());
        let organization = scope.organization().to_string();
        let done = sqlx::query(
            "UPDATE api_keys SET prefix = $1, hash = $2, last_used_at = NULL WHERE id = $3 AND organization_id = $4",
        )
        .bind(&text[..11])
        .bind(hash(&text))
        .bind(id.to_string())
        .bind(&organization)
        .execute(&self.write)
        .await?;
        self.cache.forget_key(id);
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(&organization)
            .fetch_one(&self.write)
            .await?;
        Ok(Some(CreatedApiKey { row: key(&row)?, text: text.into() }))
    }

    /// Whose key it is; `None` for unknown and expired keys.
    pub async fn authenticate(&self, key: &str) -> Result<Option<Arc<AuthenticatedKey>>, StoreError> {
        let digest = digest(key);
        let found = match self.cache.key(&digest) {
            Some(found) => found,
            None => {
                let row = sqlx::query("SELECT * FROM api_keys WHERE hash = $1")
                    .bind(hex(&digest))
                    .fetch_optional(&self.read)
                    .await?;
                let Some(row) = row else { return Ok(None) };
                let organization = OrganizationId::parse(row.try_get("organization_id")?);
                let found = Arc::new(AuthenticatedKey {
                    id: parsed(ApiKeyId::parse(row.try_get("id")?), "api_keys.id")?,
                    scope: OrgScope::new(parsed(organization, "api_keys.organization_id")?),
                    scopes: scopes(&row)?,
                    expires_at: row.try_get::<Option<i64>, _>("expires_at")?.map(UnixMs),
                });
                self.record_key_use(&found, row.try_get("last_used_at")?).await?;
                self.cache.put_key(digest, found.clone());
                found
            }
        };
        Ok(found.expires_at.is_none_or(|at| at > now()).then_some(found))
    }

    async fn record_key_use(&self, key: &AuthenticatedKey, last: Option<i64>) -> Result<(), StoreError> {
        let at = now().0;
        if last.is_none_or(|last| at - last > USE_RESOLUTION_MS) {
            sqlx::query("UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND organization_id = $3")
                .bind(at)
                .bind(key.id.to_string())
                .bind(key.scope.organization().to_string())
                .execute(&self.write)
                .await?;
        }
        Ok(())
    }
}
