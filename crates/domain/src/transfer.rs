//! The transfer targets for callers, and how to transfer: `transfer_config` of an agent.

use super::phone_number::{Destination, PhoneNumber};
use super::rules::{at_most, before, between, fits, is_text, parses};
use super::sip_headers;
use super::template::{self, TemplateUse};
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Header with data of the call for its other end (RFC 7433).
pub const USER_TO_USER: &str = "User-to-User";

/// Destinations of an agent: what a model can choose from.
const DESTINATIONS_MAX: usize = 50;

/// How a caller is put through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferMode {
    /// `refer`, and `bridge` where the trunk refuses that.
    #[default]
    Auto,
    /// The trunk is asked to connect both (SIP REFER); we are out of the call.
    Refer,
    /// We call the destination and connect both.
    Bridge,
    /// The same, and the agent tells the destination first who is calling and why.
    Attended,
}

/// A destination to which the LLM may transfer the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(Vec<TransferDestination> as all))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TransferDestination {
    /// What the model calls it: `billing`.
    #[schema(min_length = 1, max_length = 64)]
    #[garde(custom(fits(|name: &str| is_text(name, 64), "must have 1 to 64 characters")))]
    #[garde(custom(fits(|name: &str| before(all, self).all(|earlier| earlier.name != name), "is there twice")))]
    pub name: String,
    /// An E.164 number, `tel:` or `sip:` URI; URIs are passed on as they are written.
    #[garde(custom(parses(TransferTarget::parse, "must be an E.164 number, a tel: URI with one, or a SIP URI")))]
    pub target: String,
    /// When the model should choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(template::rule(TemplateUse::Text))))]
    pub description: Option<String>,
    /// How to transfer to this destination. None: the `mode` of `transfer_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TransferMode>,
    /// Headers of the REFER, or of the call that we make to the destination: `X-…` and `User-to-User`, at most 20.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[garde(custom(sip_headers::rule(true)))]
    pub headers: BTreeMap<String, String>,
    /// The `User-to-User` header that the caller's call came with goes on to the destination, unless `headers` has one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pass_user_to_user: bool,
}

impl TransferDestination {
    /// Where to, with what the destination is told; `None` if the target cannot be read.
    pub fn transfer_target(&self) -> Option<TransferTarget> {
        let user_to_user = if self.pass_user_to_user { UserToUser::Pass } else { UserToUser::Keep };
        Some(TransferTarget { headers: self.headers.clone(), user_to_user, ..TransferTarget::parse(&self.target)? })
    }
}

/// What becomes of the User-to-User header of the caller's call (RFC 7433).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserToUser {
    /// It stays with us.
    #[default]
    Keep,
    /// The destination of the transfer gets it.
    Pass,
}

/// `transfer_config` of an agent; without destinations the model cannot transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct TransferConfig {
    /// The destinations that the LLM can choose from, each with a different name; at most 50.
    #[schema(max_items = 50)]
    #[garde(custom(at_most(DESTINATIONS_MAX)), dive(self.destinations))]
    pub destinations: Vec<TransferDestination>,
    /// How to transfer to destinations without a `mode`; `auto` by default.
    pub mode: TransferMode,
    /// How long the destination may ring before the caller is back with the agent.
    #[schema(minimum = 5000, maximum = 120_000)]
    #[garde(custom(between(5_000..=120_000)))]
    pub ring_timeout_ms: u64,
    /// Music for the caller meanwhile; comfort noise without it.
    pub hold_music: bool,
}

impl Default for TransferConfig {
    fn default() -> Self {
        Self { destinations: Vec::new(), mode: TransferMode::Auto, ring_timeout_ms: 30_000, hold_music: true }
    }
}

/// The target of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferTarget {
    uri: String,
    headers: BTreeMap<String, String>,
    user_to_user: UserToUser,
}

impl TransferTarget {
    /// Reads E.164, a `tel:` URI with a global number (RFC 3966), or `sip:user@host`; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = match text.strip_prefix("tel:") {
            // RFC 3966: a global number, perhaps with parameters.
            Some(rest) => {
                let number = rest.split(';').next().unwrap_or("");
                PhoneNumber::parse(number).is_some()
                    && rest.len() <= 128
                    && rest.bytes().all(|b| b.is_ascii_graphic() && !b"<>\",".contains(&b))
            }
            None => Destination::parse(text).is_some(),
        };
        let (headers, user_to_user) = (BTreeMap::new(), UserToUser::Keep);
        fits.then(|| Self { uri: text.to_owned(), headers, user_to_user })
    }

    /// Returns the target as it was written.
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// Headers of the REFER or of the call. `received`: the User-to-User header of the caller's call.
    pub fn headers(&self, received: Option<&str>) -> BTreeMap<String, String> {
        let mut headers = self.headers.clone();
        let is_set = headers.keys().any(|name| name.eq_ignore_ascii_case(USER_TO_USER));
        if let (UserToUser::Pass, false, Some(value)) = (self.user_to_user, is_set, received) {
            headers.insert(USER_TO_USER.to_owned(), value.to_owned());
        }
        headers
    }

    /// The number or URI to call for it.
    pub fn destination(&self) -> Option<Destination> {
        let number = self.uri.strip_prefix("tel:").map(|rest| rest.split(';').next().unwrap_or(rest));
        Destination::parse(number.unwrap_or(&self.uri))
    }

    /// The complete URI; `None` for a bare number, which becomes a URI at its trunk.
    pub fn uri(&self) -> Option<&str> {
        (!self.uri.starts_with('+')).then_some(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentFields;
    use crate::faults;
    use serde_json::json;

    #[test]
    fn a_destination_is_told_what_its_settings_say() {
        let headers = |settings: serde_json::Value, received: Option<&str>| {
            let mut destination = json!({"name": "a", "target": "+31201234567"});
            destination.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
            let destination: TransferDestination = serde_json::from_value(destination).unwrap();
            json!(destination.transfer_target().unwrap().headers(received))
        };
        let chosen = json!({"headers": {"X-Queue": "vip"}});
        assert_eq!(headers(json!({}), Some("00")), json!({}), "nothing is passed on unasked");
        assert_eq!(headers(chosen.clone(), Some("00")), json!({"X-Queue": "vip"}));
        let passed = json!({"headers": {"X-Queue": "vip"}, "pass_user_to_user": true});
        assert_eq!(headers(passed.clone(), Some("00")), json!({"X-Queue": "vip", "User-to-User": "00"}));
        assert_eq!(headers(passed, None), chosen["headers"]);
        let own = json!({"headers": {"user-to-user": "11"}, "pass_user_to_user": true});
        assert_eq!(headers(own, Some("00")), json!({"user-to-user": "11"}));
    }

    #[test]
    fn targets_stay_as_they_are_written() {
        for good in ["+31201234567", "tel:+31201234567", "tel:+31201234567;ext=12", "sip:desk@pbx.example.com:5070"] {
            assert_eq!(TransferTarget::parse(good).map(|target| target.as_str().to_owned()).as_deref(), Some(good));
        }
        for bad in ["", "tel:", "tel:0201234567", "0201234567", "sip:desk", "tel:+31201234567>\r\nX: y", "mailto:a@b.c"]
        {
            assert_eq!(TransferTarget::parse(bad), None, "{bad}");
        }
        let number = TransferTarget::parse("tel:+31201234567;ext=12").unwrap();
        assert!(matches!(number.destination(), Some(Destination::Number(number)) if number.as_str() == "+31201234567"));
        assert_eq!(TransferTarget::parse("+31201234567").unwrap().uri(), None);
    }

    #[test]
    fn a_fault_names_its_place() {
        let check = |value: serde_json::Value| {
            let agent = serde_json::json!({"name": "a", "transfer_config": value});
            let agent: AgentFields = serde_json::from_value(agent).unwrap();
            faults(&agent).into_iter().next().map_or(Ok(()), |fault| Err(fault.field))
        };
        let one = serde_json::json!({"name": "a", "target": "+31201234567"});
        assert_eq!(check(serde_json::json!({"destinations": [one]})), Ok(()));
        assert_eq!(
            check(serde_json::json!({"destinations": [one, one]})),
            Err("transfer_config.destinations[1].name".into())
        );
        let bad = serde_json::json!({"name": "b", "target": "reception"});
        assert_eq!(
            check(serde_json::json!({"destinations": [one, bad]})),
            Err("transfer_config.destinations[1].target".into())
        );
        for headers in [json!({"X-Queue": "vip", "User-to-User": "00aa;encoding=hex"}), json!({})] {
            let with = json!({"name": "b", "target": "+31201234567", "headers": headers, "pass_user_to_user": true});
            assert_eq!(check(json!({"destinations": [one, with]})), Ok(()));
        }
        for headers in [json!({"Subject": "x"}), json!({"Referred-By": "<sip:a@b>"}), json!({"X-A": "a\r\nVia: b"})] {
            let with = json!({"name": "b", "target": "+31201234567", "headers": headers});
            let wanted = Err("transfer_config.destinations[1].headers".into());
            assert_eq!(check(json!({"destinations": [one, with]})), wanted, "{headers}");
        }
        assert_eq!(check(serde_json::json!({"ring_timeout_ms": 1})), Err("transfer_config.ring_timeout_ms".into()));
    }
}
