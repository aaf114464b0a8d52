//! Calls we make: INVITE, its answers, authentication, CANCEL and the forks of a proxy.

use super::routing::target;
use super::transactions::{ClientMachine, ClientTx};
use super::{
    ALLOW, Authorization, CallId, Endpoint, Event, Invite, Refusal, Session, SessionState, Target, Transport,
    dialog_key,
};
use crate::limits;
use crate::sip::dialog::Dialog;
use crate::sip::digest::{Challenge, ClientSession};
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Headers, Method, Request, Response, print};
use crate::sip::transaction::Wire;
use std::sync::Arc;
use std::time::Instant;

/// An INVITE of ours without a final answer.
#[derive(Debug)]
pub(crate) struct Calling {
    key: Arc<str>,
    cancel: Cancel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// Wanted before any response came: sent with the first provisional.
    Wanted,
    Sent,
}

/// The ACK of a 2xx, resent for every retransmission of it.
#[derive(Clone, Debug)]
pub(crate) struct SentAck {
    wire: Wire,
    hop: (Transport, Target),
}

impl Endpoint {
    /// Calls out. The end, refusals included, comes as an event.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<CallId, Refusal> {
        if self.sessions.len() >= self.config.calls_max {
            return Err(Refusal::Overload);
        }
        let call = self.new_call();
        let (call_id, local_tag) = (format!("{}@{}", self.tokens.token(), self.config.advertised), self.tokens.token());
        let mut headers = Headers::with_capacity(14);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{};tag={local_tag}", invite.from));
        headers.push(HeaderName::To, invite.to.to_string());
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, self.contact(invite.transport, invite.from.uri.user.as_deref()));
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        for header in invite.headers.iter() {
            headers.push(header.name.clone(), header.value.as_str());
        }
        headers.push(HeaderName::ContentType, "application/sdp");
        let hop = match &invite.proxy {
            Some((host, port)) => target(host, *port),
            None => target(&invite.request_uri.host, invite.request_uri.port),
        };
        let mut request = Request { method: Method::Invite, uri: invite.request_uri, headers, body: invite.sdp };
        let branch = self.push_via(&mut request, invite.transport);
        let key = self.start_client(now, request, &branch, (invite.transport, hop), Some(call), 0);
        self.dialogs.insert(dialog_key(&call_id, &local_tag), call);
        let session = Session {
            state: SessionState::Calling(Box::new(Calling { key, cancel: Cancel::No })),
            call_id,
            local_tag,
            credentials: invite.credentials,
            auth: None,
            source: None,
            transport: invite.transport,
            ended: false,
        };
        self.sessions.insert(call, session);
        Ok(call)
    }

    pub(super) fn client_response(&mut self, now: Instant, key: &Arc<str>, response: Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(call) = tx.call else { return };
        if matches!(response.status, 401 | 407) && self.retry_with_credentials(now, key, call, &response) {
            return;
        }
        let Some(tx) = self.clients.get(key) else { return };
        match tx.request.method {
            Method::Invite => self.invite_response(now, key, call, response),
            Method::Bye if response.status >= 200 => self.remove_session(call),
            // RFC 3261 section 12.2.1.2: the dialog is gone on the other side.
            Method::Info | Method::Refer if matches!(response.status, 408 | 481) => {
                self.end(call, Cause::DialogLost);
                self.remove_session(call);
            }
            Method::Refer => self.refer_response(call, response.status),
            Method::Options if response.status >= 200 => self.options_response(call, Some(response.status)),
            _ => {}
        }
    }

    fn invite_response(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: Response) {
        match response.status {
            100..200 => self.invite_progress(now, call, response),
            200..300 => self.invite_accepted(now, key, call, &response),
            _ => {
                self.acknowledge_refusal(key, &response);
                let Some(session) = self.sessions.get(&call) else { return };
                // A challenge we answered or an older transaction of the same call is not its end.
                if !matches!(&session.state, SessionState::Calling(calling) if calling.key == *key) {
                    return;
                }
                let retry_after_s = response.headers.number(&HeaderName::RetryAfter);
                self.end(call, Cause::Refused { status: response.status, reason: response.reason, retry_after_s });
                self.remove_session(call);
            }
        }
    }

    fn invite_progress(&mut self, now: Instant, call: CallId, response: Response) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Calling(calling) = &mut session.state else { return };
        if calling.cancel == Cancel::Wanted {
            return self.send_cancel(now, call);
        }
        if calling.cancel == Cancel::No && response.status > 100 && !session.ended {
            let sdp = (!response.body.is_empty()).then_some(response.body);
            self.events.push_back(Event::Progress { call, status: response.status, sdp });
        }
    }

    fn invite_accepted(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) {
        let Some(tx) = self.clients.get(key) else { return };
        let Some(dialog) = Dialog::from_response(&tx.request, response) else { return };
        let Some(cseq) = tx.request.headers.cseq().map(|c| c.number) else { return };
        let Some(session) = self.sessions.get(&call) else {
            return self.discard_dialog(now, dialog, cseq, tx.transport);
        };
        match &session.state {
            SessionState::Calling(calling) => {
                let canceled = calling.cancel != Cancel::No || session.ended;
                let ack = self.send_ack(&dialog, cseq, session.transport, session.source);
                let sdp = (!response.body.is_empty()).then(|| response.body.clone());
                let Some(session) = self.sessions.get_mut(&call) else { return };
                session.state = SessionState::Established { dialog: Box::new(dialog), ack: Some(ack), reoffer: None };
                if canceled {
                    // The 200 crossed our CANCEL: the call exists and has to be ended (section 15).
                    let _ = self.hang_up(now, call);
                } else {
                    let sip_call_id = response.headers.call_id().to_owned();
                    self.events.push_back(Event::Answered { call, sdp, sip_call_id });
                }
            }
            SessionState::Established { dialog: first, ack, .. } if first.remote_tag == dialog.remote_tag => {
                if let Some(ack) = ack.clone() {
                    self.send(ack.hop.0, ack.hop.1, ack.wire, None);
                }
            }
            // A second fork answered too: acknowledged and hung up (section 13.2.2.4).
            _ => {
                let transport = session.transport;
                self.discard_dialog(now, dialog, cseq, transport);
            }
        }
    }

    fn discard_dialog(&mut self, now: Instant, mut dialog: Dialog, cseq: u32, transport: Transport) {
        self.send_ack(&dialog, cseq, transport, None);
        let outgoing = dialog.request(Method::Bye);
        let mut request = outgoing.request;
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let hop = self.next_hop(&outgoing.next_hop, routed, transport, None);
        let branch = self.push_via(&mut request, hop.0);
        self.start_client(now, request, &branch, hop, None, 0);
    }

    fn send_ack(
        &mut self, dialog: &Dialog, cseq: u32, transport: Transport, source: Option<(Transport, std::net::SocketAddr)>,
    ) -> SentAck {
        let outgoing = dialog.request_with_cseq(Method::Ack, cseq);
        let mut request = outgoing.request;
        let routed = request.headers.get(&HeaderName::Route).is_some();
        let hop = self.next_hop(&outgoing.next_hop, routed, transport, source);
        self.push_via(&mut request, hop.0);
        let wire: Wire = print::request(&request).into();
        self.send(hop.0, hop.1.clone(), wire.clone(), None);
        SentAck { wire, hop }
    }

    /// ACK of a non-2xx: same branch, same hop, To of the response (section 17.1.1.3).
    fn acknowledge_refusal(&mut self, key: &Arc<str>, response: &Response) {
        let Some(tx) = self.clients.get_mut(key) else { return };
        let ack = hop_by_hop(&tx.request, Method::Ack, response.headers.get(&HeaderName::To));
        let wire: Wire = print::request(&ack).into();
        tx.ack = Some(wire.clone());
        let (transport, target) = (tx.transport, tx.target.clone());
        self.send(transport, target, wire, None);
    }

    /// Answers a challenge once, and once more when the nonce was stale. True when it did.
    fn retry_with_credentials(&mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response) -> bool {
        let proxy = response.status == 407;
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        let Some(challenge) = Challenge::strongest(response.headers.all(&name)) else { return false };
        let Some(tx) = self.clients.get(key) else { return false };
        let attempts = tx.auth_attempts;
        if attempts >= limits::AUTH_ATTEMPTS_MAX || (attempts == 1 && !challenge.stale) {
            return false;
        }
        let Some(session) = self.sessions.get(&call) else { return false };
        let Some(credentials) = session.credentials.clone() else { return false };
        let canceled = matches!(&session.state, SessionState::Calling(c) if c.cancel != Cancel::No);
        if canceled {
            return false;
        }
        let (hop, mut request) = ((tx.transport, tx.target.clone()), tx.request.clone());
        if request.method == Method::Invite {
            self.acknowledge_refusal(key, response);
        }
        let mut client = ClientSession::new(challenge, self.tokens.token());
        let number = request.headers.cseq().map_or(1, |c| c.number + 1);
        let method = request.method.clone();
        request.headers.set(HeaderName::CSeq, format!("{number} {}", method.as_str()));
        request.headers.remove(&HeaderName::Via);
        let value = client.authorize(&credentials, method.as_str(), &request.uri.to_string());
        request.headers.set(authorization_name(proxy), value);
        let branch = self.push_via(&mut request, hop.0);
        let new_key = self.start_client(now, request, &branch, hop, Some(call), attempts + 1);
        if let Some(session) = self.sessions.get_mut(&call) {
            session.auth = Some(Authorization { session: client, proxy });
            match &mut session.state {
                SessionState::Calling(calling) => calling.key = new_key,
                SessionState::Established { dialog, .. } => {
                    dialog.request(method); // keeps the dialog's CSeq in step with the retry
                }
                _ => {}
            }
        }
        true
    }

    /// Authorization for a further request of a call that was challenged before.
    pub(super) fn authorize(&mut self, call: CallId, request: &mut Request) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let (Some(auth), Some(credentials)) = (&mut session.auth, &session.credentials) else { return };
        let value = auth.session.authorize(credentials, request.method.as_str(), &request.uri.to_string());
        request.headers.push(authorization_name(auth.proxy), value);
    }

    /// Ends a call in whatever state it is: refusal, CANCEL or BYE. The end is reported at once.
    pub fn hang_up(&mut self, now: Instant, call: CallId) -> Result<(), Refusal> {
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        match &mut session.state {
            SessionState::Ringing { .. } => return self.reject(now, call, 480, None),
            SessionState::AwaitingAck { hang_up, .. } => {
                // A UAS must not send BYE before the ACK or its timeout (section 15).
                *hang_up = true;
                self.end(call, Cause::Local);
            }
            SessionState::Calling(calling) => {
                if calling.cancel != Cancel::No {
                    return Ok(());
                }
                calling.cancel = Cancel::Wanted;
                let key = calling.key.clone();
                self.end(call, Cause::Local);
                let calling = matches!(
                    self.clients.get(&key).map(|tx| &tx.machine),
                    Some(ClientMachine::Invite(machine)) if machine.is_calling()
                );
                if !calling {
                    self.send_cancel(now, call);
                }
            }
            SessionState::Established { dialog, .. } => {
                let outgoing = dialog.request(Method::Bye);
                session.state = SessionState::Closing;
                self.end(call, Cause::Local);
                self.send_in_dialog(now, call, outgoing);
            }
            SessionState::Closing => {}
        }
        Ok(())
    }

    fn send_cancel(&mut self, now: Instant, call: CallId) {
        let Some(session) = self.sessions.get_mut(&call) else { return };
        let SessionState::Calling(calling) = &mut session.state else { return };
        calling.cancel = Cancel::Sent;
        let key = calling.key.clone();
        let Some(ClientTx { machine: ClientMachine::Invite(machine), request, transport, target, .. }) =
            self.clients.get_mut(&key)
        else {
            return;
        };
        if !machine.is_pending() {
            return;
        }
        machine.cancel(now);
        let cancel = hop_by_hop(request, Method::Cancel, None);
        let hop = (*transport, target.clone());
        let branch = cancel.headers.top_via().and_then(|via| via.branch().map(str::to_owned)).unwrap_or_default();
        self.arm_client(&key);
        self.start_client(now, cancel, &branch, hop, Some(call), 0);
    }
}

fn authorization_name(proxy: bool) -> HeaderName {
    if proxy { HeaderName::ProxyAuthorization } else { HeaderName::Authorization }
}

/// ACK and CANCEL follow their INVITE hop by hop: same Request-URI, top Via, From, Call-ID, CSeq number
/// and Route (sections 9.1 and 17.1.1.3).
fn hop_by_hop(invite: &Request, method: Method, to: Option<&str>) -> Request {
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
