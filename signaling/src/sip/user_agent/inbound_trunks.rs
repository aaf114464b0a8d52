//! Matches incoming INVITEs to trunks. Indexed, so that the cost does not depend on the number of trunks. The user
//! agent only names candidates. Which of them a call belongs to depends on the called number too, which the owner of
//! the numbers knows: [`super::UserAgent::assign_trunk`].

use super::challenge_algorithms::ChallengeAlgorithms;
use crate::sip::digest::DigestCredentials;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Minimum prefix length of networks whose addresses are preferred: the widest that carriers publish for gateways.
const NARROW_V4: u8 = 16;
const NARROW_V6: u8 = 32;

/// Name of a trunk.
pub type TrunkKey = Arc<str>;

/// The inbound side of a trunk.
#[derive(Clone, Debug)]
pub struct InboundTrunk {
    /// Key of the trunk, unique in the list.
    pub id: TrunkKey,
    /// Networks calls may come from, IPv4 as IPv4 (never as `::ffff:…`).
    pub allow: Vec<IpNet>,
    /// Digest account for callers from other networks; `None` if the trunk admits by network or registration only.
    pub credentials: Option<DigestCredentials>,
    /// Algorithms of the challenges to these callers, and of the answers that are taken.
    pub algorithms: ChallengeAlgorithms,
    /// Peers that call over this trunk may transfer the call with REFER.
    pub accept_refer: bool,
}

/// The rules of all trunks. Built outside of the user agent's task, which only swaps them.
#[derive(Debug, Default)]
pub struct InboundTrunks {
    /// Whether REFER is taken.
    by_id: HashMap<TrunkKey, bool>,
    networks: TrunkNetworks,
    by_username: HashMap<String, Vec<DigestAccount>>,
    /// Algorithms that suit the callers of all accounts; `None` without accounts.
    algorithms: Option<ChallengeAlgorithms>,
}

/// The digest account of a trunk's callers.
#[derive(Debug)]
pub(super) struct DigestAccount {
    pub(super) trunk: TrunkKey,
    pub(super) credentials: DigestCredentials,
    pub(super) algorithms: ChallengeAlgorithms,
}

impl From<Vec<InboundTrunk>> for InboundTrunks {
    fn from(rules: Vec<InboundTrunk>) -> Self {
        let mut all = Self::default();
        let mut networks = HashMap::new();
        for rule in rules {
            all.by_id.insert(rule.id.clone(), rule.accept_refer);
            for net in &rule.allow {
                let listed: &mut Vec<TrunkKey> = networks.entry(net.trunc()).or_default();
                if listed.last() != Some(&rule.id) {
                    listed.push(rule.id.clone());
                }
            }
            if let Some(credentials) = rule.credentials {
                let algorithms = rule.algorithms;
                all.algorithms = Some(all.algorithms.map_or(algorithms, |others| others.or(algorithms)));
                let account = DigestAccount { trunk: rule.id, credentials, algorithms };
                all.by_username.entry(account.credentials.username.clone()).or_default().push(account);
            }
        }
        all.networks = TrunkNetworks::new(networks);
        all
    }
}

impl InboundTrunks {
    /// Some trunk lists the address, in a network that is narrow enough to say something about each of its addresses.
    /// Callers from wider networks are admitted too, but are rate limited as unknown until they have called.
    pub fn is_preferred_source(&self, source: IpAddr) -> bool {
        let narrow = if source.to_canonical().is_ipv4() { NARROW_V4 } else { NARROW_V6 };
        self.networks.with_lengths(source).any(|(prefix_len, _)| prefix_len >= narrow)
    }

    /// The trunks that list the address, one group for each length of network, the narrowest first.
    pub(super) fn trunks_listing(&self, source: IpAddr) -> Vec<Arc<[TrunkKey]>> {
        self.networks.containing(source).cloned().collect()
    }

    pub(super) fn with_username(&self, username: &str) -> &[DigestAccount] {
        self.by_username.get(username).map_or(&[], Vec::as_slice)
    }

    /// The algorithms of a challenge for a caller that seems to be one of these users: those of the first name that is
    /// known, or else what suits everybody.
    pub(super) fn algorithms_for<'a>(&self, users: impl IntoIterator<Item = &'a str>) -> ChallengeAlgorithms {
        let of_user = |user| self.with_username(user).iter().map(|one| one.algorithms).reduce(ChallengeAlgorithms::or);
        users.into_iter().find_map(of_user).or(self.algorithms).unwrap_or_default()
    }

    /// Some trunk takes callers by credentials.
    pub(super) fn have_credentials(&self) -> bool {
        !self.by_username.is_empty()
    }

    pub(super) fn accept_refer(&self, id: &str) -> bool {
        self.by_id.get(id).copied().unwrap_or(false)
    }
}

/// Trunks by network: one table for each prefix length in use, so that an address is looked up at most 33 or 129 times.
#[derive(Debug, Default)]
struct TrunkNetworks {
    v4: Vec<PrefixTable>,
    v6: Vec<PrefixTable>,
}

#[derive(Debug)]
struct PrefixTable {
    prefix_len: u8,
    trunks: HashMap<IpAddr, Arc<[TrunkKey]>>,
}

impl TrunkNetworks {
    fn new(networks: HashMap<IpNet, Vec<TrunkKey>>) -> Self {
        let mut all = Self::default();
        for (net, trunks) in networks {
            let family = if net.addr().is_ipv4() { &mut all.v4 } else { &mut all.v6 };
            let prefix_len = net.prefix_len();
            let at = match family.iter().position(|tables| tables.prefix_len == prefix_len) {
                Some(at) => at,
                None => {
                    family.push(PrefixTable { prefix_len, trunks: HashMap::new() });
                    family.len().saturating_sub(1)
                }
            };
            if let Some(tables) = family.get_mut(at) {
                tables.trunks.insert(net.network(), trunks.into());
            }
        }
        let narrowest_first = |tables: &PrefixTable| std::cmp::Reverse(tables.prefix_len);
        all.v4.sort_by_key(narrowest_first);
        all.v6.sort_by_key(narrowest_first);
        all
    }

    fn containing(&self, source: IpAddr) -> impl Iterator<Item = &Arc<[TrunkKey]>> {
        self.with_lengths(source).map(|(_, trunks)| trunks)
    }

    fn with_lengths(&self, source: IpAddr) -> impl Iterator<Item = (u8, &Arc<[TrunkKey]>)> {
        let source = source.to_canonical();
        let family = if source.is_ipv4() { &self.v4 } else { &self.v6 };
        family.iter().filter_map(move |tables| {
            let network = IpNet::new(source, tables.prefix_len).ok()?.network();
            Some((tables.prefix_len, tables.trunks.get(&network)?))
        })
    }
}

/// Evidence that a caller belongs to a trunk, strongest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrunkEvidence {
    /// The trunk lists the source.
    Address,
    /// The trunk is registered where the request comes from.
    Registrar,
    /// The trunk's credentials, proven by digest.
    Digest,
    /// The request went to the Contact of the trunk's registration, which only its registrar knows.
    Contact,
}

/// The trunks that a caller may be on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkCandidates {
    /// The trunk whose registered Contact the request went to. It is the only candidate then.
    pub contact: Option<TrunkKey>,
    /// Trunks whose credentials were proven.
    pub digest: Vec<TrunkKey>,
    /// Trunks that are registered where the request comes from.
    pub registrar: Arc<Vec<TrunkKey>>,
    /// Trunks that list the source, in groups.
    pub address: Vec<Arc<[TrunkKey]>>,
    /// Credentials came and were right, but the nonce was too old or used before.
    pub stale: bool,
}

impl TrunkCandidates {
    /// Every candidate with its evidence, the strongest first. A trunk may come more than once.
    pub fn iter(&self) -> impl Iterator<Item = (&TrunkKey, TrunkEvidence)> {
        let contact = self.contact.iter().map(|id| (id, TrunkEvidence::Contact));
        let digest = self.digest.iter().map(|id| (id, TrunkEvidence::Digest));
        let registrar = self.registrar.iter().map(|id| (id, TrunkEvidence::Registrar));
        let address = self.address.iter().flat_map(|group| group.iter()).map(|id| (id, TrunkEvidence::Address));
        contact.chain(digest).chain(registrar).chain(address)
    }

    /// Returns whether the trunk is among the candidates, by any evidence.
    pub fn contains(&self, id: &str) -> bool {
        self.iter().any(|(candidate, _)| &**candidate == id)
    }

    /// Returns whether no trunk matches the caller.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The caller has shown more than an address, which another trunk may list too: a challenge would not add
    /// candidates.
    pub fn is_proven(&self) -> bool {
        self.contact.is_some() || !self.digest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn rule(id: &str, allow: &[&str], username: Option<&str>) -> InboundTrunk {
        InboundTrunk {
            id: id.into(),
            allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
            credentials: username.map(|name| DigestCredentials { username: name.into(), password: id.into() }),
            algorithms: if id == "old" { ChallengeAlgorithms::Md5 } else { ChallengeAlgorithms::Automatic },
            accept_refer: id == "refers",
        }
    }

    fn listing(rules: &InboundTrunks, source: &str) -> Vec<Vec<String>> {
        let groups = rules.trunks_listing(source.parse().unwrap());
        groups.iter().map(|group| group.iter().map(|id| id.to_string()).collect()).collect()
    }

    #[test]
    fn an_address_is_found_in_networks_of_every_length() {
        let rules = InboundTrunks::from(vec![
            rule("a", &["203.0.113.7/32", "203.0.113.0/24", "0.0.0.0/0"], None),
            rule("b", &["203.0.113.99/24"], None),
            rule("c", &["2001:db8::/32", "::/0"], None),
        ]);
        assert_eq!(listing(&rules, "203.0.113.7"), [vec!["a"], vec!["a", "b"], vec!["a"]]);
        assert_eq!(listing(&rules, "::ffff:203.0.113.8"), [vec!["a", "b"], vec!["a"]]);
        assert_eq!(listing(&rules, "203.0.114.7"), [["a"]]);
        assert_eq!(listing(&rules, "2001:db8:1::1"), [["c"], ["c"]]);
        assert_eq!(listing(&rules, "2001:db9::1"), [["c"]]);
        let prefers = |source: &str| rules.is_preferred_source(source.parse().unwrap());
        assert!(prefers("203.0.113.7") && prefers("::ffff:203.0.113.8") && prefers("2001:db8:1::1"));
        assert!(!prefers("203.0.114.7") && !prefers("2001:db9::1"), "a trunk that lists all addresses prefers none");
        assert!(!InboundTrunks::default().is_preferred_source("203.0.113.7".parse().unwrap()));
    }

    #[test]
    fn a_caller_is_challenged_as_its_account_wants_else_as_suits_all() {
        let rules = InboundTrunks::from(vec![rule("old", &[], Some("phone")), rule("new", &[], Some("pbx"))]);
        assert_eq!(rules.algorithms_for(["nobody", "phone", "pbx"]), ChallengeAlgorithms::Md5);
        assert_eq!(rules.algorithms_for(["pbx"]), ChallengeAlgorithms::Automatic);
        assert_eq!(rules.algorithms_for([]), ChallengeAlgorithms::Automatic);
        let alone = InboundTrunks::from(vec![rule("old", &[], Some("phone")), rule("without", &[], None)]);
        assert_eq!(alone.algorithms_for(["nobody"]), ChallengeAlgorithms::Md5);
    }

    #[test]
    fn rights_and_credentials_are_each_trunks_own() {
        let rules = InboundTrunks::from(vec![rule("refers", &[], Some("u")), rule("b", &[], Some("u"))]);
        assert!(rules.accept_refer("refers") && !rules.accept_refer("b") && !rules.accept_refer("unknown"));
        let passwords: Vec<&str> =
            rules.with_username("u").iter().map(|one| one.credentials.password.expose_secret()).collect();
        assert_eq!(passwords, ["refers", "b"]);
        assert!(rules.with_username("v").is_empty() && rules.have_credentials());
        assert!(!InboundTrunks::from(vec![rule("a", &["10.0.0.1/32"], None)]).have_credentials());
    }
}
