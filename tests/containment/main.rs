//! Panics on purpose, in a whole server with real sockets: each ends what it happened in, is counted, and nothing else
//! notices. They come from a subscriber of the log that panics at a given message: the server is the one that ships.
#![expect(clippy::disallowed_methods, reason = "tests of real sockets run in real time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../server/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "most of it is for other tests")]
mod support;

mod postgres {
    pub async fn create_database(_server: &str) -> String {
        unreachable!("these tests run on a file")
    }
}

use serde_json::{Value, json};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use support::{CustomerServer, LoggedInUser, Server, at_once, poll, until};
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use trunkline_signaling::sip::user_agent::{CallId as SipCall, Transport};

/// Messages at which the log panics, and how often.
static ARMED: Mutex<Vec<(&str, u32)>> = Mutex::new(Vec::new());
/// One test at a time: they share the log and the count of panics.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct PanickingValue;

struct PanicMessage(String);

impl Visit for PanicMessage {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for PanickingValue {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let mut message = PanicMessage(String::new());
        event.record(&mut message);
        let hit = {
            let mut armed = ARMED.lock().unwrap();
            let found = armed.iter_mut().find(|(text, left)| *left > 0 && *text == message.0);
            found.map(|(_, left)| *left -= 1).is_some()
        };
        assert!(!hit, "on purpose");
    }
}

/// The next messages of this text panic.
fn arm(message: &'static str, times: u32) {
    static SUBSCRIBER: OnceLock<()> = OnceLock::new();
    SUBSCRIBER.get_or_init(|| {
        let ours = Targets::new().with_target("trunkline", tracing::Level::TRACE);
        tracing_subscriber::registry().with(PanickingValue.with_filter(ours)).init();
    });
    *ARMED.lock().unwrap() = vec![(message, times)];
}

fn counted(part: &str) -> u64 {
    trunkline_supervision::panics().into_iter().find(|(known, _)| *known == part).map_or(0, |(_, count)| count)
}

/// A server whose panics are meant.
async fn server() -> (tokio::sync::MutexGuard<'static, ()>, Server) {
    let turn = ONE_AT_A_TIME.lock().await;
    support::PANICS_ARE_MEANT.store(true, std::sync::atomic::Ordering::Relaxed);
    (turn, Server::start().await)
}

async fn in_progress(server: &Server, count: usize) -> Vec<String> {
    until("calls in progress", || async {
        let calls = server.get("/calls?status=in_progress").await;
        let ids: Vec<String> =
            calls["calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap().to_owned()).collect();
        (ids.len() == count).then_some(ids)
    })
    .await
}

async fn over(server: &Server, id: &str) -> Value {
    until("the call's end", || async {
        let call = server.get(&format!("/calls/{id}")).await["call"].clone();
        matches!(call["status"].as_str(), Some("completed" | "failed")).then_some(call)
    })
    .await
}

/// Nothing of any call is left: not in the registry, not at the endpoint, no port.
async fn nothing_left(server: &Server) {
    let all = trunkline_media::io::ports::PortPool::new("127.0.0.1".parse().unwrap(), 20_000, 39_999).available();
    until("nothing is left", || async {
        let services = &server.app.services;
        let snapshot = services.sip.snapshot().await.unwrap();
        (services.live_calls.registry.count() == 0 && snapshot.calls == 0 && services.media.ports.available() == all)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_panics_ends_once_with_its_events_and_its_report_and_no_other_notices() {
    let (_turn, server) = server().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let hook = json!({"webhook_url": receiver.url, "webhook_events": ["status-update", "end-of-call-report"]});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(hook)).await;
    let before = counted("call");
    let first = server.call("listen; say hello; listen; pause 8000; say goodbye; listen");
    let second = server.call("listen; say hello; listen; pause 8000; say goodbye; listen");
    let poison = async {
        let ids = in_progress(&server, 2).await;
        for id in &ids {
            until("both have talked", || async {
                let call = server.get(&format!("/calls/{id}")).await["call"].clone();
                (call["transcript"].as_array().map_or(0, Vec::len) >= 3).then_some(())
            })
            .await;
        }
        arm("call wakes", 1); // a timer of either
        until("one has ended", || async {
            let calls = server.get("/calls?status=failed").await;
            (calls["total"] == json!(1)).then_some(())
        })
        .await;
        ids
    };
    let (first, second, ids) = tokio::join!(first, second, poison);
    assert!(
        first.ended_by_agent && second.ended_by_agent,
        "the line of the broken one is hung up: {first:?} {second:?}"
    );
    assert_eq!(counted("call"), before + 1);
    let mut ends = Vec::new();
    for id in &ids {
        let call = over(&server, id).await;
        ends.push((call["status"].clone(), call["end_reason"].clone(), id.clone()));
        // The file's last block is written after the row.
        until("the recording", || async {
            let call = server.get(&format!("/calls/{id}")).await["call"].clone();
            (call["recording_available"] == json!(true)).then_some(())
        })
        .await;
        assert!(!call["transcript"].as_array().unwrap().is_empty(), "{call}");
    }
    ends.sort_by_key(|(status, ..)| status.to_string());
    assert_eq!((&ends[0].0, &ends[0].1), (&json!("completed"), &json!("agent_hung_up")));
    assert_eq!((&ends[1].0, &ends[1].1), (&json!("failed"), &json!("server_crash")));
    nothing_left(&server).await;
    let broken = ends[1].2.as_str();
    let of = |path: &str| -> Vec<Value> {
        receiver.told(path).into_iter().map(|told| told.body).filter(|body| body["call"]["id"] == broken).collect()
    };
    until("the report", || async { (!of("/end-of-call-report").is_empty()).then_some(()) }).await;
    let statuses: Vec<Value> = of("/status-update").iter().map(|body| body["status"].clone()).collect();
    assert_eq!(statuses, [json!("in-progress"), json!("ended-with-error")]);
    let reports = of("/end-of-call-report");
    assert_eq!((reports.len(), &reports[0]["end_reason"]), (1, &json!("server_crash")));
    let metrics = server.http.get(format!("http://{}/metrics", server.app.api_addr)).send().await.unwrap();
    assert_eq!(metrics.status(), 200);
    // Life goes on.
    let report = server.call("listen; say goodbye; listen").await;
    assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_panics_before_its_row_is_refused_and_leaves_nothing() {
    let (_turn, server) = server().await;
    // A webhook that does not help: the log says so before there is a row.
    let receiver = CustomerServer::start(|_| (500, String::new(), Duration::ZERO)).await;
    let hook = json!({"webhook_url": receiver.url, "webhook_events": ["assistant-request"]});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(hook)).await;
    arm("parts of the assistant configuration were ignored", 1);
    let refused = server.call("hangup").await;
    assert!(refused.failure.as_deref().is_some_and(|why| why.contains("status: 500")), "{refused:?}");
    nothing_left(&server).await;
    assert_eq!(server.get("/calls").await["total"], json!(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_a_task_that_panics_fails_and_so_does_its_task() {
    let (_turn, mut server) = server().await;
    let task = json!({"agent_id": server.agent, "to_number": "+15550123"});
    let task = server.post("/tasks", task).await["task"]["id"].as_str().unwrap().to_owned();
    arm("call answered", 1);
    let made = server.post(&format!("/tasks/{task}/execute"), json!({})).await;
    let id = made["call_id"].as_str().unwrap().to_owned();
    let rings = server.incoming.recv().await.unwrap();
    let script = trunkline_lab::caller::script::CallScript::parse("listen").unwrap();
    let report = server.phone.answer(rings, &script, None).await;
    assert!(report.ended_by_agent, "{report:?}");
    let call = over(&server, &id).await;
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("server_crash")));
    let task = server.get(&format!("/tasks/{task}")).await["task"].clone();
    assert_eq!(task["status"], json!("failed"));
    nothing_left(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_panics_is_made_without_the_analysis() {
    let (_turn, server) = server().await;
    let receiver = CustomerServer::start(|_| at_once(&json!({}))).await;
    let hook = json!({"webhook_url": receiver.url, "webhook_events": ["end-of-call-report"]});
    server.send("PATCH", &format!("/agents/{}", server.agent), Some(hook)).await;
    let before = counted("wrap_up");
    let call = server.call("listen; say where_is_my_order; listen; say hello; listen; pause 4000; hangup");
    let fail = async {
        let id = in_progress(&server, 1).await.remove(0);
        until("all was said", || async {
            let call = server.get(&format!("/calls/{id}")).await["call"].clone();
            (call["transcript"].as_array().unwrap().len() >= 5).then_some(())
        })
        .await;
        // The model is gone when the report is made.
        server.emulator.faults.set("llm", Some(trunkline_lab::emulator::InjectedFault::Refuse), u32::MAX);
        arm("the analysis of the call failed", 1);
    };
    let (report, ()) = tokio::join!(call, fail);
    assert!(report.failure.is_none(), "{report:?}");
    until("the report", || async { (!receiver.told("/end-of-call-report").is_empty()).then_some(()) }).await;
    let reports = receiver.told("/end-of-call-report");
    let analysis = &reports[0].body["analysis"];
    assert_eq!((reports.len(), analysis), (1, &json!({"analysed": false, "error": "internal"})));
    assert_eq!(counted("wrap_up"), before + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_panics_is_answered_and_the_next_one_too() {
    let (_turn, server) = server().await;
    let owner = LoggedInUser::owner(&server).await;
    let before = counted("api_request");
    // A table is missing: the store fails, and the log of that panics.
    let url = format!("sqlite://{}/test.db", server.folder.path().display());
    use sqlx::{Connection as _, Executor as _};
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    database.execute("ALTER TABLE audit_log RENAME TO elsewhere").await.unwrap();
    arm("store error", 1);
    let (status, body) = owner.send("GET", "/audit-log", None).await;
    assert_eq!((status, &body["details"]["code"]), (500, &json!("internal")), "{body}");
    assert!(body["meta"]["request_id"].is_string(), "{body}");
    assert_eq!(counted("api_request"), before + 1);
    assert_eq!(server.send("GET", "/calls", None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panicking_message_does_not_harm_the_user_agent() {
    let (_turn, server) = server().await;
    let before = counted("sip_message");
    let call = server.call("listen; say hello; listen; say goodbye; listen");
    let poison = async {
        in_progress(&server, 1).await;
        arm("command does not fit the state of its call", 3);
        for _ in 0..3 {
            server.app.services.sip.hang_up(SipCall(u64::MAX)).await;
        }
        assert_eq!(server.app.services.sip.self_check().await, Some(200));
        assert_eq!(counted("sip_message"), before + 3);
    };
    let (report, ()) = tokio::join!(call, poison);
    assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    let _ = server.dial_to("1", Transport::Udp);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_panics_is_started_again() {
    let (_turn, mut server) = server().await;
    let before = counted("scheduler");
    arm("scheduled call started", 2);
    for number in 0..3 {
        let now = trunkline::store::now().rfc3339();
        let task = json!({"agent_id": server.agent, "to_number": format!("+1555012{number}"), "scheduled_at": now});
        server.post("/tasks", task).await;
    }
    for _ in 0..3 {
        let rings = tokio::time::timeout(Duration::from_secs(20), server.incoming.recv()).await.unwrap().unwrap();
        server.phone.sip.reject(rings.incoming.call, 486, None).await;
    }
    assert_eq!(counted("scheduler"), before + 2);
    assert_eq!(server.app.services.supervisor.given_up(), None);
}

/// Runs as a separate process, where the variable is set: a server whose scheduler panics at every turn.
#[test]
fn as_a_process() {
    let Ok(config) = std::env::var("CONTAINMENT_CONFIG") else { return };
    arm("cannot read due tasks", u32::MAX);
    use clap::Parser as _;
    let cli = trunkline_cli::Cli::parse_from(["trunkline", "--config", &config, "serve"]);
    std::process::exit(trunkline_cli::run_to_code(cli).into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_given_up_ends_the_process_with_its_code() {
    use sqlx::{Connection as _, Executor as _};
    let _turn = ONE_AT_A_TIME.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", folder.path().display());
    let store = trunkline::app::open_store(&url).await.unwrap();
    store.close().await;
    let mut database = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let config = folder.path().join("config.toml");
    let api = support::free_port();
    let text = format!(
        "[api]\nlisten = \"127.0.0.1:{api}\"\n[database]\nurl = \"{url}\"\n[sip]\nlisten = \"127.0.0.1:0\"\n\
         [webrtc]\nlisten = \"127.0.0.1:0\"\n[recordings]\nfolder = \"{}\"\n",
        folder.path().join("recordings").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_a_process", "--nocapture", "--test-threads", "1"])
        .env("CONTAINMENT_CONFIG", &config)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let http = reqwest::Client::new();
    let live = async |path: &str| -> Option<(u16, Value)> {
        let answer = http.get(format!("http://127.0.0.1:{api}{path}")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    };
    until("it lives", || async { live("/health/live").await.filter(|(status, _)| *status == 200) }).await;
    database.execute("ALTER TABLE tasks RENAME COLUMN due_at TO elsewhere").await.unwrap();
    // Nine panics with longer and longer pauses between them take some twenty seconds.
    let ends = async || process.try_wait().unwrap().ok_or_else(String::new);
    let status = poll(Duration::from_secs(120), "the end of the process", ends).await;
    assert_eq!(status.code(), Some(i32::from(trunkline_cli::EXIT_PART_FAILED)));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut process.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains("scheduler was given up"), "{said}");
}
