//! When a turn ends, when the caller interrupts, and what silence does. Documented defaults.

use super::FieldFault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `turn_config` of an agent. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Silence the recogniser waits for before it holds an utterance for finished.
    #[schema(minimum = 10, maximum = 5000)]
    pub endpointing_ms: u64,
    /// A turn never ends before this much silence.
    #[schema(minimum = 0, maximum = 5000)]
    pub min_silence_ms: u64,
    /// Silence that ends a turn when the recogniser has not said that it is finished; at least
    /// `min_silence_ms`.
    #[schema(minimum = 0, maximum = 10000)]
    pub silence_ms: u64,
    /// Silence that ends a turn even with unfinished words; at least `silence_ms`.
    #[schema(minimum = 0, maximum = 20000)]
    pub max_silence_ms: u64,
    pub barge_in: bool,
    /// Voiced sound of the caller that counts as an interruption.
    #[schema(minimum = 48, maximum = 2000)]
    pub barge_in_min_speech_ms: u64,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            endpointing_ms: 300,
            min_silence_ms: 100,
            silence_ms: 900,
            max_silence_ms: 2_000,
            barge_in: true,
            barge_in_min_speech_ms: 160,
        }
    }
}

/// `silence_config` of an agent: what happens when the caller says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceConfig {
    /// Silence after the agent finished before it asks again.
    #[schema(minimum = 1000, maximum = 120000)]
    pub prompt_after_ms: u64,
    /// How often it asks before it says goodbye.
    #[schema(maximum = 10)]
    pub max_prompts: u32,
    pub prompt: String,
    pub goodbye: String,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self {
            prompt_after_ms: 8_000,
            max_prompts: 2,
            prompt: "Are you still there?".to_owned(),
            goodbye: "I can't hear you, so I will end the call now. Goodbye.".to_owned(),
        }
    }
}

fn range(field: &str, value: u64, low: u64, high: u64) -> Result<(), FieldFault> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(FieldFault::new(field, format!("must be between {low} and {high}")))
    }
}

impl TurnConfig {
    pub fn validate(&self) -> Result<(), FieldFault> {
        range("turn_config.endpointing_ms", self.endpointing_ms, 10, 5_000)?;
        range("turn_config.min_silence_ms", self.min_silence_ms, 0, 5_000)?;
        range("turn_config.silence_ms", self.silence_ms, 0, 10_000)?;
        range("turn_config.max_silence_ms", self.max_silence_ms, 0, 20_000)?;
        range("turn_config.barge_in_min_speech_ms", self.barge_in_min_speech_ms, 48, 2_000)
    }
}

impl SilenceConfig {
    pub fn validate(&self) -> Result<(), FieldFault> {
        range("silence_config.prompt_after_ms", self.prompt_after_ms, 1_000, 120_000)?;
        range("silence_config.max_prompts", u64::from(self.max_prompts), 0, 10)?;
        if self.prompt.trim().is_empty() || self.goodbye.trim().is_empty() {
            return Err(FieldFault::new("silence_config.prompt", "prompt and goodbye must not be empty"));
        }
        Ok(())
    }
}
