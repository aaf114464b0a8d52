//! A SIP trunk: where calls go, where they may come from, who we are there.

use super::FieldFault;
use super::ids::{OrganizationId, TrunkId};
use super::organization::{Limits, check_name};
use super::time::UnixMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrunkFields {
    #[schema(min_length = 1)]
    pub name: String,
    /// Where our calls go: host name or address. A trunk without one only receives.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub transport: Transport,
    /// Credentials of our calls.
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// User part of From; several carriers want the account here instead of the number.
    #[serde(default)]
    pub from_user: Option<String>,
    /// Domain of From; the advertised address without it.
    #[serde(default)]
    pub from_domain: Option<String>,
    /// User part of the Request-URI: `{e164}` is +31…, `{number}` the same without plus.
    #[serde(default = "default_template")]
    pub dial_string: String,
    /// Addresses and networks calls may come from.
    #[serde(default)]
    pub allowed_addresses: Vec<String>,
    /// Credentials we ask for from callers of other addresses.
    #[serde(default)]
    pub inbound_username: Option<String>,
    #[serde(default)]
    pub inbound_password: Option<String>,
    #[serde(default = "default_codecs")]
    /// PCMU, PCMA.
    #[schema(min_items = 1)]
    pub codecs: Vec<String>,
    #[serde(default)]
    pub allow_sip_uri: bool,
    /// Calls at once over this trunk; tasks wait beyond it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub max_concurrent_calls: Option<u32>,
    /// Outbound calls started in a second.
    #[serde(default)]
    #[schema(minimum = 0.01, maximum = 1_000)]
    pub calls_per_second: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TrunkTransport)]
pub enum Transport {
    #[default]
    Udp,
    Tcp,
}

fn default_template() -> String {
    "{e164}".to_owned()
}

fn default_codecs() -> Vec<String> {
    vec!["PCMU".to_owned(), "PCMA".to_owned()]
}

#[derive(Clone, Debug, PartialEq)]
pub struct Trunk {
    pub id: TrunkId,
    pub organization: OrganizationId,
    pub fields: TrunkFields,
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

impl TrunkFields {
    pub fn validate(&self) -> Result<(), FieldFault> {
        check_name(&self.name)?;
        let clean =
            |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "<>\"@;".contains(c));
        for (field, value) in [("host", &self.host), ("from_user", &self.from_user), ("from_domain", &self.from_domain)]
        {
            if value.as_deref().is_some_and(|value| !clean(value)) {
                return Err(FieldFault::new(field, "must not be empty or hold spaces, <, >, @, ; or quotes"));
            }
        }
        if let Some(bad) = self.allowed_addresses.iter().find(|addr| !is_network(addr)) {
            let message = format!("{bad} is not an IP address or network such as 203.0.113.0/24");
            return Err(FieldFault::new("allowed_addresses", message));
        }
        if self.codecs.is_empty() || self.codecs.iter().any(|codec| !matches!(codec.as_str(), "PCMU" | "PCMA")) {
            return Err(FieldFault::new("codecs", "one or both of PCMU, PCMA"));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(FieldFault::new("password", "username and password come together"));
        }
        if self.inbound_username.is_some() != self.inbound_password.is_some() {
            return Err(FieldFault::new("inbound_password", "inbound_username and inbound_password come together"));
        }
        if !self.dial_string.contains("{e164}") && !self.dial_string.contains("{number}") {
            return Err(FieldFault::new("dial_string", "must contain {e164} or {number}"));
        }
        self.limits().validate()
    }

    pub fn limits(&self) -> Limits {
        Limits { max_concurrent_calls: self.max_concurrent_calls, calls_per_second: self.calls_per_second }
    }

    /// User part of the Request-URI for a number.
    pub fn dial(&self, number: &super::phone_number::PhoneNumber) -> String {
        self.dial_string.replace("{e164}", number.as_str()).replace("{number}", number.digits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone_number::PhoneNumber;

    #[test]
    fn numbers_are_dialled_by_template() {
        let number = PhoneNumber::parse("+31201234567").unwrap();
        for (template, wanted) in
            [("{e164}", "+31201234567"), ("{number}", "31201234567"), ("9{number}", "931201234567")]
        {
            let fields = TrunkFields { dial_string: template.into(), ..TrunkFields::default() };
            assert_eq!(fields.dial(&number), wanted);
        }
    }
}
