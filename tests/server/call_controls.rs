//! Commands to a call in progress: words, instructions, hold, transfer, by whom and by whom not.

use super::support::{LoggedInUser, Server, lines, until};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Status, code and field of a refusal.
async fn refused(server: &Server, path: &str, body: Value) -> (u16, Value) {
    let (status, answer) = server.send("POST", path, Some(body)).await;
    assert!(answer["error"].as_str().is_some_and(|words| !words.is_empty()), "{path}: {answer}");
    (status, answer["details"]["code"].clone())
}

fn code(status: u16, code: &str) -> (u16, Value) {
    (status, json!(code))
}

type Live = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The organization's listener, which has heard what the call was until then.
async fn listener(server: &Server, id: &str) -> Live {
    let url = format!("ws://{}/ws/calls/{id}?api_key={}", server.app.api_addr, server.key);
    let mut socket = connect_async(url).await.unwrap().0;
    socket.next().await.unwrap().unwrap();
    socket
}

/// Everything that it is told from then on until the call is over.
async fn told(mut socket: Live) -> Vec<Value> {
    let mut all = Vec::new();
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.into_text() else { break };
        let Ok(message) = serde_json::from_str(&text) else { break };
        all.push(message);
    }
    all
}

/// Says, whispers, holds and resumes; then ends the call.
async fn steer(server: &Server, owner: &LoggedInUser, id: &str) {
    let path = |control: &str| format!("/calls/{id}/{control}");
    let said = server.post(&path("say"), json!({"text": "Your <b>parcel</b> is here."})).await;
    assert_eq!(said, json!({"call_id": id, "control": "say"}));
    let request = server.http.post(server.url(&path("instruct"))).bearer_auth(&server.key);
    for replayed in [false, true] {
        let request = request.try_clone().unwrap().header("idempotency-key", "once");
        let answer = request.json(&json!({"text": "Offer a discount."})).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("idempotency-replayed"), replayed);
        assert_eq!(answer.status(), 200);
    }
    until("the words", async || {
        let call = server.get(&format!("/calls/{id}")).await["call"].clone();
        lines(&call).contains(&"assistant: Your parcel is here.".to_owned()).then_some(())
    })
    .await;
    owner.done("POST", &path("hold"), None).await;
    assert_eq!(refused(server, &path("say"), json!({"text": "Hello?"})).await, code(409, "call_on_hold"));
    owner.done("POST", &path("resume"), None).await;
    assert_eq!(refused(server, &path("resume"), json!({})).await, code(409, "call_not_on_hold"));
    for body in [json!({"text": ""}), json!({"text": "x".repeat(100_000)}), json!({}), json!({"text": "a", "x": 1})] {
        assert_eq!(refused(server, &path("say"), body.clone()).await, code(400, "invalid_field"), "say {body}");
        assert_eq!(refused(server, &path("instruct"), body).await, code(400, "invalid_field"));
    }
    assert_eq!(refused(server, &path("say"), json!({"text": "<break/>"})).await, code(400, "invalid_field"));
    for body in [json!({}), json!({"to": "0201234567"}), json!({"destination": "nobody"})] {
        assert_eq!(refused(server, &path("transfer"), body.clone()).await, code(400, "invalid_field"), "{body}");
    }
    until("the commands among the events, while the call goes on", async || {
        let events = server.get(&path("events")).await["events"].clone();
        let controls = events.as_array()?.iter().filter(|one| one["type"] == "call-control");
        let controls: Vec<&Value> = controls.map(|one| &one["control"]).collect();
        (controls == ["say", "instruct", "hold", "resume"]).then_some(())
    })
    .await;
    server.post(&path("end"), json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_in_progress_is_steered_from_beside_it() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let (report, (id, told)) = tokio::join!(server.call("listen; pause 60000; hangup"), async {
        let id = server.live_call().await;
        let listener = listener(&server, &id).await;
        let (told, ()) = tokio::join!(told(listener), steer(&server, &owner, &id));
        (id, told)
    });
    assert!(report.ended_by_agent, "{report:?}");
    let call = server.last_call().await;
    let said = call["transcript"].as_array().unwrap().iter().find(|turn| turn["said_by"] == "operator").unwrap();
    assert_eq!((&said["role"], &said["content"]), (&json!("assistant"), &json!("Your parcel is here.")));
    assert!(!call["transcript"].to_string().contains("discount"), "{}", call["transcript"]);
    let controls = call["metrics"]["controls"].as_array().unwrap();
    let names: Vec<&str> = controls.iter().map(|one| one["control"].as_str().unwrap()).collect();
    assert_eq!(names, ["say", "instruct", "hold", "resume"], "what was refused or repeated is none");
    assert!(controls[0]["by"].as_str().unwrap().starts_with("api_key:"), "{controls:?}");
    assert_eq!((&controls[1]["text"], &controls[2]["by"]), (&json!("Offer a discount."), &json!("owner@example.com")));
    let heard = told.iter().filter(|one| one["type"] == "call_control").count();
    assert_eq!(heard, 4, "{told:?}");
    let log = owner.done("GET", "/audit-log", None).await;
    let entries: Vec<&str> =
        log["entries"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    for action in ["call.say", "call.instruct", "call.hold", "call.resume", "call.end"] {
        assert!(entries.contains(&action), "{action}: {entries:?}");
    }
    for control in ["say", "instruct"] {
        let path = format!("/calls/{id}/{control}");
        assert_eq!(refused(&server, &path, json!({"text": "Hello?"})).await, code(409, "call_over"));
    }
    for control in ["hold", "resume"] {
        assert_eq!(refused(&server, &format!("/calls/{id}/{control}"), json!({})).await, code(409, "call_over"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_steers_and_only_an_answered_call() {
    let mut server = Server::start().await;
    let make = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", make).await["task"]["id"].as_str().unwrap().to_owned();
    let id = server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
    let _ringing = server.incoming.recv().await.unwrap();
    let path = format!("/calls/{id}/say");
    assert_eq!(refused(&server, &path, json!({"text": "Hello."})).await, code(409, "call_not_answered"));
    let owner = LoggedInUser::owner(&server).await;
    let made = owner.done("POST", "/api-keys", Some(json!({"name": "k", "scopes": ["calls:read"]}))).await;
    let reads = made["api_key"]["key"].as_str().unwrap().to_owned();
    let root = owner.done("GET", "/auth/me", None).await["organization"]["id"].clone();
    let other = owner.done("POST", "/organizations", Some(json!({"name": "Other", "parent_org_id": root}))).await;
    let foreign = other["api_key"]["key"].as_str().unwrap().to_owned();
    let status = async |key: &str, path: &str, body: &Value| {
        server.http.post(server.url(path)).bearer_auth(key).json(body).send().await.unwrap().status().as_u16()
    };
    for (control, body) in [
        ("say", json!({"text": "Hello."})),
        ("instruct", json!({"text": "Be kind."})),
        ("transfer", json!({"to": "+31201234567"})),
        ("hold", json!({})),
        ("resume", json!({})),
    ] {
        let path = format!("/calls/{id}/{control}");
        assert_eq!(status(&reads, &path, &body).await, 403, "{control}");
        assert_eq!(status(&foreign, &path, &body).await, 404, "{control}");
        assert_eq!(status(&foreign, &path, &json!({"text": ""})).await, 404, "whatever the body says");
        let nowhere = format!("/calls/00000000-0000-7000-8000-000000000000/{control}");
        assert_eq!(server.send("POST", &nowhere, Some(body)).await.0, 404, "{control}");
    }
}
