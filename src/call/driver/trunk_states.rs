//! What this process knows of trunks: as they were last read, their registrations, and the state of their targets.

use super::trunk_rules::label;
use crate::call::trunk_selection::CredentialTrunks;
use crate::domain::FieldError;
use crate::domain::ids::TrunkId;
use crate::domain::time::UnixMs;
use crate::domain::trunk::{Trunk, TrunkFields, TrunkTarget};
use crate::store::now;
use ipnet::IpNet;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use trunkline_signaling::sip::user_agent::{RegistrationEvent, TrunkCandidates, TrunkEvidence};
use utoipa::ToSchema;

/// Longer than probing all targets takes: after that a broken probe is forgotten.
const PROBING_MAX: Duration = Duration::from_secs(60);

/// State of the trunk's targets as known to this process.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TrunkState)]
pub struct TrunkState {
    /// Of trunks that register.
    registration: Option<RegistrationState>,
    /// Of trunks that are probed.
    targets: Vec<TargetState>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegistrationState {
    registered: bool,
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// Status of the last refusal.
    sip_status: Option<u16>,
    /// Why it is not registered, in words.
    problem: Option<String>,
    #[schema(format = "date-time")]
    since: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TargetState {
    pub(super) host: String,
    pub(super) reachable: bool,
    pub(super) sip_status: Option<u16>,
    pub(super) latency_ms: Option<u64>,
    #[schema(format = "date-time")]
    pub(super) checked_at: String,
}

#[derive(Debug, Default)]
struct WatchedTrunk {
    trunk: Option<Arc<Trunk>>,
    state: TrunkState,
    next_probe: Option<Instant>,
    /// Since when its targets are being probed: it is not due again before that ends.
    probing_since: Option<Instant>,
}

/// The states of all trunks.
#[derive(Clone, Debug, Default)]
pub struct TrunkStates {
    watched: Arc<Mutex<HashMap<TrunkId, WatchedTrunk>>>,
    /// Those that take callers by credentials.
    credential_trunks: Arc<Mutex<Arc<CredentialTrunks>>>,
    /// Wide networks that the operator allows trunks to list.
    pub(super) wide_networks: Arc<[IpNet]>,
}

impl TrunkStates {
    /// Returns an empty set. `wide_networks` are the networks wider than the limit that the operator allows trunks to
    /// list.
    pub fn new(wide_networks: &[IpNet]) -> Self {
        Self { wide_networks: wide_networks.into(), ..Self::default() }
    }

    /// Refuses networks that are too wide without the operator's consent.
    pub fn check_networks(&self, fields: &TrunkFields) -> Result<(), FieldError> {
        let Some(wide) = fields.networks(&self.wide_networks).1 else { return Ok(()) };
        let message = format!(
            "{wide} makes them too wide: together a /16 of IPv4 and a /32 of IPv6 at most, unless the operator allows \
             wider ones (sip.wide_networks_allowed)"
        );
        Err(FieldError::new("allowed_addresses", message))
    }

    /// Returns what this process knows of a trunk's registration and targets; an empty state for an unknown trunk.
    pub fn state(&self, id: TrunkId) -> TrunkState {
        self.lock().get(&id).map(|watched| watched.state.clone()).unwrap_or_default()
    }

    /// A trunk as it was last read.
    pub(super) fn get(&self, id: TrunkId) -> Option<Arc<Trunk>> {
        self.lock().get(&id).and_then(|watched| watched.trunk.clone())
    }

    /// The trunks a call may have come over, each once with its strongest evidence.
    pub(super) fn candidates(&self, candidates: &TrunkCandidates) -> Vec<(Arc<Trunk>, TrunkEvidence)> {
        let (all, mut seen) = (self.lock(), HashSet::new());
        let known = candidates.iter().filter_map(|(id, evidence)| Some((TrunkId::parse(id)?, evidence)));
        let once = known.filter(|(id, _)| seen.insert(*id));
        once.filter_map(|(id, evidence)| Some((all.get(&id)?.trunk.clone()?, evidence))).collect()
    }

    pub(super) fn credential_trunks(&self) -> Arc<CredentialTrunks> {
        self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TrunkId, WatchedTrunk>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replace(&self, trunks: &[Arc<Trunk>], now: Instant) {
        let credential_trunks = Arc::new(CredentialTrunks::new(trunks.iter()));
        *self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner) = credential_trunks;
        let there: HashSet<TrunkId> = trunks.iter().map(|trunk| trunk.id).collect();
        let mut all = self.lock();
        all.retain(|id, _| there.contains(id));
        for trunk in trunks {
            let watched = all.entry(trunk.id).or_default();
            let known = watched.trunk.replace(trunk.clone());
            if known.is_some_and(|known| known.fields == trunk.fields) {
                continue;
            }
            if !trunk.fields.register {
                watched.state.registration = None;
            }
            watched.state.targets = Vec::new();
            watched.next_probe = trunk.fields.options_interval_s.map(|_| now);
        }
    }

    /// Trunks whose targets are to be probed now.
    pub(super) fn targets_due(&self, now: Instant) -> Vec<Arc<Trunk>> {
        let mut all = self.lock();
        let due = |watched: &mut WatchedTrunk| {
            let is_probed = watched.probing_since.is_some_and(|since| now.duration_since(since) < PROBING_MAX);
            let is_due = !is_probed && watched.next_probe.is_some_and(|at| at <= now);
            let trunk = watched.trunk.as_ref().filter(|_| is_due)?;
            let every = Duration::from_secs(trunk.fields.options_interval_s?.into());
            watched.next_probe = Some(now + every);
            watched.probing_since = Some(now);
            Some(trunk.clone())
        };
        all.values_mut().filter_map(due).collect()
    }

    /// Postpones a probe for lack of capacity.
    pub(super) fn postpone_probe(&self, id: TrunkId, until: Instant) {
        if let Some(watched) = self.lock().get_mut(&id) {
            watched.probing_since = None;
            watched.next_probe = watched.next_probe.map(|_| until);
        }
    }

    pub(super) fn record_probe(&self, id: TrunkId, targets: Vec<TargetState>) {
        if let Some(watched) = self.lock().get_mut(&id) {
            watched.probing_since = None;
            for state in &targets {
                let before = watched.state.targets.iter().find(|known| known.host == state.host);
                if before.map(|known| known.reachable) != Some(state.reachable) {
                    tracing::info!(trunk = %id, target = %state.host, reachable = state.reachable, "trunk probed");
                }
            }
            watched.state.targets = targets;
        }
    }

    pub(super) fn record_registration(&self, id: TrunkId, event: RegistrationEvent) {
        let mut all = self.lock();
        let Some(watched) = all.get_mut(&id) else { return };
        let at = now();
        let since = at.rfc3339();
        watched.state.registration = match event {
            RegistrationEvent::Registered { expires_s } => {
                let expires_at = Some(UnixMs(at.0 + i64::from(expires_s) * 1_000).rfc3339());
                // Do not log a refresh.
                let before = watched.state.registration.take().filter(|state| state.registered);
                if before.is_none() {
                    tracing::info!(trunk = %id, expires_s, "registered");
                }
                let since = before.map_or(since, |state| state.since);
                Some(RegistrationState { registered: true, expires_at, sip_status: None, problem: None, since })
            }
            RegistrationEvent::Failed { status, why, retry_in } => {
                tracing::warn!(trunk = %id, reason = why, retry_in_s = retry_in.as_secs(), "registration failed");
                let problem = Some(format!("{why}; tried again in {} s", retry_in.as_secs()));
                Some(RegistrationState { registered: false, expires_at: None, sip_status: status, problem, since })
            }
            RegistrationEvent::Removed => None,
        };
    }

    /// The targets of a trunk in order of attempt: reachable ones first, by priority, drawn by weight.
    pub(super) fn in_order(&self, trunk: &Trunk) -> Vec<TrunkTarget> {
        let state = self.state(trunk.id);
        let is_dead = |target: &TrunkTarget| {
            let label = label(target);
            state.targets.iter().any(|known| known.host == label && !known.reachable)
        };
        let mut left: Vec<(bool, TrunkTarget)> =
            trunk.fields.all_targets().into_iter().map(|target| (is_dead(&target), target)).collect();
        left.sort_by_key(|(dead, target)| (*dead, target.priority)); // stable: as written among equals
        let mut ordered = Vec::with_capacity(left.len());
        while let Some((dead, priority)) = left.first().map(|(dead, target)| (*dead, target.priority)) {
            let equals = left.iter().take_while(|(d, target)| (*d, target.priority) == (dead, priority)).count();
            let total: u32 = left[..equals].iter().map(|(_, target)| u32::from(target.weight) + 1).sum();
            let mut drawn = rand::random::<u32>() % total;
            let mut at = 0;
            while drawn > u32::from(left[at].1.weight) {
                drawn -= u32::from(left[at].1.weight) + 1;
                at += 1;
            }
            ordered.push(left.remove(at).1);
        }
        ordered
    }
}
