//! Fallback providers: `fallbacks` of an agent, by stage and in order.

use super::flow::Flow;
use super::llm_options::{ANSWER_TOKENS, ExtraBody, ReasoningEffort, STOP_MAX, STOP_WORDS, effort_of, is_stop};
use super::provider_config::{LlmProvider, SttConfig, TtsConfig, address, names_model, of_rules};
use super::rules::{at_most, between, chars, fits};
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
    /// Language models that take over, in this order; at most three. `local` with a `flow` always answers, so nothing may
    /// follow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 3)]
    #[garde(custom(at_most(FALLBACKS_MAX)), custom(rules_are_last), dive)]
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
    /// Whether callers can leave a message when no language model answers: the server says so in the language of the
    /// voice, takes name, number and message, and puts callers through if there is a destination. True by default; false:
    /// an apology, and the end of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_messages: Option<bool>,
}

fn rules_are_last(models: &[LlmFallback], (): &()) -> garde::Result {
    let first = models.iter().position(|one| one.provider.is_rules());
    match first {
        Some(at) if at + 1 < models.len() => Err(garde::Error::new("must not go on after local, which always answers")),
        _ => Ok(()),
    }
}

/// Another model for the same prompt and tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct LlmFallback {
    /// Whose model it is; realtime models are refused.
    #[garde(custom(fits(|provider: &LlmProvider| !provider.is_realtime(), "must not be a realtime model")))]
    pub provider: LlmProvider,
    /// The provider's name of the model; must not be empty, except for `local`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 200)]
    #[garde(custom(names_model(self.provider)))]
    #[garde(custom(chars(200)))]
    pub model: String,
    /// Of `local`: the dialogue by rules. Other providers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(custom(of_rules(self.provider)), dive)]
    pub flow: Option<Flow>,
    /// Randomness of the answers, 0 to 2. None: 0.7 where the model accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 2)]
    #[garde(inner(custom(between(0.0..=2.0))))]
    pub temperature: Option<f64>,
    /// Most tokens of an answer, thoughts included, 1 to 32,768. An answer that is cut there ends with its last whole
    /// sentence. None: the vendor's limit; 1,024 for Anthropic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 32_768)]
    #[garde(inner(custom(between(ANSWER_TOKENS))))]
    pub max_tokens: Option<u32>,
    /// Share of the likeliest tokens that the model chooses from, 0 to 1. None: the vendor's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    #[garde(inner(custom(between(0.0..=1.0))))]
    pub top_p: Option<f64>,
    /// Texts that end an answer; they are not said. At most four of 100 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 4)]
    #[garde(custom(at_most(STOP_MAX)), inner(custom(fits(is_stop, STOP_WORDS))))]
    pub stop: Vec<String>,
    /// How much the model thinks before it answers: `none`, `minimal`, `default`, `low`, `medium`, `high`, `xhigh`,
    /// `max`, as far as the provider documents them. None: as little as the model can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(effort_of(self.provider, self.base_url.is_some()))))]
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Further parameters of the vendor's API, put into the request as they are: 8,192 bytes and eight levels at most.
    /// It must not have what the server writes itself (`model`, `messages`, `stream`, `tools`, keys) or what is a
    /// setting beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    #[garde(dive)]
    pub extra_body: Option<ExtraBody>,
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

    /// Whether callers can leave a message when no language model answers.
    pub fn takes_messages(&self) -> bool {
        self.take_messages.unwrap_or(true)
    }
}

impl LlmFallback {
    /// The same settings as an independent LLM configuration.
    pub fn as_config(&self) -> super::provider_config::LlmConfig {
        super::provider_config::LlmConfig {
            provider: self.provider,
            model: self.model.clone(),
            flow: self.flow.clone(),
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            top_p: self.top_p,
            stop: self.stop.clone(),
            reasoning_effort: self.reasoning_effort,
            extra_body: self.extra_body.clone(),
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
