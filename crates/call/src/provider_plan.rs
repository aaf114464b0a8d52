//! Which providers a call can use, from its agent: the primary of each stage and its fallbacks, and when the next one is
//! asked.
//!
//! Pure: whether an account has a key is an argument.

use super::fallback_voices::{in_place_of, local_voice};
use super::machine::CallSpec;
use crate::domain::agent::AgentFields;
use crate::domain::fallback::Fallbacks;
use crate::domain::local_stt;
use crate::domain::provider::ProviderAccount;
use crate::domain::provider_config::{LlmConfig, LlmProvider, SttConfig, SttProvider, TtsConfig};
use crate::providers::stt::SttSessionConfig;
use std::time::Duration;
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;

/// Model where the agent names none.
const DEFAULT_LLM: &str = "gpt-4o-mini";
/// STT where the agent names none.
const DEFAULT_STT_MODEL: &str = "nova-3-general";

/// How long the agent's last voice may be silent before the local one speaks: with the model before it, callers wait three
/// seconds at most.
const LAST_VOICE_TIMEOUT: Duration = Duration::from_secs(2);

/// The agent's model, or the default.
pub fn llm(agent: &AgentFields) -> LlmConfig {
    agent.llm_config.clone().unwrap_or_else(|| LlmConfig {
        provider: LlmProvider::Openai,
        model: DEFAULT_LLM.to_owned(),
        flow: None,
        temperature: None,
        max_tokens: None,
        top_p: None,
        stop: Vec::new(),
        reasoning_effort: None,
        extra_body: None,
        messages: Vec::new(),
        tools: Vec::new(),
        base_url: None,
        voice: None,
    })
}

/// LLMs in order; the first may be a realtime model, which is none. Rules are none either, and nothing is asked after them.
pub fn llm_configs(agent: &AgentFields) -> Vec<LlmConfig> {
    let others = agent.fallbacks.iter().flat_map(|fallbacks| fallbacks.llm.iter().map(|one| one.as_config()));
    std::iter::once(llm(agent)).chain(others).take_while(|config| !config.provider.is_rules()).collect()
}

/// Whether rules answer, at first or when no LLM does.
pub fn answers_by_rules(agent: &AgentFields) -> bool {
    let others = agent.fallbacks.iter().flat_map(|fallbacks| fallbacks.llm.iter().map(|one| one.as_config()));
    std::iter::once(llm(agent)).chain(others).any(|config| config.provider.is_rules())
}

/// STT services in order.
fn stt_configs(agent: &AgentFields, language: &str) -> Vec<SttConfig> {
    let own = agent.stt_config.clone().unwrap_or_else(|| SttConfig {
        provider: SttProvider::Deepgram,
        model: DEFAULT_STT_MODEL.to_owned(),
        language: language.to_owned(),
        keyterms: Vec::new(),
        base_url: None,
    });
    let others = agent.fallbacks.iter().flat_map(|fallbacks| fallbacks.stt.iter().cloned());
    std::iter::once(own).chain(others).collect()
}

/// An STT service and what it is told when a session begins.
#[derive(Debug, PartialEq, Eq)]
pub struct SttChoice {
    /// The provider.
    pub provider: SttProvider,
    /// The customer's server; `None` for the provider's own address.
    pub base_url: Option<String>,
    /// Settings of the session.
    pub setup: SttSessionConfig,
}

/// STT services of a call in order, for audio in this companding.
pub fn stt_choices(spec: &CallSpec, companding: Companding) -> Vec<SttChoice> {
    let turn = spec.agent.turn();
    let (endpointing_ms, eager) = (turn.endpointing_ms, turn.eager);
    let encoding = encoding(companding);
    let choices = stt_configs(&spec.agent, spec.language()).into_iter().map(|config| {
        let SttConfig { provider, model, language, keyterms, base_url } = config;
        let setup = SttSessionConfig { model, language, keyterms, encoding, endpointing_ms, eager };
        SttChoice { provider, base_url, setup }
    });
    choices.collect()
}

/// The STT of this machine, for a call whose others are down: where the first one hears English, and none is local.
pub fn last_resort_stt(choices: &[SttChoice]) -> Option<SttChoice> {
    let first = choices.first().filter(|first| local_stt::knows_language(&first.setup.language))?;
    let has_local = choices.iter().any(|choice| choice.provider == SttProvider::Local);
    let setup = SttSessionConfig {
        model: local_stt::FALLBACK_MODEL.to_owned(),
        keyterms: Vec::new(),
        eager: false,
        ..first.setup.clone()
    };
    (!has_local).then_some(SttChoice { provider: SttProvider::Local, base_url: None, setup })
}

/// TTS configurations in order; the local one is always last. All speak the language of the call.
pub fn tts_configs(spec: &CallSpec) -> Vec<TtsConfig> {
    let agent = &spec.agent;
    let voice = local_voice(agent.tts_config.as_ref(), spec.language());
    let local = TtsConfig::local(voice, spec.language().to_owned());
    let others = agent.fallbacks.iter().flat_map(|fallbacks| &fallbacks.tts);
    let others = match &agent.tts_config {
        Some(own) => in_place_of(own, spec.language(), others),
        None => others.cloned().collect(),
    };
    agent.tts_config.iter().cloned().chain(others).chain(std::iter::once(local)).collect()
}

/// `provider/model` of a voice, as prices and records have it.
pub fn tts_name(config: &TtsConfig) -> String {
    format!("{}/{}", config.provider.name(), config.model.as_deref().unwrap_or("default"))
}

/// The G.711 variant that STT services and realtime models are asked to take on a line: its own where it has one, so
/// that its octets pass through untouched.
pub fn companding(line: AudioFormat) -> Companding {
    match line {
        AudioFormat::G711(companding) => companding,
        AudioFormat::Pcm { .. } => Companding::MuLaw,
    }
}

/// A G.711 variant, as STT services and realtime models name it.
pub fn encoding(companding: Companding) -> &'static str {
    match companding {
        Companding::MuLaw => "mulaw",
        Companding::ALaw => "alaw",
    }
}

/// Candidates that can be asked. The primary is kept even without a key, so that its failure is visible.
pub fn with_primary<T>(candidates: impl Iterator<Item = T>, is_usable: impl Fn(&T) -> bool) -> Vec<T> {
    candidates.enumerate().filter(|(index, one)| *index == 0 || is_usable(one)).map(|(_, one)| one).collect()
}

/// How long the first of several LLMs may be silent before the next one is asked too; `None` if it is not.
pub fn hedge_after(agent: &AgentFields, candidates: usize) -> Option<Duration> {
    let hedge_ms = agent.fallbacks.as_ref().map_or(0, |fallbacks| fallbacks.hedge_after_ms());
    (hedge_ms > 0 && candidates > 1).then(|| Duration::from_millis(hedge_ms))
}

/// How long the voice at a place of the order, which ends with the local one at `local`, may be silent before the next one speaks. The agent's last voice gets more
/// time, because only the local one stands behind it. `None` for the local one, and if the agent wants none to be hurried:
/// they have the stage's own deadline.
pub fn first_audio_timeout(agent: &AgentFields, current: usize, local: usize) -> Option<Duration> {
    let hedge_ms = agent.fallbacks.as_ref().map(Fallbacks::hedge_after_ms);
    match (hedge_ms, local.saturating_sub(current)) {
        (Some(0), _) | (_, 0) => None,
        (_, 1) => Some(LAST_VOICE_TIMEOUT),
        (hedge_ms, _) => hedge_ms.map(Duration::from_millis),
    }
}

/// The first provider without a key: reported before any phone rings. `is_usable` says whether an account can be asked
/// at an address.
pub fn missing_provider(
    agent: &AgentFields, is_usable: impl Fn(ProviderAccount, Option<&str>) -> bool,
) -> Option<&'static str> {
    let lacks =
        |account: ProviderAccount, base_url: Option<&str>| (!is_usable(account, base_url)).then(|| account.name());
    let llm = llm(agent);
    let model = lacks(llm.provider.account(), llm.base_url.as_deref());
    if llm.provider.is_realtime() {
        return model;
    }
    let stt = stt_configs(agent, "en").swap_remove(0);
    let tts = agent.tts_config.as_ref();
    lacks(stt.provider.account(), stt.base_url.as_deref())
        .or(model)
        .or_else(|| tts.and_then(|tts| lacks(tts.provider.account(), tts.base_url.as_deref())))
}

#[cfg(test)]
mod tests;
