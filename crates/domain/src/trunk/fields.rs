//! What a customer sets of a trunk, and what follows from it: hosts, numbers, limits.

use super::media::{SrtpKeying, SrtpPolicy, TrunkMedia, default_codecs};
use super::target::{OutboundProxy, TARGETS_MAX, TrunkTarget, TrunkTransport, default_weight};
use super::validation::{
    CREDENTIAL_WORDS, are_codecs, digits, has_place, have_hosts, host_name, is_clean, is_credential, is_dialled,
    is_template, networks, prefixes,
};
use crate::allowed_networks;
use crate::attestation::Attestation;
use crate::organization::{self, CALLS_AT_ONCE, CALLS_PER_SECOND, OrganizationLimits};
use crate::phone_number::PhoneNumber;
use crate::rules::{at_most, between, fits, parses, secret_fits, set_with};
use crate::secret::{Secret, exposed};
use crate::sip_headers;
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

fn default_template() -> String {
    "{e164}".to_owned()
}

/// Addresses and networks of callers: the longest list of gateways that a carrier publishes has some eighty. Each is an
/// entry in the table that every packet of a stranger is looked up in.
pub const ALLOWED_ADDRESSES_MAX: usize = 256;
/// Prefixes of a list of destinations: there are some 250 country codes. They are gone through at every call.
pub const DESTINATIONS_MAX: usize = 500;

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
