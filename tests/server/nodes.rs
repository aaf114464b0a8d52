//! Two processes on one PostgreSQL server, and a server that goes away in mid-call.

mod clocks;
mod outages;
mod two_processes;

use super::crash::{Installation, Process, install};
use super::postgres::{Postgres, create_database, server as postgres};
use super::support::{NUMBER, agent, delays, free_port, loopback, stays, until};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::mpsc;
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

    /// For so long.
    async fn no_call_fails(&self, duration: Duration) {
        stays("no call has failed", duration, async || self.calls(0, "failed").await.is_empty()).await;
    }

    async fn says_ready(&self, node: usize) -> bool {
        let answer = self.nodes[node].http.get(format!("{}/health/ready", self.nodes[node].api)).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    async fn is_ready(&self, node: usize, wanted: bool) {
        until("a process is ready, or not", async || (self.says_ready(node).await == wanted).then_some(())).await;
    }
}

const LONG_CALL: &str = "listen; say hello; listen; pause 14000; say goodbye; listen";
