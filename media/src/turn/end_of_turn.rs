//! End-of-turn detection from silence, STT events, the words and the caller's usual pauses.
//!
//! Owned by the call, not by the leg, because transcripts arrive at the call.

use super::completeness::{self, Completeness};
use std::time::{Duration, Instant};

/// Pauses of a caller inside of turns that are remembered.
const PAUSES_MAX: usize = 8;
/// Margin added to the caller's usual pause.
const PAUSE_MARGIN: Duration = Duration::from_millis(100);
/// Wait after final words that are not marked as last, because more may follow.
const MORE_FINALS_WAIT: Duration = Duration::from_millis(80);
/// Shorter gaps are pauses between words.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// How long the caller must be silent before a turn ends, depending on its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndOfTurnConfig {
    /// Minimum silence before a turn ends, whatever STT reports.
    pub min_silence: Duration,
    /// Silence that ends a complete answer without an end-of-utterance event from STT.
    pub complete_silence: Duration,
    /// Silence after which finished words end the turn without STT's word for it.
    pub silence: Duration,
    /// Silence that ends a clause without its end, and digits or letters, even with STT's word.
    pub unfinished_silence: Duration,
    /// Silence after which interim words end the turn, because STT is late or stuck.
    pub max_silence: Duration,
    /// Of the words: `en-US`.
    pub language: String,
}

impl Default for EndOfTurnConfig {
    fn default() -> Self {
        Self {
            min_silence: Duration::from_millis(100),
            complete_silence: Duration::from_millis(300),
            silence: Duration::from_millis(900),
            unfinished_silence: Duration::from_millis(1_500),
            max_silence: Duration::from_millis(2_000),
            language: "en".to_owned(),
        }
    }
}

/// A turn of the caller that is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct CallerTurn {
    /// Words of the turn, final ones first. Never empty.
    pub text: String,
    /// Mean confidence of STT's final words, 0 to 1; `None` if STT gave none.
    pub confidence: Option<f32>,
    /// Start of the caller's speech, or of the first words if the VAD heard none.
    pub started: Instant,
    /// End of the caller's last sound, or when the turn was taken if the caller still spoke. Not before `started`.
    pub ended: Instant,
    /// When STT's last final words came.
    pub final_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpeechState {
    Speaking { since: Instant },
    Silent { since: Instant },
}

/// Collects words and watches silence.
#[derive(Debug)]
pub struct EndOfTurnDetector {
    config: EndOfTurnConfig,
    speech: Option<SpeechState>,
    started: Option<Instant>,
    finals: String,
    interim: String,
    confidences: (f32, u32),
    stt_is_final: bool,
    /// A turn model reported the end of turn: no silence is needed.
    turn_model_ended: bool,
    /// Pauses after which the caller went on, newest last.
    pauses: Vec<Duration>,
    /// STT sent words of this turn while the caller was speaking, so later words complete the turn.
    streaming: bool,
    turn_model: bool,
    /// Interim words that were already used; their final version will still arrive.
    taken: Vec<String>,
    /// When the last final words arrived.
    final_at: Option<Instant>,
    /// When the last words arrived: start of silence for a caller the VAD does not detect.
    last_words_at: Option<Instant>,
}

impl EndOfTurnDetector {
    /// Creates a detector at the start of a call: no words and no known pauses.
    pub fn new(config: EndOfTurnConfig) -> Self {
        Self {
            config,
            speech: None,
            started: None,
            finals: String::new(),
            interim: String::new(),
            confidences: (0.0, 0),
            stt_is_final: false,
            turn_model_ended: false,
            pauses: Vec::with_capacity(PAUSES_MAX),
            streaming: false,
            turn_model: false,
            taken: Vec::new(),
            final_at: None,
            last_words_at: None,
        }
    }

    /// Returns true between the VAD's start and end of speech.
    pub fn is_speaking(&self) -> bool {
        matches!(self.speech, Some(SpeechState::Speaking { .. }))
    }

    /// There are words of which STT has not said that they are final.
    pub fn is_waiting_for_final(&self) -> bool {
        !self.interim.is_empty()
    }

    /// STT is streaming: it can be asked to finalize. Non-streaming STT starts at the end of the utterance by itself.
    pub fn is_streaming(&self) -> bool {
        self.streaming && !self.turn_model
    }

    /// STT has a turn model: it is not asked to finalize, and its end-of-turn event is awaited.
    pub fn set_turn_model(&mut self) {
        self.turn_model = true;
    }

    /// True if final words for already used interim words are outstanding.
    pub fn is_final_outstanding(&self) -> bool {
        !self.taken.is_empty()
    }

    /// How sure STT is of the final words.
    pub fn confidence(&self) -> Option<f32> {
        (self.confidences.1 > 0).then(|| self.confidences.0 / self.confidences.1 as f32)
    }

    /// Words of the present turn so far.
    pub fn words(&self) -> String {
        join(&self.finals, &self.interim)
    }

    /// What the words of the present turn say about its end.
    pub fn completeness(&self) -> Completeness {
        completeness::completeness(&self.words(), &self.config.language)
    }

    /// The words are complete and the caller is silent; only the STT final is missing.
    pub fn is_likely_over(&self) -> bool {
        self.has_words_after_speech()
            && !self.stt_is_final
            && !self.words().is_empty()
            && self.completeness() == Completeness::Complete
    }

    /// The last words arrived after the last sound, so none are missing.
    fn has_words_after_speech(&self) -> bool {
        match self.speech {
            Some(SpeechState::Silent { since }) => self.last_words_at.is_some_and(|heard| heard >= since),
            _ => false,
        }
    }

    /// Records that the last turn was cut off: the caller continued after this pause.
    pub fn record_cut_off(&mut self, pause: Duration) {
        self.record_pause(pause);
    }

    fn record_pause(&mut self, pause: Duration) {
        if pause >= PAUSE_MIN && pause <= self.config.max_silence {
            if self.pauses.len() == PAUSES_MAX {
                self.pauses.remove(0);
            }
            self.pauses.push(pause);
        }
    }

    /// How long this caller's pauses are, with a margin; a single long pause is ignored.
    fn usual_pause(&self) -> Duration {
        let mut pauses = self.pauses.clone();
        pauses.sort_unstable();
        let usual = if pauses.len() > 2 { pauses.len() - 2 } else { pauses.len().saturating_sub(1) };
        pauses.get(usual).map_or(Duration::ZERO, |pause| *pause + PAUSE_MARGIN)
    }

    /// Records speech from `at` on. If the turn has words already, the silence before was one of the caller's pauses.
    pub fn handle_speech_started(&mut self, at: Instant) {
        if let Some(SpeechState::Silent { since }) = self.speech
            && !self.words().is_empty()
        {
            self.record_pause(at.saturating_duration_since(since));
        }
        self.speech = Some(SpeechState::Speaking { since: at });
        self.started.get_or_insert(at);
        self.stt_is_final = false;
    }

    /// `last_sound` is when the last voiced sound was heard, which lies before the event.
    pub fn handle_speech_ended(&mut self, last_sound: Instant) {
        self.speech = Some(SpeechState::Silent { since: last_sound });
    }

    /// Replaces the interim words of the turn. Words of a turn that was already taken are left out.
    pub fn handle_interim(&mut self, now: Instant, text: &str) {
        let text = without_taken(&self.taken, text);
        // A replacement STT session that hears the replay buffer repeats them word by word.
        if !self.taken.is_empty() && (text.is_empty() || is_prefix_of_taken(&self.taken, &text)) {
            return;
        }
        self.last_words_at = Some(now);
        if !text.is_empty() {
            self.streaming |= self.is_speaking();
            self.started.get_or_insert(now);
        }
        text.clone_into(&mut self.interim);
    }

    /// `done`: STT holds the utterance for finished (`speech_final`, `UtteranceEnd`).
    pub fn handle_final(&mut self, now: Instant, text: &str, confidence: Option<f32>, done: bool) {
        self.interim.clear();
        // An empty final is not the final of the used words; it is still to come.
        let count = text.split_whitespace().count();
        let text = if count > 0 && count < self.taken.len() && is_prefix_of_taken(&self.taken, text) {
            // Some STT services send their final words in parts: the rest still comes.
            self.taken.drain(..count);
            String::new()
        } else {
            let taken = if count == 0 { Vec::new() } else { std::mem::take(&mut self.taken) };
            without_taken(&taken, text)
        };
        if !text.is_empty() {
            self.last_words_at = Some(now);
            self.final_at = Some(now);
            self.started.get_or_insert(now);
            self.finals = join(&self.finals, &text);
            if let Some(confidence) = confidence {
                self.confidences.0 += confidence;
                self.confidences.1 += 1;
            }
        }
        self.stt_is_final |= done;
    }

    /// Records that STT holds the utterance for finished, which shortens the silence needed.
    pub fn handle_utterance_end(&mut self) {
        self.stt_is_final = true;
    }

    /// An STT service that models turns says that this one is over; its words are those of the whole turn.
    pub fn handle_end_of_turn(&mut self, now: Instant, text: &str, confidence: Option<f32>) {
        self.handle_final(now, text, confidence, true);
        self.turn_model_ended = !self.finals.is_empty();
    }

    /// The likely end of turn was wrong: the caller continues.
    pub fn handle_turn_resumed(&mut self) {
        self.stt_is_final = false;
        self.turn_model_ended = false;
    }

    fn quiet_since(&self) -> Option<Instant> {
        match self.speech {
            Some(SpeechState::Silent { since }) => Some(since),
            Some(SpeechState::Speaking { .. }) => None,
            None => self.last_words_at,
        }
    }

    /// When the turn ends if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.finals.is_empty() && self.interim.is_empty() {
            return None;
        }
        if self.turn_model_ended {
            return self.last_words_at;
        }
        // If STT reports the end, it overrides a line that is never silent (music, traffic).
        let quiet = match (self.quiet_since(), self.stt_is_final) {
            (Some(quiet), _) => quiet,
            (None, true) => return self.last_words_at.map(|heard| heard + self.config.silence),
            (None, false) => return None,
        };
        let EndOfTurnConfig { min_silence, complete_silence, silence, unfinished_silence, max_silence, .. } =
            self.config;
        let wait = match (self.completeness(), self.stt_is_final, self.interim.is_empty()) {
            // Interim words that came after the last sound are all there is of a complete answer.
            (Completeness::Complete, _, false) if self.is_streaming() && self.has_words_after_speech() => {
                complete_silence.min(silence)
            }
            (_, _, false) => max_silence,
            (Completeness::Complete, true, _) => min_silence,
            (Completeness::Complete, false, _) => complete_silence.min(silence),
            (Completeness::Undecided, true, _) => self.usual_pause().clamp(min_silence, silence),
            (Completeness::Undecided, false, _) => silence,
            (Completeness::Unfinished, true, _) => unfinished_silence,
            // Groups of digits follow each other quickly; the usual pause covers slower callers.
            (Completeness::Dictation, true, _) => (unfinished_silence * 2 / 3).max(self.usual_pause()),
            (Completeness::Unfinished | Completeness::Dictation, false, _) => unfinished_silence.max(silence),
        };
        let wait = wait.max(min_silence);
        let due = quiet + wait;
        // Finals come in bursts: one that is not the last is followed by more at once.
        let more =
            self.final_at.filter(|_| !self.stt_is_final && self.interim.is_empty()).map(|at| at + MORE_FINALS_WAIT);
        Some(more.map_or(due, |more| due.max(more)))
    }

    /// The finished turn, when its time has come.
    pub fn poll_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        let due = self.poll_timeout()?;
        (now >= due).then(|| self.take_turn(now)).flatten()
    }

    /// Takes the words so far, finished or not: a barge-in with words, or the end of the call.
    pub fn take_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        let text = self.words();
        let ended = self.quiet_since().unwrap_or(now).min(now);
        let started = self.started.take().unwrap_or(ended);
        self.streaming = false;
        if !self.interim.is_empty() {
            self.taken = plain_words(&self.interim).collect();
        }
        let confidence = self.confidence();
        self.finals.clear();
        self.interim.clear();
        self.confidences = (0.0, 0);
        self.stt_is_final = false;
        self.turn_model_ended = false;
        self.last_words_at = None;
        if self.is_speaking() {
            self.started = Some(now); // what follows belongs to the next turn
        }
        let final_at = self.final_at.take();
        (!text.is_empty()).then_some(CallerTurn { text, confidence, started, ended: ended.max(started), final_at })
    }
}

fn plain_words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
}

/// The words of a text are the first of those that were taken.
fn is_prefix_of_taken(taken: &[String], text: &str) -> bool {
    plain_words(text).eq(taken.iter().take(text.split_whitespace().count()).cloned())
}

/// What a text has beyond words that were taken before; all of it when it is another text.
fn without_taken(taken: &[String], text: &str) -> String {
    if taken.is_empty() {
        return text.to_owned();
    }
    // The final words may differ from the interim ones here and there: what they have in common, in order.
    let (mut same, mut known, mut end) = (0, 0, 0);
    for (index, word) in plain_words(text).enumerate() {
        if let Some(at) = taken[known..].iter().position(|one| *one == word) {
            (same, known, end) = (same + 1, known + at + 1, index + 1);
        }
    }
    if same * 2 < taken.len() {
        return text.to_owned();
    }
    text.split_whitespace().skip(end).collect::<Vec<_>>().join(" ")
}

fn join(first: &str, second: &str) -> String {
    let (first, second) = (first.trim(), second.trim());
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second.to_owned(),
        (_, true) => first.to_owned(),
        _ => format!("{first} {second}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn start() -> (Instant, EndOfTurnDetector) {
        #[expect(clippy::disallowed_methods, reason = "origin of virtual time")]
        let now = Instant::now();
        let mut detector = EndOfTurnDetector::new(EndOfTurnConfig::default());
        detector.handle_speech_started(now);
        (now, detector)
    }

    #[test]
    fn turn_ends_when_stt_agrees() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 1_000 * MS);
        assert_eq!(e.poll_timeout(), None, "no words yet");
        e.handle_final(t + 1_300 * MS, "yes please", Some(0.9), true);
        let turn = e.poll_turn(t + 1_300 * MS).unwrap();
        assert_eq!((turn.text.as_str(), turn.confidence, turn.ended), ("yes please", Some(0.9), t + 1_000 * MS));
        assert_eq!(e.poll_turn(t + 9_000 * MS), None);
    }

    #[test]
    fn pause_inside_a_sentence_does_not_end_turn() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 500 * MS);
        e.handle_final(t + 800 * MS, "my address is", None, false);
        assert_eq!(e.poll_turn(t + 1_300 * MS), None);
        e.handle_speech_started(t + 1_350 * MS);
        assert_eq!(e.poll_turn(t + 3_000 * MS), None);
        e.handle_speech_ended(t + 3_000 * MS);
        e.handle_final(t + 3_200 * MS, "Elm Street.", None, true);
        assert_eq!(e.poll_turn(t + 3_200 * MS).unwrap().text, "my address is Elm Street.");
    }

    #[test]
    fn interim_words_end_turn_when_stt_is_stuck() {
        let (t, mut e) = start();
        e.handle_interim(t + 300 * MS, "hello there");
        e.handle_speech_ended(t + 500 * MS);
        assert_eq!(e.poll_turn(t + 2_499 * MS), None);
        assert_eq!(e.poll_turn(t + 2_500 * MS).unwrap().text, "hello there");
    }

    #[test]
    fn stt_end_overrides_noisy_line() {
        let (t, mut e) = start();
        e.handle_final(t + 1_000 * MS, "can you hear me", None, false);
        e.handle_utterance_end();
        assert_eq!(e.poll_timeout(), Some(t + 1_900 * MS));
    }

    #[test]
    fn turn_ends_without_vad_speech() {
        let (t, _) = start();
        let mut e = EndOfTurnDetector::new(EndOfTurnConfig::default());
        e.handle_final(t, "whisper", None, true);
        assert_eq!(e.poll_turn(t + 200 * MS).unwrap().text, "whisper");
    }

    #[test]
    fn a_turn_model_ends_the_turn_without_waiting_for_silence() {
        let (t, mut e) = start();
        e.handle_interim(t + 500 * MS, "my number");
        e.handle_utterance_end();
        e.handle_turn_resumed();
        e.handle_speech_ended(t + 900 * MS);
        e.handle_interim(t + 950 * MS, "my number is seven");
        assert_eq!(e.poll_turn(t + 1_000 * MS), None);
        e.handle_end_of_turn(t + 1_050 * MS, "my number is seven", Some(0.8));
        assert_eq!(e.poll_turn(t + 1_050 * MS).unwrap().text, "my number is seven");
    }

    #[test]
    fn caller_dictates_a_number_and_pauses_between_its_parts() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 900 * MS);
        e.handle_final(t + 1_200 * MS, "zero six one two", None, true);
        assert_eq!(e.poll_turn(t + 1_850 * MS), None, "more digits may come");
        e.handle_speech_started(t + 1_890 * MS);
        e.handle_speech_ended(t + 3_000 * MS);
        e.handle_final(t + 3_300 * MS, "three four. That's all.", None, true);
        assert_eq!(e.poll_turn(t + 3_300 * MS).unwrap().text, "zero six one two three four. That's all.");
    }

    #[test]
    fn complete_answer_does_not_wait_for_stt() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 500 * MS);
        e.handle_final(t + 600 * MS, "Yes, please.", None, false);
        assert_eq!(e.poll_timeout(), Some(t + 800 * MS));
    }

    #[test]
    fn interim_words_are_used_once() {
        let (t, mut e) = start();
        e.handle_interim(t + 400 * MS, "Yes, that is");
        e.handle_speech_ended(t + 500 * MS);
        assert_eq!(e.poll_timeout(), Some(t + 2_500 * MS), "the last words may be missing");
        e.handle_interim(t + 700 * MS, "Yes, that is correct.");
        assert_eq!(e.poll_turn(t + 800 * MS).unwrap().text, "Yes, that is correct.");
        e.handle_interim(t + 850 * MS, "Yes, that is correct.");
        e.handle_final(t + 900 * MS, "Yes, that's correct.", None, true);
        assert_eq!(e.poll_turn(t + 9_000 * MS), None, "they come again as final ones");
        e.handle_final(t + 9_100 * MS, "Goodbye.", None, true);
        assert_eq!(e.poll_turn(t + 9_200 * MS).unwrap().text, "Goodbye.");
    }

    #[test]
    fn empty_final_is_not_the_outstanding_final() {
        let (t, mut e) = start();
        e.handle_interim(t + 400 * MS, "Hello, good morning.");
        e.handle_speech_ended(t + 500 * MS);
        assert_eq!(e.take_turn(t + 700 * MS).unwrap().text, "Hello, good morning.");
        assert_eq!(e.take_turn(t + 701 * MS), None, "taken once");
        e.handle_final(t + 702 * MS, "", None, false);
        e.handle_final(t + 704 * MS, "Hello, good morning.", None, true);
        assert_eq!(e.poll_turn(t + 9_000 * MS), None);
    }

    #[test]
    fn replayed_words_are_not_new() {
        let (t, mut e) = start();
        e.handle_interim(t + 400 * MS, "Hello, good morning.");
        e.handle_speech_ended(t + 500 * MS);
        assert!(e.take_turn(t + 700 * MS).is_some());
        for (at, text) in [(800, "Hello,"), (900, "Hello, good"), (1_000, "Hello, good morning.")] {
            e.handle_interim(t + at * MS, text);
            assert_eq!((e.words(), e.poll_timeout()), (String::new(), None), "{text}");
        }
        e.handle_final(t + 1_100 * MS, "Hello, good morning.", None, true);
        assert_eq!(e.poll_turn(t + 9_000 * MS), None);
        e.handle_interim(t + 9_100 * MS, "Hello?");
        assert_eq!(e.words(), "Hello?", "and once they are final, they may be said again");
    }

    #[test]
    fn words_beyond_used_ones_are_kept() {
        let (t, mut e) = start();
        e.handle_interim(t + 300 * MS, "Yes");
        e.handle_speech_ended(t + 500 * MS);
        e.handle_interim(t + 700 * MS, "Yes, please.");
        assert!(e.poll_turn(t + 800 * MS).is_some());
        e.handle_final(t + 1_500 * MS, "Yes, please, but tomorrow.", None, true);
        assert_eq!(e.poll_turn(t + 1_600 * MS).unwrap().text, "but tomorrow.");
    }

    #[test]
    fn a_caller_who_thinks_slowly_is_waited_for() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 500 * MS);
        e.handle_final(t + 800 * MS, "I want to go", None, false);
        e.handle_speech_started(t + 1_100 * MS);
        e.handle_speech_ended(t + 2_000 * MS);
        e.handle_final(t + 2_300 * MS, "somewhere warm", None, true);
        assert_eq!(e.poll_timeout(), Some(t + 2_700 * MS), "its pause of 600 ms, and a margin");
        assert!(e.poll_turn(t + 2_700 * MS).is_some());
        e.handle_speech_started(t + 3_000 * MS);
        e.handle_speech_ended(t + 4_000 * MS);
        e.handle_final(t + 4_200 * MS, "Goodbye.", None, true);
        assert!(e.poll_turn(t + 4_200 * MS).is_some(), "a complete answer is one whatever the rhythm");
    }

    #[test]
    fn noise_without_words_is_no_turn() {
        let (t, mut e) = start();
        e.handle_speech_ended(t + 100 * MS);
        e.handle_final(t + 400 * MS, "", None, true);
        assert_eq!(e.poll_timeout(), None);
    }

    #[test]
    fn late_partial_finals_are_no_new_turn() {
        for pieces in
            [&["Hello,", "good", "morning."][..], &["Hello, good", "morning."], &["Hello,", "", "good morning."]]
        {
            let (now, mut detector) = start();
            detector.handle_interim(now, "Hello, good morning.");
            detector.handle_speech_ended(now + 500 * MS);
            let turn = detector.take_turn(now + 2_000 * MS).unwrap();
            assert_eq!(turn.text, "Hello, good morning.");
            for segment in pieces {
                detector.handle_final(now + 2_100 * MS, segment, None, false);
                assert_eq!(detector.words(), "", "{pieces:?}");
            }
            assert!(!detector.is_final_outstanding(), "{pieces:?}");
            // What is said afterwards counts, whatever it begins with.
            detector.handle_final(now + 3_000 * MS, "Hello again.", None, true);
            assert_eq!(detector.words(), "Hello again.", "{pieces:?}");
        }
    }
}
