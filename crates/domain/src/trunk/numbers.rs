//! What follows from the settings of a trunk: targets, numbers as its carrier writes them, networks, limits.

use super::fields::{TrunkFields, TrunkTarget, default_weight};
use super::media::TrunkMedia;
use super::modes::TrunkTransport;
use super::outbound_proxy::OutboundProxy;
use crate::allowed_networks;
use crate::organization::OrganizationLimits;
use crate::phone_number::PhoneNumber;
use ipnet::IpNet;

impl TrunkFields {
    /// The networks calls may come from: all that the operator's consent covers, and the first that it does not.
    pub fn networks(&self, consented: &[IpNet]) -> (Vec<IpNet>, Option<IpNet>) {
        allowed_networks::within_width(
            self.allowed_addresses.iter().filter_map(|text| allowed_networks::parse(text)),
            consented,
        )
    }

    pub(super) fn can_register(&self) -> bool {
        !self.register || self.username.is_some() && (self.host.is_some() || self.registrar.is_some())
    }

    pub(super) fn can_dial(&self) -> bool {
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
