//! What callers hear before an agent answers: `ringing` of an agent.

use super::FieldError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest time a caller is kept waiting on purpose.
const RING_MS_MAX: u32 = 30_000;
const ANNOUNCEMENT_CHARS_MAX: usize = 1_000;

/// Before the answer: nothing of it is charged to the caller, recorded or part of the transcript.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Ringing)]
pub struct RingingConfig {
    /// How long it rings.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 30_000)]
    pub ring_ms: u32,
    /// Said after that, before the answer.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    pub announcement: Option<String>,
}

impl RingingConfig {
    /// Checks that `ring_ms` is at most 30,000 and the announcement has 1 to 1,000 characters; the error names the
    /// field.
    pub fn validate(&self) -> Result<(), FieldError> {
        if self.ring_ms > RING_MS_MAX {
            return Err(FieldError::new("ringing.ring_ms", format!("must be between 0 and {RING_MS_MAX}")));
        }
        let fits = |text: &String| !text.trim().is_empty() && text.chars().count() <= ANNOUNCEMENT_CHARS_MAX;
        if self.announcement.as_ref().is_some_and(|text| !fits(text)) {
            let message = format!("must have 1 to {ANNOUNCEMENT_CHARS_MAX} characters");
            return Err(FieldError::new("ringing.announcement", message));
        }
        Ok(())
    }
}
