//! Routing step by step, with a store of a few numbers.

use super::*;
use crate::domain::trunk::TrunkFields;
use crate::store::{NumberOwner, PhoneNumberFields};
use std::collections::HashMap;
use std::time::Duration;

const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn trunk(organization: OrganizationId, at: i64, change: impl FnOnce(&mut TrunkFields)) -> Arc<Trunk> {
    let mut fields = TrunkFields { allowed_addresses: vec![SOURCE.to_string()], ..TrunkFields::default() };
    change(&mut fields);
    Arc::new(Trunk::new(organization, fields, UnixMs(at)))
}

fn dutch(fields: &mut TrunkFields) {
    (fields.country_code, fields.national_prefix) = (Some("31".into()), Some("0".into()));
}

/// A store: whose each number is.
fn store(numbers: &[(&str, OrganizationId)]) -> NumberOwners {
    let owner = |(number, organization): &(&str, OrganizationId)| {
        let number = PhoneNumber::parse(number).unwrap();
        let fields = PhoneNumberFields {
            number: number.clone(),
            agent: None,
            trunk: None,
            name: None,
            webhook_url: None,
            webhook_secret: None,
            previous_webhook_secret: None,
        };
        (number, Arc::new(NumberOwner { organization: *organization, fields, created_at: UnixMs(1) }))
    };
    numbers.iter().map(owner).collect()
}

fn facts(candidates: &[(&Arc<Trunk>, TrunkEvidence)], request: &str, to: Option<&str>) -> InboundFacts {
    InboundFacts {
        candidates: candidates.iter().map(|(trunk, evidence)| ((*trunk).clone(), *evidence)).collect(),
        called: CalledParty { request: Some(request.into()), to: to.map(str::to_owned), others: vec![] },
        source: SOURCE,
        rivals: Arc::default(),
    }
}

/// The questions that were asked, and the trunk.
fn routed(facts: InboundFacts, store: &NumberOwners) -> (Vec<Vec<String>>, Option<Arc<Trunk>>) {
    let (mut step, mut asked) = (start(facts), Vec::new());
    loop {
        match step {
            RoutingStep::FindOwners(numbers, question) => {
                asked.push(numbers.iter().map(|number| number.as_str().to_owned()).collect());
                let found: NumberOwners = numbers
                    .into_iter()
                    .filter_map(|number| Some((number.clone(), store.get(&number)?.clone())))
                    .collect();
                step = question.answer(&found);
            }
            RoutingStep::FindOnlyNumber(trunk, question) => {
                asked.push(vec!["only".to_owned()]);
                let mut of_trunk = store.iter().filter(|(_, owner)| owner.organization == trunk.organization);
                let only = of_trunk.next().filter(|_| of_trunk.next().is_none());
                step =
                    question.answer(&only.map(|(number, owner)| (number.clone(), owner.clone())).into_iter().collect());
            }
            RoutingStep::Selected(chosen) => return (asked, Some(chosen.trunk)),
            RoutingStep::UnknownNumber => return (asked, None),
        }
    }
}

#[test]
fn a_full_number_of_a_candidates_organization_is_found_in_one_step() {
    let (a, b) = (OrganizationId::new(), OrganizationId::new());
    let own = trunk(a, 10, |_| {});
    let store = store(&[("+31201234567", a), ("+31209999999", b)]);
    let (asked, found) = routed(facts(&[(&own, TrunkEvidence::Address)], "+31201234567", None), &store);
    assert_eq!((asked, found.map(|trunk| trunk.id)), (vec![vec!["+31201234567".to_owned()]], Some(own.id)));
    let (_, found) = routed(facts(&[(&own, TrunkEvidence::Address)], "+31209999999", None), &store);
    assert!(found.is_none(), "another organization's number");
    assert!(routed(facts(&[], "+31201234567", None), &store).1.is_none(), "without a candidate");
}

#[test]
fn the_to_header_is_asked_for_only_where_nobody_has_the_request() {
    let a = OrganizationId::new();
    let registered = trunk(a, 10, |_| {});
    let store = store(&[("+31201234567", a)]);
    let over = |evidence| facts(&[(&registered, evidence)], "account", Some("+31201234567"));
    let (asked, found) = routed(over(TrunkEvidence::Registrar), &store);
    assert_eq!((asked[0].len(), asked[1].clone()), (0, vec!["+31201234567".to_owned()]));
    assert_eq!(found.map(|trunk| trunk.id), Some(registered.id));
    assert!(routed(over(TrunkEvidence::Address), &store).1.is_none(), "an address alone does not vouch for To");
}

/// jambonz-feature-server#179 and others: Request-URI and To both have the account.
#[test]
fn a_trunk_that_is_called_by_name_takes_the_call_for_its_only_number() {
    let (a, b) = (OrganizationId::new(), OrganizationId::new());
    let registered = trunk(a, 10, |fields| fields.username = Some("acct".into()));
    let one = store(&[("+31201234567", a), ("+31209999999", b)]);
    let two = store(&[("+31201234567", a), ("+31201234568", a)]);
    let is_routed = |evidence, request: &str, to: &str, others: &[&str], store: &NumberOwners| {
        let mut facts = facts(&[(&registered, evidence)], request, Some(to));
        facts.called.others = others.iter().map(|text| (*text).to_owned()).collect();
        routed(facts, store).1.is_some()
    };
    let (contact, registrar) = (TrunkEvidence::Contact, TrunkEvidence::Registrar);
    assert!(is_routed(contact, "x7f3", "acct", &[], &one));
    assert!(is_routed(registrar, "acct", "acct", &[], &one));
    assert!(!is_routed(contact, "x7f3", "+31209999999", &[], &one), "a number of somebody else was called");
    assert!(is_routed(contact, "x7f3", "+3120", &[], &one), "forwarded from a number of nobody");
    assert!(!is_routed(registrar, "other", "acct", &[], &one), "another account");
    assert!(!is_routed(TrunkEvidence::Address, "acct", "acct", &[], &one), "an address alone names no trunk");
    // Of several numbers a header names one, or nobody is called.
    for evidence in [contact, registrar] {
        assert!(!is_routed(evidence, "acct", "acct", &[], &two));
        assert!(is_routed(evidence, "acct", "acct", &["+31201234568"], &two));
        assert!(is_routed(evidence, "acct", "acct", &["acct", "31201234567"], &two));
        assert!(!is_routed(evidence, "acct", "acct", &["+31209999999"], &two), "of somebody else");
    }
    let second = trunk(b, 20, |fields| fields.username = Some("acct".into()));
    let both = facts(&[(&registered, registrar), (&second, registrar)], "acct", Some("acct"));
    assert!(routed(both, &one).1.is_none(), "whose would it be?");
}

#[test]
fn a_caller_is_challenged_where_credentials_would_give_it_the_better_claim() {
    let (a, b) = (OrganizationId::new(), OrganizationId::new());
    let by_address = trunk(b, 20, |fields| {
        (fields.country_code, fields.national_prefix) = (Some("49".into()), Some("0".into()));
    });
    let by_credentials = |at| {
        trunk(a, at, |fields| {
            fields.inbound_username = Some("alice".into());
            dutch(fields);
        })
    };
    let store = store(&[("+31201234567", a), ("+49201234567", b)]);
    for (claimed_at, challenged) in [(10, true), (30, false)] {
        let rival = by_credentials(claimed_at);
        let mut call = facts(&[(&by_address, TrunkEvidence::Address)], "0201234567", None);
        call.rivals = Arc::new(CredentialTrunks::new([&rival].into_iter()));
        let (asked, found) = routed(call.clone(), &store);
        assert_eq!(asked[1..], [vec!["+31201234567".to_owned()]], "claimed at {claimed_at}");
        assert_eq!(found.is_none(), challenged, "claimed at {claimed_at}");
        call.candidates = vec![(by_address.clone(), TrunkEvidence::Digest)];
        let (asked, found) = routed(call, &store);
        assert_eq!((asked.len(), found.is_some()), (1, true), "who has proven itself is not contested");
    }
}

#[test]
fn a_replacing_call_may_not_have_dialled_a_number_of_another_organization() {
    let (a, b) = (OrganizationId::new(), OrganizationId::new());
    let owners = |numbers: &[(&str, OrganizationId)]| store(numbers);
    assert!(!calls_other_organization(Some(&HashMap::new()), a), "no number at all");
    assert!(calls_other_organization(Some(&owners(&[("+31201234567", b)])), a));
    assert!(!calls_other_organization(Some(&owners(&[("+31201234567", b), ("+31209999999", a)])), a));
    assert!(calls_other_organization(None, a), "not read in time");
}

#[test]
fn a_limit_has_its_status_and_a_time_to_come_back() {
    let rate = LimitExceededError::Rate { trunk: None, retry_after: Duration::from_millis(1_200) };
    assert_eq!(Rejection::of_limit(rate, UnixMs(0)), Rejection::Status(480, Some(2)));
    let full = LimitExceededError::Concurrent { trunk: None };
    assert_eq!(Rejection::of_limit(full, UnixMs(0)), Rejection::Status(486, None));
    assert_eq!(Rejection::of_limit(LimitExceededError::FairShare, UnixMs(0)), Rejection::UNAVAILABLE);
}
