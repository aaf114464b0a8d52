//! Where a call may go that a SIP message points elsewhere: the targets of a 3xx and of a REFER.

use crate::domain::phone_number::{Destination, PhoneNumber};
use crate::domain::trunk::{TrunkFields, TrunkTarget};
use trunkline_signaling::sip::end_cause::EndCause;
use trunkline_signaling::sip::message::{Scheme, Uri};

/// Redirections of one call that are followed.
pub const REDIRECTS_MAX: u8 = 3;

/// Which redirections (3xx) of a call are followed.
#[derive(Clone, Debug)]
pub enum RedirectPolicy {
    /// None: a 3xx ends the call.
    Refuse,
    /// Those to a destination that this trunk may call.
    WithinTrunk(Box<TrunkFields>),
    /// All SIP URIs, as a phone does that belongs to no trunk.
    Anywhere,
}

impl RedirectPolicy {
    /// The policy of a trunk (`follow_redirects`).
    pub fn of_trunk(trunk: &TrunkFields) -> Self {
        if trunk.follow_redirects { Self::WithinTrunk(Box::new(trunk.clone())) } else { Self::Refuse }
    }

    /// The first target of a 3xx that may be called; `None` for every other cause.
    pub fn destination(&self, cause: &EndCause) -> Option<Destination> {
        let EndCause::Redirected { contacts, .. } = cause else { return None };
        let uris = contacts.iter().filter_map(|contact| Uri::parse(contact).ok());
        match self {
            Self::Refuse => None,
            Self::WithinTrunk(trunk) => uris.filter_map(|uri| destination_within_trunk(trunk, &uri)).next(),
            Self::Anywhere => uris.filter_map(|uri| Destination::parse(&uri.to_string())).next(),
        }
    }
}

/// The destination that a URI means to a trunk: a number that it may dial, or the URI itself where the trunk allows that.
pub fn destination_within_trunk(trunk: &TrunkFields, uri: &Uri) -> Option<Destination> {
    let number = uri.user_plain().map(|user| trunk.e164(&user)).and_then(|number| PhoneNumber::parse(&number));
    let port = |port: Option<u16>| port.unwrap_or(5_060);
    let same =
        |target: &TrunkTarget| target.host.eq_ignore_ascii_case(&uri.host) && port(target.port) == port(uri.port);
    let is_trunks = trunk.all_targets().iter().any(same);
    match number {
        Some(number) if uri.scheme == Scheme::Tel || is_trunks || !trunk.allow_sip_uri => {
            trunk.may_call(&number).then_some(Destination::Number(number))
        }
        _ if trunk.allow_sip_uri && uri.scheme == Scheme::Sip => Destination::parse(&uri.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(more: serde_json::Value) -> TrunkFields {
        let mut fields = serde_json::json!({"name": "T", "host": "carrier.example", "port": 5_070});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(fields).unwrap()
    }

    fn moved(contacts: &[&str]) -> EndCause {
        EndCause::Redirected { status: 302, contacts: contacts.iter().map(|uri| (*uri).to_owned()).collect() }
    }

    #[test]
    fn a_redirect_goes_to_the_first_target_that_may_be_called() {
        let number = |text: &str| Destination::parse(text);
        let fields = trunk(serde_json::json!({"follow_redirects": true, "denied_destinations": ["+1900"]}));
        let policy = RedirectPolicy::of_trunk(&fields);
        // A number at any host is dialled over the trunk; denied numbers are passed over.
        let to = policy.destination(&moved(&["sip:+19005550100@x.example", "sip:+15550177@x.example"]));
        assert_eq!(to, number("+15550177"));
        assert_eq!(policy.destination(&moved(&["sip:desk@x.example"])), None, "no URI where the trunk allows none");
        assert_eq!(policy.destination(&moved(&[])), None);
        assert_eq!(policy.destination(&EndCause::NoResponse), None);
        let refuse = RedirectPolicy::of_trunk(&trunk(serde_json::json!({})));
        assert_eq!(refuse.destination(&moved(&["sip:+15550177@carrier.example"])), None);
        let uri = "sip:desk@x.example:5080";
        assert_eq!(RedirectPolicy::Anywhere.destination(&moved(&[uri])), number(uri));
    }

    #[test]
    fn a_uri_is_dialled_over_the_trunk_or_goes_to_its_own_host() {
        let open = trunk(serde_json::json!({"allow_sip_uri": true}));
        let at =
            |uri: &str| destination_within_trunk(&open, &Uri::parse(uri).unwrap()).map(|to| to.as_str().to_owned());
        assert_eq!(at("sip:+15550177@carrier.example:5070").as_deref(), Some("+15550177"), "the trunk's own host");
        assert_eq!(at("tel:+15550177").as_deref(), Some("+15550177"));
        assert_eq!(
            at("sip:+15550177@carrier.example").as_deref(),
            Some("sip:+15550177@carrier.example"),
            "another port"
        );
        assert_eq!(at("sips:desk@x.example"), None);
    }
}
