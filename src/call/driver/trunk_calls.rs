//! Trunks in use: builds INVITEs, chooses targets, maps inbound rules, and tracks the state of the targets.

use super::trunk_probes::probe_all;
use super::{CallServices, SharedServices};
use crate::call::trunk_selection::{CalledParty, CredentialTrunks};
use crate::domain::FieldError;
use crate::domain::ids::TrunkId;
use crate::domain::phone_number::Destination;
use crate::domain::secret::Secret;
use crate::domain::time::UnixMs;
use crate::domain::trunk::{IdentityHeader, OutboundProxy, Trunk, TrunkFields, TrunkTarget, TrunkTransport};
use crate::store::{StoreError, now};
use crate::supervision;
use ipnet::IpNet;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use trunkline_signaling::sip::digest::DigestCredentials;
use trunkline_signaling::sip::message::uri::escape_user;
use trunkline_signaling::sip::message::{HeaderName, Headers, NameAddr, Uri};
use trunkline_signaling::sip::user_agent::{
    HostCredentials, InboundTrunk, IncomingInvite, InviteRequest, NextHop, RegistrationConfig, RegistrationEvent,
    Transport, TrunkCandidates, TrunkEvidence,
};
use utoipa::ToSchema;

/// Longer than probing all targets takes: after that a broken probe is forgotten.
const PROBING_MAX: Duration = Duration::from_secs(60);
/// How often it is looked whether a probe is due.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Default registration lifetime.
const REGISTER_EXPIRES_S: u32 = 300;

/// How many headers of a caller are stored, and how much of each.
const HEADERS_SHOWN_MAX: usize = 32;
const HEADER_VALUE_MAX: usize = 512;

/// Parameters of an INVITE other than its trunk.
#[derive(Clone, Debug)]
pub(super) struct InviteParams<'a> {
    pub from_number: Option<&'a str>,
    pub destination: &'a Destination,
    pub sdp: Vec<u8>,
    pub headers: Headers,
}

/// State of the trunk's targets as known to this process.
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
    pub(super) host: String,
    pub(super) reachable: bool,
    pub(super) sip_status: Option<u16>,
    pub(super) latency_ms: Option<u64>,
    #[schema(format = "date-time")]
    pub(super) checked_at: String,
}

#[derive(Debug, Default)]
struct WatchedTrunk {
    trunk: Option<Arc<Trunk>>,
    state: TrunkState,
    next_probe: Option<Instant>,
    /// Since when its targets are being probed: it is not due again before that ends.
    probing_since: Option<Instant>,
}

/// The states of all trunks.
#[derive(Clone, Debug, Default)]
pub struct TrunkStates {
    watched: Arc<Mutex<HashMap<TrunkId, WatchedTrunk>>>,
    /// Those that take callers by credentials.
    credential_trunks: Arc<Mutex<Arc<CredentialTrunks>>>,
    /// Wide networks that the operator allows trunks to list.
    wide_networks: Arc<[IpNet]>,
    reloads: Arc<TrunkReloads>,
}

/// Coalesces reloads: everybody who asked before a read began shares its result.
#[derive(Debug, Default)]
struct TrunkReloads {
    asked: AtomicU64,
    /// The last request that a finished read answers.
    answered: tokio::sync::Mutex<u64>,
}

impl TrunkStates {
    /// Returns an empty set. `wide_networks` are the networks wider than the limit that the operator allows trunks to
    /// list.
    pub fn new(wide_networks: &[IpNet]) -> Self {
        Self { wide_networks: wide_networks.into(), ..Self::default() }
    }

    /// Refuses networks that are too wide without the operator's consent.
    pub fn check_networks(&self, fields: &TrunkFields) -> Result<(), FieldError> {
        let Some(wide) = fields.networks(&self.wide_networks).1 else { return Ok(()) };
        let message = format!(
            "{wide} makes them too wide: together a /16 of IPv4 and a /32 of IPv6 at most, unless the operator allows \
             wider ones (sip.wide_networks_allowed)"
        );
        Err(FieldError::new("allowed_addresses", message))
    }

    /// Returns what this process knows of a trunk's registration and targets; an empty state for an unknown trunk.
    pub fn state(&self, id: TrunkId) -> TrunkState {
        self.lock().get(&id).map(|watched| watched.state.clone()).unwrap_or_default()
    }

    /// A trunk as it was last read.
    pub(super) fn get(&self, id: TrunkId) -> Option<Arc<Trunk>> {
        self.lock().get(&id).and_then(|watched| watched.trunk.clone())
    }

    /// The trunks a call may have come over, each once with its strongest evidence.
    pub(super) fn candidates(&self, candidates: &TrunkCandidates) -> Vec<(Arc<Trunk>, TrunkEvidence)> {
        let (all, mut seen) = (self.lock(), HashSet::new());
        let known = candidates.iter().filter_map(|(id, evidence)| Some((TrunkId::parse(id)?, evidence)));
        let once = known.filter(|(id, _)| seen.insert(*id));
        once.filter_map(|(id, evidence)| Some((all.get(&id)?.trunk.clone()?, evidence))).collect()
    }

    pub(super) fn credential_trunks(&self) -> Arc<CredentialTrunks> {
        self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TrunkId, WatchedTrunk>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, trunks: &[Arc<Trunk>], now: Instant) {
        let credential_trunks = Arc::new(CredentialTrunks::new(trunks.iter()));
        *self.credential_trunks.lock().unwrap_or_else(PoisonError::into_inner) = credential_trunks;
        let there: HashSet<TrunkId> = trunks.iter().map(|trunk| trunk.id).collect();
        let mut all = self.lock();
        all.retain(|id, _| there.contains(id));
        for trunk in trunks {
            let watched = all.entry(trunk.id).or_default();
            let known = watched.trunk.replace(trunk.clone());
            if known.is_some_and(|known| known.fields == trunk.fields) {
                continue;
            }
            if !trunk.fields.register {
                watched.state.registration = None;
            }
            watched.state.targets = Vec::new();
            watched.next_probe = trunk.fields.options_interval_s.map(|_| now);
        }
    }

    /// Trunks whose targets are to be probed now.
    fn targets_due(&self, now: Instant) -> Vec<Arc<Trunk>> {
        let mut all = self.lock();
        let due = |watched: &mut WatchedTrunk| {
            let is_probed = watched.probing_since.is_some_and(|since| now.duration_since(since) < PROBING_MAX);
            let is_due = !is_probed && watched.next_probe.is_some_and(|at| at <= now);
            let trunk = watched.trunk.as_ref().filter(|_| is_due)?;
            let every = Duration::from_secs(trunk.fields.options_interval_s?.into());
            watched.next_probe = Some(now + every);
            watched.probing_since = Some(now);
            Some(trunk.clone())
        };
        all.values_mut().filter_map(due).collect()
    }

    /// Postpones a probe for lack of capacity.
    pub(super) fn postpone_probe(&self, id: TrunkId, until: Instant) {
        if let Some(watched) = self.lock().get_mut(&id) {
            watched.probing_since = None;
            watched.next_probe = watched.next_probe.map(|_| until);
        }
    }

    pub(super) fn record_probe(&self, id: TrunkId, targets: Vec<TargetState>) {
        if let Some(watched) = self.lock().get_mut(&id) {
            watched.probing_since = None;
            for state in &targets {
                let before = watched.state.targets.iter().find(|known| known.host == state.host);
                if before.map(|known| known.reachable) != Some(state.reachable) {
                    tracing::info!(trunk = %id, target = %state.host, reachable = state.reachable, "trunk probed");
                }
            }
            watched.state.targets = targets;
        }
    }

    fn record_registration(&self, id: TrunkId, event: RegistrationEvent) {
        let mut all = self.lock();
        let Some(watched) = all.get_mut(&id) else { return };
        let at = now();
        let since = at.rfc3339();
        watched.state.registration = match event {
            RegistrationEvent::Registered { expires_s } => {
                let expires_at = Some(UnixMs(at.0 + i64::from(expires_s) * 1_000).rfc3339());
                // Do not log a refresh.
                let before = watched.state.registration.take().filter(|state| state.registered);
                if before.is_none() {
                    tracing::info!(trunk = %id, expires_s, "registered");
                }
                let since = before.map_or(since, |state| state.since);
                Some(RegistrationState { registered: true, expires_at, sip_status: None, problem: None, since })
            }
            RegistrationEvent::Failed { status, why, retry_in } => {
                tracing::warn!(trunk = %id, reason = why, retry_in_s = retry_in.as_secs(), "registration failed");
                let problem = Some(format!("{why}; tried again in {} s", retry_in.as_secs()));
                Some(RegistrationState { registered: false, expires_at: None, sip_status: status, problem, since })
            }
            RegistrationEvent::Removed => None,
        };
    }

    /// The targets of a trunk in order of attempt: reachable ones first, by priority, drawn by weight.
    pub(super) fn in_order(&self, trunk: &Trunk) -> Vec<TrunkTarget> {
        let state = self.state(trunk.id);
        let is_dead = |target: &TrunkTarget| {
            let label = label(target);
            state.targets.iter().any(|known| known.host == label && !known.reachable)
        };
        let mut left: Vec<(bool, TrunkTarget)> =
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
pub(super) fn label(target: &TrunkTarget) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", target.host),
        None => target.host.clone(),
    }
}

fn sip_transport(transport: TrunkTransport) -> Transport {
    match transport {
        TrunkTransport::Udp => Transport::Udp,
        TrunkTransport::Tcp => Transport::Tcp,
        TrunkTransport::Tls => Transport::Tls,
    }
}

pub(super) fn target_address(target: &TrunkTarget) -> NextHop {
    // UDP is the default: a name without a port may prefer another transport (NAPTR).
    let chosen = target.transport.filter(|transport| *transport != TrunkTransport::Udp || target.port.is_some());
    NextHop { host: target.host.clone(), port: target.port, transport: chosen.map(sip_transport) }
}

fn proxy_hop(fields: &TrunkFields) -> Option<(NextHop, String)> {
    let proxy = OutboundProxy::parse(fields.outbound_proxy.as_deref()?)?;
    let transport = sip_transport(proxy.transport.unwrap_or(fields.transport));
    let mut uri = Uri::sip(None, &proxy.host, proxy.port);
    uri.params = match transport {
        Transport::Udp => ";lr".to_owned(),
        other => format!(";transport={};lr", other.name().to_ascii_lowercase()),
    };
    Some((NextHop { host: proxy.host, port: proxy.port, transport: Some(transport) }, format!("<{uri}>")))
}

fn credentials(username: Option<String>, password: Option<Secret>) -> Option<DigestCredentials> {
    username.zip(password).map(|(username, password)| DigestCredentials { username, password: password.into() })
}

/// The credentials of our calls, only for the hosts in the trunk's settings.
fn bound_credentials(fields: &TrunkFields) -> Option<HostCredentials> {
    let credentials = credentials(fields.username.clone(), fields.password.clone())?;
    let registrar = fields.registrar.as_ref().map(|host| NextHop { host: host.clone(), port: None, transport: None });
    let proxy = proxy_hop(fields).map(|(next_hop, _)| next_hop);
    let hosts = fields.all_targets().iter().map(target_address).chain(proxy).chain(registrar).collect();
    Some(HostCredentials { credentials, hosts })
}

/// The user part may be an account name with arbitrary characters.
fn name(user: &str, domain: &str, port: Option<u16>) -> NameAddr {
    NameAddr { display: None, uri: Uri::sip(Some(&escape_user(user)), domain, port), params: String::new() }
}

/// From and the headers that carry our number beside it (RFC 3323, RFC 3325, RFC 5806).
fn add_identity_headers(
    context: &CallServices, fields: &TrunkFields, from_number: Option<&str>, headers: &mut Headers,
) -> NameAddr {
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
pub(super) fn invite(context: &CallServices, trunk: &Trunk, params: InviteParams<'_>) -> Option<InviteRequest> {
    let fields = &trunk.fields;
    let targets = context.trunks.in_order(trunk);
    let first = targets.first()?;
    let (request_uri, is_uri) = match params.destination {
        Destination::Number(number) if !fields.may_call(number) => {
            tracing::warn!(trunk = %trunk.id, "destination denied by the trunk's rules");
            return None;
        }
        Destination::Number(number) => (Uri::sip(Some(&fields.dial(number)), &first.host, first.port), false),
        Destination::SipUri(uri) => {
            let uri = Uri::parse(uri).ok()?;
            if uri.user_plain().is_some_and(|user| !fields.may_call_user(&user)) {
                tracing::warn!(trunk = %trunk.id, "the number in this URI is denied by the trunk's rules");
                return None;
            }
            (uri, true)
        }
    };
    let mut headers = params.headers;
    for (name, value) in &fields.headers {
        headers.push(HeaderName::parse(name), value.as_str());
    }
    let from = add_identity_headers(context, fields, params.from_number, &mut headers);
    let hops = match proxy_hop(fields) {
        Some((next_hop, route)) => {
            headers.push(HeaderName::Route, route);
            vec![next_hop]
        }
        // A URI names its own host; numbers go to the trunk.
        None if is_uri => Vec::new(),
        None => targets.iter().map(target_address).collect(),
    };
    Some(InviteRequest {
        to: NameAddr { display: None, uri: request_uri.clone(), params: String::new() },
        request_uri,
        from,
        hops,
        transport: sip_transport(fields.transport),
        credentials: bound_credentials(fields),
        sdp: (!fields.delayed_offer && !params.sdp.is_empty()).then_some(params.sdp),
        headers,
        trunk: Some(trunk.id.to_string().into()),
        accept_refer: fields.accept_refer,
    })
}

/// Probes targets when due and records registration events. Ends with the user agent.
pub async fn watch_trunks(context: SharedServices, registrations: &mut mpsc::Receiver<(Arc<str>, RegistrationEvent)>) {
    let mut tick = tokio::time::interval(WATCH_INTERVAL);
    loop {
        tokio::select! {
            event = registrations.recv() => match event {
                Some((id, event)) => {
                    if let Some(id) = TrunkId::parse(&id) {
                        context.trunks.record_registration(id, event);
                    }
                }
                None => return,
            },
            _ = tick.tick() => {
                for trunk in context.trunks.targets_due(Instant::now()) {
                    supervision::spawn("probe", probe_all(context.clone(), trunk));
                }
            }
        }
    }
}

fn rule(trunk: &Trunk, wide_networks: &[IpNet]) -> InboundTrunk {
    let fields = &trunk.fields;
    let (allow, too_wide) = fields.networks(wide_networks);
    if let Some(network) = too_wide {
        // Stored before consent was required, or when it was still given.
        tracing::warn!(trunk = %trunk.id, %network, "network ignored: too wide for sip.wide_networks_allowed");
    }
    InboundTrunk {
        id: trunk.id.to_string().into(),
        allow,
        credentials: credentials(fields.inbound_username.clone(), fields.inbound_password.clone()),
        accept_refer: fields.accept_refer,
    }
}

fn registration(trunk: &Trunk) -> Option<RegistrationConfig> {
    let fields = &trunk.fields;
    let credentials = credentials(fields.username.clone(), fields.password.clone()).filter(|_| fields.register)?;
    let domain = fields.registrar.as_deref().or(fields.host.as_deref())?;
    let port = fields.port.filter(|_| fields.registrar.is_none());
    let hops = match proxy_hop(fields) {
        Some((next_hop, _)) => vec![next_hop],
        None => fields.all_targets().iter().map(target_address).collect(),
    };
    Some(RegistrationConfig {
        id: trunk.id.to_string().into(),
        aor: Uri::sip(Some(&escape_user(&credentials.username)), domain, None),
        registrar: Uri::sip(None, domain, port),
        hops,
        transport: sip_transport(fields.transport),
        contact_user: contact_user(trunk, &credentials),
        credentials: Some(credentials),
        expires_s: fields.register_expires_s.unwrap_or(REGISTER_EXPIRES_S),
    })
}

/// Stable across restarts, so that a registration is renewed rather than duplicated; known to the registrar only.
fn contact_user(trunk: &Trunk, credentials: &DigestCredentials) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(format!("contact\n{}\n{}", trunk.id, credentials.password.expose_secret()));
    digest.iter().take(10).fold("t".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The called party of an INVITE.
pub(super) fn called_party(incoming: &IncomingInvite) -> CalledParty {
    CalledParty { request: incoming.request_uri.user_plain(), to: incoming.to.uri.user_plain() }
}

/// The calling party: the asserted identity if the trunk is trusted, else From.
pub(super) fn calling_party(trunk: &Trunk, incoming: &IncomingInvite) -> String {
    let asserted = incoming
        .headers
        .list(&HeaderName::PAssertedIdentity)
        .filter(|_| trunk.fields.trust_identity)
        .find_map(|value| NameAddr::parse(value).ok()?.uri.user_plain());
    let number = asserted.or(incoming.from.uri.user_plain());
    number.map_or_else(|| "anonymous".to_owned(), |number| trunk.fields.e164(&number))
}

/// What a call's headers say, as the call shows it.
pub(super) fn header_facts(headers: &Headers) -> Map<String, Value> {
    let mut custom = Map::new();
    for header in headers.iter() {
        // The Identity header is shown by its content, not verbatim.
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

impl CallServices {
    /// Gives the user agent the rules and registrations of all trunks. On return, everything stored before is in force.
    /// Concurrent changes share a read, so a tenant that writes in a loop costs no more than one that waits.
    pub async fn reload_trunks(&self) -> Result<(), StoreError> {
        let reloads = &self.trunks.reloads;
        let ticket = reloads.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = reloads.answered.lock().await;
        if *answered >= ticket {
            return Ok(());
        }
        let last = reloads.asked.load(Ordering::SeqCst);
        let trunks: Vec<Arc<Trunk>> = self.store.trunks_of_everyone().await?.into_iter().map(Arc::new).collect();
        self.trunks.replace(&trunks, Instant::now());
        self.sip.set_trunks(trunks.iter().map(|trunk| rule(trunk, &self.trunks.wide_networks)).collect()).await;
        if self.registers {
            self.sip.set_registrations(trunks.iter().filter_map(|trunk| registration(trunk)).collect()).await;
        }
        *answered = last;
        Ok(())
    }
}
