//! Which providers a call can use, from its agent: the primary of each stage and its fallbacks.

use crate::call::machine::CallSpec;
use crate::domain::agent::AgentFields;
use crate::domain::provider::{PipelineStage, ProviderAccount};
use crate::domain::provider_config::{LlmConfig, LlmProvider, SttConfig, SttProvider, TtsConfig, TtsProvider};
use crate::providers::llm::LlmPlan;
use crate::providers::{ProviderAccess, ProviderRegistry, stt, vendors};
use std::time::Duration;
use trunkline_media::audio::AudioFormat;
use trunkline_media::codec::Companding;

/// Model where the agent names none.
const DEFAULT_LLM: &str = "gpt-4o-mini";
/// STT where the agent names none.
const DEFAULT_STT_MODEL: &str = "nova-3-general";

/// The agent's model, or the default.
pub(super) fn llm(agent: &AgentFields) -> LlmConfig {
    agent.llm_config.clone().unwrap_or_else(|| LlmConfig {
        provider: LlmProvider::Openai,
        model: DEFAULT_LLM.to_owned(),
        temperature: None,
        messages: Vec::new(),
        tools: Vec::new(),
        base_url: None,
        voice: None,
    })
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

/// TTS configurations in order; the local one is always last.
pub(super) fn tts_configs(spec: &CallSpec) -> Vec<TtsConfig> {
    let agent = &spec.agent;
    let local = TtsConfig {
        provider: TtsProvider::Local,
        voice_id: String::new(),
        language: spec.language().to_owned(),
        model: None,
        speed: None,
        stability: None,
        similarity_boost: None,
        use_speaker_boost: None,
        base_url: None,
    };
    let others = agent.fallbacks.iter().flat_map(|fallbacks| fallbacks.tts.iter().cloned());
    agent.tts_config.iter().cloned().chain(others).chain(std::iter::once(local)).collect()
}

/// `provider/model` of a voice, as prices and records have it.
pub(super) fn tts_name(config: &TtsConfig) -> String {
    format!("{}/{}", config.provider.name(), config.model.as_deref().unwrap_or("default"))
}

/// The G.711 variant that STT services and realtime models are asked to take on a line: its own where it has one, so
/// that its octets pass through untouched.
pub(super) fn companding(line: AudioFormat) -> Companding {
    match line {
        AudioFormat::G711(companding) => companding,
        AudioFormat::Pcm { .. } => Companding::MuLaw,
    }
}

/// A G.711 variant, as STT services and realtime models name it.
pub(super) fn encoding(companding: Companding) -> &'static str {
    match companding {
        Companding::MuLaw => "mulaw",
        Companding::ALaw => "alaw",
    }
}

/// STT candidates of a call; the primary is included even without a key, so that its failure is visible.
pub(super) fn stt_candidates(
    providers: &ProviderRegistry, spec: &CallSpec, companding: Companding,
) -> Vec<stt::SttCandidate> {
    let turn = spec.agent.turn();
    let (endpointing_ms, eager) = (turn.endpointing_ms, turn.eager);
    let encoding = encoding(companding);
    let candidates = stt_configs(&spec.agent, spec.language()).into_iter().map(|config| {
        let SttConfig { provider, model, language, keyterms, base_url } = config;
        let setup = stt::SttSessionConfig { model, language, keyterms, encoding, endpointing_ms, eager };
        vendors::stt_candidate(providers, provider, base_url.as_deref(), setup)
    });
    candidates.enumerate().filter(|(index, one)| *index == 0 || one.endpoint.is_usable()).map(|(_, one)| one).collect()
}

/// LLM candidates of a call; none for a realtime model without a fallback LLM.
pub(super) fn llm_plan(providers: &ProviderRegistry, agent: &AgentFields) -> LlmPlan {
    let others = agent.fallbacks.iter().flat_map(|fallbacks| fallbacks.llm.iter().map(|one| one.as_config()));
    let candidates = std::iter::once(llm(agent)).chain(others).filter_map(|config| {
        vendors::llm_candidate(
            providers,
            config.provider,
            &config.model,
            config.temperature,
            config.base_url.as_deref(),
        )
    });
    let candidates: Vec<_> = candidates
        .enumerate()
        .filter(|(index, one)| *index == 0 || one.endpoint.is_usable())
        .map(|(_, one)| one)
        .collect();
    let hedge_ms = agent.fallbacks.as_ref().map_or(0, |fallbacks| fallbacks.hedge_after_ms());
    let hedge_after = (hedge_ms > 0 && candidates.len() > 1).then(|| Duration::from_millis(hedge_ms));
    LlmPlan { candidates, hedge_after }
}

/// What a call will ask over HTTP.
pub(super) fn http_endpoints(providers: &ProviderRegistry, spec: &CallSpec) -> Vec<(ProviderAccess, PipelineStage)> {
    let models = llm_plan(providers, &spec.agent).candidates.into_iter().map(|one| (one.endpoint, PipelineStage::Llm));
    let voices = tts_configs(spec).into_iter().filter(|config| config.provider == TtsProvider::Openai);
    let voices = voices.map(|c| (providers.endpoint(c.provider.account(), c.base_url.as_deref()), PipelineStage::Tts));
    models.chain(voices).collect()
}

/// The first provider without a key: reported before any phone rings.
pub(super) fn missing_provider(providers: &ProviderRegistry, agent: &AgentFields) -> Option<&'static str> {
    let lacks = |account: ProviderAccount, base_url: Option<&str>| {
        (!providers.endpoint(account, base_url).is_usable()).then(|| account.name())
    };
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
