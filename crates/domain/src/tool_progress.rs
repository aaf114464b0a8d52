//! `progress` of a tool: what callers hear while it works.

use super::rules::{at_most, between, fits, is_text};
use super::template;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Phrases of one tool.
const PHRASES_MAX: usize = 10;
/// Characters of one phrase.
const PHRASE_CHARS_MAX: usize = 500;

/// What callers hear while a tool works, one phrase after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct ToolProgress {
    /// Whether anything is said; true by default.
    pub enabled: bool,
    /// Milliseconds after which the first phrase is said.
    #[schema(minimum = 300, maximum = 60_000)]
    #[garde(custom(between(300..=60_000)))]
    pub after_ms: u64,
    /// Milliseconds of silence before each further phrase.
    #[schema(minimum = 2_000, maximum = 60_000)]
    #[garde(custom(between(2_000..=60_000)))]
    pub repeat_ms: u64,
    /// The phrases, in their order; after the last one the second follows again. At most 10. Empty: the `fillers` of
    /// `silence_config`, or those of the agent's language ("One moment, please.", "I'm still on it.").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 10)]
    #[garde(custom(at_most(PHRASES_MAX)), inner(custom(phrase()), custom(template::said())))]
    pub phrases: Vec<String>,
}

impl Default for ToolProgress {
    fn default() -> Self {
        Self { enabled: true, after_ms: 2_500, repeat_ms: 4_000, phrases: Vec::new() }
    }
}

fn phrase() -> impl FnOnce(&str, &()) -> garde::Result {
    fits(|text: &str| is_text(text, PHRASE_CHARS_MAX), format!("must have 1 to {PHRASE_CHARS_MAX} characters"))
}
