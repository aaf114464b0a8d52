//! Chats: an agent in writing, with its prompt, tools and history and without sound.

use super::support::{LoggedInUser, Server, lines, until};
use serde_json::{Value, json};
use trunkline_lab::emulator::ReplyScript;

async fn begin(server: &Server, body: Value) -> String {
    server.post("/calls/chat", body).await["call_id"].as_str().unwrap().to_owned()
}

async fn write(server: &Server, id: &str, text: &str) {
    let taken = server.post(&format!("/calls/{id}/message"), json!({"text": text})).await;
    assert_eq!(taken, json!({"call_id": id, "control": "message"}));
}

async fn call(server: &Server, id: &str) -> Value {
    server.get(&format!("/calls/{id}")).await["call"].clone()
}

/// Waits until the transcript has this many lines.
async fn transcript(server: &Server, id: &str, count: usize) -> Vec<String> {
    until("the answer", async || Some(lines(&call(server, id).await)).filter(|lines| lines.len() >= count)).await
}

fn script() -> ReplyScript {
    serde_json::from_value(json!([
        {"words": ["order"], "reply": "It is on its way. It comes on Monday."},
        {"words": ["human"], "reply": "I will put you through.", "tool": {"name": "transfer_call", "arguments": {"destination": "desk"}}},
    ]))
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_a_call_in_writing() {
    let server = Server::start_scripted(script(), |_| {}).await;
    // Whoever writes before the chat is answered is not refused.
    let id = begin(&server, json!({"agent_id": server.agent, "caller": "console"})).await;
    write(&server, &id, "Where is my order?").await;
    // An answer grows sentence by sentence.
    let said = until("the whole answer", async || {
        Some(lines(&call(&server, &id).await))
            .filter(|lines| lines.last().is_some_and(|last| last.ends_with("Monday.")))
    })
    .await;
    assert_eq!(said[1..], ["user: Where is my order?", "assistant: It is on its way. It comes on Monday."]);
    let live = call(&server, &id).await;
    let shown = ["direction", "transport", "status", "from_number"].map(|name| live[name].clone());
    assert_eq!(shown, [json!("chat"), json!("text"), json!("in_progress"), json!("console")]);
    let listed = server.get("/calls?direction=chat").await;
    assert_eq!((&listed["total"], &listed["calls"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(server.get("/calls?direction=web").await["total"], 0);
    server.post(&format!("/calls/{id}/end"), json!({})).await;
    let (status, refusal) = server.send("POST", &format!("/calls/{id}/message"), Some(json!({"text": "Hello?"}))).await;
    assert_eq!((status, &refusal["details"]["code"]), (409, &json!("call_over")));
    let over = until("the bill", async || Some(call(&server, &id).await).filter(|call| !call["cost"].is_null())).await;
    assert_eq!((&over["end_reason"], &over["recording_available"]), (&json!("ended_by_api"), &json!(false)));
    let turn = &over["metrics"]["turns"][0];
    assert!(turn["response_ms"].as_u64().is_some(), "how long the person waited: {turn}");
    assert_eq!(over["metrics"]["characters_spoken"], 0, "no voice was asked: {}", over["metrics"]);
    assert_eq!(over["metrics"]["provider_errors"].as_object().map_or(0, serde_json::Map::len), 0);
    let day = &server.get("/usage").await["usage"][0];
    assert_eq!((&day["calls"], &day["seconds"]), (&json!(1), &json!(0)), "a chat uses no minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_has_no_line() {
    let server = Server::start_scripted(script(), |_| {}).await;
    let desk = json!({"destinations": [{"name": "desk", "target": "+15550123"}]});
    let path = format!("/agents/{}", server.agent);
    assert_eq!(server.send("PATCH", &path, Some(json!({"transfer_config": desk}))).await.0, 200);
    let id = begin(&server, json!({"agent_id": server.agent})).await;
    transcript(&server, &id, 1).await;
    for (control, body) in [("hold", json!({})), ("resume", json!({})), ("transfer", json!({"to": "+15550123"}))] {
        let (status, refusal) = server.send("POST", &format!("/calls/{id}/{control}"), Some(body)).await;
        assert_eq!((status, &refusal["details"]["code"]), (409, &json!("chat_has_no_line")), "{control}");
    }
    write(&server, &id, "A human, please.").await;
    let said = until("the end of the transfer", async || {
        let said = lines(&call(&server, &id).await);
        let after = said.iter().position(|line| line.contains("put you through"))?;
        said.get(after + 1).is_some().then_some(said)
    })
    .await;
    assert_eq!(call(&server, &id).await["status"], "in_progress", "the agent goes on: {said:?}");
    write(&server, &id, "Where is my order?").await;
    until("the answer after it", async || {
        lines(&call(&server, &id).await).iter().any(|line| line.contains("Monday")).then_some(())
    })
    .await;
    server.post(&format!("/calls/{id}/say"), json!({"text": "This is the boss."})).await;
    until("words of an operator", async || {
        lines(&call(&server, &id).await).iter().any(|line| line.ends_with("This is the boss.")).then_some(())
    })
    .await;
    server.post(&format!("/calls/{id}/end"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_are_refused_as_calls_are() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let id = begin(&server, json!({"agent_id": server.agent})).await;
    let path = format!("/calls/{id}/message");
    for body in [json!({}), json!({"text": " "}), json!({"text": "x".repeat(1_001)}), json!({"text": "a", "x": 1})] {
        let (status, refusal) = server.send("POST", &path, Some(body.clone())).await;
        assert_eq!((status, &refusal["details"]["code"]), (400, &json!("invalid_field")), "{body}");
    }
    let made = owner.done("POST", "/api-keys", Some(json!({"name": "k", "scopes": ["calls:read"]}))).await;
    let reads = made["api_key"]["key"].as_str().unwrap();
    let root = owner.done("GET", "/auth/me", None).await["organization"]["id"].clone();
    let limited = owner
        .done("PATCH", &format!("/organizations/{}", root.as_str().unwrap()), Some(json!({"max_concurrent_calls": 1})))
        .await;
    assert_eq!(limited["organization"]["max_concurrent_calls"], 1);
    let (status, refusal) = server.send("POST", "/calls/chat", Some(json!({"agent_id": server.agent}))).await;
    assert_eq!((status, &refusal["details"]["code"]), (429, &json!("quota_exceeded")), "it takes a call's place");
    for (key, path, status) in
        [(reads, path.as_str(), 403), ("va_nobody", path.as_str(), 401), (reads, "/calls/chat", 403)]
    {
        let sent = server.http.post(server.url(path)).bearer_auth(key).json(&json!({"text": "Hello."})).send().await;
        assert_eq!(sent.unwrap().status().as_u16(), status, "{path}");
    }
    let other = json!({"agent_id": "01a2011b-0612-74b5-ade0-d698a39728b2"});
    assert_eq!(server.send("POST", "/calls/chat", Some(other)).await.0, 404, "nobody else's agent");
    // A call that speaks takes no messages.
    server.post(&format!("/calls/{id}/end"), json!({})).await;
    let (report, ()) = tokio::join!(server.call("listen; pause 20000; hangup"), async {
        let id = server.live_call().await;
        let (status, refusal) = server.send("POST", &format!("/calls/{id}/message"), Some(json!({"text": "Hi"}))).await;
        assert_eq!((status, &refusal["details"]["code"]), (409, &json!("not_a_chat")));
        server.post(&format!("/calls/{id}/end"), json!({})).await;
    });
    assert!(report.ended_by_agent);
}
