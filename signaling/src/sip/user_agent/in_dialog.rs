//! Requests inside a dialog, theirs and ours (RFC 3261 sections 12.2, 14, 15; RFC 3311; RFC 6086).

use super::failover::OutboundRequest;
use super::receive::{add_allow, add_capabilities, unsupported};
use super::uas::attach_sdp;
use super::{CallId, SUPPORTED, SipCommandError, SipEvent, SipSessionState, Transport, UserAgent};
use crate::sip::dialog::DialogRequest;
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, Request};
use crate::sip::reason::Reason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// An offer of the peer that has no answer yet, or an answer of ours that waits for its ACK.
#[derive(Debug)]
pub(crate) struct RemoteOffer {
    /// Its server transaction.
    pub(super) key: Arc<str>,
    pub(super) cseq: u32,
    is_invite: bool,
    /// A re-INVITE that was accepted: its ACK is still to come.
    pub(super) is_accepted: bool,
    /// Headers needed for our answer.
    headers: Headers,
}

impl RemoteOffer {
    pub(super) fn of(key: Arc<str>, request: &Request) -> Self {
        Self {
            key,
            cseq: request.headers.cseq().map_or(0, |cseq| cseq.number),
            is_invite: request.method == Method::Invite,
            is_accepted: false,
            headers: timer_headers(&request.headers),
        }
    }
}

/// Decision about a remote offer.
enum OfferDecision {
    /// The owner decides.
    Deliver,
    /// Glare with our own offer (491).
    Glare,
    /// Another offer is open, or the first one is not answered for certain.
    Busy,
}

impl UserAgent {
    /// A request inside a dialog. It is answered here, or its transaction is kept by the session (`their_offer`,
    /// `refer`) for the owner to answer; one that neither of them answers is answered by its timer.
    pub(super) fn handle_dialog_request(
        &mut self, now: Instant, transport: Transport, source: SocketAddr, key: &Arc<str>, call: CallId,
        request: Request,
    ) {
        if let Some(tx) = self.servers.get_mut(key) {
            tx.call = Some(call);
        }
        if let Err(status) = self.accept_in_dialog(call, &request) {
            self.reply(now, key, status, |response| {
                if status == 500 {
                    response.reason = "CSeq out of order".to_owned();
                }
            });
            return;
        }
        self.trust_if_tag_received(now, call, source.ip());
        if let Some(session) = self.sessions.get_mut(&call) {
            session.source = Some((transport, source));
        }
        match &request.method {
            Method::Bye => self.handle_bye(now, call, key, Reason::from_headers(&request.headers)),
            Method::Invite | Method::Update => self.handle_reoffer(now, call, key.clone(), request),
            Method::Info => self.handle_info(now, call, key, request),
            Method::Notify => self.handle_notify(now, call, key, &request),
            Method::Options => {
                self.reply(now, key, 200, add_capabilities);
            }
            Method::Prack => self.handle_prack(now, call, key.clone(), request),
            Method::Refer => self.handle_refer(now, call, key.clone(), &request),
            Method::Unknown(_) => {
                self.reply(now, key, 501, add_allow);
            }
            _ => {
                self.reply(now, key, 405, add_allow);
            }
        }
    }

    /// Whether a request belongs to this dialog and comes in order: else the status of its answer.
    fn accept_in_dialog(&mut self, call: CallId, request: &Request) -> Result<(), u16> {
        let Some(session) = self.sessions.get_mut(&call) else { return Err(481) };
        let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        let tag = request.headers.from_tag().unwrap_or("");
        // Another fork of the same call, or a guessed tag. Peers without a tag predate RFC 3261.
        let is_stranger = |theirs: &str| !theirs.is_empty() && tag != theirs;
        let in_order = match &mut session.state {
            SipSessionState::Established { dialog, .. } | SipSessionState::AwaitingAck { dialog, .. } => {
                if is_stranger(&dialog.remote_tag) {
                    return Err(481);
                }
                dialog.accept_cseq(number)
            }
            SipSessionState::IncomingRinging { request: invite, remote_cseq, .. } => {
                if is_stranger(invite.headers.from_tag().unwrap_or("")) {
                    return Err(481);
                }
                let in_order = number > *remote_cseq;
                *remote_cseq = number.max(*remote_cseq);
                in_order
            }
            SipSessionState::OutgoingPending(_) => {
                let early = session.early_dialogs.iter_mut().find(|early| early.dialog.remote_tag == tag);
                early.ok_or(481_u16)?.dialog.accept_cseq(number)
            }
            // Only a crossing BYE is accepted; otherwise the dialog is gone.
            SipSessionState::ByeSent if request.method == Method::Bye => true,
            SipSessionState::ByeSent | SipSessionState::OptionsPending(_) | SipSessionState::Registering(_) => {
                return Err(481);
            }
        };
        if in_order { Ok(()) } else { Err(500) }
    }

    fn handle_bye(&mut self, now: Instant, call: CallId, key: &Arc<str>, why: Option<Reason>) {
        // Before answering, a callee must reject the INVITE, not send BYE (section 15).
        if matches!(self.sessions.get(&call).map(|session| &session.state), Some(SipSessionState::OutgoingPending(_))) {
            self.reply(now, key, 481, |_| {});
            return;
        }
        self.reply(now, key, 200, |_| {});
        // Stop retransmitting the 200, because the peer has hung up. A BYE in the early dialog also ends the INVITE, by
        // 487 (section 15.1.2).
        let unacknowledged = match self.sessions.get(&call).map(|session| &session.state) {
            Some(SipSessionState::AwaitingAck { tx, .. }) => Some(tx.clone()),
            _ => None,
        };
        if let Some(tx) = unacknowledged {
            self.handle_ack_received(now, &tx);
        }
        self.record_end(now, call, EndCause::RemoteBye { reason_header: why });
        self.remove_session(now, call);
    }

    fn handle_info(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: Request) {
        self.reply(now, key, 200, |_| {});
        let content_type = request.headers.get(&HeaderName::ContentType).unwrap_or("").to_owned();
        if !request.body.is_empty() {
            self.events.push_back(SipEvent::InfoReceived { call, content_type, body: request.body });
        }
    }

    fn handle_reoffer(&mut self, now: Instant, call: CallId, key: Arc<str>, request: Request) {
        let is_invite = request.method == Method::Invite;
        if let Some(unknown) = unsupported(&request.headers) {
            self.reply(now, &key, 420, |response| response.headers.push(HeaderName::Unsupported, unknown));
            return;
        }
        if !is_invite && request.body.is_empty() {
            return self.handle_update_without_offer(now, call, &key, &request);
        }
        match self.decide_on_offer(call, &request) {
            OfferDecision::Glare => {
                self.reply(now, &key, 491, |_| {});
            }
            OfferDecision::Busy => self.reject_overlapping_offer(now, &key),
            OfferDecision::Deliver => {
                if is_invite {
                    self.reply(now, &key, 100, |_| {});
                }
                let Some(session) = self.sessions.get_mut(&call) else { return };
                if let SipSessionState::Established { dialog, .. } = &mut session.state {
                    dialog.refresh_target(&request.headers);
                }
                session.remote_offer = Some(RemoteOffer::of(key, &request));
                let remote_tag = request.headers.from_tag().unwrap_or("").to_owned();
                let sdp = (!request.body.is_empty()).then_some(request.body);
                self.events.push_back(SipEvent::ReofferReceived { call, sdp, remote_tag });
            }
        }
    }

    /// An UPDATE without an offer only refreshes (RFC 3311 section 5.2).
    fn handle_update_without_offer(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Request) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let source = session.source;
        let is_established = match &mut session.state {
            SipSessionState::Established { dialog, .. } => {
                dialog.refresh_target(&request.headers);
                true
            }
            _ => false,
        };
        let contact = self.contact_for(source, None);
        if is_established {
            self.accept_reoffer(now, call, key, &request.headers, contact, None);
        } else {
            self.reply(now, key, 200, |response| response.headers.push(HeaderName::Contact, contact));
        }
    }

    /// RFC 3261 section 14.2, RFC 3311 section 5.2, RFC 6337 section 2.2.
    fn decide_on_offer(&self, call: CallId, request: &Request) -> OfferDecision {
        let Some(session) = self.sessions.get(&call) else { return OfferDecision::Busy };
        if self.is_offering(call) {
            return OfferDecision::Glare;
        }
        if session.remote_offer.is_some() {
            return OfferDecision::Busy;
        }
        let is_update = request.method == Method::Update;
        match &session.state {
            SipSessionState::Established { .. } => OfferDecision::Deliver,
            // The offer of its INVITE comes first, until it has acknowledged our answer to that one.
            SipSessionState::IncomingRinging { .. } => {
                let is_answered = session.reliable.as_ref().is_some_and(|reliable| reliable.is_answered());
                if is_update && is_answered { OfferDecision::Deliver } else { OfferDecision::Busy }
            }
            // Ours comes first, until this fork has answered it.
            SipSessionState::OutgoingPending(_) => {
                let tag = request.headers.from_tag().unwrap_or("");
                let early = session.early_dialogs.iter().find(|early| early.dialog.remote_tag == tag);
                let has_answered = early.is_some_and(|early| early.has_answered);
                if is_update && has_answered { OfferDecision::Deliver } else { OfferDecision::Glare }
            }
            _ => OfferDecision::Busy,
        }
    }

    /// An offer while another one is open: rejected with a random Retry-After.
    pub(super) fn reject_overlapping_offer(&mut self, now: Instant, key: &Arc<str>) {
        let after_s = self.tokens.number() % 11;
        self.reply(now, key, 500, |response| response.headers.push(HeaderName::RetryAfter, after_s.to_string()));
    }

    fn accept_reoffer(
        &mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Headers, contact: String, sdp: Option<Vec<u8>>,
    ) {
        let agreed = self.negotiate_session_timer(now, call, request);
        self.reply(now, key, 200, |response| {
            response.headers.push(HeaderName::Contact, contact);
            add_allow(response);
            response.headers.push(HeaderName::Supported, SUPPORTED);
            response.headers.extend(agreed);
            attach_sdp(response, sdp);
        });
    }

    /// Answers a re-INVITE or UPDATE; `None` refuses it with 488 and leaves the media as it was.
    pub fn answer_reoffer(&mut self, now: Instant, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        let source = session.source;
        let offer =
            session.remote_offer.as_mut().filter(|offer| !offer.is_accepted).ok_or(SipCommandError::WrongState)?;
        let (key, headers) = (offer.key.clone(), std::mem::take(&mut offer.headers));
        offer.is_accepted = true;
        // Only an accepted INVITE has an ACK to wait for.
        if sdp.is_none() || !offer.is_invite {
            session.remote_offer = None;
        }
        let Some(sdp) = sdp else {
            self.reply(now, &key, 488, |_| {});
            return Ok(());
        };
        session.local_sdp.clone_from(&sdp);
        let contact = self.contact_for(source, None);
        self.accept_reoffer(now, call, &key, &headers, contact, Some(sdp));
        Ok(())
    }

    /// INFO with a body, `application/dtmf-relay` for digits.
    pub fn send_info(
        &mut self, now: Instant, call: CallId, content_type: &str, body: Vec<u8>,
    ) -> Result<(), SipCommandError> {
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        let SipSessionState::Established { dialog, .. } = &mut session.state else {
            return Err(SipCommandError::WrongState);
        };
        let mut outgoing = dialog.request(Method::Info);
        outgoing.request.headers.push(HeaderName::ContentType, content_type);
        outgoing.request.body = body;
        self.send_in_dialog(now, call, outgoing);
        Ok(())
    }

    pub(super) fn send_in_dialog(&mut self, now: Instant, call: CallId, outgoing: DialogRequest) {
        let DialogRequest { mut request, next_hop } = outgoing;
        let Some(session) = self.sessions.get(&call) else { return };
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let route = self.next_hop(&next_hop, routed, session.transport, session.source, session.peer);
        let may_authenticate = session.authenticator.covers_route(&route);
        let route = route.with_authentication(may_authenticate);
        request.headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let contact = (request.method != Method::Bye).then_some(None);
        if may_authenticate {
            self.add_authorization(call, &mut request);
        }
        self.send_request(
            now,
            OutboundRequest { request, call: Some(call), auth_attempts: 0, repeats: 0, contact, route, failure: None },
        );
    }
}

/// What the answer to an offer has to know of its request later.
fn timer_headers(headers: &Headers) -> Headers {
    let kept = [HeaderName::Supported, HeaderName::SessionExpires];
    headers.iter().filter(|header| kept.contains(&header.name)).cloned().collect::<Vec<_>>().into()
}
