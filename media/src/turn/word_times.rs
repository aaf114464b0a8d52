//! The words of a turn: when they came, and what is known of them besides.

use super::taken_words::{TakenWords, TurnCorrection};
use std::time::Instant;

/// Words and when they came.
#[derive(Debug, Default)]
pub(super) struct WordTimes {
    /// Interim words that were already used; their final version will still arrive.
    pub(super) taken: TakenWords,
    /// Another writing of the turn that was taken last.
    pub(super) correction: Option<TurnCorrection>,
    /// Words of the turn that was taken last, as far as the caller may go on with it.
    pub(super) last_turn: String,
    /// When the last final words arrived.
    pub(super) final_at: Option<Instant>,
    /// When the last words arrived: start of silence for a caller the VAD does not detect.
    pub(super) last_at: Option<Instant>,
    /// The caller made a sound with words of this turn, or shortly before them.
    pub(super) are_voiced: bool,
    /// When STT last sent anything, also that there were no words.
    pub(super) heard_at: Option<Instant>,
    /// STT has sent all it has for now: it heard a pause, or was asked.
    pub(super) is_settled: bool,
    /// The final words without the stops that STT wrote at pauses after which the caller went on.
    pub(super) judged: String,
    /// Stops after which the caller went on, less those after which a turn was over.
    pub(super) false_stops: i32,
}
