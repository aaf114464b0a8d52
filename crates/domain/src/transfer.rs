//! The transfer targets for callers, and how to transfer: `transfer_config` of an agent.

use super::phone_number::{Destination, PhoneNumber};
use super::rules::{at_most, before, between, fits, is_text, parses};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    pub description: Option<String>,
    /// How to transfer to this destination. None: the `mode` of `transfer_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TransferMode>,
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
pub struct TransferTarget(String);

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
        fits.then(|| Self(text.to_owned()))
    }

    /// Returns the target as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number or URI to call for it.
    pub fn destination(&self) -> Option<Destination> {
        let number = self.0.strip_prefix("tel:").map(|rest| rest.split(';').next().unwrap_or(rest));
        Destination::parse(number.unwrap_or(&self.0))
    }

    /// The complete URI; `None` for a bare number, which becomes a URI at its trunk.
    pub fn uri(&self) -> Option<&str> {
        (!self.0.starts_with('+')).then_some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentFields;
    use crate::faults;

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
        assert_eq!(check(serde_json::json!({"ring_timeout_ms": 1})), Err("transfer_config.ring_timeout_ms".into()));
    }
}
