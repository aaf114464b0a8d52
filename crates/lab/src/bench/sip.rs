//! Signalling under load: set-ups a second against sipp, twenty thousand calls of every kind, and what floods do to the
//! calls that go on.

use super::installation::{Bench, LINGER, RINGER, TALKER, TURNS};
use super::process::{ProcessResources, usage_of};
use crate::caller::report::{percentile, summarize};
use crate::caller::script::CallScript;
use serde_json::{Value, json};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use trunkline::call::negotiate::{Negotiation, TrunkMedia};
use trunkline_signaling::io::driver::{self as sip, ListenConfig, SipService};
use trunkline_signaling::sip::user_agent::{
    ChallengeAlgorithms, DestinationPolicy, InboundTrunk, SipEvent, UserAgentConfig as SipConfig,
};

/// Where the answering endpoint listens, and what sipp sends from.
const ANSWERER: &str = "127.0.0.1:15070";
const SIPP_PORT: &str = "15080";
const SIPP_MEDIA: &str = "15090";
/// Seconds at each rate: longer than a transaction lingers.
const SECONDS: usize = 40;
/// A caller that hangs up as soon as it is answered.
const SCENARIO: &str = include_str!("../../../../fixtures/sip/uac_at_once.xml");
/// Calls of the soak, and those before it that fill what stays filled.
const SOAK: usize = 20_000;
const WARM_UP: usize = 2_000;
const SOAK_RATE: f64 = 200.0;
/// Calls that go on while others flood, and for how long each is measured.
const LISTENERS: usize = 50;
const MEASURED: Duration = Duration::from_secs(15);

/// Ends a process with the bench.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The endpoint alone, in a separate process: negotiates, answers, and forgets.
pub(super) async fn answer(addr: SocketAddr) -> Result<(), String> {
    let config = SipConfig {
        advertised: addr.ip(),
        advertised_other: None,
        udp_port: addr.port(),
        tcp_port: addr.port(),
        tls_port: None,
        ws_port: None,
        user_agent: "trunkline".to_owned(),
        realm: "trunkline".to_owned(),
        calls_max: 20_000,
        retry_after_s: 1,
        session_expires_s: 1_800,
        destinations: DestinationPolicy::allow_all(),
        trunks: vec![InboundTrunk {
            id: "sipp".into(),
            allow: "127.0.0.0/8".parse().into_iter().collect(),
            credentials: None,
            algorithms: ChallengeAlgorithms::Automatic,
            accept_refer: false,
        }],
    };
    let started = sip::start(ListenConfig::plain(addr), config, rand::random(), 1_024).await;
    let SipService { handle, mut incoming, .. } = started.map_err(|error| error.to_string())?;
    while let Some(call) = incoming.recv().await {
        let handle = handle.clone();
        tokio::spawn(async move {
            let id = call.incoming.call;
            let mut negotiation = Negotiation::new(addr.ip(), 40_000, &TrunkMedia::default(), None, id.0);
            match call.incoming.sdp.as_deref().map(|offer| negotiation.answer(offer)) {
                Some(Ok((_, sdp))) => handle.answer(id, sdp).await,
                _ => return handle.reject(id, 488, None).await,
            }
            let mut events = call.events;
            while let Some(event) = events.recv().await {
                if matches!(event, SipEvent::Ended { .. }) {
                    break;
                }
            }
        });
    }
    Ok(())
}

/// Set-ups a second against sipp: the endpoint with its negotiation, no agent and no sound.
pub(super) async fn signalling(rates: &[f64]) -> Result<Value, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut results = serde_json::Map::new();
    for rate in rates {
        let child = Command::new(&program).args(["bench", "--answer", ANSWERER]).stdin(Stdio::null()).spawn();
        let child = KillOnDrop(child.map_err(|error| error.to_string())?);
        let pid = child.0.id();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let start_mb = usage_of(pid).resident_mb;
        let rate = *rate;
        let run = tokio::task::spawn_blocking(move || sipp(rate));
        let mut peak_mb = start_mb;
        while !run.is_finished() {
            peak_mb = peak_mb.max(usage_of(pid).resident_mb);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut figures = run.await.map_err(|error| error.to_string())??;
        let cpu_s = usage_of(pid).cpu_s;
        tokio::time::sleep(LINGER).await;
        figures["endpoint_cpu_percent"] = json!((cpu_s / SECONDS as f64 * 100.0).round());
        figures["resident_mb"] = json!({"start": start_mb, "peak": peak_mb, "after": usage_of(pid).resident_mb});
        results.insert(format!("{rate} a second"), figures);
        drop(child);
    }
    Ok(Value::Object(results))
}

/// What every run of sipp is told beside its rate.
#[rustfmt::skip]
const SIPP_ARGS: &[&str] = &[
    ANSWERER, "-i", "127.0.0.1", "-p", SIPP_PORT, "-mp", SIPP_MEDIA, "-sf", "uac.xml", "-s", "+31201234567", "-l", "20000",
    "-trace_stat", "-stf", "stat.csv", "-trace_rtt", "-rtt_freq", "1000", "-timeout", "120s", "-nostdin", "-buff_size",
    "4194304",
];

fn sipp(rate: f64) -> Result<Value, String> {
    let folder = std::env::temp_dir().join(format!("trunkline-sipp-{:016x}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    std::fs::write(folder.join("uac.xml"), SCENARIO).map_err(|error| error.to_string())?;
    let calls = (rate * SECONDS as f64) as usize;
    let mut command = Command::new("sipp");
    command.args(SIPP_ARGS).args(["-r", &rate.to_string(), "-m", &calls.to_string()]).current_dir(&folder);
    let started = Instant::now();
    let output = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    output.map_err(|error| format!("sipp: {error}"))?;
    let took = started.elapsed().as_secs_f64();
    let stat = std::fs::read_to_string(folder.join("stat.csv")).map_err(|error| error.to_string())?;
    let of = |name: &str| last_value(&stat, name);
    let mut times = response_times_ms(&folder)?;
    let _ = std::fs::remove_dir_all(&folder);
    let mut at = |share| percentile(&mut times, share);
    Ok(json!({
        "calls": calls, "succeeded": of("SuccessfulCall(C)"), "failed": of("FailedCall(C)"), "retransmissions": of("Retransmissions(C)"),
        "set_ups_per_second": (of("SuccessfulCall(C)") / took).round(), "invite_to_200_ms": {"p50": at(0.5), "p99": at(0.99), "max": at(1.0)},
    }))
}

/// A column of sipp's statistics, at the end of the run.
fn last_value(stat: &str, name: &str) -> f64 {
    let mut names = stat.lines().next().unwrap_or("").split(';');
    let mut last = stat.lines().last().unwrap_or("").split(';');
    let at = names.position(|one| one == name);
    at.and_then(|at| last.nth(at)?.parse::<f64>().ok()).unwrap_or(0.0)
}

/// From INVITE to 200, of the calls that sipp wrote down.
fn response_times_ms(folder: &Path) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())?.flatten() {
        if entry.file_name().to_string_lossy().ends_with("_rtt.csv") {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            times.extend(text.lines().skip(1).filter_map(|line| line.split(';').nth(1)?.parse::<f64>().ok()));
        }
    }
    Ok(times)
}

/// Calls in and out, refused and cancelled: what is left of them.
pub(super) async fn soak(bench: &Arc<Bench>) -> Result<Value, String> {
    bench.calls_out_to_us().await?;
    let shown = |held: ProcessResources| json!({"resident_mb": held.resident_mb, "descriptors": held.descriptors, "tasks": held.tasks});
    mixed(bench, WARM_UP).await?;
    tokio::time::sleep(LINGER).await;
    let before = bench.resource_usage().await?;
    let started = Instant::now();
    let outcomes = mixed(bench, SOAK).await?;
    let took_s = started.elapsed().as_secs_f64();
    tokio::time::sleep(LINGER).await;
    let after = bench.resource_usage().await?;
    let growth = (after.resident_mb / before.resident_mb - 1.0) * 100.0;
    Ok(
        json!({"calls": SOAK, "took_s": took_s.round(), "outcomes": outcomes, "before": shown(before), "after": shown(after), "memory_percent": growth}),
    )
}

#[derive(Default)]
struct CallOutcomes {
    answered: AtomicU64,
    refused: AtomicU64,
    canceled: AtomicU64,
    called: AtomicU64,
    failed: AtomicU64,
}

/// Of twenty calls twelve are answered, three refused, two given up while they ring, and three made.
async fn mixed(bench: &Arc<Bench>, count: usize) -> Result<Value, String> {
    let outcomes = Arc::new(CallOutcomes::default());
    let mut calls = JoinSet::new();
    let mut next = tokio::time::Instant::now();
    let script = Arc::new(CallScript::parse("pause 100; hangup")?);
    for number in 0..count {
        tokio::time::sleep_until(next).await;
        next += Duration::from_secs_f64(1.0 / SOAK_RATE);
        let (bench, outcomes, script) = (bench.clone(), outcomes.clone(), script.clone());
        calls.spawn(async move {
            let counter = match number % 20 {
                0..12 => {
                    let report = bench.phone().dial(&bench.dial(TURNS), &script, None).await;
                    if report.failure.is_none() { &outcomes.answered } else { &outcomes.failed }
                }
                12..15 => {
                    let report = bench.phone().dial(&bench.dial("+31209999999"), &script, None).await;
                    let was = report.failure.as_deref().is_some_and(|failure| failure.contains("status: 404"));
                    if was { &outcomes.refused } else { &outcomes.failed }
                }
                15..17 if give_up(&bench).await => &outcomes.canceled,
                17.. if bench.call_out().await.is_ok() => &outcomes.called,
                _ => &outcomes.failed,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        });
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(json!({"answered": of(&outcomes.answered), "refused": of(&outcomes.refused), "canceled": of(&outcomes.canceled),
        "called_out": of(&outcomes.called), "failed": of(&outcomes.failed)}))
}

/// Rings, and hangs up before anybody answers.
async fn give_up(bench: &Bench) -> bool {
    let mut negotiation = Negotiation::new([127, 0, 0, 1].into(), 20_000, &TrunkMedia::default(), None, 1);
    let invite = bench.dial(RINGER).invite(negotiation.offer());
    let sip = &bench.phone().sip;
    let Ok((call, mut events)) = sip.send_invite(invite).await else { return false };
    tokio::time::sleep(Duration::from_millis(150)).await;
    sip.hang_up(call).await;
    let ended = async {
        while let Some(event) = events.recv().await {
            match event {
                SipEvent::Ended { .. } => return true,
                SipEvent::Answered { .. } => return false,
                _ => {}
            }
        }
        false
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap_or(false)
}

/// Who floods, with what, how often.
struct SipFlood {
    name: &'static str,
    from: &'static str,
    per_second: u64,
    message: fn(u64) -> Vec<u8>,
}

fn garbage(number: u64) -> Vec<u8> {
    let mut bytes =
        format!("INVITE sip:{number}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP ;;;branch\r\nCSeq: x\r\n").into_bytes();
    bytes.extend((0..200).map(|at| (number as u8).wrapping_mul(31).wrapping_add(at)));
    bytes
}

fn request(method: &str, number: u64, from: &str, to: &str) -> Vec<u8> {
    format!(
        "{method} sip:{to}@127.0.0.1:15060 SIP/2.0\r\nVia: SIP/2.0/UDP {from}:9;branch=z9hG4bK{number:x};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:100@127.0.0.1>;tag={number:x}\r\nTo: <sip:{to}@127.0.0.1>\r\nCall-ID: {number:x}@flood\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:100@{from}:9>\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

const FLOODS: [SipFlood; 5] = [
    SipFlood { name: "malformed, foreign, 20,000 a second", from: "127.0.0.2", per_second: 20_000, message: garbage },
    SipFlood {
        name: "a scanner's REGISTER and OPTIONS, foreign, 10,000 a second",
        from: "127.0.0.3",
        per_second: 10_000,
        message: |number| request(if number % 2 == 0 { "REGISTER" } else { "OPTIONS" }, number, "127.0.0.3", "100"),
    },
    SipFlood {
        name: "INVITEs, foreign, 10,000 a second",
        from: "127.0.0.4",
        per_second: 10_000,
        message: |number| request("INVITE", number, "127.0.0.4", TURNS),
    },
    SipFlood {
        name: "INVITEs to nobody, from the carrier's address, 2,000 a second",
        from: "127.0.0.1",
        per_second: 2_000,
        message: |number| request("INVITE", number, "127.0.0.1", "+31209999999"),
    },
    SipFlood {
        name: "INVITEs to an agent that are never acknowledged, from the carrier's address, 2,000 a second",
        from: "127.0.0.1",
        per_second: 2_000,
        message: |number| request("INVITE", number, "127.0.0.1", TURNS),
    },
];

/// Sends until the stop flag is set; returns how many.
fn flood(flood: &SipFlood, stop: &AtomicBool) -> u64 {
    let Ok(socket) = UdpSocket::bind((flood.from, 0)) else { return 0 };
    let _ = socket.set_nonblocking(true);
    let (started, mut sent) = (Instant::now(), 0u64);
    // A new identifier for each run, so that no request matches a transaction of an earlier run.
    let base = u64::from(rand::random::<u32>()) << 32;
    while !stop.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * flood.per_second as f64) as u64;
        while sent < due {
            let _ = socket.send_to(&(flood.message)(base + sent), "127.0.0.1:15060");
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

/// What calls that go on hear while others flood: gaps between their packets.
pub(super) async fn run_floods(bench: &Bench) -> Result<Value, String> {
    let mut results = serde_json::Map::new();
    let quiet = listen(bench, None).await?;
    results.insert("nobody floods".to_owned(), quiet);
    for one in &FLOODS {
        results.insert(one.name.to_owned(), listen(bench, Some(one)).await?);
    }
    Ok(Value::Object(results))
}

async fn listen(bench: &Bench, one: Option<&'static SipFlood>) -> Result<Value, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let flooding = one.map(|one| {
        let stop = stop.clone();
        std::thread::spawn(move || flood(one, &stop))
    });
    let before = bench.resource_usage().await?;
    let script = format!("pause {}; hangup", MEASURED.as_millis());
    let reports = bench.call(TALKER, &script, LISTENERS, LISTENERS as f64, LISTENERS).await?;
    let held = bench.resource_usage().await?;
    stop.store(true, Ordering::Relaxed);
    let sent = flooding.and_then(|thread| thread.join().ok());
    let figures = summarize(&reports);
    Ok(json!({"sent": sent, "gap_ms": figures["gap_ms"], "setup_ms": figures["setup_ms"], "failed": figures["failed"],
        "packets_lost": figures["packets_lost"], "resident_mb": {"before": before.resident_mb, "meanwhile": held.resident_mb}}))
}
