//! One entry of digits that the LLM has asked for: when it is complete, too short, or does not come. A plain value.

use std::time::{Duration, Instant};
use trunkline_domain::secret::Secret;

/// Digits of one entry at most.
pub const DIGITS_MAX: usize = 64;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigitRequest {
    /// Name of the entry for tools.
    pub name: String,
    /// At least one.
    pub min_digits: usize,
    /// The entry is complete with so many; at least `min_digits`.
    pub max_digits: usize,
    /// The key that completes the entry; `None`: no key does.
    pub terminator: Option<char>,
    /// To the first key, after the agent has spoken.
    pub timeout: Duration,
    /// From one key to the next.
    pub inter_digit_timeout: Duration,
    /// Nobody but the caller and the tools learns the digits.
    pub is_secret: bool,
}

/// How an entry ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitOutcome {
    /// As many digits as were asked for.
    Completed,
    /// No key came in time.
    Timeout,
    /// The caller stopped before `min_digits`.
    TooShort,
    /// Something else happened: the caller spoke, or the conversation ended.
    Cancelled,
}

impl DigitOutcome {
    /// As the LLM reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Timeout => "timeout",
            Self::TooShort => "too_short",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug)]
enum EntryStage {
    /// The agent has the word.
    Prompting,
    /// No key yet.
    Waiting { until: Instant },
    /// At least one digit.
    Entering { digits: Secret, until: Instant },
}

/// An entry in progress.
#[derive(Debug)]
pub struct DigitCollection {
    request: DigitRequest,
    stage: EntryStage,
}

impl DigitCollection {
    /// Begins; the time to the first key runs from [`Self::handle_silence`] on.
    pub fn new(request: DigitRequest) -> Self {
        Self { request, stage: EntryStage::Prompting }
    }

    /// What was asked for.
    pub fn request(&self) -> &DigitRequest {
        &self.request
    }

    /// The digits so far.
    pub fn digits(&self) -> Secret {
        match &self.stage {
            EntryStage::Entering { digits, .. } => digits.clone(),
            EntryStage::Prompting | EntryStage::Waiting { .. } => Secret::default(),
        }
    }

    /// How many digits there are.
    pub fn count(&self) -> usize {
        match &self.stage {
            EntryStage::Entering { digits, .. } => digits.expose().len(),
            EntryStage::Prompting | EntryStage::Waiting { .. } => 0,
        }
    }

    /// The agent has spoken: the caller's time runs.
    pub fn handle_silence(&mut self, now: Instant) {
        if matches!(self.stage, EntryStage::Prompting) {
            self.stage = EntryStage::Waiting { until: now + self.request.timeout };
        }
    }

    /// The agent speaks, so the caller's time does not run.
    pub fn handle_speech(&mut self) {
        if matches!(self.stage, EntryStage::Waiting { .. }) {
            self.stage = EntryStage::Prompting;
        }
    }

    /// The caller is saying something, which may be more digits: the time begins again.
    pub fn handle_caller_speech(&mut self, now: Instant) {
        match &mut self.stage {
            EntryStage::Prompting => {}
            EntryStage::Waiting { until } => *until = now + self.request.timeout,
            EntryStage::Entering { until, .. } => *until = now + self.request.inter_digit_timeout,
        }
    }

    /// A key: `0` to `9`, `*`, `#` or `A` to `D`. Returns the outcome if it ends the entry.
    pub fn handle_digit(&mut self, now: Instant, digit: char) -> Option<DigitOutcome> {
        if self.request.terminator == Some(digit) {
            return Some(self.judge());
        }
        let digits = Secret::from(format!("{}{digit}", self.digits().expose()));
        self.stage = EntryStage::Entering { digits, until: now + self.request.inter_digit_timeout };
        (self.count() >= self.request.max_digits).then_some(DigitOutcome::Completed)
    }

    /// When the wait for a key ends; `None` while the agent speaks.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            EntryStage::Prompting => None,
            EntryStage::Waiting { until } | EntryStage::Entering { until, .. } => Some(until),
        }
    }

    /// The wait is over.
    pub fn handle_timeout(&self) -> DigitOutcome {
        match self.stage {
            EntryStage::Prompting | EntryStage::Waiting { .. } => DigitOutcome::Timeout,
            EntryStage::Entering { .. } => self.judge(),
        }
    }

    fn judge(&self) -> DigitOutcome {
        if self.count() >= self.request.min_digits { DigitOutcome::Completed } else { DigitOutcome::TooShort }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn begun(min_digits: usize, max_digits: usize, terminator: Option<char>) -> (Instant, DigitCollection) {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        let request = DigitRequest {
            name: "pin".into(),
            min_digits,
            max_digits,
            terminator,
            timeout: 5_000 * MS,
            inter_digit_timeout: 2_000 * MS,
            is_secret: true,
        };
        let mut collection = DigitCollection::new(request);
        collection.handle_silence(now);
        (now, collection)
    }

    fn enter(min: usize, max: usize, terminator: Option<char>, keys: &str) -> (Option<DigitOutcome>, DigitCollection) {
        let (now, mut collection) = begun(min, max, terminator);
        let outcome = keys.chars().fold(None, |_, key| collection.handle_digit(now, key));
        (outcome, collection)
    }

    #[test]
    fn an_entry_ends_by_its_number_of_digits_or_the_terminator() {
        for (min, max, terminator, keys, wanted, count) in [
            (4, 4, Some('#'), "1234", Some(DigitOutcome::Completed), 4),
            (4, 4, Some('#'), "123", None, 3),
            (4, 4, Some('#'), "12#", Some(DigitOutcome::TooShort), 2),
            (1, 8, Some('#'), "12#", Some(DigitOutcome::Completed), 2),
            (1, 8, Some('#'), "#", Some(DigitOutcome::TooShort), 0),
            (1, 8, Some('*'), "1#*", Some(DigitOutcome::Completed), 2),
            (1, 8, None, "12#*", None, 4),
            (1, 1, None, "#", Some(DigitOutcome::Completed), 1),
        ] {
            let (outcome, collection) = enter(min, max, terminator, keys);
            assert_eq!((outcome, collection.count()), (wanted, count), "{keys}");
        }
    }

    #[test]
    fn an_entry_ends_by_time() {
        let (now, mut collection) = begun(2, 4, Some('#'));
        assert_eq!(collection.poll_timeout(), Some(now + 5_000 * MS));
        assert_eq!(collection.handle_timeout(), DigitOutcome::Timeout);
        let later = now + 4_000 * MS;
        assert_eq!(collection.handle_digit(later, '1'), None);
        assert_eq!(collection.poll_timeout(), Some(later + 2_000 * MS));
        assert_eq!(collection.handle_timeout(), DigitOutcome::TooShort);
        assert_eq!(collection.handle_digit(later, '2'), None);
        assert_eq!(collection.handle_timeout(), DigitOutcome::Completed);
    }

    #[test]
    fn the_callers_time_does_not_run_while_the_agent_speaks() {
        let (now, mut collection) = begun(2, 4, Some('#'));
        collection.handle_speech();
        assert_eq!(collection.poll_timeout(), None);
        collection.handle_silence(now + 9_000 * MS);
        assert_eq!(collection.poll_timeout(), Some(now + 14_000 * MS));
    }

    #[test]
    fn debug_output_has_no_digits() {
        let (_, collection) = enter(1, 9, None, "47110815");
        assert!(!format!("{collection:?}").contains("4711"));
        assert_eq!(collection.digits().expose(), "47110815");
    }
}
