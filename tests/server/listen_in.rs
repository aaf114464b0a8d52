//! Somebody listens to a call: they hear both sides, and the caller hears nothing of them.

use super::support::{LoggedInUser, Server, until};
use serde_json::{Value, json};
use trunkline_lab::caller::script::CallScript;
use trunkline_media::codec::{Codec, Companding};

const CODECS: &[Codec] = &[Codec::G711(Companding::MuLaw)];

/// Listens for a while, as a browser does; seconds of sound, and what failed.
async fn listen(server: &Server, id: &str, script: &str) -> (f64, Option<String>) {
    let exchange = async |offer: String| {
        let (status, answer) = server.send("POST", &format!("/calls/{id}/listen"), Some(json!({"sdp": offer}))).await;
        match answer["data"]["sdp"].as_str() {
            Some(sdp) => Ok(sdp.to_owned()),
            None => Err(format!("{status} {}", answer["details"]["code"])),
        }
    };
    let report = server.phone.dial_web(CODECS, &CallScript::parse(script).unwrap(), exchange).await;
    (report.heard_seconds, report.failure)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_both_sides_and_is_not_heard() {
    let server = Server::start().await;
    let owner = LoggedInUser::owner(&server).await;
    let (report, (id, heard)) =
        tokio::join!(server.call("pause 3000; say where_is_my_order; pause 9000; hangup"), async {
            let id = server.live_call().await;
            // What the listener says goes nowhere: nobody answers it.
            let heard = listen(&server, &id, "pause 8000; say opening_hours; pause 1500").await;
            (id, heard)
        });
    assert_eq!((report.failure, &heard.1), (None, &None));
    let call = server.last_call().await;
    let caller_spoke = call["transcript"].as_array().unwrap().iter().filter(|turn| turn["role"] == "user").count();
    assert_eq!(caller_spoke, 1, "the listener's words are no turn: {}", call["transcript"]);
    // The caller speaks for two seconds, which only a listener hears beside the agent.
    assert!(heard.0 > 3.0, "{} of {}", heard.0, report.heard_seconds);
    let log = owner.done("GET", "/audit-log", None).await;
    let entry = log["entries"].as_array().unwrap().iter().find(|one| one["action"] == "call.listen").cloned();
    assert_eq!(entry.unwrap()["target"], json!(id));
    let over = listen(&server, &id, "pause 100").await.1;
    assert!(over.as_ref().is_some_and(|why| why.contains("call_over")), "{over:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_listen_is_told_why() {
    let server = Server::start().await;
    let path = |id: &str| format!("/calls/{id}/listen");
    let chat = server.post("/calls/chat", json!({"agent_id": server.agent})).await["call_id"].clone();
    let chat = chat.as_str().unwrap();
    until("the chat", async || {
        (server.get(&format!("/calls/{chat}")).await["call"]["status"] == "in_progress").then_some(())
    })
    .await;
    assert!(listen(&server, chat, "pause 100").await.1.unwrap().contains("chat_has_no_sound"));
    let waiting = server.post("/calls/web", json!({"agent_id": server.agent})).await["call_id"].clone();
    let waiting = waiting.as_str().unwrap();
    assert!(listen(&server, waiting, "pause 100").await.1.unwrap().contains("call_not_answered"));
    for sdp in [json!(""), json!("v=0"), json!(1), json!("x".repeat(70_000)), Value::Null] {
        let (status, refusal) = server.send("POST", &path(waiting), Some(json!({"sdp": sdp}))).await;
        assert_eq!((status, &refusal["details"]["field"]), (400, &json!("sdp")), "{refusal}");
    }
    let owner = LoggedInUser::owner(&server).await;
    let made = owner.done("POST", "/api-keys", Some(json!({"name": "k", "scopes": ["calls:read"]}))).await;
    let reads = made["api_key"]["key"].as_str().unwrap().to_owned();
    let sent = server.http.post(server.url(&path(chat))).bearer_auth(reads).json(&json!({"sdp": "v=0"})).send().await;
    assert_eq!(sent.unwrap().status().as_u16(), 403);
    for id in [chat, waiting] {
        server.post(&format!("/calls/{id}/end"), json!({})).await;
    }
    let (_, ()) = tokio::join!(server.call("listen; pause 15000; hangup"), async {
        let id = server.live_call().await;
        let five = futures_util::future::join_all((0..5).map(|_| listen(&server, &id, "pause 2000"))).await;
        let refused = five.iter().filter(|(_, why)| why.as_ref().is_some_and(|why| why.contains("too_many_listeners")));
        assert_eq!(refused.count(), 1, "{five:?}");
        // Those who have gone make room.
        until("room", async || listen(&server, &id, "pause 300").await.1.is_none().then_some(())).await;
        server.post(&format!("/calls/{id}/end"), json!({})).await;
    });
}
