//! When a turn ends, when the caller interrupts, and what silence does. Documented defaults.

use super::rules::{at_most, between, filled, fits, is_text};
use super::template::{self, TemplateUse};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Words and texts of a list at most.
const TEXTS_MAX: usize = 50;
/// Characters of one of them.
pub const TEXT_CHARS_MAX: usize = 500;

/// `turn_config` of an agent. Every field has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct TurnConfig {
    /// Silence STT waits for before it holds an utterance for finished.
    #[schema(minimum = 10, maximum = 5000)]
    #[garde(custom(between(10..=5_000)))]
    pub endpointing_ms: u64,
    /// A turn never ends before this much silence.
    #[schema(minimum = 0, maximum = 5000)]
    #[garde(custom(between(0..=5_000)))]
    pub min_silence_ms: u64,
    /// Silence that ends a complete answer ("yes, please") when STT has not said that it is finished;
    /// at most `silence_ms`.
    #[schema(minimum = 0, maximum = 5000)]
    #[garde(custom(between(0..=5_000)))]
    pub complete_silence_ms: u64,
    /// Silence that ends a turn when STT has not said that it is finished; at least
    /// `min_silence_ms`.
    #[schema(minimum = 0, maximum = 10000)]
    #[garde(custom(between(0..=10_000)))]
    pub silence_ms: u64,
    /// Silence that ends an unfinished clause ("my number is"), digits, letters and addresses, whatever the
    /// STT says.
    #[schema(minimum = 0, maximum = 10000)]
    #[garde(custom(between(0..=10_000)))]
    pub unfinished_silence_ms: u64,
    /// Silence that ends a turn even with unfinished words; at least `silence_ms`.
    #[schema(minimum = 0, maximum = 20000)]
    #[garde(custom(between(0..=20_000)))]
    pub max_silence_ms: u64,
    /// The model starts on a likely end of the turn and is cancelled when the caller goes on: faster, for more
    /// tokens.
    pub eager: bool,
    /// Whether the caller can interrupt the agent; true by default.
    pub barge_in: bool,
    /// Voiced sound of the caller that is an interruption without any word; the agent is held back at once and
    /// goes on when it was shorter.
    #[schema(minimum = 48, maximum = 2000)]
    #[garde(custom(between(48..=2_000)))]
    pub barge_in_min_speech_ms: u64,
    /// Words that do not interrupt the agent, in addition to those of the language ("mhm", "I see").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text())))]
    pub backchannels: Vec<String>,
    /// Whether the first message can be interrupted.
    pub first_message_interruptible: bool,
    /// Whether what is said while tools work can be interrupted.
    pub tool_speech_interruptible: bool,
}

impl Default for TurnConfig {
    fn default() -> Self {
        Self {
            endpointing_ms: 300,
            min_silence_ms: 100,
            complete_silence_ms: 300,
            silence_ms: 900,
            unfinished_silence_ms: 1_500,
            max_silence_ms: 2_000,
            eager: false,
            barge_in: true,
            barge_in_min_speech_ms: 500,
            backchannels: Vec::new(),
            first_message_interruptible: true,
            tool_speech_interruptible: true,
        }
    }
}

/// `silence_config` of an agent: what happens when the caller says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct SilenceConfig {
    /// Silence after the agent finished before it asks again.
    #[schema(minimum = 1000, maximum = 120000)]
    #[garde(custom(between(1_000..=120_000)))]
    pub prompt_after_ms: u64,
    /// How often it asks before it says goodbye.
    #[schema(maximum = 10)]
    #[garde(custom(between(0..=10)))]
    pub max_prompts: u32,
    /// What it asks with.
    #[garde(custom(filled()), custom(template::rule(TemplateUse::Text)))]
    pub prompt: String,
    /// More ways to ask; one after the other is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
    pub prompts: Vec<String>,
    /// The model words the question, from the conversation so far.
    pub generate_prompts: bool,
    /// Said before the call ends because the caller stayed silent; must not be empty.
    #[garde(custom(filled()), custom(template::rule(TemplateUse::Text)))]
    pub goodbye: String,
    /// Said when a tool or the model takes longer; never the same twice in a row. None: `default_fillers` decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
    pub fillers: Vec<String>,
    /// How long a tool or the model may take before a filler is said.
    #[schema(minimum = 300, maximum = 20000)]
    #[garde(custom(between(300..=20_000)))]
    pub filler_after_ms: u64,
    /// Without `fillers`: whether a short phrase in the voice's language is said when a tool or the model takes longer
    /// than 2.5 s; true by default.
    pub default_fillers: bool,
}

impl Default for SilenceConfig {
    fn default() -> Self {
        Self {
            prompt_after_ms: 8_000,
            max_prompts: 2,
            prompt: "Are you still there?".to_owned(),
            prompts: Vec::new(),
            generate_prompts: false,
            fillers: Vec::new(),
            filler_after_ms: 1_500,
            default_fillers: true,
            goodbye: "I can't hear you, so I will end the call now. Goodbye.".to_owned(),
        }
    }
}

fn text() -> impl FnOnce(&str, &()) -> garde::Result {
    let words = format!("must have 1 to {TEXT_CHARS_MAX} characters");
    fits(|text: &str| is_text(text, TEXT_CHARS_MAX), words)
}
