//! Selects the trunk of an inbound call. Neither source address nor called number decides alone: several organizations
//! may list one carrier's address or hold accounts at one registrar. Each candidate trunk interprets the called number
//! by its own rules; the call goes to a trunk whose organization has the number. Other organizations' trunks cannot
//! take it away.
//!
//! Pure: the candidates come from the SIP endpoint, the owners of numbers from the store.

use crate::domain::ids::OrganizationId;
use crate::domain::inbound_claim::number_rules;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::time::UnixMs;
use crate::domain::trunk::Trunk;
use crate::store::NumberOwner;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use trunkline_signaling::sip::user_agent::TrunkEvidence;

/// Owners of the numbers that were read.
pub type NumberOwners = HashMap<PhoneNumber, Arc<NumberOwner>>;

/// The called party of an INVITE as written: user parts, unescaped.
#[derive(Clone, Debug, Default)]
pub struct CalledParty {
    /// Of the Request-URI.
    pub request: Option<String>,
    /// Of the To header.
    pub to: Option<String>,
    /// Of P-Called-Party-ID, then of Diversion: the numbers that the call went to before.
    pub others: Vec<String>,
}

/// A candidate trunk's interpretation of the called number.
#[derive(Clone, Debug)]
pub struct NumberReading {
    /// The candidate trunk.
    pub trunk: Arc<Trunk>,
    /// The called number in E.164, by the rules of this trunk.
    pub number: PhoneNumber,
    evidence: TrunkEvidence,
    /// The number was written in full with its plus, so no rules were needed.
    is_written_out: bool,
    /// Since when the trunk accepts calls from there and interprets numbers this way.
    since: UnixMs,
    /// Taken from To although the Request-URI has a user part.
    is_of_to: bool,
}

/// A call's trunk, and the number it is for.
#[derive(Clone, Debug)]
pub struct SelectedTrunk {
    /// The trunk that takes the call.
    pub trunk: Arc<Trunk>,
    /// The organization that has the called number, and how it uses the number.
    pub owner: Arc<NumberOwner>,
    /// Only the source address identifies the caller, and the number was interpreted by rules or taken from To: a trunk
    /// with credentials may have the better claim.
    pub is_contestable: bool,
    claim: ClaimOrder,
}

impl SelectedTrunk {
    /// A trunk that was called by the name of its registration and has no other number.
    pub fn of_only_number(trunk: Arc<Trunk>, owner: Arc<NumberOwner>) -> Self {
        let claim = (true, owner.created_at.0);
        Self { trunk, owner, is_contestable: false, claim }
    }
}

/// Ordering of claims, the better one first: a full number, then the older claim.
type ClaimOrder = (bool, i64);

/// Trunks with caller credentials, grouped by number rules. Few rule sets serve many trunks.
#[derive(Clone, Debug, Default)]
pub struct CredentialTrunks(Vec<TrunksByOwner>);

type TrunksByOwner = HashMap<OrganizationId, Vec<Arc<Trunk>>>;

impl CredentialTrunks {
    /// Groups the trunks that have an `inbound_username`; others are left out.
    pub fn new<'a>(trunks: impl Iterator<Item = &'a Arc<Trunk>>) -> Self {
        let mut groups: HashMap<[Option<String>; 4], TrunksByOwner> = HashMap::new();
        for trunk in trunks.filter(|trunk| trunk.fields.inbound_username.is_some()) {
            let rules = number_rules(&trunk.fields).map(Clone::clone);
            groups.entry(rules).or_default().entry(trunk.organization).or_default().push(trunk.clone());
        }
        Self(groups.into_values().collect())
    }

    /// The number as each group reads it.
    fn readings(&self, text: &str) -> impl Iterator<Item = (PhoneNumber, &HashMap<OrganizationId, Vec<Arc<Trunk>>>)> {
        let read =
            move |group: &HashMap<OrganizationId, Vec<Arc<Trunk>>>| number_in(group.values().flatten().next()?, text);
        self.0.iter().filter_map(move |group| Some((read(group)?, group)))
    }

    /// Returns the called number of the Request-URI as each group reads it; groups that cannot read it are left out.
    pub fn numbers(&self, called: &CalledParty) -> Vec<PhoneNumber> {
        let text = called.request.as_deref().unwrap_or("");
        self.readings(text).map(|(number, _)| number).collect()
    }

    /// Whether another organization would have the better claim if the caller had its credentials: then the caller is
    /// challenged.
    pub fn contest(&self, chosen: &SelectedTrunk, called: &CalledParty, owners: &NumberOwners) -> bool {
        let text = called.request.as_deref().unwrap_or("");
        self.readings(text).any(|(number, group)| {
            let Some(owner) = owners.get(&number) else { return false };
            if owner.organization == chosen.owner.organization {
                return false;
            }
            let over_it = |trunk: &&Arc<Trunk>| owner.fields.trunk.is_none_or(|via| via == trunk.id);
            let trunks = group.get(&owner.organization).into_iter().flatten().filter(over_it);
            let claims = trunks.map(|trunk| {
                let since = trunk.inbound_claim.since_credentials().0.max(owner.created_at.0);
                (!is_written_out(text, &number), since)
            });
            claims.min().is_some_and(|claim| claim < chosen.claim)
        })
    }
}

/// Interpretations of the called number. If a trunk's registered Contact was called, the To header is used: the
/// Request-URI says nothing about the number.
pub fn readings(
    candidates: impl IntoIterator<Item = (Arc<Trunk>, TrunkEvidence)>, called: &CalledParty, source: IpAddr,
) -> Vec<NumberReading> {
    let read = |(trunk, evidence): (Arc<Trunk>, TrunkEvidence)| {
        let text = match evidence {
            TrunkEvidence::Contact => called.to.as_deref(),
            _ => called.request.as_deref().or(called.to.as_deref()),
        };
        reading(trunk, evidence, text?, source)
    };
    candidates.into_iter().filter_map(read).collect()
}

/// Interpretations of the To header by trunks registered with the caller's address. Some providers put the account into
/// the Request-URI. Used only if no organization has the number of the Request-URI.
pub fn readings_of_to(
    candidates: impl IntoIterator<Item = (Arc<Trunk>, TrunkEvidence)>, called: &CalledParty, source: IpAddr,
) -> Vec<NumberReading> {
    let Some(to) = called.to.as_deref() else { return Vec::new() };
    let is_named = |trunk: &Trunk| called.request.is_some() && trunk.fields.username == called.request;
    let registered: Vec<_> =
        candidates.into_iter().filter(|(_, evidence)| *evidence == TrunkEvidence::Registrar).collect();
    let one_is_named = registered.iter().any(|(trunk, _)| is_named(trunk));
    let meant = registered.into_iter().filter(|(trunk, _)| !one_is_named || is_named(trunk));
    let read = meant.filter_map(|(trunk, evidence)| reading(trunk, evidence, to, source));
    read.map(|reading| NumberReading { is_of_to: true, ..reading }).collect()
}

/// The trunk that the Request-URI names, and no number: by the Contact of its registration, or by its account at the
/// registrar that the call came from. `None` if several trunks have that account.
pub fn trunk_by_name(
    candidates: impl IntoIterator<Item = (Arc<Trunk>, TrunkEvidence)>, called: &CalledParty,
) -> Option<(Arc<Trunk>, TrunkEvidence)> {
    let is_named = |(trunk, evidence): &(Arc<Trunk>, TrunkEvidence)| match evidence {
        TrunkEvidence::Contact => true,
        TrunkEvidence::Registrar => called.request.is_some() && trunk.fields.username == called.request,
        TrunkEvidence::Address | TrunkEvidence::Digest => false,
    };
    let mut named = candidates.into_iter().filter(is_named);
    let first = named.next()?;
    let is_other = |(trunk, _): (Arc<Trunk>, TrunkEvidence)| trunk.id != first.0.id;
    let is_contact = first.1 == TrunkEvidence::Contact;
    (is_contact || !named.any(is_other)).then_some(first)
}

/// Interpretations of the headers beside Request-URI and To by a trunk that was called by name.
pub fn readings_of_others(
    (trunk, evidence): &(Arc<Trunk>, TrunkEvidence), called: &CalledParty, source: IpAddr,
) -> Vec<NumberReading> {
    let read = called.others.iter().filter_map(|text| reading(trunk.clone(), *evidence, text, source));
    read.map(|reading| NumberReading { is_of_to: true, ..reading }).collect()
}

fn reading(trunk: Arc<Trunk>, evidence: TrunkEvidence, text: &str, source: IpAddr) -> Option<NumberReading> {
    let number = number_in(&trunk, text)?;
    let since = match evidence {
        TrunkEvidence::Digest => trunk.inbound_claim.since_credentials(),
        TrunkEvidence::Address | TrunkEvidence::Registrar | TrunkEvidence::Contact => trunk.inbound_claim.since(source),
    };
    Some(NumberReading {
        is_written_out: is_written_out(text, &number),
        trunk,
        number,
        evidence,
        since,
        is_of_to: false,
    })
}

/// A carrier without rules may omit the plus.
fn number_in(trunk: &Trunk, text: &str) -> Option<PhoneNumber> {
    PhoneNumber::parse(&format!("+{}", trunk.fields.e164(text).trim_start_matches('+')))
}

/// Whether the rules added or removed nothing.
fn is_written_out(text: &str, number: &PhoneNumber) -> bool {
    text.starts_with('+') && text.chars().filter(char::is_ascii_digit).eq(number.digits().chars())
}

/// Selects a trunk whose organization has the number it reads. If several do, proven credentials win, then a full
/// number, then the older claim.
pub fn choose(readings: &[NumberReading], owners: &NumberOwners) -> Option<SelectedTrunk> {
    let owned = readings.iter().filter_map(|reading| {
        let owner = owners.get(&reading.number)?;
        let is_theirs = owner.organization == reading.trunk.organization;
        let is_over_it = owner.fields.trunk.is_none_or(|via| via == reading.trunk.id);
        (is_theirs && is_over_it).then_some((reading, owner))
    });
    let order = |(reading, owner): &(&NumberReading, &Arc<NumberOwner>)| {
        // A registration at a carrier proves no more than its address: others are registered there too.
        let proof = reading.evidence.max(TrunkEvidence::Registrar);
        let since = reading.since.0.max(owner.created_at.0);
        let trunk = &reading.trunk;
        (Reverse(proof), !reading.is_written_out, since, trunk.created_at.0, trunk.id.to_string())
    };
    let (reading, owner) = owned.min_by_key(order)?;
    let is_proven = matches!(reading.evidence, TrunkEvidence::Digest | TrunkEvidence::Contact);
    Some(SelectedTrunk {
        trunk: reading.trunk.clone(),
        owner: owner.clone(),
        is_contestable: !is_proven && (reading.is_of_to || !reading.is_written_out),
        claim: (reading.is_of_to || !reading.is_written_out, reading.since.0.max(owner.created_at.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::trunk::TrunkFields;
    use crate::store::PhoneNumberFields;

    const SOURCE: &str = "192.0.2.7";

    fn trunk(organization: OrganizationId, at: i64, change: impl FnOnce(&mut TrunkFields)) -> Arc<Trunk> {
        let mut fields = TrunkFields { allowed_addresses: vec![SOURCE.into()], ..TrunkFields::default() };
        change(&mut fields);
        Arc::new(Trunk::new(organization, fields, UnixMs(at)))
    }

    fn national(code: &'static str, prefix: Option<&'static str>) -> impl Fn(&mut TrunkFields) {
        move |fields| {
            (fields.country_code, fields.national_prefix) = (Some(code.into()), prefix.map(str::to_owned));
        }
    }

    fn owner(
        organization: OrganizationId, number: &str, trunk: Option<&Trunk>, at: i64,
    ) -> (PhoneNumber, Arc<NumberOwner>) {
        let number = PhoneNumber::parse(number).unwrap();
        let fields = PhoneNumberFields {
            number: number.clone(),
            agent: None,
            trunk: trunk.map(|trunk| trunk.id),
            name: None,
            webhook_url: None,
            webhook_secret: None,
            previous_webhook_secret: None,
        };
        (number, Arc::new(NumberOwner { organization, fields, created_at: UnixMs(at) }))
    }

    fn chosen(candidates: &[(Arc<Trunk>, TrunkEvidence)], request: &str, owners: &NumberOwners) -> Option<Arc<Trunk>> {
        let called = CalledParty { request: Some(request.into()), to: Some("+19995550000".into()), others: vec![] };
        let readings = readings(candidates.iter().cloned(), &called, SOURCE.parse().unwrap());
        choose(&readings, owners).map(|chosen| chosen.trunk)
    }

    /// Every way of mine beside every way of another organization, in either order of candidates: mine, as without it.
    #[test]
    fn the_number_decides_among_trunks_whatever_another_organization_has() {
        let (a, b) = (OrganizationId::new(), OrganizationId::new());
        // A caller that used a trunk's secret Contact named that trunk: there is no other candidate.
        let evidences = [TrunkEvidence::Address, TrunkEvidence::Registrar, TrunkEvidence::Digest];
        for mine in evidences {
            for foreign in evidences {
                for rules in
                    [None, Some(("31", None)), Some(("31", Some("0"))), Some(("49", Some("0"))), Some(("1", None))]
                {
                    let my_trunk = trunk(a, 10, national("31", Some("0")));
                    let their_trunk = trunk(b, 20, |fields| {
                        if let Some((code, prefix)) = rules {
                            national(code, prefix)(fields);
                        }
                    });
                    let owners: NumberOwners = [
                        owner(a, "+31201234567", Some(&my_trunk), 10),
                        owner(b, "+49201234567", None, 5),
                        owner(b, "+12012345670", None, 5),
                    ]
                    .into();
                    let mut candidates = [(my_trunk.clone(), mine), (their_trunk, foreign)];
                    for _ in 0..2 {
                        candidates.reverse();
                        for form in ["+31201234567", "31201234567", "0201234567", "+31-20-123.45.67"] {
                            // Who proves to be the other organization's caller means its number.
                            if foreign > mine.max(TrunkEvidence::Registrar) && !form.starts_with('+') {
                                continue;
                            }
                            let found = chosen(&candidates, form, &owners).map(|trunk| trunk.organization);
                            assert_eq!(found, Some(a), "{mine:?} beside {foreign:?} with {rules:?}: {form}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn of_two_readings_by_rules_the_older_claim_stays() {
        let (a, b) = (OrganizationId::new(), OrganizationId::new());
        for (mine_at, theirs_at, number_at, wanted) in [(10, 20, 1, a), (20, 10, 1, b), (10, 20, 30, b)] {
            let mine = trunk(a, mine_at, national("31", Some("0")));
            let theirs = trunk(b, theirs_at, national("49", Some("0")));
            let owners: NumberOwners =
                [owner(a, "+31201234567", None, number_at), owner(b, "+49201234567", None, 1)].into();
            let candidates = [(theirs, TrunkEvidence::Address), (mine, TrunkEvidence::Address)];
            assert_eq!(chosen(&candidates, "0201234567", &owners).map(|t| t.organization), Some(wanted));
            // In international format, the number belongs only to this organization.
            assert_eq!(chosen(&candidates, "+31201234567", &owners).map(|t| t.organization), Some(a));
        }
        // Neither a plus that its rules take off, nor digits that it reads as another number, make a written out one.
        let mine = trunk(a, 20, |_| {});
        let theirs = trunk(b, 10, |fields| {
            (fields.strip_prefix, fields.country_code) = (Some("+31".into()), Some("49".into()));
        });
        let owners: NumberOwners = [owner(a, "+31201234567", None, 20), owner(b, "+49201234567", None, 1)].into();
        let candidates = [(theirs, TrunkEvidence::Address), (mine, TrunkEvidence::Address)];
        assert_eq!(chosen(&candidates, "+31201234567", &owners).map(|t| t.organization), Some(a));
    }

    /// A caller that only an address speaks for, while the credentials of another organization's trunk would make the
    /// number that one's.
    #[test]
    fn older_credential_claim_is_challenged_first() {
        let (a, b) = (OrganizationId::new(), OrganizationId::new());
        let by_digest = |at, code: &'static str| {
            trunk(a, at, |fields| {
                fields.allowed_addresses = Vec::new();
                fields.inbound_username = Some("alice".into());
                national(code, Some("0"))(fields);
            })
        };
        let owners: NumberOwners = [owner(a, "+31201234567", None, 1), owner(b, "+49201234567", None, 1)].into();
        let called = |text: &str| CalledParty { request: Some(text.into()), ..CalledParty::default() };
        let contested = |mine: &Arc<Trunk>, theirs: &Arc<Trunk>, evidence, text: &str| {
            let read = readings([(theirs.clone(), evidence)], &called(text), SOURCE.parse().unwrap());
            let chosen = choose(&read, &owners)?;
            let rivals = CredentialTrunks::new([mine, theirs].into_iter());
            Some(chosen.is_contestable && rivals.contest(&chosen, &called(text), &owners))
        };
        let strips = trunk(b, 5, |fields| {
            (fields.strip_prefix, fields.country_code) = (Some("+31".into()), Some("49".into()));
        });
        let older = trunk(b, 5, national("49", Some("0")));
        let younger = trunk(b, 20, national("49", Some("0")));
        for evidence in [TrunkEvidence::Address, TrunkEvidence::Registrar] {
            // Written out it is mine, however old theirs is.
            assert_eq!(contested(&by_digest(10, "31"), &strips, evidence, "+31201234567"), Some(true));
            assert_eq!(contested(&by_digest(10, "31"), &younger, evidence, "0201234567"), Some(true));
            assert_eq!(contested(&by_digest(10, "31"), &older, evidence, "0201234567"), Some(false));
            // A number that I would not read so, and one that is written out as theirs.
            assert_eq!(contested(&by_digest(10, "32"), &younger, evidence, "0201234567"), Some(false));
            assert_eq!(contested(&by_digest(10, "31"), &younger, evidence, "+49201234567"), Some(false));
        }
        // Who has proven to be theirs is theirs.
        let proven = trunk(b, 20, |fields| {
            fields.inbound_username = Some("bob".into());
            national("49", Some("0"))(fields);
        });
        assert_eq!(contested(&by_digest(10, "31"), &proven, TrunkEvidence::Digest, "0201234567"), Some(false));
        // A trunk without credentials requires no challenge, and trunks of the same organization do not compete.
        let by_address = trunk(a, 10, national("31", Some("0")));
        assert_eq!(contested(&by_address, &younger, TrunkEvidence::Address, "0201234567"), Some(false));
        let owners: NumberOwners = [owner(a, "+31201234567", None, 1)].into();
        let mine = trunk(a, 20, national("31", Some("0")));
        let read = readings([(mine, TrunkEvidence::Address)], &called("0201234567"), SOURCE.parse().unwrap());
        let chosen = choose(&read, &owners).unwrap();
        let rivals = CredentialTrunks::new([by_digest(10, "31")].iter());
        assert!(chosen.is_contestable && !rivals.contest(&chosen, &called("0201234567"), &owners));
        assert_eq!(rivals.numbers(&called("0201234567")), [PhoneNumber::parse("+31201234567").unwrap()]);
    }

    #[test]
    fn a_number_of_another_organization_or_trunk_is_not_reached() {
        let (a, b) = (OrganizationId::new(), OrganizationId::new());
        let (one, two) = (trunk(a, 10, |_| {}), trunk(a, 20, |_| {}));
        let foreign = trunk(b, 5, |_| {});
        let of = |owner: (PhoneNumber, Arc<NumberOwner>)| NumberOwners::from([owner]);
        let at = |trunk: &Arc<Trunk>| vec![(trunk.clone(), TrunkEvidence::Digest)];
        let number = "+31201234567";
        assert!(chosen(&at(&foreign), number, &of(owner(a, number, None, 1))).is_none());
        assert!(chosen(&at(&two), number, &of(owner(a, number, Some(&one), 1))).is_none());
        assert!(chosen(&at(&one), "+31201234568", &of(owner(a, number, None, 1))).is_none());
        for text in ["", "+", "alice", "0201234567", "+0201234567", "+31201234567890123", "+3120\u{0}1234567"] {
            assert!(chosen(&at(&one), text, &of(owner(a, number, None, 1))).is_none(), "{text:?}");
        }
        // Among trunks of one organization: the stronger evidence wins, then the older trunk.
        let both = |first, second| vec![(two.clone(), second), (one.clone(), first)];
        let unbound = of(owner(a, number, None, 1));
        let found = |candidates: Vec<_>| chosen(&candidates, number, &unbound).map(|trunk| trunk.id);
        assert_eq!(found(both(TrunkEvidence::Address, TrunkEvidence::Address)), Some(one.id));
        assert_eq!(found(both(TrunkEvidence::Registrar, TrunkEvidence::Address)), Some(one.id));
        assert_eq!(found(both(TrunkEvidence::Address, TrunkEvidence::Registrar)), Some(one.id));
        assert_eq!(found(both(TrunkEvidence::Address, TrunkEvidence::Digest)), Some(two.id));
    }

    #[test]
    fn the_to_header_is_read_where_the_request_says_nothing_of_the_number() {
        let a = OrganizationId::new();
        let it = trunk(a, 10, |_| {});
        let number = PhoneNumber::parse("+31201234567").unwrap();
        let source = SOURCE.parse().unwrap();
        let called = |request: Option<&str>| CalledParty {
            request: request.map(str::to_owned),
            to: Some("31201234567".into()),
            others: vec![],
        };
        let read = |evidence, request| {
            let found = readings([(it.clone(), evidence)], &called(request), source);
            found.first().map(|reading| reading.number.clone())
        };
        assert_eq!(read(TrunkEvidence::Contact, Some("t0123456789")), Some(number.clone()));
        assert_eq!(read(TrunkEvidence::Address, None), Some(number.clone()));
        assert_eq!(read(TrunkEvidence::Address, Some("account")), None);
        assert_eq!(read(TrunkEvidence::Registrar, Some("+19995550000")), PhoneNumber::parse("+19995550000"));
        for (evidence, count) in [
            (TrunkEvidence::Registrar, 1),
            (TrunkEvidence::Address, 0),
            (TrunkEvidence::Digest, 0),
            (TrunkEvidence::Contact, 0),
        ] {
            let found = readings_of_to([(it.clone(), evidence)], &called(Some("account")), source);
            assert_eq!(found.len(), count, "{evidence:?}");
            assert!(found.iter().all(|reading| reading.number == number));
        }
        // The account that the Request-URI names is the one that is called.
        let named = trunk(a, 10, |fields| fields.username = Some("account".into()));
        let both = [(it.clone(), TrunkEvidence::Registrar), (named.clone(), TrunkEvidence::Registrar)];
        let found = readings_of_to(both.clone(), &called(Some("account")), source);
        assert_eq!(found.iter().map(|reading| reading.trunk.id).collect::<Vec<_>>(), [named.id]);
        assert_eq!(readings_of_to(both.clone(), &called(Some("unknown")), source).len(), 2);
        assert_eq!(readings_of_to(both, &called(None), source).len(), 2);
    }
}
