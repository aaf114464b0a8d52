//! Provider keys of an organization: AES-256-GCM with a master key that is not in the database. A key's
//! text leaves this file only towards a call.

use super::cache::ProviderKeys;
use super::list::Bind;
use super::{OrgScope, Page, Store, StoreError, corrupt, now, parsed};
use crate::domain::ids::SecretId;
use crate::domain::time::UnixMs;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Encrypts and decrypts provider keys.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

impl MasterKey {
    /// Of any text of some length; hashed, so that every byte of it counts.
    pub fn new(text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"trunkline master key 1\n");
        hash.update(text.as_bytes());
        Self(hash.finalize().into())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).map_err(|_| corrupt("master key"))
    }

    /// Bound to its row: a ciphertext moved to another organization does not open.
    fn seal(&self, bound_to: &str, text: &str) -> Result<String, StoreError> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(bound_to.as_bytes()), &mut bytes)
            .map_err(|_| corrupt("secret cannot be encrypted"))?;
        Ok(STANDARD.encode([&nonce.as_ref()[..], &bytes[..]].concat()))
    }

    fn open(&self, bound_to: &str, ciphertext: &str) -> Result<String, StoreError> {
        let wrong = || corrupt("secret cannot be decrypted; is the master key another one?");
        let bytes = STANDARD.decode(ciphertext).map_err(|_| wrong())?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut rest = rest.to_vec();
        let opened =
            self.cipher()?.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut rest).map_err(|_| wrong())?;
        String::from_utf8(opened.to_vec()).map_err(|_| wrong())
    }
}

/// A key without its text.
#[derive(Clone, Debug)]
pub struct SecretRow {
    pub id: SecretId,
    pub name: String,
    pub provider: String,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

fn secret(row: &AnyRow) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        id: parsed(SecretId::parse(row.try_get("id")?), "secrets.id")?,
        name: row.try_get("name")?,
        provider: row.try_get("provider")?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

fn bound_to(scope: OrgScope, provider: &str) -> String {
    format!("{} {provider}", scope.organization())
}

impl Store {
    /// Stores the key of a provider in place of the one before.
    pub async fn put_secret(
        &self, scope: OrgScope, master: &MasterKey, name: &str, provider: &str, value: &str,
    ) -> Result<SecretRow, StoreError> {
        let at = now();
        sqlx::query(
            "INSERT INTO secrets (id, organization_id, name, provider, ciphertext, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (organization_id, provider) DO UPDATE SET \
             name = excluded.name, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at",
        )
        .bind(SecretId::new().to_string())
        .bind(scope.organization().to_string())
        .bind(name)
        .bind(provider)
        .bind(master.seal(&bound_to(scope, provider), value)?)
        .bind(at.0)
        .bind(at.0)
        .execute(&self.write)
        .await?;
        self.cache.forget_secrets(scope.organization());
        let row = sqlx::query("SELECT * FROM secrets WHERE organization_id = $1 AND provider = $2")
            .bind(scope.organization().to_string())
            .bind(provider)
            .fetch_one(&self.write)
            .await?;
        secret(&row)
    }

    pub async fn secrets(&self, scope: OrgScope, page: Page) -> Result<(Vec<SecretRow>, i64), StoreError> {
        let binds = [Bind::Text(scope.organization().to_string())];
        self.list("*", "FROM secrets WHERE organization_id = $1", "created_at, id", &binds, page, secret).await
    }

    /// False when there is none.
    pub async fn delete_secret(&self, scope: OrgScope, id: SecretId) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM secrets WHERE id = $1 AND organization_id = $2")
            .bind(id.to_string())
            .bind(scope.organization().to_string())
            .execute(&self.write)
            .await?;
        self.cache.forget_secrets(scope.organization());
        Ok(done.rows_affected() == 1)
    }

    /// Provider and key of each, for a call of the organization.
    pub async fn open_secrets(&self, scope: OrgScope, master: &MasterKey) -> Result<ProviderKeys, StoreError> {
        if let Some(known) = self.cache.secrets(scope.organization()) {
            return Ok(known);
        }
        let rows = sqlx::query("SELECT provider, ciphertext FROM secrets WHERE organization_id = $1")
            .bind(scope.organization().to_string())
            .fetch_all(&self.read)
            .await?;
        let open = |row: &AnyRow| {
            let (provider, ciphertext): (String, String) = (row.try_get("provider")?, row.try_get("ciphertext")?);
            let key = master.open(&bound_to(scope, &provider), &ciphertext)?;
            Ok::<_, StoreError>((provider, key))
        };
        let keys: ProviderKeys = rows.iter().map(open).collect::<Result<_, StoreError>>()?;
        self.cache.put_secrets(scope.organization(), keys.clone());
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_with_its_key_in_its_place_only() {
        let master = MasterKey::new("some words nobody guesses");
        let sealed = master.seal("org openai", "sk-12345").unwrap();
        assert!(!sealed.contains("sk-12345"));
        assert_ne!(sealed, master.seal("org openai", "sk-12345").unwrap());
        assert_eq!(master.open("org openai", &sealed).unwrap(), "sk-12345");
        assert!(master.open("org2 openai", &sealed).is_err());
        assert!(MasterKey::new("other").open("org openai", &sealed).is_err());
        assert!(master.open("org openai", "AAAA").is_err());
    }
}
