//! Every vendor is down, and comes back, within a call: the caller hears speech in time, goes on talking, and has the
//! vendors' STT, model and voice again at the next turn. Gates between the server and the emulator refuse, close or stall.

use super::support::{PATIENCE, Server, lines, peer_takes, poll, program};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use trunkline::config::Config;
use trunkline::domain::provider::ProviderAccount;
use trunkline_lab::caller::report::CallReport;
use trunkline_local_speech::models::MOONSHINE_TINY_EN;

/// What a gate lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// Nobody listens, and what was open is closed.
    Refused,
    /// Connections are accepted and closed at once.
    Closed,
    /// Connections are accepted, and nothing comes of it; what was open stays open and is silent for good.
    Stalled,
}

/// The way to the emulator, for each stage.
struct Gates(Vec<watch::Sender<Gate>>);

impl Gates {
    fn set(&self, gate: Gate) {
        for one in &self.0 {
            one.send_replace(gate);
        }
    }
}

const VENDORS: [(ProviderAccount, &str); 3] =
    [(ProviderAccount::Deepgram, "stt"), (ProviderAccount::Openai, "llm"), (ProviderAccount::Elevenlabs, "tts")];

/// Puts a gate before the emulator of each vendor whose stage is named.
fn gates(config: &mut Config, stages: &[&str], gate: Gate) -> Gates {
    let mut gates = Vec::new();
    for (account, _) in VENDORS.into_iter().filter(|(_, stage)| stages.contains(stage)) {
        let base = &mut config.providers.account_mut(account).base_url;
        let url = reqwest::Url::parse(base).unwrap();
        let target: SocketAddr = format!("127.0.0.1:{}", url.port().unwrap()).parse().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        *base = base.replace(&target.port().to_string(), &address.port().to_string());
        let (sender, state) = watch::channel(gate);
        tokio::spawn(serve(TcpListener::from_std(listener).unwrap(), address, target, state));
        gates.push(sender);
    }
    Gates(gates)
}

async fn serve(listener: TcpListener, address: SocketAddr, target: SocketAddr, mut state: watch::Receiver<Gate>) {
    let mut listener = Some(listener);
    loop {
        let gate = *state.borrow_and_update();
        if gate == Gate::Refused {
            listener = None;
        } else if listener.is_none() {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket.bind(&address.into()).unwrap();
            socket.listen(64).unwrap();
            socket.set_nonblocking(true).unwrap();
            listener = Some(TcpListener::from_std(socket.into()).unwrap());
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            accepted = accepted => {
                if let Some((stream, _)) = accepted.filter(|_| gate != Gate::Closed) {
                    tokio::spawn(carry(stream, target, state.clone()));
                }
            }
        }
    }
}

/// Carries one connection for as long as its gate is open.
async fn carry(mut ours: TcpStream, target: SocketAddr, mut state: watch::Receiver<Gate>) {
    if *state.borrow_and_update() == Gate::Open {
        let Ok(mut theirs) = TcpStream::connect(target).await else { return };
        let (mut up, mut down) = (vec![0; 16_384], vec![0; 16_384]);
        while *state.borrow_and_update() == Gate::Open {
            let done = tokio::select! {
                _ = state.changed() => continue,
                read = ours.read(&mut up) => match read {
                    Ok(count @ 1..) => theirs.write_all(&up[..count]).await.is_err(),
                    _ => true,
                },
                read = theirs.read(&mut down) => match read {
                    Ok(count @ 1..) => ours.write_all(&down[..count]).await.is_err(),
                    _ => true,
                },
            };
            if done {
                return;
            }
        }
    }
    if *state.borrow() == Gate::Stalled {
        // Silent for good, also when the vendor is back: the other side has forgotten it.
        let _ = state.wait_for(|_| false).await;
    }
}

/// A server with the deadlines of a real one, whose local STT is the fake worker.
async fn server(stages: &[&str], gate: Gate) -> (Server, Gates) {
    let mut made = None;
    let server = Server::start_with(|config| {
        config.providers.timeouts = Config::default().providers.timeouts;
        config.providers.local.speech_worker = program().with_file_name("fake-speech-worker").display().to_string();
        made = Some(gates(config, stages, gate));
    })
    .await;
    let folder = MOONSHINE_TINY_EN.folder(&server.folder.path().join("models"));
    std::fs::create_dir_all(&folder).unwrap();
    for file in MOONSHINE_TINY_EN.all_files() {
        std::fs::File::create(folder.join(file.name)).unwrap().set_len(file.bytes).unwrap();
    }
    (server, made.unwrap())
}

/// Waits until the caller has had so many turns.
async fn turns(server: &Server, count: usize) {
    poll(PATIENCE, "a turn of the caller", async || {
        let calls = server.get("/calls?limit=1").await;
        let Some(id) = calls["calls"][0]["id"].as_str() else { return Err(calls.to_string()) };
        let call = server.get(&format!("/calls/{id}")).await["call"].clone();
        let lines = if call["transcript"].is_array() { lines(&call) } else { Vec::new() };
        let had = lines.iter().filter(|line| line.starts_with("user: ")).count();
        if had >= count { Ok(()) } else { Err(format!("{lines:?}")) }
    })
    .await;
}

/// What the record says of the last turn: who heard, answered and spoke it.
fn last_turn(call: &Value) -> (String, Value, Value) {
    let user = lines(call).into_iter().rfind(|line| line.starts_with("user: ")).unwrap_or_default();
    let turn = call["metrics"]["turns"].as_array().and_then(|turns| turns.last()).cloned().unwrap_or_default();
    (user, turn["model"].clone(), turn["voice"].clone())
}

/// One turn with the vendors, one without, and one with them again.
async fn outage_in_the_middle(stages: &[&str], gate: Gate, within_ms: f64) {
    let (server, gates) = server(stages, Gate::Open).await;
    let script = "listen; say hello; listen; say opening_hours; pause 5500; say hello; listen; hangup";
    let outage = async {
        turns(&server, 1).await;
        peer_takes(Duration::from_millis(1_500)).await;
        gates.set(gate);
        turns(&server, 2).await;
        peer_takes(Duration::from_millis(3_300)).await;
        gates.set(Gate::Open);
    };
    let (report, ()) = tokio::join!(server.call(script), outage);
    let call = server.last_call().await;
    let what = format!("{stages:?} {gate:?}: {:?} {call:#}", report.responses_ms);
    assert!(report.failure.is_none(), "{what}");
    assert!(report.responses_ms[1] <= within_ms, "first words in the outage: {what}");
    let (user, model, voice) = last_turn(&call);
    assert_eq!(user, "user: Hello, good morning.", "the vendor hears again: {what}");
    assert_eq!((model, voice), (json!("openai/gpt-4o-mini"), json!("elevenlabs/default")), "{what}");
    let switches = call["metrics"]["failovers"].as_array().unwrap();
    let back = switches.iter().find(|one| one["why"] == "recovered");
    assert_eq!(back.is_some(), stages.contains(&"stt"), "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_in_the_middle_of_a_call_costs_seconds_and_no_turn() {
    tokio::join!(
        outage_in_the_middle(&["stt", "llm", "tts"], Gate::Refused, 2_000.0),
        outage_in_the_middle(&["stt", "llm", "tts"], Gate::Closed, 2_000.0),
        outage_in_the_middle(&["stt", "llm", "tts"], Gate::Stalled, 3_000.0),
        outage_in_the_middle(&["stt"], Gate::Stalled, 3_000.0),
    );
}

/// A call that begins in an outage.
async fn outage_from_the_begin(gate: Gate, within_ms: f64) -> CallReport {
    let (server, _gates) = server(&["stt", "llm", "tts"], gate).await;
    let report = server.call("listen; say hello; listen; say opening_hours; pause 4000; hangup").await;
    let call = server.last_call().await;
    let what = format!("{gate:?}: {:?} {:?} {call:#}", report.first_sound_ms, report.responses_ms);
    assert!(report.failure.is_none(), "{what}");
    assert!(report.first_sound_ms.unwrap() <= 3_000.0, "{what}");
    assert!(report.responses_ms.iter().all(|ms| *ms <= within_ms) && !report.responses_ms.is_empty(), "{what}");
    let heard = lines(&call).into_iter().filter(|line| line.starts_with("user: session ")).count();
    assert_eq!(heard, 2, "the local STT hears: {what}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_begins_in_an_outage_is_answered_and_goes_on() {
    tokio::join!(
        outage_from_the_begin(Gate::Refused, 2_000.0),
        outage_from_the_begin(Gate::Closed, 2_000.0),
        outage_from_the_begin(Gate::Stalled, 3_000.0),
    );
}
