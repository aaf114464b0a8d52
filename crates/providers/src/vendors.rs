//! From a provider's name to its client. The rows are in `domain/provider.rs`.

use super::llm::{LlmCandidate, LlmVendor};
use super::realtime::RealtimeVendor;
use super::registry::ProviderRegistry;
use super::stt::{SttCandidate, SttSessionConfig, SttVendor};
use super::tts::{TextAbilities, TtsSession, TtsSetup, TtsVendor};
use super::{anthropic, cartesia, deepgram, elevenlabs, groq, local, mistral, openai, xai};
use trunkline_domain::llm_options::LlmOptions;
use trunkline_domain::provider::{LlmProvider, SttProvider, TtsProvider};
use trunkline_domain::provider_config::{TextNormalization, TtsConfig, VoiceSettings};

macro_rules! clients {
    ($( $account:ident $field:ident $name:literal at $url:literal env $env:literal version $version:literal probe $probe:literal $auth:literal {
        $(stt $stt:ident $stt_client:path;)? $(llm $llm:ident $llm_client:path;)? $(rules $rules:ident;)?
        $(tts $tts:ident $tts_client:path;)?
        $(realtime $realtime:ident $realtime_name:literal $realtime_client:path;)?
    } )*) => {
        /// Returns the STT client of a provider.
        pub fn stt_vendor(provider: SttProvider) -> &'static dyn SttVendor {
            match provider { $( $( SttProvider::$stt => &$stt_client, )? )* }
        }

        /// `None` for a realtime model, and for rules.
        pub fn llm_vendor(provider: LlmProvider) -> Option<&'static dyn LlmVendor> {
            match provider {
                $( $( LlmProvider::$llm => Some(&$llm_client), )? )*
                $( $( LlmProvider::$rules => None, )? )*
                $( $( LlmProvider::$realtime => None, )? )*
            }
        }

        /// `None` for a text model.
        pub fn realtime_vendor(provider: LlmProvider) -> Option<&'static dyn RealtimeVendor> {
            match provider {
                $( $( LlmProvider::$llm => None, )? )*
                $( $( LlmProvider::$rules => None, )? )*
                $( $( LlmProvider::$realtime => Some(&$realtime_client), )? )*
            }
        }

        /// Returns the TTS client of a provider.
        pub fn tts_vendor(provider: TtsProvider) -> &'static dyn TtsVendor {
            match provider { $( $( TtsProvider::$tts => &$tts_client, )? )* }
        }
    };
}
trunkline_domain::provider_table!(clients);

/// Returns a candidate for LLM requests; `None` for a realtime model. `base_url` is the customer's server.
pub fn llm_candidate(
    providers: &ProviderRegistry, provider: LlmProvider, model: &str, options: LlmOptions, base_url: Option<&str>,
) -> Option<LlmCandidate> {
    Some(LlmCandidate {
        model: llm_vendor(provider)?,
        endpoint: providers.endpoint(provider.account(), base_url),
        name: format!("{}/{model}", provider.name()),
        id: model.to_owned(),
        options,
    })
}

/// Returns a candidate for STT; `base_url` is the customer's server.
pub fn stt_candidate(
    providers: &ProviderRegistry, provider: SttProvider, base_url: Option<&str>, setup: SttSessionConfig,
) -> SttCandidate {
    SttCandidate {
        vendor: stt_vendor(provider),
        endpoint: providers.endpoint(provider.account(), base_url),
        name: format!("{}/{}", provider.name(), setup.model),
        setup,
        is_last_resort: false,
    }
}

/// Opens a TTS session for one call, whose texts may have tags, at the address in `config` or at the provider's default address.
pub fn tts_session(
    providers: &ProviderRegistry, config: &TtsConfig, settings: &VoiceSettings, has_tags: bool,
) -> Box<dyn TtsSession> {
    let endpoint = providers.endpoint(config.provider.account(), config.base_url.as_deref());
    let (config, settings) = (config.clone(), settings.clone());
    tts_vendor(config.provider).open(TtsSetup { providers: providers.clone(), endpoint, config, settings, has_tags })
}

/// What a voice does with text, by its row and by what the agent says of it.
pub fn text_abilities(config: &TtsConfig) -> TextAbilities {
    let documented = tts_vendor(config.provider).abilities(config.model.as_deref());
    let normalizes = match config.text_normalization.unwrap_or_default() {
        TextNormalization::Auto => documented.normalizes,
        TextNormalization::Ours => false,
        TextNormalization::Vendor => true,
    };
    TextAbilities { normalizes, ..documented }
}

#[cfg(test)]
mod tests {
    use crate::session_error::{SessionErrors, SessionFault};
    use crate::{cartesia, deepgram, elevenlabs, openai, xai};

    fn check(cases: &[(&SessionErrors, &[(&str, SessionFault)])]) {
        for (table, rows) in cases {
            for (code, fault) in *rows {
                assert_eq!(table.fault(&[code]), *fault, "{code}");
            }
        }
    }

    /// Every vendor says these things in its own words.
    #[test]
    fn each_vendors_errors_end_what_they_have_to() {
        let cases: &[(&SessionErrors, &[(&str, SessionFault)])] = &[
            (
                &openai::session_errors::SESSION_ERRORS,
                &[
                    ("session_expired", SessionFault::Session),
                    ("server_error", SessionFault::Session),
                    ("rate_limit_exceeded", SessionFault::RateLimit),
                    ("insufficient_quota", SessionFault::Credit),
                    ("invalid_api_key", SessionFault::Key),
                    ("model_not_found", SessionFault::Configuration),
                    ("invalid_model", SessionFault::Configuration),
                    ("response_cancel_not_active", SessionFault::Event),
                    ("invalid_value", SessionFault::Event),
                    ("", SessionFault::Event),
                ],
            ),
            (
                &xai::SESSION_ERRORS,
                &[
                    ("session_expired", SessionFault::Session),
                    ("max_session_duration", SessionFault::Session),
                    ("internal_error", SessionFault::Session),
                    ("resource_exhausted", SessionFault::RateLimit),
                    ("unauthenticated", SessionFault::Key),
                    ("permission_denied", SessionFault::Key),
                    ("invalid_argument", SessionFault::Event),
                ],
            ),
        ];
        check(cases);
    }

    #[test]
    fn each_vendors_errors_end_no_more_than_they_have_to() {
        let cases: &[(&SessionErrors, &[(&str, SessionFault)])] = &[
            (
                &elevenlabs::session_errors::SESSION_ERRORS,
                &[
                    ("max_duration_exceeded", SessionFault::Session),
                    ("input_timeout_exceeded", SessionFault::Session),
                    ("system_busy", SessionFault::RateLimit),
                    ("max_active_conversations", SessionFault::RateLimit),
                    ("quota_exceeded", SessionFault::Credit),
                    ("invalid_api_key", SessionFault::Key),
                    ("voice_not_found", SessionFault::Configuration),
                    ("model_not_found", SessionFault::Configuration),
                    ("something_new", SessionFault::Session),
                ],
            ),
            (
                &deepgram::session_errors::SESSION_ERRORS,
                &[
                    ("INTERNAL_SERVER_ERROR", SessionFault::Session),
                    ("NET-0001", SessionFault::Session),
                    ("TOO_MANY_REQUESTS", SessionFault::RateLimit),
                    ("INSUFFICIENT_PERMISSIONS", SessionFault::Key),
                    ("ASR_PAYMENT_REQUIRED", SessionFault::Credit),
                    ("INVALID_QUERY_PARAMETER", SessionFault::Configuration),
                    ("UNPARSABLE_CLIENT_MESSAGE", SessionFault::Event),
                ],
            ),
            (
                &cartesia::session_errors::SESSION_ERRORS,
                &[
                    ("concurrency_limited", SessionFault::RateLimit),
                    ("internal_error", SessionFault::Session),
                    ("quota_exceeded", SessionFault::Credit),
                    ("unauthorized", SessionFault::Key),
                    ("voice_not_found", SessionFault::Configuration),
                ],
            ),
        ];
        check(cases);
    }
}
