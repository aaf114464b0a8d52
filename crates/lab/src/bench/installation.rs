//! What is measured: the server in its process, the emulated providers, and a phone that calls and is called.

use super::process::{ProcessResources, ProcessUsage, ServerProcess};
use crate::caller::load::{LoadProfile, run as run_load};
use crate::caller::report::CallReport;
use crate::caller::script::CallScript;
use crate::caller::softphone::{DialParams, Softphone};
use crate::emulator;
use crate::faults::FaultServer;
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
pub(super) const API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 13_008);
/// SIP over WebSocket.
const WEBSOCKET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15_066);
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

/// The installation under test.
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

    /// The server for damaged calls.
    pub(super) fn fault_server(&self) -> FaultServer {
        let (key, pid) = (self.key.clone(), Some(self.server.child.id()));
        FaultServer { api: API, key, sip: self.server.sip, websocket: Some(WEBSOCKET), pid }
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

    /// Processor time and memory that the server has used.
    pub(super) fn usage(&self) -> ProcessUsage {
        self.server.usage()
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
    pub(super) fn waited_ms(&self) -> f64 {
        (self.delays.llm_first_token_ms + self.delays.tts_first_byte_ms) as f64
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
    pub(super) async fn agent(&self) -> Result<String, String> {
        let request = reqwest::Client::new().get(format!("{}/agents?limit=1", self.api)).bearer_auth(&self.key);
        let body: Value = request.send().await.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        Ok(body["data"]["agents"][0]["id"].as_str().unwrap_or_default().to_owned())
    }
}

/// Starts everything, with two organizations and four agents.
pub(super) async fn start() -> Result<Bench, String> {
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
        // A fast machine asks the API more often than an organization may, and makes more agents.
        ("QUOTAS__REQUESTS_PER_MINUTE", "10000000".to_owned()),
        ("QUOTAS__AGENTS", "1000000".to_owned()),
        ("SIP__LISTEN", "127.0.0.1:15060".to_owned()),
        ("SIP__WEBSOCKET__LISTEN", WEBSOCKET.to_string()),
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
