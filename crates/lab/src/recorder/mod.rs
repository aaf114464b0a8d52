//! `trunkline record-provider`: a fixed set of requests to one vendor, written as fixtures that the tests read again.
//! Whoever has a key can run it; nothing that names the key or its owner is written.

mod llm;
mod recording;
mod replay;
mod sanitize;
mod socket;
mod stt;
mod tts;

pub use recording::{Exchange, Recording};
pub use replay::{recordings_below, replayed};

use clap::Args;
use sanitize::Sanitizer;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trunkline::egress::EgressGuard;
use trunkline::providers::{
    Deadlines, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines,
};
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::secret::Secret;

/// How long a vendor may take for one case.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);
/// A key that no vendor has given out.
const WRONG_KEY: &str = "invalid";

/// What to record.
#[derive(Clone, Debug, Args)]
pub struct RecordProviderArgs {
    /// The provider as it is named in the settings, such as `openai`.
    pub name: String,
    /// File with the key. Without it, the key is read from the provider's environment variable.
    #[arg(long)]
    pub key_file: Option<PathBuf>,
    /// Another address of the provider; recordings from a loopback address are marked as those of the emulator.
    #[arg(long)]
    pub base_url: Option<String>,
    /// Folder below which the recordings are written, one folder for each provider.
    #[arg(long, default_value = "fixtures/recorded")]
    pub out: PathBuf,
    /// Model of the LLM instead of the one that is usual for the provider.
    #[arg(long)]
    pub llm_model: Option<String>,
    /// Voice of the TTS: a name or an id of your account.
    #[arg(long, default_value = "alloy")]
    pub voice: String,
}

/// A provider as it is recorded.
pub(crate) struct Recorder {
    account: ProviderAccount,
    endpoint: ProviderAccess,
    registry: ProviderRegistry,
    args: RecordProviderArgs,
    source: &'static str,
}

/// Records everything that the provider offers. Returns the files that were written.
pub async fn run(args: RecordProviderArgs) -> Result<Vec<PathBuf>, String> {
    let account = ProviderAccount::parse(&args.name).filter(|account| account.needs_key());
    let account = account.ok_or_else(|| format!("{:?} is not a provider with a key", args.name))?;
    let key = key_of(account, args.key_file.as_deref())?;
    let out = args.out.join(account.name());
    let recorder = Recorder::new(account, key.clone(), args)?;
    let mut recordings = Vec::new();
    for stage in account.stages() {
        recordings.extend(match stage {
            PipelineStage::Llm => llm::record(&recorder).await,
            PipelineStage::Stt => stt::record(&recorder).await,
            PipelineStage::Tts => tts::record(&recorder).await,
            PipelineStage::Realtime => Vec::new(),
        });
    }
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    recordings.into_iter().map(|recording| write(&out, recording, &key)).collect()
}

fn key_of(account: ProviderAccount, file: Option<&Path>) -> Result<Secret, String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
        None => std::env::var(account.environment()).map_err(|_| format!("{} is not set", account.environment()))?,
    };
    let key = text.trim();
    if key.is_empty() { Err("the key is empty".to_owned()) } else { Ok(key.into()) }
}

/// Writes a recording without what names the key or its owner; one that could not be cleaned is not written.
fn write(out: &Path, recording: Recording, key: &Secret) -> Result<PathBuf, String> {
    let place = out.join(format!("{}.json", recording.case));
    let mut recording = Sanitizer::new(key.expose()).recording(recording);
    recording.result = replayed(&recording)?;
    let text = serde_json::to_string_pretty(&recording).map_err(|error| error.to_string())? + "\n";
    if sanitize::shows_key(&text, key.expose()) {
        return Err(format!("{} would show the key, and was not written", recording.case));
    }
    std::fs::write(&place, text).map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(place)
}

impl Recorder {
    fn new(account: ProviderAccount, key: Secret, args: RecordProviderArgs) -> Result<Self, String> {
        let address = args.base_url.clone().unwrap_or_else(|| default_address(account).0.to_owned());
        let url = url::Url::parse(&address).map_err(|error| format!("base_url: {error}"))?;
        let is_loopback = url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127."));
        let endpoint = ProviderAccess {
            account,
            base_url: address.trim_end_matches('/').to_owned(),
            api_key: Some(key),
            api_version: default_address(account).1.to_owned(),
            concurrency_max: 0,
            is_customer_server: false,
            blocked: None,
        };
        let registry = registry(&endpoint).map_err(|error| error.to_string())?;
        Ok(Self { account, endpoint, registry, args, source: if is_loopback { "emulator" } else { "vendor" } })
    }

    /// A recording that has not begun.
    fn recording(&self, stage: PipelineStage, case: &str, model: &str) -> Recording {
        Recording {
            provider: self.account.name().to_owned(),
            source: self.source.to_owned(),
            stage: stage.name().to_owned(),
            case: format!("{}_{case}", stage.name()),
            model: model.to_owned(),
            ..Recording::default()
        }
    }

    /// The same account with a key that is refused.
    fn with_wrong_key(&self) -> ProviderAccess {
        ProviderAccess { api_key: Some(WRONG_KEY.into()), ..self.endpoint.clone() }
    }
}

macro_rules! addresses {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $($rest:tt)*
    } )*) => {
        /// Address and version of a provider, as its row has them.
        fn default_address(account: ProviderAccount) -> (&'static str, &'static str) {
            match account { $( ProviderAccount::$account => ($url, $version), )* }
        }
    };
}
trunkline_domain::provider_table!(addresses);

fn deadlines() -> Deadlines {
    let limit = Duration::from_secs(30);
    Deadlines { connect: Duration::from_secs(10), first_byte: limit, between_bytes: limit }
}

fn registry(endpoint: &ProviderAccess) -> Result<ProviderRegistry, impl std::fmt::Display> {
    let every = deadlines();
    ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: every, llm: every, tts: every, realtime: every },
        endpoints: ProviderAccount::ALL.iter().map(|_| endpoint.clone()).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".to_owned(), flite: "flite".to_owned() },
        guard: EgressGuard::unrestricted(),
    })
}

#[cfg(test)]
mod tests;
