//! How a language model is asked to answer: the settings of `llm_config` that go into its requests, and their bounds.

use super::provider::LlmProvider;
use garde::{Error, Path, Report, Validate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// Tokens of an answer that an agent may allow. More is an hour of speech.
pub const ANSWER_TOKENS: RangeInclusive<u32> = 1..=32_768;
/// Texts that end an answer: OpenAI, Groq and xAI take four.
pub const STOP_MAX: usize = 4;
/// Characters of each of them.
pub const STOP_CHARS_MAX: usize = 100;
/// Bytes of `extra_body` as JSON.
pub const EXTRA_BODY_BYTES_MAX: usize = 8_192;
/// Levels of objects and lists in `extra_body`.
pub const EXTRA_BODY_DEPTH_MAX: usize = 8;

/// Parts of a request that the server writes itself, in small letters: some servers do not tell cases apart.
const OWN: [&str; 20] = [
    "model",
    "messages",
    "input",
    "system",
    "instructions",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "function_call",
    "response_format",
    "n",
    "prompt_cache_key",
    "cache_control",
    "api_key",
    "key",
    "authorization",
    "headers",
    "extra_headers",
    "extra_body",
];
/// Parameters that are settings beside `extra_body`, and their names.
const SETTINGS: [(&str, &str); 9] = [
    ("temperature", "temperature"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("max_output_tokens", "max_tokens"),
    ("top_p", "top_p"),
    ("stop", "stop"),
    ("stop_sequences", "stop"),
    ("reasoning_effort", "reasoning_effort"),
    ("max_new_tokens", "max_tokens"),
];

/// How much a model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningEffort {
    /// Not at all.
    #[serde(rename = "none")]
    Disabled,
    /// As little as the model can.
    Minimal,
    /// As the vendor decides (Groq).
    Default,
    /// Little.
    Low,
    /// A middle amount.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// As much as the model can.
    Max,
}

impl ReasoningEffort {
    /// Returns the name in JSON and in vendors' requests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "none",
            Self::Minimal => "minimal",
            Self::Default => "default",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The values that a provider documents; a model may take fewer.
    pub fn of_provider(provider: LlmProvider) -> &'static [Self] {
        match provider {
            LlmProvider::Openai => {
                &[Self::Disabled, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max]
            }
            LlmProvider::Anthropic => &[Self::Disabled, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max],
            LlmProvider::Groq => &[Self::Disabled, Self::Default, Self::Low, Self::Medium, Self::High],
            LlmProvider::Mistral => &[Self::Disabled, Self::Low, Self::Medium, Self::High],
            LlmProvider::Xai => &[Self::Disabled, Self::Low, Self::Medium, Self::High, Self::Xhigh],
            LlmProvider::OpenaiRealtime
            | LlmProvider::XaiRealtime
            | LlmProvider::ElevenlabsAgent
            | LlmProvider::Local => &[],
        }
    }
}

/// A value that the provider documents; at a server of the customer's, any.
pub(super) fn effort_of<C>(
    provider: LlmProvider, has_own_server: bool,
) -> impl FnOnce(&ReasoningEffort, &C) -> garde::Result {
    let values = ReasoningEffort::of_provider(provider);
    move |effort, _| {
        if values.is_empty() || has_own_server || values.contains(effort) {
            return Ok(());
        }
        let names: Vec<&str> = values.iter().map(|value| value.name()).collect();
        Err(Error::new(format!("must be one of {} for {}", names.join(", "), provider.name())))
    }
}

/// A setting that realtime models do not have.
pub(super) fn of_text_models<T: ?Sized, C>(provider: LlmProvider) -> impl FnOnce(&T, &C) -> garde::Result {
    move |_, _| {
        if provider.is_realtime() { Err(Error::new("is not for realtime models")) } else { Ok(()) }
    }
}

/// The same for a setting that may be missing.
pub(super) fn unset_for_realtime<T, C>(provider: LlmProvider) -> impl FnOnce(&Option<T>, &C) -> garde::Result {
    move |setting, context| setting.as_ref().map_or(Ok(()), |setting| of_text_models(provider)(setting, context))
}

/// What [`is_stop`] wants.
pub(super) const STOP_WORDS: &str = "must have 1 to 100 characters, not white space alone";

/// A text that ends an answer: vendors refuse one of white space alone.
pub(super) fn is_stop(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= STOP_CHARS_MAX
}

/// The same for a list, which is empty where it is not set.
pub(super) fn of_text_models_list<T, C>(provider: LlmProvider) -> impl FnOnce(&[T], &C) -> garde::Result {
    move |list, context| if list.is_empty() { Ok(()) } else { of_text_models(provider)(list, context) }
}

/// Further parameters for one vendor, which are put into the request as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExtraBody(Map<String, Value>);

impl ExtraBody {
    /// The parameters, by name.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl Validate for ExtraBody {
    type Context = ();

    /// Names the part that may not be there, the bound that is passed, or the setting to use.
    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        for name in self.0.keys() {
            let small = name.to_lowercase();
            let setting = SETTINGS.iter().find(|(parameter, _)| *parameter == small).map(|(_, setting)| setting);
            let words = match setting {
                Some(setting) => format!("must not be set here: use {setting} beside extra_body"),
                None if OWN.contains(&small.as_str()) => {
                    "must not be set: the server writes this part of the request".to_owned()
                }
                None => continue,
            };
            report.append(parent().join(name), Error::new(words));
        }
        if self.0.values().any(|value| depth(value) >= EXTRA_BODY_DEPTH_MAX) {
            report.append(parent(), Error::new(format!("must have at most {EXTRA_BODY_DEPTH_MAX} levels")));
        }
        let bytes = serde_json::to_string(&self.0).map_or(usize::MAX, |text| text.len());
        if bytes > EXTRA_BODY_BYTES_MAX {
            report.append(parent(), Error::new(format!("must have at most {EXTRA_BODY_BYTES_MAX} bytes as JSON")));
        }
    }
}

/// Levels of a value. JSON is read with 128 of them at most.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The settings of a model that go into its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LlmOptions {
    /// Randomness from 0 to 2; `None`: the default of the reference, where the model takes one.
    pub temperature: Option<f64>,
    /// Tokens of an answer; `None` leaves it to the vendor.
    pub max_tokens: Option<u32>,
    /// Share of the likeliest tokens to choose from; `None` leaves it to the vendor.
    pub top_p: Option<f64>,
    /// Texts that end an answer and are not part of it; empty for none.
    pub stop: Vec<String>,
    /// How much the model thinks; `None`: as little as it can.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Further parameters; empty for none.
    pub extra_body: ExtraBody,
}

#[cfg(test)]
mod tests;
