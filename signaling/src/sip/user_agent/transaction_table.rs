//! Transaction tables, timers, and the effect of ended transactions on calls.

use super::failover::{Destination, RequestRoute, TransportAddress};
use super::registrations::RegistrationEntry;
use super::{CallId, SipSession, SipSessionState, Transmit, TransmitTarget, Transport, UserAgent, increment};
use crate::limits;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{Headers, Method, Request, Response, print};
use crate::sip::rate_limit::SourceTrust;
use crate::sip::transaction::invite_client::InviteClient;
use crate::sip::transaction::invite_server::InviteServer;
use crate::sip::transaction::non_invite_client::NonInviteClient;
use crate::sip::transaction::non_invite_server::NonInviteServer;
use crate::sip::transaction::timers::{TIMEOUT, Timer};
use crate::sip::transaction::{MessageBytes, ResponseAction, TimeoutResult};
use std::cmp::Ordering;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Table capacity that is never released.
const CAPACITY_KEPT: usize = 256;
/// Entries of the timer heap for each that is held, before those of the ended ones are taken out.
const TIMERS_PER_OWNER: usize = 4;
/// Fixed memory of a server transaction, without keys, headers and response.
const TRANSACTION_BYTES: usize = 400;

#[derive(Debug)]
pub(super) enum ServerTransactionKind {
    Invite(InviteServer),
    NonInvite(NonInviteServer),
}

#[derive(Debug)]
pub(crate) struct ServerEntry {
    pub(super) machine: ServerTransactionKind,
    pub(super) transport: Transport,
    pub(super) reply_to: SocketAddr,
    /// Headers of the request, to make responses from.
    pub(super) headers: Headers,
    pub(super) call: Option<CallId>,
    /// Counts towards the limit per call.
    pub(super) is_counted: bool,
    /// Bytes of headers and response.
    pub(super) bytes: usize,
    /// Key in `initial`, taken out with the transaction.
    pub(super) merge_key: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) enum ClientTransactionKind {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

#[derive(Debug)]
pub(crate) struct ClientEntry {
    pub(super) machine: ClientTransactionKind,
    pub(super) address: TransportAddress,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) request: Request,
    pub(super) call: Option<CallId>,
    pub(super) auth_attempts: u8,
    /// It went to a place that the call's credentials are for.
    pub(super) may_authenticate: bool,
    /// How often the request was sent again because its answer asked for it.
    pub(super) repeats: u8,
    /// Reliable provisional responses that were acknowledged.
    pub(super) acknowledged: u8,
    /// Answers of forks that were hung up.
    pub(super) forks: u8,
    /// The request carries a Contact of ours with this user part.
    pub(super) contact: Option<Option<String>>,
    /// Where else it may be tried.
    pub(super) route: Option<RequestRoute>,
    /// The call failed over; this transaction is no longer waited for.
    pub(super) is_abandoned: bool,
    /// An abandoned INVITE was cancelled.
    pub(super) canceled: bool,
    /// ACK of a refused INVITE, for retransmissions.
    pub(super) ack: Option<MessageBytes>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TimerOwner {
    Server(Arc<str>),
    Client(Arc<str>),
    Session(CallId),
    Registration(Arc<str>),
}

/// An entry of the timer heap. Entries are not removed when a timer stops; stale wake-ups are ignored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TimerEntry {
    at: Instant,
    timer: Timer,
    owner: TimerOwner,
}

impl Ord for TimerEntry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at) // earliest first
    }
}

impl PartialOrd for TimerEntry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ServerEntry {
    pub(super) fn new(
        machine: ServerTransactionKind, transport: Transport, reply_to: SocketAddr, headers: Headers,
        merge_key: Option<Arc<str>>,
    ) -> Self {
        Self { machine, transport, reply_to, headers, call: None, is_counted: false, bytes: 0, merge_key }
    }

    /// No final answer was given yet.
    fn is_open(&self) -> bool {
        match &self.machine {
            ServerTransactionKind::Invite(machine) => machine.is_proceeding(),
            ServerTransactionKind::NonInvite(machine) => machine.is_open(),
        }
    }

    fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.machine {
            ServerTransactionKind::Invite(machine) => machine.next_timeout(),
            ServerTransactionKind::NonInvite(machine) => machine.next_timeout(),
        }
    }
}

impl ClientEntry {
    fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.machine {
            ClientTransactionKind::Invite(machine) => machine.next_timeout(),
            ClientTransactionKind::NonInvite(machine) => machine.next_timeout(),
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, status: u16) -> ResponseAction {
        match &mut self.machine {
            ClientTransactionKind::Invite(machine) => machine.handle_response(now, status),
            ClientTransactionKind::NonInvite(machine) => machine.handle_response(now, status),
        }
    }
}

impl UserAgent {
    /// When [`UserAgent::handle_timeout`] wants to be called, if at all.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        // Stale heads are dropped here so that the driver is not woken for nothing.
        while let Some(head) = self.timers.peek() {
            if self.due(&head.owner).is_some_and(|(at, _)| at <= head.at) {
                return Some(head.at);
            }
            let owner = self.timers.pop().map(|head| head.owner);
            if let Some(owner) = owner {
                self.arm_owner(owner);
            }
        }
        None
    }

    fn due(&self, owner: &TimerOwner) -> Option<(Instant, Timer)> {
        match owner {
            TimerOwner::Server(key) => self.servers.get(key).and_then(ServerEntry::next_timeout),
            TimerOwner::Client(key) => self.clients.get(key).and_then(ClientEntry::next_timeout),
            TimerOwner::Session(call) => {
                self.sessions.get(call).and_then(SipSession::next_timeout).map(|at| (at, Timer::Session))
            }
            TimerOwner::Registration(id) => {
                self.registrations.get(id).and_then(RegistrationEntry::next_timeout).map(|at| (at, Timer::Session))
            }
        }
    }

    /// Rebuilds the timer heap: one entry per object with a deadline.
    pub(super) fn rebuild_timers(&mut self) {
        let servers = self.servers.keys().cloned().map(TimerOwner::Server);
        let clients = self.clients.keys().cloned().map(TimerOwner::Client);
        let sessions = self.sessions.keys().copied().map(TimerOwner::Session);
        let registrations = self.registrations.keys().cloned().map(TimerOwner::Registration);
        let owners = servers.chain(clients).chain(sessions).chain(registrations);
        let deadline = |owner| self.due(&owner).map(|(at, timer)| TimerEntry { at, timer, owner });
        let deadlines: Vec<TimerEntry> = owners.filter_map(deadline).collect();
        self.timers = deadlines.into();
    }

    fn arm_owner(&mut self, owner: TimerOwner) {
        if let Some((at, timer)) = self.due(&owner) {
            self.timers.push(TimerEntry { at, timer, owner });
        }
    }

    pub(super) fn arm_server(&mut self, key: &Arc<str>) {
        self.arm_owner(TimerOwner::Server(key.clone()));
    }

    pub(super) fn arm_client(&mut self, key: &Arc<str>) {
        self.arm_owner(TimerOwner::Client(key.clone()));
    }

    pub(super) fn arm_session(&mut self, call: CallId) {
        self.arm_owner(TimerOwner::Session(call));
    }

    pub(super) fn arm_registration(&mut self, id: &Arc<str>) {
        self.arm_owner(TimerOwner::Registration(id.clone()));
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(head) = self.timers.peek() {
            if head.at > now {
                break;
            }
            let Some(TimerEntry { owner, .. }) = self.timers.pop() else { break };
            if self.due(&owner).is_none_or(|(at, _)| at > now) {
                self.arm_owner(owner);
                continue;
            }
            match &owner {
                TimerOwner::Server(key) => self.handle_server_timeout(now, key),
                TimerOwner::Client(key) => self.handle_client_timeout(now, key),
                TimerOwner::Session(call) => self.handle_session_timeout(now, *call),
                TimerOwner::Registration(id) => self.handle_registration_timeout(now, id),
            }
            self.arm_owner(owner);
        }
        self.shrink_tables();
    }

    /// Shrinks tables after a peak.
    fn shrink_tables(&mut self) {
        fn is_roomy(len: usize, capacity: usize) -> bool {
            capacity > CAPACITY_KEPT && len.saturating_mul(8) < capacity
        }
        if is_roomy(self.servers.len(), self.servers.capacity()) {
            self.servers.shrink_to(CAPACITY_KEPT);
            self.initial_invites.shrink_to(CAPACITY_KEPT);
        }
        if is_roomy(self.clients.len(), self.clients.capacity()) {
            self.clients.shrink_to(CAPACITY_KEPT);
        }
        if is_roomy(self.sessions.len(), self.sessions.capacity()) {
            self.sessions.shrink_to(CAPACITY_KEPT);
            self.dialogs.shrink_to(CAPACITY_KEPT);
        }
        // Stale entries, mostly of sessions, would accumulate.
        let held = [self.servers.len(), self.clients.len(), self.sessions.len(), self.registrations.len()];
        let held = held.into_iter().fold(0, usize::saturating_add);
        if self.timers.len() > held.saturating_mul(TIMERS_PER_OWNER).saturating_add(CAPACITY_KEPT) {
            self.rebuild_timers();
        }
        if is_roomy(self.timers.len(), self.timers.capacity()) {
            self.timers.shrink_to(CAPACITY_KEPT);
        }
    }

    fn handle_server_timeout(&mut self, now: Instant, key: &Arc<str>) {
        let Some(tx) = self.servers.get_mut(key) else { return };
        let (woken, terminated) = match &mut tx.machine {
            ServerTransactionKind::Invite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
            ServerTransactionKind::NonInvite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
        };
        let (transport, reply_to, call) = (tx.transport, tx.reply_to, tx.call);
        if let Some(bytes) = woken.send {
            increment(&mut self.counters.retransmitted);
            self.send(transport, TransmitTarget::Addr(reply_to), bytes);
        }
        if woken.owner_timed_out {
            self.answer_for_owner(now, call, key);
        }
        if terminated {
            if let Some(tx) = self.servers.remove(key) {
                self.server_bytes = self.server_bytes.saturating_sub(tx.bytes);
                let session = tx.call.filter(|_| tx.is_counted).and_then(|call| self.sessions.get_mut(&call));
                if let Some(session) = session {
                    session.transactions = session.transactions.saturating_sub(1);
                }
                if let Some(merge_key) = tx.merge_key {
                    self.initial_invites.remove(&merge_key);
                }
            }
            // A call that still waits for the ACK of this transaction will not get it.
            if let Some(call) = call {
                self.handle_missing_ack(now, call, key);
            }
        }
    }

    /// The owner did not answer a request: sends 504 and ends a ringing call.
    fn answer_for_owner(&mut self, now: Instant, call: Option<CallId>, key: &Arc<str>) {
        self.reply(now, key, 504, |_| {});
        let Some(session) = call.and_then(|call| self.sessions.get_mut(&call)) else { return };
        session.remote_offer.take_if(|offer| offer.key == *key);
        session.pending_refer.take_if(|refer| refer == key);
        let rang = matches!(&session.state, SipSessionState::IncomingRinging { tx, .. } if tx == key);
        if let Some(call) = call.filter(|_| rang) {
            self.record_end(now, call, EndCause::InternalError);
            self.remove_session(now, call);
        }
    }

    /// Sets the timeout of a server transaction whose owner has to answer.
    pub(super) fn arm_owner_timeout(&mut self, key: &Arc<str>) {
        if self.servers.get(key).is_some_and(ServerEntry::is_open) {
            self.arm_server(key);
        }
    }

    /// A request inside of a call has this transaction.
    pub(super) fn count_transaction(&mut self, key: &Arc<str>, call: CallId) {
        let (Some(tx), Some(session)) = (self.servers.get_mut(key), self.sessions.get_mut(&call)) else { return };
        (tx.call, tx.is_counted) = (Some(call), true);
        session.transactions = session.transactions.saturating_add(1);
    }

    /// No room for another one.
    pub(super) fn is_call_at_transactions_max(&self, call: CallId) -> bool {
        self.sessions.get(&call).is_some_and(|session| session.transactions >= limits::CALL_TRANSACTIONS_MAX)
    }

    /// Updates the memory accounting of a transaction.
    fn update_bytes(&mut self, key: &Arc<str>, response: usize) {
        let Some(tx) = self.servers.get_mut(key) else { return };
        let headers = tx.headers.iter().map(|header| header.value.len());
        let keys = [key.len(), tx.merge_key.as_ref().map_or(0, |key| key.len())];
        let bytes = headers.chain(keys).fold(response.saturating_add(TRANSACTION_BYTES), usize::saturating_add);
        self.server_bytes = self.server_bytes.saturating_sub(tx.bytes).saturating_add(bytes);
        tx.bytes = bytes;
    }

    pub(super) fn insert_server(&mut self, key: &Arc<str>, tx: ServerEntry) {
        self.servers.insert(key.clone(), tx);
        self.update_bytes(key, 0);
    }

    /// True if the server transaction table is full.
    pub(super) fn is_transaction_table_full(&self) -> bool {
        self.servers.len() >= limits::SERVER_TRANSACTIONS_MAX
            || self.server_bytes >= limits::SERVER_TRANSACTION_BYTES_MAX
    }

    fn handle_client_timeout(&mut self, now: Instant, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let (woken, terminated) = match &mut tx.machine {
            ClientTransactionKind::Invite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
            ClientTransactionKind::NonInvite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
        };
        let (TimeoutResult { send, timed_out, .. }, address, call) = (woken, tx.address, tx.call);
        if let Some(bytes) = send {
            increment(&mut self.counters.retransmitted);
            self.send_in_transaction(key, bytes, true);
        }
        if timed_out {
            self.mark_unreachable(now, call, address);
            if self.fail_over(now, key, EndCause::NoResponse) {
                return self.linger_client(now, key);
            }
        }
        if terminated && let Some(tx) = self.clients.remove(key) {
            if timed_out && !tx.is_abandoned {
                self.handle_client_failure(now, tx, EndCause::NoResponse);
            } else if let (Method::Invite, Some(call)) = (&tx.request.method, tx.call) {
                self.handle_invite_terminated(now, call);
            }
        }
    }

    /// The call failed over; a late answer here is cancelled or ended.
    fn linger_client(&mut self, now: Instant, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        if let ClientTransactionKind::Invite(machine) = &mut tx.machine {
            machine.linger(now);
            tx.is_abandoned = true;
        } else {
            self.clients.remove(key);
        }
    }

    /// The answer is no longer needed: limits the wait to 64 T1.
    pub(super) fn shorten_client(&mut self, now: Instant, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        if let ClientTransactionKind::Invite(machine) = &mut tx.machine
            && machine.is_pending()
        {
            machine.linger(now);
            tx.is_abandoned = true;
            self.arm_client(key);
        }
    }

    /// The INVITE transaction is gone: removes a session that was only kept for a late 200.
    fn handle_invite_terminated(&mut self, now: Instant, call: CallId) {
        let done = self.sessions.get(&call).is_some_and(|session| {
            session.end_reported && matches!(session.state, SipSessionState::OutgoingPending(_))
        });
        if done {
            self.remove_session(now, call);
        }
    }

    /// A message of this client transaction could not be sent.
    pub fn handle_unreachable(&mut self, now: Instant, transaction: &Arc<str>, why: &str) {
        let Some((call, address)) = self.clients.get(transaction).map(|tx| (tx.call, tx.address)) else { return };
        self.mark_unreachable(now, call, address);
        let cause = EndCause::Unreachable(why.to_owned());
        if self.fail_over(now, transaction, cause.clone()) {
            self.clients.remove(transaction);
        } else if let Some(tx) = self.clients.remove(transaction).filter(|tx| !tx.is_abandoned) {
            self.handle_client_failure(now, tx, cause);
        }
    }

    /// Sends a response.
    pub(super) fn send(&mut self, transport: Transport, target: TransmitTarget, bytes: MessageBytes) {
        self.transmits.push_back(Transmit { transport, target, bytes, transaction: None, server_name: None });
    }

    /// Sends a request to the address of its client transaction. `is_reported`: tell the transaction of a send failure.
    pub(super) fn send_in_transaction(&mut self, key: &Arc<str>, bytes: MessageBytes, is_reported: bool) {
        let Some(tx) = self.clients.get(key) else { return };
        let (transport, target) = (tx.address.transport, TransmitTarget::Addr(tx.address.addr));
        let (transaction, server_name) = (is_reported.then(|| key.clone()), tx.server_name.clone());
        self.transmits.push_back(Transmit { transport, target, bytes, transaction, server_name });
    }

    /// Starts a client transaction; the request already carries its Via. `give_up` before the time of the RFC.
    pub(super) fn start_client(
        &mut self, now: Instant, request: Request, branch: &str, destination: Destination, call: Option<CallId>,
        give_up: Option<Duration>,
    ) -> Arc<str> {
        let Destination { address, server_name } = destination;
        let wire: MessageBytes = print::request(&request).into();
        let key = client_key(branch, request.method.as_str());
        let reliable = address.transport.is_reliable();
        let give_up = give_up.unwrap_or(TIMEOUT);
        let machine = if request.method == Method::Invite {
            ClientTransactionKind::Invite(InviteClient::new(now, wire.clone(), reliable, give_up))
        } else {
            ClientTransactionKind::NonInvite(NonInviteClient::new(now, wire.clone(), reliable, give_up))
        };
        let tx = ClientEntry {
            machine,
            address,
            server_name,
            request,
            call,
            auth_attempts: 0,
            may_authenticate: false,
            repeats: 0,
            acknowledged: 0,
            forks: 0,
            contact: None,
            route: None,
            is_abandoned: false,
            canceled: false,
            ack: None,
        };
        self.clients.insert(key.clone(), tx);
        self.rate_limit.record_trust(now, address.addr.ip().into(), SourceTrust::CalledByUs);
        self.arm_client(&key);
        self.send_in_transaction(&key, wire, true);
        key
    }

    /// Sends a response inside its server transaction; false when a final one was already sent.
    pub(super) fn respond(&mut self, now: Instant, key: &Arc<str>, response: &Response) -> bool {
        let Some(tx) = self.servers.get_mut(key) else { return false };
        let wire: MessageBytes = print::response(response).into();
        let taken = match &mut tx.machine {
            ServerTransactionKind::Invite(machine) => machine.respond(now, response.status, wire.clone()),
            ServerTransactionKind::NonInvite(machine) => machine.respond(now, wire.clone()),
        };
        let (transport, reply_to) = (tx.transport, tx.reply_to);
        if taken && response.status >= 200 {
            // From here it only retransmits this response, so its headers are freed.
            tx.headers = Headers::default();
        }
        if taken {
            self.update_bytes(key, wire.len());
            self.arm_server(key);
            self.send(transport, TransmitTarget::Addr(reply_to), wire);
        }
        taken
    }
}

pub(super) fn client_key(branch: &str, method: &str) -> Arc<str> {
    format!("{branch} {method}").into()
}
