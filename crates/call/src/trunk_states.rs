//! What this process knows of the trunks: their settings, registrations, and which targets answered their probes; and
//! which trunk is probed next.
//!
//! Pure: the driver reads trunks, sends probes and says what time it is.

use super::trunk_routes::label;
use crate::domain::ids::TrunkId;
use crate::domain::time::UnixMs;
use crate::domain::trunk::{Trunk, TrunkTarget};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_signaling::sip::user_agent::{ProbeResult, RegistrationEvent, TrunkCandidates, TrunkEvidence};
use utoipa::ToSchema;

/// Longer than probing all targets takes: after that a broken probe is forgotten.
const PROBING_MAX: Duration = Duration::from_secs(60);

/// State of the trunk's targets as known to this process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TrunkState)]
pub struct TrunkState {
    /// Of trunks that register.
    registration: Option<RegistrationState>,
    /// Of trunks that are probed.
    targets: Vec<TargetState>,
}

impl TrunkState {
    /// Why a trunk that registers is not registered, in words; `None` if it is.
    pub fn registration_problem(&self) -> Option<&str> {
        match &self.registration {
            Some(state) if state.registered => None,
            Some(state) => Some(state.problem.as_deref().unwrap_or("the registration has run out")),
            None => Some("no answer yet"),
        }
    }

    /// Whether it is known that no call can go out: not registered, or no target answered its last probe. A trunk that
    /// neither registers nor is probed is never known to be down.
    pub fn is_down(&self) -> bool {
        let unregistered = self.registration.as_ref().is_some_and(|state| !state.registered);
        unregistered || (!self.targets.is_empty() && self.targets.iter().all(|target| !target.reachable))
    }
}

/// State of a registration, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RegistrationState {
    /// Whether the registrar has taken the registration and it has not run out.
    registered: bool,
    /// When the registration runs out (RFC 3339, UTC); `null` if there is none.
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// Status of the last refusal.
    sip_status: Option<u16>,
    /// Why it is not registered, in words.
    problem: Option<String>,
    /// Since when this is so (RFC 3339, UTC).
    #[schema(format = "date-time")]
    since: String,
}

/// What a target's last probe found, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetState {
    /// Host, with its port and transport where the trunk names them.
    host: String,
    /// Whether it answered the last OPTIONS; a refusal is an answer too.
    reachable: bool,
    /// Status of that answer; `null` if none came.
    sip_status: Option<u16>,
    /// Milliseconds that the answer took; `null` if none came.
    latency_ms: Option<u64>,
    /// When the last OPTIONS was sent (RFC 3339, UTC).
    #[schema(format = "date-time")]
    checked_at: String,
}

impl TargetState {
    /// What the answer to OPTIONS says: any status is a sign of life, `None` is no answer.
    pub fn probed(target: &TrunkTarget, status: Option<u16>, took: Duration, at: UnixMs) -> Self {
        Self {
            host: label(target),
            reachable: status.is_some(),
            sip_status: status,
            latency_ms: status.map(|_| took.as_millis() as u64),
            checked_at: at.rfc3339(),
        }
    }
}

/// Status of the answer to OPTIONS; `None` if none came.
pub fn status_of(result: &ProbeResult) -> Option<u16> {
    match result {
        ProbeResult::Answered(status) => Some(*status),
        ProbeResult::Silent | ProbeResult::Unreachable(_) => None,
    }
}

/// What is wrong with the answer to OPTIONS, in words. A challenge that reaches us says that there were no credentials, or
/// the wrong ones; any other refusal shows that the peer is there.
pub fn probe_problem(result: &ProbeResult, has_credentials: bool) -> Option<String> {
    match (result, has_credentials) {
        (ProbeResult::Silent, _) => Some("No answer to OPTIONS in four seconds".to_owned()),
        (ProbeResult::Unreachable(why), _) => Some(format!("OPTIONS cannot be sent: {why}")),
        (ProbeResult::Answered(status @ (401 | 407)), true) => {
            Some(format!("The peer does not take `username` and `password` of the trunk (SIP {status})"))
        }
        (ProbeResult::Answered(status @ (401 | 407)), false) => {
            Some(format!("The peer asks for credentials (SIP {status}), and the trunk has no `username`"))
        }
        (ProbeResult::Answered(_), _) => None,
    }
}

/// A target that went down or came back with the last probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetChange {
    /// The target as lists call it.
    pub host: String,
    /// It answers now.
    pub reachable: bool,
}

/// What a registration's event means for people who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationChange {
    /// The trunk is registered now; it was not before.
    Registered {
        /// Lifetime that was granted, in seconds.
        expires_s: u32,
    },
    /// It is not registered, and is tried again.
    Failed {
        /// Why, in words.
        why: String,
        /// Time until the next attempt.
        retry_in: Duration,
    },
    /// A refresh, the end of a registration, or an event of an unknown trunk.
    Nothing,
}

#[derive(Debug)]
struct WatchedTrunk {
    trunk: Arc<Trunk>,
    state: TrunkState,
    /// When its targets are probed next; `None` where they are not.
    next_probe: Option<Instant>,
    /// Since when its targets are being probed: it is not due again before that ends.
    probing_since: Option<Instant>,
}

/// The trunks of everybody, as last read, with their states.
#[derive(Debug, Default)]
pub struct TrunkTable(HashMap<TrunkId, WatchedTrunk>);

impl TrunkTable {
    /// What is known of a trunk's registration and targets; an empty state for an unknown trunk.
    pub fn state(&self, id: TrunkId) -> TrunkState {
        self.0.get(&id).map(|watched| watched.state.clone()).unwrap_or_default()
    }

    /// A trunk as it was last read.
    pub fn get(&self, id: TrunkId) -> Option<Arc<Trunk>> {
        self.0.get(&id).map(|watched| watched.trunk.clone())
    }

    /// The trunks a call may have come over, each once with its strongest evidence.
    pub fn candidates(&self, candidates: &TrunkCandidates) -> Vec<(Arc<Trunk>, TrunkEvidence)> {
        let mut seen = HashSet::new();
        let known = candidates.iter().filter_map(|(id, evidence)| Some((TrunkId::parse(id)?, evidence)));
        let once = known.filter(|(id, _)| seen.insert(*id));
        once.filter_map(|(id, evidence)| Some((self.get(id)?, evidence))).collect()
    }

    /// Whether the last probe of a target went unanswered.
    pub fn is_down(&self, id: TrunkId, target: &TrunkTarget) -> bool {
        let label = label(target);
        let targets = self.0.get(&id).map(|watched| &watched.state.targets);
        targets.into_iter().flatten().any(|known| known.host == label && !known.reachable)
    }

    /// Takes the trunks as they are stored now. A changed one is probed at once and forgets what its targets said.
    pub fn replace(&mut self, trunks: &[Arc<Trunk>], now: Instant) {
        let there: HashSet<TrunkId> = trunks.iter().map(|trunk| trunk.id).collect();
        self.0.retain(|id, _| there.contains(id));
        for trunk in trunks {
            let first_probe = trunk.fields.options_interval_s.map(|_| now);
            let Some(watched) = self.0.get_mut(&trunk.id) else {
                let state = TrunkState::default();
                let new = WatchedTrunk { trunk: trunk.clone(), state, next_probe: first_probe, probing_since: None };
                self.0.insert(trunk.id, new);
                continue;
            };
            let known = std::mem::replace(&mut watched.trunk, trunk.clone());
            if known.fields == trunk.fields {
                continue;
            }
            if !trunk.fields.register {
                watched.state.registration = None;
            }
            watched.state.targets = Vec::new();
            watched.next_probe = first_probe;
        }
    }

    /// Trunks whose targets are to be probed now; they count as being probed from here on.
    pub fn targets_due(&mut self, now: Instant) -> Vec<Arc<Trunk>> {
        let due = |watched: &mut WatchedTrunk| {
            let is_probed = watched.probing_since.is_some_and(|since| now.duration_since(since) < PROBING_MAX);
            let is_due = !is_probed && watched.next_probe.is_some_and(|at| at <= now);
            let trunk = is_due.then(|| watched.trunk.clone())?;
            let every = Duration::from_secs(trunk.fields.options_interval_s?.into());
            watched.next_probe = Some(now + every);
            watched.probing_since = Some(now);
            Some(trunk)
        };
        self.0.values_mut().filter_map(due).collect()
    }

    /// Postpones a probe for lack of capacity.
    pub fn postpone_probe(&mut self, id: TrunkId, until: Instant) {
        if let Some(watched) = self.0.get_mut(&id) {
            watched.probing_since = None;
            watched.next_probe = watched.next_probe.map(|_| until);
        }
    }

    /// Takes what a probe of all targets found, and returns what changed.
    pub fn record_probe(&mut self, id: TrunkId, targets: Vec<TargetState>) -> Vec<TargetChange> {
        let Some(watched) = self.0.get_mut(&id) else { return Vec::new() };
        watched.probing_since = None;
        let before = std::mem::replace(&mut watched.state.targets, targets);
        let was = |host: &str| before.iter().find(|known| known.host == host).map(|known| known.reachable);
        let changed = watched.state.targets.iter().filter(|state| was(&state.host) != Some(state.reachable));
        changed.map(|state| TargetChange { host: state.host.clone(), reachable: state.reachable }).collect()
    }

    /// Takes what became of a registration. A refresh keeps the time since when the trunk is registered.
    pub fn record_registration(&mut self, id: TrunkId, event: RegistrationEvent, at: UnixMs) -> RegistrationChange {
        let Some(watched) = self.0.get_mut(&id) else { return RegistrationChange::Nothing };
        let since = at.rfc3339();
        let (state, change) = match event {
            RegistrationEvent::Registered { expires_s } => {
                let expires_at = Some(UnixMs(at.0 + i64::from(expires_s) * 1_000).rfc3339());
                let before = watched.state.registration.take().filter(|state| state.registered);
                let change = match before {
                    None => RegistrationChange::Registered { expires_s },
                    Some(_) => RegistrationChange::Nothing,
                };
                let since = before.map_or(since, |state| state.since);
                let state = RegistrationState { registered: true, expires_at, sip_status: None, problem: None, since };
                (Some(state), change)
            }
            RegistrationEvent::Failed { status, why, retry_in } => {
                let problem = Some(format!("{why}; tried again in {} s", retry_in.as_secs()));
                let state =
                    RegistrationState { registered: false, expires_at: None, sip_status: status, problem, since };
                (Some(state), RegistrationChange::Failed { why, retry_in })
            }
            RegistrationEvent::Removed => (None, RegistrationChange::Nothing),
        };
        watched.state.registration = state;
        change
    }
}

#[cfg(test)]
mod tests;
