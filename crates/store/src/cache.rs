//! What most requests and every call ask for, remembered for a second: keys by their hash, agents by their id, who
//! answers a number, provider keys. A change made through this process is seen at once, one of another process after
//! that second.

use super::cached_rows::{AuthenticatedKey, NumberOwner, StoredKey};
use super::error::StoreError;
use moka::{future, sync};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use trunkline_domain::agent::Agent;
use trunkline_domain::ids::{AgentId, OrganizationId};
use trunkline_domain::organization::{DailyUsage, Lineage};
use trunkline_domain::phone_number::PhoneNumber;

const TTL: Duration = Duration::from_secs(1);
/// Entries of each kind.
const ENTRIES_MAX: u64 = 10_000;

fn ttl_cache<K, V>() -> sync::Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    sync::Cache::builder().max_capacity(ENTRIES_MAX).time_to_live(TTL).build()
}

/// What is asked for by many at once and takes the database a while: one asks, the others wait for its answer.
struct SingleFlightCache<K, V> {
    loads: future::Cache<(u64, K), V>,
    /// Part of each key: a load that began before a change is not joined after it.
    generation: AtomicU64,
}

impl<K, V> SingleFlightCache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn new() -> Self {
        let loads = future::Cache::builder().max_capacity(ENTRIES_MAX).time_to_live(TTL).build();
        Self { loads, generation: AtomicU64::new(0) }
    }

    /// An error is the answer of those who waited for it, and is not kept.
    async fn get_or_load<F>(&self, key: K, load: F) -> Result<V, StoreError>
    where
        F: Future<Output = Result<V, StoreError>>,
    {
        let generation = self.generation.load(Ordering::Acquire);
        let loaded = self.loads.try_get_with((generation, key), load).await;
        loaded.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(StoreError::Shared))
    }

    fn clear(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.loads.invalidate_all();
    }
}

/// Keys of an organization.
pub(super) type ProviderKeys = Arc<[StoredKey]>;

/// SHA-256 of a key.
type Digest = [u8; 32];

/// Clones share the entries.
#[derive(Clone)]
pub(super) struct StoreCache {
    keys: sync::Cache<Digest, Arc<AuthenticatedKey>>,
    agents: sync::Cache<(OrganizationId, AgentId), Arc<Agent>>,
    /// Also of numbers that no agent has.
    number_owners: sync::Cache<PhoneNumber, Option<Arc<NumberOwner>>>,
    /// Opened keys of an organization, by provider.
    secrets: sync::Cache<OrganizationId, ProviderKeys>,
    lineages: Arc<SingleFlightCache<OrganizationId, Lineage>>,
    /// What a family has used of its day.
    spent: Arc<SingleFlightCache<OrganizationId, DailyUsage>>,
}

impl std::fmt::Debug for StoreCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreCache").finish_non_exhaustive()
    }
}

impl Default for StoreCache {
    fn default() -> Self {
        Self {
            keys: ttl_cache(),
            agents: ttl_cache(),
            number_owners: ttl_cache(),
            secrets: ttl_cache(),
            lineages: Arc::new(SingleFlightCache::new()),
            spent: Arc::new(SingleFlightCache::new()),
        }
    }
}

/// Removes entries by what they hold. Readers that come later do not see them.
fn remove_where<K, V>(cache: &sync::Cache<K, V>, is_stale: impl Fn(&K, &V) -> bool)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    for (key, value) in cache {
        if is_stale(&key, &value) {
            cache.invalidate(&*key);
        }
    }
}

impl StoreCache {
    pub(super) fn key(&self, hash: &Digest) -> Option<Arc<AuthenticatedKey>> {
        self.keys.get(hash)
    }

    pub(super) fn put_key(&self, hash: Digest, key: Arc<AuthenticatedKey>) {
        self.keys.insert(hash, key);
    }

    pub(super) fn forget_key(&self, id: trunkline_domain::ids::ApiKeyId) {
        remove_where(&self.keys, |_, key| key.id == id);
    }

    pub(super) fn agent(&self, organization: OrganizationId, id: AgentId) -> Option<Arc<Agent>> {
        self.agents.get(&(organization, id))
    }

    pub(super) fn put_agent(&self, agent: &Arc<Agent>) {
        self.agents.insert((agent.organization, agent.id), agent.clone());
    }

    pub(super) fn forget_agent(&self, id: AgentId) {
        remove_where(&self.agents, |(_, cached), _| *cached == id);
        self.forget_routes();
    }

    pub(super) fn number_owner(&self, number: &PhoneNumber) -> Option<Option<Arc<NumberOwner>>> {
        self.number_owners.get(number)
    }

    pub(super) fn put_number_owner(&self, number: PhoneNumber, owner: Option<Arc<NumberOwner>>) {
        self.number_owners.insert(number, owner);
    }

    /// After a change to a number or an agent; they are few and soon read again.
    pub(super) fn forget_routes(&self) {
        self.number_owners.invalidate_all();
    }

    pub(super) async fn lineage(
        &self, organization: OrganizationId, load: impl Future<Output = Result<Lineage, StoreError>>,
    ) -> Result<Lineage, StoreError> {
        self.lineages.get_or_load(organization, load).await
    }

    /// After a change to any organization: the limits of a parent hold for all below it.
    pub(super) fn forget_lineages(&self) {
        self.lineages.clear();
    }

    pub(super) async fn spent(
        &self, organization: OrganizationId, load: impl Future<Output = Result<DailyUsage, StoreError>>,
    ) -> Result<DailyUsage, StoreError> {
        self.spent.get_or_load(organization, load).await
    }

    pub(super) fn secrets(&self, organization: OrganizationId) -> Option<ProviderKeys> {
        self.secrets.get(&organization)
    }

    pub(super) fn put_secrets(&self, organization: OrganizationId, keys: ProviderKeys) {
        self.secrets.insert(organization, keys);
    }

    pub(super) fn forget_secrets(&self, organization: OrganizationId) {
        self.secrets.invalidate(&organization);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn of_many_who_ask_at_once_one_asks_the_database() {
        let (fresh, asked) = (SingleFlightCache::<u8, usize>::new(), AtomicUsize::new(0));
        let load = async || {
            tokio::task::yield_now().await;
            Ok(asked.fetch_add(1, Ordering::Relaxed) + 1)
        };
        let all = futures_util::future::join_all((0..100).map(|_| fresh.get_or_load(1, load()))).await;
        assert!(all.into_iter().all(|value| value.unwrap() == 1));
        fresh.clear();
        assert_eq!(fresh.get_or_load(1, load()).await.unwrap(), 2);
        // An error is not kept.
        let failed = fresh.get_or_load(2, async { Err(StoreError::Corrupt("x".into())) }).await;
        assert!(failed.is_err());
        assert_eq!(fresh.get_or_load(2, load()).await.unwrap(), 3);
    }
}
