//! End-of-turn detection from silence, STT events, the words and the caller's usual pauses.
//!
//! Owned by the call, not by the leg, because transcripts arrive at the call.

use super::completeness::{self, Completeness};
use super::taken_words::{self, TakenWords, TurnCorrection};
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

/// What STT says about the end of the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SttVerdict {
    /// Nothing, or the caller went on.
    Open,
    /// The utterance is finished, which shortens the silence needed.
    UtteranceOver,
    /// A turn model holds the turn for over: no silence is needed.
    TurnOver,
}

/// How STT works, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SttMode {
    /// No words of this turn came while the caller was speaking.
    AfterSpeech,
    /// Words of this turn came while the caller was speaking, so later words complete the turn.
    Streaming,
    /// It models turns: it is not asked to finalize, and its end-of-turn event is awaited.
    TurnModel,
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
    verdict: SttVerdict,
    /// Pauses after which the caller went on, newest last.
    pauses: Vec<Duration>,
    stt: SttMode,
    /// Interim words that were already used; their final version will still arrive.
    taken: TakenWords,
    /// Another writing of the turn that was taken last.
    correction: Option<TurnCorrection>,
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
            verdict: SttVerdict::Open,
            pauses: Vec::with_capacity(PAUSES_MAX),
            stt: SttMode::AfterSpeech,
            taken: TakenWords::default(),
            correction: None,
            final_at: None,
            last_words_at: None,
        }
    }

    /// Other rules apply from here on. Words, pauses and what STT said stay.
    pub fn set_config(&mut self, config: EndOfTurnConfig) {
        self.config = config;
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
        self.stt == SttMode::Streaming
    }

    /// STT has a turn model: it is not asked to finalize, and its end-of-turn event is awaited.
    pub fn set_turn_model(&mut self) {
        self.stt = SttMode::TurnModel;
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
        taken_words::join(&self.finals, &self.interim)
    }

    /// When the present turn began; `None` before its first sound or word.
    pub fn started(&self) -> Option<Instant> {
        self.started
    }

    /// What the words of the present turn say about its end.
    pub fn completeness(&self) -> Completeness {
        completeness::completeness(&self.words(), &self.config.language)
    }

    /// The words are complete and the caller is silent; only the STT final is missing.
    pub fn is_likely_over(&self) -> bool {
        self.has_words_after_speech()
            && self.verdict == SttVerdict::Open
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
        self.taken.record_speech();
        self.started.get_or_insert(at);
        if self.verdict == SttVerdict::UtteranceOver {
            self.verdict = SttVerdict::Open;
        }
    }

    /// `last_sound` is when the last voiced sound was heard, which lies before the event.
    pub fn handle_speech_ended(&mut self, last_sound: Instant) {
        self.speech = Some(SpeechState::Silent { since: last_sound });
    }

    /// Replaces the interim words of the turn. Words of a turn that was already taken are left out.
    pub fn handle_interim(&mut self, now: Instant, text: &str) {
        // A replacement STT session that hears the replay buffer repeats them word by word.
        if self.taken.covers(text) || self.taken.is_begun_by(text) {
            return;
        }
        let text = self.taken.without(text);
        if !self.taken.is_empty() && (text.is_empty() || self.taken.is_begun_by(&text)) {
            return;
        }
        self.last_words_at = Some(now);
        if !text.is_empty() {
            if self.stt == SttMode::AfterSpeech && self.is_speaking() {
                self.stt = SttMode::Streaming;
            }
            self.started.get_or_insert(now);
        }
        text.clone_into(&mut self.interim);
    }

    /// `done`: STT holds the utterance for finished (`speech_final`, `UtteranceEnd`).
    pub fn handle_final(&mut self, now: Instant, text: &str, confidence: Option<f32>, done: bool) {
        self.interim.clear();
        let text = self.new_words(text);
        if !text.is_empty() {
            self.last_words_at = Some(now);
            self.final_at = Some(now);
            self.started.get_or_insert(now);
            self.finals = taken_words::join(&self.finals, &text);
            if let Some(confidence) = confidence {
                self.confidences.0 += confidence;
                self.confidences.1 += 1;
            }
        }
        if done {
            self.handle_utterance_end();
        }
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
        taken.without(text)
    }

    /// Final words came once more in another version: it takes the place of the first, in this turn or in the last one.
    pub fn handle_corrected(&mut self, was: &str, is: &str, done: bool) {
        let (was, is) = (was.trim(), is.trim());
        if let Some(at) = self.finals.rfind(was) {
            self.finals.replace_range(at..at + was.len(), is);
        } else {
            self.correction = Some(TurnCorrection { was: was.to_owned(), is: is.to_owned() });
        }
        if done && !self.finals.is_empty() {
            self.handle_utterance_end();
        }
    }

    /// Another writing of the turn that was taken last, if its final words have brought one.
    pub fn take_correction(&mut self) -> Option<TurnCorrection> {
        self.correction.take()
    }

    /// Records that STT holds the utterance for finished, which shortens the silence needed.
    pub fn handle_utterance_end(&mut self) {
        if self.verdict == SttVerdict::Open {
            self.verdict = SttVerdict::UtteranceOver;
        }
    }

    /// An STT service that models turns says that this one is over; its words are those of the whole turn.
    pub fn handle_end_of_turn(&mut self, now: Instant, text: &str, confidence: Option<f32>) {
        self.handle_final(now, text, confidence, true);
        self.verdict = if self.finals.is_empty() { SttVerdict::UtteranceOver } else { SttVerdict::TurnOver };
    }

    /// The likely end of turn was wrong: the caller continues.
    pub fn handle_turn_resumed(&mut self) {
        self.verdict = SttVerdict::Open;
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
        let stt_is_final = match self.verdict {
            SttVerdict::TurnOver => return self.last_words_at,
            SttVerdict::UtteranceOver => true,
            SttVerdict::Open => false,
        };
        // If STT reports the end, it overrides a line that is never silent (music, traffic).
        let quiet = match (self.quiet_since(), stt_is_final) {
            (Some(quiet), _) => quiet,
            (None, true) => return self.last_words_at.map(|heard| heard + self.config.silence),
            (None, false) => return None,
        };
        let EndOfTurnConfig { min_silence, complete_silence, silence, unfinished_silence, max_silence, .. } =
            self.config;
        let wait = match (self.completeness(), stt_is_final, self.interim.is_empty()) {
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
        let more = self.final_at.filter(|_| !stt_is_final && self.interim.is_empty()).map(|at| at + MORE_FINALS_WAIT);
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
        if self.stt == SttMode::Streaming {
            self.stt = SttMode::AfterSpeech;
        }
        if !self.interim.is_empty() {
            self.taken = TakenWords::new(&self.finals, &self.interim, self.is_speaking() || self.speech.is_none());
        }
        let confidence = self.confidence();
        self.finals.clear();
        self.interim.clear();
        self.confidences = (0.0, 0);
        self.verdict = SttVerdict::Open;
        self.last_words_at = None;
        if self.is_speaking() {
            self.started = Some(now); // what follows belongs to the next turn
        }
        let final_at = self.final_at.take();
        (!text.is_empty()).then_some(CallerTurn { text, confidence, started, ended: ended.max(started), final_at })
    }
}

#[cfg(test)]
mod tests;
