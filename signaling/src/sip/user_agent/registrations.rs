//! Registrations with providers that deliver calls to our Contact (RFC 3261 section 10): the requests and their answers.

use super::agent::UserAgent;
use super::client_authenticator::ClientAuthenticator;
use super::config::{ALLOW, RegistrationConfig};
use super::event::{CallId, RegistrationEvent, SipEvent};
use super::next_hop::NextHop;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::registration_table::{RegisterOutcome, RegisterRequest};
use super::request_route::RequestRoute;
use super::session::{DialogIds, LastRequest, SessionMode, SipSession, Terminating};
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request, Response};
use crate::sip::transport::{ResponsePath, Transport, TransportAddress};
use crate::stun;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Replaces the registrations: new and changed ones register, removed ones unregister.
    pub fn set_registrations(&mut self, now: Instant, rules: Vec<RegistrationConfig>) {
        for id in self.registrations.outdated(&rules) {
            self.unregister(now, &id);
        }
        for rule in rules {
            if self.registrations.contains(&rule.id) {
                continue;
            }
            let (call, id) = (self.sessions.new_call(), rule.id.clone());
            let (call_id, local_tag) = (self.new_call_id(), self.tokens.token());
            let ids = DialogIds { call_id, local_tag, contact_user: None };
            let authenticator = rule.bound_credentials().map(ClientAuthenticator::new);
            let mode = SessionMode::Registering { id: id.clone(), authenticator };
            self.sessions.insert(call, SipSession::new(ids, mode));
            self.registrations.add(now, rule, call);
            self.arm_registration(&id);
        }
        self.handle_timeout(now);
    }

    fn unregister(&mut self, now: Instant, id: &Arc<str>) {
        let Some((mut entry, is_known)) = self.registrations.remove(id) else { return };
        let call = entry.call;
        if is_known {
            self.send_register(now, entry.request(0));
            // Its last request finds the session until it is answered.
            self.sessions.transition(call, |mode| match mode {
                SessionMode::Registering { authenticator, .. } => {
                    let over = Terminating::new(now, LastRequest::Unregister { authenticator });
                    (SessionMode::Terminating(Box::new(over)), ())
                }
                same => (same, ()),
            });
            self.arm_session(call);
        } else {
            self.remove_session(now, call);
        }
        self.events.push_back(SipEvent::Registration { id: id.clone(), event: RegistrationEvent::Removed });
    }

    pub(super) fn handle_registration_timeout(&mut self, now: Instant, id: &Arc<str>) {
        let random = std::array::from_fn(|_| self.tokens.number());
        if let Some((TransportAddress { transport, addr }, bytes)) =
            self.registrations.handle_flow_timeout(now, id, random)
        {
            self.send(ResponsePath::open_only((transport, addr)), bytes.into());
        }
        if let Some(due) = self.registrations.handle_timeout(now, id) {
            self.send_register(now, due);
        }
    }

    /// A STUN message came by datagram, from a source that is known: a keep-alive of the peer, or the answer to one of ours
    /// (RFC 5626 section 4.4.2).
    pub(super) fn handle_stun(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        if let Some(response) = stun::binding_response(bytes, source) {
            return self.send(ResponsePath::open_only((Transport::Udp, source)), response.into());
        }
        let spread = self.tokens.number();
        for id in self.registrations.handle_stun(now, source, bytes, spread) {
            self.arm_registration(&id);
        }
    }

    /// A connection that we opened is closed, and there is no other one to this peer: what was sent over it and has no
    /// answer is tried elsewhere.
    pub fn handle_last_connection_lost(&mut self, now: Instant, peer: TransportAddress) {
        for key in self.clients.unanswered_over(peer) {
            self.handle_connection_failure(now, &key);
        }
    }

    /// A connection that we opened is closed: the registrations that were granted over it are renewed.
    pub fn handle_connection_lost(&mut self, now: Instant, peer: TransportAddress) {
        let tokens = &mut self.tokens;
        for id in self.registrations.handle_connection_lost(now, peer, || tokens.number()) {
            self.arm_registration(&id);
        }
    }

    fn send_register(&mut self, now: Instant, register: RegisterRequest) {
        let RegisterRequest { rule, call, cseq, expires_s } = register;
        let Some(session) = self.sessions.get(call) else { return };
        let aor = NameAddr { display: None, uri: rule.aor, params: String::new() };
        let mut headers = Headers::with_capacity(12);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{aor};tag={}", session.ids.local_tag));
        headers.push(HeaderName::To, aor.to_string());
        headers.push(HeaderName::CallId, session.ids.call_id.as_str());
        headers.push(HeaderName::CSeq, format!("{cseq} REGISTER"));
        headers.push(HeaderName::Contact, "");
        headers.push(HeaderName::Expires, expires_s.to_string());
        headers.push(HeaderName::Allow, ALLOW);
        headers.push(HeaderName::Supported, "path");
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let hops = if rule.hops.is_empty() { vec![NextHop::of(&rule.registrar)] } else { rule.hops };
        let contact = OwnContact::Present(Some(rule.contact_user));
        // Registrar and hops are settings of the trunk, like its credentials.
        let route = RequestRoute::to(hops, rule.transport).with_authentication(true);
        let request = Request { method: Method::Register, uri: rule.registrar, headers, body: Vec::new() };
        self.send_request(now, OutboundRequest::new(request, Some(call), contact, route));
    }

    /// The registration of a session; `None` for the answer to its last REGISTER.
    fn registration_of(&self, call: CallId) -> Option<Arc<str>> {
        match self.sessions.get(call)?.mode() {
            SessionMode::Registering { id, .. } => Some(id.clone()),
            _ => None,
        }
    }

    pub(super) fn handle_register_response(&mut self, now: Instant, call: CallId, key: &Arc<str>, response: &Response) {
        let Some(id) = self.registration_of(call) else { return self.remove_session(now, call) };
        let Some(tx) = self.clients.get(key) else { return };
        let (at, cseq) = (tx.address(), tx.cseq().unwrap_or(0));
        let random = self.tokens.number();
        match self.registrations.handle_response(now, &id, at, (cseq, random), response) {
            Some(RegisterOutcome::Granted { expires_s }) => {
                let event = RegistrationEvent::Registered { expires_s };
                self.events.push_back(SipEvent::Registration { id: id.clone(), event });
                self.arm_registration(&id);
            }
            Some(RegisterOutcome::TooBrief) => self.arm_registration(&id),
            Some(RegisterOutcome::Refused) => {
                let status = response.status;
                let retry_after_s = response.headers.number(&HeaderName::RetryAfter);
                let why = format!("{status} {}", response.reason);
                self.record_registration_failure(now, &id, Some(status), why, retry_after_s);
            }
            None => {}
        }
    }

    pub(super) fn handle_register_failure(&mut self, now: Instant, call: CallId, cause: &EndCause) {
        let Some(id) = self.registration_of(call) else { return self.remove_session(now, call) };
        let (status, why) = match cause {
            EndCause::NoResponse => (None, "no answer".to_owned()),
            EndCause::Unreachable(why) => (None, why.clone()),
            EndCause::Rejected { status, reason, .. } => (Some(*status), format!("{status} {reason}")),
            _ => (None, "failed".to_owned()),
        };
        self.record_registration_failure(now, &id, status, why, None);
    }

    fn record_registration_failure(
        &mut self, now: Instant, id: &Arc<str>, status: Option<u16>, why: String, retry_after_s: Option<u32>,
    ) {
        let random = self.tokens.number();
        let failed = self.registrations.handle_failure(now, id, status, retry_after_s, random);
        let Some((call, retry_in)) = failed else { return };
        // A refused nonce is not used again.
        if let Some(authenticator) = self.sessions.get_mut(call).and_then(|session| session.authenticator()) {
            authenticator.clear();
        }
        let event = RegistrationEvent::Failed { status, why, retry_in };
        self.events.push_back(SipEvent::Registration { id: id.clone(), event });
        self.arm_registration(id);
    }
}
