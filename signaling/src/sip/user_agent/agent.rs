//! The user agent's state: one owner for each concern, and what is waiting to be sent or told.

use super::admission::Admission;
use super::client_transactions::ClientTransactions;
use super::config::UserAgentConfig;
use super::dns_lookups::DnsLookups;
use super::event::{CallId, SipCounters, SipEvent};
use super::inbound_trunks::InboundTrunks;
use super::next_hop::DnsQuery;
use super::registration_table::Registrations;
use super::server_transactions::ServerTransactions;
use super::session::SessionTable;
use super::timer_queue::TimerQueue;
use super::unreachable_addresses::UnreachableAddresses;
use crate::sip::token::TokenSource;
use crate::sip::transaction::MessageBytes;
use crate::sip::transport::{ResponsePath, Transmit, TransmitTarget, TransportAddress};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The SIP user agent: all sessions, transactions, registrations and timers. It has no sockets and no clock.
pub struct UserAgent {
    pub(super) config: UserAgentConfig,
    pub(super) tokens: TokenSource,
    pub(super) sessions: SessionTable,
    pub(super) servers: ServerTransactions,
    pub(super) clients: ClientTransactions,
    pub(super) timers: TimerQueue,
    pub(super) lookups: DnsLookups,
    pub(super) unreachable: UnreachableAddresses,
    pub(super) registrations: Registrations,
    pub(super) admission: Admission,
    pub(super) transmits: VecDeque<Transmit>,
    /// Other ends of connections over which nobody answers.
    pub(super) dead_connections: VecDeque<TransportAddress>,
    pub(super) events: VecDeque<SipEvent>,
    pub(super) counters: SipCounters,
}

impl std::fmt::Debug for UserAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAgent")
            .field("sessions", &self.sessions.len())
            .field("servers", &self.servers.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

impl UserAgent {
    /// `seed` must be unguessable outside of tests: tags, branches and nonces come from it.
    pub fn new(now: Instant, mut config: UserAgentConfig, seed: [u8; 32]) -> Self {
        let trunks = Arc::new(InboundTrunks::from(std::mem::take(&mut config.trunks)));
        let admission = Admission::new(now, config.realm.clone(), trunks);
        Self {
            config,
            tokens: TokenSource::new(seed),
            sessions: SessionTable::default(),
            servers: ServerTransactions::default(),
            clients: ClientTransactions::default(),
            timers: TimerQueue::default(),
            lookups: DnsLookups::default(),
            unreachable: UnreachableAddresses::default(),
            registrations: Registrations::default(),
            admission,
            transmits: VecDeque::new(),
            dead_connections: VecDeque::new(),
            events: VecDeque::new(),
            counters: SipCounters::default(),
        }
    }

    /// New calls over this number are refused with 503; those there are stay.
    pub fn set_calls_max(&mut self, calls_max: usize) {
        self.config.calls_max = calls_max;
    }

    /// Replaces the inbound rules; calls in progress are not touched.
    pub fn set_trunks(&mut self, trunks: Arc<InboundTrunks>) {
        self.admission.set_trunks(trunks);
    }

    /// Returns the counters since the start.
    pub fn counters(&self) -> SipCounters {
        SipCounters { credentials_limited: self.admission.credentials_limited(), ..self.counters }
    }

    /// Calls not yet ended for their owner.
    pub fn calls(&self) -> usize {
        self.sessions.open_calls()
    }

    /// Sessions, server transactions, client transactions: all zero after an idle minute.
    pub fn held_counts(&self) -> (usize, usize, usize) {
        (self.sessions.len(), self.servers.len(), self.clients.len())
    }

    /// Takes the next message to send, in order; `None` when all are taken.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Takes the other end of connections that are to be closed, because nobody answers over them.
    pub fn poll_dead_connection(&mut self) -> Option<TransportAddress> {
        self.dead_connections.pop_front()
    }

    /// A next hop to be looked up; answer with [`UserAgent::handle_resolved`].
    pub fn poll_query(&mut self) -> Option<DnsQuery> {
        self.lookups.poll_query()
    }

    /// If the last message was admitted for a trunk: a number that identifies the trunk. Its connection is trusted from
    /// now on.
    pub fn poll_admitted_trunk(&mut self) -> Option<u64> {
        let trunk = self.admission.take_admitted_trunk()?;
        let digest = self.tokens.keyed(trunk.as_bytes());
        u64::from_str_radix(&digest, 16).ok()
    }

    /// Takes the next event, in order; `None` when all are taken.
    pub fn poll_event(&mut self) -> Option<SipEvent> {
        self.events.pop_front()
    }

    /// Returns whether a session with this id exists; an ended call keeps one until its last transaction is over.
    pub fn has_call(&self, call: CallId) -> bool {
        self.sessions.contains(call)
    }

    /// Call-ID and our tag of a call.
    pub fn dialog_names(&self, call: CallId) -> Option<(&str, &str)> {
        let ids = &self.sessions.get(call)?.ids;
        Some((&ids.call_id, &ids.local_tag))
    }

    /// The calls with a Call-ID: several if a call of ours looped back to us.
    pub fn calls_with_call_id(&self, call_id: &str) -> Vec<CallId> {
        self.sessions.iter().filter(|(_, session)| session.ids.call_id == call_id).map(|(call, _)| call).collect()
    }

    /// Why an address must not be sent to, if so. For the driver: of addresses that it looks up itself.
    pub fn check_destination(&self, addr: SocketAddr) -> Result<(), String> {
        self.config.destinations.check(addr)
    }

    /// True if `calls_max` is reached. Registrations, probes and ended calls do not count.
    pub(super) fn is_at_calls_max(&self) -> bool {
        self.sessions.open_calls() >= self.config.calls_max
    }

    /// Sends a response, or the answer to a keep-alive.
    pub(super) fn send(&mut self, path: ResponsePath, bytes: MessageBytes) {
        let ResponsePath { transport, addr, connection, server_name } = path;
        let target = TransmitTarget::Addr(addr);
        self.transmits.push_back(Transmit { transport, target, connection, bytes, transaction: None, server_name });
    }

    /// A session is gone, as after a panic in the middle of its work.
    #[cfg(test)]
    pub(crate) fn forget_call(&mut self, call: CallId) {
        self.sessions.forget_session(call);
    }

    /// Transactions and timers are gone, as after a panic in code that had taken them.
    #[cfg(test)]
    pub(crate) fn forget_transactions(&mut self) {
        self.servers.clear();
        self.timers.clear();
    }
}

pub(super) fn increment(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
