//! A server, its emulator and a phone for one test.

mod customer_server;
mod log_watch;
mod logged_in_user;
mod polling;
mod snapshots;

pub use customer_server::{CannedAnswer, CustomerRequest, CustomerServer, at_once};
pub use log_watch::{watch_log, watched_log};
pub use logged_in_user::LoggedInUser;
pub use polling::{PATIENCE, exited, peer_takes, poll, stays, until};
pub use snapshots::{SnapshotFolder, SnapshotMask};

use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trunkline::app::{App, AppExtras};
use trunkline::config::{Config, ProviderTimeoutsConfig, StageTimeoutsConfig};
use trunkline::domain::provider::ProviderAccount;
use trunkline_lab::caller::report::CallReport;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, Softphone};
use trunkline_lab::emulator::{self, Delays};
use trunkline_local_speech::models::MOONSHINE_TINY_EN;
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
    /// Address of its database.
    pub database: String,
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

/// Everything that the server writes beside its database.
fn keep_in(folder: &Path, config: &mut Config) {
    let path = |name| folder.join(name).display().to_string();
    config.recordings.folder = path("recordings");
    let local = &mut config.providers.local;
    (local.phrases_folder, local.models_folder) = (path("phrases"), path("models"));
}

/// In the settings: the organization of the test runs the server.
pub fn invalid_operator() -> trunkline::domain::ids::OrganizationId {
    trunkline::domain::ids::OrganizationId::parse("00000000-0000-0000-0000-000000000000").unwrap()
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
        Self::start_on(delays(), script, change, None).await
    }

    /// With providers that take their time.
    pub async fn start_slow(delays: Delays) -> Self {
        Self::start_on(delays, emulator::ReplyScript::default(), |_| {}, None).await
    }

    /// With what a demo shows in its console.
    pub async fn start_demo() -> Self {
        Self::start_demo_of(agent(), Vec::new(), |_| {}).await
    }

    /// The same with another agent, and with what it may be asked.
    pub async fn start_demo_of(
        agent: Value, examples: Vec<trunkline::api::DemoPhrase>, change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start_on(delays(), emulator::ReplyScript::default(), change, Some((agent, examples))).await
    }

    async fn start_on(
        delays: Delays, script: emulator::ReplyScript, change: impl FnOnce(&mut Config),
        demo: Option<(Value, Vec<trunkline::api::DemoPhrase>)>,
    ) -> Self {
        let settings = emulator::EmulatorSettings { delays, espeak: Some("espeak-ng".into()), script };
        let emulator = emulator::start(loopback(0), settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.api.listen = loopback(0);
        config.api.rate_limit_per_minute = 1_000_000; // tests poll
        (config.sip.listen, config.webrtc.listen) = (loopback(0), loopback(0));
        config.api.public_rate_limit_per_minute = 1_000_000;
        config.quotas.requests_per_minute = 10_000_000;
        (config.media.port_first, config.media.port_last) = (20_000, 39_999);
        config.database.url = database_url(folder.path()).await.into();
        keep_in(folder.path(), &mut config);
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
        let (made, demo) = Self::bootstrap(&mut config, demo).await;
        let machine = Some(trunkline_doctor::machine_examiner(&config));
        let app = App::start_with(&config, metrics(), AppExtras { demo, machine }).await.unwrap();
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
            database: config.database.url.expose().to_owned(),
            trunk: String::new(),
            agent: String::new(),
            _no_panics: NoPanics,
        };
        server.set_up().await;
        server
    }

    /// The organization of the test, and the demo's agent in it.
    async fn bootstrap(
        config: &mut Config, demo: Option<(Value, Vec<trunkline::api::DemoPhrase>)>,
    ) -> (trunkline::store::Bootstrapped, Option<trunkline::api::DemoSettings>) {
        let store = trunkline::app::open_store(config.database.url.expose()).await.unwrap();
        let hash = trunkline::domain::password::hash(PASSWORD).unwrap();
        let made = store.bootstrap("Test", OWNER, &hash).await.unwrap();
        // Nobody knows the id before.
        if config.api.operator_organization == Some(invalid_operator()) {
            config.api.operator_organization = Some(made.scope.organization());
        }
        let demo = match demo {
            Some((agent, examples)) => {
                let agent = store.create_agent(made.scope, serde_json::from_value(agent).unwrap()).await.unwrap();
                let phrases = trunkline_lab::demo::phrases().unwrap();
                let (email, password) = (OWNER.to_owned(), PASSWORD.into());
                let (scope, agent) = (made.scope, agent.id);
                Some(trunkline::api::DemoSettings { email, password, scope, agent, phrases, examples })
            }
            None => None,
        };
        store.close().await;
        (made, demo)
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
        let id = poll(PATIENCE, "the end of the call", async || {
            let calls = self.get("/calls?limit=1").await;
            let call = &calls["calls"][0];
            let is_over = matches!(call["status"].as_str(), Some("completed" | "failed"));
            if is_over { Ok(call["id"].as_str().unwrap().to_owned()) } else { Err(calls.to_string()) }
        })
        .await;
        self.get(&format!("/calls/{id}")).await["call"].clone()
    }

    /// The id of the first call that goes on.
    pub async fn live_call(&self) -> String {
        poll(PATIENCE, "a call that goes on", async || {
            let calls = self.get("/calls?status=in_progress").await;
            calls["calls"][0]["id"].as_str().map(str::to_owned).ok_or_else(|| calls.to_string())
        })
        .await
    }

    /// Waits until a call has its recording and returns it as caller and agent samples.
    pub async fn recording(&self, id: &str) -> (Vec<i16>, Vec<i16>) {
        until("a recording", async || {
            let call = self.get(&format!("/calls/{id}")).await["call"].clone();
            (call["recording_available"] == json!(true)).then_some(())
        })
        .await;
        let url = self.url(&format!("/calls/{id}/recording/stream"));
        let bytes = self.http.get(url).bearer_auth(&self.key).send().await.unwrap().bytes().await.unwrap();
        let mut reader = hound::WavReader::new(std::io::Cursor::new(bytes)).unwrap();
        let samples: Vec<i16> = reader.samples::<i16>().map(Result::unwrap).collect();
        (samples.iter().step_by(2).copied().collect(), samples.iter().skip(1).step_by(2).copied().collect())
    }
}

/// The folder of speech models, where `make deps` has put them; says what is missing otherwise.
#[expect(clippy::print_stderr, reason = "says what it skips")]
pub fn speech_models() -> Option<PathBuf> {
    let folder = std::env::var_os("TRUNKLINE_TEST_MODELS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/models"));
    let state = MOONSHINE_TINY_EN.glance(&folder);
    if let Some(advice) = state.advice(&MOONSHINE_TINY_EN) {
        eprintln!("skipped: {advice} (make deps-models does it for tests)");
        return None;
    }
    Some(folder)
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
