//! Which tasks are called, over which trunk, and what follows a refusal.

use super::*;
use crate::domain::agent::AgentFields;
use crate::domain::ids::{AgentId, OrganizationId, PhoneNumberId, TaskId};
use crate::domain::phone_number::PhoneNumber;
use crate::store::PhoneNumberFields;
use serde_json::{Value, json};
use std::time::Duration;

/// 1970-01-01 was a Thursday.
const NOON: UnixMs = UnixMs(12 * 3_600_000);

fn task(settings: Value) -> Task {
    let mut all = json!({"to_number": "+4930123456"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Task {
        id: TaskId::new(),
        organization: OrganizationId::new(),
        batch: None,
        agent: AgentId::new(),
        status: TaskStatus::Pending,
        failure: None,
        fields: serde_json::from_value(all).unwrap(),
        version: 1,
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
    }
}

fn agent(is_active: bool) -> Agent {
    Agent {
        id: AgentId::new(),
        organization: OrganizationId::new(),
        fields: AgentFields { name: "Agent".into(), is_active, ..AgentFields::default() },
        version: 1,
        created_at: UnixMs(0),
        updated_at: UnixMs(0),
    }
}

fn trunk(settings: Value) -> Trunk {
    let mut all = json!({"name": "Carrier", "host": "a.example"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    Trunk::new(OrganizationId::new(), serde_json::from_value(all).unwrap(), UnixMs(0))
}

fn number(text: &str, agent: Option<AgentId>, trunk: Option<&Trunk>) -> PhoneNumberRow {
    let fields = PhoneNumberFields {
        number: PhoneNumber::parse(text).unwrap(),
        agent,
        trunk: trunk.map(|trunk| trunk.id),
        name: None,
        webhook_url: None,
        webhook_secret: None,
        previous_webhook_secret: None,
    };
    PhoneNumberRow { id: PhoneNumberId::new(), fields, version: 1, created_at: UnixMs(0), updated_at: UnixMs(0) }
}

fn chosen(
    task: &Task, numbers: &[PhoneNumberRow], trunks: &[Trunk],
) -> Result<(TrunkId, Option<String>), PlaceCallError> {
    choose_trunk(task, numbers, trunks).map(|(trunk, from)| (trunk.id, from))
}

#[test]
fn only_a_pending_task_of_an_active_agent_is_called_and_only_within_its_windows() {
    assert!(matches!(check_task(None), Err(PlaceCallError::NotFound)));
    for status in [TaskStatus::InProgress, TaskStatus::Completed, TaskStatus::Failed] {
        assert!(matches!(check_task(Some(Task { status, ..task(json!({})) })), Err(PlaceCallError::NotPending)));
    }
    let plain = check_task(Some(task(json!({})))).unwrap();
    assert!(matches!(check_agent_and_time(&plain, None, NOON), Err(PlaceCallError::AgentGone)));
    assert!(matches!(check_agent_and_time(&plain, Some(agent(false)), NOON), Err(PlaceCallError::AgentInactive)));
    assert!(check_agent_and_time(&plain, Some(agent(true)), NOON).is_ok());
    let window = |start: &str, end: &str| {
        task(json!({"calling_windows": [{"time_zone": "UTC", "days": ["thu"], "start": start, "end": end}]}))
    };
    assert!(check_agent_and_time(&window("11:00", "13:00"), Some(agent(true)), NOON).is_ok());
    let closed = check_agent_and_time(&window("13:00", "14:00"), Some(agent(true)), NOON);
    assert!(matches!(closed, Err(PlaceCallError::OutsideWindow)));
}

#[test]
fn the_number_that_a_task_names_decides_the_trunk() {
    let (first, second) = (trunk(json!({})), trunk(json!({})));
    let trunks = [first.clone(), second.clone()];
    let numbers = [number("+31201111111", None, None), number("+31202222222", None, Some(&second))];
    let from = |text: &str| task(json!({"from_number": text}));
    assert_eq!(chosen(&from("+31202222222"), &numbers, &trunks).unwrap(), (second.id, Some("+31202222222".into())));
    assert_eq!(chosen(&from("+31201111111"), &numbers, &trunks).unwrap(), (first.id, Some("+31201111111".into())));
    assert!(matches!(chosen(&from("+31203333333"), &numbers, &trunks), Err(PlaceCallError::ForeignNumber)));
    let own = task(json!({}));
    let with_agent = [numbers[0].clone(), number("+31204444444", Some(own.agent), None)];
    assert_eq!(chosen(&own, &with_agent, &trunks).unwrap().1.as_deref(), Some("+31204444444"), "its agent's number");
    assert_eq!(chosen(&own, &numbers, &trunks).unwrap().1.as_deref(), Some("+31201111111"), "or the first");
    assert_eq!(chosen(&own, &[], &trunks).unwrap(), (first.id, None));
}

#[test]
fn a_browser_is_put_through_over_the_trunk_of_its_agents_number() {
    let (first, second) = (trunk(json!({})), trunk(json!({"allow_sip_uri": true})));
    let trunks = [first.clone(), second.clone()];
    let agent = AgentId::new();
    let numbers = [number("+31201111111", None, Some(&first)), number("+31202222222", Some(agent), Some(&second))];
    let chosen = |agent, to: &str, trunks: &[Trunk]| {
        let destination = Destination::parse(to).unwrap();
        choose_trunk_of_web_call(agent, &destination, &numbers, trunks).map(|(trunk, from)| (trunk.id, from.unwrap()))
    };
    assert_eq!(chosen(Some(agent), "+4930123456", &trunks).unwrap(), (second.id, "+31202222222".into()));
    assert_eq!(chosen(Some(AgentId::new()), "+4930123456", &trunks).unwrap(), (first.id, "+31201111111".into()));
    assert_eq!(chosen(None, "+4930123456", &trunks).unwrap(), (first.id, "+31201111111".into()));
    assert_eq!(chosen(None, "sip:desk@pbx.example", &trunks).unwrap().0, second.id, "the first one takes no URIs");
    assert!(matches!(chosen(Some(agent), "sip:desk@pbx.example", &[first]), Err(PlaceCallError::TrunkMissing)));
    assert!(matches!(chosen(Some(agent), "+4930123456", &[]), Err(PlaceCallError::TrunkMissing)));
}

#[test]
fn a_trunk_that_may_not_call_there_is_passed_over() {
    let (denied, open) = (trunk(json!({"denied_destinations": ["+49"]})), trunk(json!({})));
    let (silent, with_uris) = (trunk(json!({"host": null})), trunk(json!({"allow_sip_uri": true})));
    let call = task(json!({}));
    let of_denied = [number("+31201111111", None, Some(&denied))];
    assert_eq!(chosen(&call, &of_denied, &[denied.clone(), open.clone()]).unwrap().0, open.id);
    assert!(matches!(chosen(&call, &[], &[denied]), Err(PlaceCallError::DestinationDenied)));
    assert!(matches!(chosen(&call, &[], std::slice::from_ref(&silent)), Err(PlaceCallError::TrunkMissing)));
    assert_eq!(chosen(&call, &[], &[silent, open.clone()]).unwrap().0, open.id);
    let uri = task(json!({"to_number": "sip:desk@pbx.example"}));
    assert_eq!(chosen(&uri, &[], &[open.clone(), with_uris.clone()]).unwrap().0, with_uris.id);
    assert!(matches!(chosen(&uri, &[], &[open]), Err(PlaceCallError::TrunkMissing)));
}

#[test]
fn a_more_urgent_task_is_not_overtaken_on_a_full_trunk() {
    let (full, other) = (TrunkId::new(), TrunkId::new());
    assert!(matches!(check_room(full, &[full], true), Err(PlaceCallError::Busy(Some(trunk))) if trunk == full));
    assert!(matches!(check_room(full, &[full], false), Err(PlaceCallError::Busy(_))));
    assert!(matches!(check_room(other, &[full], false), Err(PlaceCallError::Overloaded)));
    assert!(check_room(other, &[full], true).is_ok());
}

#[test]
fn limits_of_admission_and_database_are_told_apart() {
    let trunk = TrunkId::new();
    let of = |denied: LimitExceededError| PlaceCallError::from(denied);
    assert!(
        matches!(of(LimitExceededError::Concurrent { trunk: Some(trunk) }), PlaceCallError::Busy(Some(full)) if full == trunk)
    );
    let rate = LimitExceededError::Rate { trunk: None, retry_after: Duration::ZERO };
    assert!(matches!(of(rate), PlaceCallError::Busy(None)));
    assert!(matches!(of(LimitExceededError::DailyLimit), PlaceCallError::Spent));
    assert!(matches!(of(LimitExceededError::FairShare), PlaceCallError::Overloaded));
    let call = CallId::new();
    assert_eq!(claimed(TaskClaim::Claimed(call), trunk).unwrap(), call);
    assert!(
        matches!(claimed(TaskClaim::Busy { trunk: true }, trunk), Err(PlaceCallError::Busy(Some(full))) if full == trunk)
    );
    assert!(matches!(claimed(TaskClaim::Busy { trunk: false }, trunk), Err(PlaceCallError::Busy(None))));
    assert!(matches!(claimed(TaskClaim::Spent, trunk), Err(PlaceCallError::Spent)));
    assert!(matches!(claimed(TaskClaim::NotPending, trunk), Err(PlaceCallError::NotPending)));
}

#[test]
fn only_a_limit_that_passes_is_waited_for() {
    assert!(matches!(after_refusal(PlaceCallError::Busy(None), true), AfterRefusal::Queue));
    assert!(matches!(
        after_refusal(PlaceCallError::Busy(None), false),
        AfterRefusal::GiveUp(PlaceCallError::Busy(None))
    ));
    for error in [PlaceCallError::Spent, PlaceCallError::Overloaded, PlaceCallError::NotPending] {
        assert!(matches!(after_refusal(error, true), AfterRefusal::GiveUp(_)));
    }
    let (waiting, id) = (task(json!({})), CallId::new());
    let row = queued_call(id, &waiting, Some(&"+31201111111".to_owned()), UnixMs(7));
    assert_eq!((row.id, row.task, row.agent, row.started_at), (id, Some(waiting.id), Some(waiting.agent), UnixMs(7)));
    assert_eq!((row.from_number.as_str(), row.to_number.as_str()), ("+31201111111", "+4930123456"));
    assert_eq!(queued_call(id, &waiting, None, UnixMs(7)).from_number, "");
}
