//! Tools of the server itself that an agent may offer its LLM: `built_in_tools` of an agent.

use super::rules::{between, fits, is_text};
use super::tool_limits::DESCRIPTION_CHARS_MAX;
use garde::Validate;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// How long a caller may take to the first key.
pub const FIRST_KEY_MS: RangeInclusive<u64> = 1_000..=60_000;
/// How long a caller may take from one key to the next.
pub const NEXT_KEY_MS: RangeInclusive<u64> = 500..=30_000;

/// How long a caller may be on hold.
pub const HOLD_SECONDS: RangeInclusive<u64> = 1..=600;

/// Tools beside those that every agent has (`end_call`, `send_dtmf`). A tool is offered if it is set; `{}` has the
/// defaults of every field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct BuiltInTools {
    /// The LLM may say nothing and leave the next word to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub skip_turn: Option<SkipTurnTool>,
    /// The LLM may put the caller on hold while its tools work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub hold_call: Option<HoldCallTool>,
    /// The LLM may ask the caller for keys, and gets them when the entry is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub collect_digits: Option<CollectDigitsTool>,
    /// The LLM may have a value read back and confirmed: a phone number, an address, a date, an amount, a name, a code.
    /// Realtime models do not get it: they hear and answer by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub collect_value: Option<CollectValueTool>,
}

/// `collect_value`: the caller says or spells a value, which is read back and confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct CollectValueTool {
    /// When the LLM should use it, 1 to 1,024 characters. None: a description of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1_024)]
    #[garde(inner(custom(description_text())))]
    pub description: Option<String>,
    /// Country of national phone numbers, ISO 3166-1 with two capitals: `NL`. None: only international numbers are
    /// understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Z]{2}$")]
    #[garde(inner(custom(fits(|text: &str| is_capitals(text, 2), "must be two capital letters (ISO 3166-1) such as NL"))))]
    pub country: Option<String>,
    /// Currency of amounts that name none, ISO 4217: `EUR` by default.
    #[schema(pattern = "^[A-Z]{3}$")]
    #[garde(custom(fits(|text: &str| is_capitals(text, 3), "must be three capital letters (ISO 4217) such as EUR")))]
    pub currency: String,
    /// How codes are read back.
    pub spelling: Spelling,
    /// How often the caller is asked in all.
    #[schema(minimum = 1, maximum = 5)]
    #[garde(custom(between(1..=5)))]
    pub max_attempts: u32,
    /// Milliseconds for an answer, after the agent has spoken.
    #[schema(minimum = 1_000, maximum = 60_000)]
    #[garde(custom(between(FIRST_KEY_MS)))]
    pub timeout_ms: u64,
}

impl Default for CollectValueTool {
    fn default() -> Self {
        Self {
            description: None,
            country: None,
            currency: "EUR".to_owned(),
            spelling: Spelling::Nato,
            max_attempts: 3,
            timeout_ms: 8_000,
        }
    }
}

/// How letters of a code are said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// Alpha, Bravo, Charlie.
    #[default]
    Nato,
    /// A, B, C.
    Letters,
}

fn is_capitals(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// `skip_turn`: the LLM says nothing, because the caller is not done or spoke to somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct SkipTurnTool {
    /// When the LLM should use it, 1 to 1,024 characters. None: a description of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1_024)]
    #[garde(inner(custom(description_text())))]
    pub description: Option<String>,
}

/// `hold_call`: the caller waits, with music or without, while the LLM's tools work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct HoldCallTool {
    /// When the LLM should use it, 1 to 1,024 characters. None: a description of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1_024)]
    #[garde(inner(custom(description_text())))]
    pub description: Option<String>,
    /// Longest time on hold in seconds.
    #[schema(minimum = 1, maximum = 600)]
    #[garde(custom(between(HOLD_SECONDS)))]
    pub max_seconds: u64,
    /// Whether the caller hears music.
    pub music: bool,
}

impl Default for HoldCallTool {
    fn default() -> Self {
        Self { description: None, max_seconds: 120, music: true }
    }
}

/// `collect_digits`: the caller enters digits on the keypad. The LLM may choose other times for one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields, default)]
pub struct CollectDigitsTool {
    /// When the LLM should use it, 1 to 1,024 characters. None: a description of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1_024)]
    #[garde(inner(custom(description_text())))]
    pub description: Option<String>,
    /// Milliseconds to the first key, after the agent has spoken.
    #[schema(minimum = 1_000, maximum = 60_000)]
    #[garde(custom(between(FIRST_KEY_MS)))]
    pub timeout_ms: u64,
    /// Milliseconds from one key to the next; then the entry is over.
    #[schema(minimum = 500, maximum = 30_000)]
    #[garde(custom(between(NEXT_KEY_MS)))]
    pub inter_digit_timeout_ms: u64,
    /// Every entry is secret, whatever the LLM asks for.
    pub always_secret: bool,
    /// The LLM reads secret digits. False: it gets their number and `{{collected.NAME}}`, which its other tools take.
    pub reveal_secrets: bool,
}

impl Default for CollectDigitsTool {
    fn default() -> Self {
        Self {
            description: None,
            timeout_ms: 10_000,
            inter_digit_timeout_ms: 3_000,
            always_secret: false,
            reveal_secrets: false,
        }
    }
}

fn description_text() -> impl FnOnce(&str, &()) -> garde::Result {
    let words = format!("must have 1 to {DESCRIPTION_CHARS_MAX} characters");
    fits(|text: &str| is_text(text, DESCRIPTION_CHARS_MAX), words)
}
