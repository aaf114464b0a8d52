//! Live transcripts over the WebSocket, as a customer's client sees them.

use super::support::Server;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use trunkline_lab::caller::script::CallScript;

struct Client(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>);

impl Client {
    async fn connect(url: &str) -> Self {
        Self(connect_async(url).await.unwrap().0)
    }

    /// The next message, or the close code.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(40), self.0.next()).await.expect("nothing came");
            match message {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything until the close code.
    async fn rest(&mut self) -> (Vec<Value>, u16) {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                Ok(message) => all.push(message),
                Err(code) => return (all, code),
            }
        }
    }
}

/// The transcript a client has put together: final turns by their position.
fn together(messages: &[Value]) -> Vec<String> {
    let mut turns = std::collections::BTreeMap::new();
    for message in messages.iter().filter(|message| message["type"] == "transcript_update") {
        for turn in message["data"]["transcript"].as_array().unwrap() {
            if turn["is_final"] == json!(true) {
                let text = format!("{}: {}", turn["role"].as_str().unwrap(), turn["content"].as_str().unwrap());
                turns.insert(turn["position"].as_u64().unwrap(), text);
            }
        }
    }
    turns.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_hears_of_the_answer_and_of_the_end() {
    let mut server = Server::start().await;
    let make = json!({"agent_id": server.agent, "to_number": "+15550199"});
    let task = server.post("/tasks", make).await["task"]["id"].as_str().unwrap().to_owned();
    let id = server.post(&format!("/tasks/{task}/execute"), json!({})).await["call_id"].as_str().unwrap().to_owned();
    let ringing = server.incoming.recv().await.unwrap();
    let mut listener =
        Client::connect(&format!("ws://{}/ws/calls/{id}?api_key={}", server.app.api_addr, server.key)).await;
    assert_eq!(listener.next().await.unwrap()["type"], json!("connected"));
    let script = CallScript::parse("listen; hangup").unwrap();
    let (report, (messages, code)) = tokio::join!(server.phone.answer(ringing, &script, None), listener.rest());
    assert_eq!((report.failure, code), (None, 1000));
    let updates = messages.iter().filter(|message| message["type"] == "call_status_update");
    let statuses: Vec<&Value> = updates.map(|message| &message["data"]["status"]).collect();
    assert_eq!(statuses, ["in_progress", "completed"], "{messages:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_get_every_turn_however_they_connect() {
    let server = Server::start().await;
    let host = server.app.api_addr;
    let call = server.call("listen; say hello; listen; say goodbye; listen");
    let listen = async {
        let id = server.live_call().await;
        let info = server.get(&format!("/calls/{id}/live")).await;
        let url = format!("ws://{host}/ws/calls/{id}");
        assert_eq!((info["websocket_url"].as_str(), info["call_id"].as_str()), (Some(url.as_str()), Some(id.as_str())));
        assert_eq!(info["connection_info"]["example"], json!(format!("{url}?api_key=YOUR_API_KEY")));
        let token = info["temp_token"].as_str().unwrap().to_owned();
        let mut first = Client::connect(&format!("{url}?api_key={}", server.key)).await;
        assert_eq!(first.next().await.unwrap()["type"], json!("connected"));
        first.0.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
        let mut seen = Vec::new();
        // The second listener comes when the caller has been understood, and misses nothing.
        while !together(&seen).iter().any(|line| line.starts_with("user:")) {
            seen.push(first.next().await.unwrap());
        }
        let mut second = Client::connect(&format!("{url}?session_token={token}")).await;
        let ((mut rest, code), (late, late_code)) = tokio::join!(first.rest(), second.rest());
        seen.append(&mut rest);
        (id, seen, code, late, late_code)
    };
    let (report, (id, seen, code, late, late_code)) = tokio::join!(call, listen);
    assert!(report.failure.is_none(), "{report:?}");
    let stored: Vec<String> = super::support::lines(&server.last_call().await);
    assert_eq!(together(&seen), stored);
    assert_eq!(together(&late), stored);
    assert_eq!((code, late_code), (1000, 1000));
    assert!(seen.iter().any(|message| message["type"] == "pong"));
    let interim = |message: &&Value| message["data"]["transcript"][0]["is_final"] == json!(false);
    let interim = seen.iter().find(interim).expect("no interim turn came");
    assert_eq!(interim["data"]["transcript"][0]["role"], json!("user"));
    let last = seen.iter().rfind(|message| message["type"] == "call_status_update").unwrap();
    assert_eq!(last["data"], json!({"call_id": id, "status": "completed", "end_reason": "agent_hung_up"}), "{seen:?}");
    // Who comes after the end gets all of it and the end.
    let mut after = Client::connect(&format!("ws://{host}/ws/calls/{id}?api_key={}", server.key)).await;
    let (messages, code) = after.rest().await;
    assert_eq!((together(&messages), code), (stored, 1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_turned_away_by_close_code() {
    let server = Server::start().await;
    let other = Server::start().await;
    let report = server.call("listen; hangup").await;
    assert!(report.failure.is_none(), "{report:?}");
    let id = server.last_call().await["id"].as_str().unwrap().to_owned();
    let token = server.get(&format!("/calls/{id}/live")).await["temp_token"].as_str().unwrap().to_owned();
    let none = "01a1fe5c-0000-7000-8000-000000000000";
    for (call, query, wanted) in [
        (id.as_str(), String::new(), 4401),
        (&id, "?api_key=va_wrong".into(), 4401),
        (&id, "?session_token=AAAA".into(), 4401),
        (none, format!("?session_token={token}"), 4401), // bound to its call
        (none, format!("?api_key={}", server.key), 4404),
        ("nonsense", format!("?api_key={}", server.key), 4404),
        (&id, format!("?api_key={}", server.key), 1000),
        (&id, format!("?session_token={token}"), 1000),
    ] {
        let url = format!("ws://{}/ws/calls/{call}{query}", server.app.api_addr);
        let (messages, code) = Client::connect(&url).await.rest().await;
        assert_eq!(code, wanted, "{query}: {messages:?}");
        let first = if wanted == 1000 { "connected" } else { "error" };
        assert_eq!(messages[0]["type"], json!(first), "{query}");
    }
    // Another server signs with another secret; its tenants are strangers here.
    let theirs = format!("ws://{}/ws/calls/{id}?session_token={token}", other.app.api_addr);
    assert_eq!(Client::connect(&theirs).await.rest().await.1, 4401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_listener_is_dropped_and_the_call_does_not_wait() {
    use trunkline::call::live_update::LiveUpdate;
    use trunkline::domain::call::{Call, Direction};
    let server = Server::start().await;
    let services = server.app.services.clone();
    let scope = services.store.authenticate(&server.key).await.unwrap().unwrap().scope;
    let id = trunkline::domain::ids::CallId::new();
    let permit = services.admission.admit(scope, None).await.unwrap();
    let slot = services.live_calls.registry.register(scope, id, None, permit);
    let mut call = Call::begun(id, scope.organization(), Direction::Inbound, trunkline::store::now());
    call.node = Some(services.recovery.node.name.clone());
    services.journal.record_call(call, None).await;
    services.journal.flush(Duration::from_secs(5)).await;
    let url = format!("ws://{}/ws/calls/{id}?api_key={}", server.app.api_addr, server.key);
    let mut slow = Client::connect(&url).await;
    assert_eq!(slow.next().await.unwrap()["type"], json!("connected"));
    // More at once than any listener keeps up with; sending waits for no listener.
    let text = "word ".repeat(200);
    let began = Instant::now();
    for _ in 0..20_000 {
        slot.live.send(LiveUpdate::Interim { text: text.clone() });
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let (messages, code) = slow.rest().await;
    assert_eq!((messages.last().unwrap()["type"].clone(), code), (json!("error"), 1008));
    assert!(messages.last().unwrap()["error"].as_str().unwrap().contains("too slow"));
    // A client that connects again continues to listen.
    let mut again = Client::connect(&url).await;
    assert_eq!(again.next().await.unwrap()["type"], json!("connected"));
    slot.live.send(LiveUpdate::Interim { text: "still there".into() });
    assert_eq!(again.next().await.unwrap()["data"]["transcript"][0]["content"], json!("still there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_without_words_leave_no_hole_and_late_listeners_get_the_same_positions() {
    let server = Server::start().await;
    let realtime = json!({"llm_config": {"provider": "xai_realtime", "model": "grok-voice-latest"}, "stt_config": null,
        "tts_config": null, "turn_config": {"endpointing_ms": 300}});
    let (status, answer) = server.send("PATCH", &format!("/agents/{}", server.agent), Some(realtime)).await;
    assert_eq!(status, 200, "{answer}");
    server.emulator.utterances.set(["".to_owned(), "where is my order".to_owned(), "".to_owned()]);
    let call = server
        .call("listen; beep 1000 800; listen; say where_is_my_order; listen; beep 700 800; listen; pause 800; hangup");
    let listen = async {
        let id = server.live_call().await;
        let url = format!("ws://{}/ws/calls/{id}?api_key={}", server.app.api_addr, server.key);
        let early = Client::connect(&url).await;
        // A new listener connects after each update.
        let mut watch = Client::connect(&url).await;
        let mut late = Vec::new();
        while let Ok(message) = watch.next().await {
            if message["type"] == "transcript_update" && late.len() < 12 {
                let mut one = Client::connect(&url).await;
                late.push(tokio::spawn(async move { one.rest().await.0 }));
            }
        }
        let mut early = early;
        let early = early.rest().await.0;
        let late = futures_util::future::join_all(late).await;
        (id, early, late.into_iter().map(Result::unwrap).collect::<Vec<_>>())
    };
    let (report, (id, early, late)) = tokio::join!(call, listen);
    assert!(report.failure.is_none(), "{report:?}");
    let positions = |messages: &[Value]| -> std::collections::BTreeSet<u64> {
        let updates = messages.iter().filter(|message| message["type"] == "transcript_update");
        let turns = updates.flat_map(|message| message["data"]["transcript"].as_array().unwrap());
        turns.filter_map(|turn| turn["position"].as_u64()).collect()
    };
    let known = positions(&early);
    assert!(known.len() >= 4 && known.iter().copied().eq(0..known.len() as u64), "{known:?} {early:?}");
    assert!(late.len() > 4, "{}", late.len());
    let stored = server.get(&format!("/calls/{id}")).await["call"].clone();
    let stored = super::support::lines(&stored);
    assert!(stored.contains(&"user: where is my order".to_owned()), "{stored:?}");
    assert_eq!(together(&early), stored);
    for one in &late {
        assert_eq!((positions(one), together(one)), (known.clone(), stored.clone()));
    }
}
