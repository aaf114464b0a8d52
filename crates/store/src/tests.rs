//! What the API, the scheduler and the outbox rely on: changes that come too late, who may do what, whose turn it is.

use super::full_outboxes::FullOutboxes;
use super::journal::Journal;
use super::*;
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use trunkline_domain::agent::{Agent, AgentFields};
use trunkline_domain::call::{Call, CallOutcome, CallUsage, Direction};
use trunkline_domain::delivery::{Delivery, DeliveryChannel, DeliveryStatus};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::ids::{ApiKeyId, CallId, DeliveryId, OrganizationId, TaskId, TrunkId};
use trunkline_domain::login_address::LoginAddress;
use trunkline_domain::organization::{Organization, OrganizationLimits};
use trunkline_domain::permission::KeyScope;
use trunkline_domain::phone_number::PhoneNumber;
use trunkline_domain::task::{Task, TaskFields, TaskStatus};
use trunkline_domain::trunk::TrunkFields;
use trunkline_supervision::Supervisor;

const PAGE: PageRequest = PageRequest { limit: 100, offset: 0, from: PageCursor::Start };
const OWNER: &str = "owner@example.com";

async fn store() -> (Store, Bootstrapped) {
    let store = Store::open("sqlite::memory:").await.unwrap();
    store.migrate().await.unwrap();
    let made = store.bootstrap("Test", OWNER, "x").await.unwrap();
    (store, made)
}

/// A database knows a migration by its checksum: one that differs is refused.
#[tokio::test]
async fn embedded_migrations_are_those_of_the_folder() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let wanted = sqlx::migrate::Migrator::new(folder).await.unwrap();
    let embedded = super::database::migrator();
    let all = |migrator: &sqlx::migrate::Migrator| -> Vec<_> {
        let row = |one: &sqlx::migrate::Migration| {
            (one.version, one.description.clone(), one.migration_type, one.checksum.clone(), one.no_tx)
        };
        migrator.iter().map(row).collect()
    };
    assert!(embedded.iter().len() >= 13);
    assert_eq!(all(&embedded), all(&wanted));
}

fn agent_fields(name: &str) -> AgentFields {
    serde_json::from_value(json!({"name": name})).unwrap()
}

fn trunk_fields(name: &str) -> TrunkFields {
    serde_json::from_value(json!({"name": name, "host": "192.0.2.1"})).unwrap()
}

/// A task that is due.
async fn due_task(store: &Store, scope: OrgScope) -> Task {
    let agent = store.create_agent(scope, agent_fields("Ada")).await.unwrap();
    let fields = TaskFields {
        to_number: "+15550199".into(),
        scheduled_at: Some("2026-01-01T00:00:00Z".into()),
        ..TaskFields::default()
    };
    store.create_task(scope, agent.id, None, fields).await.unwrap()
}

async fn record(store: &Store, calls: impl IntoIterator<Item = Call>) {
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    for call in calls {
        journal.record_call(call, None).await;
    }
    assert!(journal.flush(Duration::from_secs(20)).await);
}

fn call(scope: OrgScope) -> Call {
    Call::begun(CallId::new(), scope.organization(), Direction::Outbound, now())
}

fn webhook(organization: OrganizationId, event_type: &str) -> Delivery {
    Delivery {
        id: DeliveryId::new(),
        organization,
        channel: DeliveryChannel::Webhook,
        order_key: "x".into(),
        call: None,
        task: None,
        agent: None,
        event_type: event_type.into(),
        target: "https://example.com/hook".into(),
        body: "{}".into(),
        // The database's clock counts in fractions of a day, so it may be a millisecond behind.
        created_at: trunkline_domain::time::UnixMs(now().0 - 1_000),
    }
}

/// The states that an agent was saved in.
async fn versions(store: &Store, scope: OrgScope, agent: &Agent) -> Vec<i64> {
    let (versions, _) = store.agent_versions(scope, agent.id, PAGE).await.unwrap();
    versions.iter().map(|version| version.version).collect()
}

async fn change_five_times(store: &Store, scope: OrgScope, fields: AgentFields) -> Agent {
    let mut agent = store.create_agent(scope, fields).await.unwrap();
    for change in 0..5 {
        agent.fields.description = Some(format!("change {change}"));
        assert!(store.update_agent(scope, &agent).await.unwrap());
        agent.version += 1;
    }
    agent
}

#[tokio::test]
async fn every_state_of_an_agent_is_kept_unless_they_are_very_long() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let short = change_five_times(&store, scope, agent_fields("Ada")).await;
    assert_eq!(versions(&store, scope, &short).await, [6, 5, 4, 3, 2, 1]);
    let prompt = Some("a".repeat(1_500_000));
    let long = AgentFields { system_prompt: prompt, ..agent_fields("Bo") };
    let long = change_five_times(&store, scope, long).await;
    assert_eq!(versions(&store, scope, &long).await, [6, 5], "4 MB, and never fewer than two");
}

/// Two people have read the same version: the second one to save is told, and overwrites nothing.
#[tokio::test]
async fn a_change_of_an_old_version_is_refused() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let mut agent = store.create_agent(scope, agent_fields("Ada")).await.unwrap();
    let mut trunk = store.create_trunk(scope, trunk_fields("Carrier")).await.unwrap();
    let fields = PhoneNumberFields {
        number: PhoneNumber::parse("+15550100").unwrap(),
        agent: None,
        trunk: None,
        name: Some("Office".into()),
        webhook_url: None,
        webhook_secret: None,
        previous_webhook_secret: None,
    };
    let mut number = store.create_phone_number(scope, fields).await.unwrap();
    for (name, is_current) in [("first", true), ("second", false)] {
        agent.fields.name = name.into();
        trunk.fields.name = name.into();
        number.fields.name = Some(name.into());
        assert_eq!(store.update_agent(scope, &agent).await.unwrap(), is_current, "agent, {name}");
        assert_eq!(store.update_trunk(scope, &trunk).await.unwrap(), is_current, "trunk, {name}");
        assert_eq!(store.update_phone_number(scope, &number).await.unwrap(), is_current, "number, {name}");
    }
    assert_eq!(store.stored_agent(scope, agent.id).await.unwrap().unwrap().fields.name, "first");
    assert_eq!(store.trunk(scope, trunk.id).await.unwrap().unwrap().fields.name, "first");
    assert_eq!(store.phone_number(scope, number.id).await.unwrap().unwrap().fields.name.as_deref(), Some("first"));
}

#[tokio::test]
async fn a_deleted_key_opens_nothing_and_there_is_none_to_delete_twice() {
    let (store, Bootstrapped { scope, key, .. }) = store().await;
    assert!(store.authenticate(key.text.expose()).await.unwrap().is_some());
    assert!(!store.delete_key(scope, ApiKeyId::new()).await.unwrap(), "there is no such key");
    assert!(store.delete_key(scope, key.row.id).await.unwrap());
    assert!(store.authenticate(key.text.expose()).await.unwrap().is_none());
    assert!(!store.delete_key(scope, key.row.id).await.unwrap());
}

#[tokio::test]
async fn a_key_with_scopes_may_do_nothing_else() {
    let (store, Bootstrapped { scope, key, .. }) = store().await;
    let narrow = store.create_key(scope, "reports", Some(vec![KeyScope::CallsRead]), None).await.unwrap();
    let narrow = store.authenticate(narrow.text.expose()).await.unwrap().unwrap();
    let allowed: Vec<KeyScope> = KeyScope::ALL.iter().copied().filter(|what| narrow.may(*what)).collect();
    assert_eq!(allowed, [KeyScope::CallsRead]);
    let full = store.authenticate(key.text.expose()).await.unwrap().unwrap();
    assert!(KeyScope::ALL.iter().all(|what| full.may(*what)));
}

#[tokio::test]
async fn an_organization_sees_its_own_webhooks_by_event() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let other = store.bootstrap("Other", "other@example.com", "x").await.unwrap().scope;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let (begun, ended) =
        (webhook(scope.organization(), "call_started"), webhook(scope.organization(), "call_completed"));
    for one in [begun.clone(), ended.clone(), webhook(other.organization(), "call_started")] {
        journal.record_delivery(one).await;
    }
    assert!(journal.flush(Duration::from_secs(20)).await);
    for (event_type, wanted) in [(None, vec![ended, begun.clone()]), (Some("call_started".to_owned()), vec![begun])] {
        let filter = DeliveryFilter { event_type, ..DeliveryFilter::default() };
        let (mut found, total) = store.deliveries(scope, filter, PAGE).await.unwrap();
        found.sort_by_key(|(delivery, _)| delivery.event_type.clone());
        assert!(found.iter().all(|(_, progress)| progress.status == DeliveryStatus::Pending), "{found:?}");
        assert_eq!(total, wanted.len() as i64);
        assert_eq!(found.into_iter().map(|(delivery, _)| delivery).collect::<Vec<_>>(), wanted);
    }
}

#[test]
fn a_webhook_for_a_full_outbox_is_kept_as_failed_and_others_are_taken() {
    let (full, other) = (OrganizationId::new(), OrganizationId::new());
    let outboxes = FullOutboxes::default();
    outboxes.set(HashSet::from([full]));
    let refused = outboxes.refuse(&webhook(full, "call_started")).unwrap();
    assert_eq!((refused.status, refused.next_attempt_at), (DeliveryStatus::Failed, None));
    assert!(refused.error.unwrap().contains("deliveries_waiting"));
    assert_eq!(outboxes.refuse(&webhook(other, "call_started")), None);
    outboxes.set(HashSet::new());
    assert_eq!(outboxes.refuse(&webhook(full, "call_started")), None, "it has room again");
}

/// Claims a task that is due, without limits of the trunk.
async fn claimed(store: &Store, scope: OrgScope, task: TaskId) -> TaskClaim {
    store.claim_task(scope, task, TrunkId::new(), &OrganizationLimits::default(), 0.0).await.unwrap()
}

#[tokio::test]
async fn a_task_fails_with_its_call_and_is_completed_with_its_call() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    for (reason, wanted) in [(EndReason::Busy, TaskStatus::Failed), (EndReason::CustomerHungUp, TaskStatus::Completed)]
    {
        let task = due_task(&store, scope).await.id;
        let TaskClaim::Claimed(id) = claimed(&store, scope, task).await else { panic!("not claimed") };
        assert!(store.begin_call(scope, task, id, "test").await.unwrap());
        let begun = Call { id, task: Some(task), node: Some("test".into()), ..call(scope) };
        let progress = begun.progress.answer(now()).end(reason, now());
        record(&store, [begun.clone(), Call { progress, ..begun }]).await;
        assert_eq!(store.task(scope, task).await.unwrap().unwrap().status, wanted, "{reason:?}");
    }
}

#[tokio::test]
async fn a_call_fits_as_long_as_the_limits_have_room() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let trunk = TrunkId::new();
    let limits = OrganizationLimits { max_concurrent_calls: Some(1), ..OrganizationLimits::default() };
    let (first, second) = (due_task(&store, scope).await.id, due_task(&store, scope).await.id);
    let claim = store.claim_task(scope, first, trunk, &limits, 0.0).await.unwrap();
    assert!(matches!(claim, TaskClaim::Claimed(_)), "{claim:?}");
    assert_eq!(claimed(&store, scope, first).await, TaskClaim::NotPending);
    let claim = store.claim_task(scope, second, trunk, &limits, 0.0).await.unwrap();
    assert_eq!(claim, TaskClaim::Busy { trunk: true });
    assert!(matches!(claimed(&store, scope, second).await, TaskClaim::Claimed(_)), "another trunk has room");
}

/// Nobody's thousand tasks keep the one task of somebody else waiting.
#[tokio::test]
async fn due_tasks_are_visited_organization_by_organization() {
    let (store, first) = store().await;
    let mut scopes = vec![first.scope];
    for name in ["b", "c"] {
        scopes.push(store.bootstrap(name, &format!("{name}@example.com"), "x").await.unwrap().scope);
    }
    scopes.sort_by_key(|scope| scope.organization().to_string());
    for scope in &scopes {
        for _ in 0..3 {
            due_task(&store, *scope).await;
        }
    }
    let (due, last) = store.due_tasks(2, 4, None).await.unwrap();
    let whose: Vec<OrgScope> = due.iter().map(|due| due.scope).collect();
    assert_eq!(whose, [scopes[0], scopes[1], scopes[0], scopes[1]]);
    assert_eq!(last, Some(scopes[1].organization()));
    let (due, last) = store.due_tasks(2, 4, last).await.unwrap();
    assert_eq!(due.iter().map(|due| due.scope).collect::<Vec<_>>(), [scopes[2], scopes[2]]);
    assert_eq!(last, None, "the round is over");
}

#[tokio::test]
async fn an_account_is_familiar_only_where_it_was_logged_in() {
    let (store, Bootstrapped { user, .. }) = store().await;
    let address = LoginAddress::parse(OWNER).unwrap();
    let (office, elsewhere) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([198, 51, 100, 1]));
    store.remember_source(user, office).await.unwrap();
    assert_eq!(store.familiar_accounts(&address, office).await.unwrap(), [user]);
    assert_eq!(store.familiar_accounts(&address, elsewhere).await.unwrap(), []);
}

async fn customer(store: &Store, scope: OrgScope) -> Organization {
    let parent = store.organization(scope, scope.organization()).await.unwrap().unwrap();
    let limits = OrganizationLimits { max_concurrent_calls: Some(5), ..OrganizationLimits::default() };
    store.create_organization(&parent, "Customer", limits).await.unwrap()
}

#[tokio::test]
async fn only_those_above_lift_the_limit_of_an_organization() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let mut customer = customer(&store, scope).await;
    let own = store.scope_of_created(&customer);
    customer.limits.max_concurrent_calls = Some(10);
    let refused = store.update_organization(own, &customer).await;
    assert!(matches!(refused, Err(OrganizationError::Lifted("max_concurrent_calls"))), "{refused:?}");
    assert!(store.update_organization(scope, &customer).await.unwrap());
    customer.version += 1;
    customer.limits.max_concurrent_calls = Some(3);
    assert!(store.update_organization(own, &customer).await.unwrap(), "its own people may lower it");
}

#[tokio::test]
async fn every_organization_is_known_with_the_root_of_its_family() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let customer = customer(&store, scope).await;
    let root = scope.organization();
    let families = store.families().await.unwrap();
    assert_eq!(families.into_iter().collect::<HashSet<_>>(), HashSet::from([(root, root), (customer.id, root)]));
}

/// A file has one process: what a dead one left there holds no line.
#[tokio::test]
async fn no_other_node_holds_lines_of_a_file() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let open = Call { node: Some("dead".into()), trunk: Some(TrunkId::new()), ..call(scope) };
    record(&store, [open]).await;
    let lines = store.lines_on_other_nodes("test").await.unwrap();
    assert!(lines.organizations.is_empty() && lines.trunks.is_empty(), "{lines:?}");
}

#[tokio::test]
async fn a_session_ends_after_its_time() {
    let (store, Bootstrapped { scope, user, .. }) = store().await;
    let (users, _) = store.users(scope, PAGE).await.unwrap();
    let user = users.into_iter().find(|one| one.id == user).unwrap();
    let token = store.create_session(&user, 3_600_000).await.unwrap();
    for (passed_ms, is_open) in [(0, true), (3_500_000, true), (100_000, false)] {
        sqlx::query("UPDATE sessions SET expires_at = expires_at - $1")
            .bind(passed_ms)
            .execute(&store.write)
            .await
            .unwrap();
        assert_eq!(store.session(&token).await.unwrap().is_some(), is_open, "{passed_ms}");
    }
}

#[tokio::test]
async fn the_report_of_a_call_is_written_and_sent_once() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let begun = call(scope);
    let over = Call { progress: begun.progress.answer(now()).end(EndReason::AgentHungUp, now()), ..begun };
    record(&store, [over.clone()]).await;
    let billed = CallUsage { day: "2026-01-01".into(), seconds: 60, micros: 5, ..CallUsage::default() };
    for summary in ["first", "second"] {
        let outcome = CallOutcome { summary: Some(summary.into()), ..CallOutcome::default() };
        let report = [webhook(scope.organization(), summary)];
        store.record_wrap_up(scope, over.id, &outcome, &billed, &report).await.unwrap();
    }
    let (sent, _) = store.deliveries(scope, DeliveryFilter::default(), PAGE).await.unwrap();
    assert_eq!(sent.iter().map(|(delivery, _)| delivery.event_type.as_str()).collect::<Vec<_>>(), ["first"]);
    let usage = store.usage(scope, "2026-01-01", "2026-01-01").await.unwrap();
    assert_eq!(usage.iter().map(|day| (day.calls, day.seconds, day.micros)).collect::<Vec<_>>(), [(1, 60, 5)]);
}

/// The names of a whole list, read in pages of two with the cursor; before each page something is added in front.
async fn paged(store: &Store, scope: OrgScope) -> Vec<String> {
    let (mut names, mut from) = (Vec::new(), PageCursor::Start);
    for page in 0.. {
        let (agents, total) = store.agents(scope, None, PageRequest { limit: 2, offset: 0, from }).await.unwrap();
        assert!(total >= 5, "the total counts all");
        let Some(last) = agents.last() else { break };
        from = PageCursor::Behind(last.id.to_string().parse().unwrap());
        names.extend(agents.iter().map(|agent| agent.fields.name.clone()));
        store.create_agent(scope, agent_fields(&format!("new {page}"))).await.unwrap();
    }
    names
}

#[tokio::test]
async fn a_list_read_with_a_cursor_shows_everything_once_though_it_grows() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    for name in ["a", "b", "c", "d", "e"] {
        store.create_agent(scope, agent_fields(name)).await.unwrap();
    }
    assert_eq!(paged(&store, scope).await, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn a_cursor_holds_though_its_row_is_gone() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(due_task(&store, scope).await.id);
    }
    let behind = |id: TaskId| PageRequest { from: PageCursor::Behind(id.to_string().parse().unwrap()), ..PAGE };
    assert!(store.delete_task(scope, tasks[2]).await.unwrap());
    let (rest, total) = store.tasks(scope, None, None, None, behind(tasks[2])).await.unwrap();
    assert_eq!(rest.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[1], tasks[0]]);
    assert_eq!(total, 3);
    let (none, _) = store.tasks(scope, None, None, None, behind(tasks[0])).await.unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn lists_of_versions_and_those_that_begin_with_the_oldest_have_cursors_too() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let agent = change_five_times(&store, scope, agent_fields("Ada")).await;
    let page = PageRequest { from: PageCursor::BehindVersion(4), ..PAGE };
    let (versions, _) = store.agent_versions(scope, agent.id, page).await.unwrap();
    assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [3, 2, 1]);
    let (users, _) = store.users(scope, PAGE).await.unwrap();
    let page = PageRequest { from: PageCursor::Behind(users[0].id.to_string().parse().unwrap()), ..PAGE };
    assert!(store.users(scope, page).await.unwrap().0.is_empty(), "there is one user");
    let everything = [
        store.organizations(scope, page).await.map(|found| found.1),
        store.keys(scope, page).await.map(|found| found.1),
        store.secrets(scope, page).await.map(|found| found.1),
        store.audit_log(scope, page).await.map(|found| found.1),
        store.phone_numbers(scope, page).await.map(|found| found.1),
        store.trunks(scope, page).await.map(|found| found.1),
        store.deliveries(scope, DeliveryFilter::default(), page).await.map(|found| found.1),
        store.calls(scope, CallFilter::default(), page).await.map(|found| found.1),
    ];
    assert!(everything.iter().all(Result::is_ok), "{everything:?}");
}

/// What the outbox hands out, by the names of the events.
async fn handed_out(store: &Store) -> Vec<String> {
    let limits = trunkline_domain::fair_share::ShareLimits { of_one: 10, of_family: 10, in_all: 10 };
    let mut shares = trunkline_domain::fair_share::FairShares::new(limits);
    let claimed = store.claim_deliveries(&mut shares, 0).await.unwrap();
    claimed.into_iter().map(|one| one.delivery.event_type).collect()
}

/// A report behind a status whose attempts ended so, the next one in an hour.
async fn behind_a_status(attempts: i64, response_status: Option<i64>) -> Vec<String> {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    let status = webhook(scope.organization(), "status-update");
    journal.record_delivery(status.clone()).await;
    journal.record_delivery(webhook(scope.organization(), "end-of-call-report")).await;
    assert!(journal.flush(Duration::from_secs(20)).await);
    assert_eq!(handed_out(&store).await, ["status-update"], "in order at first");
    let progress = trunkline_domain::delivery::DeliveryProgress {
        status: DeliveryStatus::Pending,
        attempts,
        next_attempt_at: Some(trunkline_domain::time::UnixMs(now().0 + 3_600_000)),
        response_status,
        error: Some("x".into()),
        delivered_at: None,
    };
    store.record_delivery_attempt(scope, status.id, &progress).await.unwrap();
    handed_out(&store).await
}

#[tokio::test]
async fn what_waits_behind_several_waits_no_longer_than_behind_one() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let journal = Journal::start(store.clone(), "test", &Supervisor::default());
    for event in ["status-update", "status-update", "end-of-call-report"] {
        journal.record_delivery(webhook(scope.organization(), event)).await;
    }
    assert!(journal.flush(Duration::from_secs(20)).await);
    assert_eq!(handed_out(&store).await, ["status-update"]);
    let grown_older = async |ms: i64| {
        sqlx::query("UPDATE deliveries SET created_at = created_at - $1").bind(ms).execute(&store.write).await.unwrap();
        handed_out(&store).await
    };
    assert_eq!(grown_older(30_000).await, ["status-update"], "it hangs, or the receiver is away");
    assert_eq!(grown_older(6_000).await, ["status-update", "status-update", "end-of-call-report"]);
}

#[tokio::test]
async fn a_report_does_not_wait_behind_a_status_that_was_refused() {
    for status in [400, 401, 403, 404, 405, 422, 500] {
        assert_eq!(behind_a_status(1, Some(status)).await, ["end-of-call-report"], "{status}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_away_gets_events_in_order_unless_it_stays_away() {
    for status in [None, Some(429), Some(502), Some(503), Some(504)] {
        assert!(behind_a_status(1, status).await.is_empty(), "{status:?}");
        assert!(behind_a_status(2, status).await.is_empty(), "{status:?}");
        assert_eq!(behind_a_status(3, status).await, ["end-of-call-report"], "{status:?}");
    }
}

#[tokio::test]
async fn a_task_of_a_batch_that_was_deleted_meanwhile_is_not_due() {
    let (store, Bootstrapped { scope, .. }) = store().await;
    let agent = store.create_agent(scope, agent_fields("Ada")).await.unwrap();
    let batch = store.create_batch(scope, "B", trunkline_domain::batch::BatchStatus::Running).await.unwrap();
    let fields = || {
        let task = serde_json::json!({"to_number": "+15550142", "scheduled_at": "2026-01-01T00:00:00Z"});
        serde_json::from_value(task).unwrap()
    };
    store.create_task(scope, agent.id, Some(batch.id), fields()).await.unwrap();
    assert_eq!(store.due_tasks(10, 10, None).await.unwrap().0.len(), 1, "the batch runs");
    assert_eq!(store.delete_batch(scope, batch.id).await.unwrap(), Some(1));
    store.create_task(scope, agent.id, Some(batch.id), fields()).await.unwrap();
    assert_eq!(store.due_tasks(10, 10, None).await.unwrap().0.len(), 0);
}
