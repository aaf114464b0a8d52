//! A server, its emulator and a phone for one test.

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use trunkline::app::App;
use trunkline::config::{Config, ProviderTimeoutsConfig, StageTimeoutsConfig};
use trunkline::domain::provider::ProviderAccount;
use trunkline_lab::caller::report::CallReport;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, Softphone};
use trunkline_lab::emulator::{self, Delays};
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// The program of `crates/cli`, which is built beside the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().and_then(Path::parent).unwrap().join("trunkline");
    assert!(program.exists(), "`cargo build --package trunkline-cli` builds {}", program.display());
    program
}

pub const NUMBER: &str = "+31201234567";
pub const OWNER: &str = "owner@example.com";
pub const PASSWORD: &str = "correct horse battery";

pub struct Server {
    pub app: App,
    pub emulator: emulator::EmulatorHandle,
    pub phone: Softphone,
    pub incoming: tokio::sync::mpsc::Receiver<IncomingCall>,
    pub http: reqwest::Client,
    pub key: String,
    pub folder: tempfile::TempDir,
    pub trunk: String,
    pub agent: String,
    _no_panics: NoPanics,
}

/// Set by tests that make the server panic.
pub static PANICS_ARE_MEANT: AtomicBool = AtomicBool::new(false);

/// At the end of a server's life: a panic that was contained is a defect all the same.
pub struct NoPanics;

impl Drop for NoPanics {
    fn drop(&mut self) {
        let panics = trunkline_supervision::panics();
        let meant = PANICS_ARE_MEANT.load(Ordering::Relaxed) || std::thread::panicking();
        assert!(panics.is_empty() || meant, "the server panicked: {panics:?}");
    }
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub fn delays() -> Delays {
    Delays { stt_final_ms: 10, llm_first_token_ms: 30, llm_token_ms: 1, tts_first_byte_ms: 30 }
}

/// The recorder of the process, as `serve` has it: what a test reads at `/metrics` is what operators read.
pub fn metrics() -> metrics_exporter_prometheus::PrometheusHandle {
    static INSTALLED: LazyLock<metrics_exporter_prometheus::PrometheusHandle> =
        LazyLock::new(|| trunkline::telemetry::metrics::install().unwrap());
    INSTALLED.clone()
}

/// A separate database: a file, or, where `TRUNKLINE_TEST_POSTGRES` names a server, a database there.
pub async fn database_url(folder: &std::path::Path) -> String {
    match std::env::var("TRUNKLINE_TEST_POSTGRES") {
        Ok(server) => super::postgres::create_database(&server).await,
        Err(_) => format!("sqlite://{}/test.db", folder.display()),
    }
}

/// What a carrier's customer has: no webhooks into private networks.
pub fn strict(config: &mut Config) {
    config.webhooks.allow_private = false;
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_scripted(emulator::ReplyScript::default(), change).await
    }

    /// With a model that says something else.
    pub async fn start_scripted(script: emulator::ReplyScript, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(delays(), script, change, false).await
    }

    /// With providers that take their time.
    pub async fn start_slow(delays: Delays) -> Self {
        Self::start_on(delays, emulator::ReplyScript::default(), |_| {}, false).await
    }

    /// With what a demo shows in its console.
    pub async fn start_demo() -> Self {
        Self::start_on(delays(), emulator::ReplyScript::default(), |_| {}, true).await
    }

    async fn start_on(
        delays: Delays, script: emulator::ReplyScript, change: impl FnOnce(&mut Config), with_demo: bool,
    ) -> Self {
        let settings = emulator::EmulatorSettings { delays, espeak: Some("espeak-ng".into()), script };
        let emulator = emulator::start(loopback(0), settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.api.listen = loopback(0);
        config.api.rate_limit_per_minute = 1_000_000; // tests poll
        config.sip.listen = loopback(0);
        config.webrtc.listen = loopback(0);
        config.api.public_rate_limit_per_minute = 1_000_000;
        config.quotas.requests_per_minute = 10_000_000;
        config.media.port_first = 20_000;
        config.media.port_last = 39_999;
        config.database.url = database_url(folder.path()).await.into();
        config.recordings.folder = folder.path().join("recordings").display().to_string();
        config.webhooks.allow_private = true;
        config.secrets.master_key = "a master key of the tests".into();
        let brisk = StageTimeoutsConfig { connect_ms: 3_000, first_byte_ms: 1_500, between_bytes_ms: 1_000 };
        config.providers.timeouts = ProviderTimeoutsConfig { stt: brisk, llm: brisk, tts: brisk, realtime: brisk };
        config.providers.allow_private = true;
        for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
            let provider = config.providers.account_mut(*account);
            provider.base_url = emulator.address_of(account.name());
            provider.api_key = Some("test".into());
        }
        change(&mut config);
        let store = trunkline::app::open_store(config.database.url.expose()).await.unwrap();
        let hash = trunkline::domain::password::hash(PASSWORD).unwrap();
        let made = store.bootstrap("Test", OWNER, &hash).await.unwrap();
        let demo = match with_demo {
            true => {
                let agent = store.create_agent(made.scope, serde_json::from_value(agent()).unwrap()).await.unwrap();
                let phrases = trunkline_lab::demo::phrases().unwrap();
                let (email, password) = (OWNER.to_owned(), PASSWORD.into());
                Some(trunkline::api::DemoSettings { email, password, scope: made.scope, agent: agent.id, phrases })
            }
            false => None,
        };
        store.close().await;
        let app = App::start_with(&config, metrics(), demo).await.unwrap();
        let (phone, incoming) = Softphone::open(loopback(0), (40_000, 49_999)).await.unwrap();
        // A connection that has been idle may be closed by the server in the moment it is used again.
        let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(1)).build().unwrap();
        let key = made.key.text.expose().to_owned();
        let mut server = Self {
            app,
            emulator,
            phone,
            incoming,
            http,
            key,
            folder,
            trunk: String::new(),
            agent: String::new(),
            _no_panics: NoPanics,
        };
        server.set_up().await;
        server
    }

    async fn set_up(&mut self) {
        let callee = self.phone.sip.local_udp();
        let trunk = json!({"name": "Loopback", "host": callee.ip().to_string(), "port": callee.port(),
            "allowed_addresses": ["127.0.0.1"], "allow_sip_uri": true});
        self.trunk = self.post("/trunks", trunk).await["trunk"]["id"].as_str().unwrap().to_owned();
        self.agent = self.post("/agents", agent()).await["agent"]["id"].as_str().unwrap().to_owned();
        let number = json!({"number": NUMBER, "agent_id": self.agent, "trunk_id": self.trunk});
        self.post("/phone-numbers", number).await;
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/api/v1{path}", self.app.api_addr)
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method: reqwest::Method = method.parse().unwrap();
        let mut request = self.http.request(method, self.url(path)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send("POST", path, Some(body)).await;
        assert!(status < 300, "{path}: {status} {body}");
        body["data"].clone()
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body["data"].clone()
    }

    pub fn sip_port(&self) -> u16 {
        self.app.services.sip.local_udp().port()
    }

    pub fn dial_to(&self, number: &str, transport: Transport) -> DialParams {
        let local = self.phone.sip.local_udp();
        DialParams {
            to: Uri::sip(Some(number), "127.0.0.1", Some(self.sip_port())),
            from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(local.port())),
            transport,
            credentials: None,
            codecs: vec!["PCMA".into(), "PCMU".into()],
        }
    }

    pub async fn call(&self, script: &str) -> CallReport {
        self.phone.dial(&self.dial_to(NUMBER, Transport::Udp), &CallScript::parse(script).unwrap(), None).await
    }

    /// The newest call once it is over.
    pub async fn last_call(&self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let calls = self.get("/calls?limit=1").await;
            let call = &calls["calls"][0];
            let over = matches!(call["status"].as_str(), Some("completed" | "failed"));
            if over {
                return self.get(&format!("/calls/{}", call["id"].as_str().unwrap())).await["call"].clone();
            }
            assert!(Instant::now() < deadline, "the call does not end: {calls}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a call has its recording and returns it as caller and agent samples.
    pub async fn recording(&self, id: &str) -> (Vec<i16>, Vec<i16>) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.get(&format!("/calls/{id}")).await["call"]["recording_available"] != json!(true) {
            assert!(Instant::now() < deadline, "no recording");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let url = self.url(&format!("/calls/{id}/recording/stream"));
        let bytes = self.http.get(url).bearer_auth(&self.key).send().await.unwrap().bytes().await.unwrap();
        let mut reader = hound::WavReader::new(std::io::Cursor::new(bytes)).unwrap();
        let samples: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
        (samples.iter().step_by(2).copied().collect(), samples.iter().skip(1).step_by(2).copied().collect())
    }
}

/// A port for a process that needs a fixed one. It is outside of the system's ephemeral range: no other process gets it
/// between this and its use.
pub fn free_port() -> u16 {
    let free = |port: u16| {
        std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok()
            && std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
    };
    std::iter::repeat_with(|| 17_000 + rand::random::<u16>() % 3_000).find(|port| free(*port)).unwrap()
}

/// A certificate for the loopback address, made once.
pub struct TlsFiles {
    pub certificate: std::path::PathBuf,
    pub private_key: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

pub fn tls_files() -> TlsFiles {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let (certificate, private_key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&private_key, made.signing_key.serialize_pem()).unwrap();
    TlsFiles { certificate, private_key, _folder: folder }
}

pub fn agent() -> Value {
    json!({
        "name": "Test", "first_message": "Good morning, this is Acme.", "system_prompt": "Be brief.",
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini"},
        "tts_config": {"provider": "elevenlabs", "voice_id": "v", "language": "en"},
    })
}

/// `role: content` of each turn.
pub fn lines(call: &Value) -> Vec<String> {
    let turns = call["transcript"].as_array().unwrap();
    turns.iter().map(|t| format!("{}: {}", t["role"].as_str().unwrap(), t["content"].as_str().unwrap())).collect()
}

/// The snapshots of one test: insta compares each text with `fixtures/FOLDER/NAME.snap`.
pub struct SnapshotFolder {
    settings: insta::Settings,
    compared: std::collections::BTreeSet<String>,
    differing: Vec<String>,
}

impl SnapshotFolder {
    /// Snapshots in this folder of `fixtures/`.
    pub fn new(folder: &str) -> Self {
        let mut settings = insta::Settings::new();
        settings.set_snapshot_path(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        Self { settings, compared: Default::default(), differing: Vec::new() }
    }

    /// Compares one text. The test goes on after a difference, so that one run reports all of them, although insta
    /// prints that it stopped on the first.
    pub fn compare(&mut self, name: &str, text: &str) {
        let assertion = || self.settings.bind(|| insta::assert_snapshot!(name, text));
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).is_err() {
            self.differing.push(name.to_owned());
        }
        self.compared.insert(format!("{name}.snap"));
    }

    /// Fails if a text differed, or if nothing was compared with a file of the folder: insta alone does not look for
    /// such files.
    pub fn finish(self) {
        let files = std::fs::read_dir(self.settings.snapshot_path()).unwrap();
        let orphans: Vec<_> = files
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| !self.compared.contains(n) && !n.ends_with(".snap.new"))
            .collect();
        let differing = self.differing;
        assert!(
            differing.is_empty() && orphans.is_empty(),
            "snapshots differ: {differing:?}; nothing was compared with {orphans:?}"
        );
    }
}

/// A customer's server: keeps the requests and gives the configured answers.
pub struct CustomerServer {
    pub url: String,
    told: std::sync::Arc<std::sync::Mutex<Vec<CustomerRequest>>>,
}

/// One request to a customer's server.
#[derive(Clone, Debug)]
pub struct CustomerRequest {
    pub path: String,
    pub headers: std::collections::HashMap<String, String>,
    pub text: String,
    pub body: Value,
}

/// Status, body, and how long it takes.
pub type CannedAnswer = (u16, String, Duration);

pub fn at_once(body: &Value) -> CannedAnswer {
    (200, body.to_string(), Duration::ZERO)
}

impl CustomerServer {
    pub async fn start(answer: impl Fn(&CustomerRequest) -> CannedAnswer + Send + Sync + 'static) -> Self {
        Self::start_at(std::net::Ipv4Addr::LOCALHOST, answer).await
    }

    /// At an address of loopback.
    pub async fn start_at(
        at: std::net::Ipv4Addr, answer: impl Fn(&CustomerRequest) -> CannedAnswer + Send + Sync + 'static,
    ) -> Self {
        use axum::body::Bytes;
        use axum::http::{HeaderMap, StatusCode, Uri};
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let (kept, answer) = (told.clone(), std::sync::Arc::new(answer));
        let handle = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let text = String::from_utf8_lossy(&body).into_owned();
            let headers = headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned())).collect();
            let body = serde_json::from_str(&text).unwrap_or_default();
            let one = CustomerRequest { path: uri.path().to_owned(), headers, text, body };
            let (status, text, wait) = answer(&one);
            kept.lock().unwrap().push(one);
            tokio::time::sleep(wait).await;
            (StatusCode::from_u16(status).unwrap(), text)
        };
        let listener = tokio::net::TcpListener::bind((at, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, told }
    }

    /// What came to a path so far.
    pub fn told(&self, path: &str) -> Vec<CustomerRequest> {
        self.told.lock().unwrap().iter().filter(|one| one.path == path).cloned().collect()
    }

    pub fn paths(&self) -> Vec<String> {
        self.all().into_iter().map(|one| one.path).collect()
    }

    pub fn all(&self) -> Vec<CustomerRequest> {
        self.told.lock().unwrap().clone()
    }

    /// Waits for as many to a path.
    pub async fn wait(&self, path: &str, count: usize) -> Vec<CustomerRequest> {
        let deadline = Instant::now() + Duration::from_secs(25);
        loop {
            let told = self.told(path);
            if told.len() >= count {
                return told;
            }
            assert!(Instant::now() < deadline, "{path} came {} times; {:?}", told.len(), self.paths());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits until something holds.
pub async fn until<F: Future<Output = Option<T>>, T>(what: &str, check: impl Fn() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(25);
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A user who is logged in with a separate browser.
pub struct LoggedInUser {
    http: reqwest::Client,
    base: String,
    pub cookie: String,
}

impl LoggedInUser {
    pub async fn log_in(server: &Server, email: &str, password: &str) -> Self {
        // A connection that has been idle may be closed by the server in the moment it is used again.
        let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(1)).build().unwrap();
        let base = format!("http://{}/api/v1", server.app.api_addr);
        let login = json!({"email": email, "password": password});
        let answer = http.post(format!("{base}/auth/login")).json(&login).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
        Self { http, base, cookie }
    }

    pub async fn owner(server: &Server) -> Self {
        Self::log_in(server, OWNER, PASSWORD).await
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let pair = self.cookie.split(';').next().unwrap();
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base)).header("cookie", pair)
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// What succeeded.
    pub async fn done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.send(method, path, body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer["data"].clone()
    }
}

/// Fields that say how long something took.
const TIMED: [&str; 22] = [
    "latency_ms",
    "oldest_turn_ms",
    "oldest_ms",
    "silent_ms",
    "recogniser_ms",
    "decision_ms",
    "model_ms",
    "sentence_ms",
    "voice_ms",
    "playout_ms",
    "last_voice_ms",
    "recogniser_final_ms",
    "decided_ms",
    "first_sentence_ms",
    "first_packet_ms",
    "started_at_ms",
    "ended_at_ms",
    "end_of_turn_ms",
    "first_audio_ms",
    "first_token_ms",
    "response_ms",
    "speech_ended_at_ms",
];

/// Fields whose figure is another one each time.
const COUNTED: [&str; 9] = [
    "queued",
    "duration_seconds",
    "seconds",
    "confidence",
    "port",
    "prompt_tokens",
    "completion_tokens",
    "calls",
    "cost",
];

/// Replaces what differs from run to run, so that the rest can be pinned.
pub struct SnapshotMask {
    /// Identifiers of the present text; the same one has the same name.
    ids: Vec<String>,
    host: String,
}

impl SnapshotMask {
    pub fn new(server: &Server) -> Self {
        Self { ids: Vec::new(), host: server.app.api_addr.to_string() }
    }

    pub fn clear(&mut self) {
        self.ids.clear();
    }

    pub fn path(&mut self, path: &str) -> String {
        path.split('/').map(|part| self.text(part)).collect::<Vec<_>>().join("/")
    }

    fn text(&mut self, text: &str) -> String {
        if text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() {
            let index = self.ids.iter().position(|id| id == text).unwrap_or_else(|| {
                self.ids.push(text.to_owned());
                self.ids.len() - 1
            });
            return format!("<id {}>", index + 1);
        }
        if text.len() == 24 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok() {
            return "<time>".to_owned();
        }
        for scheme in ["http", "ws"] {
            if let Some(rest) = text.strip_prefix(&format!("{scheme}://{}/", self.host)) {
                return format!("{scheme}://<host>/{}", self.path(rest));
            }
        }
        text.to_owned()
    }

    pub fn value(&mut self, name: &str, value: Value) -> Value {
        match value {
            Value::String(_) if name == "request_id" => json!("<request id>"),
            Value::String(_) if name == "sip_call_id" => json!("<sip call id>"),
            // Which fields there are is pinned, how long things took is not.
            Value::Number(_) if TIMED.contains(&name) => json!("<ms>"),
            Value::Number(_) if COUNTED.contains(&name) => json!("<number>"),
            Value::String(text) if ["key", "token", "invitation_token"].contains(&name) && text.len() > 20 => {
                json!("<secret>")
            }
            Value::String(text) if name == "prefix" && text.starts_with("va_") => json!("<start of the key>"),
            Value::String(text) if text.len() == 10 && text.starts_with("20") => json!("<day>"),
            Value::String(text) => json!(self.text(&text)),
            Value::Object(_) if name == "media" => json!("<figures of the media leg>"),
            Value::Array(items) => items.into_iter().map(|item| self.value(name, item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name.clone(), self.value(&name, value))).collect()
            }
            other => other,
        }
    }
}
