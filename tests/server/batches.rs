//! Batches: nothing of a paused one is called, whatever makes its tasks due.

use super::support::{Server, until};
use serde_json::{Value, json};
use trunkline::domain::time::UnixMs;
use trunkline::store::now;

async fn create_batch(server: &Server, body: Value) -> String {
    server.post("/batches", body).await["batch"]["id"].as_str().unwrap().to_owned()
}

async fn create_task(server: &Server, batch: &str, number: &str, more: Value) -> String {
    let mut body = json!({"agent_id": server.agent, "to_number": number, "batch_id": batch});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let task = server.post("/tasks", body).await["task"].clone();
    assert_eq!(task["batch_id"], json!(batch));
    task["id"].as_str().unwrap().to_owned()
}

async fn progress(server: &Server, batch: &str) -> Value {
    let batch = server.get(&format!("/batches/{batch}")).await["batch"].clone();
    json!({"tasks": batch["tasks"], "ended_calls": batch["ended_calls"]})
}

/// Refuses the next call; its number.
async fn refuse_next(server: &mut Server) -> String {
    let call = server.incoming.recv().await.unwrap();
    let number = call.incoming.request_uri.user_plain().unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_called_from_its_start_and_its_failures_again() {
    let mut server = Server::start().await;
    let batch = create_batch(&server, json!({"name": "Reminders"})).await;
    let past = UnixMs(now().0 - 60_000).rfc3339();
    create_task(&server, &batch, "+15550101", json!({})).await;
    create_task(&server, &batch, "+15550102", json!({"scheduled_at": past})).await;
    let alone =
        server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550103", "scheduled_at": past})).await;
    assert_eq!(alone["task"]["batch_id"], Value::Null);
    // Everything that is due is called in the same round: the batch's task, though older, is not.
    assert_eq!(refuse_next(&mut server).await, "+15550103");
    assert_eq!(progress(&server, &batch).await, json!({"tasks": {"pending": 2}, "ended_calls": {}}));

    let started = server.post(&format!("/batches/{batch}/start"), json!({})).await;
    assert_eq!(started["batch"]["status"], json!("running"));
    let mut called = [refuse_next(&mut server).await, refuse_next(&mut server).await];
    called.sort();
    assert_eq!(called, ["+15550101", "+15550102"]);
    let failed = json!({"tasks": {"failed": 2}, "ended_calls": {"busy": 2}});
    until("both calls are over", async || (progress(&server, &batch).await == failed).then_some(())).await;
    let calls = server.get(&format!("/calls?batch_id={batch}&fields=task_id,end_reason")).await;
    assert_eq!(
        (&calls["total"], &calls["calls"][0]["end_reason"]),
        (&json!(2), &json!("busy")),
        "not that of no batch"
    );
    assert_eq!(calls["calls"][0].as_object().unwrap().len(), 2, "a list carries what it is asked for");
    for list in ["/calls", "/tasks", "/agents"] {
        let (status, refusal) = server.send("GET", &format!("{list}?fields=id,nothing"), None).await;
        assert_eq!((status, &refusal["details"]["field"]), (400, &json!("fields")), "{list}");
        let answer = server.get(&format!("{list}?fields=id")).await;
        assert_eq!(answer[&list[1..]][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id"], "{list}");
    }
    assert_eq!(server.get(&format!("/calls?batch_id={}", server.agent)).await["total"], json!(0));

    server.post(&format!("/batches/{batch}/pause"), json!({})).await;
    assert_eq!(server.post(&format!("/batches/{batch}/retry"), json!({})).await, json!({"retried": 2}));
    create_task(&server, &batch, "+15550104", json!({})).await;
    assert_eq!(server.get(&format!("/tasks?batch_id={batch}&status=pending")).await["total"], json!(3));
    server.post(&format!("/batches/{batch}/start"), json!({})).await;
    let mut called = [refuse_next(&mut server).await, refuse_next(&mut server).await, refuse_next(&mut server).await];
    called.sort();
    assert_eq!(called, ["+15550101", "+15550102", "+15550104"]);
}

/// A task of no batch.
async fn create_other(server: &Server, due_ms: i64) {
    let scheduled_at = UnixMs(due_ms).rfc3339();
    let body = json!({"agent_id": server.agent, "to_number": "+15550199", "scheduled_at": scheduled_at});
    server.post("/tasks", body).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_paused_holds_what_becomes_due() {
    let mut server = Server::start().await;
    let batch = create_batch(&server, json!({"name": "Retries", "start": true})).await;
    let retry = json!({"max_attempts": 2, "delay_seconds": 1, "on": ["busy"]});
    let task = create_task(&server, &batch, "+15550101", json!({"retry_policy": retry})).await;
    let call = server.incoming.recv().await.unwrap();
    server.post(&format!("/batches/{batch}/pause"), json!({})).await;
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    until("the task waits for its second attempt", async || {
        (progress(&server, &batch).await == json!({"tasks": {"pending": 1}, "ended_calls": {"busy": 1}})).then_some(())
    })
    .await;
    // Its second attempt would be due before this other task.
    create_other(&server, now().0 + 1_800).await;
    assert_eq!(refuse_next(&mut server).await, "+15550199");
    // A change of the task does not make it due either.
    let past = UnixMs(now().0 - 60_000).rfc3339();
    let (status, body) = server.send("PATCH", &format!("/tasks/{task}"), Some(json!({"scheduled_at": past}))).await;
    assert_eq!(status, 200, "{body}");
    create_other(&server, now().0).await;
    assert_eq!(refuse_next(&mut server).await, "+15550199");
    server.post(&format!("/batches/{batch}/start"), json!({})).await;
    assert_eq!(refuse_next(&mut server).await, "+15550101");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_goes_with_what_was_not_called_and_wrong_input_is_named() {
    let server = Server::start().await;
    let batch = create_batch(&server, json!({"name": "Old"})).await;
    let task = create_task(&server, &batch, "+15550101", json!({})).await;
    let other = create_batch(&server, json!({"name": "Other"})).await;
    let (status, body) = server.send("PATCH", &format!("/tasks/{task}"), Some(json!({"batch_id": other}))).await;
    assert_eq!((status, &body["details"]["field"]), (400, &json!("batch_id")), "{body}");
    let body = json!({"agent_id": server.agent, "to_number": "+15550101", "batch_id": task});
    let (status, body) = server.send("POST", "/tasks", Some(body)).await;
    assert_eq!((status, &body["details"]["field"]), (404, &json!("batch_id")), "{body}");
    for body in [json!({}), json!({"name": " "}), json!({"name": "x".repeat(201)}), json!({"name": 1})] {
        let (status, answer) = server.send("POST", "/batches", Some(body)).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!("name")), "{answer}");
    }
    let page = server.get("/batches?limit=1").await;
    assert_eq!((&page["total"], &page["batches"][0]["name"]), (&json!(2), &json!("Other")));
    let page = server.get("/batches").await;
    assert_eq!((&page["batches"][0]["tasks"], &page["batches"][1]["tasks"]), (&json!({}), &json!({"pending": 1})));
    let (_, deleted) = server.send("DELETE", &format!("/batches/{batch}"), None).await;
    assert_eq!(deleted["data"], json!({"deleted": true, "deleted_tasks": 1}));
    assert_eq!(server.send("GET", &format!("/tasks/{task}"), None).await.0, 404);
    for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/pause"), ("POST", "/retry")] {
        let (status, _) = server.send(method, &format!("/batches/{batch}{path}"), None).await;
        assert_eq!(status, 404, "{method} {path}");
    }
}
