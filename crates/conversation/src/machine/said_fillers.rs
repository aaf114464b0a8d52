//! Fillers that were said while the caller waited.

use std::time::{Duration, Instant};

/// Fillers to one turn of the caller: half a minute.
const FILLERS_MAX: u32 = 5;
/// A phrase that nobody has chosen leaves the answer this time, however late the turn was over.
const SOONEST: Duration = Duration::from_millis(600);

/// What was said so far while the caller waited.
#[derive(Debug, Default)]
pub(super) struct SaidFillers {
    /// The last one: it is not repeated at once.
    pub(super) last: Option<String>,
    /// Since the caller's last turn.
    count: u32,
    /// Since when the caller has waited without hearing a word.
    waits_since: Option<Instant>,
    /// The end of the turn after which the caller has not heard a sound.
    unanswered_since: Option<Instant>,
}

impl SaidFillers {
    /// The caller had a turn that ended then, and waits.
    pub(super) fn start_over(&mut self, now: Instant, ended: Instant) {
        (self.count, self.waits_since, self.unanswered_since) = (0, Some(now), Some(ended));
    }

    /// The caller spoke until then, and waits, though nothing was understood.
    pub(super) fn note_unheard(&mut self, ended: Instant) {
        self.unanswered_since = Some(ended);
    }

    /// Since when the caller has heard nothing: the end of the last turn; `None` once there was a sound.
    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    /// The caller hears a sound, or speaks.
    pub(super) fn handle_sound(&mut self) {
        self.unanswered_since = None;
    }

    /// The caller has heard something.
    pub(super) fn end_wait(&mut self) {
        self.waits_since = None;
    }

    /// When a phrase is due that is said after so long a wait.
    pub(super) fn due(&self, now: Instant, after: Duration) -> Instant {
        (self.waits_since.unwrap_or(now) + after).max(now)
    }

    /// The same, or so long after the end of the turn, if that is earlier: the time until the turn was over counts.
    pub(super) fn due_after_turn(&self, now: Instant, after: Duration, after_turn: Duration) -> Instant {
        let due = self.due(now, after);
        self.unanswered_since.map_or(due, |ended| due.min((ended + after_turn).max(now + SOONEST)))
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
