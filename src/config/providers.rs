//! Accounts and deadlines of providers.

use crate::domain::provider::ProviderAccount;
use crate::domain::secret::Secret;
use serde::Deserialize;

macro_rules! accounts {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $($stages:tt)*
    } )*) => {
        /// Provider accounts of the installation and their deadlines, from `[providers]`.
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct ProvidersConfig {
            /// Customers' own servers (`base_url` of an agent) may be on private addresses, and speak http.
            pub allow_private: bool,
            /// Deadlines of each kind of request.
            pub timeouts: ProviderTimeoutsConfig,
            $(
                #[doc = concat!("Address, key and limits of `", $name, "`.")]
                pub $field: ProviderConfig,
            )*
        }

        impl Default for ProvidersConfig {
            fn default() -> Self {
                let at = |base_url: &str, api_version: &str| ProviderConfig {
                    base_url: base_url.to_owned(),
                    api_version: api_version.to_owned(),
                    ..ProviderConfig::default()
                };
                Self { allow_private: false, timeouts: ProviderTimeoutsConfig::default(), $( $field: at($url, $version), )* }
            }
        }

        impl ProvidersConfig {
            /// Returns the settings of an account.
            pub fn account(&self, account: ProviderAccount) -> &ProviderConfig {
                match account { $( ProviderAccount::$account => &self.$field, )* }
            }

            /// Returns the settings of an account for change, such as adding a key from the environment.
            pub fn account_mut(&mut self, account: ProviderAccount) -> &mut ProviderConfig {
                match account { $( ProviderAccount::$account => &mut self.$field, )* }
            }
        }
    };
}
trunkline_domain::provider_table!(accounts);

/// Deadlines by what a provider does.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderTimeoutsConfig {
    /// Deadlines of STT streams. Default 3000, 4000 and 4000 ms.
    pub stt: StageTimeoutsConfig,
    /// Deadlines of LLM requests. Default 3000, 8000 and 5000 ms.
    pub llm: StageTimeoutsConfig,
    /// Deadlines of TTS requests. Default 3000, 5000 and 4000 ms.
    pub tts: StageTimeoutsConfig,
    /// Deadlines of realtime models, set as `engine`. Default 3000, 6000 and 4000 ms.
    #[serde(rename = "engine")]
    pub realtime: StageTimeoutsConfig,
}

impl Default for ProviderTimeoutsConfig {
    fn default() -> Self {
        let of = |first_byte_ms, between_bytes_ms| StageTimeoutsConfig {
            connect_ms: 3_000,
            first_byte_ms,
            between_bytes_ms,
        };
        Self { stt: of(4_000, 4_000), llm: of(8_000, 5_000), tts: of(5_000, 4_000), realtime: of(6_000, 4_000) }
    }
}

/// Deadlines of one kind of request in milliseconds, each 100 to 120,000.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageTimeoutsConfig {
    /// TCP, TLS and upgrade.
    pub connect_ms: u64,
    /// From a request to its first token or audio.
    pub first_byte_ms: u64,
    /// Between two of them; of a socket that only listens, for a sign of life.
    pub between_bytes_ms: u64,
}

/// One account at a provider, from `[providers.<name>]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProviderConfig {
    /// Start of the provider's URLs, without a trailing slash; http and ws only to loopback. Empty: the vendor's.
    pub base_url: String,
    /// Key of the account; `None`: the vendor's environment variable, such as `DEEPGRAM_API_KEY`, or no key at all.
    pub api_key: Option<Secret>,
    /// File the key is read from instead.
    pub api_key_file: Option<String>,
    /// Of providers whose requests name one.
    pub api_version: String,
    /// Streams at once that the account allows; 0: no limit of ours.
    pub concurrency_max: usize,
    /// Of the local voices: espeak-ng.
    pub program: String,
    /// Program of the second local TTS, used for voices such as `flite:slt`. Default `flite`.
    pub flite_program: String,
    /// Folder of the speech models that `trunkline models fetch` gets. Default `data/models`.
    pub models_folder: String,
    /// Folder of the phrases that neural voices have spoken. Empty: none are kept. Default `data/phrases`.
    pub phrases_folder: String,
    /// Megabytes of these phrases at most. Default 256.
    pub phrases_max_mb: u64,
    /// Program that runs them, as `trunkline speech-worker`. Empty: this program.
    pub speech_worker: String,
}

/// A section that sets one field keeps all others.
impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            api_key: None,
            api_key_file: None,
            api_version: String::new(),
            concurrency_max: 0,
            program: "espeak-ng".to_owned(),
            flite_program: "flite".to_owned(),
            models_folder: "data/models".to_owned(),
            phrases_folder: "data/phrases".to_owned(),
            phrases_max_mb: 256,
            speech_worker: String::new(),
        }
    }
}
