//! Two processes on one PostgreSQL server, and a server that goes away in mid-call.

use super::crash::{Installation, Process, install};
use super::postgres::{Postgres, create_database, server as postgres};
use super::support::{NUMBER, Server, agent, delays, free_port, lines, loopback, until};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline::caller::script::Script;
use trunkline::caller::softphone::{Dial, Softphone};
use trunkline::domain::time::UnixMs;
use trunkline::emulator;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::endpoint::Transport;
use trunkline_signaling::sip::message::Uri;

struct Pair {
    nodes: [Installation; 2],
    processes: Vec<Process>,
    phone: Softphone,
    incoming: mpsc::Receiver<IncomingCall>,
    sip: u16,
    agent: Value,
    _folder: tempfile::TempDir,
    _emulator: emulator::Running,
    _postgres: Option<Postgres>,
}

/// Two processes, one organization with an agent, a number and a trunk to the telephone.
async fn pair() -> Pair {
    let (server, own) = postgres().await;
    let database = create_database(&server).await;
    let settings = emulator::Settings { delays: delays(), espeak: Some("espeak-ng".into()), ..Default::default() };
    let emulator = emulator::start(loopback(0), settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (phone, incoming) = Softphone::open(loopback(0), (40_000, 49_999)).await.unwrap();
    let sip = free_port();
    let first = install(folder.path(), &emulator.base_url(), &database, free_port(), sip);
    let mut settings = first.settings.clone();
    let api = free_port();
    for (name, value) in &mut settings {
        match name.as_str() {
            "TRUNKLINE_API__LISTEN" => *value = format!("127.0.0.1:{api}"),
            "TRUNKLINE_NODE__NAME" => *value = "second".into(),
            "TRUNKLINE_SIP__LISTEN" => *value = format!("127.0.0.1:{}", free_port()),
            _ => {}
        }
    }
    let key = first.key.clone();
    let second =
        Installation { settings, api: format!("http://127.0.0.1:{api}/api/v1"), key, http: first.http.clone() };
    let processes = vec![first.serve().await, second.serve().await];
    let callee = phone.sip.local_udp();
    let trunk = json!({"name": "L", "allowed_addresses": ["127.0.0.1"], "host": "127.0.0.1", "port": callee.port()});
    let trunk = first.call("POST", "/trunks", Some(trunk)).await["trunk"]["id"].clone();
    let made = first.call("POST", "/agents", Some(agent())).await["agent"]["id"].clone();
    let number = json!({"number": NUMBER, "agent_id": made, "trunk_id": trunk});
    first.call("POST", "/phone-numbers", Some(number)).await;
    Pair {
        nodes: [first, second],
        processes,
        phone,
        incoming,
        sip,
        agent: made,
        _folder: folder,
        _emulator: emulator,
        _postgres: own,
    }
}

async fn live_call(node: &Installation) -> String {
    until("a call", || async {
        let calls = node.call("GET", "/calls?status=in_progress", None).await;
        calls["calls"][0]["id"].as_str().map(str::to_owned)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_heard_and_ended_through_the_other_process() {
    let pair = pair().await;
    let dial = Dial {
        to: Uri::sip(Some(NUMBER), "127.0.0.1", Some(pair.sip)),
        from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(pair.phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    let script = Script::parse("listen; say hello; listen; pause 60000; hangup").unwrap();
    let other = &pair.nodes[1];
    let watch = async {
        let id = live_call(other).await;
        let live = other.call("GET", &format!("/calls/{id}/live"), None).await;
        let url = format!(
            "{}?session_token={}",
            live["websocket_url"].as_str().unwrap(),
            live["temp_token"].as_str().unwrap()
        );
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let (mut seen, mut asked, mut ended) = (Vec::new(), false, false);
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.into_text() else { break };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { break };
            if message["type"] == "transcript_update" {
                seen.extend(message["data"]["transcript"].as_array().unwrap().iter().map(|t| t["content"].clone()));
            }
            if message["type"] == "call_status_update" && message["data"]["status"] == "completed" {
                ended = true;
            }
            if !asked && seen.iter().any(|text| text == "Good morning! How can I help you?") {
                asked = true;
                let answer = other.call("POST", &format!("/calls/{id}/end"), None).await;
                assert_eq!(answer["call"]["status"], json!("completed"), "{answer}");
            }
        }
        (seen, ended)
    };
    let (report, (seen, ended)) = tokio::join!(pair.phone.dial(&dial, &script, None), watch);
    assert!(report.ended_by_agent, "{report:?}");
    assert!(ended && seen.iter().any(|text| text == "Hello, good morning."), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_is_called_twice_though_a_process_is_killed_among_its_claims() {
    const TASKS: usize = 40;
    let mut pair = pair().await;
    let due = UnixMs(trunkline::store::now().0 + 3_000);
    for number in 0..TASKS {
        let task =
            json!({"agent_id": pair.agent, "to_number": format!("+1555020{number:04}"), "scheduled_at": due.rfc3339()});
        pair.nodes[0].call("POST", "/tasks", Some(task)).await;
    }
    let mut called: HashMap<String, u32> = HashMap::new();
    let mut killed = false;
    let idle = Duration::from_secs(16); // longer than a lease and the time a silent process is given
    while let Ok(Some(call)) = tokio::time::timeout(idle, pair.incoming.recv()).await {
        *called.entry(call.incoming.request_uri.user_plain().unwrap()).or_default() += 1;
        pair.phone.sip.reject(call.incoming.call, 486, None).await;
        if called.len() == 8 && !killed {
            killed = true;
            pair.processes.remove(0); // SIGKILL
        }
    }
    assert!(killed && called.values().all(|times| *times == 1), "{called:?}");
    let other = &pair.nodes[1];
    let tasks = until("every task is over", || async {
        let tasks = other.call("GET", "/tasks?limit=100", None).await;
        let over = tasks["tasks"].as_array().unwrap().iter().all(|task| task["status"] == "failed");
        over.then_some(tasks)
    })
    .await;
    assert_eq!(tasks["total"], json!(TASKS));
    let calls = other.call("GET", "/calls?limit=100", None).await;
    let calls = calls["calls"].as_array().unwrap();
    assert_eq!(calls.len(), TASKS, "one call each");
    // What the killed process had begun and not sent is failed, and said so.
    let crashed = calls.iter().filter(|call| call["end_reason"] == "server_crash").count();
    let busy = calls.iter().filter(|call| call["end_reason"] == "busy").count();
    assert!(crashed + busy == TASKS && called.len() >= busy, "{crashed} {busy} {}", called.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_while_the_database_is_away() {
    let mut postgres = Postgres::start().await;
    let url = create_database(&postgres.url()).await;
    let server = Server::start_with(|config| config.database.url = url).await;
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
    let written = until("what was said is written", || async {
        let (_, body) = server.send("GET", &format!("/calls/{id}"), None).await;
        let call = body["data"]["call"].clone();
        (call["status"] == "completed").then_some(call)
    })
    .await;
    let all = lines(&written);
    assert!(all.contains(&"user: I would like to know where my order is.".to_owned()), "{all:?}");
    assert!(all.contains(&"assistant: You're welcome. Goodbye!".to_owned()), "{all:?}");
}
