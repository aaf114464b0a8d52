//! A database that goes away, processes that are cut off from it, and calls that nobody holds.

use super::{DEAD_AFTER, LONG_CALL, cluster};
use crate::crash::terminate;
use crate::postgres::{Postgres, create_database};
use crate::support::{Server, exited, lines, peer_takes, stays, until};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_lab::caller::script::CallScript;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_while_the_database_is_away() {
    let mut postgres = Postgres::start().await;
    let url = create_database(&postgres.url()).await;
    let server = Server::start_with(|config| config.database.url = url.into()).await;
    let call = server.call("listen; say where_is_my_order; listen; pause 6000; say goodbye; listen");
    let outage = async {
        let id = until("the call", || async {
            let calls = server.get("/calls?status=in_progress").await;
            calls["calls"][0]["id"].as_str().map(str::to_owned)
        })
        .await;
        postgres.stop();
        let health = server.http.get(server.url("/health")).send().await.unwrap();
        assert_eq!(health.status(), 503);
        assert_eq!(health.json::<Value>().await.unwrap()["status"], json!("degraded"));
        let (status, body) = server.send("GET", "/calls", None).await;
        assert_eq!((status, &body["details"]["code"]), (503, &json!("database_unavailable")), "{body}");
        let refused = server.call("hangup").await;
        assert!(refused.failure.as_deref().is_some_and(|why| why.contains("status: 503")), "{refused:?}");
        postgres.start_again().await;
        id
    };
    let (report, id) = tokio::join!(call, outage);
    assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    let written = until("the transcript is written", || async {
        let (_, body) = server.send("GET", &format!("/calls/{id}"), None).await;
        let call = body["data"]["call"].clone();
        (call["status"] == "completed").then_some(call)
    })
    .await;
    let all = lines(&written);
    assert!(all.contains(&"user: I would like to know where my order is.".to_owned()), "{all:?}");
    assert!(all.contains(&"assistant: You're welcome. Goodbye!".to_owned()), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_outage_fails_no_call_and_repeats_none() {
    let mut cluster = cluster(3, |_, _| {}).await;
    let task = json!({"agent_id": cluster.agent, "to_number": "+15550299", "retry_policy": {"max_attempts": 3, "delay_seconds": 1}});
    let task = cluster.nodes[2].call("POST", "/tasks", Some(task)).await["task"]["id"].as_str().unwrap().to_owned();
    cluster.nodes[2].call("POST", &format!("/tasks/{task}/execute"), Some(json!({}))).await;
    let rings = cluster.incoming.recv().await.unwrap();
    let mut incoming = std::mem::replace(&mut cluster.incoming, mpsc::channel(1).1);
    let script = CallScript::parse(LONG_CALL).unwrap();
    let outage = async {
        cluster.until_calls(0, "in_progress", 4).await;
        cluster.no_call_fails(DEAD_AFTER).await; // everybody may judge
        cluster.cables.iter().for_each(|cable| cable.set_cut(true));
        for node in 0..3 {
            cluster.is_ready(node, false).await;
        }
        stays("no process is ready", DEAD_AFTER * 2, async || !cluster.says_ready(0).await).await;
        // They come back one after the other, within the time that each is given.
        for cable in &cluster.cables {
            cable.set_cut(false);
            peer_takes(DEAD_AFTER / 4).await;
        }
        for node in 0..3 {
            cluster.is_ready(node, true).await;
        }
        cluster.no_call_fails(DEAD_AFTER * 2).await; // time enough for any process to declare others dead
    };
    let (first, second, third, called, ()) = tokio::join!(
        cluster.dial(0, LONG_CALL),
        cluster.dial(1, LONG_CALL),
        cluster.dial(2, LONG_CALL),
        cluster.phone.answer(rings, &script, None),
        outage
    );
    for report in [first, second, third, called] {
        assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    }
    let calls = cluster.until_calls(1, "completed", 4).await;
    assert!(calls.iter().all(|call| call["end_reason"] == "agent_hung_up"), "{calls:?}");
    assert!(incoming.try_recv().is_err(), "a number was called twice");
    let found = cluster.nodes[1].call("GET", &format!("/tasks/{task}"), None).await;
    assert_eq!(found["task"]["status"], json!("completed"));
    // A process that really dies is still detected. One that is asked to stop shuts down in order.
    let last = async {
        cluster.until_calls(0, "in_progress", 1).await;
        drop(cluster.processes[2].lock().unwrap().take()); // SIGKILL
        let failed = cluster.until_calls(0, "failed", 1).await;
        assert_eq!(failed[0]["end_reason"], json!("server_crash"));
    };
    tokio::select! {
        report = cluster.dial(2, LONG_CALL) => panic!("it ended: {report:?}"),
        () = last => {}
    }
    // Asked to leave, a process leaves in order.
    let mut leaving = cluster.processes[1].lock().unwrap().take().unwrap();
    terminate(&leaving);
    let status = exited("a process that was asked to leave", &mut leaving.0).await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_taken_for_dead_ends_its_calls_and_joins_again() {
    let cluster = cluster(2, |_, _| {}).await;
    let partition = async {
        cluster.until_calls(0, "in_progress", 2).await;
        cluster.no_call_fails(DEAD_AFTER).await;
        cluster.cables[1].set_cut(true);
        let failed = cluster.until_calls(0, "failed", 1).await;
        assert_eq!(failed[0]["end_reason"], json!("server_crash"));
        cluster.cables[1].set_cut(false);
        cluster.is_ready(1, true).await;
        // It declares no process dead, and overwrites nothing.
        stays("one call goes on and one has failed", DEAD_AFTER * 2, async || {
            let (live, failed) = (cluster.calls(0, "in_progress").await, cluster.calls(0, "failed").await);
            (live.len(), failed.len()) == (1, 1)
        })
        .await;
        failed[0]["id"].as_str().unwrap().to_owned()
    };
    let (alive, taken, id) = tokio::join!(cluster.dial(0, LONG_CALL), cluster.dial(1, LONG_CALL), partition);
    assert!(alive.failure.is_none() && alive.ended_by_agent, "{alive:?}");
    assert!(taken.ended_by_agent, "its call was ended: {taken:?}");
    let call = cluster.nodes[0].call("GET", &format!("/calls/{id}"), None).await["call"].clone();
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("server_crash")));
    let again = cluster.dial(1, "listen; say goodbye; listen").await;
    assert!(again.failure.is_none() && again.ended_by_agent, "{again:?}");
    cluster.until_calls(0, "completed", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_call_is_ended() {
    use trunkline::domain::call::{Call, CallProgress, Direction};
    let server = Server::start_with(|config| {
        config.node.beat_ms = 100;
        config.node.dead_after_ms = 1_000;
    })
    .await;
    let services = server.app.services.clone();
    let scope = services.store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let row = |node: &str| {
        let id = trunkline::domain::ids::CallId::new();
        let mut call = Call::begun(id, scope.organization(), Direction::Inbound, trunkline::store::now());
        call.progress = CallProgress::InProgress { answered_at: trunkline::store::now() };
        (call.node, call.from_number) = (Some(node.to_owned()), "1".into());
        call
    };
    let (lost, held) = (row(&services.recovery.node.name), row(&services.recovery.node.name));
    let permit = services.admission.admit(scope, None).await.unwrap();
    let _seat = services.live_calls.registry.register(scope, held.id, None, permit);
    let (lost_id, held_id) = (lost.id.to_string(), held.id.to_string());
    services.journal.record_call(lost, None).await;
    services.journal.record_call(held, None).await;
    let ended = until("the call's end", || async {
        // Its row is on its way through the journal at first.
        let (status, body) = server.send("GET", &format!("/calls/{lost_id}"), None).await;
        let call = body["data"]["call"].clone();
        (status == 200 && call["status"] == "failed").then_some(call)
    })
    .await;
    assert_eq!(ended["end_reason"], json!("server_crash"));
    let call = server.get(&format!("/calls/{held_id}")).await["call"].clone();
    assert_eq!(call["status"], json!("in_progress"));
    assert_eq!(services.live_calls.registry.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_no_half_begun_call() {
    use sqlx::{Connection as _, Executor as _};
    let mut server = Server::start().await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550777"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    // The database is busy while the call is set up.
    let url = format!("sqlite://{}/test.db", server.folder.path().display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let request = server.http.post(server.url(&format!("/tasks/{task}/execute"))).bearer_auth(&server.key).send();
    assert!(tokio::time::timeout(Duration::from_millis(500), request).await.is_err(), "it waits");
    // The client is gone; the database is back.
    other.execute("ROLLBACK").await.unwrap();
    let rings = tokio::time::timeout(Duration::from_secs(10), server.incoming.recv()).await.unwrap().unwrap();
    server.phone.sip.reject(rings.incoming.call, 486, None).await;
    let call = server.last_call().await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("busy")));
    let task = server.get(&format!("/tasks/{task}")).await["task"].clone();
    assert_eq!(task["status"], json!("failed"));
}
