//! Lists of models and voices that providers gave lately.

use super::ProviderError;
use super::catalog_lists::ProviderCatalog;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::secret::Secret;

/// Lists change with new models and new voices of the account.
const KEPT: Duration = Duration::from_secs(600);
/// A failure may be over soon; a page that asks again and again does not ask the provider each time.
const FAILURE_KEPT: Duration = Duration::from_secs(20);
/// Accounts and servers whose lists are kept.
const CATALOGS_MAX: u64 = 1_000;

/// A catalog, or why there is none.
pub type CatalogResult = Result<Arc<ProviderCatalog>, ProviderError>;

/// The organization, the account, its address, and a digest of the key: another key has another list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CatalogKey(Arc<str>, ProviderAccount, String, u64);

impl CatalogKey {
    /// The key under which a list is kept.
    pub(crate) fn new(tenant: Arc<str>, account: ProviderAccount, base_url: String, key: Option<&Secret>) -> Self {
        let mut digest = DefaultHasher::new();
        key.map(Secret::expose).hash(&mut digest);
        Self(tenant, account, base_url, digest.finish())
    }
}

/// Lists of all organizations.
#[derive(Clone, Debug)]
pub(crate) struct CatalogCache(moka::sync::Cache<CatalogKey, (Instant, CatalogResult)>);

impl Default for CatalogCache {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(CATALOGS_MAX).time_to_live(KEPT).build())
    }
}

impl CatalogCache {
    /// What was asked for lately.
    pub(crate) fn get(&self, key: &CatalogKey) -> Option<CatalogResult> {
        let (at, result) = self.0.get(key)?;
        (result.is_ok() || at.elapsed() < FAILURE_KEPT).then_some(result)
    }

    /// Keeps what was asked for now.
    pub(crate) fn put(&self, key: CatalogKey, result: CatalogResult) {
        self.0.insert(key, (Instant::now(), result));
    }
}
