//! The provider that is recorded: address, key, and how it is asked.

use super::recording::Recording;
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trunkline::egress::EgressGuard;
use trunkline::providers::{
    Deadlines, LocalTtsPrograms, ProviderAccess, ProviderRegistry, ProviderSettings, StageDeadlines,
};
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::secret::Secret;

/// How long a vendor may take for one case.
pub(super) const CASE_TIMEOUT: Duration = Duration::from_secs(60);
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
pub(super) struct Target {
    pub(super) account: ProviderAccount,
    pub(super) endpoint: ProviderAccess,
    pub(super) registry: ProviderRegistry,
    pub(super) args: RecordProviderArgs,
    source: &'static str,
}

/// The key, from a file or the environment.
pub(super) fn key_of(account: ProviderAccount, file: Option<&Path>) -> Result<Secret, String> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?,
        None => std::env::var(account.environment()).map_err(|_| format!("{} is not set", account.environment()))?,
    };
    let key = text.trim();
    if key.is_empty() { Err("the key is empty".to_owned()) } else { Ok(key.into()) }
}

impl Target {
    pub(super) fn new(account: ProviderAccount, key: Secret, args: RecordProviderArgs) -> Result<Self, String> {
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
    pub(super) fn recording(&self, stage: PipelineStage, case: &str, model: &str) -> Recording {
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
    pub(super) fn with_wrong_key(&self) -> ProviderAccess {
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

pub(super) fn deadlines() -> Deadlines {
    let limit = Duration::from_secs(30);
    Deadlines { connect: Duration::from_secs(10), first_byte: limit, between_bytes: limit }
}

fn registry(endpoint: &ProviderAccess) -> Result<ProviderRegistry, impl std::fmt::Display> {
    let every = deadlines();
    ProviderRegistry::new(ProviderSettings {
        timeouts: StageDeadlines { stt: every, llm: every, tts: every, realtime: every },
        endpoints: ProviderAccount::ALL.iter().map(|_| endpoint.clone()).collect(),
        programs: LocalTtsPrograms { espeak: "espeak-ng".to_owned(), flite: "flite".to_owned() },
        speech: trunkline::providers::LocalSpeechSettings::default(),
        guard: EgressGuard::unrestricted(),
    })
}
