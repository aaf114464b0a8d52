//! Daily figures, alerts and one-time links as the database keeps them: each call counted once, each change told once.

use super::journal::Journal;
use super::*;
use serde_json::json;
use std::time::Duration;
use trunkline_domain::alert::{AlertMeasurement, AlertProgress, AlertRule, AlertState};
use trunkline_domain::alert_message::{AlertContext, AlertOccasion, alert_delivery};
use trunkline_domain::call::{Call, CallOutcome, CallUsage, Direction};
use trunkline_domain::delivery::{Delivery, DeliveryChannel, DeliveryProgress, DeliveryStatus, mail_body};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::ids::{CallId, DeliveryId};
use trunkline_domain::login_address::LoginAddress;
use trunkline_domain::time::UnixMs;
use trunkline_supervision::Supervisor;

async fn store() -> (Store, OrgScope) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let made = store.bootstrap("Test", "owner@example.com", "x").await.unwrap();
    (store, made.scope)
}

async fn record(store: &Store, call: &Call) {
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    journal.record_call(call.clone(), None).await;
    assert!(journal.flush(Duration::from_secs(20)).await);
}

/// A call that is over, with one answer.
fn over(scope: OrgScope) -> Call {
    let at = now();
    let mut call = Call::begun(CallId::new(), scope.organization(), Direction::Inbound, at);
    call.progress = call.progress.answer(at).end(EndReason::CustomerHungUp, UnixMs(at.0 + 3_000));
    call.metrics = Some(json!({"turns": [{"response_ms": 640}], "used": {"llm": {"openai/x": {}}}, "cut_offs": 1}));
    call
}

async fn total(store: &Store, scope: OrgScope) -> CallFigureSums {
    let today = now().day();
    let filter = FigureFilter { first: today.clone(), last: today, ..FigureFilter::default() };
    let mut total = CallFigureSums::default();
    store.call_figures(scope, &filter, FigureGroup::Day).await.unwrap().values().for_each(|day| total.add(day));
    total
}

fn outcome(success: Option<bool>) -> CallOutcome {
    CallOutcome { report: Some(json!({"success": success})), ..CallOutcome::default() }
}

#[tokio::test]
async fn a_call_is_counted_once_and_an_analysis_that_is_repeated_changes_its_day() {
    let (store, scope) = store().await;
    let call = over(scope);
    record(&store, &call).await;
    assert_eq!(store.count_backlog().await.unwrap(), 0, "its report is still to come");
    let bill = CallUsage { micros: 5, ..CallUsage::default() };
    store.record_wrap_up(scope, call.id, &outcome(Some(false)), &bill, &[]).await.unwrap();
    store.record_wrap_up(scope, call.id, &outcome(Some(true)), &bill, &[]).await.unwrap();
    assert_eq!(store.count_backlog().await.unwrap(), 0);
    let sums = total(&store, scope).await;
    assert_eq!((sums.calls, sums.answered, sums.failed, sums.seconds), (1, 1, 0, 3));
    assert_eq!((sums.micros, sums.judged, sums.successes, sums.cut_offs), (5, 1, 0, 1));
    assert_eq!(sums.responses, [(650, 1)].into());
    store.put_outcome(scope, call.id, &outcome(Some(true)), &bill).await.unwrap();
    let sums = total(&store, scope).await;
    assert_eq!((sums.calls, sums.micros, sums.judged, sums.successes), (1, 10, 1, 1));
    store.put_outcome(scope, call.id, &outcome(None), &CallUsage::default()).await.unwrap();
    let sums = total(&store, scope).await;
    assert_eq!((sums.micros, sums.judged, sums.successes), (10, 0, 0));
}

#[tokio::test]
async fn calls_of_before_and_calls_without_a_report_are_counted_too() {
    let (store, scope) = store().await;
    let call = over(scope);
    record(&store, &call).await;
    store.give_up_wrap_up(scope, call.id).await.unwrap();
    // One whose documents cannot be read.
    let broken = over(scope);
    record(&store, &broken).await;
    sqlx::query("UPDATE calls SET metrics = '{', wrap_up = 'done' WHERE id = $1")
        .bind(broken.id.to_string())
        .execute(&store.write)
        .await
        .unwrap();
    assert_eq!(store.count_backlog().await.unwrap(), 2);
    assert_eq!(store.count_backlog().await.unwrap(), 0);
    let sums = total(&store, scope).await;
    assert_eq!((sums.calls, sums.responses), (2, [(650, 1)].into()));
}

#[tokio::test]
async fn one_holder_has_a_lease_until_it_runs_out() {
    let (store, _) = store().await;
    assert!(store.hold_lease("alerts", "one", 60_000).await.unwrap());
    assert!(!store.hold_lease("alerts", "two", 60_000).await.unwrap());
    assert!(store.hold_lease("alerts", "one", -1).await.unwrap(), "its holder renews it");
    assert!(store.hold_lease("alerts", "two", 60_000).await.unwrap(), "it has run out");
    assert!(!store.hold_lease("alerts", "one", 60_000).await.unwrap());
}

/// A rule that has just begun to fire, and the message of it.
async fn firing(store: &Store, scope: OrgScope) -> (AlertRule, AlertProgress, Delivery) {
    let fields = json!({"name": "R", "condition": "spend", "threshold": 1, "channel": "webhook",
        "webhook_url": "https://a.example", "webhook_secret": "a secret"});
    let rule = store.create_alert_rule(scope, serde_json::from_value(fields).unwrap()).await.unwrap();
    let measured = AlertMeasurement { value: Some(2.0), calls: Some(1) };
    let (after, told) = rule.fields.evaluate(&rule.progress, measured, now());
    assert_eq!(told, Some(AlertState::Firing));
    let about = AlertContext {
        organization: scope.organization(),
        organization_name: "Test",
        base_url: "https://voice.example",
        currency: "EUR",
        now: now(),
    };
    let delivery = alert_delivery(&rule, AlertOccasion::State(AlertState::Firing), measured, about);
    (rule, after, delivery)
}

#[tokio::test]
async fn a_change_of_state_is_told_once_whoever_else_looks() {
    let (store, scope) = store().await;
    let (rule, after, delivery) = firing(&store, scope).await;
    let told = Some((AlertState::Firing, &delivery));
    assert!(store.record_alert(scope, &rule, &after, told).await.unwrap());
    let again = Delivery { id: DeliveryId::new(), ..delivery.clone() };
    let told = Some((AlertState::Firing, &again));
    assert!(!store.record_alert(scope, &rule, &after, told).await.unwrap(), "another process has told it");
    let (events, count) = store.alert_events(scope, rule.id, PageRequest::first(10)).await.unwrap();
    assert_eq!((count, events[0].delivery), (1, delivery.id));
    let (_, sent) = store.deliveries(scope, DeliveryFilter::default(), PageRequest::first(10)).await.unwrap();
    assert_eq!(sent, 1);
    let secrets = store.webhook_secrets(scope, &delivery).await.unwrap();
    assert_eq!(secrets.present.unwrap().expose(), "a secret");
    // A rule that was changed meanwhile says nothing about its new fields.
    let mut changed = store.alert_rule(scope, rule.id).await.unwrap().unwrap();
    changed.updated_at = now();
    assert!(store.update_alert_rule(scope, &changed).await.unwrap());
    assert!(!store.update_alert_rule(scope, &changed).await.unwrap(), "another version");
    assert!(!store.record_alert(scope, &changed, &after, None).await.unwrap());
    assert!(store.delete_alert_rule(scope, rule.id).await.unwrap());
    assert_eq!(store.due_alert_rules(now()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_mail_that_resets_a_password_is_not_kept() {
    let (store, scope) = store().await;
    let user = store.accounts_of_address(&LoginAddress::new("owner@example.com")).await.unwrap().remove(0).user;
    let mail = |token: &str| {
        Some(Delivery {
            id: DeliveryId::new(),
            organization: scope.organization(),
            channel: DeliveryChannel::Mail,
            order_key: "password".into(),
            call: None,
            task: None,
            agent: None,
            event_type: "password-reset".into(),
            target: user.email.clone(),
            body: mail_body("S", token),
            created_at: now(),
        })
    };
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.extend(store.begin_password_reset(&user, mail).await.unwrap());
    }
    assert_eq!(tokens.len(), 3, "no more in an hour");
    let bodies = async || -> Vec<String> {
        sqlx::query_scalar("SELECT body FROM deliveries ORDER BY id").fetch_all(&store.read).await.unwrap()
    };
    assert_eq!(bodies().await.len(), 3);
    let mut shares = trunkline_domain::fair_share::FairShares::new(trunkline_domain::fair_share::ShareLimits {
        of_one: 9,
        of_family: 9,
        in_all: 9,
    });
    let claimed = store.claim_deliveries(&mut shares, 60_000).await.unwrap().remove(0).delivery;
    let progress = |status| DeliveryProgress {
        status,
        attempts: 1,
        next_attempt_at: Some(now()),
        response_status: None,
        error: None,
        delivered_at: None,
    };
    store.record_delivery_attempt(scope, claimed.id, &progress(DeliveryStatus::Pending)).await.unwrap();
    assert!(bodies().await.iter().all(|body| body.contains("subject")), "it is tried again");
    store.record_delivery_attempt(scope, claimed.id, &progress(DeliveryStatus::Delivered)).await.unwrap();
    assert_eq!(bodies().await.iter().filter(|body| *body == "{}").count(), 1);

    assert!(store.finish_password_reset(&tokens[0], &user, "new").await.unwrap());
    for token in &tokens {
        assert!(!store.finish_password_reset(token, &user, "newer").await.unwrap(), "all are used up");
        assert!(store.password_reset_account(token).await.unwrap().is_none());
    }
    assert_eq!(store.password_hash(&user).await.unwrap().as_deref(), Some("new"));
}

#[tokio::test]
async fn a_chat_counts_for_no_service_that_hears_or_speaks() {
    let (store, scope) = store().await;
    let mut call = over(scope);
    call.direction = Direction::Chat;
    call.assistant = Some(json!({"stt_config": {"provider": "deepgram"}, "tts_config": {"provider": "cartesia"}}));
    record(&store, &call).await;
    store.give_up_wrap_up(scope, call.id).await.unwrap();
    while store.count_backlog().await.unwrap() > 0 {}
    let today = now().day();
    let filter = FigureFilter { first: today.clone(), last: today, ..FigureFilter::default() };
    for (group, expected) in [(FigureGroup::Stt, ""), (FigureGroup::Tts, ""), (FigureGroup::Llm, "openai")] {
        let names: Vec<String> = store.call_figures(scope, &filter, group).await.unwrap().into_keys().collect();
        assert_eq!(names, [expected], "{group:?}");
    }
}
