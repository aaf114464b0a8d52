//! Trunks on the wire: what an INVITE over one looks like, where it goes, who may call in, and how the other ends are.

use super::{Context, Shared};
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::Destination;
use crate::domain::time::UnixMs;
use crate::domain::trunk::{IdentityHeader, Proxy, Target, Transport as TrunkTransport, Trunk, TrunkFields};
use crate::store::{StoreError, now};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_signaling::sip::digest::Credentials;
use trunkline_signaling::sip::endpoint::{
    Hop, Incoming, Invite, IpNet, RegistrationNews, RegistrationRule, Transport, TrunkRule,
};
use trunkline_signaling::sip::message::{HeaderName, Headers, NameAddr, Uri};
use utoipa::ToSchema;

/// A target that has not answered by then is taken for dead.
const PROBE_DEADLINE: Duration = Duration::from_secs(4);
/// How often it is looked whether a probe is due.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// What is asked for without a setting.
const REGISTER_EXPIRES_S: u32 = 300;

/// Headers of a caller that a call keeps, and how much of each.
const HEADERS_SHOWN_MAX: usize = 32;
const HEADER_VALUE_MAX: usize = 512;

/// What an INVITE is about, beside its trunk.
#[derive(Clone, Debug)]
pub(super) struct Errand<'a> {
    pub from_number: Option<&'a str>,
    pub destination: &'a Destination,
    pub sdp: Vec<u8>,
    pub headers: Headers,
}

/// How the other end of a trunk is, as far as this process knows.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = TrunkState)]
pub struct TrunkState {
    /// Of trunks that register.
    registration: Option<RegistrationState>,
    /// Of trunks that are probed.
    targets: Vec<TargetState>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegistrationState {
    registered: bool,
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    /// Status of the last refusal.
    sip_status: Option<u16>,
    /// Why it is not registered, in words.
    problem: Option<String>,
    #[schema(format = "date-time")]
    since: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TargetState {
    host: String,
    reachable: bool,
    sip_status: Option<u16>,
    latency_ms: Option<u64>,
    #[schema(format = "date-time")]
    checked_at: String,
}

#[derive(Debug, Default)]
struct Watched {
    trunk: Option<Trunk>,
    state: TrunkState,
    next_probe: Option<Instant>,
}

/// The states of all trunks.
#[derive(Clone, Debug, Default)]
pub struct Trunks(Arc<Mutex<HashMap<TrunkId, Watched>>>);

impl Trunks {
    pub fn state(&self, id: TrunkId) -> TrunkState {
        self.lock().get(&id).map(|watched| watched.state.clone()).unwrap_or_default()
    }

    /// A trunk as it was last read.
    pub(super) fn get(&self, id: TrunkId) -> Option<Trunk> {
        self.lock().get(&id).and_then(|watched| watched.trunk.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TrunkId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, trunks: &[Trunk], now: Instant) {
        let mut all = self.lock();
        all.retain(|id, _| trunks.iter().any(|trunk| trunk.id == *id));
        for trunk in trunks {
            let watched = all.entry(trunk.id).or_default();
            if watched.trunk.as_ref().is_some_and(|known| known.fields == trunk.fields) {
                continue;
            }
            if !trunk.fields.register {
                watched.state.registration = None;
            }
            watched.state.targets = Vec::new();
            watched.next_probe = trunk.fields.options_interval_s.map(|_| now);
            watched.trunk = Some(trunk.clone());
        }
    }

    /// Trunks whose targets are to be probed now.
    fn due(&self, now: Instant) -> Vec<Trunk> {
        let mut all = self.lock();
        let due = |watched: &mut Watched| {
            let trunk = watched.trunk.as_ref().filter(|_| watched.next_probe.is_some_and(|at| at <= now))?;
            let every = Duration::from_secs(trunk.fields.options_interval_s?.into());
            watched.next_probe = Some(now + every);
            Some(trunk.clone())
        };
        all.values_mut().filter_map(due).collect()
    }

    fn probed(&self, id: TrunkId, targets: Vec<TargetState>) {
        if let Some(watched) = self.lock().get_mut(&id) {
            for state in &targets {
                let before = watched.state.targets.iter().find(|known| known.host == state.host);
                if before.map(|known| known.reachable) != Some(state.reachable) {
                    tracing::info!(trunk = %id, target = %state.host, reachable = state.reachable, "trunk target");
                }
            }
            watched.state.targets = targets;
        }
    }

    fn registered(&self, id: TrunkId, news: RegistrationNews) {
        let mut all = self.lock();
        let Some(watched) = all.get_mut(&id) else { return };
        let at = now();
        let since = at.rfc3339();
        watched.state.registration = match news {
            RegistrationNews::Registered { expires_s } => {
                let expires_at = Some(UnixMs(at.0 + i64::from(expires_s) * 1_000).rfc3339());
                // A refresh is no news.
                let before = watched.state.registration.take().filter(|state| state.registered);
                if before.is_none() {
                    tracing::info!(trunk = %id, expires_s, "registered");
                }
                let since = before.map_or(since, |state| state.since);
                Some(RegistrationState { registered: true, expires_at, sip_status: None, problem: None, since })
            }
            RegistrationNews::Failed { status, why, retry_in } => {
                tracing::warn!(trunk = %id, why, retry_in_s = retry_in.as_secs(), "registration failed");
                let problem = Some(format!("{why}; tried again in {} s", retry_in.as_secs()));
                Some(RegistrationState { registered: false, expires_at: None, sip_status: status, problem, since })
            }
            RegistrationNews::Ended => None,
        };
    }

    /// The targets of a trunk in the order to be tried: those that answer first, by priority, drawn by weight.
    fn in_order(&self, trunk: &Trunk) -> Vec<Target> {
        let state = self.state(trunk.id);
        let is_dead = |target: &Target| {
            let label = label(target);
            state.targets.iter().any(|known| known.host == label && !known.reachable)
        };
        let mut left: Vec<(bool, Target)> =
            trunk.fields.all_targets().into_iter().map(|target| (is_dead(&target), target)).collect();
        left.sort_by_key(|(dead, target)| (*dead, target.priority)); // stable: as written among equals
        let mut ordered = Vec::with_capacity(left.len());
        while let Some((dead, priority)) = left.first().map(|(dead, target)| (*dead, target.priority)) {
            let equals = left.iter().take_while(|(d, target)| (*d, target.priority) == (dead, priority)).count();
            let total: u32 = left[..equals].iter().map(|(_, target)| u32::from(target.weight) + 1).sum();
            let mut drawn = rand::random::<u32>() % total;
            let mut at = 0;
            while drawn > u32::from(left[at].1.weight) {
                drawn -= u32::from(left[at].1.weight) + 1;
                at += 1;
            }
            ordered.push(left.remove(at).1);
        }
        ordered
    }
}

/// How a target is called in lists.
fn label(target: &Target) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    }
}

fn wire(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

fn hop(target: &Target) -> Hop {
    // UDP is what nobody chose: a name without a port may say better (NAPTR).
    let chosen = target.transport.filter(|transport| *transport != TrunkTransport::Udp || target.port.is_some());
    Hop { host: target.host.clone(), port: target.port, transport: chosen.map(wire) }
}

fn proxy_hop(fields: &TrunkFields) -> Option<(Hop, String)> {
    let proxy = Proxy::parse(fields.outbound_proxy.as_deref()?)?;
    let transport = wire(proxy.transport.unwrap_or(fields.transport));
    let mut uri = Uri::sip(None, &proxy.host, proxy.port);
    uri.params = match transport {
        Transport::Udp => ";lr".to_owned(),
        other => format!(";transport={};lr", other.name().to_ascii_lowercase()),
    };
    Some((Hop { host: proxy.host, port: proxy.port, transport: Some(transport) }, format!("<{uri}>")))
}

fn credentials(username: Option<String>, password: Option<String>) -> Option<Credentials> {
    username.zip(password).map(|(username, password)| Credentials { username, password })
}

fn name(user: &str, domain: &str, port: Option<u16>) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(user), domain, port), params: String::new() }
}

/// From and the headers that carry our number beside it (RFC 3323, RFC 3325, RFC 5806).
fn identify(context: &Context, fields: &TrunkFields, from_number: Option<&str>, headers: &mut Headers) -> NameAddr {
    let domain = fields.from_domain.clone().unwrap_or_else(|| context.media_addr.to_string());
    let port = fields.from_domain.is_none().then(|| context.sip.local_udp().port());
    let account = fields.from_user.as_deref().or(from_number).or(fields.username.as_deref());
    let number = name(from_number.or(account).unwrap_or("anonymous"), &domain, port);
    let header = match fields.identity_header {
        IdentityHeader::None if fields.hide_number => Some(HeaderName::PAssertedIdentity),
        IdentityHeader::None => None,
        IdentityHeader::PAssertedIdentity => Some(HeaderName::PAssertedIdentity),
        IdentityHeader::PPreferredIdentity => Some(HeaderName::Other("P-Preferred-Identity".into())),
        IdentityHeader::RemotePartyId => Some(HeaderName::Other("Remote-Party-ID".into())),
    };
    if let Some(header) = header {
        let is_party = fields.identity_header == IdentityHeader::RemotePartyId;
        let privacy = if fields.hide_number { "full" } else { "off" };
        let params = if is_party { format!(";party=calling;screen=no;privacy={privacy}") } else { String::new() };
        headers.push(header, format!("<{}>{params}", number.uri));
    }
    if let Some(diversion) = &fields.diversion {
        headers.push(HeaderName::Diversion, format!("<{}>;reason=unconditional", name(diversion, &domain, port).uri));
    }
    if fields.hide_number {
        headers.push(HeaderName::Privacy, "id");
        return NameAddr { display: Some("Anonymous".to_owned()), ..name("anonymous", "anonymous.invalid", None) };
    }
    name(account.unwrap_or("anonymous"), &domain, port)
}

/// An INVITE over a trunk; none when the trunk only receives or may not call there.
pub(super) fn invite(context: &Context, trunk: &Trunk, errand: Errand<'_>) -> Option<Invite> {
    let fields = &trunk.fields;
    let targets = context.trunks.in_order(trunk);
    let first = targets.first()?;
    let (request_uri, is_uri) = match errand.destination {
        Destination::Number(number) if !fields.may_call(number) => {
            tracing::warn!(trunk = %trunk.id, "the trunk may not call this destination");
            return None;
        }
        Destination::Number(number) => (Uri::sip(Some(&fields.dial(number)), &first.host, first.port), false),
        Destination::SipUri(uri) => (Uri::parse(uri).ok()?, true),
    };
    let mut headers = errand.headers;
    for (name, value) in &fields.headers {
        headers.push(HeaderName::parse(name), value.as_str());
    }
    let from = identify(context, fields, errand.from_number, &mut headers);
    let hops = match proxy_hop(fields) {
        Some((hop, route)) => {
            headers.push(HeaderName::Route, route);
            vec![hop]
        }
        // A URI names its own host; numbers go to the trunk.
        None if is_uri => Vec::new(),
        None => targets.iter().map(hop).collect(),
    };
    Some(Invite {
        to: NameAddr { display: None, uri: request_uri.clone(), params: String::new() },
        request_uri,
        from,
        hops,
        transport: wire(fields.transport),
        credentials: credentials(fields.username.clone(), fields.password.clone()),
        sdp: (!fields.delayed_offer && !errand.sdp.is_empty()).then_some(errand.sdp),
        headers,
        accept_refer: fields.accept_refer,
    })
}

/// Whether somebody is there at a trunk's other end: the status of the answer to OPTIONS (any is a sign of life)
/// and how long it took. `Err` when the trunk only receives.
pub async fn probe_trunk(context: &Context, trunk: &Trunk) -> Result<(Option<u16>, Duration), ()> {
    let target = context.trunks.in_order(trunk).into_iter().next().ok_or(())?;
    Ok(probe(context, trunk, &target).await)
}

async fn probe(context: &Context, trunk: &Trunk, target: &Target) -> (Option<u16>, Duration) {
    let uri = Uri::sip(None, &target.host, target.port);
    let destination = Destination::SipUri(uri.to_string());
    let errand = Errand { from_number: None, destination: &destination, sdp: Vec::new(), headers: Headers::default() };
    let started = Instant::now();
    let Some(mut invite) = invite(context, trunk, errand) else { return (None, Duration::ZERO) };
    if invite.hops.is_empty() {
        invite.hops = vec![hop(target)];
    }
    let answer = tokio::time::timeout(PROBE_DEADLINE, context.sip.options(invite)).await;
    (answer.ok().flatten(), started.elapsed())
}

async fn probe_all(context: Shared, trunk: Trunk) {
    let mut states = Vec::new();
    for target in trunk.fields.all_targets() {
        let (status, took) = probe(&context, &trunk, &target).await;
        states.push(TargetState {
            host: label(&target),
            reachable: status.is_some(),
            sip_status: status,
            latency_ms: status.map(|_| took.as_millis() as u64),
            checked_at: now().rfc3339(),
        });
    }
    context.trunks.probed(trunk.id, states);
}

/// Probes targets when it is time, and takes in what registrars say. Ends with the endpoint.
pub async fn watch_trunks(context: Shared, mut registrations: mpsc::Receiver<(Arc<str>, RegistrationNews)>) {
    let mut tick = tokio::time::interval(WATCH_INTERVAL);
    loop {
        tokio::select! {
            news = registrations.recv() => match news {
                Some((id, news)) => {
                    if let Some(id) = TrunkId::parse(&id) {
                        context.trunks.registered(id, news);
                    }
                }
                None => return,
            },
            _ = tick.tick() => {
                for trunk in context.trunks.due(Instant::now()) {
                    tokio::spawn(probe_all(context.clone(), trunk));
                }
            }
        }
    }
}

fn rule(trunk: &Trunk) -> TrunkRule {
    let fields = &trunk.fields;
    TrunkRule {
        id: trunk.id.to_string().into(),
        allow: fields.allowed_addresses.iter().filter_map(|addr| IpNet::parse(addr)).collect(),
        credentials: credentials(fields.inbound_username.clone(), fields.inbound_password.clone()),
        accept_refer: fields.accept_refer,
    }
}

fn registration(trunk: &Trunk) -> Option<RegistrationRule> {
    let fields = &trunk.fields;
    let credentials = credentials(fields.username.clone(), fields.password.clone()).filter(|_| fields.register)?;
    let domain = fields.registrar.as_deref().or(fields.host.as_deref())?;
    let port = fields.port.filter(|_| fields.registrar.is_none());
    let hops = match proxy_hop(fields) {
        Some((hop, _)) => vec![hop],
        None => fields.all_targets().iter().map(hop).collect(),
    };
    Some(RegistrationRule {
        id: trunk.id.to_string().into(),
        aor: Uri::sip(Some(&credentials.username), domain, None),
        registrar: Uri::sip(None, domain, port),
        hops,
        transport: wire(fields.transport),
        contact_user: contact_user(trunk, &credentials),
        credentials: Some(credentials),
        expires_s: fields.register_expires_s.unwrap_or(REGISTER_EXPIRES_S),
    })
}

/// The same after a restart, so that a registration is renewed and not doubled; known to the registrar alone.
fn contact_user(trunk: &Trunk, credentials: &Credentials) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("contact\n{}\n{}", trunk.id, credentials.password));
    digest.iter().take(10).fold("t".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The number a call that came in over a trunk is for, in E.164 where that can be told.
pub(super) fn dialled(trunk: &Trunk, incoming: &Incoming) -> String {
    let fields = &trunk.fields;
    let contact = credentials(fields.username.clone(), fields.password.clone())
        .filter(|_| fields.register)
        .map(|credentials| contact_user(trunk, &credentials));
    // What was registered says nothing about who was called: the To header does.
    let request = incoming.request_uri.user_plain().filter(|user| contact.as_deref() != Some(user.as_str()));
    fields.e164(&request.or(incoming.to.uri.user_plain()).unwrap_or_default())
}

/// Who calls: what the carrier asserts, where it is trusted, else From.
pub(super) fn calling(trunk: &Trunk, incoming: &Incoming) -> String {
    let asserted = incoming
        .headers
        .list(&HeaderName::PAssertedIdentity)
        .filter(|_| trunk.fields.trust_identity)
        .find_map(|value| NameAddr::parse(value).ok()?.uri.user_plain());
    let number = asserted.or(incoming.from.uri.user_plain());
    number.map_or_else(|| "anonymous".to_owned(), |number| trunk.fields.e164(&number))
}

/// What a call's headers say, as the call shows it.
pub(super) fn described(headers: &Headers) -> Map<String, Value> {
    let mut custom = Map::new();
    for header in headers.iter() {
        // The Identity header is shown as what it says, not as what it is.
        if header.name != HeaderName::Identity && custom.len() < HEADERS_SHOWN_MAX {
            let value = header.value.chars().take(HEADER_VALUE_MAX).collect::<String>();
            custom.insert(header.name.as_str().to_owned(), Value::String(value));
        }
    }
    let mut facts = Map::new();
    if !custom.is_empty() {
        facts.insert("headers".to_owned(), Value::Object(custom));
    }
    facts
}

/// Headers that a task or a tool wants on its call.
pub(super) fn custom_headers(headers: &BTreeMap<String, String>) -> Headers {
    let mut all = Headers::default();
    for (name, value) in headers {
        all.push(HeaderName::parse(name), value.as_str());
    }
    all
}

impl Context {
    /// Gives the endpoint the rules and registrations of every trunk.
    pub async fn reload_trunks(&self) -> Result<(), StoreError> {
        let trunks = self.store.trunks_of_everyone().await?;
        self.trunks.replace(&trunks, Instant::now());
        self.sip.set_trunks(trunks.iter().map(rule).collect()).await;
        if self.registers {
            self.sip.set_registrations(trunks.iter().filter_map(registration).collect()).await;
        }
        Ok(())
    }
}
