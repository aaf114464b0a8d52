//! What is known of a turn at one moment.

use super::asked::Asked;
use std::time::Duration;

/// What STT says about the end of the turn by itself. Final words that we asked for say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SttSign {
    /// Nothing, or the caller went on.
    #[default]
    None,
    /// It heard a pause (`speech_final`).
    SpeechFinal,
    /// It heard no words for long (`UtteranceEnd`).
    UtteranceEnd,
    /// Its turn model holds the turn for over (`EndOfTurn`).
    EndOfTurn,
}

/// What the full stops of STT have been worth in this call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopTrust {
    /// They have stood at pauses after which the caller went on.
    Doubted,
    /// Nothing is known.
    #[default]
    Unknown,
    /// They have stood at the ends of turns.
    Proven,
}

/// How often STT has ended a turn of this call with a mark, and how often without one. What a missing mark is worth depends on
/// it: some services write one now and then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkHabit {
    marked: u8,
    unmarked: u8,
}

impl MarkHabit {
    /// Ends that are remembered. The older ones fade.
    const ENDS_MAX: u8 = 8;

    /// A turn was over whose words ended so.
    pub fn record_end(&mut self, has_mark: bool) {
        if self.marked + self.unmarked >= Self::ENDS_MAX {
            self.marked /= 2;
            self.unmarked /= 2;
        }
        match has_mark {
            true => self.marked += 1,
            false => self.unmarked += 1,
        }
    }

    /// How much it tells that the words end without a mark, from 0 to 1; `is_written`: there are marks in them, which is one more
    /// sign that this STT writes some.
    pub fn missing_mark_counts(self, is_written: bool) -> f32 {
        let marked = f32::from(self.marked) + if is_written { 1.0 } else { 0.0 };
        let unmarked = f32::from(self.unmarked);
        ((marked - unmarked) / (marked + unmarked + 1.0)).max(0.0)
    }
}

/// How the voice ended, as the leg measures it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prosody {
    /// How far pitch and level fell at the end, from -1 (rose) to 1 (fell).
    pub fall: f32,
    /// How much longer the last voiced stretch was than usual, from 0 to 1.
    pub lengthening: f32,
}

/// What is known of a turn at one moment. All of it is optional but the words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Words so far, final ones first.
    pub words: &'a str,
    /// Language code of the words; empty or `multi` if it is not known.
    pub language: &'a str,
    /// The last of the words may still change.
    pub is_interim: bool,
    /// How long after the last sound the last words came; `None` if they came before it.
    pub words_after_sound: Option<Duration>,
    /// Where STT has put marks in this call.
    pub marks: MarkHabit,
    /// What its full stops have been worth.
    pub stops: StopTrust,
    /// What STT says by itself.
    pub stt: SttSign,
    /// What the agent asked.
    pub asked: Asked,
    /// How the voice ended, where the leg has measured it.
    pub prosody: Option<Prosody>,
}

#[cfg(test)]
mod tests {
    use super::MarkHabit;

    #[test]
    fn a_missing_mark_tells_as_much_as_marks_are_usual() {
        let mut habit = MarkHabit::default();
        assert_eq!(habit.missing_mark_counts(false), 0.0, "nothing is known");
        assert_eq!(habit.missing_mark_counts(true), 0.5);
        habit.record_end(true);
        habit.record_end(true);
        let usual = habit.missing_mark_counts(false);
        assert!(usual > 0.6, "{usual}");
        habit.record_end(false);
        assert!(habit.missing_mark_counts(false) < usual / 2.0);
        habit.record_end(false);
        assert_eq!(habit.missing_mark_counts(false), 0.0, "as often without one");
        for _ in 0..100 {
            habit.record_end(true);
        }
        assert!(habit.missing_mark_counts(false) > 0.7, "what was long ago fades");
    }
}
