//! Probes in virtual time, registrations, and candidates.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]

use super::*;
use crate::domain::ids::OrganizationId;
use crate::domain::trunk::TrunkFields;

fn trunk(change: impl FnOnce(&mut TrunkFields)) -> Arc<Trunk> {
    let mut fields =
        TrunkFields { host: Some("a.example".into()), options_interval_s: Some(30), ..TrunkFields::default() };
    change(&mut fields);
    Arc::new(Trunk::new(OrganizationId::new(), fields, UnixMs(0)))
}

fn changed(trunk: &Trunk, change: impl FnOnce(&mut TrunkFields)) -> Arc<Trunk> {
    let mut other = trunk.clone();
    change(&mut other.fields);
    Arc::new(other)
}

fn table(trunks: &[&Arc<Trunk>], now: Instant) -> TrunkTable {
    let mut table = TrunkTable::default();
    table.replace(&trunks.iter().map(|trunk| (*trunk).clone()).collect::<Vec<_>>(), now);
    table
}

fn answer(trunk: &Trunk, status: Option<u16>) -> Vec<TargetState> {
    let targets = trunk.fields.all_targets();
    targets.iter().map(|target| TargetState::probed(target, status, Duration::from_millis(12), UnixMs(0))).collect()
}

#[test]
fn a_trunk_is_probed_when_its_interval_is_over_and_the_last_probe_is_done() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let (probed, quiet) = (trunk(|_| {}), trunk(|fields| fields.options_interval_s = None));
    let mut all = table(&[&probed, &quiet], start);
    let due = |all: &mut TrunkTable, seconds| all.targets_due(at(seconds)).iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(due(&mut all, 0), [probed.id], "at once");
    assert!(due(&mut all, 31).is_empty(), "the first probe is not over");
    all.record_probe(probed.id, answer(&probed, Some(200)));
    assert_eq!(due(&mut all, 31), [probed.id]);
    assert!(due(&mut all, 90).is_empty());
    assert_eq!(due(&mut all, 91), [probed.id], "a probe that never ends is forgotten after a minute");
    all.postpone_probe(probed.id, at(93));
    assert!(due(&mut all, 92).is_empty());
    assert_eq!(due(&mut all, 93), [probed.id]);
}

#[test]
fn any_answer_is_a_sign_of_life_and_only_changes_are_told() {
    let start = Instant::now();
    let own = trunk(|_| {});
    let mut all = table(&[&own], start);
    let target = &own.fields.all_targets()[0];
    let told = |reachable| vec![TargetChange { host: "a.example".into(), reachable }];
    assert!(!all.is_down(own.id, target), "unknown is not down");
    assert_eq!(all.record_probe(own.id, answer(&own, Some(503))), told(true));
    assert_eq!(all.record_probe(own.id, answer(&own, Some(200))), []);
    assert!(!all.is_down(own.id, target));
    assert_eq!(all.record_probe(own.id, answer(&own, None)), told(false));
    assert!(all.is_down(own.id, target));
    let shown = serde_json::to_value(all.state(own.id)).unwrap();
    assert_eq!(shown["targets"][0]["latency_ms"], serde_json::Value::Null);
    assert_eq!(all.record_probe(TrunkId::new(), answer(&own, None)), []);
}

#[test]
fn a_changed_trunk_forgets_its_targets_and_is_probed_at_once() {
    let start = Instant::now();
    let own = trunk(|fields| fields.register = true);
    let mut all = table(&[&own], start);
    all.targets_due(start);
    all.record_probe(own.id, answer(&own, None));
    all.record_registration(own.id, RegistrationEvent::Registered { expires_s: 60 }, UnixMs(0));
    all.replace(std::slice::from_ref(&own), start);
    assert!(
        all.is_down(own.id, &own.fields.all_targets()[0]) && all.targets_due(start).is_empty(),
        "nothing has changed"
    );
    let other = changed(&own, |fields| fields.port = Some(5_070));
    all.replace(std::slice::from_ref(&other), start);
    assert!(all.state(own.id).registration.is_some() && all.state(own.id).targets.is_empty());
    assert_eq!((all.targets_due(start).len(), all.get(own.id).unwrap().fields.port), (1, Some(5_070)));
    all.replace(&[changed(&other, |fields| fields.register = false)], start);
    assert_eq!(all.state(own.id), TrunkState::default());
    all.replace(&[], start);
    assert!(all.get(own.id).is_none());
}

#[test]
fn a_refresh_keeps_since_when_a_trunk_is_registered() {
    let own = trunk(|_| {});
    let mut all = table(&[&own], Instant::now());
    let mut told = |event, at| all.record_registration(own.id, event, UnixMs(at));
    let registered = || RegistrationEvent::Registered { expires_s: 60 };
    assert_eq!(told(registered(), 0), RegistrationChange::Registered { expires_s: 60 });
    assert_eq!(told(registered(), 50_000), RegistrationChange::Nothing);
    let state = all.state(own.id).registration.unwrap();
    assert_eq!(
        (state.since.as_str(), state.expires_at.as_deref()),
        ("1970-01-01T00:00:00.000Z", Some("1970-01-01T00:01:50.000Z"))
    );
    let retry_in = Duration::from_secs(15);
    let failed = RegistrationEvent::Failed { status: Some(403), why: "403 Forbidden".into(), retry_in };
    let change = all.record_registration(own.id, failed, UnixMs(60_000));
    assert_eq!(change, RegistrationChange::Failed { why: "403 Forbidden".into(), retry_in });
    let state = all.state(own.id).registration.unwrap();
    assert_eq!((state.registered, state.sip_status), (false, Some(403)));
    assert_eq!(state.problem.as_deref(), Some("403 Forbidden; tried again in 15 s"));
    assert_eq!(
        all.record_registration(own.id, registered(), UnixMs(75_000)),
        RegistrationChange::Registered { expires_s: 60 }
    );
    assert_eq!(
        all.record_registration(own.id, RegistrationEvent::Removed, UnixMs(80_000)),
        RegistrationChange::Nothing
    );
    assert_eq!(all.state(own.id).registration, None);
    assert_eq!(all.record_registration(TrunkId::new(), registered(), UnixMs(0)), RegistrationChange::Nothing);
}

#[test]
fn a_candidate_comes_once_with_its_strongest_evidence() {
    let (one, two) = (trunk(|_| {}), trunk(|_| {}));
    let all = table(&[&one, &two], Instant::now());
    let key = |trunk: &Arc<Trunk>| -> Arc<str> { trunk.id.to_string().into() };
    let candidates = TrunkCandidates {
        digest: vec![key(&one)],
        registrar: Arc::new(vec![key(&two), key(&one)]),
        address: vec![Arc::from([key(&two), TrunkId::new().to_string().into(), "no id".into()])],
        ..TrunkCandidates::default()
    };
    let found: Vec<_> = all.candidates(&candidates).into_iter().map(|(trunk, evidence)| (trunk.id, evidence)).collect();
    assert_eq!(found, [(one.id, TrunkEvidence::Digest), (two.id, TrunkEvidence::Registrar)]);
}

#[test]
fn a_probe_that_is_challenged_says_which_credentials_are_missing_or_wrong() {
    for status in [401, 407] {
        let code = status.to_string();
        let wrong = probe_problem(&ProbeResult::Answered(status), true).unwrap();
        assert!(wrong.contains("`password`") && wrong.contains(&code), "{wrong}");
        let missing = probe_problem(&ProbeResult::Answered(status), false).unwrap();
        assert!(missing.contains("no `username`") && missing.contains(&code), "{missing}");
    }
    assert_eq!(probe_problem(&ProbeResult::Answered(200), true), None);
    assert_eq!(probe_problem(&ProbeResult::Answered(404), false), None, "a refusal is an answer");
    assert!(probe_problem(&ProbeResult::Silent, true).unwrap().contains("four seconds"));
    let unknown = ProbeResult::Unreachable("resolve sip.invalid: DNS has no address for it".to_owned());
    assert_eq!(status_of(&unknown), None);
    let words = probe_problem(&unknown, true).unwrap();
    assert_eq!(words, "OPTIONS cannot be sent: resolve sip.invalid: DNS has no address for it");
}
