//! Provider keys of an organization: AES-256-GCM with a master key that is not in the database. A key's
//! text leaves this file only towards a call.

use super::cache::ProviderKeys;
pub use super::cached_rows::StoredKey;
use super::pagination::BindValue;
use super::{OrgScope, PageRequest, Store, StoreError, corrupt, now, parsed};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use trunkline_domain::ids::{OrganizationId, SecretId};
use trunkline_domain::secret::Secret;
use trunkline_domain::time::UnixMs;

/// Encrypts and decrypts provider keys.
#[derive(Clone, Debug)]
pub struct MasterKey(SecretSlice<u8>);

impl MasterKey {
    /// Of any text of some length; hashed, so that every byte of it counts.
    pub fn new(text: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"trunkline master key 1\n");
        hash.update(text.as_bytes());
        Self(hash.finalize().to_vec().into())
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, StoreError> {
        RandomizedNonceKey::new(&AES_256_GCM, self.0.expose_secret()).map_err(|_| corrupt("master key"))
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

    fn open(&self, bound_to: &str, ciphertext: &str) -> Result<Secret, StoreError> {
        let wrong = || corrupt("secret cannot be decrypted; is the master key another one?");
        let bytes = STANDARD.decode(ciphertext).map_err(|_| wrong())?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut rest = rest.to_vec();
        let opened =
            self.cipher()?.open_in_place(nonce, Aad::from(bound_to.as_bytes()), &mut rest).map_err(|_| wrong())?;
        str::from_utf8(opened).map(Secret::from).map_err(|_| wrong())
    }
}

/// A key without its text.
#[derive(Clone, Debug)]
pub struct SecretRow {
    /// Chosen when the key is first stored; stays when the key is replaced.
    pub id: SecretId,
    /// What people call the key.
    pub name: String,
    /// The account that the key is for, such as `openai`.
    pub provider: String,
    /// The only address the key is sent to; `None`: the provider's default address.
    pub base_url: Option<String>,
    /// When the key was first stored.
    pub created_at: UnixMs,
    /// When the key was last replaced.
    pub updated_at: UnixMs,
}

/// A key that the master key does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableSecret {
    /// Row of the key, to delete it by.
    pub id: SecretId,
    /// The organization that stored it.
    pub organization: OrganizationId,
    /// Name of that organization, for the operator.
    pub organization_name: String,
    /// The account that the key is for, such as `openai`.
    pub provider: String,
    /// The only address the key is sent to. `None`: the provider's default address.
    pub base_url: Option<String>,
    /// What the organization calls the key.
    pub name: String,
}

impl std::fmt::Display for UnreadableSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, organization, organization_name, provider, base_url, name } = self;
        write!(f, "{id}: {name:?} for {provider}")?;
        if let Some(base_url) = base_url {
            write!(f, " at {base_url}")?;
        }
        write!(f, ", of the organization {organization_name:?} ({organization})")
    }
}

/// The column of an address.
fn address(row: &AnyRow) -> Result<Option<String>, StoreError> {
    let text: String = row.try_get("base_url")?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn secret(row: &AnyRow) -> Result<SecretRow, StoreError> {
    Ok(SecretRow {
        id: parsed(SecretId::parse(row.try_get("id")?), "secrets.id")?,
        name: row.try_get("name")?,
        provider: row.try_get("provider")?,
        base_url: address(row)?,
        created_at: UnixMs(row.try_get("created_at")?),
        updated_at: UnixMs(row.try_get("updated_at")?),
    })
}

fn bound_to(organization: OrganizationId, provider: &str, base_url: Option<&str>) -> String {
    match base_url {
        None => format!("{organization} {provider}"),
        Some(base_url) => format!("{organization} {provider} {base_url}"),
    }
}

/// What every process of an installation can open with the one master key.
const CHECK: (&str, &str) = ("master_key_check", "trunkline");

impl Store {
    /// True when this is the master key that the others on this database have. The first one with a key says which.
    async fn is_the_master_key(&self, master: &MasterKey) -> Result<bool, StoreError> {
        let (name, text) = CHECK;
        let kept = self.get_or_create_setting(name, &master.seal(name, text)?).await?;
        Ok(master.open(name, &kept).is_ok())
    }

    /// Stores the key of a provider in place of the one before. `None` when other processes on this database have
    /// another master key: they could not open it.
    pub async fn put_secret(
        &self, scope: OrgScope, master: &MasterKey, name: &str, provider: &str, base_url: Option<&str>, value: &str,
    ) -> Result<Option<SecretRow>, StoreError> {
        if !self.is_the_master_key(master).await? {
            return Ok(None);
        }
        let at = now();
        let organization = scope.organization();
        sqlx::query(
            "INSERT INTO secrets (id, organization_id, name, provider, base_url, ciphertext, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (organization_id, provider, base_url) DO UPDATE SET \
             name = excluded.name, ciphertext = excluded.ciphertext, updated_at = excluded.updated_at",
        )
        .bind(SecretId::new().to_string())
        .bind(organization.to_string())
        .bind(name)
        .bind(provider)
        .bind(base_url.unwrap_or_default())
        .bind(master.seal(&bound_to(organization, provider, base_url), value)?)
        .bind(at.0)
        .bind(at.0)
        .execute(&self.write)
        .await?;
        self.cache.forget_secrets(organization);
        let row = sqlx::query("SELECT * FROM secrets WHERE organization_id = $1 AND provider = $2 AND base_url = $3")
            .bind(organization.to_string())
            .bind(provider)
            .bind(base_url.unwrap_or_default())
            .fetch_one(&self.write)
            .await?;
        secret(&row).map(Some)
    }

    /// Returns a page of keys without their text, oldest first, and the number of all.
    pub async fn secrets(&self, scope: OrgScope, page: PageRequest) -> Result<(Vec<SecretRow>, i64), StoreError> {
        let binds = [BindValue::Text(scope.organization().to_string())];
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

    /// The keys of an organization, for a call of it. One that cannot be opened is there without its text: a call must
    /// not go on as if the organization had none.
    pub async fn open_secrets(&self, scope: OrgScope, master: Option<&MasterKey>) -> Result<ProviderKeys, StoreError> {
        let organization = scope.organization();
        if let Some(known) = self.cache.secrets(organization) {
            return Ok(known);
        }
        let rows = sqlx::query("SELECT id, provider, base_url, ciphertext FROM secrets WHERE organization_id = $1")
            .bind(organization.to_string())
            .fetch_all(&self.read)
            .await?;
        let open = |row: &AnyRow| {
            let (provider, ciphertext): (String, String) = (row.try_get("provider")?, row.try_get("ciphertext")?);
            let base_url = address(row)?;
            let bound = bound_to(organization, &provider, base_url.as_deref());
            let key = master.and_then(|master| master.open(&bound, &ciphertext).ok());
            if key.is_none() {
                let id: String = row.try_get("id")?;
                tracing::error!(%organization, provider, secret = id, "cannot decrypt a provider key");
            }
            Ok::<_, StoreError>(StoredKey { provider, base_url, key })
        };
        let keys: ProviderKeys = rows.iter().map(open).collect::<Result<_, StoreError>>()?;
        self.cache.put_secrets(organization, keys.clone());
        Ok(keys)
    }

    /// Keys of all organizations that this master key, or none, does not open.
    pub async fn unreadable_secrets(&self, master: Option<&MasterKey>) -> Result<Vec<UnreadableSecret>, StoreError> {
        let rows = self.all_secrets().await?;
        let unreadable = |(secret, ciphertext): (UnreadableSecret, String)| {
            let bound = bound_to(secret.organization, &secret.provider, secret.base_url.as_deref());
            let opens = master.is_some_and(|master| master.open(&bound, &ciphertext).is_ok());
            (!opens).then_some(secret)
        };
        Ok(rows.into_iter().filter_map(unreadable).collect())
    }

    async fn all_secrets(&self) -> Result<Vec<(UnreadableSecret, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT secrets.id, secrets.organization_id, organizations.name AS organization_name, secrets.provider, \
             secrets.base_url, secrets.name, secrets.ciphertext FROM secrets \
             JOIN organizations ON organizations.id = secrets.organization_id \
             ORDER BY organizations.name, secrets.provider, secrets.base_url",
        )
        .fetch_all(&self.read)
        .await?;
        let one = |row: &AnyRow| {
            let organization = OrganizationId::parse(row.try_get("organization_id")?);
            let secret = UnreadableSecret {
                id: parsed(SecretId::parse(row.try_get("id")?), "secrets.id")?,
                organization: parsed(organization, "secrets.organization_id")?,
                organization_name: row.try_get("organization_name")?,
                provider: row.try_get("provider")?,
                base_url: address(row)?,
                name: row.try_get("name")?,
            };
            Ok((secret, row.try_get("ciphertext")?))
        };
        rows.iter().map(one).collect()
    }

    /// Takes the master key of this process as the installation's, once it opens everything there is: a first start, a
    /// key that was changed while nothing was stored, or one that everything was sealed with again.
    pub async fn adopt_master_key(&self, master: &MasterKey) -> Result<(), StoreError> {
        if self.is_the_master_key(master).await? {
            return Ok(());
        }
        let (name, text) = CHECK;
        sqlx::query("UPDATE settings SET value = $1 WHERE name = $2")
            .bind(master.seal(name, text)?)
            .bind(name)
            .execute(&self.write)
            .await?;
        Ok(())
    }

    /// Deletes keys that nothing opens; how many there were.
    pub async fn delete_unreadable_secrets(&self, master: Option<&MasterKey>) -> Result<usize, StoreError> {
        let unreadable = self.unreadable_secrets(master).await?;
        for secret in &unreadable {
            self.delete_secret(OrgScope::new(secret.organization), secret.id).await?;
        }
        Ok(unreadable.len())
    }

    /// Seals every key that `old` opens with `new`; how many there were. Those that neither opens stay as they are.
    pub async fn seal_secrets_anew(&self, old: &MasterKey, new: &MasterKey) -> Result<usize, StoreError> {
        let mut done = 0;
        for (secret, ciphertext) in self.all_secrets().await? {
            let bound = bound_to(secret.organization, &secret.provider, secret.base_url.as_deref());
            let Ok(text) = old.open(&bound, &ciphertext) else { continue };
            // A key that was stored again meanwhile is left alone.
            let changed = sqlx::query("UPDATE secrets SET ciphertext = $1 WHERE id = $2 AND ciphertext = $3")
                .bind(new.seal(&bound, text.expose())?)
                .bind(secret.id.to_string())
                .bind(&ciphertext)
                .execute(&self.write)
                .await?;
            self.cache.forget_secrets(secret.organization);
            done += usize::from(changed.rows_affected() == 1);
        }
        Ok(done)
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
        assert_eq!(master.open("org openai", &sealed).unwrap(), *"sk-12345");
        assert!(master.open("org2 openai", &sealed).is_err());
        assert!(MasterKey::new("other").open("org openai", &sealed).is_err());
        assert!(master.open("org openai", "AAAA").is_err());
    }
}
