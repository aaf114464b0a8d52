//! Calls that are made when they are due: in time, in order, as many as may be, and once.

use super::support::{LoggedInUser, Server, until};
use serde_json::{Value, json};
use std::time::Duration;
use trunkline::domain::organization::OrganizationLimits;
use trunkline::domain::time::UnixMs;
use trunkline::store::{TaskClaim, now};
use trunkline_lab::caller::script::CallScript;

fn soon(ms: i64) -> String {
    UnixMs(now().0 + ms).rfc3339()
}

async fn task(server: &Server, number: &str, more: Value) -> String {
    let mut body = json!({"agent_id": server.agent, "to_number": number});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/tasks", body).await["task"]["id"].as_str().unwrap().to_owned()
}

async fn limit(server: &Server, limits: Value) {
    let owner = LoggedInUser::owner(server).await;
    let id = owner.done("GET", "/auth/me", None).await["organization"]["id"].as_str().unwrap().to_owned();
    owner.done("PATCH", &format!("/organizations/{id}"), Some(limits)).await;
}

/// The number of the next call that arrives, which is busy.
async fn next_is_busy(server: &mut Server) -> String {
    let call = tokio::time::timeout(Duration::from_secs(30), server.incoming.recv()).await.unwrap().unwrap();
    let number = call.incoming.request_uri.user_plain().unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_task_is_called_at_its_time_and_once() {
    let mut server = Server::start().await;
    let due = now().0 + 1_500;
    let id = task(&server, "+15550199", json!({"scheduled_at": UnixMs(due).rfc3339()})).await;
    let call = server.incoming.recv().await.unwrap();
    let late_ms = now().0 - due;
    assert!((-5..2_000).contains(&late_ms), "{late_ms} ms late");
    let script = CallScript::parse("listen; say goodbye; listen").unwrap();
    let report = server.phone.answer(call, &script, None).await;
    assert_eq!(report.failure, None);
    let last = server.last_call().await;
    assert_eq!(last["task_id"], json!(id));
    let late_ms = UnixMs::parse(last["started_at"].as_str().unwrap()).unwrap().0 - due;
    assert!((0..1_000).contains(&late_ms), "{late_ms} ms late");
    assert_eq!(server.get(&format!("/tasks/{id}")).await["task"]["status"], json!("completed"));
    assert_eq!(server.get(&format!("/calls?task_id={id}")).await["total"], json!(1));
    let (status, body) = server.send("PATCH", &format!("/tasks/{id}"), Some(json!({"name": "late"}))).await;
    assert_eq!((status, &body["details"]["code"]), (400, &json!("invalid_state")));
    assert_eq!(server.send("DELETE", &format!("/tasks/{id}"), None).await.0, 400, "nor is it deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_wait_for_a_free_line_and_the_urgent_ones_go_first() {
    let mut server = Server::start().await;
    limit(&server, json!({"max_concurrent_calls": 1})).await;
    let first = task(&server, "+15550101", json!({})).await;
    server.post(&format!("/tasks/{first}/execute"), json!({})).await;
    let ringing = server.incoming.recv().await.unwrap();
    // The line is taken: these wait, no matter which client asks.
    task(&server, "+15550102", json!({"scheduled_at": soon(0)})).await;
    task(&server, "+15550103", json!({"scheduled_at": soon(0), "priority": 5})).await;
    let asked = task(&server, "+15550104", json!({"priority": 9})).await;
    let queued = server.post(&format!("/tasks/{asked}/execute"), json!({})).await;
    assert!(queued["message"].as_str().unwrap().starts_with("Call queued"), "{queued}");
    let call = server.get(&format!("/calls/{}", queued["call_id"].as_str().unwrap())).await["call"].clone();
    assert_eq!((&call["status"], &call["to_number"]), (&json!("initiated"), &json!("+15550104")));
    let dropped = task(&server, "+15550105", json!({"priority": 99})).await;
    let dropped =
        server.post(&format!("/tasks/{dropped}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
    let canceled = server.post(&format!("/calls/{dropped}/cancel"), json!({})).await;
    assert_eq!(canceled["call"]["end_reason"], json!("canceled"));
    server.phone.sip.reject(ringing.incoming.call, 486, None).await;
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(next_is_busy(&mut server).await);
    }
    assert_eq!(order, ["+15550104", "+15550103", "+15550102"]);
    let promised = until("the promised call", || async {
        let call = server.get(&format!("/calls/{}", queued["call_id"].as_str().unwrap())).await["call"].clone();
        (call["status"] == "failed").then_some(call)
    })
    .await;
    assert_eq!(promised["end_reason"], json!("busy"), "the call keeps the id it was promised with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_callee_is_called_again_as_often_as_the_policy_says() {
    let mut server = Server::start().await;
    let policy = json!({"retry_policy": {"max_attempts": 2, "delay_seconds": 1, "on": ["busy"]}});
    let id = task(&server, "+15550106", policy).await;
    server.post(&format!("/tasks/{id}/execute"), json!({})).await;
    assert_eq!(next_is_busy(&mut server).await, "+15550106");
    let first = server.last_call().await["id"].clone();
    assert_eq!(next_is_busy(&mut server).await, "+15550106");
    let path = format!("/tasks/{id}");
    until("the task fails", || async { (server.get(&path).await["task"]["status"] == "failed").then_some(()) }).await;
    let calls = server.get(&format!("/calls?task_id={id}")).await;
    assert_eq!(calls["total"], json!(2));
    assert_eq!(calls["calls"][1]["id"], first, "each attempt is a separate call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_called_outside_its_calling_windows() {
    let server = Server::start().await;
    // One hour that is twelve hours away.
    let later = UnixMs(now().0 + 12 * 3_600_000).rfc3339();
    let (start, end) = (later[11..16].to_owned(), UnixMs(now().0 + 13 * 3_600_000).rfc3339()[11..16].to_owned());
    let windows =
        json!({"calling_windows": [{"time_zone": "UTC", "start": start, "end": end}], "scheduled_at": soon(0)});
    let id = task(&server, "+15550107", windows).await;
    let (status, body) = server.send("POST", &format!("/tasks/{id}/execute"), None).await;
    assert_eq!((status, &body["details"]["code"]), (400, &json!("invalid_state")), "{body}");
    let due = server.app.services.store.due_tasks(10, 10, None).await.unwrap().0;
    assert!(due.is_empty(), "its time is the window's: {due:?}");
    let bad = json!({"agent_id": server.agent, "to_number": "+15550107", "calling_windows": [{"time_zone": "Mars/Base", "start": "09:00", "end": "10:00"}]});
    let (status, body) = server.send("POST", "/tasks", Some(bad)).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("calling_windows[0].time_zone")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_makes_so_many_calls_a_second() {
    let mut server = Server::start().await;
    server.send("PATCH", &format!("/trunks/{}", server.trunk), Some(json!({"calls_per_second": 1.0}))).await;
    for number in ["+15550111", "+15550112", "+15550113"] {
        task(&server, number, json!({"scheduled_at": soon(0)})).await;
    }
    for _ in 0..3 {
        next_is_busy(&mut server).await;
    }
    let calls = until("three calls", || async {
        let calls = server.get("/calls").await;
        (calls["total"] == json!(3)).then_some(calls)
    })
    .await;
    let starts: Vec<i64> = calls["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| UnixMs::parse(call["started_at"].as_str().unwrap()).unwrap().0)
        .rev()
        .collect();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{starts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_a_process_that_died_is_given_to_another() {
    let mut server = Server::start().await;
    let id = task(&server, "+15550108", json!({})).await;
    let services = server.app.services.clone();
    let scope = services.store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let (task_id, trunk) = (
        trunkline::domain::ids::TaskId::parse(&id).unwrap(),
        trunkline::domain::ids::TrunkId::parse(&server.trunk).unwrap(),
    );
    // Another process claims it, and dies before it calls.
    let claim = services.store.claim_task(scope, task_id, trunk, &OrganizationLimits::default(), 0.0).await.unwrap();
    let TaskClaim::Claimed(call) = claim else { panic!("{claim:?}") };
    let (status, _) = server.send("POST", &format!("/tasks/{id}/execute"), None).await;
    assert_eq!(status, 400, "it is taken");
    assert_eq!(next_is_busy(&mut server).await, "+15550108");
    // The dead one comes back: too late.
    assert!(!services.store.begin_call(scope, task_id, call, "the dead one").await.unwrap());
    assert_eq!(server.get(&format!("/calls?task_id={id}")).await["total"], json!(1));
}
