//! What most requests and every call ask for, remembered for a second: keys by their hash, agents by their id, who
//! answers a number, provider keys. A change made through this process is seen at once, one of another process after
//! that second.

use super::api_keys::Key;
use super::phone_numbers::Candidate;
use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, OrganizationId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const FRESH_FOR: Duration = Duration::from_secs(1);
/// Entries of each kind; a full table is emptied, and fills again with what is asked for.
const ENTRIES_MAX: usize = 10_000;

#[derive(Debug)]
struct Table<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Table<K, V> {
    fn get(&self, key: &K, now: Instant) -> Option<V> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, value) = entries.get(key)?;
        (now.saturating_duration_since(*at) < FRESH_FOR).then(|| value.clone())
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

/// Provider and key of each.
pub(super) type ProviderKeys = Arc<[(String, String)]>;

/// SHA-256 of a key.
type Digest = [u8; 32];

#[derive(Clone, Debug, Default)]
pub(super) struct Cache(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    keys: Table<Digest, Arc<Key>>,
    agents: Table<(OrganizationId, AgentId), Arc<Agent>>,
    /// By the number as it is stored; also of numbers nobody has.
    routes: Table<String, Arc<[Candidate]>>,
    /// Opened keys of an organization, by provider.
    secrets: Table<OrganizationId, ProviderKeys>,
}

#[expect(clippy::disallowed_methods, reason = "age is measured by the clock")]
fn clock() -> Instant {
    Instant::now()
}

impl Cache {
    pub(super) fn key(&self, hash: &Digest) -> Option<Arc<Key>> {
        self.0.keys.get(hash, clock())
    }

    pub(super) fn put_key(&self, hash: Digest, key: Arc<Key>) {
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

    pub(super) fn route(&self, number: &String) -> Option<Arc<[Candidate]>> {
        self.0.routes.get(number, clock())
    }

    pub(super) fn put_route(&self, number: String, candidates: Arc<[Candidate]>) {
        self.0.routes.put(number, candidates, clock());
    }

    /// After a change to a number, a trunk or an agent; they are few and soon read again.
    pub(super) fn forget_routes(&self) {
        self.0.routes.clear();
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
