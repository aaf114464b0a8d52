//! What the caller is being asked for by a built-in tool, in a conversation. Another mode asks for nothing.

use crate::dialogue::digit_collection::{DigitCollection, DigitOutcome};
use crate::dialogue::value_collection::ValueCollection;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;
use trunkline_domain::collected::CollectedValues;

/// Keys that come this soon after a complete entry belonged to it.
const SETTLING: Duration = Duration::from_millis(1_000);

/// What the caller is being asked for.
#[derive(Debug, Default)]
pub(super) enum Collecting {
    /// Nothing: keys and words go where they always go.
    #[default]
    Nothing,
    /// An entry is complete; its terminator, and more keys of a secret one, may still come.
    Settling { until: Instant, terminator: Option<char>, is_secret: bool },
    /// Digits.
    Digits(DigitEntry),
    /// A value that is read back.
    Value(ValueEntry),
}

/// A value, and the tool call that has asked for it.
#[derive(Debug)]
pub(super) struct ValueEntry {
    pub(super) call: ToolCall,
    pub(super) collection: ValueCollection,
}

/// An entry of digits, and the tool call that has asked for it.
#[derive(Debug)]
pub(super) struct DigitEntry {
    pub(super) call: ToolCall,
    pub(super) collection: DigitCollection,
}

impl Collecting {
    /// Whether the caller is being asked for something.
    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Digits(_) | Self::Value(_))
    }

    /// Whether the caller's words may be digits that nobody else may read.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Digits(entry) if entry.collection.request().is_secret)
    }

    /// How many digits a secret entry in progress may have.
    pub(super) fn secret_lengths(&self) -> Option<RangeInclusive<usize>> {
        let Self::Digits(entry) = self else { return None };
        let request = entry.collection.request();
        request.is_secret.then_some(request.min_digits..=request.max_digits)
    }

    /// When the caller has taken too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Digits(entry) => entry.collection.poll_timeout(),
            Self::Value(entry) => entry.collection.poll_timeout(),
            Self::Nothing | Self::Settling { .. } => None,
        }
    }

    /// The caller has the word.
    pub(super) fn handle_silence(&mut self, now: Instant) {
        match self {
            Self::Digits(entry) => entry.collection.handle_silence(now),
            Self::Value(entry) => entry.collection.handle_silence(now),
            Self::Nothing | Self::Settling { .. } => {}
        }
    }

    /// Whether a key belonged to the entry before, which was complete already.
    pub(super) fn is_left_over(&mut self, now: Instant, digit: char) -> bool {
        let Self::Settling { until, terminator, is_secret } = self else { return false };
        let belongs = now < *until && (*is_secret || *terminator == Some(digit));
        match belongs {
            true => *until = now + SETTLING,
            false => *self = Self::Nothing,
        }
        belongs
    }

    /// Ends the entry, if there is one.
    pub(super) fn end(&mut self, now: Instant) -> Option<DigitEntry> {
        match std::mem::take(self) {
            Self::Digits(entry) => {
                let request = entry.collection.request();
                let (terminator, is_secret) = (request.terminator, request.is_secret);
                *self = Self::Settling { until: now + SETTLING, terminator, is_secret };
                Some(entry)
            }
            unchanged @ (Self::Nothing | Self::Settling { .. } | Self::Value(_)) => {
                *self = unchanged;
                None
            }
        }
    }
}

impl Collecting {
    /// Ends the request for a value, if there is one.
    pub(super) fn end_value(&mut self) -> Option<ValueEntry> {
        match std::mem::take(self) {
            Self::Value(entry) => Some(entry),
            unchanged @ (Self::Nothing | Self::Settling { .. } | Self::Digits(_)) => {
                *self = unchanged;
                None
            }
        }
    }
}

impl DigitEntry {
    /// What is written down: no digits of a secret entry.
    pub(super) fn shown(&self, outcome: DigitOutcome, reason: Option<&str>) -> Value {
        let request = self.collection.request();
        let mut result = json!({"status": outcome.name(), "count": self.collection.count()});
        if let Some(reason) = reason {
            result["reason"] = json!(reason);
        }
        if self.collection.count() > 0 && !request.is_secret {
            result["digits"] = json!(self.collection.digits().expose());
        }
        if outcome == DigitOutcome::Completed {
            result["reference"] = json!(CollectedValues::reference(&request.name));
        }
        result
    }

    /// What the model reads: digits of a secret entry only if the agent's settings say so.
    pub(super) fn told(&self, outcome: DigitOutcome, reason: Option<&str>, reveals_secrets: bool) -> Value {
        let mut result = self.shown(outcome, reason);
        if self.collection.count() > 0 && reveals_secrets {
            result["digits"] = json!(self.collection.digits().expose());
        }
        result
    }
}
