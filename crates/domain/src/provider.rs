//! The registry of providers: one row each. Code that needs something of every provider (names, settings,
//! clients) expands the same table; `docs/providers.md` shows how one is added.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `Account field name at ADDRESS env VARIABLE version VERSION probe PATH AUTH { stage Name CLIENT; … }`
///
/// `rules` is an LLM that is none: the server answers by itself, so there is no client.
/// The address and version are defaults of the settings. Clients are paths inside of `providers`; `engine`
/// is a realtime model, which has a separate name among the models.
#[macro_export]
macro_rules! provider_table {
    ($expand:ident) => {
        $expand! {
            Deepgram deepgram "deepgram" at "https://api.deepgram.com" env "DEEPGRAM_API_KEY" version "" probe "/v1/projects" "Token" {
                stt Deepgram deepgram::STT;
            }
            Openai openai "openai" at "https://api.openai.com/v1" env "OPENAI_API_KEY" version "" probe "/models" "Bearer" {
                stt Openai openai::STT; llm Openai openai::LLM; tts Openai openai::TTS;
                realtime OpenaiRealtime "openai_realtime" openai::REALTIME;
            }
            Anthropic anthropic "anthropic" at "https://api.anthropic.com" env "ANTHROPIC_API_KEY" version "2026-10-21" probe "/v1/models" "x-api-key" {
                llm Anthropic anthropic::LLM;
            }
            Groq groq "groq" at "https://api.groq.com/openai/v1" env "GROQ_API_KEY" version "" probe "/models" "Bearer" {
                llm Groq groq::LLM;
            }
            Mistral mistral "mistral" at "https://api.mistral.ai/v1" env "MISTRAL_API_KEY" version "" probe "/models" "Bearer" {
                llm Mistral mistral::LLM;
            }
            Xai xai "xai" at "https://api.x.ai/v1" env "XAI_API_KEY" version "" probe "/models" "Bearer" {
                llm Xai xai::LLM;
                realtime XaiRealtime "xai_realtime" xai::REALTIME;
            }
            Elevenlabs elevenlabs "elevenlabs" at "https://api.elevenlabs.io" env "ELEVENLABS_API_KEY" version "" probe "/v1/user" "xi-api-key" {
                tts Elevenlabs elevenlabs::TTS;
                realtime ElevenlabsAgent "elevenlabs_agent" elevenlabs::REALTIME;
            }
            Cartesia cartesia "cartesia" at "https://api.cartesia.ai" env "CARTESIA_API_KEY" version "2026-08-14" probe "/voices?limit=1" "Bearer" {
                tts Cartesia cartesia::TTS;
            }
            Local local "local" at "" env "" version "" probe "" "" {
                stt Local local::STT;
                rules Local;
                tts Local local::TTS;
            }
        }
    };
}

macro_rules! names {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $(stt $stt:ident $stt_client:path;)? $(llm $llm:ident $llm_client:path;)? $(rules $rules:ident;)?
        $(tts $tts:ident $tts_client:path;)?
        $(realtime $realtime:ident $realtime_name:literal $realtime_client:path;)?
    } )*) => {
        /// Whose key and address a stage uses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = Account)]
        pub enum ProviderAccount { $( #[doc = concat!("The account of `", $name, "`.")] $account ),* }

        /// STT services.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum SttProvider { $( $( #[doc = concat!("STT of `", $name, "`.")] $stt, )? )* }

        /// Text models, and realtime models that hear and speak by themselves.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum LlmProvider {
            $( $( #[doc = concat!("LLM of `", $name, "`.")] $llm, )? )*
            $( $( #[doc = concat!("Rules of a `flow`, without a model: `", $name, "`.")] $rules, )? )*
            $( $( #[doc = concat!("Realtime model of `", $name, "`.")] $realtime, )? )*
        }

        /// Voices.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum TtsProvider { $( $( #[doc = concat!("TTS of `", $name, "`.")] $tts, )? )* }

        impl ProviderAccount {
            /// Every account, in the order of the provider table.
            pub const ALL: &[Self] = &[$(Self::$account),*];

            /// Returns the name in JSON, settings and paths of the API, such as `openai`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$account => $name),* }
            }

            /// What calls use it for.
            pub fn stages(self) -> Vec<PipelineStage> {
                match self {
                    $(Self::$account => vec![
                        $( { let SttProvider::$stt = SttProvider::$stt else { unreachable!() }; PipelineStage::Stt }, )?
                        $( { let LlmProvider::$llm = LlmProvider::$llm else { unreachable!() }; PipelineStage::Llm }, )?
                        $( { let LlmProvider::$rules = LlmProvider::$rules else { unreachable!() }; PipelineStage::Llm }, )?
                        $( { let TtsProvider::$tts = TtsProvider::$tts else { unreachable!() }; PipelineStage::Tts }, )?
                        $( { let LlmProvider::$realtime = LlmProvider::$realtime else { unreachable!() }; PipelineStage::Realtime }, )?
                    ]),*
                }
            }

            /// What is asked for to see whether a key works, and how the key is sent: a scheme of
            /// `Authorization`, or a different header.
            pub fn probe(self) -> (&'static str, &'static str) {
                match self { $(Self::$account => ($probe, $auth)),* }
            }

            /// Environment variable that the vendor's tools read.
            pub fn environment(self) -> &'static str {
                match self { $(Self::$account => $env),* }
            }
        }

        impl SttProvider {
            /// Returns the account whose key and address this STT uses.
            pub fn account(self) -> ProviderAccount {
                match self { $( $( Self::$stt => ProviderAccount::$account, )? )* }
            }
        }

        impl LlmProvider {
            /// Returns the account whose key and address this model uses.
            pub fn account(self) -> ProviderAccount {
                match self {
                    $( $( Self::$llm => ProviderAccount::$account, )? )*
                    $( $( Self::$rules => ProviderAccount::$account, )? )*
                    $( $( Self::$realtime => ProviderAccount::$account, )? )*
                }
            }

            /// It hears and speaks by itself: no STT and no voice of the agent are asked.
            pub fn is_realtime(self) -> bool {
                match self {
                    $( $( Self::$llm => false, )? )*
                    $( $( Self::$rules => false, )? )*
                    $( $( Self::$realtime => true, )? )*
                }
            }

            /// It answers by the rules of a flow: no server is asked.
            pub fn is_rules(self) -> bool {
                match self {
                    $( $( Self::$llm => false, )? )*
                    $( $( Self::$rules => true, )? )*
                    $( $( Self::$realtime => false, )? )*
                }
            }

            /// Returns the name in JSON: that of the account, or a separate name for a realtime model.
            pub fn name(self) -> &'static str {
                match self {
                    $( $( Self::$llm => $name, )? )*
                    $( $( Self::$rules => $name, )? )*
                    $( $( Self::$realtime => $realtime_name, )? )*
                }
            }
        }

        impl TtsProvider {
            /// Returns the account whose key and address this TTS uses.
            pub fn account(self) -> ProviderAccount {
                match self { $( $( Self::$tts => ProviderAccount::$account, )? )* }
            }
        }
    };
}
provider_table!(names);

impl ProviderAccount {
    /// Reads the name that JSON, settings and paths use; `None` for any other text.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|account| account.name() == name)
    }

    /// The local voice is a program of this machine.
    pub fn needs_key(self) -> bool {
        !self.environment().is_empty()
    }
}

impl SttProvider {
    /// Returns the name in JSON, which is that of its account.
    pub fn name(self) -> &'static str {
        self.account().name()
    }
}

impl TtsProvider {
    /// Returns the name in JSON, which is that of its account.
    pub fn name(self) -> &'static str {
        self.account().name()
    }
}

/// What a provider does in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipelineStage {
    /// Speech to text.
    Stt,
    /// The language model that writes the answers.
    Llm,
    /// Text to speech.
    Tts,
    /// Speech to speech.
    Realtime,
}

impl PipelineStage {
    /// Returns the name in the API and in metrics: `stt`, `llm`, `tts`, and `engine` for a realtime model.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stt => "stt",
            Self::Llm => "llm",
            Self::Tts => "tts",
            Self::Realtime => "engine",
        }
    }
}
