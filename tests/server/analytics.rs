//! Figures of calls by day, agent, provider and reason of the end: the same sums as the calls themselves, whoever asks.

use super::support::{Server, until};
use serde_json::{Value, json};
use trunkline::domain::time::UnixMs;
use trunkline::store::now;

const TALK: &str = "listen; say opening_hours; listen; hangup";

/// The figures once they have as many calls.
async fn figures(server: &Server, query: &str, calls: i64) -> Value {
    until("the calls are counted", async || {
        let body = server.get(&format!("/analytics?{query}")).await;
        (body["total"]["calls"] == json!(calls)).then_some(body)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_counted_once_by_day_agent_provider_and_reason() {
    let mut server = Server::start().await;
    server.call(TALK).await;
    let talk = server.last_call().await;
    server.post("/tasks", json!({"agent_id": server.agent, "to_number": "+15550101", "scheduled_at": UnixMs(now().0 - 1_000).rfc3339()})).await;
    let call = server.incoming.recv().await.unwrap();
    server.phone.sip.reject(call.incoming.call, 486, None).await;
    let body = figures(&server, "", 2).await;
    let total = &body["total"];
    assert_eq!((&total["answered"], &total["failed"]), (&json!(1), &json!(1)), "{body}");
    assert_eq!(total["seconds"], talk["duration_seconds"]);
    let answers =
        talk["metrics"]["turns"].as_array().unwrap().iter().filter(|turn| turn["response_ms"].is_u64()).count();
    assert_eq!(total["answers"], json!(answers));
    let (p50, p95) = (total["response_p50_ms"].as_i64().unwrap(), total["response_p95_ms"].as_i64().unwrap());
    assert!(p50 % 50 == 0 && p50 <= p95, "{total}");
    let today = now().day();
    assert_eq!((&body["groups"][0]["key"], &body["groups"][0]["calls"]), (&json!(today), &json!(2)));

    let reasons = figures(&server, "group_by=end_reason", 2).await;
    let mut keys: Vec<&str> =
        reasons["groups"].as_array().unwrap().iter().filter_map(|one| one["key"].as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["busy", talk["end_reason"].as_str().unwrap()], "{reasons}");
    let agents = figures(&server, &format!("group_by=agent&agent_id={}", server.agent), 2).await;
    assert_eq!((agents["groups"].as_array().unwrap().len(), &agents["groups"][0]["key"]), (1, &json!(server.agent)));
    let providers = figures(&server, "group_by=provider&direction=inbound", 1).await;
    let stages: Vec<(&str, &str)> = providers["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["stage"].as_str().unwrap(), one["key"].as_str().unwrap()))
        .collect();
    assert_eq!(stages.len(), 3, "{providers}");
    let llm = stages.iter().find(|(stage, _)| *stage == "llm").unwrap().1;
    // The list behind a figure has the same calls.
    let listed = server.get(&format!("/calls?provider={llm}&direction=inbound")).await;
    assert_eq!((&listed["total"], &listed["calls"][0]["id"]), (&json!(1), &talk["id"]));
    assert_eq!(server.get("/calls?provider=nobody").await["total"], json!(0));
    assert_eq!(server.get("/calls?number=%2B15550101").await["total"], json!(1));
    let judged = talk["report"]["success"].as_bool();
    let successes = server.get(&format!("/calls?success={}", judged.unwrap_or(true))).await["total"].clone();
    assert_eq!(successes, total["judged"], "{talk}");

    // Analysed again: counted once all the same.
    server.send("POST", &format!("/calls/{}/transcript", talk["id"].as_str().unwrap()), None).await;
    let again = figures(&server, "", 2).await;
    assert_eq!((&again["total"]["judged"], &again["total"]["answers"]), (&total["judged"], &total["answers"]));
    assert_eq!(server.get("/analytics?from=2020-01-01&to=2020-01-31").await["total"]["calls"], json!(0));
    for (query, field) in [
        ("from=yesterday", "from"),
        ("from=2020-01-01", "from"),
        ("to=2026-13-01", "to"),
        ("group_by=week", "group_by"),
        ("agent_id=1", "agent_id"),
        ("direction=up", "direction"),
        ("provider=", "provider"),
        ("day=2020-01-01", "day"),
    ] {
        let (status, answer) = server.send("GET", &format!("/analytics?{query}"), None).await;
        assert_eq!((status, &answer["details"]["field"]), (400, &json!(field)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_organization_sees_nothing_of_them() {
    let server = Server::start().await;
    server.call(TALK).await;
    figures(&server, "", 1).await;
    let hash = trunkline::domain::password::hash("some other password").unwrap();
    let other = server.app.services.store.bootstrap("Other", "other@example.com", &hash).await.unwrap();
    let url = server.url(&format!("/analytics?agent_id={}", server.agent));
    let answer = server.http.get(url).bearer_auth(other.key.text.expose()).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!((&body["data"]["total"]["calls"], &body["data"]["groups"]), (&json!(0), &json!([])));
}
