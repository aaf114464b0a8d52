//! All registrations of ours, as a machine: which are due, granted or refused. The user agent sends their requests.

use super::config::RegistrationConfig;
use super::event::CallId;
use super::flow_keep_alive::{FlowAction, FlowKeepAlive};
use super::inbound_trunks::TrunkKey;
use super::registered_trunks::RegisteredTrunks;
use crate::limits;
use crate::sip::message::scan::{param, seconds};
use crate::sip::message::{HeaderName, Headers, NameAddr, Response};
use crate::sip::registration::Registration;
use crate::sip::transport::TransportAddress;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What the registrar has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RegistrarState {
    /// Nothing: there is nothing to unregister.
    NeverAnswered,
    /// It has answered, and grants nothing now.
    NotGranted,
    /// It grants the registration from this address until then: calls from its host may be this trunk's.
    Granted { at: TransportAddress, until: Instant },
}

impl RegistrarState {
    fn granted_at(self) -> Option<IpAddr> {
        match self {
            Self::Granted { at, .. } => Some(at.addr.ip()),
            Self::NeverAnswered | Self::NotGranted => None,
        }
    }
}

/// One registration.
#[derive(Debug)]
pub(super) struct RegistrationEntry {
    pub(super) rule: RegistrationConfig,
    /// Its session.
    pub(super) call: CallId,
    machine: Registration,
    cseq: u32,
    registrar: RegistrarState,
    /// What keeps its flow open, where that is our task.
    flow: Option<FlowKeepAlive>,
    /// Where the registrar wants our requests to go first (RFC 3608), as of its last grant.
    service_route: Vec<String>,
}

/// A REGISTER that has to be sent.
#[derive(Clone, Debug)]
pub(super) struct RegisterRequest {
    pub(super) rule: RegistrationConfig,
    pub(super) call: CallId,
    pub(super) cseq: u32,
    pub(super) expires_s: u32,
}

/// What the answer of a registrar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegisterOutcome {
    /// Granted for so long.
    Granted { expires_s: u32 },
    /// It wants a longer one, which is asked for at once.
    TooBrief,
    /// Refused: the failure has to be recorded.
    Refused,
}

/// All registrations, and what they say about trunks.
#[derive(Debug, Default)]
pub(super) struct Registrations {
    entries: HashMap<Arc<str>, RegistrationEntry>,
    registered: RegisteredTrunks,
}

impl Registrations {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.keys()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// The trunks by their registrations.
    pub(super) fn registered(&self) -> &RegisteredTrunks {
        &self.registered
    }

    pub(super) fn next_timeout(&self, id: &str) -> Option<Instant> {
        let entry = self.entries.get(id)?;
        let flow = entry.flow.as_ref().map(FlowKeepAlive::next_timeout);
        [entry.machine.next_timeout(), flow].into_iter().flatten().min()
    }

    /// Where requests of this trunk go first, as its registrar wants it.
    pub(super) fn service_route(&self, id: &str) -> &[String] {
        self.entries.get(id).map_or(&[], |entry| &entry.service_route)
    }

    /// Runs the keep-alive of a registration: what to send, and where. A flow without an answer is lost.
    pub(super) fn handle_flow_timeout(
        &mut self, now: Instant, id: &str, random: [u32; 4],
    ) -> Option<(TransportAddress, Vec<u8>)> {
        let entry = self.entries.get_mut(id)?;
        let [a, b, c, spread] = random;
        let mut transaction = [0; 12];
        for (part, word) in transaction.chunks_exact_mut(4).zip([a, b, c]) {
            part.copy_from_slice(&word.to_be_bytes());
        }
        let flow = entry.flow.as_mut()?;
        match flow.handle_timeout(now, transaction)? {
            FlowAction::Send(bytes) => Some((flow.peer(), bytes)),
            FlowAction::Lost => {
                entry.lose_flow(now, spread);
                None
            }
        }
    }

    /// Takes a datagram that may answer a STUN request of ours: registrations that are due anew.
    pub(super) fn handle_stun(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], spread: u32) -> Vec<Arc<str>> {
        let mut changed = Vec::new();
        for id in self.registered.registered_at(source.ip()).iter() {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            let Some(flow) = entry.flow.as_mut() else { continue };
            if flow.handle_stun(now, source, bytes) == Some(FlowAction::Lost) {
                entry.lose_flow(now, spread);
                changed.push(id.clone());
            }
        }
        changed
    }

    /// The connection to a registrar is gone: registrations that are due anew.
    pub(super) fn handle_connection_lost(
        &mut self, now: Instant, peer: TransportAddress, mut random: impl FnMut() -> u32,
    ) -> Vec<Arc<str>> {
        let mut changed = Vec::new();
        for (id, entry) in &mut self.entries {
            if matches!(entry.registrar, RegistrarState::Granted { at, .. } if at == peer) {
                entry.lose_flow(now, random());
                changed.push(id.clone());
            }
        }
        changed
    }

    /// The registrations that these rules change or no longer name.
    pub(super) fn outdated(&self, rules: &[RegistrationConfig]) -> Vec<Arc<str>> {
        let wanted: HashMap<&Arc<str>, &RegistrationConfig> = rules.iter().map(|rule| (&rule.id, rule)).collect();
        let entries = self.entries.iter();
        entries.filter(|(id, entry)| wanted.get(id) != Some(&&entry.rule)).map(|(id, _)| id.clone()).collect()
    }

    /// Adds a registration that is due at once.
    pub(super) fn add(&mut self, now: Instant, rule: RegistrationConfig, call: CallId) {
        let (machine, id) = (Registration::new(now, rule.expires_s), rule.id.clone());
        self.registered.add(&rule.contact_user, &id);
        let registrar = RegistrarState::NeverAnswered;
        let service_route = Vec::new();
        let entry = RegistrationEntry { rule, call, machine, cseq: 0, registrar, flow: None, service_route };
        self.entries.insert(id, entry);
    }

    /// Takes a registration out. `true`: the registrar knows it, so it has to be unregistered.
    pub(super) fn remove(&mut self, id: &TrunkKey) -> Option<(RegistrationEntry, bool)> {
        let entry = self.entries.remove(id)?;
        self.registered.remove(&entry.rule.contact_user, id);
        self.registered.set_registrar(id, entry.registrar.granted_at(), None);
        let is_known = entry.registrar != RegistrarState::NeverAnswered;
        Some((entry, is_known))
    }

    /// Runs the timer of a registration: the request to send, if it is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, id: &str) -> Option<RegisterRequest> {
        let entry = self.entries.get_mut(id)?;
        if !entry.machine.handle_timeout(now) {
            return None;
        }
        Some(entry.request(entry.machine.expires_s))
    }

    /// Takes an answer of the registrar at this address, to the request with this CSeq number. `random` spreads the
    /// keep-alives of many.
    pub(super) fn handle_response(
        &mut self, now: Instant, id: &TrunkKey, at: TransportAddress, (cseq, random): (u32, u32), response: &Response,
    ) -> Option<RegisterOutcome> {
        let entry = self.entries.get_mut(id)?;
        entry.cseq = entry.cseq.max(cseq);
        if entry.registrar == RegistrarState::NeverAnswered {
            entry.registrar = RegistrarState::NotGranted;
        }
        let headers = &response.headers;
        match response.status {
            200..300 => {
                let asked = entry.machine.expires_s;
                let expires_s = granted_expires_s(headers, &entry.rule.contact_user).unwrap_or(asked).max(1);
                entry.machine.handle_granted(now, expires_s);
                let until = now + Duration::from_secs(expires_s.into());
                let before = std::mem::replace(&mut entry.registrar, RegistrarState::Granted { at, until });
                let flow = FlowKeepAlive::of_grant(now, at, headers, random);
                entry.flow = flow.map(|flow| flow.continuing(entry.flow.take()));
                let routes = headers.list(&HeaderName::ServiceRoute).filter(|route| NameAddr::parse(route).is_ok());
                entry.service_route = routes.take(limits::ROUTES_MAX).map(str::to_owned).collect();
                self.registered.set_registrar(id, before.granted_at(), Some(at.addr.ip()));
                Some(RegisterOutcome::Granted { expires_s })
            }
            423 => {
                let min = headers.number(&HeaderName::MinExpires);
                let is_raised = min.is_some_and(|min| entry.machine.handle_too_brief(now, min));
                Some(if is_raised { RegisterOutcome::TooBrief } else { RegisterOutcome::Refused })
            }
            _ => Some(RegisterOutcome::Refused),
        }
    }

    /// Records a failure: its session, and the time until the next attempt. `random` spreads many of them.
    pub(super) fn handle_failure(
        &mut self, now: Instant, id: &TrunkKey, status: Option<u16>, retry_after_s: Option<u32>, random: u32,
    ) -> Option<(CallId, Duration)> {
        let entry = self.entries.get_mut(id)?;
        let retry_in = entry.machine.handle_failure(now, retry_after_s, random);
        // Without a response, or after a 5xx, the previous grant stays valid until it expires. A rejection ends it, so
        // calls from that registrar no longer match this trunk.
        let refused = status.is_some_and(|status| !(500..600).contains(&status));
        if let RegistrarState::Granted { at, until } = entry.registrar
            && (refused || until <= now)
        {
            entry.registrar = RegistrarState::NotGranted;
            entry.service_route.clear();
            entry.flow = None;
            self.registered.set_registrar(id, Some(at.addr.ip()), None);
        }
        Some((entry.call, retry_in))
    }
}

impl RegistrationEntry {
    fn lose_flow(&mut self, now: Instant, random: u32) {
        self.flow = None;
        self.machine.handle_flow_lost(now, random);
    }

    /// The next REGISTER, asking for so many seconds; zero ends the registration.
    pub(super) fn request(&mut self, expires_s: u32) -> RegisterRequest {
        self.cseq = self.cseq.saturating_add(1);
        RegisterRequest { rule: self.rule.clone(), call: self.call, cseq: self.cseq, expires_s }
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

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Uri;
    use crate::sip::transport::Transport;

    fn rule(id: &str) -> RegistrationConfig {
        RegistrationConfig {
            id: id.into(),
            aor: Uri::sip(Some("account"), "carrier.example", None),
            registrar: Uri::sip(None, "carrier.example", None),
            hops: vec![],
            transport: Transport::Udp,
            contact_user: format!("secret-{id}"),
            credentials: None,
            expires_s: 600,
        }
    }

    fn response(status: u16, headers: &[(HeaderName, &str)]) -> Response {
        let mut response = Response::to_request(&Headers::default(), status, None);
        for (name, value) in headers {
            response.headers.push(name.clone(), *value);
        }
        response
    }

    #[test]
    fn a_grant_admits_calls_until_it_is_refused_or_expires() {
        let (now, id, ip) = (Instant::now(), TrunkKey::from("t"), IpAddr::from([192, 0, 2, 1]));
        let at = TransportAddress { transport: Transport::Udp, addr: (ip, 5_060).into() };
        let mut all = Registrations::default();
        all.add(now, rule("t"), CallId(1));
        let first = all.handle_timeout(now, &id).unwrap();
        assert_eq!((first.cseq, first.expires_s), (1, 600));
        assert!(all.handle_timeout(now, &id).is_none(), "sent");
        let contact = [(HeaderName::Contact, "<sip:other@h>;expires=5, <sip:secret-t@h>;expires=120")];
        let outcome = all.handle_response(now, &id, at, (1, 0), &response(200, &contact));
        assert_eq!(outcome, Some(RegisterOutcome::Granted { expires_s: 120 }));
        assert_eq!(*all.registered().registered_at(ip), std::slice::from_ref(&id));
        // A server error changes nothing, a refusal does.
        assert_eq!(all.handle_response(now, &id, at, (2, 0), &response(503, &[])), Some(RegisterOutcome::Refused));
        all.handle_failure(now, &id, Some(503), None, 0).unwrap();
        assert_eq!(all.registered().registered_at(ip).len(), 1);
        all.handle_failure(now, &id, Some(403), None, 0).unwrap();
        assert!(all.registered().registered_at(ip).is_empty());
        let (_, is_known) = all.remove(&id).unwrap();
        assert!(is_known && all.len() == 0 && all.registered().with_contact("secret-t").is_none());
    }

    #[test]
    fn a_registrar_that_never_answered_is_not_unregistered_from() {
        let (now, id) = (Instant::now(), TrunkKey::from("t"));
        let mut all = Registrations::default();
        all.add(now, rule("t"), CallId(1));
        assert!(all.outdated(&[rule("t")]).is_empty());
        let changed = RegistrationConfig { expires_s: 60, ..rule("t") };
        assert_eq!(all.outdated(&[changed]), std::slice::from_ref(&id));
        all.handle_timeout(now, &id).unwrap();
        all.handle_failure(now, &id, None, None, 0).unwrap();
        assert!(!all.remove(&id).unwrap().1);
        all.add(now, rule("t"), CallId(2));
        let at = TransportAddress { transport: Transport::Udp, addr: ([192, 0, 2, 1], 5_060).into() };
        let brief = response(423, &[(HeaderName::MinExpires, "900")]);
        let outcome = all.handle_response(now, &id, at, (1, 0), &brief);
        assert_eq!(outcome, Some(RegisterOutcome::TooBrief));
        assert!(all.remove(&id).unwrap().1, "it has answered");
    }
}
