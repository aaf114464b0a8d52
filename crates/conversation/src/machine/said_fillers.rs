//! Fillers that were said while the caller waited.

use std::time::{Duration, Instant};
use trunkline_media::turn::end_of_turn::CallerTurn;

/// Fillers to one turn of the caller: some five minutes.
const FILLERS_MAX: u32 = 60;
/// Silence after which the next filler is said in any case; a longer one was no wait.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A phrase that nobody has chosen leaves the answer this time, if the caller has not waited too long by then.
const SOONEST: Duration = Duration::from_millis(600);
/// How long after the end of a turn it leaves the answer less, because STT was so late: it is heard within three seconds.
const UNANSWERED_MAX: Duration = Duration::from_millis(2_600);
/// Final words that come this long after the end of a turn, or later, are late.
const LATE_WORDS: Duration = Duration::from_millis(1_200);
/// What it leaves an answer that is there at once.
const SOONEST_LATE: Duration = Duration::from_millis(200);

/// What was said so far while the caller waited.
#[derive(Debug, Default)]
pub(super) struct SaidFillers {
    /// The last one: it is not repeated at once.
    pub(super) last: Option<String>,
    /// Since the caller's last turn.
    count: u32,
    /// Since when nobody speaks: the end of the caller's turn, or of the agent's last words.
    silent_since: Option<Instant>,
    /// The end of the turn after which the caller has not heard a sound.
    unanswered_since: Option<Instant>,
    /// The last key, as long as nothing was heard or said since.
    pressed_at: Option<Instant>,
    /// The caller's last turn was one of keys, which were waited for.
    is_after_keys: bool,
    /// STT was late with the words of that turn: it was no pause in which the caller was let to go on.
    has_late_words: bool,
}

impl SaidFillers {
    /// The caller had a turn that ended then, and waits.
    pub(super) fn start_over(&mut self, now: Instant, ended: Instant) {
        self.has_late_words = false;
        // Who presses a key waits from then on, also while further keys are waited for.
        let pressed = self.pressed_at.take().filter(|pressed| *pressed < ended);
        self.is_after_keys = pressed.is_some();
        (self.count, self.silent_since) = (0, Some(pressed.unwrap_or(now)));
        self.unanswered_since = Some(pressed.unwrap_or(ended));
    }

    /// The caller presses a key.
    pub(super) fn handle_key(&mut self, now: Instant) {
        self.pressed_at = Some(now);
    }

    /// The turn that the caller waits for an answer to: STT may have been late with its words.
    pub(super) fn note_turn(&mut self, turn: &CallerTurn) {
        self.has_late_words = turn.final_at.is_some_and(|at| at >= turn.ended + LATE_WORDS);
    }

    /// Another agent has the call: the caller waits on.
    pub(super) fn change_agent(&mut self) {
        self.count = 0;
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
        (self.unanswered_since, self.silent_since, self.pressed_at) = (None, None, None);
    }

    /// The caller has heard words to their end, or is asked for something new.
    pub(super) fn begin_silence(&mut self, now: Instant) {
        self.silent_since = Some(now);
    }

    /// When the silence began that lasts; a long one was no wait.
    fn silence_began(&self, now: Instant) -> Instant {
        self.silent_since.filter(|since| now.saturating_duration_since(*since) <= SILENCE_MAX).unwrap_or(now)
    }

    /// When the first phrase is due that is said after so long a silence.
    pub(super) fn due(&self, now: Instant, after: Duration) -> Instant {
        // What the keys were waited for may answer at once.
        let soonest = if self.is_after_keys { SOONEST.min(after) } else { Duration::ZERO };
        (self.silence_began(now) + after).max(now + soonest)
    }

    /// When a further phrase is due after so long a silence. What was waited for may have come just now: a little later
    /// then, but not after the longest silence.
    pub(super) fn due_again(&self, now: Instant, after: Duration) -> Instant {
        let since = self.silence_began(now);
        (since + after).max((now + SOONEST).min(since + after.max(SILENCE_MAX))).max(now)
    }

    /// The same as `due`, or so long after the end of the turn, if that is earlier: the time until the turn was over counts.
    pub(super) fn due_after_turn(&self, now: Instant, after: Duration, after_turn: Duration) -> Instant {
        let due = self.due(now, after);
        self.unanswered_since.map_or(due, |ended| {
            let soonest = match self.has_late_words {
                true => (now + SOONEST).min((ended + UNANSWERED_MAX).max(now + SOONEST_LATE)),
                false => now + SOONEST,
            };
            due.min((ended + after_turn).max(soonest))
        })
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
        self.silent_since = None;
        self.count += 1;
        self.last = Some(words);
    }
}
