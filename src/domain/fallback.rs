//! Who stands in for whom: `fallbacks` of an agent, by stage and in order.

use super::FieldError;
use super::provider_config::{LlmProvider, SttConfig, TtsConfig};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Providers that stand in for one stage; each costs its deadlines before the next is tried.
const FALLBACKS_MAX: usize = 3;
/// A model that has said nothing for this long is joined by the next one.
const HEDGE_AFTER_MS: u64 = 1_500;

/// `fallbacks` of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Fallbacks {
    /// Speech to text that takes over, in this order; at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    pub stt: Vec<SttConfig>,
    /// Language models that take over, in this order; at most three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    pub llm: Vec<LlmFallback>,
    /// Voices that take over, in this order; at most three. The local voice always follows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    pub tts: Vec<TtsConfig>,
    /// Time without a token after which the next model is asked as well, the first token wins; time without a
    /// sound after which the next voice speaks. 0: only after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 30_000)]
    pub hedge_after_ms: Option<u64>,
}

/// Another model for the same prompt and tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmFallback {
    /// Whose model it is; realtime models are refused.
    pub provider: LlmProvider,
    /// The provider's name of the model.
    pub model: String,
    /// Randomness of the answers, 0 to 2. None: 0.7 where the model accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    /// Address of a server of yours that speaks the provider's protocol. None: the provider's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = "uri")]
    pub base_url: Option<String>,
}

impl Fallbacks {
    /// Returns the milliseconds before the next provider is asked: 1,500 if not set; 0 means only after a failure.
    pub fn hedge_after_ms(&self) -> u64 {
        self.hedge_after_ms.unwrap_or(HEDGE_AFTER_MS)
    }

    /// Checks the lengths, `hedge_after_ms` and every entry; the error names the first wrong field.
    pub fn validate(&self) -> Result<(), FieldError> {
        let at = |list: &str, index: usize| format!("fallbacks.{list}[{index}]");
        for (list, count) in [("stt", self.stt.len()), ("llm", self.llm.len()), ("tts", self.tts.len())] {
            if count > FALLBACKS_MAX {
                return Err(FieldError::new(
                    format!("fallbacks.{list}"),
                    format!("must have at most {FALLBACKS_MAX} entries"),
                ));
            }
        }
        if self.hedge_after_ms.is_some_and(|ms| ms > 30_000) {
            return Err(FieldError::new("fallbacks.hedge_after_ms", "must be between 0 and 30000"));
        }
        let strip = |fault: FieldError, parent: String| {
            let field = fault.field.split_once('.').map_or(fault.field.as_str(), |(_, field)| field);
            FieldError::new(format!("{parent}.{field}"), fault.message)
        };
        for (index, one) in self.stt.iter().enumerate() {
            one.validate().map_err(|fault| strip(fault, at("stt", index)))?;
        }
        for (index, one) in self.tts.iter().enumerate() {
            one.validate().map_err(|fault| strip(fault, at("tts", index)))?;
        }
        for (index, one) in self.llm.iter().enumerate() {
            one.validate().map_err(|fault| strip(fault, at("llm", index)))?;
        }
        Ok(())
    }
}

impl LlmFallback {
    fn validate(&self) -> Result<(), FieldError> {
        if self.provider.is_realtime() {
            return Err(FieldError::new("llm.provider", "must not be a realtime model"));
        }
        self.as_config().validate()
    }

    /// The same as a model of its own.
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
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_names_its_place() {
        let check = |value: serde_json::Value| {
            let fallbacks: Fallbacks = serde_json::from_value(value).unwrap();
            fallbacks.validate().map_err(|fault| fault.field)
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
