//! A SIP trunk: where calls go, where they may come from, who we are there.

use super::allowed_networks;
use super::attestation::Attestation;
use super::ids::{OrganizationId, TrunkId};
use super::inbound_claim::InboundClaim;
use super::organization::{self, CALLS_AT_ONCE, CALLS_PER_SECOND, OrganizationLimits};
use super::phone_number::PhoneNumber;
use super::rules::{at_most, between, each, fits, parses, secret_fits, set_with};
use super::secret::{Secret, exposed};
use super::sip_headers;
use super::time::UnixMs;
use garde::Validate;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A SIP trunk: where calls go, where they may come from, and how its carrier writes numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TrunkFields {
    /// What people call the trunk: 1 to 200 characters.
    #[schema(min_length = 1)]
    #[garde(custom(organization::name))]
    pub name: String,
    /// Where our calls go: host name or address. A trunk without one, and without `targets`, only receives.
    #[serde(default)]
    #[garde(inner(custom(host_name())))]
    pub host: Option<String>,
    /// Port of `host`. None: by DNS (RFC 3263), or else 5060, and 5061 for TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// Transport to `host`, and to targets that name none; `udp` by default.
    #[serde(default)]
    pub transport: TrunkTransport,
    /// Further hosts: the lowest priority is tried first, weights share the calls among equals. `host` counts as
    /// priority 0, weight 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    #[garde(custom(at_most(TARGETS_MAX)), custom(have_hosts))]
    pub targets: Vec<TrunkTarget>,
    /// `host`, `host:port` or `host:port;transport=tcp` that every request goes through (RFC 3261 section 8.1.2).
    #[serde(default)]
    #[garde(inner(custom(parses(
        OutboundProxy::parse,
        "must be host, host:port or host:port;transport=udp, tcp or tls"
    ))))]
    pub outbound_proxy: Option<String>,
    /// Credentials of our calls.
    #[serde(default)]
    #[garde(inner(custom(fits(is_credential, CREDENTIAL_WORDS))))]
    pub username: Option<String>,
    /// Password of our calls and registration; set together with `username`, never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>)]
    #[garde(inner(custom(secret_fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(custom(set_with(&self.username, "username")))]
    pub password: Option<Secret>,
    /// Registers with `registrar`, or `host`, as `username`: for providers that deliver calls to a registration.
    #[serde(default)]
    #[garde(custom(fits(|_: &bool| self.can_register(), "needs username, password and host or registrar")))]
    pub register: bool,
    /// Domain to register with, where it is not `host`.
    #[serde(default)]
    #[garde(inner(custom(host_name())))]
    pub registrar: Option<String>,
    /// Lifetime to ask for.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 86_400)]
    #[garde(inner(custom(between(60..=86_400))))]
    pub register_expires_s: Option<u32>,
    /// Asks every target with OPTIONS whether it is there; those that are not go last.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 3_600)]
    #[garde(inner(custom(between(10..=3_600))))]
    pub options_interval_s: Option<u32>,
    /// User part of From; several carriers want the account here instead of the number.
    #[serde(default)]
    #[garde(inner(custom(fits(is_clean, "must be visible ASCII without <, >, @, ;, \\ or quotes"))))]
    pub from_user: Option<String>,
    /// Domain of From; the advertised address without it.
    #[serde(default)]
    #[garde(inner(custom(host_name())))]
    pub from_domain: Option<String>,
    /// The header that carries our number beside From.
    #[serde(default)]
    pub identity_header: IdentityHeader,
    /// Callees are not shown our number: From is anonymous, `Privacy: id` asks the carrier to keep it (RFC 3323).
    #[serde(default)]
    pub hide_number: bool,
    /// Number in a Diversion header (RFC 5806), for carriers that only take own numbers with it.
    #[serde(default)]
    #[garde(inner(custom(fits(is_dialled, "must have 1 to 32 letters, digits, +, # or *"))))]
    pub diversion: Option<String>,
    /// Trust P-Asserted-Identity (RFC 3325): for carriers, not for phones.
    #[serde(default)]
    pub trust_identity: bool,
    /// User part of the Request-URI: `{e164}` is +31…, `{number}` the same without plus, `{national}` as dialled in
    /// `country_code`.
    #[serde(default = "default_template")]
    #[garde(custom(fits(has_place, "must contain {e164}, {number} or {national}")))]
    #[garde(custom(fits(is_template, "must be visible ASCII without <, >, @, \\ or quotes")))]
    pub dial_string: String,
    /// Country whose national numbers the carrier uses, `31`.
    #[serde(default)]
    #[garde(custom(fits(|_: &Option<_>| self.can_dial(), "is required, because dial_string contains {national}")))]
    #[garde(inner(custom(digits(3))))]
    pub country_code: Option<String>,
    /// What national numbers begin with, `0`.
    #[serde(default)]
    #[garde(inner(custom(digits(4))))]
    pub national_prefix: Option<String>,
    /// What international numbers begin with, `00`.
    #[serde(default)]
    #[garde(inner(custom(digits(5))))]
    pub international_prefix: Option<String>,
    /// Taken off numbers that come in, before anything else.
    #[serde(default)]
    #[garde(inner(custom(fits(is_dialled, "must have 1 to 32 letters, digits, +, # or *"))))]
    pub strip_prefix: Option<String>,
    /// Headers of every INVITE of ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[garde(custom(sip_headers::rule(false)))]
    pub headers: BTreeMap<String, String>,
    /// Numbers that may be called begin with one of these, `+31`; without any all may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(custom(at_most(DESTINATIONS_MAX)), custom(prefixes()))]
    pub allowed_destinations: Vec<String>,
    /// Required attestation of the caller's number in a verified Identity header.
    #[serde(default)]
    pub require_attestation: Option<Attestation>,
    /// Numbers that begin with one of these are not called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[garde(custom(at_most(DESTINATIONS_MAX)), custom(prefixes()))]
    pub denied_destinations: Vec<String>,
    /// Addresses and networks calls may come from.
    #[serde(default)]
    #[garde(custom(at_most(ALLOWED_ADDRESSES_MAX)), custom(networks()))]
    pub allowed_addresses: Vec<String>,
    /// Credentials we ask for from callers of other addresses.
    #[serde(default)]
    #[garde(inner(custom(fits(is_credential, CREDENTIAL_WORDS))))]
    pub inbound_username: Option<String>,
    /// Password that callers of other addresses must prove; set together with `inbound_username`, never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>)]
    #[garde(inner(custom(secret_fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(custom(set_with(&self.inbound_username, "inbound_username")))]
    pub inbound_password: Option<Secret>,
    #[serde(default = "default_codecs")]
    /// PCMU, PCMA, G722, OPUS.
    #[schema(min_items = 1)]
    #[garde(custom(fits(are_codecs, "must be one or more of PCMU, PCMA, G722, OPUS")))]
    pub codecs: Vec<String>,
    /// Milliseconds of sound in a packet of ours, unless the peer asks for another number: 10 to 60.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 60)]
    #[garde(inner(custom(fits(|ms: &u16| (1..=6).any(|n| n * 10 == *ms), "must be 10, 20, 30, 40, 50 or 60"))))]
    pub ptime_ms: Option<u16>,
    /// Whether audio is encrypted (RFC 3711); `off` by default.
    #[serde(default)]
    pub srtp: SrtpPolicy,
    /// Where the keys of calls we make come from. Of calls that come in both are taken.
    #[serde(default)]
    pub srtp_keying: SrtpKeying,
    /// Whether tasks and transfers may call `sip:` addresses over this trunk; false by default.
    #[serde(default)]
    pub allow_sip_uri: bool,
    /// The peer may transfer calls with REFER, to destinations that tasks may call.
    #[serde(default)]
    pub accept_refer: bool,
    /// A 3xx is followed, to destinations that tasks may call.
    #[serde(default)]
    pub follow_redirects: bool,
    /// Delayed offer: our INVITE carries no offer, the answer does.
    #[serde(default)]
    pub delayed_offer: bool,
    /// Calls at once over this trunk; tasks wait beyond it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    #[garde(inner(custom(between(CALLS_AT_ONCE))))]
    pub max_concurrent_calls: Option<u32>,
    /// Outbound calls started in a second.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 1_000)]
    #[garde(inner(custom(between(CALLS_PER_SECOND))))]
    pub calls_per_second: Option<f64>,
}

/// One of several hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrunkTarget)]
pub struct TrunkTarget {
    /// Host name or IP address, without a port.
    pub host: String,
    /// Port of this host. None: by DNS (RFC 3263), or else 5060, and 5061 for TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// That of the trunk without one.
    #[serde(default)]
    pub transport: Option<TrunkTransport>,
    /// Hosts with the lowest number are tried first; 0 by default.
    #[serde(default)]
    pub priority: u16,
    /// Share of the calls among hosts of equal priority; 100 by default.
    #[serde(default = "default_weight")]
    pub weight: u16,
}

/// How SIP messages travel to a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TrunkTransport)]
pub enum TrunkTransport {
    /// One datagram for each message; over TCP if a message is too large (RFC 3261 section 18.1.1).
    #[default]
    Udp,
    /// A connection that is kept and used again.
    Tcp,
    /// TCP with TLS; the certificate of the host is checked (RFC 5922).
    Tls,
}

/// The header of outbound calls that carries our number beside From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityHeader {
    /// No header beside From; with `hide_number` it is `P-Asserted-Identity`.
    #[default]
    None,
    /// `P-Asserted-Identity` (RFC 3325): the usual one for carriers.
    PAssertedIdentity,
    /// `P-Preferred-Identity` (RFC 3325): the carrier asserts the number itself.
    PPreferredIdentity,
    /// `Remote-Party-ID`, the older header that some systems still want.
    RemotePartyId,
}

/// Whether sound is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Srtp)]
pub enum SrtpPolicy {
    /// Never offered, and not taken.
    #[default]
    Off,
    /// Taken where it is offered; offered beside the plain stream (RFC 8643).
    Preferred,
    /// Nothing else.
    Mandatory,
}

/// How keys are agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SrtpKeying {
    /// In the session description (RFC 4568): carriers.
    #[default]
    Sdes,
    /// By a DTLS handshake on the stream (RFC 5763): WebRTC's way, and that of some softphones and gateways.
    Dtls,
}

fn default_weight() -> u16 {
    100
}

fn default_template() -> String {
    "{e164}".to_owned()
}

/// More hosts than that are a load balancer's.
pub const TARGETS_MAX: usize = 16;
/// Addresses and networks of callers: the longest list of gateways that a carrier publishes has some eighty. Each is an
/// entry in the table that every packet of a stranger is looked up in.
pub const ALLOWED_ADDRESSES_MAX: usize = 256;
/// Prefixes of a list of destinations: there are some 250 country codes. They are gone through at every call.
pub const DESTINATIONS_MAX: usize = 500;

/// What a trunk can speak.
pub const CODECS: &[&str] = &["PCMU", "PCMA", "G722", "OPUS"];

fn default_codecs() -> Vec<String> {
    vec!["PCMU".to_owned(), "PCMA".to_owned()]
}

/// A stored trunk: the customer's settings and what the server keeps beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    /// Chosen by the server when the trunk is created; never changes.
    pub id: TrunkId,
    /// The organization that owns the trunk, and so the calls that come in over it.
    pub organization: OrganizationId,
    /// The customer's settings, as they were last saved.
    pub fields: TrunkFields,
    /// Since when it takes calls as it does.
    pub inbound_claim: InboundClaim,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the trunk was created.
    pub created_at: UnixMs,
    /// When the settings were last changed.
    pub updated_at: UnixMs,
}

impl Trunk {
    /// Creates a trunk in version 1 with a new id; its claims to inbound calls count from `at`.
    pub fn new(organization: OrganizationId, fields: TrunkFields, at: UnixMs) -> Self {
        let inbound_claim = InboundClaim::new(&fields, at);
        Self { id: TrunkId::new(), organization, fields, inbound_claim, version: 1, created_at: at, updated_at: at }
    }

    /// Changes the settings; earlier claims keep their age.
    pub fn change(&mut self, fields: TrunkFields, at: UnixMs) {
        self.inbound_claim = self.inbound_claim.changed(&self.fields, &fields, at);
        (self.fields, self.updated_at) = (fields, at);
    }
}

/// Text that becomes the user part of a URI: nothing in it ends that part, the URI or the header.
fn is_clean(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@;\\".contains(&b))
}

/// The same with parameters, `;user=phone`.
fn is_template(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@\\".contains(&b))
}

fn has_place(template: &str) -> bool {
    ["{e164}", "{number}", "{national}"].iter().any(|place| template.contains(place))
}

/// What comes before or instead of a number.
fn is_dialled(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#*".contains(&b))
}

/// A host name, or an address without brackets.
fn is_host(text: &str) -> bool {
    let name = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    text.parse::<std::net::IpAddr>().is_ok() || (1..=253).contains(&text.len()) && text.bytes().all(name)
}

fn is_digits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `+31`, `31`.
fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    is_digits(digits, 15)
}

fn host_name() -> impl FnOnce(&str, &()) -> garde::Result {
    fits(is_host, "must be a host name or an address, without a port")
}

fn have_hosts(targets: &[TrunkTarget], _: &()) -> garde::Result {
    let bad = targets.iter().find(|target| !is_host(&target.host));
    let words = |bad: &TrunkTarget| format!("{:?} is not a host name or address", bad.host);
    bad.map_or(Ok(()), |bad| Err(garde::Error::new(words(bad))))
}

const CREDENTIAL_WORDS: &str = "must not be empty or hold control characters";

/// Becomes a part of header values, quoted or escaped; nothing escapes a line's end.
fn is_credential(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

fn digits(max: usize) -> impl FnOnce(&str, &()) -> garde::Result {
    fits(move |text: &str| is_digits(text, max), format!("must be 1 to {max} digits"))
}

fn prefixes() -> impl FnOnce(&[String], &()) -> garde::Result {
    each(is_prefix, |bad| format!("{bad:?} is not a prefix of an E.164 number, such as +31"))
}

fn networks() -> impl FnOnce(&[String], &()) -> garde::Result {
    let is_network = |text: &str| allowed_networks::parse(text).is_some();
    each(is_network, |bad| format!("{bad} is not an IP address or network such as 203.0.113.0/24"))
}

fn are_codecs(list: &[String]) -> bool {
    (1..=CODECS.len()).contains(&list.len()) && list.iter().all(|codec| CODECS.contains(&codec.as_str()))
}

impl TrunkFields {
    /// The networks calls may come from: all that the operator's consent covers, and the first that it does not.
    pub fn networks(&self, consented: &[IpNet]) -> (Vec<IpNet>, Option<IpNet>) {
        allowed_networks::within_width(
            self.allowed_addresses.iter().filter_map(|text| allowed_networks::parse(text)),
            consented,
        )
    }

    fn can_register(&self) -> bool {
        !self.register || self.username.is_some() && (self.host.is_some() || self.registrar.is_some())
    }

    fn can_dial(&self) -> bool {
        self.country_code.is_some() || !self.dial_string.contains("{national}")
    }

    /// Every host that requests of ours are sent to because this trunk names it, with its port and the field that does.
    pub fn hosts(&self) -> Vec<(String, String, u16)> {
        let port = |port: Option<u16>, transport: Option<TrunkTransport>| {
            let is_tls = transport.unwrap_or(self.transport) == TrunkTransport::Tls;
            port.unwrap_or(if is_tls { 5_061 } else { 5_060 })
        };
        let mut all = Vec::new();
        all.extend(self.host.clone().map(|host| ("host".to_owned(), host, port(self.port, None))));
        for (index, target) in self.targets.iter().enumerate() {
            all.push((format!("targets[{index}].host"), target.host.clone(), port(target.port, target.transport)));
        }
        if let Some(proxy) = self.outbound_proxy.as_deref().and_then(OutboundProxy::parse) {
            let at = port(proxy.port, proxy.transport);
            all.push(("outbound_proxy".to_owned(), proxy.host, at));
        }
        all.extend(self.registrar.clone().map(|host| ("registrar".to_owned(), host, port(None, None))));
        all
    }

    /// Every place that the credentials of our calls are for: host and port.
    fn places(&self) -> Vec<(String, u16)> {
        let place = |(_, host, port): (String, String, u16)| (host.trim_end_matches('.').to_ascii_lowercase(), port);
        self.hosts().into_iter().map(place).collect()
    }

    /// Clears credentials that were meant for other hosts, unless the change brings a new password: otherwise users who
    /// may edit a trunk could read its password. True when some were cleared.
    pub fn forget_credentials_given_elsewhere(&mut self, before: &Self, password_is_given: bool) -> bool {
        let known = before.places();
        let leads_elsewhere = self.places().iter().any(|place| !known.contains(place));
        let forgets = leads_elsewhere && !password_is_given && before.password.is_some() && self.password.is_some();
        if forgets {
            self.password = None;
            // A new user name without a password is for the validation to refuse.
            self.username.take_if(|username| Some(&*username) == before.username.as_ref());
        }
        forgets
    }

    /// Returns the settings that decide what is offered and accepted in session descriptions.
    pub fn media(&self) -> TrunkMedia {
        TrunkMedia {
            codecs: self.codecs.clone(),
            ptime_ms: self.ptime_ms,
            srtp: self.srtp,
            srtp_keying: self.srtp_keying,
        }
    }

    /// Returns the limits of the trunk: calls at once and per second; those of a day are never set.
    pub fn limits(&self) -> OrganizationLimits {
        OrganizationLimits {
            max_concurrent_calls: self.max_concurrent_calls,
            calls_per_second: self.calls_per_second,
            ..OrganizationLimits::default()
        }
    }

    /// Every host with its place: `host` first among its equals.
    pub fn all_targets(&self) -> Vec<TrunkTarget> {
        let first = self.host.clone().map(|host| TrunkTarget {
            host,
            port: self.port,
            transport: Some(self.transport),
            priority: 0,
            weight: default_weight(),
        });
        let own = |target: &TrunkTarget| TrunkTarget {
            transport: target.transport.or(Some(self.transport)),
            ..target.clone()
        };
        first.into_iter().chain(self.targets.iter().map(own)).collect()
    }

    /// It can call out.
    pub fn calls_out(&self) -> bool {
        self.host.is_some() || !self.targets.is_empty()
    }

    /// The destination is one that this trunk may call.
    pub fn may_call(&self, number: &PhoneNumber) -> bool {
        let begins = |prefix: &String| number.digits().starts_with(prefix.trim_start_matches('+'));
        let allowed = self.allowed_destinations.is_empty() || self.allowed_destinations.iter().any(begins);
        allowed && !self.denied_destinations.iter().any(begins)
    }

    /// The same for the user part of a URI, which may be a number: a denied number cannot be reached as a URI either.
    pub fn may_call_user(&self, user: &str) -> bool {
        let read = self.e164(user);
        let digits = read.trim_start_matches(['+', '0']);
        PhoneNumber::parse(&format!("+{digits}")).is_none_or(|number| self.may_call(&number))
    }

    /// User part of the Request-URI for a number.
    pub fn dial(&self, number: &PhoneNumber) -> String {
        let dialled = self.dial_string.replace("{e164}", number.as_str()).replace("{number}", number.digits());
        if dialled.contains("{national}") { dialled.replace("{national}", &self.national(number)) } else { dialled }
    }

    /// As it is dialled in the trunk's country.
    fn national(&self, number: &PhoneNumber) -> String {
        let own = self.country_code.as_deref().and_then(|code| number.digits().strip_prefix(code));
        match own {
            Some(rest) => format!("{}{rest}", self.national_prefix.as_deref().unwrap_or("")),
            None => format!("{}{}", self.international_prefix.as_deref().unwrap_or("00"), number.digits()),
        }
    }

    /// A number as the carrier writes it, in E.164 where that can be told.
    pub fn e164(&self, text: &str) -> String {
        let text = self.strip_prefix.as_deref().and_then(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        // Separators that people write (RFC 3966 section 5.1.1).
        let plain: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if plain.strip_prefix('+').is_some_and(digits) {
            return plain;
        }
        if !digits(&plain) {
            return text.to_owned();
        }
        let after = |prefix: &Option<String>| {
            prefix.as_deref().filter(|prefix| !prefix.is_empty()).and_then(|prefix| plain.strip_prefix(prefix))
        };
        if let Some(rest) = after(&self.international_prefix) {
            return format!("+{rest}");
        }
        let Some(code) = self.country_code.as_deref() else { return text.to_owned() };
        if let Some(rest) = after(&self.national_prefix) {
            return format!("+{code}{rest}");
        }
        // The whole number without its plus, or a national one without any prefix.
        let whole = plain.starts_with(code) && PhoneNumber::parse(&format!("+{plain}")).is_some();
        if whole || self.national_prefix.is_some() { format!("+{plain}") } else { format!("+{code}{plain}") }
    }
}

/// What a trunk says about media.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrunkMedia {
    /// Names of codecs, the preferred first; empty for G.711.
    pub codecs: Vec<String>,
    /// Milliseconds of audio in a packet: 10 to 60 in steps of 10. `None`: 20, or what the peer asks for.
    pub ptime_ms: Option<u16>,
    /// Whether SRTP is offered, required or refused.
    pub srtp: SrtpPolicy,
    /// Where the keys of outbound calls come from; inbound calls may use either.
    pub srtp_keying: SrtpKeying,
}

/// Where every request of a trunk goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundProxy {
    /// Host name, or IP address without brackets.
    pub host: String,
    /// Port. `None`: by DNS (RFC 3263), or else the transport's default.
    pub port: Option<u16>,
    /// Transport of the proxy. `None`: that of the trunk.
    pub transport: Option<TrunkTransport>,
}

impl OutboundProxy {
    /// `host`, `host:port`, `[v6]:port`, each with `;transport=…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, transport) = match text.split_once(";transport=") {
            Some((address, "udp")) => (address, Some(TrunkTransport::Udp)),
            Some((address, "tcp")) => (address, Some(TrunkTransport::Tcp)),
            Some((address, "tls")) => (address, Some(TrunkTransport::Tls)),
            Some(_) => return None,
            None => (text, None),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                (host, rest.strip_prefix(':').map(str::parse).transpose().ok()?)
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port.parse().ok()?)),
                None => (address, None),
            },
        };
        let name = |b: u8| b.is_ascii_alphanumeric() || b".-".contains(&b);
        let is_host = host.parse::<std::net::IpAddr>().is_ok() || !host.is_empty() && host.bytes().all(name);
        (is_host && text.len() <= 255).then(|| Self { host: host.to_owned(), port, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults;
    use crate::phone_number::PhoneNumber;

    /// The field of the first fault; empty without any.
    fn first(fields: &TrunkFields) -> String {
        faults(fields).into_iter().next().map(|fault| fault.field).unwrap_or_default()
    }

    fn fields(change: impl FnOnce(&mut TrunkFields)) -> TrunkFields {
        let mut fields = TrunkFields { name: "t".into(), dial_string: "{e164}".into(), ..TrunkFields::default() };
        fields.codecs = default_codecs();
        change(&mut fields);
        fields
    }

    #[test]
    fn numbers_are_dialled_by_template() {
        let number = PhoneNumber::parse("+31201234567").unwrap();
        for (template, wanted) in [
            ("{e164}", "+31201234567"),
            ("{number}", "31201234567"),
            ("9{number}", "931201234567"),
            ("{national}", "0201234567"),
        ] {
            let fields = fields(|f| {
                f.dial_string = template.into();
                (f.country_code, f.national_prefix) = (Some("31".into()), Some("0".into()));
            });
            assert_eq!(fields.dial(&number), wanted);
            let abroad = PhoneNumber::parse("+442071234567").unwrap();
            assert_eq!(fields.dial(&abroad).contains("00442071234567"), template == "{national}");
        }
    }

    #[test]
    fn numbers_that_come_in_become_e164() {
        let dutch = fields(|f| {
            f.country_code = Some("31".into());
            f.national_prefix = Some("0".into());
            f.international_prefix = Some("00".into());
            f.strip_prefix = Some("99#".into());
        });
        for (text, wanted) in [
            ("0201234567", "+31201234567"),
            ("0031201234567", "+31201234567"),
            ("+31201234567", "+31201234567"),
            ("+31-20-123.45(67)", "+31201234567"),
            ("31201234567", "+31201234567"),
            ("99#0201234567", "+31201234567"),
            ("00442071234567", "+442071234567"),
            ("anonymous", "anonymous"),
            ("", ""),
        ] {
            assert_eq!(dutch.e164(text), wanted, "{text}");
        }
        let american = fields(|f| f.country_code = Some("1".into()));
        assert_eq!(american.e164("2125550100"), "+12125550100");
        assert_eq!(american.e164("12125550100"), "+12125550100");
        assert_eq!(fields(|_| {}).e164("0201234567"), "0201234567", "without rules as written");
    }

    #[test]
    fn destinations_are_allowed_and_denied_by_prefix() {
        let trunk = fields(|f| {
            f.allowed_destinations = vec!["+31".into(), "44".into()];
            f.denied_destinations = vec!["+31900".into()];
        });
        for (number, may) in
            [("+31201234567", true), ("+31900123456", false), ("+442071234567", true), ("+12125550100", false)]
        {
            assert_eq!(trunk.may_call(&PhoneNumber::parse(number).unwrap()), may, "{number}");
        }
        assert!(fields(|_| {}).may_call(&PhoneNumber::parse("+12125550100").unwrap()));
    }

    #[test]
    fn a_number_inside_of_a_uri_is_a_number_all_the_same() {
        let trunk = fields(|f| f.denied_destinations = vec!["+31900".into()]);
        for user in ["+31900123456", "31900123456", "0031900123456", "+31-900-123456", "031900123456"] {
            assert!(!trunk.may_call_user(user), "{user}");
        }
        let dutch = fields(|f| {
            f.denied_destinations = vec!["+31900".into()];
            (f.country_code, f.national_prefix) = (Some("31".into()), Some("0".into()));
        });
        assert!(!dutch.may_call_user("0900123456"));
        for user in ["alice", "100", "+31201234567", "", "sales.31900123456"] {
            assert!(trunk.may_call_user(user), "{user}");
        }
        let only = fields(|f| f.allowed_destinations = vec!["+31".into()]);
        assert!(!only.may_call_user("+12125550100") && only.may_call_user("100") && only.may_call_user("alice"));
    }

    #[test]
    fn faults_name_their_field() {
        type Change = fn(&mut TrunkFields);
        let faults: &[(&str, Change)] = &[
            ("targets", |f| {
                f.targets =
                    vec![TrunkTarget { host: "a b".into(), port: None, transport: None, priority: 0, weight: 1 }]
            }),
            ("outbound_proxy", |f| f.outbound_proxy = Some("p:x".into())),
            ("outbound_proxy", |f| f.outbound_proxy = Some("p;transport=ws".into())),
            ("register", |f| f.register = true),
            ("register_expires_s", |f| f.register_expires_s = Some(5)),
            ("options_interval_s", |f| f.options_interval_s = Some(1)),
            ("codecs", |f| f.codecs = vec!["G729".into()]),
            ("codecs", |f| f.codecs = vec!["PCMU".into(); 5]),
            ("allowed_addresses", |f| f.allowed_addresses = vec!["10.0.0.0/33".into()]),
            ("allowed_addresses", |f| f.allowed_addresses = vec!["192.0.2.1".into(); ALLOWED_ADDRESSES_MAX + 1]),
            ("allowed_destinations", |f| f.allowed_destinations = vec!["+31".into(); DESTINATIONS_MAX + 1]),
            ("denied_destinations", |f| f.denied_destinations = vec!["+31".into(); DESTINATIONS_MAX + 1]),
            ("targets", |f| f.targets = vec![target("h"); TARGETS_MAX + 1]),
            ("ptime_ms", |f| f.ptime_ms = Some(25)),
            ("dial_string", |f| f.dial_string = "{e164}@x".into()),
            ("country_code", |f| f.dial_string = "{national}".into()),
            ("country_code", |f| f.country_code = Some("+31".into())),
            ("denied_destinations", |f| f.denied_destinations = vec!["premium".into()]),
            ("headers", |f| drop(f.headers.insert("Via".into(), "x".into()))),
            ("headers", |f| drop(f.headers.insert("X-A".into(), "a\r\nb".into()))),
            ("headers", |f| drop(f.headers.insert("X A".into(), "a".into()))),
        ];
        for (field, change) in faults {
            assert_eq!(first(&fields(change)), *field);
        }
        assert_eq!(first(&fields(|f| drop(f.headers.insert("X-A".into(), "a".into())))), "");
    }

    fn target(host: &str) -> TrunkTarget {
        TrunkTarget { host: host.into(), port: None, transport: None, priority: 0, weight: 1 }
    }

    /// Every text that becomes part of a message, with everything that could end the part, the header or the message.
    #[test]
    fn no_text_ends_the_header_it_is_put_into() {
        type Set = fn(&mut TrunkFields, String);
        let with_account: Set = |f, text| (f.username, f.password) = (Some(text), Some("p".into()));
        let all: &[(&str, Set)] = &[
            ("host", |f, text| f.host = Some(text)),
            ("registrar", |f, text| f.registrar = Some(text)),
            ("from_domain", |f, text| f.from_domain = Some(text)),
            ("from_user", |f, text| f.from_user = Some(text)),
            ("outbound_proxy", |f, text| f.outbound_proxy = Some(text)),
            ("targets", |f, text| f.targets = vec![target(&text)]),
            ("dial_string", |f, text| f.dial_string = format!("{{e164}}{text}")),
            ("diversion", |f, text| f.diversion = Some(text)),
            ("strip_prefix", |f, text| f.strip_prefix = Some(text)),
            ("username", with_account),
            ("password", |f, text| (f.username, f.password) = (Some("u".into()), Some(text.into()))),
            ("inbound_username", |f, text| (f.inbound_username, f.inbound_password) = (Some(text), Some("p".into()))),
            ("inbound_password", |f, text| {
                (f.inbound_username, f.inbound_password) = (Some("u".into()), Some(text.into()));
            }),
            ("headers", |f, text| drop(f.headers.insert("X-A".into(), text))),
        ];
        for (field, set) in all {
            for bad in ["\r\nVia: x", "\n", "\r", "\0", "\u{7f}", "\u{85}", "a\tb\u{0}"] {
                for text in [bad.to_owned(), format!("a{bad}"), format!("{bad}a")] {
                    assert_eq!(first(&fields(|f| set(f, text.clone()))), *field, "{text:?}");
                }
            }
            // Quoted or escaped where they are used; values of headers end at the line only.
            if matches!(*field, "username" | "password" | "inbound_username" | "inbound_password" | "headers") {
                continue;
            }
            for bad in [">", "<sip:x>", "\"", "@evil.example", "a b", "ä", "\\"] {
                let text = format!("a{bad}");
                assert_eq!(first(&fields(|f| set(f, text.clone()))), *field, "{text:?}");
            }
        }
    }

    #[test]
    fn headers_that_make_a_message_what_it_is_are_not_set_from_outside() {
        for name in [
            "Via",
            "v",
            "From",
            "f",
            "To",
            "t",
            "Contact",
            "m",
            "Route",
            "Record-Route",
            "Call-ID",
            "i",
            "CSeq",
            "Content-Length",
            "l",
            "Content-Type",
            "c",
            "Authorization",
            "Proxy-Authorization",
            "Replaces",
            "Refer-To",
            "r",
            "Referred-By",
            "b",
            "Require",
            "Proxy-Require",
            "Supported",
            "k",
            "Max-Forwards",
            "Session-Expires",
            "x",
            "Min-SE",
            "Expires",
            "Event",
            "RAck",
            "RSeq",
            "Content-Encoding",
            "Accept-Encoding",
            "Identity",
            "Diversion",
            "Privacy",
            "Via ",
            "X-A:",
            "X-A\r\nVia",
            "",
            "-",
            "X-",
            "X-\u{e4}",
        ] {
            for cased in [name.to_owned(), name.to_lowercase(), name.to_uppercase()] {
                let set = |f: &mut TrunkFields| drop(f.headers.insert(cased.clone(), "a".into()));
                assert_eq!(first(&fields(set)), "headers", "{cased:?}");
            }
        }
    }

    #[test]
    fn every_fault_is_listed() {
        let faulty = fields(|f| {
            f.name = String::new();
            f.ptime_ms = Some(15);
            f.register_expires_s = Some(1);
            f.country_code = Some("x".into());
        });
        let found: Vec<String> = faults(&faulty).into_iter().map(|fault| fault.field).collect();
        assert_eq!(found, ["country_code", "name", "ptime_ms", "register_expires_s"]);
    }

    #[test]
    fn proxies() {
        let parse = |text| OutboundProxy::parse(text).map(|p| (p.host, p.port, p.transport));
        assert_eq!(parse("p.example"), Some(("p.example".into(), None, None)));
        assert_eq!(parse("p:5070;transport=tcp"), Some(("p".into(), Some(5_070), Some(TrunkTransport::Tcp))));
        assert_eq!(
            parse("[2001:db8::1]:5061;transport=tls"),
            Some(("2001:db8::1".into(), Some(5_061), Some(TrunkTransport::Tls)))
        );
        for bad in ["", "a b", "p:99999", "sip:p;lr"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
