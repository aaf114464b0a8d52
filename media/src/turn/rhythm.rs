//! The caller's rhythm: pauses after which this caller went on.

use std::time::Duration;

/// Pauses that are remembered.
const PAUSES_MAX: usize = 8;
/// Shorter gaps are pauses between words.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// Margin added to the caller's usual pause.
const PAUSE_MARGIN: Duration = Duration::from_millis(100);
/// A single pause tells little: it counts up to this length.
const SINGLE_PAUSE_MAX: Duration = Duration::from_millis(700);
/// How much less complete words may have looked at a pause to tell something about others.
const LIKENESS: f32 = 0.2;
/// From this probability on, words are a complete answer.
const COMPLETE: f32 = 0.9;
/// Complete turns in a row after which a cut is forgotten.
const GOOD_TURNS: u8 = 3;

/// A pause, and how complete the words before it looked.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pause {
    length: Duration,
    probability: f32,
    /// The turn was taken for over, and was not.
    was_cut: bool,
}

/// Pauses of one caller, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Rhythm {
    pauses: Vec<Pause>,
    good_turns: u8,
}

impl Rhythm {
    /// The caller went on after this pause.
    pub(super) fn record(&mut self, length: Duration, probability: f32, was_cut: bool, longest: Duration) {
        if length < PAUSE_MIN || length > longest {
            return;
        }
        if self.pauses.len() == PAUSES_MAX {
            self.pauses.remove(0);
        }
        self.pauses.push(Pause { length, probability, was_cut });
        self.good_turns = 0;
    }

    /// A turn was taken for over, and nothing has contradicted it.
    pub(super) fn record_end(&mut self) {
        self.good_turns += 1;
        if self.good_turns >= GOOD_TURNS {
            self.good_turns = 0;
            if let Some(at) = self.pauses.iter().position(|pause| pause.was_cut) {
                self.pauses.remove(at);
            }
        }
    }

    /// How long this caller pauses after words that look so complete, with a margin. The longest pause is ignored,
    /// unless it was cut off.
    pub(super) fn usual_pause(&self, probability: f32) -> Duration {
        // An answer is complete whatever the rhythm, unless such a one was cut off.
        let is_like =
            |pause: &&Pause| pause.probability >= probability - LIKENESS && (pause.was_cut || probability < COMPLETE);
        let alike = || self.pauses.iter().filter(is_like);
        let mut lengths: Vec<Duration> = alike().map(|pause| pause.length).collect();
        lengths.sort_unstable();
        let usual = match lengths.as_slice() {
            [] => None,
            [one] => Some((*one).min(SINGLE_PAUSE_MAX)),
            [.., second, _] => Some(*second),
        };
        let cut = alike().filter(|pause| pause.was_cut).map(|pause| pause.length).max();
        usual.max(cut).map_or(Duration::ZERO, |pause| pause + PAUSE_MARGIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(3_000);

    #[test]
    fn a_single_long_pause_tells_little_and_the_longest_of_several_nothing() {
        let mut rhythm = Rhythm::default();
        rhythm.record(1_700 * MS, 0.5, false, LONGEST);
        assert_eq!(rhythm.usual_pause(0.5), SINGLE_PAUSE_MAX + PAUSE_MARGIN);
        rhythm.record(500 * MS, 0.5, false, LONGEST);
        assert_eq!(rhythm.usual_pause(0.5), 500 * MS + PAUSE_MARGIN);
        rhythm.record(1_600 * MS, 0.5, true, LONGEST);
        assert_eq!(rhythm.usual_pause(0.5), 1_600 * MS + PAUSE_MARGIN, "a pause that was cut off counts at once");
    }

    #[test]
    fn a_complete_answer_waits_only_if_such_a_one_was_cut_off() {
        let mut rhythm = Rhythm::default();
        rhythm.record(600 * MS, 0.95, false, LONGEST);
        assert_eq!(rhythm.usual_pause(0.95), Duration::ZERO, "pauses of a caller who went on by himself");
        rhythm.record(600 * MS, 0.3, true, LONGEST);
        assert_eq!(rhythm.usual_pause(0.95), Duration::ZERO, "what was cut off looked far less complete");
        rhythm.record(1_200 * MS, 0.95, true, LONGEST);
        assert_eq!(rhythm.usual_pause(0.95), 1_200 * MS + PAUSE_MARGIN, "at once, and in full");
        for _ in 0..GOOD_TURNS * 2 {
            rhythm.record_end();
        }
        assert_eq!(rhythm.usual_pause(0.95), Duration::ZERO, "three whole turns later each cut is forgotten");
    }
}
