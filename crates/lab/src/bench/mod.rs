//! `trunkline bench`: whole calls through a server in a separate process, with the emulated providers and
//! the callers in this one. Prints what callers experience and what the server costs.

mod api;
mod hostile;
mod live;
mod providers;
mod sip;
mod web;

use crate::caller::load::{LoadProfile, run as run_load};
use crate::caller::report::{CallReport, percentile, summarize};
use crate::caller::script::CallScript;
use crate::caller::softphone::{DialParams, Softphone};
use crate::emulator;
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_domain::provider::ProviderAccount;
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// Where the server under test answers.
const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 13_008);
pub(super) const TURNS: &str = "+31200000001";
pub(super) const TALKER: &str = "+31200000002";
/// Its agent has a fallback at every stage.
pub(super) const DOUBLED: &str = "+31200000003";
/// Its agent lets callers wait.
pub(super) const RINGER: &str = "+31200000004";
/// Silence STT waits for; part of every turn, but not of our share.
const ENDPOINTING_MS: f64 = 300.0;
/// SIP transactions linger for 32 s (timers J and L), freed memory for a second more.
pub(super) const LINGER: Duration = Duration::from_secs(40);
/// Clock ticks a second in `/proc/PID/stat` (fixed at 100 for user space on Linux).
const TICKS: f64 = 100.0;

/// What `trunkline bench` takes.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Concurrent calls for turns and barge-in.
    #[arg(long, default_value_t = 100)]
    calls: usize,
    /// Concurrent calls for packet gaps, CPU and memory.
    #[arg(long, default_value_t = 300)]
    many: usize,
    /// Call set-ups per second for the set-up time.
    #[arg(long, default_value_t = 100.0)]
    setup_rate: f64,
    /// Call set-ups per second for the flood.
    #[arg(long, default_value_t = 1000.0)]
    flood_rate: f64,
    /// Concurrent calls from browsers.
    #[arg(long, default_value_t = 50)]
    web: usize,
    /// Only these: api, setup, turns, live, barge-in, many, web, flood, failover, faults, memory. Only when named:
    /// sipp (needs sip-tester), soak, defence, hostile.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Serve a bare "hello" for comparison, and nothing else.
    #[arg(long, hide = true)]
    hello: bool,
    /// Call set-ups per second that sipp tries.
    #[arg(long, value_delimiter = ',', default_values_t = [1000.0, 3000.0, 4000.0])]
    sipp_rates: Vec<f64>,
    /// Run only the SIP user agent, for sipp.
    #[arg(long, hide = true)]
    answer: Option<SocketAddr>,
}

pub(super) struct Bench {
    server: ServerProcess,
    phone: Arc<Softphone>,
    delays: emulator::Delays,
    api: String,
    key: String,
    /// Of another organization.
    second_key: String,
    emulator: emulator::EmulatorHandle,
    http: reqwest::Client,
    /// Calls the server makes to our phone, until a benchmark takes the receiver.
    incoming: tokio::sync::Mutex<Option<tokio::sync::mpsc::Receiver<IncomingCall>>>,
}

/// The server's process; ended with the bench.
struct ServerProcess {
    child: Child,
    sip: SocketAddr,
    folder: std::path::PathBuf,
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessResources {
    pub resident_mb: f64,
    pub descriptors: usize,
    pub tasks: f64,
}

/// CPU seconds and resident bytes of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProcessUsage {
    pub cpu_s: f64,
    pub resident_mb: f64,
    at: Instant,
}

impl ServerProcess {
    fn usage(&self) -> ProcessUsage {
        usage_of(self.child.id())
    }
}

pub(super) fn usage_of(pid: u32) -> ProcessUsage {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let tick = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    let status = read("status");
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<f64>().ok());
    ProcessUsage {
        cpu_s: (tick(11) + tick(12)) / TICKS,
        resident_mb: resident.unwrap_or(0.0) / 1_024.0,
        at: Instant::now(),
    }
}

/// Runs the measurements that were asked for and prints them.
///
/// # Errors
///
/// What could not be started, or which measurement failed, for the person at the terminal.
pub async fn run(args: BenchArgs) -> Result<(), String> {
    if args.hello {
        return api::hello().await;
    }
    if let Some(addr) = args.answer {
        return sip::answer(addr).await;
    }
    let _ = rlimit::increase_nofile_limit(1 << 20);
    let bench = Arc::new(start().await?);
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let mut results = serde_json::Map::new();
    let fresh = bench.server.usage();
    // Caches, connections and the voice's texts are warm before anything counts.
    bench.call(TURNS, "listen; say hello; listen; say where_is_my_order; listen; hangup", 4, 10.0, 4).await?;
    bench.call(TALKER, "interrupt wait_stop; listen; hangup", 2, 10.0, 2).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = bench.server.usage();
    // Minutes each: not without being asked for.
    let named = |name: &str| args.only.iter().any(|only| only == name);
    if named("sipp") {
        results.insert("sipp".into(), sip::signalling(&args.sipp_rates).await?);
    }
    if named("soak") {
        results.insert("soak".into(), sip::soak(&bench).await?);
    }
    if named("defence") {
        results.insert("defence".into(), sip::run_floods(&bench).await?);
    }
    if named("hostile") {
        results.insert("hostile".into(), hostile::hostile(&bench).await?);
    }
    if wanted("setup") {
        results.insert("setup".into(), bench.setup(args.setup_rate, 5.0).await?);
    }
    if wanted("turns") {
        results.insert("turns".into(), bench.turns(args.calls).await?);
    }
    if wanted("live") {
        results.insert("live".into(), bench.live().await?);
    }
    if wanted("barge-in") {
        results.insert("barge_in".into(), bench.barge_in(args.calls).await?);
    }
    if wanted("many") {
        results.insert("many".into(), bench.many(args.many, idle).await?);
    }
    if wanted("web") {
        results.insert("web".into(), bench.web(args.web).await?);
    }
    if wanted("flood") {
        results.insert("flood".into(), bench.setup(args.flood_rate, 5.0).await?);
    }
    if wanted("failover") {
        results.insert("failover".into(), providers::failover(&bench).await?);
    }
    if wanted("faults") {
        results.insert("faults".into(), providers::faults(&bench).await?);
    }
    if wanted("api") {
        let agent = bench.agent().await?;
        results.insert("api".into(), api::throughput(API, &bench.key, &agent).await?);
    }
    let mut memory = json!({"start": fresh.resident_mb, "idle": idle.resident_mb});
    if wanted("memory") {
        tokio::time::sleep(LINGER).await;
        memory["after"] = json!(bench.server.usage().resident_mb);
        // The first load fills caches; what the second one adds would be a leak.
        bench.setup(args.flood_rate, 5.0).await?;
        tokio::time::sleep(LINGER).await;
        memory["after_again"] = json!(bench.server.usage().resident_mb);
    }
    results.insert("memory_mb".into(), memory);
    println!("{}", serde_json::to_string_pretty(&results).unwrap_or_default());
    Ok(())
}

impl Bench {
    pub(super) fn api(&self) -> &str {
        &self.api
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// A key of another organization.
    pub(super) fn second_key(&self) -> &str {
        &self.second_key
    }

    /// Megabytes of memory that the server holds.
    pub(super) fn resident_mb(&self) -> f64 {
        self.server.usage().resident_mb
    }

    /// Has the trunk call out to our phone, which answers and hangs up.
    pub(super) async fn calls_out_to_us(self: &Arc<Self>) -> Result<(), String> {
        let trunk = self.ask("GET", "/trunks?limit=1", None).await?["trunks"][0]["id"].clone();
        let local = self.phone.sip.local_udp();
        let host = json!({"host": local.ip().to_string(), "port": local.port()});
        self.ask("PATCH", &format!("/trunks/{}", trunk.as_str().unwrap_or_default()), Some(host)).await?;
        let Some(mut incoming) = self.incoming.lock().await.take() else { return Ok(()) };
        let (phone, script) = (self.phone.clone(), Arc::new(CallScript::parse("pause 100; hangup")?));
        tokio::spawn(async move {
            while let Some(call) = incoming.recv().await {
                let (phone, script) = (phone.clone(), script.clone());
                tokio::spawn(async move {
                    // Every third is busy.
                    if call.incoming.call.0.is_multiple_of(3) {
                        return phone.sip.reject(call.incoming.call, 486, None).await;
                    }
                    phone.answer(call, &script, None).await;
                });
            }
        });
        Ok(())
    }

    /// A task, executed.
    pub(super) async fn call_out(&self) -> Result<(), String> {
        let task = json!({"agent_id": self.agent().await?, "to_number": "+15550123"});
        let task = self.ask("POST", "/tasks", Some(task)).await?["task"]["id"].clone();
        let path = format!("/tasks/{}/execute", task.as_str().unwrap_or_default());
        self.ask("POST", &path, Some(json!({}))).await.map(drop)
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let method = method.parse().map_err(|_| "no method".to_owned())?;
        let mut request = self.http.request(method, format!("{}{path}", self.api)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|e| e.to_string())?;
        let body: Value = answer.json().await.map_err(|e| e.to_string())?;
        if body["success"] == json!(true) { Ok(body["data"].clone()) } else { Err(body.to_string()) }
    }

    pub(super) fn phone(&self) -> &Softphone {
        &self.phone
    }

    /// Seconds of processor time the server has used.
    pub(super) fn cpu_s(&self) -> f64 {
        self.server.usage().cpu_s
    }

    pub(super) fn dial(&self, number: &str) -> DialParams {
        let local = self.phone.sip.local_udp();
        DialParams {
            to: Uri::sip(Some(number), &self.server.sip.ip().to_string(), Some(self.server.sip.port())),
            from: Uri::sip(Some("+15550100"), &local.ip().to_string(), Some(local.port())),
            transport: Transport::Udp,
            credentials: None,
            codecs: vec!["PCMU".into()],
        }
    }

    pub(super) async fn call(
        &self, number: &str, script: &str, calls: usize, per_second: f64, at_once: usize,
    ) -> Result<Vec<CallReport>, String> {
        let load = LoadProfile { calls, per_second, at_once, recordings: None };
        Ok(run_load(self.phone.clone(), self.dial(number), CallScript::parse(script)?, load).await)
    }

    /// What the emulated model and voice take of every turn by design.
    fn waited_ms(&self) -> f64 {
        (self.delays.llm_first_token_ms + self.delays.tts_first_byte_ms) as f64
    }

    async fn turns(&self, calls: usize) -> Result<Value, String> {
        let script = "listen; say hello; listen; say where_is_my_order; listen; say opening_hours; listen; hangup";
        let reports = self.call(TURNS, script, calls, calls as f64 / 4.0, calls).await?;
        let stages = self.stages(calls.min(100)).await?;
        Ok(json!({"server_stages": stages, "calls": calls, "waited_for_model_and_voice_ms": self.waited_ms(),
            "callers": summarize(&reports)}))
    }

    /// The time of each part of a turn, from the server's records.
    async fn stages(&self, calls: usize) -> Result<Value, String> {
        tokio::time::sleep(Duration::from_secs(2)).await; // the last calls are being written
        let request = reqwest::Client::new().get(format!("{}/calls?limit={calls}", self.api)).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        let turns: Vec<&Value> = body["data"]["calls"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["metrics"]["turns"].as_array())
            .flatten()
            .collect();
        let spread = |mut values: Vec<f64>| {
            let mut at = |share| percentile(&mut values, share);
            json!({"p50": at(0.5), "p95": at(0.95), "p99": at(0.99), "max": at(1.0)})
        };
        let of = |name: &str| spread(turns.iter().filter_map(|turn| turn[name].as_f64()).collect());
        // From whatever came last, STT's words or the end of the line's silence, to our first packet.
        let own = turns.iter().filter_map(|turn| {
            let (sound, decided) =
                (turn["timeline"]["first_packet_ms"].as_f64()?, turn["timeline"]["decided_ms"].as_f64()?);
            Some(sound - decided - self.waited_ms())
        });
        Ok(json!({"own_part_ms": spread(own.collect()), "end_of_turn_ms": of("end_of_turn_ms"),
            "first_token_ms": of("first_token_ms"), "first_audio_ms": of("first_audio_ms"), "response_ms": of("response_ms")}))
    }

    async fn barge_in(&self, calls: usize) -> Result<Value, String> {
        let agent = self.agent().await?;
        let calling = self.call(TALKER, "interrupt wait_stop; listen; hangup", calls, calls as f64 / 4.0, calls);
        let requests = async {
            tokio::time::sleep(Duration::from_secs(4)).await; // all of them talk
            api::latency_under_load(API, &self.key, &agent).await
        };
        let (reports, requests) = tokio::join!(calling, requests);
        let reports = reports?;
        Ok(json!({"calls": calls, "api_requests_beside": requests?, "callers": summarize(&reports)}))
    }

    /// Calls that are being talked to, all at once: gaps, CPU, memory.
    async fn many(&self, calls: usize, idle: ProcessUsage) -> Result<Value, String> {
        let ramp = Duration::from_secs_f64(calls as f64 / 50.0 + 1.0);
        let talking = Duration::from_secs(20);
        let script = format!("pause {}; hangup", (ramp + talking + Duration::from_secs(2)).as_millis());
        let measure = async {
            tokio::time::sleep(ramp).await;
            let from = self.server.usage();
            tokio::time::sleep(talking).await;
            (from, self.server.usage())
        };
        let agent = self.agent().await?;
        let requests = async {
            tokio::time::sleep(ramp).await;
            api::latency_under_load(API, &self.key, &agent).await
        };
        let calling = self.call(TALKER, &script, calls, 50.0, calls);
        let (reports, (from, to), requests) = tokio::join!(calling, measure, requests);
        let cpu = (to.cpu_s - from.cpu_s) / (to.at - from.at).as_secs_f64();
        Ok(json!({
            "calls": calls,
            "cpu_percent_of_a_core": cpu * 100.0,
            "cpu_percent_per_call": cpu * 100.0 / calls as f64,
            "memory_mb_per_call": (to.resident_mb - idle.resident_mb) / calls as f64,
            "api_requests_beside": requests?,
            "callers": summarize(&reports?),
        }))
    }

    /// From STT's result to the listener: the emulator's clock and the listener's are one.
    async fn live(&self) -> Result<Value, String> {
        live::run(self).await
    }

    /// What the emulated STT says from now on.
    pub(super) fn results(&self) -> tokio::sync::broadcast::Receiver<(Instant, String)> {
        self.emulator.results.subscribe()
    }

    /// One call that goes by a script.
    pub(super) async fn one(&self, script: String) -> Result<Vec<CallReport>, String> {
        self.call(TURNS, &script, 1, 1.0, 1).await
    }

    /// Where to listen to the calls that go on.
    pub(super) async fn live_urls(&self) -> Result<Vec<String>, String> {
        let url = format!("{}/calls?status=in_progress", self.api);
        let request = reqwest::Client::new().get(url).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        let ids = body["data"]["calls"].as_array().into_iter().flatten().filter_map(|call| call["id"].as_str());
        Ok(ids.map(|id| format!("ws://{API}/ws/calls/{id}?api_key={}", self.key)).collect())
    }

    /// What the server holds now.
    pub(super) async fn resource_usage(&self) -> Result<ProcessResources, String> {
        let text = reqwest::get(format!("http://{API}/metrics")).await.map_err(|e| e.to_string())?.text().await;
        let text = text.map_err(|error| error.to_string())?;
        let tasks = text.lines().find_map(|line| line.strip_prefix("trunkline_tasks ")?.parse().ok());
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.server.child.id())).map_or(0, Iterator::count);
        let resident_mb = self.server.usage().resident_mb;
        Ok(ProcessResources { resident_mb, descriptors, tasks: tasks.unwrap_or(0.0) })
    }

    pub(super) fn emulator(&self) -> &emulator::EmulatorHandle {
        &self.emulator
    }

    /// Calls of the last minutes, newest first.
    pub(super) async fn calls(&self, limit: usize) -> Result<Vec<Value>, String> {
        let request = reqwest::Client::new().get(format!("{}/calls?limit={limit}", self.api)).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        Ok(body["data"]["calls"].as_array().cloned().unwrap_or_default())
    }

    /// One of the agents.
    async fn agent(&self) -> Result<String, String> {
        let request = reqwest::Client::new().get(format!("{}/agents?limit=1", self.api)).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        Ok(body["data"]["agents"][0]["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn setup(&self, per_second: f64, seconds: f64) -> Result<Value, String> {
        let calls = (per_second * seconds) as usize;
        let reports = self.call(TURNS, "pause 100; hangup", calls, per_second, calls).await?;
        Ok(json!({"set_ups_per_second": per_second, "callers": summarize(&reports)}))
    }
}

async fn start() -> Result<Bench, String> {
    // No wait between tokens and a voice that is kept: what is measured is ours, not the emulator's.
    let delays = emulator::Delays { stt_final_ms: 20, llm_first_token_ms: 50, llm_token_ms: 0, tts_first_byte_ms: 50 };
    let settings = emulator::EmulatorSettings {
        delays,
        script: emulator::ReplyScript::default(),
        espeak: Some("espeak-ng".to_owned()),
    };
    let emulator = emulator::start(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.map_err(|e| e.to_string())?;
    let folder = std::env::temp_dir().join(format!("trunkline-bench-{:016x}", rand::random::<u64>()));
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let (server, api, [key, second_key]) = start_server(&folder, &emulator)?;
    let server = ServerProcess { child: server, sip: SocketAddr::from(([127, 0, 0, 1], 15_060)), folder };
    let (phone, incoming) =
        Softphone::open(SocketAddr::from(([127, 0, 0, 1], 0)), (20_000, 29_999)).await.map_err(|e| e.to_string())?;
    let incoming = tokio::sync::Mutex::new(Some(incoming));
    let (phone, http) = (Arc::new(phone), reqwest::Client::new());
    let bench =
        Bench { server, phone, delays, api: api.clone(), key: key.clone(), second_key, emulator, http, incoming };
    set_up(&api, &key).await?;
    Ok(bench)
}

/// The server's process, where its API is, and a key of each of its two organizations.
fn start_server(folder: &Path, emulator: &emulator::EmulatorHandle) -> Result<(Child, String, [String; 2]), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let api = API;
    let mut settings: Vec<(String, String)> = [
        ("API__LISTEN", api.to_string()),
        ("API__RATE_LIMIT_PER_MINUTE", "10000000".to_owned()),
        ("SIP__LISTEN", "127.0.0.1:15060".to_owned()),
        ("WEBRTC__LISTEN", "127.0.0.1:15062".to_owned()),
        ("DATABASE__URL", format!("sqlite://{}/bench.db", folder.display())),
        ("RECORDINGS__FOLDER", folder.join("recordings").display().to_string()),
        ("MEDIA__PORT_FIRST", "30000".to_owned()),
        ("MEDIA__PORT_LAST", "49999".to_owned()),
        ("CALLS__CALLS_MAX", "10000".to_owned()),
        ("WEBRTC__CALLS_PER_ADDRESS", "10000".to_owned()),
        ("API__PUBLIC_RATE_LIMIT_PER_MINUTE", "1000000".to_owned()),
        ("LOG__FILTER", "error".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        let name = format!("PROVIDERS__{}", account.name().to_uppercase());
        settings.push((format!("{name}__BASE_URL"), emulator.address_of(account.name())));
        settings.push((format!("{name}__API_KEY"), "bench".to_owned()));
    }
    let command = |name: &str| {
        let mut command = Command::new(&program);
        command.arg(name).envs(settings.iter().map(|(name, value)| (format!("TRUNKLINE_{name}"), value)));
        command
    };
    let bootstrap = |organization: &str, email: &str| -> Result<String, String> {
        let made = command("bootstrap").args(["--organization", organization, "--email", email]).output();
        let made = made.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&made.stdout).into_owned();
        let key = text.lines().find_map(|line| line.strip_prefix("API key")).map(|key| key.trim().to_owned());
        key.ok_or_else(|| format!("bootstrap failed: {}", String::from_utf8_lossy(&made.stderr)))
    };
    let keys = [bootstrap("Bench", "bench@example.com")?, bootstrap("Other", "other@example.com")?];
    let child = command("serve").stdin(Stdio::null()).spawn().map_err(|error| error.to_string())?;
    Ok((child, format!("http://{api}/api/v1"), keys))
}

/// Two agents: one that answers, one that does not stop talking by itself.
async fn set_up(api: &str, key: &str) -> Result<(), String> {
    let http = reqwest::Client::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while http.get(format!("{api}/health")).send().await.is_err() {
        if Instant::now() > deadline {
            return Err("the server did not start".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let post = async |path: &str, body: Value| -> Result<Value, String> {
        let response =
            http.post(format!("{api}{path}")).bearer_auth(key).json(&body).send().await.map_err(|e| e.to_string())?;
        let body: Value = response.json().await.map_err(|error| error.to_string())?;
        if body["success"] == json!(true) { Ok(body["data"].clone()) } else { Err(body.to_string()) }
    };
    let trunk =
        post("/trunks", json!({"name": "Loopback", "allowed_addresses": ["127.0.0.1"]})).await?["trunk"]["id"].clone();
    let long = "Thank you for calling. Before we begin, let me tell you what we do and how we do it, so that you know what to expect. ".repeat(8);
    for (number, first) in
        [(TURNS, "Good morning."), (TALKER, long.as_str()), (DOUBLED, "Good morning."), (RINGER, "Good morning.")]
    {
        let mut agent = json!({
            "name": "Bench", "first_message": first, "turn_config": {"endpointing_ms": ENDPOINTING_MS as u64},
            "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
            "llm_config": {"provider": "openai", "model": "gpt-4o-mini"},
            "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en"},
        });
        if number == RINGER {
            agent["ringing"] = json!({"ring_ms": 20_000});
        }
        if number == DOUBLED {
            agent["fallbacks"] = json!({
                "stt": [{"provider": "openai", "model": "gpt-4o-transcribe", "language": "en"}],
                "llm": [{"provider": "groq", "model": "openai/gpt-oss-20b"}],
                "tts": [{"provider": "cartesia", "voice_id": "v", "language": "en"}],
            });
        }
        let agent = post("/agents", agent).await?["agent"]["id"].clone();
        post("/phone-numbers", json!({"number": number, "agent_id": agent, "trunk_id": trunk})).await?;
    }
    Ok(())
}
