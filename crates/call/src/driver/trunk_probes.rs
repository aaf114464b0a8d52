//! OPTIONS probes of trunks, on demand and periodic. Probes are not calls; they have their own concurrency limits, per
//! organization and in total, and fail when these are reached.

use super::concurrency::ConcurrencyLimitError;
use super::trunk_service::TrunkService;
use crate::concurrency_limits::PROBES;
use crate::domain::ids::TrunkId;
use crate::domain::trunk::{Trunk, TrunkTarget};
use crate::invite;
use crate::store::{StoreError, now};
use crate::supervision;
use crate::trunk_states::{TargetState, status_of};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_signaling::sip::user_agent::{PROBE_TIMEOUT, ProbeResult, RegistrationEvent};

/// How often it is looked whether a probe is due.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// The user agent ends a probe in time; a command queue that stays full longer counts as no answer.
const PROBE_DEADLINE: Duration = PROBE_TIMEOUT.saturating_add(Duration::from_secs(1));
/// A trunk whose probe was refused for capacity is retried after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why no probe was sent.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The trunk has no target, so there is nothing to ask.
    #[error("The trunk has no host: it only receives calls")]
    NoHost,
    /// Too many probes are under way for the organization or the server.
    #[error(transparent)]
    Full(#[from] ConcurrencyLimitError),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What OPTIONS found (any answer is a sign of life), and how long it took.
pub async fn probe_trunk(trunks: &TrunkService, trunk: &Trunk) -> Result<(ProbeResult, Duration), ProbeError> {
    let target = trunks.states.in_order(trunk).into_iter().next().ok_or(ProbeError::NoHost)?;
    let _slot = trunks.probes.asked.take(&trunks.store.lineage_of_trunk(trunk).await?)?;
    Ok(probe(trunks, trunk, &target).await?)
}

async fn probe(
    trunks: &TrunkService, trunk: &Trunk, target: &TrunkTarget,
) -> Result<(ProbeResult, Duration), ConcurrencyLimitError> {
    let started = Instant::now();
    let targets = trunks.states.in_order(trunk);
    let invite = match invite::probe(trunk, &targets, trunks.local_host(), target) {
        Ok(invite) => invite,
        Err(error) => return Ok((ProbeResult::Unreachable(error.to_string()), Duration::ZERO)),
    };
    match tokio::time::timeout(PROBE_DEADLINE, trunks.sip.send_options(invite)).await {
        Ok(Ok(result)) => Ok((result, started.elapsed())),
        Ok(Err(_)) => Err(ConcurrencyLimitError::Server(PROBES)),
        Err(_) => Ok((ProbeResult::Silent, started.elapsed())),
    }
}

/// Asks every target of a trunk, one after the other; without room, later.
async fn probe_all(trunks: TrunkService, trunk: Arc<Trunk>) {
    let Ok(states) = states(&trunks, &trunk).await else {
        return trunks.states.postpone_probe(trunk.id, Instant::now() + RETRY_AFTER);
    };
    trunks.states.record_probe(trunk.id, states);
}

async fn states(trunks: &TrunkService, trunk: &Trunk) -> Result<Vec<TargetState>, ProbeError> {
    let _slot = trunks.probes.regular.take(&trunks.store.lineage_of_trunk(trunk).await?)?;
    let mut states = Vec::new();
    for target in trunk.fields.all_targets() {
        let (result, took) = probe(trunks, trunk, &target).await?;
        states.push(TargetState::probed(&target, status_of(&result), took, now()));
    }
    Ok(states)
}

/// Probes targets when due and records registration events. Ends with the user agent.
pub async fn watch_trunks(trunks: TrunkService, registrations: &mut mpsc::Receiver<(Arc<str>, RegistrationEvent)>) {
    let mut tick = tokio::time::interval(WATCH_INTERVAL);
    loop {
        tokio::select! {
            event = registrations.recv() => match event {
                Some((id, event)) => {
                    if let Some(id) = TrunkId::parse(&id) {
                        trunks.states.record_registration(id, event);
                    }
                }
                None => return,
            },
            _ = tick.tick() => {
                for trunk in trunks.states.targets_due(Instant::now()) {
                    supervision::spawn("probe", probe_all(trunks.clone(), trunk));
                }
            }
        }
    }
}
