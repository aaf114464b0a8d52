//! Next-hop resolution and failover (RFC 3263): next hops are resolved, tried in order, and avoided for a while if
//! unreachable.

use super::agent::UserAgent;
use super::client_authenticator::remove_authorization;
use super::dns_lookups::WaitingRequest;
use super::event::CallId;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::request_route::{AddressOrigin, Destination, RequestRoute, RouteAddress, RouteOrigin};
use super::session::PendingRequest;
use super::sips::goes_to_sips;
use super::unreachable_addresses::ReachabilityScope;
use crate::limits;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Method, Request, print};
use crate::sip::transport::{Transport, TransportAddress};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Sends a request to the first address that is not known to be dead.
    pub(super) fn send_request(&mut self, now: Instant, mut outbound: OutboundRequest) {
        if outbound.call.is_some_and(|call| !self.sessions.contains(call)) {
            return;
        }
        let scope = self.reachability_scope(outbound.call);
        loop {
            let route = &mut outbound.route;
            let is_dead = |one: &RouteAddress| {
                one.origin != AddressOrigin::Connection && self.unreachable.contains(now, &scope, one.address)
            };
            let next = match route.addrs.iter().position(|one| !is_dead(one)) {
                Some(at) => route.addrs.remove(at),
                None if route.hops.is_empty() && route.last.is_none() => route.addrs.pop_front(),
                None => None,
            };
            if let Some(next) = next {
                // Checked for every source of the address and every resolution.
                match self.check_destination(next.address.addr) {
                    Err(why) if next.origin == AddressOrigin::Named => {
                        outbound.failure = Some(EndCause::Unreachable(why));
                        continue;
                    }
                    _ => return self.attempt(now, outbound, next),
                }
            }
            let Some(next_hop) = route.hops.pop_front() else {
                if let Some(address) = route.last.take() {
                    route.addrs.push_back(RouteAddress { address, origin: AddressOrigin::Met });
                    continue;
                }
                let why = outbound.failure.unwrap_or_else(|| EndCause::Unreachable("no address".to_owned()));
                return self.handle_request_failure(now, outbound.request.method, outbound.call, why);
            };
            let transport = next_hop.transport.unwrap_or(route.transport);
            match next_hop.as_address(transport) {
                Some(address) => route.addrs.push_back(RouteAddress { address, origin: AddressOrigin::Named }),
                None if self.lookups.is_full() => {
                    outbound.failure = Some(EndCause::Unreachable("too many DNS lookups pending".to_owned()));
                }
                None => {
                    self.set_pending_request(outbound.call, &outbound.request.method, PendingRequest::Resolving);
                    return self.lookups.start(next_hop, transport, outbound);
                }
            }
        }
    }

    /// The addresses of a [`DnsQuery`](super::next_hop::DnsQuery), the preferred first, or why there are none.
    pub fn handle_resolved(&mut self, now: Instant, id: u64, result: Result<Vec<TransportAddress>, String>) {
        let Some(WaitingRequest { host, mut outbound }) = self.lookups.finish(id) else { return };
        let may_authenticate = outbound.route.may_authenticate;
        match result {
            Ok(addrs) => {
                let session = outbound.call.and_then(|call| self.sessions.get_mut(call));
                let all = addrs.iter().map(|address| address.addr);
                outbound.route.names.insert(&host, all.clone());
                if let Some(session) = session {
                    if outbound.route.origin != RouteOrigin::Dialog {
                        session.server_names.insert(&host, all.clone());
                    }
                    if let Some(authenticator) = session.authenticator().filter(|_| may_authenticate) {
                        all.for_each(|addr| authenticator.add_address(addr));
                    }
                }
                let named = addrs.into_iter().map(|address| RouteAddress { address, origin: AddressOrigin::Named });
                outbound.route.addrs.extend(named.take(limits::ADDRESSES_MAX));
            }
            Err(why) => outbound.failure = Some(EndCause::Unreachable(why)),
        }
        self.send_request(now, outbound);
    }

    /// Sends a request to this address.
    pub(super) fn attempt(&mut self, now: Instant, mut outbound: OutboundRequest, mut to: RouteAddress) {
        let may_authenticate = self.authorize_for(&mut outbound, to);
        if to.address.transport == Transport::Udp && self.is_too_large(&outbound.request) {
            let stream = TransportAddress { transport: Transport::Tcp, ..to.address };
            let scope = self.reachability_scope(outbound.call);
            if !self.unreachable.contains(now, &scope, stream) {
                outbound.route.addrs.push_front(to);
                to.address = stream;
            }
        }
        let address = to.address;
        if let OwnContact::Present(user) = &outbound.contact {
            let established = outbound.call.and_then(|call| self.sessions.get_mut(call)?.established());
            let is_sips = established.is_some_and(|established| established.path.is_sips);
            let contact = self.contact(address, user.as_deref(), is_sips || goes_to_sips(&outbound.request));
            outbound.request.headers.set(HeaderName::Contact, contact);
        }
        let branch = self.push_via(&mut outbound.request, address);
        let (call, method) = (outbound.call, outbound.request.method.clone());
        let server_name = self.server_name(call, &outbound.route, address);
        if let (Some(session), Some(name)) = (call.and_then(|call| self.sessions.get_mut(call)), &server_name) {
            session.server_names.insert(name, [address.addr]);
        }
        let key = self.start_client(now, outbound, &branch, Destination { to, server_name, may_authenticate });
        if method == Method::Invite
            && let Some(session) = call.and_then(|call| self.sessions.get_mut(call))
            && let Some(authenticator) = session.inviting().and_then(|inviting| inviting.authenticator.as_mut())
        {
            authenticator.begin_dialog(address.addr, may_authenticate);
        }
        // The session follows the newest transaction of its request.
        self.set_pending_request(call, &method, PendingRequest::Sent { key });
    }

    /// Puts the answers to the challenges of a call into a request that goes to a place its credentials are for, and takes
    /// them out of any other.
    fn authorize_for(&mut self, outbound: &mut OutboundRequest, to: RouteAddress) -> bool {
        remove_authorization(&mut outbound.request);
        let session = outbound.call.and_then(|call| self.sessions.get_mut(call));
        let authenticator = session.and_then(|session| session.authenticator());
        let may_authenticate = match to.origin {
            AddressOrigin::Named => outbound.route.may_authenticate,
            AddressOrigin::Met | AddressOrigin::Connection => {
                authenticator.as_ref().is_some_and(|authenticator| authenticator.covers_address(to.address.addr))
            }
        };
        if let Some(authenticator) = authenticator.filter(|_| may_authenticate) {
            authenticator.authorize(&mut outbound.request);
        }
        may_authenticate
    }

    fn set_pending_request(&mut self, call: Option<CallId>, method: &Method, newest: PendingRequest) {
        if let Some(session) = call.and_then(|call| self.sessions.get_mut(call)) {
            session.set_pending_request(method, newest);
        }
    }

    /// The name that the certificate of the server at this address must be valid for.
    fn server_name(&self, call: Option<CallId>, route: &RequestRoute, address: TransportAddress) -> Option<Arc<str>> {
        if address.transport != Transport::Tls {
            return None;
        }
        let session = call.and_then(|call| self.sessions.get(call));
        let before = session.and_then(|session| session.server_names.get(address.addr));
        let now = route.names.get(address.addr);
        if route.origin == RouteOrigin::Dialog { before.or(now) } else { now.or(before) }
    }

    /// Whose list of silent addresses a request uses and changes.
    fn reachability_scope(&self, call: Option<CallId>) -> ReachabilityScope {
        let session = call.and_then(|call| self.sessions.get(call));
        session.map_or(ReachabilityScope::Unlisted, |session| session.reachability_scope())
    }

    /// Its Via is not counted yet.
    fn is_too_large(&self, request: &Request) -> bool {
        const VIA: usize = 100;
        request.body.len() > limits::UDP_BYTES_MAX
            || print::request(request).len().saturating_add(VIA) > limits::UDP_BYTES_MAX
    }

    /// That address did not answer: the request's trunk tries other addresses first for a while.
    pub(super) fn mark_unreachable(&mut self, now: Instant, call: Option<CallId>, address: TransportAddress) {
        let scope = self.reachability_scope(call);
        self.unreachable.insert(now, scope, address);
    }

    /// The same, unless only a connection to it was tried, which may be gone while the address answers.
    pub(super) fn mark_silent(&mut self, now: Instant, call: Option<CallId>, to: RouteAddress) {
        if to.origin != AddressOrigin::Connection {
            self.mark_unreachable(now, call, to.address);
        }
    }

    /// Marks an address as reachable.
    pub(super) fn mark_reachable(&mut self, call: Option<CallId>, address: TransportAddress) {
        let scope = self.reachability_scope(call);
        self.unreachable.remove(&scope, address);
    }

    /// Tries the request of a transaction that came to nothing at the next address. False if there is none, or the
    /// request is no longer needed.
    pub(super) fn fail_over(&mut self, now: Instant, key: &Arc<str>, why: EndCause) -> bool {
        let Some(tx) = self.clients.get_mut(key) else { return false };
        let Some(mut outbound) = tx.take_failover() else { return false };
        let Some(session) = outbound.call.and_then(|call| self.sessions.get_mut(call)) else { return false };
        if !session.wants_again(key, &outbound.request.method) {
            return false;
        }
        let number = session.renumber(&outbound.request);
        renumber(&mut outbound.request, number);
        outbound.failure = Some(why);
        self.send_request(now, outbound);
        true
    }
}

/// Another transaction of the same request needs another CSeq.
pub(super) fn renumber(request: &mut Request, number: u32) {
    request.headers.set(HeaderName::CSeq, format!("{number} {}", request.method.as_str()));
}
