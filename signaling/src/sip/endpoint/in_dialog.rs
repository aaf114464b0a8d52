//! Requests inside a dialog, theirs and ours (RFC 3261 sections 12.2, 14, 15; RFC 3311; RFC 6086).

use super::receive::{allow, capabilities};
use super::uas::attach_sdp;
use super::{CallId, Endpoint, Event, Refusal, SessionState, Transport};
use crate::sip::dialog::Outgoing;
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Method, Request};
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
        session.source = Some((transport, source));
        let number = request.headers.cseq().map_or(0, |c| c.number);
        if let SessionState::Established { dialog, .. } | SessionState::AwaitingAck { dialog, .. } = &mut session.state
            && !dialog.accept_cseq(number)
        {
            self.reply(now, &key, 500, |response| response.reason = "CSeq out of order".to_owned());
            return;
        }
        match &request.method {
            Method::Bye => self.handle_bye(now, call, &key),
            Method::Invite | Method::Update => self.handle_reoffer(now, call, key, request),
            Method::Info => self.handle_info(now, call, &key, request),
            Method::Notify => self.handle_notify(now, call, &key, &request),
            Method::Options => {
                self.reply(now, &key, 200, capabilities);
            }
            Method::Prack => {
                self.reply(now, &key, 481, |_| {});
            }
            Method::Unknown(_) => {
                self.reply(now, &key, 501, allow);
            }
            _ => {
                self.reply(now, &key, 405, allow);
            }
        }
    }

    fn handle_bye(&mut self, now: Instant, call: CallId, key: &Arc<str>) {
        self.reply(now, key, 200, |_| {});
        // A BYE in the early dialog also ends the INVITE (section 15.1.2).
        let ringing = match self.sessions.get(&call).map(|session| &session.state) {
            Some(SessionState::Ringing { tx, .. }) => Some(tx.clone()),
            _ => None,
        };
        if let Some(tx) = ringing {
            self.reply(now, &tx, 487, |_| {});
        }
        self.end(call, Cause::RemoteBye);
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
        let required: Vec<String> = request.headers.list(&HeaderName::Require).map(str::to_owned).collect();
        if !required.is_empty() {
            self.reply(now, &key, 420, |response| response.headers.push(HeaderName::Unsupported, required.join(", ")));
            return;
        }
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let transport = session.transport;
        match &mut session.state {
            SessionState::Established { dialog, reoffer, .. } if reoffer.is_none() => {
                dialog.refresh_target(&request.headers);
                if !is_invite && request.body.is_empty() {
                    // UPDATE without an offer only refreshes (RFC 3311 section 5.2).
                    let contact = self.contact(transport, None);
                    self.reply(now, &key, 200, |response| response.headers.push(HeaderName::Contact, contact));
                    return;
                }
                *reoffer = Some(key.clone());
                if is_invite {
                    self.reply(now, &key, 100, |_| {});
                }
                let sdp = (!request.body.is_empty()).then_some(request.body);
                self.events.push_back(Event::Reoffer { call, sdp });
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

    /// Answers a re-INVITE or UPDATE; `None` refuses it with 488 and leaves the media as it was.
    pub fn answer_reoffer(&mut self, now: Instant, call: CallId, sdp: Option<Vec<u8>>) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        let transport = session.transport;
        let SessionState::Established { reoffer, .. } = &mut session.state else { return Err(Refusal::WrongState) };
        let key = reoffer.clone().ok_or(Refusal::WrongState)?;
        let is_invite = key.ends_with("|INVITE");
        let Some(sdp) = sdp else {
            *reoffer = None;
            self.reply(now, &key, 488, |_| {});
            return Ok(());
        };
        if !is_invite {
            *reoffer = None; // an UPDATE has no ACK
        }
        let contact = self.contact(transport, None);
        self.reply(now, &key, 200, |response| {
            response.headers.push(HeaderName::Contact, contact);
            allow(response);
            attach_sdp(response, Some(sdp));
        });
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
        let hop = self.next_hop(&next_hop, routed, session.transport, session.source);
        let contact = self.contact(hop.0, None);
        if request.method != Method::Bye {
            request.headers.push(HeaderName::Contact, contact);
        }
        request.headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        self.authorize(call, &mut request);
        let branch = self.push_via(&mut request, hop.0);
        self.start_client(now, request, &branch, hop, Some(call), 0);
    }
}
