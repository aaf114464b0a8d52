//! Handles responses to our requests and retries that follow from them.

use super::agent::UserAgent;
use super::client_transactions::ack_or_cancel_for;
use super::event::{CallId, ProbeResult};
use super::failover::renumber;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::request_route::{AddressOrigin, Destination, RequestRoute};
use super::session::{DialogPath, SentAck};
use super::session_body::keep_description_of_response;
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Method, Request, Response, print};
use crate::sip::rate_limit::SourceTrust;
use crate::sip::transaction::MessageBytes;
use crate::sip::transport::{ConnectionChoice, Transmit, TransmitTarget, Transport};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    pub(super) fn handle_client_response(&mut self, now: Instant, key: &Arc<str>, mut response: Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(call) = tx.call else { return };
        if tx.is_abandoned() {
            return self.handle_late_response(now, key, &response);
        }
        let (method, address) = (tx.request.method.clone(), tx.address());
        let asks_elsewhere = asks_elsewhere(response.status, tx.is_in_dialog(), tx.to.origin);
        if matches!(method, Method::Invite | Method::Update) {
            keep_description_of_response(&mut response);
        }
        self.mark_reachable(Some(call), address);
        if matches!(response.status, 401 | 407) && self.retry_with_credentials(now, key, call, &response) {
            return;
        }
        if asks_elsewhere && self.try_next_server(now, key, &response) {
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
                self.end_call(now, call, EndCause::DialogLost);
            }
            Method::Refer => self.handle_refer_response(call, response.status),
            Method::Options if response.status >= 200 => {
                self.handle_options_response(now, call, ProbeResult::Answered(response.status));
            }
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
            Method::Invite | Method::Update if self.has_local_offer(call) => self.handle_dialog_lost(now, call),
            Method::Invite | Method::Bye => self.end_call(now, call, cause),
            Method::Refer => self.handle_refer_response(call, 408),
            Method::Options => self.handle_options_response(now, call, ProbeResult::from(cause)),
            Method::Register => self.handle_register_failure(now, call, &cause),
            // A lost INFO does not end the call; after a lost CANCEL the INVITE times out.
            _ => {}
        }
    }

    /// Tries the next server after a server error (RFC 3263 section 4.3).
    fn try_next_server(&mut self, now: Instant, key: &Arc<str>, response: &Response) -> bool {
        let Some(tx) = self.clients.get(key).filter(|tx| tx.can_fail_over()) else { return false };
        let (is_invite, call, address) = (tx.request.method == Method::Invite, tx.call, tx.address());
        let is_in_dialog = tx.is_in_dialog();
        if is_invite {
            self.ack_rejection(key, response);
        }
        if response.status == 503 && !is_in_dialog {
            self.mark_unreachable(now, call, address);
        }
        let (status, reason) = (response.status, response.reason.clone());
        let why = EndCause::Rejected { status, reason, retry_after_s: None, reason_header: None };
        self.fail_over(now, key, why)
    }

    /// Handles a response that nobody waits for: after failover to another server, or after a refusal.
    pub(super) fn handle_late_response(&mut self, now: Instant, key: &Arc<str>, response: &Response) {
        match response.status {
            100..200 => {
                if self.clients.get_mut(key).is_some_and(|tx| tx.claim_cancel()) {
                    self.cancel_transaction(now, key, None);
                }
            }
            200..300 => {
                let Some(tx) = self.clients.get(key) else { return };
                let Some(dialog) = Dialog::from_response(&tx.request, response) else { return };
                if tx.is_in_dialog() {
                    return self.acknowledge_late(&dialog, key);
                }
                self.end_unwanted_dialog(now, dialog, key);
            }
            _ => self.ack_rejection(key, response),
        }
    }

    /// A re-INVITE is answered after it was sent elsewhere too: the dialog goes on.
    fn acknowledge_late(&mut self, dialog: &Dialog, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let (Some(cseq), true) = (tx.cseq(), tx.claim_fork()) else { return };
        let path = DialogPath::of_invite(&tx.request, tx.address());
        self.send_ack(dialog, cseq, key, &path, Vec::new());
    }

    /// CANCEL of an INVITE that has been answered provisionally.
    pub(super) fn cancel_transaction(&mut self, now: Instant, key: &Arc<str>, call: Option<CallId>) {
        let Some((cancel, destination)) = self.clients.cancel(now, key) else { return };
        let branch = cancel.headers.branch().map(str::to_owned).unwrap_or_default();
        self.arm_client(key);
        let route = RequestRoute::to([], destination.to.address.transport);
        self.start_client(now, OutboundRequest::new(cancel, call, OwnContact::Absent, route), &branch, destination);
    }

    /// Ends an unwanted dialog with ACK and BYE (RFC 3261 section 13.2.2.4).
    pub(super) fn end_unwanted_dialog(&mut self, now: Instant, mut dialog: Dialog, key: &Arc<str>) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let Some(cseq) = tx.cseq() else { return };
        if !tx.claim_fork() {
            return;
        }
        let (path, server_name) = (DialogPath::of_invite(&tx.request, tx.address()), tx.server_name.clone());
        self.send_ack(&dialog, cseq, key, &path, Vec::new());
        let outgoing = dialog.request(Method::Bye);
        let routed = outgoing.request.headers.get(&HeaderName::Route).is_some();
        let route =
            self.dialog_route(&outgoing.next_hop, routed, &path).with_server_name(path.met_at().addr, server_name);
        self.send_request(now, OutboundRequest::new(outgoing.request, None, OwnContact::Absent, route));
    }

    /// Sends the ACK of a 2xx to the INVITE of this transaction.
    pub(super) fn send_ack(
        &mut self, dialog: &Dialog, cseq: u32, invite: &Arc<str>, path: &DialogPath, sdp: Vec<u8>,
    ) -> SentAck {
        let outgoing = dialog.request_with_cseq(Method::Ack, cseq);
        let mut request = outgoing.request;
        if !sdp.is_empty() {
            request.headers.push(HeaderName::ContentType, "application/sdp");
            request.body = sdp;
        }
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let route = self.dialog_route(&outgoing.next_hop, routed, path);
        let mut places: Vec<Transmit> = Vec::with_capacity(1);
        for (transport, target, connection) in route.places() {
            // A connection of ours may be opened again: nothing tells that an ACK was lost.
            let connection = if path.is_ours() { ConnectionChoice::Any } else { connection };
            let mut request = request.clone();
            self.authorize_ack(&mut request, invite, &route, &target);
            self.push_via_for(&mut request, transport, &target);
            let server_name = self.server_name_of_ack(invite, transport, &target);
            let bytes: MessageBytes = print::request(&request).into();
            places.push(Transmit { transport, target, connection, bytes, transaction: None, server_name });
        }
        self.transmits.extend(places.first().cloned());
        SentAck::new(invite.clone(), places)
    }

    /// The name in the certificate of the server that an ACK goes to.
    fn server_name_of_ack(&self, invite: &str, transport: Transport, target: &TransmitTarget) -> Option<Arc<str>> {
        match (transport, target, self.clients.get(invite)) {
            (Transport::Tls, TransmitTarget::Addr(addr), Some(tx)) => {
                let there = tx.server_name.clone().filter(|_| tx.address().addr == *addr);
                let session = tx.call.and_then(|call| self.sessions.get(call));
                there.or_else(|| session.and_then(|session| session.server_names.get(*addr)))
            }
            (Transport::Tls, TransmitTarget::Name { .. }, Some(tx)) => tx.server_name.clone(),
            _ => None,
        }
    }

    /// ACK of a non-2xx: same branch, same hop, To of the response (section 17.1.1.3).
    pub(super) fn ack_rejection(&mut self, key: &Arc<str>, response: &Response) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let ack = ack_or_cancel_for(&tx.request, Method::Ack, response.headers.get(&HeaderName::To));
        let wire: MessageBytes = print::request(&ack).into();
        tx.ack = Some(wire.clone());
        self.send_in_transaction(key, wire, None);
    }

    /// Sends the request of an answered transaction to the same address once more, changed.
    pub(super) fn resend_request(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, change: impl FnOnce(&mut Request),
    ) {
        let (Some(tx), Some(session)) = (self.clients.get_mut(key), self.sessions.get_mut(call)) else { return };
        let (to, may_authenticate) = (tx.to, tx.may_authenticate);
        let repeats = tx.repeats.saturating_add(1);
        let mut outbound = OutboundRequest { repeats, call: Some(call), ..tx.take_again() };
        let number = session.renumber(&outbound.request);
        renumber(&mut outbound.request, number);
        change(&mut outbound.request);
        outbound.route.may_authenticate = may_authenticate;
        self.attempt(now, outbound, to);
    }

    /// Sends a message to the address of its client transaction. `reported_to`: the transaction to tell of a send
    /// failure.
    pub(super) fn send_in_transaction(&mut self, key: &Arc<str>, bytes: MessageBytes, reported_to: Option<&Arc<str>>) {
        let Some(tx) = self.clients.get(key) else { return };
        self.transmits.push_back(tx.transmit(bytes, reported_to.cloned()));
    }

    /// Starts a client transaction; the request already carries its Via.
    pub(super) fn start_client(
        &mut self, now: Instant, outbound: OutboundRequest, branch: &str, destination: Destination,
    ) -> Arc<str> {
        let ip = destination.to.address.addr.ip();
        let (key, wire) = self.clients.start(now, outbound, branch, destination);
        self.admission.record_trust(now, ip, SourceTrust::CalledByUs);
        self.arm_client(&key);
        self.send_in_transaction(&key, wire, Some(&key));
        key
    }
}

/// Whether the next place may do better (RFC 3263 section 4.3). The places of a dialog lead to the same peer, except that a
/// proxy may stand where it was met, which does not want to be in the dialog and does not know it.
fn asks_elsewhere(status: u16, is_in_dialog: bool, origin: AddressOrigin) -> bool {
    match status {
        503 => true,
        500 | 502 | 504 => !is_in_dialog,
        404 | 482 | 483 => is_in_dialog && origin != AddressOrigin::Named,
        _ => false,
    }
}
