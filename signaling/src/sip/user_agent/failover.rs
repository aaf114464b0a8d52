//! Next-hop resolution and failover (RFC 3263): next hops are resolved, tried in order, and avoided for a while if
//! unreachable.

use super::client_responses::CancelState;
use super::server_names::ServerNames;
use super::transaction_table::ClientEntry;
use super::{CallId, SipSessionState, Transport, TrunkKey, UserAgent, authentication};
use crate::limits;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Method, Request, Uri, print};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time without any response after which an INVITE fails over, if there is another address: four transmissions.
const FAILOVER_AFTER: Duration = Duration::from_secs(4);
/// How long an unreachable address is tried last.
const UNREACHABLE_FOR: Duration = Duration::from_secs(60);

/// A next hop by name or address. Without a port its name is looked up by SRV, without a transport by NAPTR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Host name or IP address; IPv6 without brackets where it comes from a URI.
    pub host: String,
    /// Port; `None` for SRV lookup of a name, or the default port of the transport.
    pub port: Option<u16>,
    /// Transport; `None` for NAPTR lookup of a name, or the transport of the request.
    pub transport: Option<Transport>,
}

impl NextHop {
    /// Reads the next hop from a URI: `maddr` or host, port, and transport (`transport` parameter, TLS for `sips:`).
    pub fn of(uri: &Uri) -> Self {
        let transport = match uri.param("transport").and_then(Transport::parse) {
            Some(transport) => Some(transport),
            None if uri.scheme == crate::sip::message::Scheme::Sips => Some(Transport::Tls),
            None => None,
        };
        let host = uri.param("maddr").filter(|host| !host.is_empty()).unwrap_or(&uri.host);
        Self { host: host.to_owned(), port: uri.port, transport }
    }

    /// Its address, where it is one and no name. `transport` where it names none.
    pub(super) fn as_address(&self, transport: Transport) -> Option<TransportAddress> {
        let transport = self.transport.unwrap_or(transport);
        let ip = self.host.parse::<IpAddr>().ok()?;
        Some(TransportAddress { transport, addr: SocketAddr::new(ip, self.port.unwrap_or(transport.default_port())) })
    }
}

/// Transport and IP address of a next hop after its lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportAddress {
    /// Transport to send with.
    pub transport: Transport,
    /// IP address and port to send to.
    pub addr: SocketAddr,
}

/// An address, for one trunk. A server that does not answer one customer, for example because its certificate is not
/// for the customer's name, may answer the next one. So each trunk has its own list of addresses that did not answer.
pub(super) type TrunkAddress = (Option<TrunkKey>, TransportAddress);

/// A hop to be looked up: all its addresses, the preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuery {
    /// Number of the lookup; its result names it.
    pub id: u64,
    /// Next hop to look up, by name.
    pub next_hop: NextHop,
    /// When neither hop nor DNS name one.
    pub transport: Transport,
}

/// Remaining next hops and addresses of a request.
#[derive(Clone, Debug)]
pub(super) struct RequestRoute {
    pub(super) hops: VecDeque<NextHop>,
    pub(super) addrs: VecDeque<TransportAddress>,
    pub(super) transport: Transport,
    /// All hops are hosts the call's credentials are for.
    may_authenticate: bool,
    /// The address is one the peer has sent from or that was allowed before.
    is_trusted_address: bool,
    /// The peer named it, in a dialog.
    is_in_dialog: bool,
    /// The name that is being looked up.
    lookup_host: Option<Arc<str>>,
    names: ServerNames,
}

impl RequestRoute {
    pub(super) fn to(hops: impl IntoIterator<Item = NextHop>, transport: Transport) -> Self {
        let hops: VecDeque<NextHop> = hops.into_iter().take(limits::ADDRESSES_MAX).collect();
        let mut names = ServerNames::default();
        for next_hop in &hops {
            // A hop that is an address needs a certificate for that address.
            names.insert(&next_hop.host.as_str().into(), next_hop.as_address(transport).map(|address| address.addr));
        }
        let addrs = VecDeque::new();
        let (may_authenticate, is_peers, is_in_dialog, asked) = (false, false, false, None);
        Self {
            hops,
            addrs,
            transport,
            may_authenticate,
            is_trusted_address: is_peers,
            is_in_dialog,
            lookup_host: asked,
            names,
        }
    }

    /// To a hop that the peer named in a dialog. Where the call has been at that address before, under the name it used
    /// then: a Contact often has an address, or the name of one machine of many. An address that is new to the call has
    /// no name, and any connection to it will do.
    pub(super) fn in_dialog(next_hop: NextHop, transport: Transport) -> Self {
        Self { names: ServerNames::default(), is_in_dialog: true, ..Self::to([next_hop], transport) }
    }

    /// Route to the address the peer sent from.
    pub(super) fn at(address: TransportAddress) -> Self {
        let addrs = VecDeque::from([address]);
        Self { addrs, is_trusted_address: true, ..Self::to([], address.transport) }
    }

    /// An address of it was found under this name before.
    pub(super) fn with_server_name(mut self, addr: SocketAddr, name: Option<Arc<str>>) -> Self {
        if let Some(name) = name {
            self.names.insert(&name, [addr]);
        }
        self
    }

    pub(super) fn with_authentication(mut self, may_authenticate: bool) -> Self {
        self.may_authenticate = may_authenticate;
        self
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.hops.is_empty() && self.addrs.is_empty()
    }
}

/// Destination address and the server name its certificate must match.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) address: TransportAddress,
    pub(super) server_name: Option<Arc<str>>,
}

/// An outgoing request, without Via.
#[derive(Debug)]
pub(crate) struct OutboundRequest {
    pub(super) request: Request,
    pub(super) call: Option<CallId>,
    pub(super) auth_attempts: u8,
    /// How often it was sent again because its answer asked for it.
    pub(super) repeats: u8,
    /// It carries a Contact of ours, with this user part.
    pub(super) contact: Option<Option<String>>,
    pub(super) route: RequestRoute,
    /// Why the last attempt failed.
    pub(super) failure: Option<EndCause>,
}

impl UserAgent {
    /// Sends a request to the first address that is not known to be dead.
    pub(super) fn send_request(&mut self, now: Instant, mut outbound: OutboundRequest) {
        if outbound.call.is_some_and(|call| !self.sessions.contains_key(&call)) {
            return;
        }
        loop {
            let scope = self.failure_memory_scope(outbound.call);
            let dead = |address: &TransportAddress| {
                let until = scope.clone().and_then(|trunk| self.unreachable.get(&(trunk, *address)));
                until.is_some_and(|until| *until > now)
            };
            let route = &mut outbound.route;
            let next = match route.addrs.iter().position(|address| !dead(address)) {
                Some(at) => route.addrs.remove(at),
                None if route.hops.is_empty() => route.addrs.pop_front(),
                None => None,
            };
            if let Some(address) = next {
                // Checked for every source of the address and every resolution.
                match self.check_destination(address.addr) {
                    Err(why) if !route.is_trusted_address => {
                        outbound.failure = Some(EndCause::Unreachable(why));
                        continue;
                    }
                    _ => return self.attempt(now, outbound, address),
                }
            }
            let Some(next_hop) = route.hops.pop_front() else {
                let why = outbound.failure.unwrap_or_else(|| EndCause::Unreachable("no address".to_owned()));
                return self.handle_request_failure(now, outbound.request.method, outbound.call, why);
            };
            let transport = next_hop.transport.unwrap_or(route.transport);
            match next_hop.as_address(transport) {
                Some(address) => route.addrs.push_back(address),
                None if self.awaiting_dns.len() >= limits::LOOKUPS_MAX => {
                    outbound.failure = Some(EndCause::Unreachable("too many DNS lookups pending".to_owned()));
                }
                None => {
                    let id = self.next_query;
                    self.next_query = self.next_query.wrapping_add(1); // 2^64 names later
                    route.lookup_host = Some(next_hop.host.as_str().into());
                    self.queries.push_back(DnsQuery { id, next_hop, transport });
                    self.awaiting_dns.insert(id, outbound);
                    return;
                }
            }
        }
    }

    /// The addresses of a [`DnsQuery`], the preferred first, or why there are none.
    pub fn handle_resolved(&mut self, now: Instant, id: u64, result: Result<Vec<TransportAddress>, String>) {
        let Some(mut outbound) = self.awaiting_dns.remove(&id) else { return };
        let (asked, may_authenticate) = (outbound.route.lookup_host.take(), outbound.route.may_authenticate);
        match result {
            Ok(addrs) => {
                let session = outbound.call.and_then(|call| self.sessions.get_mut(&call));
                let all = addrs.iter().map(|address| address.addr);
                if let Some(name) = &asked {
                    outbound.route.names.insert(name, all.clone());
                }
                if let Some(session) = session {
                    if let Some(name) = asked.filter(|_| !outbound.route.is_in_dialog) {
                        session.server_names.insert(&name, all.clone());
                    }
                    all.filter(|_| may_authenticate).for_each(|addr| session.authenticator.add_address(addr));
                }
                outbound.route.addrs.extend(addrs.into_iter().take(limits::ADDRESSES_MAX));
            }
            Err(why) => outbound.failure = Some(EndCause::Unreachable(why)),
        }
        self.send_request(now, outbound);
    }

    pub(super) fn attempt(&mut self, now: Instant, outbound: OutboundRequest, mut address: TransportAddress) {
        let OutboundRequest { mut request, call, auth_attempts, repeats, contact, mut route, .. } = outbound;
        if address.transport == Transport::Udp && self.is_too_large(&request) {
            let stream = TransportAddress { transport: Transport::Tcp, ..address };
            let until = self.failure_memory_scope(call).and_then(|trunk| self.unreachable.get(&(trunk, stream)));
            if until.is_none_or(|until| *until <= now) {
                route.addrs.push_front(address);
                address = stream;
            }
        }
        if let Some(user) = &contact {
            request.headers.set(HeaderName::Contact, self.contact(address, user.as_deref()));
        }
        if !route.may_authenticate {
            authentication::remove_authorization(&mut request);
        }
        let branch = self.push_via(&mut request, address);
        let may_authenticate = route.may_authenticate;
        let give_up = (!route.is_exhausted()).then_some(FAILOVER_AFTER);
        let method = request.method.clone();
        let server_name = self.server_name(call, &route, address);
        if let (Some(session), Some(name)) = (call.and_then(|call| self.sessions.get_mut(&call)), &server_name) {
            session.server_names.insert(name, [address.addr]);
        }
        let destination = Destination { address, server_name };
        let key = self.start_client(now, request, &branch, destination, call, give_up);
        if let Some(tx) = self.clients.get_mut(&key) {
            (tx.route, tx.contact, tx.auth_attempts, tx.repeats) = (Some(route), contact, auth_attempts, repeats);
            tx.may_authenticate = may_authenticate;
        }
        if let Some(call) = call {
            self.handle_attempt_started(call, &method, key, address, may_authenticate);
        }
    }

    /// The name that the certificate of the server at this address must be valid for.
    fn server_name(&self, call: Option<CallId>, route: &RequestRoute, address: TransportAddress) -> Option<Arc<str>> {
        if address.transport != Transport::Tls {
            return None;
        }
        let session = call.and_then(|call| self.sessions.get(&call));
        let before = session.and_then(|session| session.server_names.get(address.addr));
        let now = route.names.get(address.addr);
        if route.is_in_dialog { before.or(now) } else { now.or(before) }
    }

    /// The trunk whose list of silent addresses a request uses and changes. `None`: neither, as for a probe.
    fn failure_memory_scope(&self, call: Option<CallId>) -> Option<Option<TrunkKey>> {
        let session = self.sessions.get(&call?)?;
        match &session.state {
            SipSessionState::OptionsPending(_) => None,
            SipSessionState::Registering(id) => Some(Some(id.clone())),
            _ => Some(session.trunk.clone()),
        }
    }

    /// Its Via is not counted yet.
    fn is_too_large(&self, request: &Request) -> bool {
        const VIA: usize = 100;
        request.body.len() > limits::UDP_BYTES_MAX
            || print::request(request).len().saturating_add(VIA) > limits::UDP_BYTES_MAX
    }

    /// The session follows the newest transaction of its request.
    fn handle_attempt_started(
        &mut self, call: CallId, method: &Method, key: Arc<str>, address: TransportAddress, may_authenticate: bool,
    ) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        match (&mut session.state, method) {
            (SipSessionState::OutgoingPending(calling), Method::Invite) => {
                calling.key = Some(key);
                session.transport = address.transport;
                session.peer = Some(address);
                session.authenticator.is_begun_there = may_authenticate;
                if may_authenticate {
                    session.authenticator.add_address(address.addr);
                }
            }
            (SipSessionState::Established { .. }, Method::Invite | Method::Update) => {
                if let Some(ours) = &mut session.local_offer {
                    ours.key = Some(key);
                }
            }
            (SipSessionState::OptionsPending(newest), Method::Options) => *newest = Some(key),
            _ => {}
        }
    }

    /// That address did not answer: the request's trunk tries other addresses first for a while.
    pub(super) fn mark_unreachable(&mut self, now: Instant, call: Option<CallId>, address: TransportAddress) {
        let Some(trunk) = self.failure_memory_scope(call) else { return };
        if self.unreachable.len() >= limits::UNREACHABLE_ADDRESSES_MAX {
            self.unreachable.retain(|_, until| *until > now);
        }
        if self.unreachable.len() < limits::UNREACHABLE_ADDRESSES_MAX {
            self.unreachable.insert((trunk, address), now + UNREACHABLE_FOR);
        }
    }

    /// Marks an address as reachable.
    pub(super) fn mark_reachable(&mut self, call: Option<CallId>, address: TransportAddress) {
        if let Some(trunk) = self.failure_memory_scope(call) {
            self.unreachable.remove(&(trunk, address));
        }
    }

    /// Tries the request of a transaction that came to nothing at the next address. False if there is none, or the
    /// request is no longer needed.
    pub(super) fn fail_over(&mut self, now: Instant, key: &Arc<str>, why: EndCause) -> bool {
        let Some(tx) = self.clients.get_mut(key) else { return false };
        let Some(route) = tx.route.take_if(|route| !route.is_exhausted()) else { return false };
        let (call, method) = (tx.call, tx.request.method.clone());
        let (mut request, contact, auth_attempts) = (tx.request.clone(), tx.contact.clone(), tx.auth_attempts);
        let repeats = tx.repeats;
        let wanted = match call.and_then(|call| self.sessions.get(&call)).map(|session| &session.state) {
            Some(SipSessionState::OutgoingPending(calling)) => {
                calling.cancel == CancelState::NotRequested
                    && calling.key.as_ref() == Some(key)
                    && method == Method::Invite
            }
            Some(SipSessionState::ByeSent) => method == Method::Bye,
            Some(_) => method != Method::Invite,
            None => false,
        };
        let Some(call) = call.filter(|_| wanted) else { return false };
        request.headers.remove(&HeaderName::Via);
        self.renumber(call, &mut request);
        let why = Some(why);
        self.send_request(
            now,
            OutboundRequest { request, call: Some(call), auth_attempts, repeats, contact, route, failure: why },
        );
        true
    }

    /// Another transaction of the same request needs another CSeq.
    pub(super) fn renumber(&mut self, call: CallId, request: &mut Request) {
        let number = match self.sessions.get_mut(&call).map(|session| &mut session.state) {
            Some(SipSessionState::Established { dialog, .. }) => dialog.next_cseq(),
            _ => request.headers.cseq().map_or(1, |cseq| cseq.number.saturating_add(1)),
        };
        request.headers.set(HeaderName::CSeq, format!("{number} {}", request.method.as_str()));
    }

    /// Nothing more can be tried for a transaction.
    pub(super) fn handle_client_failure(&mut self, now: Instant, tx: ClientEntry, cause: EndCause) {
        self.handle_request_failure(now, tx.request.method, tx.call, cause);
    }
}
