//! OPTIONS probes of trunks, on demand and periodic. Probes are not calls; they have their own concurrency limits, per
//! organization and in total, and fail when these are reached.

use super::concurrency::{ConcurrencyLimit, ConcurrencyLimitError, ConcurrencyLimiter};
use super::trunk_calls::{InviteParams, TargetState, invite, label, target_address};
use super::{CallServices, SharedServices};
use crate::domain::phone_number::Destination;
use crate::domain::quota::Quotas;
use crate::domain::trunk::{Trunk, TrunkTarget};
use crate::store::{StoreError, now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_signaling::limits::PROBES_MAX;
use trunkline_signaling::sip::message::{Headers, Uri};
use trunkline_signaling::sip::user_agent::PROBE_TIMEOUT;

/// The user agent ends a probe in time; a command queue that stays full longer counts as no answer.
const PROBE_DEADLINE: Duration = PROBE_TIMEOUT.saturating_add(Duration::from_secs(1));
/// Separate limits for on-demand and periodic probes, so that neither blocks the other.
const ON_DEMAND_MAX: usize = PROBES_MAX / 4;
const PERIODIC_MAX: usize = PROBES_MAX / 2;
/// A trunk whose probe was refused for capacity is retried after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Room for probes.
#[derive(Clone, Debug)]
pub struct TrunkProbes {
    asked: ConcurrencyLimiter,
    regular: ConcurrencyLimiter,
}

impl TrunkProbes {
    /// Returns limits with no probe under way; `probes_at_once` of the quotas is the limit of one organization.
    pub fn new(quotas: &Quotas) -> Self {
        let of_one = quotas.probes_at_once as usize;
        let slots = |in_all| ConcurrencyLimiter::new(ConcurrencyLimit { limit: "probes_at_once", of_one, in_all });
        Self { asked: slots(ON_DEMAND_MAX), regular: slots(PERIODIC_MAX) }
    }
}

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

/// The status of the answer to OPTIONS (any is a sign of life), none without one, and how long it took.
pub async fn probe_trunk(context: &CallServices, trunk: &Trunk) -> Result<(Option<u16>, Duration), ProbeError> {
    let target = context.trunks.in_order(trunk).into_iter().next().ok_or(ProbeError::NoHost)?;
    let _slot = context.probes.asked.take(&context.store.lineage_of_trunk(trunk).await?)?;
    Ok(probe(context, trunk, &target).await?)
}

async fn probe(
    context: &CallServices, trunk: &Trunk, target: &TrunkTarget,
) -> Result<(Option<u16>, Duration), ConcurrencyLimitError> {
    let uri = Uri::sip(None, &target.host, target.port);
    let destination = Destination::SipUri(uri.to_string());
    let params =
        InviteParams { from_number: None, destination: &destination, sdp: Vec::new(), headers: Headers::default() };
    let started = Instant::now();
    let Some(mut invite) = invite(context, trunk, params) else { return Ok((None, Duration::ZERO)) };
    if invite.hops.is_empty() {
        invite.hops = vec![target_address(target)];
    }
    match tokio::time::timeout(PROBE_DEADLINE, context.sip.send_options(invite)).await {
        Ok(Ok(status)) => Ok((status, started.elapsed())),
        Ok(Err(_)) => Err(ConcurrencyLimitError::Server("probes_at_once")),
        Err(_) => Ok((None, started.elapsed())),
    }
}

/// Asks every target of a trunk, one after the other; without room, later.
pub(super) async fn probe_all(context: SharedServices, trunk: Arc<Trunk>) {
    let Ok(states) = states(&context, &trunk).await else {
        return context.trunks.postpone_probe(trunk.id, Instant::now() + RETRY_AFTER);
    };
    context.trunks.record_probe(trunk.id, states);
}

async fn states(context: &CallServices, trunk: &Trunk) -> Result<Vec<TargetState>, ProbeError> {
    let _slot = context.probes.regular.take(&context.store.lineage_of_trunk(trunk).await?)?;
    let mut states = Vec::new();
    for target in trunk.fields.all_targets() {
        let (status, took) = probe(context, trunk, &target).await?;
        states.push(TargetState {
            host: label(&target),
            reachable: status.is_some(),
            sip_status: status,
            latency_ms: status.map(|_| took.as_millis() as u64),
            checked_at: now().rfc3339(),
        });
    }
    Ok(states)
}
