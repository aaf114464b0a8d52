//! The words of a turn, as STT has sent them, and when they came.

use super::super::evidence::{MarkHabit, StopTrust};
use super::super::taken_words::{TakenWords, TurnCorrection, join};
use std::time::Instant;

/// Marks of an STT that writes some.
const END_MARKS: [char; 7] = ['.', '?', '!', '。', '？', '！', '।'];
/// Stops that count for or against an STT at most.
const FALSE_STOPS_MAX: i32 = 3;

/// Words of the present turn, and what is kept of the one before.
#[derive(Debug, Default)]
pub(super) struct TurnWords {
    finals: String,
    interim: String,
    /// Sum and number.
    confidences: (f32, u32),
    /// Where STT has put marks in this call.
    marks: MarkHabit,
    /// The same before the turn that was taken last.
    marks_before: MarkHabit,
    /// The final words without the stops that STT wrote at pauses after which the caller went on.
    judged: String,
    /// Words of a turn that was cut off, to which the present ones belong.
    cut: String,
    /// The present words go on with a turn that was taken before STT had sent all of its sound.
    goes_on: bool,
    /// Words of the turn that was taken last, as far as the caller may go on with it.
    last_turn: String,
    /// Interim words that were already used; their final version will still arrive.
    taken: TakenWords,
    /// Another writing of the turn that was taken last.
    correction: Option<TurnCorrection>,
    /// When the last final words arrived.
    final_at: Option<Instant>,
    /// When the last words arrived: start of silence for a caller the VAD does not detect.
    last_at: Option<Instant>,
    /// When STT last sent anything, also that there were no words.
    heard_at: Option<Instant>,
    /// STT has sent all it has for now: it heard a pause, or was asked.
    is_settled: bool,
    /// Stops after which the caller went on, less those after which a turn was over.
    false_stops: i32,
}

/// Words that were taken as a turn.
#[derive(Debug)]
pub(super) struct TakenTurn {
    pub(super) text: String,
    pub(super) confidence: Option<f32>,
    pub(super) final_at: Option<Instant>,
}

impl TurnWords {
    /// Words so far.
    pub(super) fn text(&self) -> String {
        join(&self.finals, &self.interim)
    }

    /// Words so far as they are judged: a caller who was cut off goes on with the same sentence or number.
    pub(super) fn judged_text(&self) -> String {
        join(self.cut.trim_end_matches('.'), &join(&self.judged, &self.interim))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.finals.is_empty() && self.interim.is_empty()
    }

    pub(super) fn has_finals(&self) -> bool {
        !self.finals.is_empty()
    }

    pub(super) fn has_interim(&self) -> bool {
        !self.interim.is_empty()
    }

    /// Final words for interim ones that were taken are still to come.
    pub(super) fn is_final_outstanding(&self) -> bool {
        !self.taken.is_empty()
    }

    pub(super) fn confidence(&self) -> Option<f32> {
        (self.confidences.1 > 0).then(|| self.confidences.0 / self.confidences.1 as f32)
    }

    pub(super) fn marks(&self) -> MarkHabit {
        self.marks
    }

    /// Where the full stops of this call have stood.
    pub(super) fn stop_trust(&self) -> StopTrust {
        match self.false_stops {
            1.. => StopTrust::Doubted,
            0 => StopTrust::Unknown,
            _ => StopTrust::Proven,
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    pub(super) fn last_at(&self) -> Option<Instant> {
        self.last_at
    }

    /// STT has sent nothing since then.
    pub(super) fn is_unheard_since(&self, onset: Instant) -> bool {
        self.heard_at.is_none_or(|heard| heard < onset)
    }

    /// The caller makes a sound; `is_pause`: after a silence in this turn.
    pub(super) fn record_speech(&mut self, is_pause: bool) {
        if is_pause && self.finals.ends_with('.') && self.interim.is_empty() {
            self.false_stops = FALSE_STOPS_MAX.min(self.false_stops + 1);
        }
        self.taken.record_speech();
    }

    /// The last turn was cut off: its words and the next ones are one turn.
    pub(super) fn record_cut_off(&mut self) {
        self.cut = std::mem::take(&mut self.last_turn);
        // It was no end.
        self.marks = self.marks_before;
        if self.cut.ends_with('.') {
            self.false_stops = FALSE_STOPS_MAX.min(self.false_stops + 2);
        }
    }

    /// A turn is over, and nothing has contradicted it.
    pub(super) fn record_end(&mut self) {
        self.marks_before = self.marks;
        if self.interim.is_empty() {
            self.marks.record_end(self.finals.ends_with(END_MARKS));
        }
        if self.finals.ends_with('.') {
            self.false_stops = (-FALSE_STOPS_MAX).max(self.false_stops - 1);
        }
    }

    /// Replaces the interim words. Returns false if they are only those of a turn that was already taken.
    pub(super) fn set_interim(&mut self, now: Instant, text: &str) -> bool {
        self.heard_at = Some(now);
        // A replacement STT session that hears the replay buffer repeats them word by word.
        if self.taken.covers(text) || self.taken.is_begun_by(text) {
            return false;
        }
        let goes_on = self.taken.goes_on_in(text);
        let text = self.taken.without(text);
        if !self.taken.is_empty() && (text.is_empty() || self.taken.is_begun_by(&text)) {
            return false;
        }
        self.last_at = Some(now);
        self.is_settled = false;
        self.interim = text;
        if goes_on {
            self.record_more();
        }
        true
    }

    /// Adds final words; `done`: STT has sent all it has. Returns whether there are any beyond the turn that was taken.
    pub(super) fn add_final(&mut self, now: Instant, text: &str, confidence: Option<f32>, done: bool) -> bool {
        self.interim.clear();
        self.heard_at = Some(now);
        self.is_settled = done;
        let text = self.new_words(text);
        if text.is_empty() {
            return false;
        }
        self.last_at = Some(now);
        self.final_at = Some(now);
        self.finals = join(&self.finals, &text);
        self.judged = join(self.judged.trim_end_matches('.'), &text);
        if let Some(confidence) = confidence {
            self.confidences.0 += confidence;
            self.confidences.1 += 1;
        }
        true
    }

    /// What final words say beyond the turn that was taken. The same words in another writing correct that turn.
    fn new_words(&mut self, text: &str) -> String {
        // An empty final is not the final of the used words; it is still to come.
        if text.trim().is_empty() || self.taken.is_empty() {
            return text.to_owned();
        }
        // Some STT services send their final words in parts: the rest still comes.
        if self.taken.take_part(text) {
            return String::new();
        }
        let taken = std::mem::take(&mut self.taken);
        if taken.covers(text) {
            self.correction = taken.correction(text);
            return String::new();
        }
        if taken.goes_on_in(text) {
            self.record_more();
        }
        taken.without(text)
    }

    /// More words of the sound of the last turn: they are judged together.
    fn record_more(&mut self) {
        self.goes_on = true;
        if self.cut.is_empty() {
            self.cut = std::mem::take(&mut self.last_turn);
        }
    }

    /// The present words belong to the sound of a turn that was taken without them.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Final words came once more in another version: it takes the place of the first, in this turn or in the last one.
    pub(super) fn correct(&mut self, was: &str, is: &str) {
        let (was, is) = (was.trim(), is.trim());
        if let Some(at) = self.finals.rfind(was) {
            self.finals.replace_range(at..at + was.len(), is);
            self.judged = self.judged.replacen(was, is, 1);
        } else {
            self.correction = Some(TurnCorrection { was: was.to_owned(), is: is.to_owned() });
        }
    }

    pub(super) fn take_correction(&mut self) -> Option<TurnCorrection> {
        self.correction.take()
    }

    /// Takes all words as a turn, which may be none; `is_speaking`: the caller may say more at once.
    pub(super) fn take(&mut self, is_speaking: bool) -> TakenTurn {
        let text = self.text();
        if !self.interim.is_empty() {
            self.taken = TakenWords::new(&self.finals, &self.interim, is_speaking);
        }
        let confidence = self.confidence();
        self.last_turn = join(&std::mem::take(&mut self.cut), &text);
        self.finals.clear();
        self.judged.clear();
        self.interim.clear();
        self.confidences = (0.0, 0);
        self.last_at = None;
        self.goes_on = false;
        TakenTurn { text, confidence, final_at: self.final_at.take() }
    }

    /// The final words as they are judged.
    #[cfg(test)]
    pub(super) fn judged(&self) -> &str {
        &self.judged
    }
}
