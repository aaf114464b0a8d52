//! Requests inside a dialog, theirs and ours (RFC 3261 sections 12.2, 15; RFC 6086).

use super::agent::UserAgent;
use super::event::{CallId, SipCommandError, SipEvent};
use super::outbound_request::{OutboundRequest, OwnContact};
use super::respond::{add_allow, add_capabilities};
use super::session::{DialogPath, SessionMode};
use crate::sip::dialog::DialogRequest;
use crate::sip::end_cause::EndCause;
use crate::sip::info_body::{self, InfoBody};
use crate::sip::message::{HeaderName, Method, Request};
use crate::sip::reason::Reason;
use crate::sip::transport::TransportAddress;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// A request inside a dialog. It is answered here, or its transaction is kept by the session (an offer, a REFER) for
    /// the owner to answer; one that neither of them answers is answered by its timer.
    pub(super) fn handle_dialog_request(
        &mut self, now: Instant, from: TransportAddress, key: &Arc<str>, call: CallId, request: Request,
    ) {
        let accepted = self.sessions.get_mut(call).map_or(Err(481), |session| session.accept_request(&request, from));
        if let Err(status) = accepted {
            self.reply(now, key, status, |response| {
                if status == 500 {
                    response.reason = "CSeq out of order".to_owned();
                }
            });
            return;
        }
        self.trust_if_tag_received(now, call, from.addr.ip());
        match &request.method {
            Method::Bye => self.handle_bye(now, call, key, Reason::from_headers(&request.headers)),
            Method::Invite | Method::Update => self.handle_reoffer(now, call, key.clone(), from, request),
            Method::Info => self.handle_info(now, call, key, &request),
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

    fn handle_bye(&mut self, now: Instant, call: CallId, key: &Arc<str>, why: Option<Reason>) {
        let unacknowledged = match self.sessions.get(call).map(|session| session.mode()) {
            // Before answering, a callee must reject the INVITE, not send BYE (section 15).
            Some(SessionMode::Inviting(_)) => {
                self.reply(now, key, 481, |_| {});
                return;
            }
            Some(SessionMode::AwaitingAck(waiting)) => Some(waiting.tx.clone()),
            _ => None,
        };
        self.reply(now, key, 200, |_| {});
        // Stop retransmitting the 200, because the peer has hung up. A BYE in the early dialog also ends the INVITE, by
        // 487 (section 15.1.2).
        if let Some(tx) = unacknowledged {
            self.handle_ack_received(now, &tx);
        }
        self.end_call(now, call, EndCause::RemoteBye { reason_header: why });
    }

    fn handle_info(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Request) {
        if request.headers.get(&HeaderName::InfoPackage).is_some() {
            // RFC 6086 section 4.2.2: we have asked for no package.
            self.reply(now, key, 469, |response| response.headers.push(HeaderName::RecvInfo, ""));
            return;
        }
        match InfoBody::of(&request.headers, &request.body) {
            InfoBody::Nothing => {
                self.reply(now, key, 200, |_| {});
            }
            InfoBody::Digits(digits) => {
                self.reply(now, key, 200, |_| {});
                let pressed = digits.chars().map(|digit| SipEvent::DigitReceived { call, digit });
                self.events.extend(pressed);
            }
            InfoBody::Malformed => {
                self.reply(now, key, 400, |response| response.reason = "No Digit in INFO".to_owned());
            }
            InfoBody::Unsupported => {
                self.reply(now, key, 415, |response| {
                    response.headers.push(HeaderName::Accept, info_body::ACCEPTED);
                    response.headers.push(HeaderName::AcceptEncoding, "identity");
                });
            }
        }
    }

    /// INFO with a body, `application/dtmf-relay` for digits.
    pub fn send_info(
        &mut self, now: Instant, call: CallId, content_type: &str, body: Vec<u8>,
    ) -> Result<(), SipCommandError> {
        let (mut outgoing, path) = self.new_dialog_request(call, Method::Info)?;
        outgoing.request.headers.push(HeaderName::ContentType, content_type);
        outgoing.request.body = body;
        self.send_in_dialog(now, call, outgoing, &path);
        Ok(())
    }

    /// The next request inside the dialog of an answered call, and how it travels.
    pub(super) fn new_dialog_request(
        &mut self, call: CallId, method: Method,
    ) -> Result<(DialogRequest, DialogPath), SipCommandError> {
        let session = self.sessions.get_mut(call).ok_or(SipCommandError::UnknownCall)?;
        let established = session.dialog_for_requests().ok_or(SipCommandError::WrongState)?;
        Ok((established.dialog.request(method), established.path))
    }

    pub(super) fn send_in_dialog(&mut self, now: Instant, call: CallId, outgoing: DialogRequest, path: &DialogPath) {
        let DialogRequest { mut request, next_hop } = outgoing;
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let route = self.dialog_route(&next_hop, routed, path);
        let Some(session) = self.sessions.get_mut(call) else { return };
        let is_covered = session.authenticator().is_some_and(|authenticator| authenticator.covers_route(&route));
        let route = route.with_authentication(is_covered);
        let user = session.ids.contact_user.clone();
        request.headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let contact = if request.method == Method::Bye { OwnContact::Absent } else { OwnContact::Present(user) };
        self.send_request(now, OutboundRequest::new(request, Some(call), contact, route));
    }
}
