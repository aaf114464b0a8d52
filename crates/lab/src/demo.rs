//! `trunkline demo`: a server, emulated providers and real calls through loopback.

use crate::caller::report::CallReport;
use crate::caller::script::CallScript;
use crate::caller::softphone::{DialParams, Softphone};
use crate::caller_voice::CallerVoiceArgs;
use crate::emulator;
use crate::stop_signal;
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trunkline::api::DemoPhrase;
use trunkline::api::DemoSettings as ConsoleDemo;
use trunkline::app::{App, open_store};
use trunkline::config::{self, Config};
use trunkline::telemetry;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::password;
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::secret::Secret;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

const NUMBER: &str = "+31201234567";
const INBOUND: &str = "listen; say hello; listen; say where_is_my_order; listen; say order_number; interrupt wait_stop; listen; \
    say opening_hours; listen; say goodbye; listen";
const OUTBOUND: &str = "listen; say yes_correct; listen; say goodbye; listen";

/// What `trunkline demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Exit after the calls instead of keeping the server running.
    #[arg(long)]
    exit: bool,
    /// Use the real providers whose keys are in the environment (DEEPGRAM_API_KEY, OPENAI_API_KEY and,
    /// for the voice, ELEVENLABS_API_KEY).
    #[arg(long)]
    real_providers: bool,
    /// Voice of the agent: one of this machine, such as piper:joe. Without it the emulated, or the real provider's voice.
    #[arg(long)]
    voice: Option<String>,
    /// What the first caller says, for example with --real-providers: the emulated STT knows the built-in phrases only.
    #[arg(long)]
    caller: Option<String>,
    /// Voice of --caller.
    #[arg(long, default_value = "piper:joe")]
    caller_voice: String,
    /// Folder for database and recordings.
    #[arg(long, default_value = "data/demo")]
    folder: PathBuf,
    #[arg(long, default_value = "127.0.0.1:3008")]
    api: SocketAddr,
    #[arg(long, default_value = "127.0.0.1:5060")]
    sip: SocketAddr,
    /// Address for browsers' media (WebRTC).
    #[arg(long, default_value = "127.0.0.1:8189")]
    web: SocketAddr,
}

struct Demo {
    app: App,
    http: reqwest::Client,
    base: String,
    key: Secret,
    agent: String,
    /// Folder of speech models.
    models: PathBuf,
    /// The emulator lives as long as this.
    _emulator: Option<emulator::EmulatorHandle>,
}

/// Runs the demo: its calls, then the server until it is stopped.
///
/// # Errors
///
/// What could not be started, or went wrong in a call, for the person at the terminal.
pub async fn run(args: DemoArgs) -> Result<(), String> {
    let mut demo = start(&args).await?;
    let callee_line = SocketAddr::new(args.sip.ip(), 0);
    let (phone, mut incoming) =
        Softphone::open(callee_line, (54_000, 54_999)).await.map_err(|error| error.to_string())?;
    let agent = demo.set_up(phone.sip.local_udp()).await?;

    println!("\n── a call comes in for {NUMBER} ──");
    let dial = DialParams {
        to: Uri::sip(Some(NUMBER), &args.sip.ip().to_string(), Some(demo.app.services.sip.local_udp().port())),
        from: Uri::sip(Some("+15550100"), &args.sip.ip().to_string(), Some(phone.sip.local_udp().port())),
        transport: Transport::Udp,
        credentials: None,
        codecs: vec!["PCMU".into()],
    };
    let script = caller_script(&args, &demo.models).await?;
    let report = demo.watch(None, phone.dial(&dial, &script, None)).await?;
    show_report(&report);

    println!("\n── a task calls out ──");
    let body = json!({"agent_id": agent, "name": "Delivery check", "to_number": "+15550199",
        "description": "Ask whether the delivery address is still correct.",
        "starting_message": "Hello, this is Acme. Is your delivery address still correct?",
        "context_data": {"customer_name": "Jan"}});
    let task = demo.post("/tasks", &body).await?["task"]["id"].as_str().unwrap_or_default().to_owned();
    println!("POST /api/v1/tasks/{task}/execute");
    let call = demo.post(&format!("/tasks/{task}/execute"), &json!({})).await?["call_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let script = CallScript::parse(OUTBOUND)?;
    let answer = async {
        match tokio::time::timeout(Duration::from_secs(10), incoming.recv()).await {
            Ok(Some(call)) => phone.answer(call, &script, None).await,
            _ => CallReport { failure: Some("the phone never rang".to_owned()), ..CallReport::default() },
        }
    };
    let outbound = demo.watch(Some(call), answer).await?;
    show_report(&outbound);

    demo.show_end(&args).await?;
    if let Some(failure) = report.failure.or(outbound.failure) {
        return Err(failure);
    }
    if args.exit {
        demo.app.drain().await;
        return Ok(());
    }
    println!(
        "\nconsole: open http://{}/ and press \"Look around\"; one click calls the agent from the browser",
        demo.app.api_addr
    );
    println!("still running; press Ctrl-C to end");
    stop_signal().await;
    demo.app.drain().await;
    Ok(())
}

/// What the caller does: the usual conversation, or the text of `--caller`.
async fn caller_script(args: &DemoArgs, models: &Path) -> Result<CallScript, String> {
    let Some(text) = &args.caller else { return CallScript::parse(INBOUND) };
    let script = format!("listen; say \"{}\"; listen; say goodbye; listen", text.replace('"', ""));
    let voice = CallerVoiceArgs::new(&args.caller_voice, models);
    CallScript::parse_spoken(&script, &voice.speak(CallScript::texts(&script)).await?)
}

/// The address, or another port of it where something else listens already.
fn free(wanted: SocketAddr, what: &str) -> SocketAddr {
    let taken = std::net::TcpListener::bind(wanted).is_err() || std::net::UdpSocket::bind(wanted).is_err();
    if taken {
        println!("{wanted} is in use: using another port for the {what}");
        return SocketAddr::new(wanted.ip(), 0);
    }
    wanted
}

fn settings(args: &DemoArgs) -> Config {
    let mut config = config::load(None, false, std::env::vars()).unwrap_or_default();
    if !args.real_providers {
        config = Config::default();
    }
    // The demo's webhooks and secrets stay on this machine.
    config.webhooks.allow_private = true;
    if config.secrets.master_key.is_empty() {
        config.secrets.master_key = format!("{:032x}", rand::random::<u128>()).into();
    }
    config.log.filter = "warn".to_owned();
    config.api.listen = free(args.api, "API");
    config.sip.listen = free(args.sip, "SIP");
    config.webrtc.listen = free(args.web, "port of browsers");
    config.webrtc.advertised_addresses.clear();
    config.database.url = format!("sqlite://{}/trunkline.db", args.folder.display()).into();
    config.providers.local.phrases_folder = args.folder.join("phrases").display().to_string();
    config.recordings.folder = args.folder.join("recordings").display().to_string();
    config
}

/// Starts the emulated providers, and has the settings lead to them.
async fn emulate_providers(config: &mut Config) -> Result<emulator::EmulatorHandle, String> {
    let settings = emulator::EmulatorSettings {
        espeak: Some(config.providers.local.program.clone()),
        ..emulator::EmulatorSettings::default()
    };
    let running =
        emulator::start(SocketAddr::from(([127, 0, 0, 1], 0)), settings).await.map_err(|error| error.to_string())?;
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        let provider = config.providers.account_mut(*account);
        provider.base_url = running.address_of(account.name());
        provider.api_key = Some("emulated".into());
    }
    println!("providers     emulated on {}", running.base_url());
    Ok(running)
}

async fn start(args: &DemoArgs) -> Result<Demo, String> {
    let mut config = settings(args);
    telemetry::log::start(&config.log)?;
    let running = if args.real_providers { None } else { Some(emulate_providers(&mut config).await?) };
    // The first organization is made before the server opens the database.
    let store = open_store(config.database.url.expose()).await.map_err(|error| error.to_string())?;
    let email = format!("owner-{:08x}@example.com", rand::random::<u32>());
    let word = format!("{:016x}", rand::random::<u64>());
    let hash = password::hash(&word)?;
    let made = store.bootstrap("Demo", &email, &hash).await.map_err(|error| error.to_string())?;
    let prometheus = telemetry::metrics::install().map_err(|error| error.to_string())?;
    let agent = first_agent(args, &config);
    let agent: AgentFields = serde_json::from_value(agent).map_err(|error| error.to_string())?;
    let agent = store.create_agent(made.scope, agent).await.map_err(|error| error.to_string())?;
    store.close().await;
    let shown = ConsoleDemo {
        email: email.clone(),
        password: word.clone().into(),
        scope: made.scope,
        agent: agent.id,
        // The emulated STT recognises only these; real STT recognises them too.
        phrases: phrases()?,
    };
    let app = App::start_with(&config, prometheus, Some(shown)).await.map_err(|error| error.to_string())?;
    println!("console       http://{}/", app.api_addr);
    println!("API           http://{}/api/v1", app.api_addr);
    println!("SIP           {} (UDP and TCP)", app.services.sip.local_udp());
    println!("organization  {}", made.scope.organization());
    println!("owner         {email}, password {word}");
    println!("API key       {}", made.key.text.expose());
    let base = format!("http://{}/api/v1", app.api_addr);
    let agent = agent.id.to_string();
    let models = PathBuf::from(config.providers.local.models_folder.clone());
    Ok(Demo { app, http: reqwest::Client::new(), base, key: made.key.text, agent, models, _emulator: running })
}

/// Who answers.
fn first_agent(args: &DemoArgs, config: &Config) -> Value {
    let voice = if let Some(voice) = &args.voice {
        json!({"provider": "local", "voice_id": voice, "language": "en"})
    } else if args.real_providers && config.providers.elevenlabs.api_key.is_none() {
        json!({"provider": "openai", "voice_id": "alloy", "language": "en"})
    } else {
        json!({"provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM", "language": "en"})
    };
    json!({
        "name": "Acme support", "business_name": "Acme",
        "system_prompt": "You are the telephone agent of Acme, a web shop. Be brief. End the call when the caller says goodbye.",
        "first_message": "Good morning, this is Acme. How can I help you?",
        "stt_config": {"provider": "deepgram", "model": "nova-3-general", "language": "en"},
        "llm_config": {"provider": "openai", "model": "gpt-4o-mini", "temperature": 0.3},
        "tts_config": voice,
    })
}

/// Phrases that a caller of this agent may say.
const SAYABLE: &[&str] =
    &["hello", "where_is_my_order", "order_number", "opening_hours", "wait_stop", "no_thank_you", "goodbye"];

/// As the console offers them.
pub fn phrases() -> Result<Vec<DemoPhrase>, String> {
    let all = emulator::fixture_phrases().into_iter().filter(|phrase| SAYABLE.contains(&phrase.name.as_str()));
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    all.map(|phrase| {
        let mut sound = std::io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut sound, spec).map_err(|error| error.to_string())?;
        for sample in &phrase.samples {
            writer.write_sample(*sample).map_err(|error| error.to_string())?;
        }
        writer.finalize().map_err(|error| error.to_string())?;
        Ok(DemoPhrase { name: phrase.name, text: phrase.text, sound: sound.into_inner() })
    })
    .collect()
}

impl Demo {
    async fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let response =
            self.http.post(format!("{}{path}", self.base)).bearer_auth(self.key.expose()).json(body).send().await;
        Self::data(response).await
    }

    async fn get(&self, path: &str) -> Result<Value, String> {
        let response = self.http.get(format!("{}{path}", self.base)).bearer_auth(self.key.expose()).send().await;
        Self::data(response).await
    }

    async fn data(response: Result<reqwest::Response, reqwest::Error>) -> Result<Value, String> {
        let body: Value =
            response.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
        match body["success"].as_bool() {
            Some(true) => Ok(body["data"].clone()),
            _ => Err(body["error"].as_str().unwrap_or("no answer").to_owned()),
        }
    }

    /// Trunk and number through the API, as a customer would. Returns the agent.
    async fn set_up(&mut self, callee: SocketAddr) -> Result<String, String> {
        let agent = self.agent.clone();
        let trunk = json!({"name": "Loopback", "host": callee.ip().to_string(), "port": callee.port(),
            "allowed_addresses": [callee.ip().to_string()]});
        let trunk = self.post("/trunks", &trunk).await?["trunk"]["id"].clone();
        let number = json!({"number": NUMBER, "agent_id": agent, "trunk_id": trunk});
        if let Err(error) = self.post("/phone-numbers", &number).await {
            return Err(format!(
                "{error} (an earlier demo's database? remove its folder or name another with --folder)"
            ));
        }
        println!("agent         {agent}\nnumber        {NUMBER}");
        Ok(agent)
    }

    /// Prints a call's transcript while it grows.
    async fn watch(
        &self, call: Option<String>, report: impl Future<Output = CallReport>,
    ) -> Result<CallReport, String> {
        let mut report = std::pin::pin!(report);
        let mut printed = 0;
        let mut id = call;
        loop {
            let done = tokio::select! {
                report = &mut report => Some(report),
                () = tokio::time::sleep(Duration::from_millis(250)) => None,
            };
            if done.is_some() {
                // The last turn is written when the call has ended.
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            if id.is_none() {
                id = self.get("/calls?limit=1").await?["calls"][0]["id"].as_str().map(str::to_owned);
            }
            if let Some(id) = &id {
                printed = self.print_turns(id, printed, done.is_some()).await?;
            }
            if let Some(report) = done {
                return Ok(report);
            }
        }
    }

    /// Turns that cannot grow any more: all but the last, and the last at the end.
    async fn print_turns(&self, id: &str, printed: usize, all: bool) -> Result<usize, String> {
        let call = self.get(&format!("/calls/{id}")).await?["call"].clone();
        let turns = call["transcript"].as_array().cloned().unwrap_or_default();
        let until = if all { turns.len() } else { turns.len().saturating_sub(1) };
        for turn in turns.iter().take(until).skip(printed) {
            let at = turn["started_at_ms"].as_f64().unwrap_or(0.0) / 1_000.0;
            let mark = if turn["interrupted"] == json!(true) { "  ← interrupted" } else { "" };
            println!(
                "{at:7.2}s  {:9}  {}{mark}",
                turn["role"].as_str().unwrap_or(""),
                turn["content"].as_str().unwrap_or("")
            );
        }
        Ok(printed.max(until))
    }

    async fn show_end(&self, args: &DemoArgs) -> Result<(), String> {
        let calls = self.get("/calls?limit=2").await?;
        println!("\n── what is stored ──");
        for call in calls["calls"].as_array().into_iter().flatten() {
            let id = call["id"].as_str().unwrap_or("");
            let path = args
                .folder
                .join("recordings")
                .join(call["organization_id"].as_str().unwrap_or(""))
                .join(format!("{id}.wav"));
            println!(
                "{}  {}  {}  {}",
                call["direction"].as_str().unwrap_or(""),
                call["status"].as_str().unwrap_or(""),
                call["end_reason"].as_str().unwrap_or(""),
                path.display()
            );
        }
        let id = calls["calls"][0]["id"].as_str().unwrap_or("");
        println!("\n── next steps ──");
        println!("curl -H 'Authorization: Bearer {}' {}/agents", self.key.expose(), self.base);
        println!("curl -H 'Authorization: Bearer {}' {}/calls/{id}", self.key.expose(), self.base);
        println!(
            "curl -H 'Authorization: Bearer {}' {}/calls/{id}/recording/stream -o call.wav",
            self.key.expose(),
            self.base
        );
        Ok(())
    }
}

fn show_report(report: &CallReport) {
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.0}")).collect::<Vec<_>>().join(", ");
    if let Some(setup) = report.setup_ms {
        println!("set-up        {setup:.1} ms (INVITE to 200)");
    }
    println!("responses     {} ms (caller's last sound to agent's first)", list(&report.responses_ms));
    if !report.barge_ins_ms.is_empty() {
        println!("barge-in      {} ms (caller's first sound to agent's last)", list(&report.barge_ins_ms));
    }
    println!(
        "heard         {:.1} s at {:.0} dBFS, {} of {} packets lost",
        report.heard_seconds,
        report.level_dbfs,
        report.packets_lost,
        report.packets_received + report.packets_lost
    );
}
