//! The process dies in mid-call and comes back, or is asked to stop and does.

use super::support::{NUMBER, agent, delays, exited, free_port, loopback, poll, program, until};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use trunkline_lab::caller::script::CallScript;
use trunkline_lab::caller::softphone::{DialParams, Softphone};
use trunkline_lab::emulator;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

/// Ends the server with the test.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Installation {
    pub settings: Vec<(String, String)>,
    pub api: String,
    pub key: String,
    /// Of its owner.
    pub password: String,
    pub http: reqwest::Client,
}

impl Installation {
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program());
        command.arg(name).envs(self.settings.iter().cloned()).stdin(Stdio::null());
        command
    }

    pub async fn serve(&self) -> Process {
        let process = Process(self.command("serve").stderr(Stdio::null()).spawn().unwrap());
        let health = format!("{}/health", self.api);
        until("the start of the server", async || self.http.get(&health).send().await.ok().map(drop)).await;
        process
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let mut request =
            self.http.request(method.parse().unwrap(), format!("{}{path}", self.api)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap().json::<Value>().await.unwrap()["data"].clone()
    }
}

pub fn install(folder: &std::path::Path, base: &str, database: &str, api: u16, sip: u16) -> Installation {
    let settings: Vec<(String, String)> = [
        ("API__LISTEN", format!("127.0.0.1:{api}")),
        ("API__RATE_LIMIT_PER_MINUTE", "1000000".into()),
        ("QUOTAS__REQUESTS_PER_MINUTE", "1000000".into()),
        ("SIP__LISTEN", format!("127.0.0.1:{sip}")),
        ("WEBRTC__LISTEN", "127.0.0.1:0".into()),
        ("DATABASE__URL", database.into()),
        ("RECORDINGS__FOLDER", folder.join("recordings").display().to_string()),
        ("NODE__NAME", "first".into()),
        ("MEDIA__PORT_FIRST", "20000".into()),
        ("MEDIA__PORT_LAST", "39999".into()),
        ("PROVIDERS__DEEPGRAM__BASE_URL", base.into()),
        ("PROVIDERS__DEEPGRAM__API_KEY", "k".into()),
        ("PROVIDERS__OPENAI__BASE_URL", format!("{base}/v1")),
        ("PROVIDERS__OPENAI__API_KEY", "k".into()),
        ("PROVIDERS__ELEVENLABS__BASE_URL", base.into()),
        ("PROVIDERS__ELEVENLABS__API_KEY", "k".into()),
    ]
    .into_iter()
    .map(|(name, value)| (format!("TRUNKLINE_{name}"), value))
    .collect();
    let api = format!("http://127.0.0.1:{api}/api/v1");
    let http = reqwest::Client::builder().pool_idle_timeout(Duration::from_secs(1)).build().unwrap();
    let mut installation = Installation { settings, api, key: String::new(), password: String::new(), http };
    let output =
        installation.command("bootstrap").args(["--organization", "T", "--email", "t@example.com"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
    (installation.key, installation.password) = (line("API key"), line("password"));
    installation
}

/// A running installation with one agent, and how to call it.
struct CrashSetup {
    installation: Installation,
    process: Process,
    phone: Softphone,
    dial: DialParams,
    folder: tempfile::TempDir,
    _emulator: emulator::EmulatorHandle,
}

async fn line() -> CrashSetup {
    let settings =
        emulator::EmulatorSettings { delays: delays(), espeak: Some("espeak-ng".into()), ..Default::default() };
    let emulator = emulator::start(loopback(0), settings).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sip = free_port();
    let database = super::support::database_url(folder.path()).await;
    let installation = install(folder.path(), &emulator.base_url(), &database, free_port(), sip);
    let process = installation.serve().await;
    let trunk = json!({"name": "L", "allowed_addresses": ["127.0.0.1"]});
    let trunk = installation.call("POST", "/trunks", Some(trunk)).await["trunk"]["id"].clone();
    let made = installation.call("POST", "/agents", Some(agent())).await["agent"]["id"].clone();
    let number = json!({"number": NUMBER, "agent_id": made, "trunk_id": trunk});
    installation.call("POST", "/phone-numbers", Some(number)).await;

    let (phone, _) = Softphone::open(loopback(0), (40_000, 49_999)).await.unwrap();
    let dial = DialParams {
        to: Uri::sip(Some(NUMBER), "127.0.0.1", Some(sip)),
        from: Uri::sip(Some("+15550100"), "127.0.0.1", Some(phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    CrashSetup { installation, process, phone, dial, folder, _emulator: emulator }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_cut_by_sigkill_are_failed_with_their_transcript_and_recording() {
    let CrashSetup { installation, mut process, phone, dial, folder, _emulator } = line().await;
    let script = CallScript::parse("listen; say hello; listen; pause 60000").unwrap();
    tokio::select! {
        report = phone.dial(&dial, &script, None) => panic!("the call ended early: {report:?}"),
        () = async {
            // The second answer is on disk: the server dies now.
            until("the second answer", async || {
                let calls = installation.call("GET", "/calls", None).await;
                let id = calls["calls"][0]["id"].as_str()?;
                let call = installation.call("GET", &format!("/calls/{id}"), None).await;
                (call["call"]["transcript"].as_array()?.len() >= 3).then_some(())
            })
            .await;
        } => {}
    }
    process.0.kill().unwrap(); // SIGKILL
    process.0.wait().unwrap();

    let _process = installation.serve().await;
    let calls = installation.call("GET", "/calls", None).await;
    let call = &calls["calls"][0];
    assert_eq!((&call["status"], &call["end_reason"]), (&json!("failed"), &json!("server_crash")));
    let id = call["id"].as_str().unwrap();
    let whole = installation.call("GET", &format!("/calls/{id}"), None).await;
    assert_eq!(whole["call"]["transcript"][1]["content"], json!("Hello, good morning."));
    let organization = call["organization_id"].as_str().unwrap();
    let path = folder.path().join(format!("recordings/{organization}/{id}.wav"));
    let reader = hound::WavReader::open(path).unwrap();
    assert!(reader.duration() > 2 * 8_000, "{} samples are playable", reader.duration());
    assert_eq!(call["recording_available"], json!(true));
}

/// Asks a process to stop, as a service manager does.
pub fn terminate(process: &Process) {
    use nix::sys::signal::{Signal, kill};
    kill(nix::unistd::Pid::from_raw(process.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_calls_finish_and_takes_no_new_ones() {
    let CrashSetup { installation, mut process, phone, dial, folder: _folder, _emulator } = line().await;
    let script = CallScript::parse("listen; say hello; listen; say goodbye; listen").unwrap();
    let call = phone.dial(&dial, &script, None);
    let stop = async {
        until("a call that goes on", async || {
            let calls = installation.call("GET", "/calls", None).await;
            (calls["calls"][0]["status"] == json!("in_progress")).then_some(())
        })
        .await;
        terminate(&process);
        // The new call is turned away while the first one goes on.
        poll(Duration::from_secs(5), "a refusal", async || {
            let second = phone.dial(&dial, &CallScript::parse("hangup").unwrap(), None).await;
            let is_refused = second.failure.as_deref().is_some_and(|why| why.contains("status: 503"));
            if is_refused { Ok(()) } else { Err(format!("{second:?}")) }
        })
        .await;
    };
    let (report, ()) = tokio::join!(call, stop);
    assert!(report.failure.is_none() && report.ended_by_agent, "{report:?}");
    assert!(exited("the server after its last call", &mut process.0).await.success());
    let _process = installation.serve().await;
    let calls = installation.call("GET", "/calls", None).await;
    let first = calls["calls"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&first["status"], &first["end_reason"]), (&json!("completed"), &json!("agent_hung_up")));
}
