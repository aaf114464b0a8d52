//! Calls that come in: ringing, answering, refusing, and the peer's CANCEL.

use super::in_dialog::RemoteOffer;
use super::inbound_auth::CallerProof;
use super::inbound_trunks::TrunkCandidates;
use super::receive::server_key;
use super::replaces::ReplacedCall;
use super::transaction_table::ServerTransactionKind;
use super::{
    ALLOW, CallId, IncomingInvite, SUPPORTED, SipCommandError, SipEvent, SipSession, SipSessionState, Transport,
    UserAgent, dialog_key,
};
use crate::sip::dialog::Dialog;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response};
use crate::sip::reason::{self, Reason};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    pub(super) fn handle_initial_invite(
        &mut self, now: Instant, transport: Transport, source: SocketAddr, key: Arc<str>, request: Request,
        candidates: TrunkCandidates, replaces: Option<ReplacedCall>,
    ) {
        let (Some(Ok(from)), Some(Ok(to))) = (request.headers.from(), request.headers.to()) else {
            // From and To must have a supported URI scheme.
            self.reply(now, &key, 416, |_| {});
            return;
        };
        let call = self.new_call();
        let local_tag = self.tokens.token();
        let call_id = request.headers.call_id().to_owned();
        if let Some(tx) = self.servers.get_mut(&key) {
            tx.call = Some(call);
        }
        self.reply(now, &key, 100, |_| {});
        self.dialogs.insert(dialog_key(&call_id, &local_tag), call);
        let caller_proof = CallerProof::of(&candidates);
        let incoming = IncomingInvite {
            call,
            candidates,
            request_uri: request.uri.clone(),
            from,
            to,
            sip_call_id: call_id.clone(),
            sdp: (!request.body.is_empty()).then(|| request.body.clone()),
            source,
            transport,
            headers: informational_headers(&request.headers),
        };
        let cseq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let peer_updates = super::uac::allows_update(&request.headers);
        let state = SipSessionState::IncomingRinging { tx: key, remote_cseq: cseq, request: Box::new(request) };
        let mut session = SipSession {
            source: Some((transport, source)),
            invited_from: Some(source.ip()),
            caller_proof,
            peer_updates,
            ..SipSession::new(state, call_id, local_tag, transport)
        };
        let incoming = Box::new(incoming);
        let event = match replaces {
            // It uses the trunk of the replaced call.
            Some((replaced, trunk)) => {
                let accept_refer = self.trunks.accept_refer(&trunk);
                session.assign_trunk(trunk, accept_refer);
                SipEvent::ReplacesReceived { call: replaced, by: incoming }
            }
            None => SipEvent::Incoming(incoming),
        };
        self.add_session(call, session);
        self.unattended.push_back((now, call));
        self.events.push_back(event);
    }

    /// Marks the call as attended.
    pub fn mark_attended(&mut self, call: CallId) -> Result<(), SipCommandError> {
        self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?.attended = true;
        Ok(())
    }

    /// 180, or 183 with an early answer. Sent reliably where the caller wants that.
    pub fn send_provisional(
        &mut self, now: Instant, call: CallId, status: u16, sdp: Option<Vec<u8>>,
    ) -> Result<(), SipCommandError> {
        let key = self.ringing_transaction(call)?;
        let Some(session) = self.sessions.get_mut(&call) else { return Err(SipCommandError::UnknownCall) };
        session.attended = true;
        let SipSessionState::IncomingRinging { request, .. } = &session.state else {
            return Err(SipCommandError::WrongState);
        };
        // Our offer is sent in the 200, not in a provisional response.
        let sdp = sdp.filter(|_| !request.body.is_empty());
        if Self::must_send_reliably(request, status, sdp.as_ref()) {
            self.send_reliably(now, call, &key, status, sdp);
        } else if let Some(response) = self.build_provisional(call, &key, status, sdp) {
            self.respond(now, &key, &response);
        }
        Ok(())
    }

    pub(super) fn build_provisional(
        &self, call: CallId, key: &Arc<str>, status: u16, sdp: Option<Vec<u8>>,
    ) -> Option<Response> {
        let (tx, session) = (self.servers.get(key)?, self.sessions.get(&call)?);
        let SipSessionState::IncomingRinging { request, .. } = &session.state else { return None };
        let mut response = Response::to_request(&tx.headers, status, Some(&session.local_tag));
        for route in tx.headers.all(&HeaderName::RecordRoute) {
            response.headers.push(HeaderName::RecordRoute, route);
        }
        response.headers.push(HeaderName::Contact, self.contact_for(session.source, request.uri.user.as_deref()));
        response.headers.push(HeaderName::Allow, ALLOW);
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        attach_sdp(&mut response, sdp);
        Some(response)
    }

    /// Accepts the call with an SDP answer, or an offer when the INVITE had none.
    pub fn answer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), SipCommandError> {
        let key = self.ringing_transaction(call)?;
        let Some(sdp) = self.defer_answer_for_prack(call, sdp) else { return Ok(()) };
        let record_routes: Vec<String> = self
            .servers
            .get(&key)
            .map(|tx| tx.headers.all(&HeaderName::RecordRoute).map(str::to_owned).collect())
            .unwrap_or_default();
        let Some(session) = self.sessions.get_mut(&call) else { return Err(SipCommandError::UnknownCall) };
        let SipSessionState::IncomingRinging { request, remote_cseq, .. } = &session.state else {
            return Err(SipCommandError::WrongState);
        };
        let Some(mut dialog) = Dialog::from_request(request, &session.local_tag) else {
            return Err(SipCommandError::WrongState);
        };
        dialog.accept_cseq(*remote_cseq);
        let cseq = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let (headers, user) = (request.headers.clone(), request.uri.user.clone());
        session.state =
            SipSessionState::AwaitingAck { tx: key.clone(), cseq, dialog: Box::new(dialog), hang_up: false };
        session.reliable = None;
        session.local_sdp.clone_from(&sdp);
        let source = session.source;
        let contact = self.contact_for(source, user.as_deref());
        let agreed = self.negotiate_session_timer(now, call, &headers);
        self.reply(now, &key, 200, |response| {
            for route in record_routes {
                response.headers.push(HeaderName::RecordRoute, route);
            }
            response.headers.push(HeaderName::Contact, contact);
            response.headers.push(HeaderName::Allow, ALLOW);
            response.headers.push(HeaderName::Supported, SUPPORTED);
            response.headers.extend(agreed);
            attach_sdp(response, Some(sdp));
        });
        Ok(())
    }

    /// Refuses the call; the end is reported as local.
    pub fn reject(
        &mut self, now: Instant, call: CallId, status: u16, retry_after_s: Option<u32>,
    ) -> Result<(), SipCommandError> {
        let key = self.ringing_transaction(call)?;
        self.reply(now, &key, status, |response| {
            response.headers.push(HeaderName::Reason, format!("Q.850;cause={}", reason::status_to_q850(status)));
            if let Some(after) = retry_after_s {
                response.headers.push(HeaderName::RetryAfter, after.to_string());
            }
        });
        self.record_end(now, call, EndCause::LocalHangUp);
        self.remove_session(now, call);
        Ok(())
    }

    fn ringing_transaction(&self, call: CallId) -> Result<Arc<str>, SipCommandError> {
        let session = self.sessions.get(&call).ok_or(SipCommandError::UnknownCall)?;
        match &session.state {
            SipSessionState::IncomingRinging { tx, .. } => Ok(tx.clone()),
            _ => Err(SipCommandError::WrongState),
        }
    }

    /// CANCEL: 200 for itself, 487 for the INVITE if that is still open (section 9.2). A CANCEL that
    /// crosses our 200 changes nothing: the caller hangs up with BYE.
    pub(super) fn handle_cancel(
        &mut self, now: Instant, transport: Transport, reply_to: SocketAddr, key: &Arc<str>, request: &Request,
    ) {
        let invite = Request { method: Method::Invite, ..request.clone() };
        let found = server_key(&invite).filter(|invite| self.servers.contains_key(invite));
        let Some(invite_key) = found else {
            return self.reject_stateless(transport, reply_to, &request.headers, 481, |_| {});
        };
        self.open_server(now, key, transport, reply_to, request, None);
        let call = self.servers.get(&invite_key).and_then(|tx| tx.call);
        if let Some(tx) = self.servers.get_mut(key) {
            tx.call = call; // same To tag as the INVITE's answers
        }
        self.reply(now, key, 200, |_| {});
        let open = self
            .servers
            .get(&invite_key)
            .is_some_and(|tx| matches!(&tx.machine, ServerTransactionKind::Invite(machine) if machine.is_proceeding()));
        if !open {
            return;
        }
        self.reply(now, &invite_key, 487, |_| {});
        let Some(call) = call else { return };
        match self.sessions.get_mut(&call).map(|session| &mut session.state) {
            Some(SipSessionState::IncomingRinging { .. }) => {
                self.record_end(
                    now,
                    call,
                    EndCause::RemoteCancel { reason_header: Reason::from_headers(&request.headers) },
                );
                self.remove_session(now, call);
            }
            // A cancelled re-INVITE leaves the dialog as it was.
            Some(_) => {
                if let Some(session) = self.sessions.get_mut(&call) {
                    session.remote_offer.take_if(|offer| offer.key == invite_key);
                }
            }
            None => {}
        }
    }

    /// The ACK of a 2xx is a separate transaction and is found by its dialog; `call` is set if the branch of the INVITE
    /// matched.
    pub(super) fn handle_dialog_ack(
        &mut self, now: Instant, source: SocketAddr, request: &Request, call: Option<CallId>,
    ) {
        let headers = &request.headers;
        let by_dialog = headers.to_tag().and_then(|tag| self.dialogs.get(&dialog_key(headers.call_id(), tag))).copied();
        if let Some(call) = by_dialog {
            self.trust_if_tag_received(now, call, source.ip());
        }
        let Some(call) = by_dialog.or(call) else { return };
        let sdp = (!request.body.is_empty()).then(|| request.body.clone());
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let number = headers.cseq().map(|cseq| cseq.number);
        let is_peers = |dialog: &Dialog| {
            dialog.remote_tag.is_empty() || headers.from_tag().is_none_or(|tag| tag == dialog.remote_tag)
        };
        match &session.state {
            SipSessionState::AwaitingAck { tx, cseq, dialog, hang_up } if number == Some(*cseq) && is_peers(dialog) => {
                let (key, dialog, hang_up) = (tx.clone(), dialog.clone(), *hang_up);
                session.state = SipSessionState::Established { dialog, ack: None };
                self.handle_ack_received(now, &key);
                if hang_up {
                    let _ = self.hang_up(now, call);
                } else {
                    self.events.push_back(SipEvent::Acknowledged { call, sdp });
                }
            }
            SipSessionState::Established { dialog, .. } if is_peers(dialog) => {
                let acknowledged = |offer: &mut RemoteOffer| offer.is_accepted && number == Some(offer.cseq);
                if let Some(offer) = session.remote_offer.take_if(acknowledged) {
                    self.handle_ack_received(now, &offer.key);
                    if sdp.is_some() {
                        self.events.push_back(SipEvent::Acknowledged { call, sdp });
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn handle_ack_received(&mut self, now: Instant, key: &Arc<str>) {
        if let Some(tx) = self.servers.get_mut(key)
            && let ServerTransactionKind::Invite(machine) = &mut tx.machine
        {
            machine.handle_ack(now);
            self.arm_server(key);
        }
    }

    /// Timer H or L without an ACK: for a first 200 the call is over and gets a BYE (section 13.3.1.4).
    pub(super) fn handle_missing_ack(&mut self, now: Instant, call: CallId, key: &Arc<str>) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        match &session.state {
            SipSessionState::AwaitingAck { tx, dialog, .. } if tx == key => {
                let dialog = dialog.clone();
                session.state = SipSessionState::Established { dialog, ack: None };
            }
            SipSessionState::Established { .. }
                if session.remote_offer.as_ref().is_some_and(|offer| offer.is_accepted && offer.key == *key) => {}
            _ => return,
        }
        self.record_end(now, call, EndCause::NotAcknowledged);
        let _ = self.hang_up(now, call);
    }
}

/// Headers passed to the owner: identity, diversion, custom headers.
fn informational_headers(headers: &Headers) -> Headers {
    let kept = |name: &HeaderName| match name {
        HeaderName::PAssertedIdentity | HeaderName::Privacy | HeaderName::Diversion | HeaderName::Identity => true,
        HeaderName::Subject | HeaderName::ReferredBy | HeaderName::UserAgent | HeaderName::Date => true,
        HeaderName::Other(name) => {
            let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix));
            starts("X-")
                || starts("P-")
                || ["History-Info", "User-to-User", "Remote-Party-ID"].iter().any(|n| starts(n))
        }
        _ => false,
    };
    headers.iter().filter(|header| kept(&header.name)).cloned().collect::<Vec<_>>().into()
}

pub(super) fn attach_sdp(response: &mut Response, sdp: Option<Vec<u8>>) {
    if let Some(sdp) = sdp {
        response.headers.push(HeaderName::ContentType, "application/sdp");
        response.body = sdp;
    }
}
