//! Handles responses to our requests and retries that follow from them.

use super::failover::{Destination, OutboundRequest, RequestRoute};
use super::transaction_table::ClientTransactionKind;
use super::{CallId, Transmit, TransmitTarget, Transport, UserAgent, authentication};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response, print};
use crate::sip::transaction::MessageBytes;
use std::sync::Arc;
use std::time::Instant;

/// An INVITE of ours without a final answer.
#[derive(Debug)]
pub(crate) struct PendingInvite {
    /// Its newest transaction; none while the next hop is looked up.
    pub(super) key: Option<Arc<str>>,
    pub(super) cancel: CancelState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CancelState {
    NotRequested,
    /// Wanted before any response came: sent with the first provisional.
    Pending,
    Sent,
}

/// The ACK of a 2xx, resent for every retransmission of it.
#[derive(Clone, Debug)]
pub(crate) struct SentAck {
    /// The transaction of its INVITE.
    pub(super) invite: Arc<str>,
    sent: Transmit,
    /// How often it was sent again.
    repeated: u8,
}

impl SentAck {
    /// For a repetition of its 2xx, unless there were too many.
    pub(super) fn resend_request(&mut self, invite: &Arc<str>) -> Option<Transmit> {
        if self.invite != *invite || self.repeated >= limits::ACKS_REPEATED_MAX {
            return None;
        }
        self.repeated = self.repeated.saturating_add(1);
        Some(self.sent.clone())
    }
}

impl UserAgent {
    pub(super) fn handle_client_response(&mut self, now: Instant, key: &Arc<str>, response: Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(call) = tx.call else { return };
        if tx.is_abandoned {
            return self.handle_late_response(now, key, &response);
        }
        let (method, address) = (tx.request.method.clone(), tx.address);
        self.mark_reachable(Some(call), address);
        if matches!(response.status, 401 | 407) && self.retry_with_credentials(now, key, call, &response) {
            return;
        }
        if matches!(response.status, 500 | 502..=504) && self.try_next_server(now, key, &response) {
            return;
        }
        match method {
            Method::Invite | Method::Update if self.is_reoffer(call, key) => {
                self.handle_reoffer_response(now, key, call, response);
            }
            Method::Invite => self.handle_invite_response(now, key, call, response),
            Method::Bye if response.status >= 200 => self.remove_session(now, call),
            // RFC 3261 section 12.2.1.2: the dialog is gone on the other side.
            Method::Info | Method::Refer if matches!(response.status, 408 | 481) => {
                self.record_end(now, call, EndCause::DialogLost);
                self.remove_session(now, call);
            }
            Method::Refer => self.handle_refer_response(call, response.status),
            Method::Options if response.status >= 200 => self.handle_options_response(now, call, Some(response.status)),
            Method::Register if response.status >= 200 => self.handle_register_response(now, call, key, &response),
            _ => {}
        }
    }

    /// Handles a request that ended without a response.
    pub(super) fn handle_request_failure(
        &mut self, now: Instant, method: Method, call: Option<CallId>, cause: EndCause,
    ) {
        let Some(call) = call else { return };
        match method {
            Method::Invite | Method::Update if self.sessions.get(&call).is_some_and(|s| s.local_offer.is_some()) => {
                self.handle_dialog_lost(now, call);
            }
            Method::Invite | Method::Bye => {
                self.record_end(now, call, cause);
                self.remove_session(now, call);
            }
            Method::Refer => self.handle_refer_response(call, 408),
            Method::Options => self.handle_options_response(now, call, None),
            Method::Register => self.handle_register_failure(now, call, &cause),
            // A lost INFO does not end the call; after a lost CANCEL the INVITE times out.
            _ => {}
        }
    }

    /// Tries the next server after a server error (RFC 3263 section 4.3).
    fn try_next_server(&mut self, now: Instant, key: &Arc<str>, response: &Response) -> bool {
        let Some(tx) = self.clients.get(key) else { return false };
        if tx.route.as_ref().is_none_or(RequestRoute::is_exhausted) {
            return false;
        }
        let (is_invite, call, address) = (tx.request.method == Method::Invite, tx.call, tx.address);
        if is_invite {
            self.ack_rejection(key, response);
        }
        if response.status == 503 {
            self.mark_unreachable(now, call, address);
        }
        let (status, reason) = (response.status, response.reason.clone());
        let why = EndCause::Rejected { status, reason, retry_after_s: None, reason_header: None };
        self.fail_over(now, key, why)
    }

    /// Handles a late response after failover to another server.
    fn handle_late_response(&mut self, now: Instant, key: &Arc<str>, response: &Response) {
        match response.status {
            100..200 => {
                if let Some(tx) = self.clients.get_mut(key)
                    && !std::mem::replace(&mut tx.canceled, true)
                {
                    self.cancel_transaction(now, key, None);
                }
            }
            200..300 => {
                let Some(tx) = self.clients.get(key) else { return };
                let Some(dialog) = Dialog::from_response(&tx.request, response) else { return };
                let (Some(cseq), transport) = (tx.request.headers.cseq().map(|c| c.number), tx.address.transport)
                else {
                    return;
                };
                self.end_unwanted_dialog(now, dialog, cseq, key, transport);
            }
            _ => self.ack_rejection(key, response),
        }
    }

    /// CANCEL of an INVITE that has been answered provisionally.
    pub(super) fn cancel_transaction(&mut self, now: Instant, key: &Arc<str>, call: Option<CallId>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let ClientTransactionKind::Invite(machine) = &mut tx.machine else { return };
        if !machine.is_pending() {
            return;
        }
        machine.cancel(now);
        let cancel = ack_or_cancel_for(&tx.request, Method::Cancel, None);
        let destination = Destination { address: tx.address, server_name: tx.server_name.clone() };
        let branch = cancel.headers.branch().map(str::to_owned).unwrap_or_default();
        self.arm_client(key);
        self.start_client(now, cancel, &branch, destination, call, None);
    }

    /// Ends an unwanted dialog with ACK and BYE (RFC 3261 section 13.2.2.4).
    pub(super) fn end_unwanted_dialog(
        &mut self, now: Instant, mut dialog: Dialog, cseq: u32, key: &Arc<str>, transport: Transport,
    ) {
        // These requests go to an address the answer chooses, so their number is limited.
        let Some(forks) = self.clients.get_mut(key).map(|tx| &mut tx.forks) else { return };
        if *forks >= limits::FORKS_ANSWERED_MAX {
            return;
        }
        *forks = forks.saturating_add(1);
        self.send_ack(&dialog, cseq, key, transport, None, Vec::new());
        let outgoing = dialog.request(Method::Bye);
        let routed = outgoing.request.headers.get(&HeaderName::Route).is_some();
        let there = self.clients.get(key).map(|tx| (tx.address, tx.server_name.clone()));
        let mut route = self.next_hop(&outgoing.next_hop, routed, transport, None, there.as_ref().map(|there| there.0));
        if let Some((peer, name)) = there {
            route = route.with_server_name(peer.addr, name);
        }
        let request = outgoing.request;
        self.send_request(
            now,
            OutboundRequest { request, call: None, auth_attempts: 0, repeats: 0, contact: None, route, failure: None },
        );
    }

    pub(super) fn send_ack(
        &mut self, dialog: &Dialog, cseq: u32, invite: &Arc<str>, transport: Transport,
        source: Option<(Transport, std::net::SocketAddr)>, sdp: Vec<u8>,
    ) -> SentAck {
        let outgoing = dialog.request_with_cseq(Method::Ack, cseq);
        let mut request = outgoing.request;
        if !sdp.is_empty() {
            request.headers.push(HeaderName::ContentType, "application/sdp");
            request.body = sdp;
        }
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let peer = self.clients.get(invite).map(|tx| tx.address);
        let route = self.next_hop(&outgoing.next_hop, routed, transport, source, peer);
        let next_hop = self.single_target(&route);
        self.push_via_for(&mut request, next_hop.0, &next_hop.1);
        let (transport, target) = next_hop;
        let server_name = match (transport, &target, self.clients.get(invite)) {
            (Transport::Tls, TransmitTarget::Addr(addr), Some(tx)) => {
                let there = tx.server_name.clone().filter(|_| tx.address.addr == *addr);
                let session = tx.call.and_then(|call| self.sessions.get(&call));
                there.or_else(|| session.and_then(|session| session.server_names.get(*addr)))
            }
            (Transport::Tls, TransmitTarget::Name { .. }, Some(tx)) => tx.server_name.clone(),
            _ => None,
        };
        let bytes: MessageBytes = print::request(&request).into();
        let sent = Transmit { transport, target, bytes, transaction: None, server_name };
        self.transmits.push_back(sent.clone());
        SentAck { invite: invite.clone(), sent, repeated: 0 }
    }

    /// ACK of a non-2xx: same branch, same hop, To of the response (section 17.1.1.3).
    pub(super) fn ack_rejection(&mut self, key: &Arc<str>, response: &Response) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let ack = ack_or_cancel_for(&tx.request, Method::Ack, response.headers.get(&HeaderName::To));
        let wire: MessageBytes = print::request(&ack).into();
        tx.ack = Some(wire.clone());
        self.send_in_transaction(key, wire, false);
    }

    /// Sends the request of an answered transaction to the same address once more, changed.
    pub(super) fn resend_request(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, auth_attempts: u8, change: impl FnOnce(&mut Request),
    ) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let may_authenticate = tx.may_authenticate;
        let route =
            tx.route.take().unwrap_or(RequestRoute::to([], tx.address.transport).with_authentication(may_authenticate));
        let (address, contact, mut request) = (tx.address, tx.contact.clone(), tx.request.clone());
        let repeats = tx.repeats.saturating_add(1);
        request.headers.remove(&HeaderName::Via);
        self.renumber(call, &mut request);
        if may_authenticate {
            self.add_authorization(call, &mut request);
        } else {
            authentication::remove_authorization(&mut request);
        }
        change(&mut request);
        let outbound =
            OutboundRequest { request, call: Some(call), auth_attempts, repeats, contact, route, failure: None };
        self.attempt(now, outbound, address);
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
    Request { method, uri: invite.uri.clone(), headers, body: Vec::new() }
}
