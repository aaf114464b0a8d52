//! Holds what this process knows of trunks, and logs what changes.

use crate::domain::FieldError;
use crate::domain::ids::TrunkId;
use crate::domain::trunk::{Trunk, TrunkFields, TrunkTarget};
use crate::store::now;
use crate::trunk_routes;
use crate::trunk_selection::CredentialTrunks;
use crate::trunk_states::{RegistrationChange, TargetState, TrunkState, TrunkTable};
use ipnet::IpNet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use trunkline_signaling::sip::user_agent::{RegistrationEvent, TrunkCandidates, TrunkEvidence};

/// The states of all trunks.
#[derive(Clone, Debug, Default)]
pub struct TrunkStates {
    table: Arc<Mutex<TrunkTable>>,
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
        trunk_routes::check_networks(fields, &self.wide_networks)
    }

    /// Returns what this process knows of a trunk's registration and targets; an empty state for an unknown trunk.
    pub fn state(&self, id: TrunkId) -> TrunkState {
        self.lock().state(id)
    }

    /// A trunk as it was last read.
    pub(super) fn get(&self, id: TrunkId) -> Option<Arc<Trunk>> {
        self.lock().get(id)
    }

    /// The trunks a call may have come over, each once with its strongest evidence.
    pub(super) fn candidates(&self, candidates: &TrunkCandidates) -> Vec<(Arc<Trunk>, TrunkEvidence)> {
        self.lock().candidates(candidates)
    }

    pub(super) fn credential_trunks(&self) -> Arc<CredentialTrunks> {
        self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, TrunkTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replace(&self, trunks: &[Arc<Trunk>], now: Instant) {
        let credential_trunks = Arc::new(CredentialTrunks::new(trunks.iter()));
        *self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner) = credential_trunks;
        self.lock().replace(trunks, now);
    }

    /// Trunks whose targets are to be probed now.
    pub(super) fn targets_due(&self, now: Instant) -> Vec<Arc<Trunk>> {
        self.lock().targets_due(now)
    }

    /// Postpones a probe for lack of capacity.
    pub(super) fn postpone_probe(&self, id: TrunkId, until: Instant) {
        self.lock().postpone_probe(id, until);
    }

    pub(super) fn record_probe(&self, id: TrunkId, targets: Vec<TargetState>) {
        for change in self.lock().record_probe(id, targets) {
            tracing::info!(trunk = %id, target = %change.host, reachable = change.reachable, "trunk probed");
        }
    }

    pub(super) fn record_registration(&self, id: TrunkId, event: RegistrationEvent) {
        match self.lock().record_registration(id, event, now()) {
            RegistrationChange::Registered { expires_s } => tracing::info!(trunk = %id, expires_s, "registered"),
            RegistrationChange::Failed { why, retry_in } => {
                tracing::warn!(trunk = %id, reason = why, retry_in_s = retry_in.as_secs(), "registration failed");
            }
            RegistrationChange::Nothing => {}
        }
    }

    /// The targets of a trunk in order of attempt: reachable ones first, by priority, drawn by weight.
    pub(super) fn in_order(&self, trunk: &Trunk) -> Vec<TrunkTarget> {
        let table = self.lock();
        let is_down = |target: &TrunkTarget| table.is_down(trunk.id, target);
        trunk_routes::order_targets(trunk.fields.all_targets(), is_down, |total| rand::random::<u32>() % total)
    }
}
