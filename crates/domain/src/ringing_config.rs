//! What callers hear before an agent answers: `ringing` of an agent.

use super::rules::{between, fits, is_text};
use super::template;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest time a caller is kept waiting on purpose.
const RING_MS_MAX: u32 = 30_000;

/// Before the answer: nothing of it is charged to the caller, recorded or part of the transcript.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
#[schema(as = Ringing)]
pub struct RingingConfig {
    /// How long it rings.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 30_000)]
    #[garde(custom(between(0..=RING_MS_MAX)))]
    pub ring_ms: u32,
    /// Said after that, before the answer.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    #[garde(inner(custom(fits(|text: &str| is_text(text, 1_000), "must have 1 to 1000 characters"))))]
    #[garde(inner(custom(template::said())))]
    pub announcement: Option<String>,
}
