//! Attestations, answers of the customer's server, and rows of calls that come in.

use super::super::assistant::AssistantDecision;
use super::*;
use crate::domain::agent::AgentFields;

const BROKEN: IdentityError = IdentityError { sip_status: 437, reason: "its certificate is not trusted" };

fn agent() -> Agent {
    let fields = AgentFields {
        name: "Saved".into(),
        metadata: Some(Map::from_iter([("a".to_owned(), json!(1))])),
        ..AgentFields::default()
    };
    Agent {
        id: crate::domain::ids::AgentId::new(),
        organization: OrganizationId::new(),
        fields,
        version: 1,
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
    }
}

fn facts() -> InboundCallFacts {
    InboundCallFacts {
        id: CallId::new(),
        organization: OrganizationId::new(),
        trunk: TrunkId::new(),
        from_number: "+31201111111".into(),
        to_number: "+31202222222".into(),
        sip_call_id: "id@peer".into(),
        headers: Map::new(),
        identity: None,
    }
}

#[test]
fn a_trunk_that_requires_an_attestation_takes_no_other_caller() {
    let check = |claimed, verified| check_identity(Some(Attestation::B), claimed, verified);
    assert_eq!(check(Some(Attestation::A), Some(Ok(()))), Ok(()));
    assert_eq!(check(Some(Attestation::B), Some(Ok(()))), Ok(()));
    for (claimed, verified, wanted, status) in [
        (Some(Attestation::C), Some(Ok(())), AttestationError::TooWeak, 403),
        (Some(Attestation::A), Some(Err(BROKEN)), AttestationError::NotVerified(BROKEN), 437),
        (Some(Attestation::A), None, AttestationError::NotChecked, 503),
    ] {
        assert_eq!(check(claimed, verified), Err(wanted));
        assert_eq!(wanted.sip_status(), status);
    }
    assert_eq!(check_missing_identity(Some(Attestation::C)), Err(AttestationError::Missing));
    assert_eq!(AttestationError::Missing.sip_status(), 428);
}

#[test]
fn a_trunk_that_requires_nothing_takes_everybody() {
    assert_eq!(check_missing_identity(None), Ok(()));
    for verified in [None, Some(Ok(())), Some(Err(BROKEN))] {
        assert_eq!(check_identity(None, None, verified), Ok(()));
    }
}

#[test]
fn the_first_row_has_what_the_invite_says() {
    let plain = facts();
    let call = plain.clone().into_call(UnixMs(5));
    assert_eq!((call.direction, call.started_at, call.trunk), (Direction::Inbound, UnixMs(5), Some(plain.trunk)));
    assert_eq!((call.from_number.as_str(), call.to_number.as_str()), ("+31201111111", "+31202222222"));
    assert_eq!((call.sip_call_id.as_deref(), call.signalling), (Some("id@peer"), None));
    let headers = Map::from_iter([("headers".to_owned(), json!({"X-A": "1"}))]);
    let identity = Some(Map::from_iter([("verification".to_owned(), json!("passed"))]));
    let call = InboundCallFacts { headers, identity, ..facts() }.into_call(UnixMs(5));
    assert_eq!(call.signalling, Some(json!({"headers": {"X-A": "1"}, "identity": {"verification": "passed"}})));
}

#[test]
fn the_customers_server_is_asked_with_the_saved_agent() {
    let (saved, call) = (agent(), facts().into_call(UnixMs(0)));
    let asked = call_with_saved_agent(&call, Some(&saved));
    assert_eq!((asked.id, asked.agent), (call.id, Some(saved.id)));
    assert_eq!(asked.assistant.unwrap()["name"], "Saved");
    let asked = call_with_saved_agent(&call, None);
    assert_eq!((asked.agent, asked.assistant), (None, None));
}

#[test]
fn whom_the_server_names_comes_before_the_saved_agent() {
    let saved = agent();
    let named = ResolvedAssistant { agent: None, ..ResolvedAssistant::saved(&saved) };
    let faults = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    assert_eq!(who_answers(Some(named.clone()), Some(&saved), faults(&[])), Ok(named.clone()));
    assert_eq!(who_answers(None, Some(&saved), faults(&[])), Ok(ResolvedAssistant::saved(&saved)));
    assert_eq!(who_answers(None, None, faults(&["cut"])), Err(NotAnsweredError::NoAgent(faults(&["cut"]))));
    let bad = ResolvedAssistant { faults: faults(&["speed"]), ..named };
    let told = who_answers(Some(bad), Some(&saved), faults(&["cut"])).map(|found| found.faults);
    assert_eq!(told, Ok(faults(&["cut", "speed"])));
    let read = read_answer(Err("timeout".into()));
    assert_eq!((read.decision, read.faults), (AssistantDecision::Saved, faults(&["assistant-request: timeout"])));
    let read = read_answer(Ok(b"{}"));
    assert_eq!((read.decision, read.faults), (AssistantDecision::Saved, faults(&[])));
}

#[test]
fn who_is_not_answered_hears_why_and_the_row_says_it() {
    let saved = agent();
    let rejected = |faults| NotAnsweredError::RejectedByCustomer { reason: "closed".into(), sip_status: 486, faults };
    for (error, reason, status, saved, metrics) in [
        (NotAnsweredError::CallerGone, EndReason::Canceled, None, Some(&saved), None),
        (NotAnsweredError::Ended(EndReason::ServerShutdown), EndReason::ServerShutdown, Some(480), Some(&saved), None),
        (
            rejected(vec![]),
            EndReason::Rejected,
            Some(486),
            Some(&saved),
            Some(json!({"assistant_request": {"rejected": "closed"}})),
        ),
        (
            rejected(vec!["x: ignored".into()]),
            EndReason::Rejected,
            Some(486),
            Some(&saved),
            Some(json!({"assistant_request": {"rejected": "closed", "faults": ["x: ignored"]}})),
        ),
        (NotAnsweredError::NoAgent(vec![]), EndReason::Rejected, Some(480), None, None),
        (
            NotAnsweredError::NoAgent(vec!["cut".into()]),
            EndReason::Rejected,
            Some(480),
            None,
            Some(json!({"assistant_request": {"faults": ["cut"]}})),
        ),
    ] {
        let mut call = facts().into_call(UnixMs(0));
        error.note_in(&mut call, saved);
        assert_eq!((error.end_reason(), error.sip_status()), (reason, status), "{error:?}");
        assert_eq!((call.agent, call.metrics), (saved.map(|agent| agent.id), metrics), "{error:?}");
    }
}

#[test]
fn the_row_shows_the_configuration_and_its_faults() {
    let saved = agent();
    let mut resolved = ResolvedAssistant { faults: vec!["speed: too fast".into()], ..ResolvedAssistant::saved(&saved) };
    let mut call = facts().into_call(UnixMs(0));
    let of_number = "https://number.example".to_owned();
    configure(&mut call, &mut resolved, Some(&of_number));
    assert_eq!(call.metrics, Some(json!({"assistant_request": {"faults": ["speed: too fast"]}})));
    assert_eq!(resolved.fields.webhook_url.as_deref(), Some("https://number.example"));
    assert_eq!((call.agent, call.metadata), (Some(saved.id), Some(json!({"a": 1}))));
    assert_eq!(call.assistant.unwrap()["webhook_url"], "https://number.example");
    let mut resolved = ResolvedAssistant::saved(&saved);
    resolved.fields.webhook_url = Some("https://own.example".into());
    let mut call = facts().into_call(UnixMs(0));
    configure(&mut call, &mut resolved, Some(&of_number));
    assert_eq!((resolved.fields.webhook_url.as_deref(), call.metrics), (Some("https://own.example"), None));
}
