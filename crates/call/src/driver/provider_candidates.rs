//! Looks up the providers of a call's plan: their addresses, keys and clients.

use super::rules_llm::{SharedFlowMemory, rules_llm};
use crate::domain::agent::AgentFields;
use crate::domain::provider::PipelineStage;
use crate::domain::provider_config::TtsProvider;
use crate::machine::CallSpec;
use crate::provider_plan::{self, SttChoice};
use crate::providers::llm::LlmPlan;
use crate::providers::{ProviderAccess, ProviderRegistry, stt, vendors};
use crate::store::PassageIndex;
use trunkline_media::codec::Companding;

/// STT candidates of a call.
pub(super) fn stt_candidates(
    providers: &ProviderRegistry, spec: &CallSpec, companding: Companding,
) -> Vec<stt::SttCandidate> {
    let choices = provider_plan::stt_choices(spec, companding);
    let last_resort = provider_plan::last_resort_stt(&choices).filter(|_| providers.speech().has_stt());
    let candidate = |SttChoice { provider, base_url, setup }: SttChoice| {
        vendors::stt_candidate(providers, provider, base_url.as_deref(), setup)
    };
    let mut candidates =
        provider_plan::with_primary(choices.into_iter().map(candidate), |one| one.endpoint.is_usable());
    let last_resort = last_resort.map(candidate);
    candidates.extend(last_resort.map(|last| stt::SttCandidate { is_last_resort: true, ..last }));
    candidates
}

/// LLM candidates of an agent; none for a realtime model without a fallback LLM, and for rules.
pub(super) fn llm_plan(providers: &ProviderRegistry, agent: &AgentFields) -> LlmPlan {
    let candidates = provider_plan::llm_configs(agent).into_iter().filter_map(|config| {
        let base_url = config.base_url.as_deref();
        vendors::llm_candidate(providers, config.provider, &config.model, config.options(), base_url)
    });
    let candidates = provider_plan::with_primary(candidates, |one| one.endpoint.is_usable());
    let hedge_after = provider_plan::hedge_after(agent, candidates.len());
    LlmPlan { candidates, rules: None, hedge_after }
}

/// The LLMs of a call, and the rules that answer when none of them does.
pub(super) fn call_llm_plan(
    providers: &ProviderRegistry, index: &PassageIndex, spec: &CallSpec, memory: &SharedFlowMemory,
) -> LlmPlan {
    LlmPlan { rules: rules_llm(index, spec, memory), ..llm_plan(providers, &spec.agent) }
}

/// What takes over from a realtime model: the first LLM, or the rules if somebody hears the caller for them.
pub(super) fn realtime_fallback(providers: &ProviderRegistry, index: &PassageIndex, spec: &CallSpec) -> Option<String> {
    let plan = call_llm_plan(providers, index, spec, &SharedFlowMemory::default());
    let hears = || stt_candidates(providers, spec, Companding::MuLaw).iter().any(|one| one.endpoint.is_usable());
    let rules = plan.rules.as_ref().filter(|_| hears()).map(|rules| rules.name().to_owned());
    plan.candidates.first().map(|one| one.name.clone()).or(rules)
}

/// What a call will ask over HTTP.
pub(super) fn http_endpoints(providers: &ProviderRegistry, spec: &CallSpec) -> Vec<(ProviderAccess, PipelineStage)> {
    let models = llm_plan(providers, &spec.agent).candidates.into_iter().map(|one| (one.endpoint, PipelineStage::Llm));
    let voices = provider_plan::tts_configs(spec).into_iter().filter(|config| config.provider == TtsProvider::Openai);
    let voices = voices.map(|c| (providers.endpoint(c.provider.account(), c.base_url.as_deref()), PipelineStage::Tts));
    models.chain(voices).collect()
}

/// The LLM's provider, if a chat has nobody to answer in it: neither an LLM that can be asked, nor rules. A realtime model
/// does not write; its fallback does.
pub(super) fn missing_llm(providers: &ProviderRegistry, agent: &AgentFields) -> Option<&'static str> {
    let answers = provider_plan::answers_by_rules(agent)
        || llm_plan(providers, agent).candidates.iter().any(|one| one.endpoint.is_usable());
    (!answers).then(|| provider_plan::llm(agent).provider.account().name())
}

/// The first provider without a key.
pub(super) fn missing_provider(providers: &ProviderRegistry, agent: &AgentFields) -> Option<&'static str> {
    provider_plan::missing_provider(agent, |account, base_url| providers.endpoint(account, base_url).is_usable())
}
