//! Two processes on one PostgreSQL server, and a server that goes away in mid-call.

use super::crash::{Installation, Process, install, terminate};
use super::postgres::{Postgres, create_database, server as postgres};
use super::support::{NUMBER, Server, agent, delays, free_port, lines, loopback, until};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline::domain::time::UnixMs;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, Softphone};
use trunkline_lab::emulator;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

struct NodePair {
    nodes: [Installation; 2],
    processes: Vec<Process>,
    phone: Softphone,
    incoming: mpsc::Receiver<IncomingCall>,
    sip: u16,
    agent: Value,
    _folder: tempfile::TempDir,
    _emulator: emulator::EmulatorHandle,
    _postgres: Option<Postgres>,
}

/// Two processes, one organization with an agent, a number and a trunk to the phone.
async fn pair() -> NodePair {
    let (server, own) = postgres().await;
    let database = create_database(&server).await;
    let settings =
        emulator::EmulatorSettings { delays: delays(), espeak: Some("espeak-ng".into()), ..Default::default() };
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
    let second = Installation {
        settings,
        api: format!("http://127.0.0.1:{api}/api/v1"),
        key,
        password: first.password.clone(),
        http: first.http.clone(),
    };
    let processes = vec![first.serve().await, second.serve().await];
    let callee = phone.sip.local_udp();
    let trunk = json!({"name": "L", "allowed_addresses": ["127.0.0.1"], "host": "127.0.0.1", "port": callee.port()});
    let trunk = first.call("POST", "/trunks", Some(trunk)).await["trunk"]["id"].clone();
    let made = first.call("POST", "/agents", Some(agent())).await["agent"]["id"].clone();
    let number = json!({"number": NUMBER, "agent_id": made, "trunk_id": trunk});
    first.call("POST", "/phone-numbers", Some(number)).await;
    NodePair {
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
    let dial = DialParams {
        to: Uri::sip(Some(NUMBER), "127.0.0.1", Some(pair.sip)),
        from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(pair.phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    let script = CallScript::parse("listen; say hello; listen; pause 60000; hangup").unwrap();
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

/// The way of one process to the database, which can be cut.
struct DatabaseLink {
    port: u16,
    cut: std::sync::Arc<tokio::sync::watch::Sender<bool>>,
}

impl DatabaseLink {
    async fn to(server: &str) -> Self {
        let target = server.rsplit('@').next().unwrap().to_owned();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut = std::sync::Arc::new(tokio::sync::watch::Sender::new(false));
        let watch = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut cut) = (target.clone(), watch.subscribe());
                tokio::spawn(async move {
                    // Connections that are opened while it is cut are closed at once.
                    if *cut.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = tokio::net::TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, cut }
    }

    fn set_cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

/// Processes of one installation, each with a separate database proxy and phone line.
struct Cluster {
    nodes: Vec<Installation>,
    processes: Vec<std::sync::Mutex<Option<Process>>>,
    cables: Vec<DatabaseLink>,
    sip: Vec<u16>,
    phone: Softphone,
    incoming: mpsc::Receiver<IncomingCall>,
    agent: Value,
    _folder: tempfile::TempDir,
    _emulator: emulator::EmulatorHandle,
    _postgres: Option<Postgres>,
}

const DEAD_AFTER: Duration = Duration::from_millis(2_000);

/// `change` may add to the environment of each.
async fn cluster(count: usize, change: impl Fn(usize, &mut Vec<(String, String)>)) -> Cluster {
    let (server, own) = postgres().await;
    let database = create_database(&server).await;
    let name = database.rsplit('/').next().unwrap().to_owned();
    let settings =
        emulator::EmulatorSettings { delays: delays(), espeak: Some("espeak-ng".into()), ..Default::default() };
    let emulator = emulator::start(loopback(0), settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (phone, incoming) = Softphone::open(loopback(0), (40_000, 49_999)).await.unwrap();
    let first = install(folder.path(), &emulator.base_url(), &database, free_port(), free_port());
    let (mut nodes, mut processes, mut cables, mut sip) = (vec![], vec![], vec![], vec![]);
    for number in 0..count {
        let (cable, api, port) = (DatabaseLink::to(&server).await, free_port(), free_port());
        let mut settings = first.settings.clone();
        let own = [
            ("API__LISTEN", format!("127.0.0.1:{api}")),
            ("SIP__LISTEN", format!("127.0.0.1:{port}")),
            ("NODE__NAME", format!("node {number}")),
            ("NODE__BEAT_MS", "250".to_owned()),
            ("NODE__DEAD_AFTER_MS", DEAD_AFTER.as_millis().to_string()),
            ("DATABASE__URL", format!("postgres://postgres@127.0.0.1:{}/{name}", cable.port)),
        ];
        settings.retain(|(name, _)| !own.iter().any(|(own, _)| name == &format!("TRUNKLINE_{own}")));
        settings.extend(own.map(|(name, value)| (format!("TRUNKLINE_{name}"), value)));
        change(number, &mut settings);
        let api = format!("http://127.0.0.1:{api}/api/v1");
        let (key, password) = (first.key.clone(), first.password.clone());
        let node = Installation { settings, api, key, password, http: first.http.clone() };
        processes.push(std::sync::Mutex::new(Some(node.serve().await)));
        nodes.push(node);
        cables.push(cable);
        sip.push(port);
    }
    let callee = phone.sip.local_udp();
    let trunk = json!({"name": "L", "allowed_addresses": ["127.0.0.1"], "host": "127.0.0.1", "port": callee.port()});
    let trunk = nodes[0].call("POST", "/trunks", Some(trunk)).await["trunk"]["id"].clone();
    let agent = nodes[0].call("POST", "/agents", Some(agent())).await["agent"]["id"].clone();
    let number = json!({"number": NUMBER, "agent_id": agent, "trunk_id": trunk});
    nodes[0].call("POST", "/phone-numbers", Some(number)).await;
    Cluster {
        nodes,
        processes,
        cables,
        sip,
        phone,
        incoming,
        agent,
        _folder: folder,
        _emulator: emulator,
        _postgres: own,
    }
}

impl Cluster {
    async fn dial(&self, node: usize, script: &str) -> trunkline_lab::caller::report::CallReport {
        let dial = DialParams {
            to: Uri::sip(Some(NUMBER), "127.0.0.1", Some(self.sip[node])),
            from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(self.phone.sip.local_udp().port())),
            transport: Transport::Udp,
            credentials: None,
            codecs: vec!["PCMU".into()],
        };
        self.phone.dial(&dial, &CallScript::parse(script).unwrap(), None).await
    }

    /// Calls in this state, as a process sees them.
    async fn calls(&self, node: usize, status: &str) -> Vec<Value> {
        let calls = self.nodes[node].call("GET", &format!("/calls?status={status}&limit=100"), None).await;
        calls["calls"].as_array().cloned().unwrap_or_default()
    }

    async fn until_calls(&self, node: usize, status: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} calls {status}"), || async {
            let calls = self.calls(node, status).await;
            (calls.len() == count).then_some(calls)
        })
        .await
    }

    async fn is_ready(&self, node: usize, wanted: bool) {
        until("a process is ready, or not", || async {
            let answer = self.nodes[node].http.get(format!("{}/health/ready", self.nodes[node].api)).send().await;
            let status = answer.ok()?.status().as_u16();
            ((status == 200) == wanted).then_some(())
        })
        .await;
    }
}

const LONG_CALL: &str = "listen; say hello; listen; pause 14000; say goodbye; listen";

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
        tokio::time::sleep(DEAD_AFTER).await; // everybody may judge
        cluster.cables.iter().for_each(|cable| cable.set_cut(true));
        for node in 0..3 {
            cluster.is_ready(node, false).await;
        }
        tokio::time::sleep(DEAD_AFTER * 2).await;
        // They come back one after the other, within the time that each is given.
        for cable in &cluster.cables {
            cable.set_cut(false);
            tokio::time::sleep(DEAD_AFTER / 4).await;
        }
        for node in 0..3 {
            cluster.is_ready(node, true).await;
        }
        tokio::time::sleep(DEAD_AFTER * 2).await; // time enough for any process to declare others dead
        let failed = cluster.calls(0, "failed").await;
        assert!(failed.is_empty(), "{failed:?}");
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
    let deadline = std::time::Instant::now() + Duration::from_secs(15);
    let status = loop {
        if let Some(status) = leaving.0.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "it does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_taken_for_dead_ends_its_calls_and_joins_again() {
    let cluster = cluster(2, |_, _| {}).await;
    let partition = async {
        cluster.until_calls(0, "in_progress", 2).await;
        tokio::time::sleep(DEAD_AFTER).await;
        cluster.cables[1].set_cut(true);
        let failed = cluster.until_calls(0, "failed", 1).await;
        assert_eq!(failed[0]["end_reason"], json!("server_crash"));
        cluster.cables[1].set_cut(false);
        cluster.is_ready(1, true).await;
        tokio::time::sleep(DEAD_AFTER * 2).await;
        // It has declared no process dead, and overwritten nothing.
        assert_eq!((cluster.calls(0, "in_progress").await.len(), cluster.calls(0, "failed").await.len()), (1, 1));
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

/// A library that shifts the wall clock of its process by some seconds.
fn wrong_clock(folder: &std::path::Path) -> String {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let text = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <stdlib.h>\n#include <time.h>\n\
        int clock_gettime(clockid_t id, struct timespec *at) {\n\
        static int (*real)(clockid_t, struct timespec *);\n\
        if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, \"clock_gettime\");\n\
        int result = real(id, at);\n\
        const char *wrong = getenv(\"WRONG_BY_S\");\n\
        if (wrong && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += atoi(wrong);\n\
        return result; }\n";
    std::fs::write(&source, text).unwrap();
    let made =
        std::process::Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).output();
    let made = made.unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    library.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_clocks_declare_no_node_dead_and_repeat_no_call() {
    let folder = tempfile::tempdir().unwrap();
    let library = wrong_clock(folder.path());
    let mut cluster = cluster(3, |node, settings| {
        // Ten minutes ahead, right, and ten minutes behind.
        let wrong_by = 600 * (1 - node as i64);
        settings.extend([("LD_PRELOAD".to_owned(), library.clone()), ("WRONG_BY_S".to_owned(), wrong_by.to_string())]);
    })
    .await;
    let clocks: Vec<i64> = futures_util::future::join_all(cluster.nodes.iter().map(|node| async {
        let health: Value = node.http.get(format!("{}/health", node.api)).send().await.unwrap().json().await.unwrap();
        health["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()
    }))
    .await;
    assert!(clocks[0] > clocks[1] + 500 && clocks[1] > clocks[2] + 500, "{clocks:?}");
    let mut incoming = std::mem::replace(&mut cluster.incoming, mpsc::channel(1).1);
    let work = async {
        cluster.until_calls(1, "in_progress", 3).await;
        for number in 0..12 {
            let at = UnixMs(trunkline::store::now().0 + 500).rfc3339();
            let task =
                json!({"agent_id": cluster.agent, "to_number": format!("+155503{number:05}"), "scheduled_at": at});
            cluster.nodes[number % 3].call("POST", "/tasks", Some(task)).await;
        }
        let mut called: HashMap<String, u32> = HashMap::new();
        while let Ok(Some(call)) = tokio::time::timeout(DEAD_AFTER * 2, incoming.recv()).await {
            *called.entry(call.incoming.request_uri.user_plain().unwrap()).or_default() += 1;
            cluster.phone.sip.reject(call.incoming.call, 486, None).await;
        }
        assert!(called.len() == 12 && called.values().all(|times| *times == 1), "{called:?}");
        let failed = cluster.calls(1, "failed").await;
        assert!(failed.iter().all(|call| call["end_reason"] == "busy"), "{failed:?}");
    };
    let (first, second, third, ()) =
        tokio::join!(cluster.dial(0, LONG_CALL), cluster.dial(1, LONG_CALL), cluster.dial(2, LONG_CALL), work);
    for report in [first, second, third] {
        assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    }
    cluster.until_calls(1, "completed", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_other_process_count_and_those_of_a_dead_one_do_not_for_long() {
    let mut pair = pair().await;
    let [first, second] = &pair.nodes;
    let place = async |node: &Installation| {
        let body = json!({"agent_id": pair.agent});
        let request = node.http.post(format!("{}/calls/web", node.api)).bearer_auth(&node.key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["data"]["call_id"].clone())
    };
    set_limit(first, 2).await;
    assert_eq!([place(first).await.0, place(first).await.0, place(first).await.0], [201, 201, 429]);
    // What the first one holds is known to the second within a second or two.
    until("the second is full as well", || async {
        let (status, call) = place(second).await;
        if status == 201 {
            second.call("POST", &format!("/calls/{}/cancel", call.as_str().unwrap()), None).await;
        }
        (status == 429).then_some(())
    })
    .await;
    drop(pair.processes.remove(0)); // SIGKILL
    until("the dead one's lines are free", || async { (place(second).await.0 == 201).then_some(()) }).await;
}

/// As the owner does it.
async fn set_limit(node: &Installation, max: u32) {
    let login = json!({"email": "t@example.com", "password": node.password});
    let answer = node.http.post(format!("{}/auth/login", node.api)).json(&login).send().await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let me = node.http.get(format!("{}/auth/me", node.api)).header("cookie", &cookie).send().await.unwrap();
    let id = me.json::<Value>().await.unwrap()["data"]["organization"]["id"].as_str().unwrap().to_owned();
    let request = node.http.patch(format!("{}/organizations/{id}", node.api)).header("cookie", &cookie);
    let status = request.json(&json!({"max_concurrent_calls": max})).send().await.unwrap().status();
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphaned_call_is_ended() {
    use trunkline::domain::call::{Call, CallStatus, Direction};
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
        (call.node, call.status) = (Some(node.to_owned()), CallStatus::InProgress);
        (call.answered_at, call.from_number) = (Some(trunkline::store::now()), "1".into());
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
