//! What most requests ask for, remembered for a second: keys by their hash, agents by their id. A change
//! made through this process is seen at once, one of another process after that second.

use super::api_keys::Key;
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

    fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, (_, value)| keep(key, value));
    }
}

/// SHA-256 of a key.
type Digest = [u8; 32];

#[derive(Clone, Debug, Default)]
pub(super) struct Cache(Arc<Tables>);

#[derive(Debug, Default)]
struct Tables {
    keys: Table<Digest, Arc<Key>>,
    agents: Table<(OrganizationId, AgentId), Arc<Agent>>,
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
    }
}
