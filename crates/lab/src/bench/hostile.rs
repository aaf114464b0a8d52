//! A hostile run: floods of every kind, from many addresses, slow clients and a hostile tenant, while fifty calls are being
//! talked to. Each kind has a control run, whose generator floods an idle socket at the same rate: generator and server
//! share the machine, so only the ratio of the two says what the server suffered.

use super::harness::{Bench, TALKER, TURNS};
use crate::caller::report::summarize;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Calls that go on meanwhile, and for how long each is measured.
const LISTENERS: usize = 50;
const MEASURED: Duration = Duration::from_secs(12);
/// Between two looks at `/health`, and how long an answer may take.
const HEALTH_INTERVAL: Duration = Duration::from_millis(250);
const HEALTH_DEADLINE: Duration = Duration::from_secs(2);
/// Where the control run floods to: sockets of this process that are never read.
const IDLE: u16 = 15_099;
/// Ports of the server under test.
const SIP: u16 = 15_060;
const WEBRTC: u16 = 15_062;
const API: u16 = 13_008;
/// Connections of the slow clients: more than any listener's cap.
const CONNECTIONS: usize = 4_500;

/// What a generator does at one moment.
enum FloodStep {
    /// A datagram, from an address, to a port.
    Datagram { from: Ipv4Addr, port: u16, bytes: Vec<u8> },
    /// A connection that says this much and nothing more.
    Connection { from: Ipv4Addr, port: u16, bytes: Vec<u8> },
}

/// A kind of flood.
struct FloodKind {
    name: &'static str,
    per_second: u64,
    step: fn(u64) -> FloodStep,
}

/// Another address of the loopback network for each number, 65,000 of them.
fn address(number: u64) -> Ipv4Addr {
    let [_, _, high, low] = (number as u32 % 65_000).to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

fn request(method: &str, number: u64, from: Ipv4Addr, to: &str, extra: &str) -> Vec<u8> {
    format!(
        "{method} sip:{to}@127.0.0.1:{SIP} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:9;branch=z9hG4bK{number:x};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@127.0.0.1>;tag={number:x}\r\nTo: <sip:{to}@127.0.0.1>\r\n\
         Call-ID: {number:x}@flood\r\nCSeq: 1 {method}\r\nContact: <sip:100@{from}:9>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// Headers that parsers stumble over: empty elements, letters beyond ASCII, numbers at their limits.
const HOSTILE_HEADERS: [&str; 10] = [
    "Via: ,SIP/2.0/UDP h;branch=z9hG4bK1;x=\u{e9}\r\n",
    "v: , ,\u{20ac}\r\n",
    "Route: <sip:\u{e9}@h;lr>,,\r\n",
    "Record-Route: ,,<>,\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "CSeq: 4294967296 INVITE\r\n",
    "Session-Expires: 99999999999999999999;refresher=\r\n",
    "Authorization: Digest username=\"\u{e9}, nc=ffffffffff\r\n",
    "Replaces: ;to-tag=;from-tag=\r\n",
    "Identity: ..;info=<>\r\n",
];

fn malformed(number: u64) -> Vec<u8> {
    let header = HOSTILE_HEADERS[number as usize % HOSTILE_HEADERS.len()];
    match number % 3 {
        0 => format!("OPTIONS sip:a@b SIP/2.0\r\n{header}\r\n").into_bytes(),
        1 => request("INVITE", number, Ipv4Addr::LOCALHOST, TURNS, header),
        _ => (0..300u64).map(|at| (number.wrapping_mul(31).wrapping_add(at * 7)) as u8).collect(),
    }
}

const FLOODS: [FloodKind; 11] = [
    FloodKind {
        name: "malformed SIP from one stranger",
        per_second: 10_000,
        step: |n| FloodStep::Datagram { from: Ipv4Addr::new(127, 0, 0, 2), port: SIP, bytes: malformed(n) },
    },
    FloodKind {
        name: "malformed SIP from 65,000 addresses",
        per_second: 5_000,
        step: |n| FloodStep::Datagram { from: address(n), port: SIP, bytes: malformed(n) },
    },
    FloodKind {
        name: "INVITEs from 65,000 addresses",
        per_second: 5_000,
        step: |n| {
            let from = address(n);
            FloodStep::Datagram { from, port: SIP, bytes: request("INVITE", n, from, TURNS, "") }
        },
    },
    FloodKind {
        name: "BYE, CANCEL, ACK and answers that belong to nothing",
        per_second: 5_000,
        step: |n| {
            let from = Ipv4Addr::new(127, 0, 0, 3);
            let method = ["BYE", "CANCEL", "ACK", "UPDATE", "PRACK", "INFO"][n as usize % 6];
            FloodStep::Datagram { from, port: SIP, bytes: request(method, n, from, TURNS, "") }
        },
    },
    FloodKind {
        name: "RTP and noise at the media ports",
        per_second: 10_000,
        step: |n| {
            let mut bytes = vec![0x80, 0, (n >> 8) as u8, n as u8, 0, 0, 0, 0, 0, 0, 0, 7];
            bytes.resize(172, n as u8);
            let port = 30_000 + (n % 400) as u16;
            FloodStep::Datagram { from: Ipv4Addr::new(127, 0, 0, 4), port, bytes }
        },
    },
    FloodKind {
        name: "STUN and noise at the browsers' port",
        per_second: 10_000,
        step: |n| {
            let mut bytes = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
            bytes.resize(28, n as u8);
            FloodStep::Datagram { from: address(n), port: WEBRTC, bytes }
        },
    },
    FloodKind {
        name: "silent connections to SIP",
        per_second: 1_000,
        step: |n| FloodStep::Connection { from: address(n % 8), port: SIP, bytes: Vec::new() },
    },
    FloodKind {
        name: "half requests to SIP over TCP",
        per_second: 1_000,
        step: |n| {
            let bytes = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 18446744073709551615\r\n\r\n".to_vec();
            FloodStep::Connection { from: address(n), port: SIP, bytes }
        },
    },
    FloodKind {
        name: "silent connections to the API",
        per_second: 1_000,
        step: |n| FloodStep::Connection { from: address(n % 8), port: API, bytes: Vec::new() },
    },
    FloodKind {
        name: "half requests to the API",
        per_second: 1_000,
        step: |n| {
            let bytes = b"POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n{".to_vec();
            FloodStep::Connection { from: address(n), port: API, bytes }
        },
    },
    FloodKind {
        name: "silent connections to the browsers' port",
        per_second: 1_000,
        step: |n| FloodStep::Connection { from: address(n % 8), port: WEBRTC, bytes: Vec::new() },
    },
];

/// A socket bound to an address; one that has the flood's address already is used again.
fn sender(sockets: &mut Vec<(Ipv4Addr, UdpSocket)>, from: Ipv4Addr) -> Option<&UdpSocket> {
    if sockets.last().is_none_or(|(bound, _)| *bound != from) {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        let _ = socket.set_nonblocking(true);
        sockets.clear();
        sockets.push((from, socket));
    }
    sockets.last().map(|(_, socket)| socket)
}

fn connect(from: Ipv4Addr, to: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    socket.connect_timeout(&to.into(), Duration::from_millis(200)).ok()?;
    let mut stream: TcpStream = socket.into();
    let _ = stream.set_nonblocking(true);
    let _ = stream.write_all(bytes);
    Some(stream)
}

/// Floods until the stop flag is set; returns how much. With `idle` everything goes to sockets that are never read.
fn flood(flood: &FloodKind, idle: bool, stop: &AtomicBool) -> u64 {
    let (started, mut sent) = (Instant::now(), 0u64);
    let (mut sockets, mut held) = (Vec::new(), std::collections::VecDeque::new());
    // A new identifier for each run, so that no request matches a transaction of an earlier run.
    let base = u64::from(rand::random::<u32>() >> 1) << 32;
    while !stop.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * flood.per_second as f64) as u64;
        while sent < due && !stop.load(Ordering::Relaxed) {
            match (flood.step)(base + sent) {
                FloodStep::Datagram { from, port, bytes } => {
                    if let Some(socket) = sender(&mut sockets, from) {
                        let _ = socket.send_to(&bytes, (Ipv4Addr::LOCALHOST, if idle { IDLE } else { port }));
                    }
                }
                FloodStep::Connection { from, port, bytes } => {
                    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, if idle { IDLE } else { port }));
                    held.extend(connect(from, to, &bytes));
                    if held.len() > CONNECTIONS {
                        held.pop_front();
                    }
                }
            }
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent
}

/// What looks at `/health` saw.
#[derive(Default)]
struct HealthProbe {
    looks: AtomicU64,
    /// Without an answer in time, or with another one than 200.
    bad: AtomicU64,
    slowest_ms: AtomicU64,
}

/// Requests `/health` until the stop flag is set, each time over a new connection.
async fn watch_health(health: &HealthProbe, stop: &AtomicBool) {
    let url = format!("http://127.0.0.1:{API}/health");
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(HEALTH_DEADLINE).build();
        let answered = match client {
            Ok(client) => client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200),
            Err(_) => false,
        };
        health.looks.fetch_add(1, Ordering::Relaxed);
        health.bad.fetch_add(u64::from(!answered), Ordering::Relaxed);
        health.slowest_ms.fetch_max(started.elapsed().as_millis() as u64, Ordering::Relaxed);
        tokio::time::sleep(HEALTH_INTERVAL).await;
    }
}

/// Sockets that take whatever comes and never look at it.
struct IdleSockets {
    _udp: UdpSocket,
    _tcp: TcpListener,
}

fn idle() -> Result<IdleSockets, String> {
    let fault = |error: std::io::Error| error.to_string();
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, IDLE)).map_err(fault)?;
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, IDLE)).map_err(fault)?;
    let accepting = tcp.try_clone().map_err(fault)?;
    std::thread::spawn(move || {
        let mut held = std::collections::VecDeque::new();
        while let Ok((stream, _)) = accepting.accept() {
            held.push_back(stream);
            if held.len() > CONNECTIONS {
                held.pop_front();
            }
        }
    });
    Ok(IdleSockets { _udp: udp, _tcp: tcp })
}

/// Every kind of flood against the server and against idle sockets, and a tenant that does its worst.
pub(super) async fn hostile(bench: &Arc<Bench>) -> Result<Value, String> {
    let _idle = idle()?;
    let mut results = serde_json::Map::new();
    results.insert("nobody floods".to_owned(), listen(bench, |_| {}).await?);
    for one in &FLOODS {
        let control = listen(bench, move |stop| {
            flood(one, true, stop);
        });
        let control = control.await?;
        let sent = Arc::new(AtomicU64::new(0));
        let counted = sent.clone();
        let mut flooded = listen(bench, move |stop| counted.store(flood(one, false, stop), Ordering::Relaxed)).await?;
        flooded["sent"] = json!(sent.load(Ordering::Relaxed));
        let p99 = |run: &Value| run["gap_ms"]["p99"].as_f64().unwrap_or(f64::NAN);
        flooded["control_gap_p99_ms"] = json!(p99(&control));
        flooded["gap_p99_ratio"] = json!((p99(&flooded) / p99(&control) * 1_000.0).round() / 1_000.0);
        report_progress(one.name, &flooded);
        results.insert(one.name.to_owned(), flooded);
    }
    let (api, key) = (bench.api().to_owned(), bench.second_key().to_owned());
    let tenant = listen(bench, move |stop| hostile_tenant(&api, &key, stop)).await?;
    results.insert("a tenant with hostile schemas, probes and changes".to_owned(), tenant);
    Ok(Value::Object(results))
}

fn report_progress(name: &str, run: &Value) {
    eprintln!("{name}: gap p99 {} ms, ratio {}, failed {}", run["gap_ms"]["p99"], run["gap_p99_ratio"], run["failed"]);
}

/// What fifty callers hear while something else goes on in a separate thread.
async fn listen(bench: &Arc<Bench>, meanwhile: impl FnOnce(&AtomicBool) + Send + 'static) -> Result<Value, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let health = Arc::new(HealthProbe::default());
    let before = bench.resource_usage().await?;
    let flooding = std::thread::spawn({
        let stop = stop.clone();
        move || meanwhile(&stop)
    });
    let watching = tokio::spawn({
        let (stop, health) = (stop.clone(), health.clone());
        async move { watch_health(&health, &stop).await }
    });
    let script = format!("pause {}; hangup", MEASURED.as_millis());
    let reports = bench.call(TALKER, &script, LISTENERS, LISTENERS as f64, LISTENERS).await;
    let peak_mb = bench.resident_mb();
    stop.store(true, Ordering::Relaxed);
    let joined = tokio::task::spawn_blocking(move || flooding.join()).await;
    joined.map_err(|error| error.to_string())?.map_err(|_| "the generator panicked".to_owned())?;
    let _ = watching.await;
    let figures = summarize(&reports?);
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(json!({
        "gap_ms": figures["gap_ms"], "setup_ms": figures["setup_ms"], "failed": figures["failed"],
        "failures": figures["failures"], "packets_lost": figures["packets_lost"],
        "resident_mb": {"before": before.resident_mb, "meanwhile": peak_mb},
        "health": {"looks": of(&health.looks), "bad": of(&health.bad), "slowest_ms": of(&health.slowest_ms)},
    }))
}

/// Bodies that cost a careless server its processor or its stack.
fn hostile_schemas() -> Vec<Value> {
    let mut diamond = serde_json::Map::new();
    for level in 0..40 {
        let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
        diamond.insert(format!("a{level}"), json!({"allOf": [next, next]}));
    }
    diamond.insert("a40".to_owned(), json!({}));
    let mut chain = serde_json::Map::new();
    for link in 0..2_000 {
        chain.insert(link.to_string(), json!({"$ref": format!("#/$defs/{}", link + 1)}));
    }
    chain.insert("2000".to_owned(), json!({}));
    let patterns: serde_json::Map<String, Value> =
        (0..300).map(|number| (format!("^({number}[a-z]{{1,50}}){{1,50}}$"), json!({}))).collect();
    vec![
        json!({"unevaluatedProperties": false, "$ref": "#"}),
        json!({"type": "object", "$defs": diamond, "$ref": "#/$defs/a0"}),
        json!({"type": "object", "$defs": chain, "$ref": "#/$defs/0"}),
        json!({"type": "object", "patternProperties": patterns}),
    ]
}

/// Agents with hostile schemas, probes of a trunk that does not answer, and changes of one document, in a loop.
fn hostile_tenant(api: &str, key: &str, stop: &AtomicBool) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let schemas = hostile_schemas();
    runtime.block_on(async {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap_or_default();
        let post = |path: &str, body: Value| http.post(format!("{api}{path}")).bearer_auth(key).json(&body).send();
        let trunk = json!({"name": "Silent", "host": "127.0.0.1", "port": 9});
        let trunk: Value = match post("/trunks", trunk).await {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => return,
        };
        let probe = format!("/trunks/{}/test", trunk["data"]["trunk"]["id"].as_str().unwrap_or_default());
        while !stop.load(Ordering::Relaxed) {
            let bodies =
                schemas.iter().map(|schema| json!({"name": "x", "analysis_plan": {"structured_data_plan": schema}}));
            let agents = bodies.map(|body| post("/agents", body));
            let probes = (0..20).map(|_| post(&probe, json!({})));
            let probing = tokio::time::timeout(Duration::from_millis(200), futures_util::future::join_all(probes));
            let _ = tokio::join!(futures_util::future::join_all(agents), probing);
        }
    });
}
