//! A SIP trunk: where calls go, where they may come from, who we are there.

use super::FieldFault;
use super::attestation::Attestation;
use super::ids::{OrganizationId, TrunkId};
use super::organization::{Limits, check_name};
use super::phone_number::PhoneNumber;
use super::time::UnixMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkFields {
    #[schema(min_length = 1)]
    pub name: String,
    /// Where our calls go: host name or address. A trunk without one, and without `targets`, only receives.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub transport: Transport,
    /// Further hosts: the lowest priority is tried first, weights share the calls among equals. `host` counts as
    /// priority 0, weight 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 16)]
    pub targets: Vec<Target>,
    /// `host`, `host:port` or `host:port;transport=tcp` that every request goes through (RFC 3261 section 8.1.2).
    #[serde(default)]
    pub outbound_proxy: Option<String>,
    /// Credentials of our calls.
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// Registers with `registrar`, or `host`, as `username`: for providers that deliver calls to a registration.
    #[serde(default)]
    pub register: bool,
    /// Domain to register with, where it is not `host`.
    #[serde(default)]
    pub registrar: Option<String>,
    /// Lifetime to ask for.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 86_400)]
    pub register_expires_s: Option<u32>,
    /// Asks every target with OPTIONS whether it is there; those that are not go last.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 3_600)]
    pub options_interval_s: Option<u32>,
    /// User part of From; several carriers want the account here instead of the number.
    #[serde(default)]
    pub from_user: Option<String>,
    /// Domain of From; the advertised address without it.
    #[serde(default)]
    pub from_domain: Option<String>,
    /// The header that carries our number beside From.
    #[serde(default)]
    pub identity_header: IdentityHeader,
    /// Callees are not shown our number: From is anonymous, `Privacy: id` asks the carrier to keep it (RFC 3323).
    #[serde(default)]
    pub hide_number: bool,
    /// Number in a Diversion header (RFC 5806), for carriers that only take own numbers with it.
    #[serde(default)]
    pub diversion: Option<String>,
    /// Callers are who P-Asserted-Identity says (RFC 3325): for carriers, not for telephones.
    #[serde(default)]
    pub trust_identity: bool,
    /// User part of the Request-URI: `{e164}` is +31…, `{number}` the same without plus, `{national}` as dialled in
    /// `country_code`.
    #[serde(default = "default_template")]
    pub dial_string: String,
    /// Country whose national numbers the carrier uses, `31`.
    #[serde(default)]
    pub country_code: Option<String>,
    /// What national numbers begin with, `0`.
    #[serde(default)]
    pub national_prefix: Option<String>,
    /// What international numbers begin with, `00`.
    #[serde(default)]
    pub international_prefix: Option<String>,
    /// Taken off numbers that come in, before anything else.
    #[serde(default)]
    pub strip_prefix: Option<String>,
    /// Headers of every INVITE of ours.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Numbers that may be called begin with one of these, `+31`; without any all may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_destinations: Vec<String>,
    /// Callers need a number that somebody vouches for at least so far, in an Identity header that is believed.
    #[serde(default)]
    pub require_attestation: Option<Attestation>,
    /// Numbers that begin with one of these are not called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_destinations: Vec<String>,
    /// Addresses and networks calls may come from.
    #[serde(default)]
    pub allowed_addresses: Vec<String>,
    /// Credentials we ask for from callers of other addresses.
    #[serde(default)]
    pub inbound_username: Option<String>,
    #[serde(default)]
    pub inbound_password: Option<String>,
    #[serde(default = "default_codecs")]
    /// PCMU, PCMA, G722, OPUS.
    #[schema(min_items = 1)]
    pub codecs: Vec<String>,
    /// Milliseconds of sound in a packet of ours, unless the peer asks for another number: 10 to 60.
    #[serde(default)]
    #[schema(minimum = 10, maximum = 60)]
    pub ptime_ms: Option<u16>,
    #[serde(default)]
    pub srtp: Srtp,
    /// Where the keys of calls we make come from. Of calls that come in both are taken.
    #[serde(default)]
    pub srtp_keying: SrtpKeying,
    #[serde(default)]
    pub allow_sip_uri: bool,
    /// The peer may hand calls on with REFER, to destinations that tasks may call.
    #[serde(default)]
    pub accept_refer: bool,
    /// A 3xx is followed, to destinations that tasks may call.
    #[serde(default)]
    pub follow_redirects: bool,
    /// INVITEs of ours carry no offer; the answer does.
    #[serde(default)]
    pub delayed_offer: bool,
    /// Calls at once over this trunk; tasks wait beyond it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_concurrent_calls: Option<u32>,
    /// Outbound calls started in a second.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 1_000)]
    pub calls_per_second: Option<f64>,
}

/// One of several hosts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrunkTarget)]
pub struct Target {
    pub host: String,
    #[serde(default)]
    pub port: Option<u16>,
    /// That of the trunk without one.
    #[serde(default)]
    pub transport: Option<Transport>,
    #[serde(default)]
    pub priority: u16,
    #[serde(default = "default_weight")]
    pub weight: u16,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TrunkTransport)]
pub enum Transport {
    #[default]
    Udp,
    Tcp,
    Tls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityHeader {
    #[default]
    None,
    PAssertedIdentity,
    PPreferredIdentity,
    RemotePartyId,
}

/// Whether sound is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
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
const TARGETS_MAX: usize = 16;

/// What a trunk can speak.
pub const CODECS: &[&str] = &["PCMU", "PCMA", "G722", "OPUS"];

fn default_codecs() -> Vec<String> {
    vec!["PCMU".to_owned(), "PCMA".to_owned()]
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    pub id: TrunkId,
    pub organization: OrganizationId,
    pub fields: TrunkFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// `203.0.113.7` or `203.0.113.0/24`.
fn is_network(text: &str) -> bool {
    let (addr, prefix) = text.split_once('/').map_or((text, None), |(addr, prefix)| (addr, Some(prefix)));
    let Ok(addr) = addr.parse::<std::net::IpAddr>() else { return false };
    let longest = if addr.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| prefix.parse::<u8>().is_ok_and(|len| len <= longest))
}

/// Text that becomes a part of a URI.
fn is_clean(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || "<>\"@;".contains(c))
}

fn is_digits(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `+31`, `31`.
fn is_prefix(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    is_digits(digits, 15)
}

/// Headers that make a message what it is cannot be set from outside.
const OWN_HEADERS: &[&str] = &[
    "call-id",
    "max-forwards",
    "content-length",
    "content-type",
    "content-encoding",
    "record-route",
    "proxy-authorization",
    "session-expires",
    "min-se",
    "refer-to",
    "proxy-require",
];

/// Headers customers put on calls: how many, and how long.
const HEADERS_MAX: usize = 20;
const HEADER_VALUE_MAX: usize = 512;

/// Checks headers of a customer: names are tokens and not ours, values one line of visible ASCII.
pub fn check_headers<'a>(
    field: &'static str, headers: impl ExactSizeIterator<Item = (&'a String, &'a String)>, custom_only: bool,
) -> Result<(), FieldFault> {
    if headers.len() > HEADERS_MAX {
        return Err(FieldFault::new(field, format!("at most {HEADERS_MAX} headers")));
    }
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        let (first, rest) = lower.split_once('-').unwrap_or(("", ""));
        let parts = !first.is_empty()
            && (1..=60).contains(&rest.len())
            && first.bytes().all(|b| b.is_ascii_alphanumeric())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !parts || lower.len() > 64 {
            return Err(FieldFault::new(field, format!("{name:?}: a name such as X-Account is needed")));
        }
        if OWN_HEADERS.contains(&lower.as_str()) {
            return Err(FieldFault::new(field, format!("{name} is set by the call itself")));
        }
        if custom_only && first != "x" && lower != "user-to-user" {
            return Err(FieldFault::new(field, format!("{name}: only X-… and User-to-User can be set")));
        }
        if value.is_empty() || value.len() > HEADER_VALUE_MAX || !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let message = format!("{name}: the value must have 1 to {HEADER_VALUE_MAX} visible ASCII characters");
            return Err(FieldFault::new(field, message));
        }
    }
    Ok(())
}

impl TrunkFields {
    pub fn validate(&self) -> Result<(), FieldFault> {
        check_name(&self.name)?;
        let texts = [
            ("host", &self.host),
            ("from_user", &self.from_user),
            ("from_domain", &self.from_domain),
            ("registrar", &self.registrar),
        ];
        for (field, value) in texts {
            if value.as_deref().is_some_and(|value| !is_clean(value)) {
                return Err(FieldFault::new(field, "must not be empty or hold spaces, <, >, @, ; or quotes"));
            }
        }
        self.validate_targets()?;
        if let Some(bad) = self.allowed_addresses.iter().find(|addr| !is_network(addr)) {
            let message = format!("{bad} is not an IP address or network such as 203.0.113.0/24");
            return Err(FieldFault::new("allowed_addresses", message));
        }
        if self.codecs.is_empty() || self.codecs.iter().any(|codec| !CODECS.contains(&codec.as_str())) {
            return Err(FieldFault::new("codecs", "one or more of PCMU, PCMA, G722, OPUS"));
        }
        if self.ptime_ms.is_some_and(|ms| !(10..=60).contains(&ms) || ms % 10 != 0) {
            return Err(FieldFault::new("ptime_ms", "must be 10, 20, 30, 40, 50 or 60"));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(FieldFault::new("password", "username and password come together"));
        }
        if self.inbound_username.is_some() != self.inbound_password.is_some() {
            return Err(FieldFault::new("inbound_password", "inbound_username and inbound_password come together"));
        }
        self.validate_numbers()?;
        check_headers("headers", self.headers.iter(), false)?;
        self.limits().validate()
    }

    fn validate_targets(&self) -> Result<(), FieldFault> {
        if self.targets.len() > TARGETS_MAX {
            return Err(FieldFault::new("targets", format!("at most {TARGETS_MAX}")));
        }
        if let Some(bad) = self.targets.iter().find(|target| !is_clean(&target.host)) {
            let message = format!("{:?} is no host name or address", bad.host);
            return Err(FieldFault::new("targets", message));
        }
        if self.outbound_proxy.as_deref().is_some_and(|proxy| Proxy::parse(proxy).is_none()) {
            let message = "must be host, host:port or host:port;transport=udp, tcp or tls";
            return Err(FieldFault::new("outbound_proxy", message));
        }
        if self.register && (self.username.is_none() || self.host.is_none() && self.registrar.is_none()) {
            return Err(FieldFault::new("register", "needs username, password and host or registrar"));
        }
        if self.register_expires_s.is_some_and(|s| !(60..=86_400).contains(&s)) {
            return Err(FieldFault::new("register_expires_s", "must be between 60 and 86400"));
        }
        if self.options_interval_s.is_some_and(|s| !(10..=3_600).contains(&s)) {
            return Err(FieldFault::new("options_interval_s", "must be between 10 and 3600"));
        }
        Ok(())
    }

    fn validate_numbers(&self) -> Result<(), FieldFault> {
        if !["{e164}", "{number}", "{national}"].iter().any(|place| self.dial_string.contains(place)) {
            return Err(FieldFault::new("dial_string", "must contain {e164}, {number} or {national}"));
        }
        if self.dial_string.len() > 128 || self.dial_string.contains(|c: char| c.is_whitespace() || "<>\"@".contains(c))
        {
            return Err(FieldFault::new("dial_string", "must not hold spaces, <, >, @ or quotes"));
        }
        if self.dial_string.contains("{national}") && self.country_code.is_none() {
            return Err(FieldFault::new("country_code", "{national} in dial_string needs it"));
        }
        let codes = [
            ("country_code", &self.country_code, 3),
            ("national_prefix", &self.national_prefix, 4),
            ("international_prefix", &self.international_prefix, 5),
        ];
        for (field, value, max) in codes {
            if value.as_deref().is_some_and(|value| !is_digits(value, max)) {
                return Err(FieldFault::new(field, format!("must be 1 to {max} digits")));
            }
        }
        let clean = |value: &str| {
            (1..=32).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#*".contains(&b))
        };
        for (field, value) in [("strip_prefix", &self.strip_prefix), ("diversion", &self.diversion)] {
            if value.as_deref().is_some_and(|value| !clean(value)) {
                return Err(FieldFault::new(field, "must have 1 to 32 letters, digits, +, # or *"));
            }
        }
        let lists =
            [("allowed_destinations", &self.allowed_destinations), ("denied_destinations", &self.denied_destinations)];
        for (field, list) in lists {
            if let Some(bad) = list.iter().find(|prefix| !is_prefix(prefix)) {
                return Err(FieldFault::new(field, format!("{bad:?} is no prefix of an E.164 number, such as +31")));
            }
        }
        Ok(())
    }

    pub fn media(&self) -> TrunkMedia {
        TrunkMedia {
            codecs: self.codecs.clone(),
            ptime_ms: self.ptime_ms,
            srtp: self.srtp,
            srtp_keying: self.srtp_keying,
        }
    }

    pub fn limits(&self) -> Limits {
        Limits {
            max_concurrent_calls: self.max_concurrent_calls,
            calls_per_second: self.calls_per_second,
            ..Limits::default()
        }
    }

    /// Every host with its place: `host` first among its equals.
    pub fn all_targets(&self) -> Vec<Target> {
        let first = self.host.clone().map(|host| Target {
            host,
            port: self.port,
            transport: Some(self.transport),
            priority: 0,
            weight: default_weight(),
        });
        let own = |target: &Target| Target { transport: target.transport.or(Some(self.transport)), ..target.clone() };
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
    pub ptime_ms: Option<u16>,
    pub srtp: Srtp,
    pub srtp_keying: SrtpKeying,
}

/// Where every request of a trunk goes through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    pub host: String,
    pub port: Option<u16>,
    pub transport: Option<Transport>,
}

impl Proxy {
    /// `host`, `host:port`, `[v6]:port`, each with `;transport=…`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, transport) = match text.split_once(";transport=") {
            Some((address, "udp")) => (address, Some(Transport::Udp)),
            Some((address, "tcp")) => (address, Some(Transport::Tcp)),
            Some((address, "tls")) => (address, Some(Transport::Tls)),
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
    use crate::domain::phone_number::PhoneNumber;

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
    fn faults_name_their_field() {
        type Change = fn(&mut TrunkFields);
        let faults: &[(&str, Change)] = &[
            ("targets", |f| {
                f.targets = vec![Target { host: "a b".into(), port: None, transport: None, priority: 0, weight: 1 }]
            }),
            ("outbound_proxy", |f| f.outbound_proxy = Some("p:x".into())),
            ("outbound_proxy", |f| f.outbound_proxy = Some("p;transport=ws".into())),
            ("register", |f| f.register = true),
            ("register_expires_s", |f| f.register_expires_s = Some(5)),
            ("options_interval_s", |f| f.options_interval_s = Some(1)),
            ("codecs", |f| f.codecs = vec!["G729".into()]),
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
            assert_eq!(fields(change).validate().map_err(|fault| fault.field), Err((*field).into()), "{field}");
        }
        assert_eq!(fields(|f| drop(f.headers.insert("X-A".into(), "a".into()))).validate(), Ok(()));
    }

    #[test]
    fn proxies() {
        let parse = |text| Proxy::parse(text).map(|p| (p.host, p.port, p.transport));
        assert_eq!(parse("p.example"), Some(("p.example".into(), None, None)));
        assert_eq!(parse("p:5070;transport=tcp"), Some(("p".into(), Some(5_070), Some(Transport::Tcp))));
        assert_eq!(
            parse("[2001:db8::1]:5061;transport=tls"),
            Some(("2001:db8::1".into(), Some(5_061), Some(Transport::Tls)))
        );
        for bad in ["", "a b", "p:99999", "sip:p;lr"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
