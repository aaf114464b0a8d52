//! `trunkline demo`: a server, an agent that hears and speaks on this machine or on emulated providers, and real calls
//! through loopback.

mod agents;
mod calls;
mod orders;
mod phrases;
mod report;
mod second_phone;
mod server;
#[cfg(test)]
mod tests;

pub use agents::{ShopPlaces, shop};
pub use phrases::recorded as phrases;

use crate::caller::report::CallReport;
use crate::caller::script::{CallScript, SpokenTexts};
use crate::caller::softphone::{DialParams, Softphone};
use crate::caller_voice::CallerVoiceArgs;
use crate::emulator;
use crate::stop_signal;
use calls::{DemoCalls, InboundCall};
use clap::Args;
use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use report::{show_report, show_stored};
use serde_json::{Value, json};
use server::{DemoServer, Printing, WatchedCall};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline::api::{DemoPhrase, DemoSettings as ConsoleDemo};
use trunkline::app::{App, AppExtras, open_store};
use trunkline::config::{self, Config};
use trunkline::telemetry;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::password;
use trunkline_domain::provider::ProviderAccount;
use trunkline_local_speech::io::model_files::ModelState;
use trunkline_local_speech::models::{MOONSHINE_TINY_EN, PIPER_JOE};
use trunkline_signaling::io::driver::IncomingCall;
use trunkline_signaling::sip::message::Uri;
use trunkline_signaling::sip::user_agent::Transport;

const NUMBER: &str = "+31201234567";
/// Voice of the agent that hears and speaks on this machine.
const VOICE: &str = "piper:joe";
/// Voice of its callers, unless one is named.
const CALLER_VOICE: &str = "piper:joe";
/// Voice of the callers where theirs cannot speak.
const STAND_IN: &str = "en-us+m3";
/// Voice of the second phone: a woman's, of espeak-ng, so that it is told from the agent.
const SECOND_VOICE: &str = "en-us+f3";

/// Calls that the demo's phone holds at once.
const ANSWERED_MAX: usize = 20;

/// The database, in the demo's folder.
const DATABASE: &str = "trunkline.db";
/// How many demos' folders are looked at, for one without a database.
const MAX_FOLDERS: u32 = 1000;

/// What `trunkline demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Exit after the calls instead of keeping the server running.
    #[arg(long)]
    exit: bool,
    /// Use emulated providers, whose STT knows recorded phrases only, although there are speech models.
    #[arg(long, conflicts_with = "real_providers")]
    emulated: bool,
    /// Use the real providers whose keys are in the environment (DEEPGRAM_API_KEY, OPENAI_API_KEY and,
    /// for the voice, ELEVENLABS_API_KEY).
    #[arg(long)]
    real_providers: bool,
    /// Voice of the agent: one of this machine, such as piper:joe or en-us+f3. Default: piper:joe with speech models,
    /// otherwise the emulated or the real provider's.
    #[arg(long)]
    voice: Option<String>,
    /// What the first caller says. The emulated STT understands the built-in phrases only.
    #[arg(long)]
    caller: Option<String>,
    /// Voice of the callers: piper:joe, flite:slt, or one of espeak-ng.
    #[arg(long, default_value = CALLER_VOICE)]
    caller_voice: String,
    /// Folder of the models that `trunkline models fetch` gets. Default: that of the settings.
    #[arg(long)]
    models: Option<PathBuf>,
    /// Folder for database and recordings. Where an earlier demo has left its own, a new folder beside it.
    #[arg(long, default_value = "data/demo")]
    folder: PathBuf,
    #[arg(long, default_value = "127.0.0.1:3008")]
    api: SocketAddr,
    #[arg(long, default_value = "127.0.0.1:5060")]
    sip: SocketAddr,
    /// Address for browsers' media (WebRTC).
    #[arg(long, default_value = "127.0.0.1:8189")]
    web: SocketAddr,
    /// Make the calls at the same time.
    #[arg(long, hide = true)]
    at_once: bool,
}

/// What the demo's agent hears, thinks and speaks with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DemoProviders {
    /// Speech of this machine, and rules.
    Local,
    /// Emulated vendors.
    Emulated,
    /// Vendors whose keys are in the environment.
    Real,
}

impl DemoProviders {
    /// Without speech models everything is emulated; it says so.
    fn choose(args: &DemoArgs, config: &Config) -> Self {
        if args.real_providers {
            return Self::Real;
        }
        if args.emulated {
            return Self::Emulated;
        }
        let folder = PathBuf::from(&config.providers.local.models_folder);
        if let Some(why) = MOONSHINE_TINY_EN.glance(&folder).advice(&MOONSHINE_TINY_EN) {
            println!("speech        {why}");
            println!(
                "              Until then the STT is emulated: the agent understands a few recorded phrases and nothing else."
            );
            println!(
                "              `make models` gets the speech models into {}; then `make demo` uses them.",
                folder.display()
            );
            return Self::Emulated;
        }
        println!("speech        on this machine: moonshine-tiny-en hears, rules answer (examples/shop_flow.json)");
        if PIPER_JOE.glance(&folder) != ModelState::Present {
            println!(
                "              The voice {} is not in {}: espeak-ng speaks in its place.",
                PIPER_JOE.name,
                folder.display()
            );
        }
        Self::Local
    }
}

/// What is made before the server starts.
struct Cast {
    /// The agents; the last one takes the calls, the first one calls out.
    agents: Vec<Value>,
    /// What callers may say without a microphone; none where they have recorded phrases only.
    examples: Vec<DemoPhrase>,
    calls: DemoCalls,
    spoken: SpokenTexts,
}

struct Demo {
    server: DemoServer,
    /// Calls in and out.
    phone: Softphone,
    calls: DemoCalls,
    spoken: SpokenTexts,
    /// Makes the calls of tasks.
    caller: String,
    /// The emulator lives as long as this.
    _emulator: Option<emulator::EmulatorHandle>,
}

/// Runs the demo: its calls, then the server until it is stopped.
///
/// # Errors
///
/// What could not be started, or went wrong in a call, for the person at the terminal.
pub async fn run(mut args: DemoArgs) -> Result<(), String> {
    let folder = unused(&args.folder, |folder| folder.join(DATABASE).exists());
    if folder != args.folder {
        println!("{} has an earlier demo, which stays: this one is in {}", args.folder.display(), folder.display());
        args.folder = folder;
    }
    // As long as the demo runs: the phone rings for who calls it later.
    let (demo, mut incoming) = start(&args).await?;
    let calls = &mut incoming;
    let reports = if args.at_once { demo.call_at_once(calls).await? } else { demo.call(calls).await? };
    demo.show_end(&args, reports.len()).await?;
    if let Some(failure) = reports.into_iter().find_map(|report| report.failure) {
        return Err(failure);
    }
    if !args.exit {
        println!(
            "\nconsole: open http://{}/ and press \"Look around\"; one click calls the agent from the browser",
            demo.server.app.api_addr
        );
        println!("still running; press Ctrl-C to end");
        tokio::select! {
            () = stop_signal() => {}
            () = demo.answer_calls(&mut incoming) => {}
        }
    }
    demo.server.app.drain().await;
    Ok(())
}

/// The folder, or the first one beside it without an earlier demo's database: `demo-2`, `demo-3` and so on.
fn unused(wanted: &Path, is_used: impl Fn(&Path) -> bool) -> PathBuf {
    let name = wanted.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let others = (2..=MAX_FOLDERS).map(|number| wanted.with_file_name(format!("{name}-{number}")));
    std::iter::once(wanted.to_owned())
        .chain(others)
        .find(|folder| !is_used(folder))
        .unwrap_or_else(|| wanted.to_owned())
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
    let own = config::load(None, false, std::env::vars()).unwrap_or_default();
    let models = args.models.as_ref().map(|folder| folder.display().to_string());
    let models = models.unwrap_or_else(|| own.providers.local.models_folder.clone());
    let mut config = if args.real_providers { own } else { Config::default() };
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
    config.database.url = format!("sqlite://{}", args.folder.join(DATABASE).display()).into();
    config.providers.local.phrases_folder = args.folder.join("phrases").display().to_string();
    config.providers.local.models_folder = models;
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

/// Phones and web servers of the demo are where SIP is.
fn here(args: &DemoArgs) -> IpAddr {
    let address = args.sip.ip();
    if address.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address }
}

/// The sounds of the texts, half of them by each of two workers; another voice of this machine speaks where this one
/// cannot.
async fn speak(callers: &CallerVoiceArgs, stand_in: &CallerVoiceArgs, texts: Vec<&str>) -> Result<SpokenTexts, String> {
    let (first, second) = texts.split_at(texts.len() / 2);
    match tokio::try_join!(callers.speak(first.to_vec()), callers.speak(second.to_vec())) {
        Ok((first, second)) => Ok(first.into_iter().chain(second).collect()),
        Err(why) => {
            println!("              {why}: {STAND_IN} says them");
            stand_in.speak(texts).await
        }
    }
}

/// Who takes part.
async fn cast(args: &DemoArgs, config: &Config, providers: DemoProviders) -> Result<Cast, String> {
    let mut calls = if providers == DemoProviders::Local { DemoCalls::free() } else { DemoCalls::recorded() };
    if let Some(text) = &args.caller {
        calls = calls.with_caller(text);
    }
    let voice = |name: &str| CallerVoiceArgs::new(name, config.providers.local.models_folder.as_ref());
    let callers = voice(&args.caller_voice);
    if providers != DemoProviders::Local {
        let has_elevenlabs = providers == DemoProviders::Emulated || config.providers.elevenlabs.api_key.is_some();
        let agents = vec![agents::support(args.voice.as_deref(), has_elevenlabs)];
        let spoken = callers.speak(calls.texts()).await?;
        return Ok(Cast { agents, examples: Vec::new(), calls, spoken });
    }
    println!("              {} says the words of the callers …", args.caller_voice);
    let texts = calls.texts().into_iter().chain(phrases::EXAMPLES.iter().copied()).collect();
    let spoken = speak(&callers, &voice(STAND_IN), texts).await?;
    let agent_voice = args.voice.as_deref().unwrap_or(VOICE);
    let second_phone = second_phone::open(here(args), &voice(SECOND_VOICE).speak(second_phone::texts()).await?).await?;
    let orders = orders::start(here(args)).await.map_err(|error| error.to_string())?;
    let shop = agents::shop(agents::ShopPlaces { orders, second_phone, voice: agent_voice })?;
    let examples = phrases::examples(&spoken)?;
    Ok(Cast { agents: vec![agents::delivery_check(agent_voice), shop], examples, calls, spoken })
}

async fn start(args: &DemoArgs) -> Result<(Demo, mpsc::Receiver<IncomingCall>), String> {
    let mut config = settings(args);
    telemetry::log::start(&config.log)?;
    let providers = DemoProviders::choose(args, &config);
    let emulator = match providers {
        DemoProviders::Real => None,
        DemoProviders::Local | DemoProviders::Emulated => Some(emulate_providers(&mut config).await?),
    };
    let Cast { agents, examples, calls, spoken } = cast(args, &config, providers).await?;
    // The first organization is made before the server opens the database.
    let store = open_store(config.database.url.expose()).await.map_err(|error| error.to_string())?;
    let email = format!("owner-{:08x}@example.com", rand::random::<u32>());
    let word = format!("{:016x}", rand::random::<u64>());
    let hash = password::hash(&word)?;
    let made = store.bootstrap("Demo", &email, &hash).await.map_err(|error| error.to_string())?;
    let prometheus = telemetry::metrics::install().map_err(|error| error.to_string())?;
    let mut ids = Vec::new();
    for agent in agents {
        let agent: AgentFields = serde_json::from_value(agent).map_err(|error| error.to_string())?;
        ids.push(store.create_agent(made.scope, agent).await.map_err(|error| error.to_string())?.id);
    }
    store.close().await;
    let (Some(caller), Some(agent)) = (ids.first().copied(), ids.last().copied()) else {
        return Err("the demo has no agent".to_owned());
    };
    let shown = ConsoleDemo {
        email: email.clone(),
        password: word.clone().into(),
        scope: made.scope,
        agent,
        phrases: phrases::recorded()?,
        examples,
    };
    config.api.operator_organization = Some(made.scope.organization());
    let extras = AppExtras { demo: Some(shown), machine: Some(trunkline_doctor::machine_examiner(&config)) };
    let app = App::start_with(&config, prometheus, extras).await.map_err(|error| error.to_string())?;
    println!("console       http://{}/", app.api_addr);
    println!("API           http://{}/api/v1", app.api_addr);
    println!("SIP           {} (UDP and TCP)", app.services.sip.local_udp());
    println!("organization  {}", made.scope.organization());
    println!("owner         {email}, password {word}");
    println!("API key       {}", made.key.text.expose());
    let base = format!("http://{}/api/v1", app.api_addr);
    let server = DemoServer { app, http: reqwest::Client::new(), base, key: made.key.text };
    let line = SocketAddr::new(here(args), 0);
    let (phone, incoming) = Softphone::open(line, (54_000, 54_999)).await.map_err(|error| error.to_string())?;
    server.set_up(&agent.to_string(), NUMBER, phone.sip.local_udp()).await?;
    Ok((Demo { server, phone, calls, spoken, caller: caller.to_string(), _emulator: emulator }, incoming))
}

impl Demo {
    /// One call after the other.
    async fn call(&self, incoming: &mut mpsc::Receiver<IncomingCall>) -> Result<Vec<CallReport>, String> {
        let mut reports = Vec::new();
        for call in &self.calls.inbound {
            reports.push(self.call_in(call, Printing::Live).await?);
        }
        reports.push(self.call_out(incoming, Printing::Live).await?);
        Ok(reports)
    }

    /// All calls at the same time.
    async fn call_at_once(&self, incoming: &mut mpsc::Receiver<IncomingCall>) -> Result<Vec<CallReport>, String> {
        let inbound = try_join_all(self.calls.inbound.iter().map(|call| self.call_in(call, Printing::AtEnd)));
        let (mut reports, outbound) = tokio::try_join!(inbound, self.call_out(incoming, Printing::AtEnd))?;
        reports.push(outbound);
        Ok(reports)
    }

    async fn call_in(&self, call: &InboundCall, printing: Printing) -> Result<CallReport, String> {
        let (server, line) = (self.server.app.services.sip.local_udp(), self.phone.sip.local_udp());
        let dial = DialParams {
            to: Uri::sip(Some(NUMBER), &line.ip().to_string(), Some(server.port())),
            from: Uri::sip(Some(call.from), &line.ip().to_string(), Some(line.port())),
            transport: Transport::Udp,
            credentials: None,
            codecs: vec!["PCMU".into()],
        };
        let script = CallScript::parse_spoken(&call.script, &self.spoken)?;
        let title = format!("{} ({NUMBER})", call.title);
        let watched = WatchedCall::From(call.from);
        let report = self.server.watch(&title, watched, self.phone.dial(&dial, &script, None), printing).await?;
        show_report(&report);
        Ok(report)
    }

    async fn call_out(
        &self, incoming: &mut mpsc::Receiver<IncomingCall>, printing: Printing,
    ) -> Result<CallReport, String> {
        let outbound = &self.calls.outbound;
        let body = json!({"agent_id": self.caller, "name": "Delivery check", "to_number": "+15550199",
            "description": "Ask whether the delivery address is still correct.",
            "starting_message": outbound.first_message, "context_data": {"customer_name": "Jan"}});
        let task = self.server.post("/tasks", &body).await?["task"]["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/tasks/{task}/execute");
        let call = self.server.post(&path, &json!({})).await?["call_id"].as_str().unwrap_or_default().to_owned();
        let script = CallScript::parse_spoken(outbound.script, &self.spoken)?;
        let answer = async {
            match tokio::time::timeout(Duration::from_secs(10), incoming.recv()).await {
                Ok(Some(call)) => self.phone.answer(call, &script, None).await,
                _ => CallReport { failure: Some("the phone never rang".to_owned()), ..CallReport::default() },
            }
        };
        let title = format!("a task calls out (POST /api/v1{path})");
        let report = self.server.watch(&title, WatchedCall::Id(call), answer, printing).await?;
        show_report(&report);
        Ok(report)
    }

    /// Answers what calls the phone later, such as a task from the console, as it answered the demo's own task. Never ends.
    async fn answer_calls(&self, incoming: &mut mpsc::Receiver<IncomingCall>) {
        if let Ok(script) = CallScript::parse_spoken(self.calls.outbound.script, &self.spoken) {
            let mut answered = FuturesUnordered::new();
            loop {
                tokio::select! {
                    call = incoming.recv(), if answered.len() < ANSWERED_MAX => match call {
                        Some(call) => answered.push(self.phone.answer(call, &script, None)),
                        None => break,
                    },
                    Some(_) = answered.next(), if !answered.is_empty() => {}
                }
            }
        }
        std::future::pending().await
    }

    async fn show_end(&self, args: &DemoArgs, calls: usize) -> Result<(), String> {
        let calls = self.server.get(&format!("/calls?limit={calls}")).await?;
        show_stored(&calls, &args.folder);
        let (key, base) = (self.server.key.expose(), &self.server.base);
        let id = calls["calls"][0]["id"].as_str().unwrap_or("");
        println!("\n── next steps ──");
        println!("curl -H 'Authorization: Bearer {key}' {base}/agents");
        println!("curl -H 'Authorization: Bearer {key}' {base}/calls/{id}");
        println!("curl -H 'Authorization: Bearer {key}' {base}/calls/{id}/recording/stream -o call.wav");
        Ok(())
    }
}
