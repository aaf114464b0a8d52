//! Requests inside a dialog, theirs and ours (RFC 3261 sections 12.2, 14, 15; RFC 3311; RFC 6086).

use super::launch::Outbound;
use super::receive::{allow, capabilities, unsupported};
use super::uas::attach_sdp;
use super::{CallId, Endpoint, Event, Refusal, SUPPORTED, SessionState, Transport};
use crate::sip::dialog::Outgoing;
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Headers, Method, Request};
use crate::sip::reason::Reason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Endpoint {
    pub(super) fn handle_dialog_request(
        &mut self, now: Instant, transport: Transport, source: SocketAddr, reply_to: SocketAddr, key: Arc<str>,
        call: CallId, request: Request,
    ) {
        self.open_server(&key, transport, reply_to, &request, None);
        if let Some(tx) = self.servers.get_mut(&key) {
            tx.call = Some(call);
        }
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let number = request.headers.cseq().map_or(0, |c| c.number);
        if let SessionState::Established { dialog, .. } | SessionState::AwaitingAck { dialog, .. } = &mut session.state
        {
            // Another fork of the same call, or a guess. Who has no tag is from before RFC 3261.
            let tag = request.headers.from_tag().unwrap_or("");
            if !dialog.remote_tag.is_empty() && tag != dialog.remote_tag {
                self.reply(now, &key, 481, |_| {});
                return;
            }
            if !dialog.accept_cseq(number) {
                self.reply(now, &key, 500, |response| response.reason = "CSeq out of order".to_owned());
                return;
            }
        }
        session.source = Some((transport, source));
        match &request.method {
            Method::Bye => self.handle_bye(now, call, &key, Reason::of(&request.headers)),
            Method::Invite | Method::Update => self.handle_reoffer(now, call, key, request),
            Method::Info => self.handle_info(now, call, &key, request),
            Method::Notify => self.handle_notify(now, call, &key, &request),
            Method::Options => {
                self.reply(now, &key, 200, capabilities);
            }
            Method::Prack => self.handle_prack(now, call, key, request),
            Method::Refer => self.handle_refer(now, call, key, &request),
            Method::Unknown(_) => {
                self.reply(now, &key, 501, allow);
            }
            _ => {
                self.reply(now, &key, 405, allow);
            }
        }
    }

    fn handle_bye(&mut self, now: Instant, call: CallId, key: &Arc<str>, why: Option<Reason>) {
        // Before the answer the callee refuses, it does not hang up (section 15): our INVITE is still open.
        if matches!(self.sessions.get(&call).map(|session| &session.state), Some(SessionState::Calling(_))) {
            self.reply(now, key, 481, |_| {});
            return;
        }
        self.reply(now, key, 200, |_| {});
        // A BYE in the early dialog also ends the INVITE (section 15.1.2).
        let ringing = match self.sessions.get(&call).map(|session| &session.state) {
            Some(SessionState::Ringing { tx, .. }) => Some(tx.clone()),
            _ => None,
        };
        if let Some(tx) = ringing {
            self.reply(now, &tx, 487, |_| {});
        }
        self.end(call, Cause::RemoteBye { why });
        self.remove_session(call);
    }

    fn handle_info(&mut self, now: Instant, call: CallId, key: &Arc<str>, request: Request) {
        self.reply(now, key, 200, |_| {});
        let content_type = request.headers.get(&HeaderName::ContentType).unwrap_or("").to_owned();
        if !request.body.is_empty() {
            self.events.push_back(Event::Info { call, content_type, body: request.body });
        }
    }

    fn handle_reoffer(&mut self, now: Instant, call: CallId, key: Arc<str>, request: Request) {
        let is_invite = request.method == Method::Invite;
        if let Some(unknown) = unsupported(&request.headers) {
            self.reply(now, &key, 420, |response| response.headers.push(HeaderName::Unsupported, unknown));
            return;
        }
        let offers = is_invite || !request.body.is_empty();
        if offers && self.is_offering(call) {
            self.reply(now, &key, 491, |_| {});
            return;
        }
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let source = session.source;
        match &mut session.state {
            SessionState::Established { dialog, reoffer, .. } if reoffer.is_none() => {
                dialog.refresh_target(&request.headers);
                if !offers {
                    // UPDATE without an offer only refreshes (RFC 3311 section 5.2).
                    let contact = self.contact_for(source, None);
                    self.accept_reoffer(now, call, &key, &request.headers, contact, None);
                    return;
                }
                *reoffer = Some(key.clone());
                if is_invite {
                    self.reply(now, &key, 100, |_| {});
                }
                if let Some(tx) = self.servers.get_mut(&key) {
                    tx.offer = Some(timer_headers(&request.headers));
                }
                let sdp = (!request.body.is_empty()).then_some(request.body);
                self.events.push_back(Event::Reoffer { call, sdp });
            }
            // An UPDATE before the answer (RFC 3311 section 5.1).
            SessionState::Calling(_) | SessionState::Ringing { .. }
                if !is_invite && session.early_reoffer.is_none() =>
            {
                if !offers {
                    let contact = self.contact_for(source, None);
                    self.reply(now, &key, 200, |response| response.headers.push(HeaderName::Contact, contact));
                } else {
                    session.early_reoffer = Some(key);
                    self.events.push_back(Event::Reoffer { call, sdp: Some(request.body) });
                }
            }
            SessionState::Calling(_) => {
                self.reply(now, &key, 491, |_| {});
            }
            // An offer while another one is open (section 14.2, RFC 3311 section 5.2).
            _ => {
                self.reply(now, &key, 500, |response| response.headers.push(HeaderName::RetryAfter, "2"));
            }
        }
    }

    fn accept_reoffer(
        &mut self, now: Instant, call: CallId, key: &Arc<str>, request: &Headers, contact: String, sdp: Option<Vec<u8>>,
    ) {
        let agreed = self.agree_on_timer(now, call, request);
        self.reply(now, key, 200, |response| {
            response.headers.push(HeaderName::Contact, contact);
            allow(response);
            response.headers.push(HeaderName::Supported, SUPPORTED);
            response.headers.extend(agreed);
            attach_sdp(response, sdp);
        });
    }

    /// Answers a re-INVITE or UPDATE; `None` refuses it with 488 and leaves the media as it was.
    pub fn answer_reoffer(&mut self, now: Instant, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        let contact_source = session.source;
        let key = match &mut session.state {
            SessionState::Established { reoffer, .. } => {
                let key = reoffer.clone().ok_or(Refusal::WrongState)?;
                if sdp.is_none() || !key.ends_with("|INVITE") {
                    *reoffer = None; // only an accepted INVITE has an ACK to wait for
                }
                key
            }
            _ => session.early_reoffer.take().ok_or(Refusal::WrongState)?,
        };
        let Some(sdp) = sdp else {
            self.reply(now, &key, 488, |_| {});
            return Ok(());
        };
        session.local_sdp.clone_from(&sdp);
        let request = self.servers.get_mut(&key).and_then(|tx| tx.offer.take()).unwrap_or_default();
        let contact = self.contact_for(contact_source, None);
        self.accept_reoffer(now, call, &key, &request, contact, Some(sdp));
        Ok(())
    }

    /// INFO with a body, `application/dtmf-relay` for digits.
    pub fn info(&mut self, now: Instant, call: CallId, content_type: &str, body: Vec<u8>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        let SessionState::Established { dialog, .. } = &mut session.state else { return Err(Refusal::WrongState) };
        let mut outgoing = dialog.request(Method::Info);
        outgoing.request.headers.push(HeaderName::ContentType, content_type);
        outgoing.request.body = body;
        self.send_in_dialog(now, call, outgoing);
        Ok(())
    }

    pub(super) fn send_in_dialog(&mut self, now: Instant, call: CallId, outgoing: Outgoing) {
        let Outgoing { mut request, next_hop } = outgoing;
        let Some(session) = self.sessions.get(&call) else { return };
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let way = self.next_hop(&next_hop, routed, session.transport, session.source);
        request.headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let contact = (request.method != Method::Bye).then_some(None);
        self.authorize(call, &mut request);
        self.launch(now, Outbound { request, call: Some(call), auth_attempts: 0, contact, way, why: None });
    }
}

/// What the answer to an offer has to know of its request later.
fn timer_headers(headers: &Headers) -> Headers {
    let kept = [HeaderName::Supported, HeaderName::SessionExpires];
    headers.iter().filter(|header| kept.contains(&header.name)).cloned().collect::<Vec<_>>().into()
}
