//! Fillers that were said while the caller waited.

use std::time::{Duration, Instant};

/// Fillers to one turn of the caller: half a minute.
const FILLERS_MAX: u32 = 5;

/// What was said so far while the caller waited.
#[derive(Debug, Default)]
pub(super) struct SaidFillers {
    /// The last one: it is not repeated at once.
    pub(super) last: Option<String>,
    /// Since the caller's last turn.
    count: u32,
    /// Since when the caller has waited without hearing a word.
    waits_since: Option<Instant>,
}

impl SaidFillers {
    /// The caller had a turn, and waits.
    pub(super) fn start_over(&mut self, now: Instant) {
        (self.count, self.waits_since) = (0, Some(now));
    }

    /// The caller has heard something.
    pub(super) fn end_wait(&mut self) {
        self.waits_since = None;
    }

    /// When a phrase is due that is said after so long a wait.
    pub(super) fn due(&self, now: Instant, after: Duration) -> Instant {
        (self.waits_since.unwrap_or(now) + after).max(now)
    }

    /// None was said since the caller's last turn.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// No further one is said before the caller's next turn.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count >= FILLERS_MAX
    }

    pub(super) fn record(&mut self, words: String) {
        self.waits_since = None;
        self.count += 1;
        self.last = Some(words);
    }
}
