//! Registrations with providers that deliver calls to our Contact (RFC 3261 section 10).

use super::authentication::{ClientAuthenticator, HostCredentials};
use super::failover::{NextHop, OutboundRequest, RequestRoute};
use super::{CallId, SipEvent, SipSession, SipSessionState, Transport, UserAgent};
use crate::limits;
use crate::sip::digest::DigestCredentials;
use crate::sip::end_cause::EndCause;
use crate::sip::message::scan::{param, seconds};
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request, Response, Uri};
use crate::sip::registration::Registration;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Configuration of one registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// Key of the registration, unique in the list: the trunk it belongs to.
    pub id: Arc<str>,
    /// Address of record: `sip:account@provider`.
    pub aor: Uri,
    /// Request-URI: the provider's domain.
    pub registrar: Uri,
    /// Outbound proxies, if not the registrar's domain.
    pub hops: Vec<NextHop>,
    /// Transport to the registrar if the next hop names none; also that of the Contact.
    pub transport: Transport,
    /// User part of the Contact. It identifies the trunk of incoming calls, so it must not be guessable.
    pub contact_user: String,
    /// Account for the registrar's challenges; `None` makes a challenge a failure.
    pub credentials: Option<DigestCredentials>,
    /// Lifetime to ask for, in seconds; the registrar may grant another one.
    pub expires_s: u32,
}

impl RegistrationConfig {
    /// Every host of it is the trunk's.
    fn bound_credentials(&self) -> Option<HostCredentials> {
        Some(HostCredentials { credentials: self.credentials.clone()?, hosts: self.hops.clone() })
    }
}

/// What became of a registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationEvent {
    /// The registrar granted or refreshed it.
    Registered {
        /// Lifetime that was granted, in seconds, at least 1.
        expires_s: u32,
    },
    /// `status` of the refusal, none without an answer.
    Failed {
        /// Status of the rejection; `None` if no response came.
        status: Option<u16>,
        /// What went wrong, for people: status and reason phrase, or the transport error.
        why: String,
        /// Time until the next attempt: Retry-After, else 15 s to 30 min, doubling with each failure.
        retry_in: Duration,
    },
    /// The registration left the configuration or changed; it is unregistered if the registrar had answered.
    Removed,
}

#[derive(Debug)]
pub(crate) struct RegistrationEntry {
    rule: RegistrationConfig,
    call: CallId,
    machine: Registration,
    cseq: u32,
    /// The registrar has answered before, so we unregister when the registration ends.
    answered: bool,
    /// Where the registrar granted it, and until when: calls from there may be this trunk's.
    granted: Option<(IpAddr, Instant)>,
}

impl RegistrationEntry {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.machine.next_timeout()
    }
}

impl UserAgent {
    /// Replaces the registrations: new and changed ones register, removed ones unregister.
    pub fn set_registrations(&mut self, now: Instant, rules: Vec<RegistrationConfig>) {
        let wanted: HashMap<&Arc<str>, &RegistrationConfig> = rules.iter().map(|rule| (&rule.id, rule)).collect();
        let gone: Vec<Arc<str>> = self
            .registrations
            .iter()
            .filter(|(id, there)| wanted.get(id) != Some(&&there.rule))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.unregister(now, &id);
        }
        for rule in rules {
            if self.registrations.contains_key(&rule.id) {
                continue;
            }
            let (call, id) = (self.new_call(), rule.id.clone());
            let (call_id, local_tag) = (self.new_call_id(), self.tokens.token());
            let session = SipSession {
                authenticator: ClientAuthenticator::new(rule.bound_credentials()),
                end_reported: true,
                ..SipSession::new(SipSessionState::Registering(id.clone()), call_id, local_tag, rule.transport)
            };
            self.add_session(call, session);
            let machine = Registration::new(now, rule.expires_s);
            self.registered.add(&rule.contact_user, &id);
            let there = RegistrationEntry { rule, call, machine, cseq: 0, answered: false, granted: None };
            self.registrations.insert(id.clone(), there);
            self.arm_registration(&id);
        }
        self.handle_timeout(now);
    }

    fn unregister(&mut self, now: Instant, id: &Arc<str>) {
        let was_answered = self.registrations.get(id).is_some_and(|there| there.answered);
        if was_answered {
            self.send_register(now, id, 0);
        }
        let Some(there) = self.registrations.remove(id) else { return };
        self.registered.remove(&there.rule.contact_user, id);
        self.registered.set_registrar(id, there.granted.map(|(ip, _)| ip), None);
        // Its last request finds the session until it is answered.
        if let Some(session) = self.sessions.get_mut(&there.call).filter(|_| was_answered) {
            session.state = SipSessionState::ByeSent;
            session.drop_at = Some(now + super::LINGER);
            self.arm_session(there.call);
        } else {
            self.remove_session(now, there.call);
        }
        self.events.push_back(SipEvent::Registration { id: id.clone(), event: RegistrationEvent::Removed });
    }

    pub(super) fn handle_registration_timeout(&mut self, now: Instant, id: &Arc<str>) {
        let Some(there) = self.registrations.get_mut(id) else { return };
        if there.machine.handle_timeout(now) {
            let expires_s = there.machine.expires_s;
            self.send_register(now, id, expires_s);
        }
    }

    fn send_register(&mut self, now: Instant, id: &Arc<str>, expires_s: u32) {
        let Some(there) = self.registrations.get_mut(id) else { return };
        let Some(session) = self.sessions.get(&there.call) else { return };
        there.cseq = there.cseq.saturating_add(1);
        let (rule, call) = (&there.rule, there.call);
        let aor = NameAddr { display: None, uri: rule.aor.clone(), params: String::new() };
        let mut headers = Headers::with_capacity(12);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{aor};tag={}", session.local_tag));
        headers.push(HeaderName::To, aor.to_string());
        headers.push(HeaderName::CallId, session.call_id.as_str());
        headers.push(HeaderName::CSeq, format!("{} REGISTER", there.cseq));
        headers.push(HeaderName::Contact, "");
        headers.push(HeaderName::Expires, expires_s.to_string());
        headers.push(HeaderName::Allow, super::ALLOW);
        headers.push(HeaderName::Supported, "path");
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let hops = if rule.hops.is_empty() { vec![NextHop::of(&rule.registrar)] } else { rule.hops.clone() };
        let contact = Some(Some(rule.contact_user.clone()));
        // Registrar and hops are settings of the trunk, like its credentials.
        let route = RequestRoute::to(hops, rule.transport).with_authentication(true);
        let mut request = Request { method: Method::Register, uri: rule.registrar.clone(), headers, body: Vec::new() };
        self.add_authorization(call, &mut request);
        self.send_request(
            now,
            OutboundRequest { request, call: Some(call), auth_attempts: 0, repeats: 0, contact, route, failure: None },
        );
    }

    pub(super) fn handle_register_response(&mut self, now: Instant, call: CallId, key: &Arc<str>, response: &Response) {
        let Some(SipSessionState::Registering(id)) = self.sessions.get(&call).map(|session| &session.state) else {
            return self.remove_session(now, call); // it was the last one
        };
        let id = id.clone();
        let Some(tx) = self.clients.get(key) else { return };
        let (ip, number) = (tx.address.addr.ip(), tx.request.headers.cseq().map_or(0, |cseq| cseq.number));
        let Some(there) = self.registrations.get_mut(&id) else { return };
        there.cseq = there.cseq.max(number);
        there.answered = true;
        let headers = &response.headers;
        match response.status {
            200..300 => {
                let asked = there.machine.expires_s;
                let expires_s = granted_expires_s(headers, &there.rule.contact_user).unwrap_or(asked).max(1);
                there.machine.handle_granted(now, expires_s);
                let before = there.granted.replace((ip, now + Duration::from_secs(expires_s.into())));
                self.registered.set_registrar(&id, before.map(|(ip, _)| ip), Some(ip));
                let event = RegistrationEvent::Registered { expires_s };
                self.events.push_back(SipEvent::Registration { id: id.clone(), event });
                self.arm_registration(&id);
            }
            423 if headers
                .number(&HeaderName::MinExpires)
                .is_some_and(|min| there.machine.handle_too_brief(now, min)) =>
            {
                self.arm_registration(&id);
            }
            status => {
                let retry_after_s = headers.number(&HeaderName::RetryAfter);
                let why = format!("{status} {}", response.reason);
                self.record_registration_failure(now, &id, Some(status), why, retry_after_s);
            }
        }
    }

    pub(super) fn handle_register_failure(&mut self, now: Instant, call: CallId, cause: &EndCause) {
        let Some(SipSessionState::Registering(id)) = self.sessions.get(&call).map(|session| &session.state) else {
            return self.remove_session(now, call);
        };
        let (status, why) = match cause {
            EndCause::NoResponse => (None, "no answer".to_owned()),
            EndCause::Unreachable(why) => (None, why.clone()),
            EndCause::Rejected { status, reason, .. } => (Some(*status), format!("{status} {reason}")),
            _ => (None, "failed".to_owned()),
        };
        self.record_registration_failure(now, &id.clone(), status, why, None);
    }

    fn record_registration_failure(
        &mut self, now: Instant, id: &Arc<str>, status: Option<u16>, why: String, retry_after_s: Option<u32>,
    ) {
        let random = self.tokens.number();
        let Some(there) = self.registrations.get_mut(id) else { return };
        let retry_in = there.machine.handle_failure(now, retry_after_s, random);
        let call = there.call;
        // Without a response, or after a 5xx, the previous grant stays valid until it expires. A rejection ends it, so
        // calls from that registrar no longer match this trunk.
        let refused = status.is_some_and(|status| !(500..600).contains(&status));
        if let Some((ip, _)) = there.granted.take_if(|(_, until)| refused || *until <= now) {
            self.registered.set_registrar(id, Some(ip), None);
        }
        // A refused nonce is not used again.
        if let Some(session) = self.sessions.get_mut(&call) {
            session.authenticator.clear();
        }
        let event = RegistrationEvent::Failed { status, why, retry_in };
        self.events.push_back(SipEvent::Registration { id: id.clone(), event });
        self.arm_registration(id);
    }
}

/// What our Contact was granted: its own parameter, else the header.
fn granted_expires_s(headers: &Headers, user: &str) -> Option<u32> {
    let ours = headers
        .list(&HeaderName::Contact)
        .take(limits::LIST_ELEMENTS_MAX)
        .filter_map(|contact| NameAddr::parse(contact).ok())
        .find(|contact| contact.uri.user.as_deref() == Some(user));
    ours.and_then(|contact| seconds(param(&contact.params, "expires")?))
        .or_else(|| headers.number(&HeaderName::Expires))
}
