//! Webhooks and tasks that wait: a slow or greedy organization does not delay the others.

use super::scope_of;
use crate::support::{CustomerServer, Server, agent, until};
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline::domain::delivery::{Delivery, DeliveryChannel};
use trunkline::domain::fair_share::{FairShares, ShareLimits};
use trunkline::domain::ids::{DeliveryId, OrganizationId};
use trunkline::store::{Store, now};

fn delivery(organization: OrganizationId, n: usize, target: &str) -> Delivery {
    Delivery {
        id: DeliveryId::new(),
        organization,
        channel: DeliveryChannel::Webhook,
        order_key: format!("{organization} {n}"),
        call: None,
        task: None,
        agent: None,
        event_type: "status-update".into(),
        target: target.to_owned(),
        body: "{}".into(),
        created_at: now(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_receiver_does_not_delay_other_tenants_webhooks() {
    let server = Server::start().await;
    let slow = CustomerServer::start(|_| (200, "{}".into(), Duration::from_secs(9))).await;
    let quick = CustomerServer::start(|_| (200, "{}".into(), Duration::ZERO)).await;
    let store = &server.app.services.store;
    let greedy = scope_of(&server).await.organization();
    let modest = store.bootstrap("Modest", "modest@example.com", "x").await.unwrap().scope.organization();
    for n in 0..1_000 {
        server.app.services.journal.record_delivery(delivery(greedy, n, &format!("{}/slow", slow.url))).await;
    }
    assert!(server.app.services.journal.flush(Duration::from_secs(60)).await);
    until("the slow ones are under way", || async { (!slow.told("/slow").is_empty()).then_some(()) }).await;
    let begun = Instant::now();
    for n in 0..20 {
        server.app.services.journal.record_delivery(delivery(modest, n, &format!("{}/quick", quick.url))).await;
    }
    until("the others'", || async { (quick.told("/quick").len() == 20).then_some(()) }).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(slow.told("/slow").len() <= 32, "{} at once of one organization", slow.told("/slow").len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outbox_that_is_full_keeps_what_comes_and_sends_none_of_it() {
    let server = Server::start_with(|config| config.quotas.deliveries_waiting = 10).await;
    let slow = CustomerServer::start(|_| (500, "{}".into(), Duration::ZERO)).await;
    let own = scope_of(&server).await.organization();
    for n in 0..10 {
        server.app.services.journal.record_delivery(delivery(own, n, &format!("{}/slow", slow.url))).await;
    }
    assert!(server.app.services.journal.flush(Duration::from_secs(10)).await);
    server.app.services.store.count_waiting().await.unwrap();
    server.app.services.journal.record_delivery(delivery(own, 99, &format!("{}/late", slow.url))).await;
    assert!(server.app.services.journal.flush(Duration::from_secs(10)).await);
    let listed = server.get("/webhook-deliveries?status=failed").await;
    assert_eq!(listed["total"], json!(1), "{listed}");
    assert!(listed["webhook_deliveries"][0]["error"].as_str().unwrap().contains("deliveries_waiting"));
    let path = format!("/webhook-deliveries/{}/resend", listed["webhook_deliveries"][0]["id"].as_str().unwrap());
    let (status, body) = server.send("POST", &path, None).await;
    assert_eq!((status, &body["details"]["limit"]), (403, &json!("deliveries_waiting")), "{body}");
    assert!(slow.told("/late").is_empty());
}

async fn opened() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&crate::support::database_url(folder.path()).await).await.unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn due_tasks_of_many_organizations_are_looked_at_in_turns() {
    let (store, _folder) = opened().await;
    let mut scopes = Vec::new();
    for n in 0..3 {
        scopes.push(store.bootstrap("O", &format!("o{n}@example.com"), "x").await.unwrap().scope);
    }
    for (scope, count) in scopes.iter().zip([300, 1, 1]) {
        let made = store.create_agent(*scope, serde_json::from_value(agent()).unwrap()).await.unwrap();
        for priority in 0..count {
            let fields = json!({"to_number": "+15550199", "priority": priority % 100, "scheduled_at": now().rfc3339()});
            store.create_task(*scope, made.id, None, serde_json::from_value(fields).unwrap()).await.unwrap();
        }
    }
    until("all of them are due", async || {
        let (due, _) = store.due_tasks(20, 400, None).await.unwrap();
        (due.len() == 22).then_some(())
    })
    .await;
    let (due, last) = store.due_tasks(20, 400, None).await.unwrap();
    assert_eq!((due.len(), last), (22, None), "twenty of the first, one of each other");
    let first: std::collections::HashSet<_> = due[..3].iter().map(|due| due.scope).collect();
    assert_eq!(first.len(), 3, "everybody's first comes before anybody's second");
    // Where a round does not reach everybody, the next one begins with the rest.
    let (mut seen, mut after) = (std::collections::HashSet::new(), None);
    for _ in 0..3 {
        let (due, last) = store.due_tasks(20, 20, after).await.unwrap();
        seen.extend(due.iter().map(|due| due.scope));
        after = last;
    }
    assert_eq!(seen.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_shared_between_organizations_and_families() {
    let (store, _folder) = opened().await;
    let journal = trunkline::store::journal::Journal::start(
        store.clone(),
        "test",
        &trunkline::supervision::Supervisor::default(),
    );
    let greedy = store.bootstrap("Greedy", "g@example.com", "x").await.unwrap().scope;
    let modest = store.bootstrap("Modest", "m@example.com", "x").await.unwrap().scope;
    let parent = store.organization(greedy, greedy.organization()).await.unwrap().unwrap();
    let mut family = vec![greedy.organization()];
    for n in 0..5 {
        family.push(store.create_organization(&parent, &format!("c{n}"), Default::default()).await.unwrap().id);
    }
    for organization in &family {
        for n in 0..50 {
            journal.record_delivery(delivery(*organization, n, "http://127.0.0.1:9/")).await;
        }
    }
    for n in 0..3 {
        journal.record_delivery(delivery(modest.organization(), n, "http://127.0.0.1:9/")).await;
    }
    assert!(journal.flush(Duration::from_secs(30)).await);
    let mut shares = FairShares::new(ShareLimits { of_one: 8, of_family: 12, in_all: 20 });
    let claimed = store.claim_deliveries(&mut shares, 60_000).await.unwrap();
    let of = |organization| claimed.iter().filter(|one| one.scope.organization() == organization).count();
    assert_eq!(of(modest.organization()), 3, "all of the organization that has few");
    assert_eq!(claimed.iter().filter(|one| one.root == greedy.organization()).count(), 12);
    assert!(family.iter().all(|one| of(*one) <= 8));
    assert!(
        store.claim_deliveries(&mut shares, 60_000).await.unwrap().is_empty(),
        "what is under way is not taken twice"
    );
    for one in &claimed {
        shares.give_back(one.scope.organization(), one.root);
    }
    assert_eq!(store.claim_deliveries(&mut shares, 60_000).await.unwrap().len(), 12, "the modest one has none left");
}
