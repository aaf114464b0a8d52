//! Calls that come in: ringing, answering, refusing, and the peer's CANCEL.

use super::receive::server_key;
use super::transactions::ServerMachine;
use super::{
    ALLOW, CallId, Endpoint, Event, Incoming, Refusal, SUPPORTED, Session, SessionState, Transport, dialog_key,
};
use crate::sip::dialog::Dialog;
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response};
use crate::sip::reason::{self, Reason};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl Endpoint {
    pub(super) fn incoming(
        &mut self, now: Instant, transport: Transport, source: SocketAddr, key: Arc<str>, request: Request,
        trunks: Vec<Arc<str>>, replaces: Option<CallId>,
    ) {
        let (Some(Ok(from)), Some(Ok(to))) = (request.headers.from(), request.headers.to()) else {
            // A From or To of a scheme we cannot call back is of no use to an agent.
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
        let accept_refer = self.may_refer(&trunks);
        let incoming = Incoming {
            call,
            trunks,
            request_uri: request.uri.clone(),
            from,
            to,
            sip_call_id: call_id.clone(),
            sdp: (!request.body.is_empty()).then(|| request.body.clone()),
            source,
            transport,
            headers: described(&request.headers),
        };
        let peer_updates = super::uac::allows_update(&request.headers);
        let state = SessionState::Ringing { tx: key, request: Box::new(request) };
        let session = Session {
            source: Some((transport, source)),
            accept_refer,
            peer_updates,
            ..Session::new(state, call_id, local_tag, transport)
        };
        self.sessions.insert(call, session);
        self.unattended.push_back((now, call));
        let incoming = Box::new(incoming);
        self.events.push_back(match replaces {
            Some(call) => Event::Replaced { call, by: incoming },
            None => Event::Incoming(incoming),
        });
    }

    /// 180, or 183 with an early answer. Sent reliably where the caller wants that.
    pub fn progress(&mut self, now: Instant, call: CallId, status: u16, sdp: Option<Vec<u8>>) -> Result<(), Refusal> {
        let key = self.ringing(call)?;
        let Some(session) = self.sessions.get_mut(&call) else { return Err(Refusal::UnknownCall) };
        session.attended = true;
        let SessionState::Ringing { request, .. } = &session.state else { return Err(Refusal::WrongState) };
        // Our offer goes out with the 200: not before it is known that the caller will acknowledge it.
        let sdp = sdp.filter(|_| !request.body.is_empty());
        if Self::wants_reliable(request, status, sdp.as_ref()) {
            self.send_reliably(now, call, &key, status, sdp);
        } else if let Some(response) = self.provisional(call, &key, status, sdp) {
            self.respond(now, &key, &response);
        }
        Ok(())
    }

    pub(super) fn provisional(
        &self, call: CallId, key: &Arc<str>, status: u16, sdp: Option<Vec<u8>>,
    ) -> Option<Response> {
        let (tx, session) = (self.servers.get(key)?, self.sessions.get(&call)?);
        let SessionState::Ringing { request, .. } = &session.state else { return None };
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
    pub fn answer(&mut self, now: Instant, call: CallId, sdp: Vec<u8>) -> Result<(), Refusal> {
        let key = self.ringing(call)?;
        let Some(sdp) = self.answer_waits(call, sdp) else { return Ok(()) };
        let record_routes: Vec<String> = self
            .servers
            .get(&key)
            .map(|tx| tx.headers.all(&HeaderName::RecordRoute).map(str::to_owned).collect())
            .unwrap_or_default();
        let Some(session) = self.sessions.get_mut(&call) else { return Err(Refusal::UnknownCall) };
        let SessionState::Ringing { request, .. } = &session.state else { return Err(Refusal::WrongState) };
        let Some(dialog) = Dialog::from_request(request, &session.local_tag) else { return Err(Refusal::WrongState) };
        let (headers, user) = (request.headers.clone(), request.uri.user.clone());
        session.state = SessionState::AwaitingAck { tx: key.clone(), dialog: Box::new(dialog), hang_up: false };
        session.reliable = None;
        session.local_sdp.clone_from(&sdp);
        let source = session.source;
        let contact = self.contact_for(source, user.as_deref());
        let agreed = self.agree_on_timer(now, call, &headers);
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
    ) -> Result<(), Refusal> {
        let key = self.ringing(call)?;
        self.reply(now, &key, status, |response| {
            response.headers.push(HeaderName::Reason, format!("Q.850;cause={}", reason::q850_of_status(status)));
            if let Some(after) = retry_after_s {
                response.headers.push(HeaderName::RetryAfter, after.to_string());
            }
        });
        self.end(call, Cause::Local);
        self.remove_session(call);
        Ok(())
    }

    fn ringing(&self, call: CallId) -> Result<Arc<str>, Refusal> {
        let session = self.sessions.get(&call).ok_or(Refusal::UnknownCall)?;
        match &session.state {
            SessionState::Ringing { tx, .. } => Ok(tx.clone()),
            _ => Err(Refusal::WrongState),
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
            return self.refuse(transport, reply_to, &request.headers, 481, |_| {});
        };
        self.open_server(key, transport, reply_to, request, None);
        let call = self.servers.get(&invite_key).and_then(|tx| tx.call);
        if let Some(tx) = self.servers.get_mut(key) {
            tx.call = call; // same To tag as the INVITE's answers
        }
        self.reply(now, key, 200, |_| {});
        let open = self
            .servers
            .get(&invite_key)
            .is_some_and(|tx| matches!(&tx.machine, ServerMachine::Invite(machine) if machine.is_proceeding()));
        if !open {
            return;
        }
        self.reply(now, &invite_key, 487, |_| {});
        let Some(call) = call else { return };
        match self.sessions.get_mut(&call).map(|session| &mut session.state) {
            Some(SessionState::Ringing { .. }) => {
                self.end(call, Cause::RemoteCancel { why: Reason::of(&request.headers) });
                self.remove_session(call);
            }
            // A cancelled re-INVITE leaves the dialog as it was.
            Some(SessionState::Established { reoffer, .. }) => *reoffer = None,
            _ => {}
        }
    }

    /// The ACK of a 2xx is a transaction of its own and found by its dialog.
    pub(super) fn handle_dialog_ack(&mut self, now: Instant, request: &Request) {
        let headers = &request.headers;
        let call = headers.to_tag().and_then(|tag| self.dialogs.get(&dialog_key(headers.call_id(), tag))).copied();
        let Some(call) = call else { return };
        let sdp = (!request.body.is_empty()).then(|| request.body.clone());
        let Some(session) = self.sessions.get_mut(&call) else { return };
        match &mut session.state {
            SessionState::AwaitingAck { tx, dialog, hang_up } => {
                let (key, dialog, hang_up) = (tx.clone(), dialog.clone(), *hang_up);
                session.state = SessionState::Established { dialog, ack: None, reoffer: None };
                self.ack_came(now, &key);
                if hang_up {
                    let _ = self.hang_up(now, call);
                } else {
                    self.events.push_back(Event::Confirmed { call, sdp });
                }
            }
            SessionState::Established { reoffer, .. } => {
                if let Some(key) = reoffer.take() {
                    self.ack_came(now, &key);
                    if sdp.is_some() {
                        self.events.push_back(Event::Confirmed { call, sdp });
                    }
                }
            }
            _ => {}
        }
    }

    fn ack_came(&mut self, now: Instant, key: &Arc<str>) {
        if let Some(tx) = self.servers.get_mut(key)
            && let ServerMachine::Invite(machine) = &mut tx.machine
        {
            machine.handle_ack(now);
            self.arm_server(key);
        }
    }

    /// Timer H or L without an ACK: for a first 200 the call is over and gets a BYE (section 13.3.1.4).
    pub(super) fn not_acknowledged(&mut self, now: Instant, call: CallId, key: &Arc<str>) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        match &session.state {
            SessionState::AwaitingAck { tx, dialog, .. } if tx == key => {
                let dialog = dialog.clone();
                session.state = SessionState::Established { dialog, ack: None, reoffer: None };
                self.end(call, Cause::NotAcknowledged);
                let _ = self.hang_up(now, call);
            }
            SessionState::Established { reoffer: Some(tx), .. } if tx == key => {
                self.end(call, Cause::NotAcknowledged);
                let _ = self.hang_up(now, call);
            }
            _ => {}
        }
    }
}

/// What an INVITE says beyond its signalling: who calls, whom it was for, what customers put in.
fn described(headers: &Headers) -> Headers {
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
