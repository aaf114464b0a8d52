//! Since when a trunk takes calls as it does. Two organizations may list the same carrier's address; where both could
//! read one dialled text as a number of theirs, by the national rules of their trunks, the older claim decides. So a
//! trunk that is made or changed later takes nothing from one that was there.

use super::allowed_networks;
use super::time::UnixMs;
use super::trunk::TrunkFields;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Stored beside a trunk's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InboundClaim {
    /// Since when numbers are read by these rules.
    rules_since: i64,
    /// Since when callers are taken by credentials; they may be other ones by now.
    #[serde(default)]
    credentials_since: Option<i64>,
    /// Since when each network is listed, by its one form.
    networks_since: BTreeMap<String, i64>,
}

/// What decides how a number is read.
pub fn number_rules(fields: &TrunkFields) -> [&Option<String>; 4] {
    [&fields.strip_prefix, &fields.country_code, &fields.national_prefix, &fields.international_prefix]
}

impl InboundClaim {
    /// Creates the claim of a new trunk: everything in it counts from `at`.
    pub fn new(fields: &TrunkFields, at: UnixMs) -> Self {
        let nets = fields.allowed_addresses.iter().filter_map(|text| allowed_networks::parse(text));
        Self {
            rules_since: at.0,
            credentials_since: fields.inbound_username.as_ref().map(|_| at.0),
            networks_since: nets.map(|net| (net.to_string(), at.0)).collect(),
        }
    }

    /// The claim after a change of settings: what is new begins now.
    pub fn changed(&self, before: &TrunkFields, after: &TrunkFields, at: UnixMs) -> Self {
        let mut claim = Self::new(after, at);
        for (net, since) in &mut claim.networks_since {
            *since = self.networks_since.get(net).copied().unwrap_or(*since);
        }
        claim.credentials_since = claim.credentials_since.map(|at| self.credentials_since.unwrap_or(at));
        if number_rules(before) == number_rules(after) {
            claim.rules_since = self.rules_since;
        }
        claim
    }

    /// Since when the trunk takes calls from an address; without one that it lists, since when it reads numbers so.
    pub fn since(&self, source: IpAddr) -> UnixMs {
        let source = source.to_canonical();
        let listing = self
            .networks_since
            .iter()
            .filter(|(net, _)| allowed_networks::parse(net).is_some_and(|net| net.contains(&source)));
        let listed = listing.map(|(_, since)| *since).min();
        UnixMs(listed.map_or(self.rules_since, |since| since.max(self.rules_since)))
    }

    /// Since when the trunk takes calls by credentials and reads numbers so.
    pub fn since_credentials(&self) -> UnixMs {
        UnixMs(self.credentials_since.unwrap_or(i64::MAX).max(self.rules_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(nets: &[&str], country: Option<&str>) -> TrunkFields {
        TrunkFields {
            allowed_addresses: nets.iter().map(|net| (*net).to_owned()).collect(),
            country_code: country.map(str::to_owned),
            ..TrunkFields::default()
        }
    }

    #[test]
    fn what_is_kept_keeps_its_age_and_what_is_new_begins_now() {
        let since = |claim: &InboundClaim, addr: &str| claim.since(addr.parse().unwrap()).0;
        let first = fields(&["192.0.2.1", "198.51.100.0/24"], Some("31"));
        let claim = InboundClaim::new(&first, UnixMs(10));
        assert_eq!((since(&claim, "192.0.2.1"), since(&claim, "198.51.100.9")), (10, 10));
        // A further gateway, and another way to write a known one.
        let more = fields(&["192.0.2.1/32", "198.51.100.7/24", "203.0.113.1"], Some("31"));
        let claim = claim.changed(&first, &more, UnixMs(20));
        assert_eq!((since(&claim, "::ffff:192.0.2.1"), since(&claim, "198.51.100.9")), (10, 10));
        assert_eq!(since(&claim, "203.0.113.1"), 20);
        // A narrower network inside of one that was listed: the older entry counts as long as it stands.
        let both = fields(&["198.51.100.0/24", "198.51.100.9"], Some("31"));
        assert_eq!(since(&claim.changed(&more, &both, UnixMs(30)), "198.51.100.9"), 10);
        // Other rules are another claim everywhere.
        let other = fields(&["192.0.2.1"], Some("49"));
        let claim = claim.changed(&more, &other, UnixMs(40));
        assert_eq!((since(&claim, "192.0.2.1"), since(&claim, "203.0.113.1")), (40, 40));
        // Another password is no other claim, credentials given up and set again are.
        let with = |name: Option<&str>| TrunkFields { inbound_username: name.map(str::to_owned), ..fields(&[], None) };
        let user = InboundClaim::new(&with(None), UnixMs(1)).changed(&with(None), &with(Some("a")), UnixMs(70));
        assert_eq!(user.since_credentials().0, 70);
        let user = user.changed(&with(Some("a")), &with(Some("b")), UnixMs(80));
        assert_eq!(user.since_credentials().0, 70);
        let user =
            user.changed(&with(Some("b")), &with(None), UnixMs(90)).changed(&with(None), &with(Some("b")), UnixMs(99));
        assert_eq!(user.since_credentials().0, 99);
        // Gone and back again is new.
        let none = fields(&[], Some("49"));
        let claim = claim.changed(&other, &none, UnixMs(50)).changed(&none, &other, UnixMs(60));
        assert_eq!(since(&claim, "192.0.2.1"), 60);
    }
}
