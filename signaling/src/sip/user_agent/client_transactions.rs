//! Client transactions: the requests we sent, and what is needed to send them again elsewhere.

use super::answered_challenges::AnsweredChallenges;
use super::client_authenticator::copy_authorization;
use super::event::CallId;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::request_route::{Destination, RequestRoute, RouteAddress};
use super::transaction_keys::client_key;
use crate::limits;
use crate::sip::message::{HeaderName, Headers, Method, Request, print};
use crate::sip::transaction::invite_client::InviteClient;
use crate::sip::transaction::non_invite_client::NonInviteClient;
use crate::sip::transaction::timers::{TIMEOUT, Timer};
use crate::sip::transaction::{MessageBytes, ResponseAction, TimeoutAction};
use crate::sip::transport::{ConnectionChoice, Transmit, TransmitTarget, TransportAddress};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Table capacity that is never released.
const CAPACITY_KEPT: usize = 256;
/// Time without any response after which a request fails over, if there is another address: four transmissions.
const FAILOVER_AFTER: Duration = Duration::from_secs(4);

#[derive(Debug)]
enum ClientTransactionKind {
    Invite(InviteClient),
    NonInvite(NonInviteClient),
}

/// Whether the call still waits for the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Awaited,
    /// The call failed over or is gone: an INVITE is cancelled as soon as a provisional response allows it.
    Abandoned,
    /// The CANCEL of an abandoned INVITE was sent.
    Canceled,
}

/// How often one transaction made us send something to the peer.
#[derive(Debug, Default)]
struct Repetitions {
    /// Reliable provisional responses that were acknowledged.
    provisional: u8,
    /// Answers of forks that were hung up.
    forks: u8,
    /// Connections that were opened anew for it.
    reconnections: u8,
}

/// A request that we sent.
#[derive(Debug)]
pub(super) struct ClientEntry {
    machine: ClientTransactionKind,
    pub(super) to: RouteAddress,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) request: Request,
    pub(super) call: Option<CallId>,
    /// Challenges that the request answers.
    pub(super) answered: AnsweredChallenges,
    /// It went to a place that the call's credentials are for.
    pub(super) may_authenticate: bool,
    /// How often the request was sent again because its answer asked for it.
    pub(super) repeats: u8,
    pub(super) contact: OwnContact,
    /// Where else it may be tried; `None` when another transaction took that over.
    route: Option<RequestRoute>,
    interest: Interest,
    repetitions: Repetitions,
    /// ACK of a refused INVITE, for retransmissions.
    pub(super) ack: Option<MessageBytes>,
}

impl ClientEntry {
    fn next_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.machine {
            ClientTransactionKind::Invite(machine) => machine.next_timeout(),
            ClientTransactionKind::NonInvite(machine) => machine.next_timeout(),
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.interest != Interest::Awaited
    }

    /// An INVITE without any response: a CANCEL has to wait (RFC 3261 section 9.1).
    pub(super) fn is_calling(&self) -> bool {
        matches!(&self.machine, ClientTransactionKind::Invite(machine) if machine.is_calling())
    }

    fn is_unanswered(&self) -> bool {
        match &self.machine {
            ClientTransactionKind::Invite(machine) => machine.is_calling(),
            ClientTransactionKind::NonInvite(machine) => machine.is_waiting(),
        }
    }

    /// There is another address to try.
    pub(super) fn can_fail_over(&self) -> bool {
        self.route.as_ref().is_some_and(|route| !route.is_exhausted())
    }

    /// A request inside a dialog.
    pub(super) fn is_in_dialog(&self) -> bool {
        self.request.headers.to_tag().is_some()
    }

    pub(super) fn address(&self) -> TransportAddress {
        self.to.address
    }

    /// The CSeq number that it was sent with.
    pub(super) fn cseq(&self) -> Option<u32> {
        self.request.headers.cseq().map(|cseq| cseq.number)
    }

    /// The request to send it again to this address, and to those left of its route; without Via.
    pub(super) fn take_again(&mut self) -> OutboundRequest {
        let spent = RequestRoute::to([], self.to.address.transport).with_authentication(self.may_authenticate);
        let route = self.route.take().unwrap_or(spent);
        self.outbound(route)
    }

    /// The request to send it to the next address of its route; `None` if there is none.
    pub(super) fn take_failover(&mut self) -> Option<OutboundRequest> {
        let route = self.route.take_if(|route| !route.is_exhausted())?;
        let mut outbound = self.outbound(route);
        outbound.answered.go_elsewhere();
        Some(outbound)
    }

    fn outbound(&self, route: RequestRoute) -> OutboundRequest {
        let mut request = self.request.clone();
        request.headers.remove(&HeaderName::Via);
        OutboundRequest {
            request,
            call: self.call,
            answered: self.answered.clone(),
            repeats: self.repeats,
            contact: self.contact.clone(),
            route,
            failure: None,
        }
    }

    /// The CANCEL of an abandoned INVITE is due: true once.
    pub(super) fn claim_cancel(&mut self) -> bool {
        std::mem::replace(&mut self.interest, Interest::Canceled) != Interest::Canceled
    }

    /// One more reliable provisional response may be acknowledged.
    pub(super) fn claim_prack(&mut self) -> bool {
        claim(&mut self.repetitions.provisional, limits::PROVISIONAL_RELIABLE_MAX)
    }

    /// One more unwanted dialog may be ended: the requests go to an address the answer chooses, so their number is
    /// limited.
    pub(super) fn claim_fork(&mut self) -> bool {
        claim(&mut self.repetitions.forks, limits::FORKS_ANSWERED_MAX)
    }

    /// It may be sent once more over a new connection, where one may be opened.
    pub(super) fn claim_reconnection(&mut self) -> bool {
        self.to.connection() == ConnectionChoice::Any && claim(&mut self.repetitions.reconnections, 1)
    }

    /// A message of this transaction, for the address of its request.
    pub(super) fn transmit(&self, bytes: MessageBytes, transaction: Option<Arc<str>>) -> Transmit {
        Transmit {
            transport: self.to.address.transport,
            target: TransmitTarget::Addr(self.to.address.addr),
            connection: self.to.connection(),
            bytes,
            transaction,
            server_name: self.server_name.clone(),
        }
    }
}

/// Counts up to a bound; false when it is reached.
fn claim(count: &mut u8, max: u8) -> bool {
    let is_free = *count < max;
    *count = count.saturating_add(u8::from(is_free));
    is_free
}

/// What a client transaction wants after its timer.
#[derive(Debug)]
pub(super) struct ClientTimeout {
    pub(super) action: TimeoutAction,
    pub(super) to: RouteAddress,
    pub(super) call: Option<CallId>,
    pub(super) is_terminated: bool,
}

/// All client transactions.
#[derive(Debug, Default)]
pub(super) struct ClientTransactions {
    entries: HashMap<Arc<str>, ClientEntry>,
}

impl ClientTransactions {
    pub(super) fn get(&self, key: &str) -> Option<&ClientEntry> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut ClientEntry> {
        self.entries.get_mut(key)
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.keys()
    }

    pub(super) fn next_timeout(&self, key: &str) -> Option<(Instant, Timer)> {
        self.entries.get(key).and_then(ClientEntry::next_timeout)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<ClientEntry> {
        self.entries.remove(key)
    }

    /// The requests that went over a connection to this address and have no response yet.
    pub(super) fn unanswered_over(&self, peer: TransportAddress) -> Vec<Arc<str>> {
        let all = self.entries.iter().filter(|(_, entry)| entry.to.address == peer && entry.is_unanswered());
        all.map(|(key, _)| key.clone()).collect()
    }

    /// Removes the transactions of calls that are gone.
    pub(super) fn remove_calls(&mut self, is_gone: impl Fn(CallId) -> bool) {
        self.entries.retain(|_, entry| !entry.call.is_some_and(&is_gone));
    }

    /// Starts a transaction; the request already carries its Via. `timeout`: how long it waits for a response. Returns
    /// its key and the bytes to send.
    pub(super) fn start(
        &mut self, now: Instant, outbound: OutboundRequest, branch: &str, destination: Destination,
    ) -> (Arc<str>, MessageBytes) {
        let Destination { to, server_name, may_authenticate } = destination;
        let OutboundRequest { request, call, answered, repeats, contact, route, .. } = outbound;
        let wire: MessageBytes = print::request(&request).into();
        let key = client_key(branch, request.method.as_str());
        let reliable = to.address.transport.is_reliable();
        let timeout = if route.is_exhausted() { TIMEOUT } else { FAILOVER_AFTER };
        let machine = if request.method == Method::Invite {
            ClientTransactionKind::Invite(InviteClient::new(now, wire.clone(), reliable, timeout))
        } else {
            ClientTransactionKind::NonInvite(NonInviteClient::new(now, wire.clone(), reliable, timeout))
        };
        let entry = ClientEntry {
            machine,
            to,
            server_name,
            request,
            call,
            answered,
            may_authenticate,
            repeats,
            contact,
            route: Some(route),
            interest: Interest::Awaited,
            repetitions: Repetitions::default(),
            ack: None,
        };
        self.entries.insert(key.clone(), entry);
        (key, wire)
    }

    /// Takes a response; `None` without a transaction.
    pub(super) fn handle_response(&mut self, now: Instant, key: &str, status: u16) -> Option<ResponseAction> {
        Some(match &mut self.entries.get_mut(key)?.machine {
            ClientTransactionKind::Invite(machine) => machine.handle_response(now, status),
            ClientTransactionKind::NonInvite(machine) => machine.handle_response(now, status),
        })
    }

    /// Runs the timers of one transaction.
    pub(super) fn handle_timeout(&mut self, now: Instant, key: &str) -> Option<ClientTimeout> {
        let entry = self.entries.get_mut(key)?;
        let (action, is_terminated) = match &mut entry.machine {
            ClientTransactionKind::Invite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
            ClientTransactionKind::NonInvite(machine) => (machine.handle_timeout(now), machine.is_terminated()),
        };
        Some(ClientTimeout { action, to: entry.to, call: entry.call, is_terminated })
    }

    /// The CANCEL of an INVITE that was answered provisionally, for the same destination; `None` if it is over.
    pub(super) fn cancel(&mut self, now: Instant, key: &str) -> Option<(Request, Destination)> {
        let entry = self.entries.get_mut(key)?;
        let ClientTransactionKind::Invite(machine) = &mut entry.machine else { return None };
        if !machine.is_pending() {
            return None;
        }
        machine.cancel(now);
        let cancel = ack_or_cancel_for(&entry.request, Method::Cancel, None);
        let server_name = entry.server_name.clone();
        Some((cancel, Destination { to: entry.to, server_name, may_authenticate: false }))
    }

    /// The call failed over. An INVITE stays, because a late answer has to be cancelled or ended; another request is
    /// gone.
    pub(super) fn linger(&mut self, now: Instant, key: &str) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let ClientTransactionKind::Invite(machine) = &mut entry.machine {
            machine.linger(now);
            entry.interest = Interest::Abandoned;
        } else {
            self.entries.remove(key);
        }
    }

    /// The answer of an open INVITE is no longer needed: limits the wait to 64 T1.
    pub(super) fn abandon(&mut self, now: Instant, key: &str) {
        if let Some(entry) = self.entries.get_mut(key)
            && let ClientTransactionKind::Invite(machine) = &mut entry.machine
            && machine.is_pending()
        {
            machine.linger(now);
            entry.interest = Interest::Abandoned;
        }
    }

    /// Returns memory after a peak.
    pub(super) fn shrink(&mut self) {
        if self.entries.capacity() > CAPACITY_KEPT && self.entries.len().saturating_mul(8) < self.entries.capacity() {
            self.entries.shrink_to(CAPACITY_KEPT);
        }
    }
}

/// ACK and CANCEL follow their INVITE hop by hop: same Request-URI, top Via, From, Call-ID, CSeq number
/// and Route (sections 9.1 and 17.1.1.3).
pub(super) fn ack_or_cancel_for(invite: &Request, method: Method, to: Option<&str>) -> Request {
    let mut headers = Headers::with_capacity(8);
    let sent = &invite.headers;
    headers.push(HeaderName::Via, sent.get(&HeaderName::Via).unwrap_or(""));
    headers.push(HeaderName::MaxForwards, "70");
    headers.push(HeaderName::From, sent.get(&HeaderName::From).unwrap_or(""));
    headers.push(HeaderName::To, to.or(sent.get(&HeaderName::To)).unwrap_or(""));
    headers.push(HeaderName::CallId, sent.call_id());
    headers.push(HeaderName::CSeq, format!("{} {}", sent.cseq().map_or(1, |c| c.number), method.as_str()));
    for route in sent.all(&HeaderName::Route) {
        headers.push(HeaderName::Route, route);
    }
    // Nobody challenges a CANCEL; an ACK repeats the credentials of its INVITE (section 22.1).
    if method == Method::Ack {
        copy_authorization(sent, &mut headers);
    }
    Request { method, uri: invite.uri.clone(), headers, body: Vec::new() }
}
