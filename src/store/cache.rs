//! What most requests and every call ask for, remembered for a second: keys by their hash, agents by their id, who
//! answers a number, provider keys. A change made through this process is seen at once, one of another process after
//! that second.

use super::StoreError;
use super::api_keys::AuthenticatedKey;
use super::phone_numbers::NumberOwner;
use super::secrets::StoredKey;
use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, OrganizationId};
use crate::domain::organization::{DailyUsage, Lineage};
use crate::domain::phone_number::PhoneNumber;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const TTL: Duration = Duration::from_secs(1);
/// Entries of each kind; a full table is emptied, and fills again with what is asked for.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug)]
struct TtlTable<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for TtlTable<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> TtlTable<K, V> {
    fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = entries.get(key)?;
        (now.saturating_duration_since(*at) < TTL).then(|| value.clone())
    }

    fn put(&self, key: K, value: V, now: Instant) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, (now, value));
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, (_, value)| keep(key, value));
    }
}

/// What is asked for by many at once and takes the database a while: one asks, the others wait for its answer.
#[derive(Debug)]
struct SingleFlightCache<K, V>(Mutex<HashMap<K, Arc<InFlightLoad<V>>>>);

/// Where those who want one thing wait for it, with when it was read.
type InFlightLoad<V> = tokio::sync::Mutex<Option<(Instant, V)>>;

impl<K, V> Default for SingleFlightCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> SingleFlightCache<K, V> {
    async fn get_or_load<F>(&self, key: K, load: F) -> Result<V, StoreError>
    where
        F: Future<Output = Result<V, StoreError>>,
    {
        let cell = {
            let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if entries.len() >= ENTRIES_MAX && !entries.contains_key(&key) {
                entries.clear();
            }
            entries.entry(key).or_default().clone()
        };
        // Whoever gives up in the middle leaves the next one to ask.
        let mut known = cell.lock().await;
        if let Some((at, value)) = &*known
            && clock().saturating_duration_since(*at) < TTL
        {
            return Ok(value.clone());
        }
        let value = load.await?;
        *known = Some((clock(), value.clone()));
        Ok(value)
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Keys of an organization.
pub(super) type ProviderKeys = Arc<[StoredKey]>;

/// SHA-256 of a key.
type Digest = [u8; 32];

#[derive(Clone, Debug, Default)]
pub(super) struct StoreCache(Arc<CacheTables>);

#[derive(Debug, Default)]
struct CacheTables {
    keys: TtlTable<Digest, Arc<AuthenticatedKey>>,
    agents: TtlTable<(OrganizationId, AgentId), Arc<Agent>>,
    /// Also of numbers nobody has.
    number_owners: TtlTable<PhoneNumber, Option<Arc<NumberOwner>>>,
    /// Opened keys of an organization, by provider.
    secrets: TtlTable<OrganizationId, ProviderKeys>,
    lineages: SingleFlightCache<OrganizationId, Lineage>,
    /// What a family has used of its day.
    spent: SingleFlightCache<OrganizationId, DailyUsage>,
}

#[expect(clippy::disallowed_methods, reason = "age is measured by the clock")]
fn clock() -> Instant {
    Instant::now()
}

impl StoreCache {
    pub(super) fn key(&self, hash: &Digest) -> Option<Arc<AuthenticatedKey>> {
        self.0.keys.get(hash, clock())
    }

    pub(super) fn put_key(&self, hash: Digest, key: Arc<AuthenticatedKey>) {
        self.0.keys.put(hash, key, clock());
    }

    pub(super) fn forget_key(&self, id: crate::domain::ids::ApiKeyId) {
        self.0.keys.retain(|_, key| key.id != id);
    }

    pub(super) fn agent(&self, organization: OrganizationId, id: AgentId) -> Option<Arc<Agent>> {
        self.0.agents.get(&(organization, id), clock())
    }

    pub(super) fn put_agent(&self, agent: &Arc<Agent>) {
        self.0.agents.put((agent.organization, agent.id), agent.clone(), clock());
    }

    pub(super) fn forget_agent(&self, id: AgentId) {
        self.0.agents.retain(|(_, cached), _| *cached != id);
        self.forget_routes();
    }

    pub(super) fn number_owner(&self, number: &PhoneNumber) -> Option<Option<Arc<NumberOwner>>> {
        self.0.number_owners.get(number, clock())
    }

    pub(super) fn put_number_owner(&self, number: PhoneNumber, owner: Option<Arc<NumberOwner>>) {
        self.0.number_owners.put(number, owner, clock());
    }

    /// After a change to a number or an agent; they are few and soon read again.
    pub(super) fn forget_routes(&self) {
        self.0.number_owners.clear();
    }

    pub(super) async fn lineage(
        &self, organization: OrganizationId, load: impl Future<Output = Result<Lineage, StoreError>>,
    ) -> Result<Lineage, StoreError> {
        self.0.lineages.get_or_load(organization, load).await
    }

    /// After a change to any organization: the limits of a parent hold for all below it.
    pub(super) fn forget_lineages(&self) {
        self.0.lineages.clear();
    }

    pub(super) async fn spent(
        &self, organization: OrganizationId, load: impl Future<Output = Result<DailyUsage, StoreError>>,
    ) -> Result<DailyUsage, StoreError> {
        self.0.spent.get_or_load(organization, load).await
    }

    pub(super) fn secrets(&self, organization: OrganizationId) -> Option<ProviderKeys> {
        self.0.secrets.get(&organization, clock())
    }

    pub(super) fn put_secrets(&self, organization: OrganizationId, keys: ProviderKeys) {
        self.0.secrets.put(organization, keys, clock());
    }

    pub(super) fn forget_secrets(&self, organization: OrganizationId) {
        self.0.secrets.retain(|cached, _| *cached != organization);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn of_many_who_ask_at_once_one_asks_the_database() {
        let (fresh, asked) = (SingleFlightCache::<u8, usize>::default(), AtomicUsize::new(0));
        let load = async || {
            tokio::task::yield_now().await;
            Ok(asked.fetch_add(1, Ordering::Relaxed) + 1)
        };
        let all = futures_util::future::join_all((0..100).map(|_| fresh.get_or_load(1, load()))).await;
        assert!(all.into_iter().all(|value| value.unwrap() == 1));
        fresh.clear();
        assert_eq!(fresh.get_or_load(1, load()).await.unwrap(), 2);
        // Whoever fails is nobody's answer.
        let failed = fresh.get_or_load(2, async { Err(StoreError::Corrupt("x".into())) }).await;
        assert!(failed.is_err());
        assert_eq!(fresh.get_or_load(2, load()).await.unwrap(), 3);
    }
}
