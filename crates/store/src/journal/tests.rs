//! What the journal writes, and what it does when the database refuses or is away.

use super::*;
use trunkline_domain::call::Direction;
use trunkline_domain::ids::OrganizationId;

async fn store() -> (Store, OrgScope) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let made = store.bootstrap("Test", "owner@example.com", "x").await.unwrap();
    (store, made.scope)
}

fn call(organization: OrganizationId) -> Call {
    Call::begun(CallId::new(), organization, Direction::Inbound, super::super::now())
}

fn turn(content: &str) -> Turn {
    Turn {
        role: TurnRole::User,
        content: content.into(),
        started_at_ms: 0,
        ended_at_ms: 1,
        interrupted: false,
        confidence: None,
        agent_id: None,
        said_by: None,
    }
}

#[tokio::test]
async fn an_entry_the_database_refuses_takes_no_other_with_it() {
    let (store, scope) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let call = call(scope.organization());
    let id = call.id;
    journal.record_call(call, None).await;
    journal.record_turn(CallId::new(), 0, turn("of a call that does not exist")).await;
    journal.record_turn(id, 0, turn("hello")).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    let turns = store.turns(scope, id).await.unwrap();
    assert_eq!(turns.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>(), ["hello"]);
}

#[tokio::test]
async fn what_no_database_keeps_is_replaced_and_nothing_is_lost() {
    let (store, scope) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let mut call = call(scope.organization());
    let id = call.id;
    call.from_number = "+1555\0 01".to_owned();
    call.sip_call_id = Some("a\0b".to_owned());
    call.metadata = serde_json::from_str(r#"{"note": "a\u0000b"}"#).unwrap();
    journal.record_call(call, None).await;
    journal.record_turn(id, 0, turn("hel\0lo")).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    let stored = store.call(scope, id).await.unwrap().unwrap();
    assert_eq!(stored.from_number, "+1555\u{FFFD} 01");
    assert_eq!(stored.sip_call_id.as_deref(), Some("a\u{FFFD}b"));
    assert_eq!(stored.metadata.unwrap()["note"], "a\0b", "JSON escapes it by itself");
    assert_eq!(store.turns(scope, id).await.unwrap()[0].content, "hel\u{FFFD}lo");
}

#[tokio::test]
async fn a_row_that_is_over_stays_as_it_is_and_its_owner_is_told() {
    let (store, scope) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let mut overtaken = journal.subscribe_taken_over();
    let mut call = call(scope.organization());
    let id = call.id;
    call.node = Some("test".to_owned());
    journal.record_call(call.clone(), None).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    // Another process takes this one for dead.
    assert_eq!(store.recover("another", false, |_, _| None).await.unwrap(), 1);
    let event = |name: &str| Delivery {
        id: trunkline_domain::ids::DeliveryId::new(),
        organization: scope.organization(),
        channel: trunkline_domain::delivery::DeliveryChannel::Webhook,
        order_key: "k".into(),
        call: Some(id),
        task: None,
        agent: None,
        event_type: name.to_owned(),
        target: "http://127.0.0.1/".into(),
        body: "{}".into(),
        created_at: now(),
    };
    let answered = Call { progress: call.progress.answer(now()), ..call.clone() };
    journal.record_call(answered.clone(), Some(event("in-progress"))).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    assert_eq!(overtaken.try_recv(), Ok(id));
    let progress = answered.progress.end(trunkline_domain::end_reason::EndReason::CustomerHungUp, now());
    let ended = Call { progress, ..call };
    journal.record_call(ended, Some(event("ended"))).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    let stored = store.call(scope, id).await.unwrap().unwrap();
    let reason = Some(trunkline_domain::end_reason::EndReason::ServerCrash);
    assert_eq!((stored.status(), stored.end_reason()), (CallStatus::Failed, reason));
    assert!(overtaken.try_recv().is_err(), "a call that ends needs no notification");
    let max = trunkline_domain::fair_share::ShareLimits { of_one: 10, of_family: 10, in_all: 10 };
    let mut shares = trunkline_domain::fair_share::FairShares::new(max);
    assert_eq!(store.claim_deliveries(&mut shares, 1_000).await.unwrap().len(), 0, "its events are dropped with it");
}

#[tokio::test]
async fn how_long_entries_wait_is_known() {
    let (store, scope) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let idle = journal.health();
    assert_eq!((idle.queued, idle.oldest, idle.wrote_at), (0, Duration::ZERO, None));
    journal.record_call(call(scope.organization()), None).await;
    assert!(journal.flush(Duration::from_secs(5)).await);
    assert!(journal.health().wrote_at.is_some());
    store.close().await;
    journal.record_call(call(scope.organization()), None).await;
    assert!(!journal.flush(Duration::from_millis(50)).await);
    assert!(journal.health().oldest >= Duration::from_millis(40), "{:?}", journal.health());
}

#[tokio::test]
async fn unreachable_database_does_not_block_callers() {
    let (store, scope) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    store.close().await;
    journal.record_call(call(scope.organization()), None).await;
    assert!(!journal.flush(Duration::from_millis(50)).await);
}
