//! The settings of a trunk, with the rules of its fields.

use super::modes::{IdentityHeader, InboundDigest, SrtpKeying, SrtpPolicy, TrunkTransport};
use super::outbound_proxy::OutboundProxy;
use crate::allowed_networks;
use crate::attestation::Attestation;
use crate::organization::{self, CALLS_AT_ONCE, CALLS_PER_SECOND};
use crate::rules::{at_most, between, chars, each, fits, parses, secret_chars, secret_fits, set_with};
use crate::secret::{Secret, exposed};
use crate::sip_headers;
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A SIP trunk: where calls go, where they may come from, and how its carrier writes numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TrunkFields {
    /// What people call the trunk: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    #[garde(custom(organization::name))]
    pub name: String,
    /// Where our calls go: host name or address. A trunk without one, and without `targets`, only receives.
    #[serde(default)]
    #[schema(max_length = 253)]
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
    #[schema(max_length = 256)]
    #[garde(inner(custom(fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(inner(custom(chars(256))))]
    pub username: Option<String>,
    /// Password of our calls and registration; set together with `username`, never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>, max_length = 256)]
    #[garde(inner(custom(secret_fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(custom(set_with(&self.username, "username")))]
    #[garde(inner(custom(secret_chars(256))))]
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
    #[schema(max_length = 256)]
    #[garde(inner(custom(fits(is_clean, "must be visible ASCII without <, >, @, ;, \\ or quotes"))))]
    #[garde(inner(custom(chars(256))))]
    pub from_user: Option<String>,
    /// Domain of From; the advertised address without it.
    #[serde(default)]
    #[schema(max_length = 253)]
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
    #[schema(max_length = 100)]
    #[garde(custom(fits(has_place, "must contain {e164}, {number} or {national}")))]
    #[garde(custom(chars(100)))]
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
    #[schema(max_items = 500)]
    #[garde(custom(at_most(DESTINATIONS_MAX)), custom(prefixes()))]
    pub allowed_destinations: Vec<String>,
    /// Required attestation of the caller's number in a verified Identity header.
    #[serde(default)]
    pub require_attestation: Option<Attestation>,
    /// Numbers that begin with one of these are not called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 500)]
    #[garde(custom(at_most(DESTINATIONS_MAX)), custom(prefixes()))]
    pub denied_destinations: Vec<String>,
    /// Addresses and networks calls may come from.
    #[serde(default)]
    #[schema(max_items = 256)]
    #[garde(custom(at_most(ALLOWED_ADDRESSES_MAX)), custom(networks()))]
    pub allowed_addresses: Vec<String>,
    /// Credentials we ask for from callers of other addresses.
    #[serde(default)]
    #[schema(max_length = 256)]
    #[garde(inner(custom(fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(inner(custom(chars(256))))]
    pub inbound_username: Option<String>,
    /// Password that callers of other addresses must prove; set together with `inbound_username`, never shown again.
    #[serde(default, serialize_with = "exposed")]
    #[schema(value_type = Option<String>, max_length = 256)]
    #[garde(inner(custom(secret_fits(is_credential, CREDENTIAL_WORDS))))]
    #[garde(custom(set_with(&self.inbound_username, "inbound_username")))]
    #[garde(inner(custom(secret_chars(256))))]
    pub inbound_password: Option<Secret>,
    /// Algorithms of the challenges to these callers; answers with others are refused.
    #[serde(default)]
    pub inbound_digest: InboundDigest,
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
    #[schema(max_length = 253)]
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

/// Of a target.
pub(super) fn default_weight() -> u16 {
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

/// In order of preference.
pub(super) fn default_codecs() -> Vec<String> {
    vec!["PCMU".to_owned(), "PCMA".to_owned()]
}

/// Text that becomes the user part of a URI: nothing in it ends that part, the URI or the header.
fn is_clean(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@;\\".contains(&b))
}

/// The same with parameters, `;user=phone`.
fn is_template(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@\\".contains(&b))
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
