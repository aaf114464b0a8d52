//! Fallback providers: `fallbacks` of an agent, by stage and in order.

use super::provider_config::{LlmProvider, SttConfig, TtsConfig, address};
use super::rules::{at_most, between, chars, filled, fits};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Providers that stand in for one stage; each costs its deadlines before the next is tried.
const FALLBACKS_MAX: usize = 3;
/// A model that has said nothing for this long is joined by the next one.
const HEDGE_AFTER_MS: u64 = 1_500;

/// `fallbacks` of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct Fallbacks {
    /// Speech to text that takes over, in this order; at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    #[garde(custom(at_most(FALLBACKS_MAX)), dive)]
    pub stt: Vec<SttConfig>,
    /// Language models that take over, in this order; at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    #[garde(custom(at_most(FALLBACKS_MAX)), dive)]
    pub llm: Vec<LlmFallback>,
    /// Voices that take over, in this order; at most three. The local voice always follows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    #[garde(custom(at_most(FALLBACKS_MAX)), dive)]
    pub tts: Vec<TtsConfig>,
    /// Time without a token after which the next model is asked as well, the first token wins; time without a
    /// sound after which the next voice speaks. 0: only after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 30_000)]
    #[garde(inner(custom(between(0..=30_000))))]
    pub hedge_after_ms: Option<u64>,
}

/// Another model for the same prompt and tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct LlmFallback {
    /// Whose model it is; realtime models are refused.
    #[garde(custom(fits(|provider: &LlmProvider| !provider.is_realtime(), "must not be a realtime model")))]
    pub provider: LlmProvider,
    /// The provider's name of the model.
    #[schema(max_length = 200)]
    #[garde(custom(filled()))]
    #[garde(custom(chars(200)))]
    pub model: String,
    /// Randomness of the answers, 0 to 2. None: 0.7 where the model accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    #[garde(inner(custom(between(0.0..=2.0))))]
    pub temperature: Option<f64>,
    /// Address of your own server that speaks the provider's protocol. None: the provider's default address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(address())))]
    #[garde(inner(custom(chars(2_048))))]
    pub base_url: Option<String>,
}

impl Fallbacks {
    /// Returns the milliseconds before the next provider is asked: 1,500 if not set; 0 means only after a failure.
    pub fn hedge_after_ms(&self) -> u64 {
        self.hedge_after_ms.unwrap_or(HEDGE_AFTER_MS)
    }
}

impl LlmFallback {
    /// The same settings as an independent LLM configuration.
    pub fn as_config(&self) -> super::provider_config::LlmConfig {
        super::provider_config::LlmConfig {
            provider: self.provider,
            model: self.model.clone(),
            temperature: self.temperature,
            messages: Vec::new(),
            tools: Vec::new(),
            base_url: self.base_url.clone(),
            voice: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::AgentFields;
    use crate::faults;
    use serde_json::json;

    #[test]
    fn a_fault_names_its_place() {
        let check = |value: serde_json::Value| {
            let agent: AgentFields = serde_json::from_value(json!({"name": "a", "fallbacks": value})).unwrap();
            faults(&agent).into_iter().next().map_or(Ok(()), |fault| Err(fault.field))
        };
        let voice = json!({"provider": "openai", "voice_id": "alloy", "language": "en"});
        assert_eq!(check(json!({"tts": [voice], "hedge_after_ms": 800})), Ok(()));
        let fast = json!({"provider": "openai", "voice_id": "alloy", "language": "en", "speed": 9});
        assert_eq!(check(json!({"tts": [voice, fast]})), Err("fallbacks.tts[1].speed".into()));
        let realtime = json!({"provider": "xai_realtime", "model": "grok-voice-latest"});
        assert_eq!(check(json!({"llm": [realtime]})), Err("fallbacks.llm[0].provider".into()));
        let hot = json!({"provider": "groq", "model": "m", "temperature": 3});
        assert_eq!(check(json!({"llm": [hot]})), Err("fallbacks.llm[0].temperature".into()));
        assert_eq!(
            check(json!({"stt": vec![json!({"provider": "deepgram", "model": "m", "language": "en"}); 4]})),
            Err("fallbacks.stt".into())
        );
    }
}
