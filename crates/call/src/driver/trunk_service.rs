//! The trunks of all organizations: gives their rules to the SIP user agent, and limits their probes.

use super::concurrency::{ConcurrencyKind, ConcurrencyLimit, ConcurrencyLimiter};
use super::trunk_states::TrunkStates;
use crate::domain::FieldError;
use crate::domain::quota::Quotas;
use crate::domain::trunk::{Trunk, TrunkFields};
use crate::egress::EgressGuard;
use crate::invite::LocalHost;
use crate::store::{Store, StoreError};
use crate::trunk_routes::{inbound_rule, registration};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use trunkline_signaling::io::SipHandle;
use trunkline_signaling::sip::user_agent::InboundTrunk;

/// Settings of trunks.
#[derive(Debug)]
pub struct TrunkConfig {
    /// The advertised address: the domain of From where a trunk names none.
    pub addr: IpAddr,
    /// Networks wider than the limit that the operator allows trunks to list.
    pub wide_networks: Vec<IpNet>,
    /// Whether this process registers trunks with their providers.
    pub registers: bool,
    /// How long an outbound call may ring (`calls.ring_timeout_ms`, default 60 s).
    pub ring_timeout: Duration,
    /// Where SIP requests may go.
    pub destinations: EgressGuard,
    /// `probes_at_once` limits the probes of one organization.
    pub quotas: Quotas,
}

/// The trunks in use.
#[derive(Clone, Debug)]
pub struct TrunkService {
    /// States of the trunks' targets.
    pub states: TrunkStates,
    /// How long an outbound call may ring.
    pub ring_timeout: Duration,
    pub(super) probes: TrunkProbes,
    addr: IpAddr,
    pub(super) sip: SipHandle,
    pub(super) store: Store,
    /// Whether this process registers trunks with their providers.
    pub registers: bool,
    destinations: EgressGuard,
    reloads: Arc<TrunkReloads>,
}

/// Coalesces reloads: everybody who asked before a read began shares its result.
#[derive(Debug, Default)]
struct TrunkReloads {
    asked: AtomicU64,
    /// The last request that a finished read answers.
    answered: tokio::sync::Mutex<u64>,
}

/// Room for probes.
#[derive(Clone, Debug)]
pub(super) struct TrunkProbes {
    pub(super) asked: ConcurrencyLimiter,
    pub(super) regular: ConcurrencyLimiter,
}

impl TrunkProbes {
    /// Returns limits with no probe under way; `probes_at_once` of the quotas is the limit of one organization.
    fn new(quotas: &Quotas) -> Self {
        let of = |kind| ConcurrencyLimiter::new(ConcurrencyLimit::of(kind, quotas));
        Self { asked: of(ConcurrencyKind::ProbesOnDemand), regular: of(ConcurrencyKind::ProbesPeriodic) }
    }
}

/// The rule of a trunk for the user agent.
fn rule(trunk: &Trunk, wide_networks: &[IpNet]) -> InboundTrunk {
    let (rule, too_wide) = inbound_rule(trunk, wide_networks);
    if let Some(network) = too_wide {
        // Stored before consent was required, or when it was still given.
        tracing::warn!(trunk = %trunk.id, %network, "network ignored: too wide for sip.wide_networks_allowed");
    }
    rule
}

impl TrunkService {
    /// How our requests name this server.
    pub(super) fn local_host(&self) -> LocalHost {
        LocalHost { addr: self.addr, port: self.sip.local_udp().port() }
    }

    /// Returns a service that knows no trunk until [`Self::reload`].
    pub fn build(config: TrunkConfig, sip: &SipHandle, store: &Store) -> Self {
        Self {
            states: TrunkStates::new(&config.wide_networks),
            ring_timeout: config.ring_timeout,
            probes: TrunkProbes::new(&config.quotas),
            addr: config.addr,
            sip: sip.clone(),
            store: store.clone(),
            registers: config.registers,
            destinations: config.destinations,
            reloads: Arc::default(),
        }
    }

    /// Refuses hosts that SIP may not reach, and networks that are too wide without the operator's consent.
    pub fn faults(&self, fields: &TrunkFields) -> Vec<FieldError> {
        let hosts = fields.hosts().into_iter().filter_map(|(field, host, port)| {
            self.destinations.check_host(&host, port).err().map(|why| FieldError::new(field, why.to_string()))
        });
        hosts.chain(self.states.check_networks(fields).err()).collect()
    }

    /// Gives the user agent the rules and registrations of all trunks. On return, everything stored before is in force.
    /// Concurrent changes share a read, so a tenant that writes in a loop costs no more than one that waits.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let reloads = &self.reloads;
        let ticket = reloads.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = reloads.answered.lock().await;
        if *answered >= ticket {
            return Ok(());
        }
        let last = reloads.asked.load(Ordering::SeqCst);
        let trunks: Vec<Arc<Trunk>> = self.store.trunks_of_everyone().await?.into_iter().map(Arc::new).collect();
        self.states.replace(&trunks, Instant::now());
        self.sip.set_trunks(trunks.iter().map(|trunk| rule(trunk, &self.states.wide_networks)).collect()).await;
        if self.registers {
            self.sip.set_registrations(trunks.iter().filter_map(|trunk| registration(trunk)).collect()).await;
        }
        *answered = last;
        Ok(())
    }
}
