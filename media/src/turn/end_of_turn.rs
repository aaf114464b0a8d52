//! End-of-turn detection: collects what is known of a turn, and asks the policy in [`super::decision`] whether it is over.
//!
//! Owned by the call, not by the leg, because transcripts arrive at the call.

use super::asked::{Asked, asked};
use super::decision::{STT_LAG, WaitCurve, judge};
use super::evidence::{Evidence, Prosody, SttSign};
use super::explanation::TurnDecision;
use super::rhythm::Rhythm;
use super::taken_words::TurnCorrection;
use sound::CallerSound;
use std::time::{Duration, Instant};
use stt_state::SttState;
use verdict::Verdict;
use words::{TakenTurn, TurnWords};

mod sound;
mod stt_state;
mod verdict;
mod words;

/// Wait after words that are not marked as last, because more may follow.
const MORE_WORDS_WAIT: Duration = Duration::from_millis(80);
/// Silence after which words that came before its beginning are all there are, if they are an answer by themselves.
const SETTLED_AFTER: Duration = Duration::from_millis(350);
/// Silence after a sound of which STT has sent nothing, before the words that came before it are all there is.
const UNHEARD_WAIT: Duration = Duration::from_millis(700);
/// Time without a new word after which an STT that sends words during speech hears nobody, whatever the line sounds like.
const NO_WORDS_MAX: Duration = Duration::from_millis(1_200);
/// From this probability on, STT is asked for its last words.
const POSSIBLE: f32 = 0.4;
/// From this probability on, the LLM may begin.
const LIKELY: f32 = 0.7;
/// Words of this probability are an answer by themselves, even if no later ones have confirmed them.
const SURE: f32 = 0.85;
/// How much the caller's pauses may count, as a probability.
const RHYTHM_COUNTS_MAX: f32 = 0.4;

/// How long the caller must be silent before a turn ends, depending on its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndOfTurnConfig {
    /// The silence that ends a turn, by how likely it is over.
    pub waits: WaitCurve,
    /// Of the words: `en-US`.
    pub language: String,
    /// STT is known to send words while the caller speaks, and to send its last ones when it is asked.
    pub is_streaming: bool,
}

impl Default for EndOfTurnConfig {
    fn default() -> Self {
        Self {
            waits: WaitCurve {
                min_silence: Duration::from_millis(100),
                complete_silence: Duration::from_millis(300),
                silence: Duration::from_millis(700),
                unfinished_silence: Duration::from_millis(2_000),
                max_silence: Duration::from_millis(3_000),
            },
            language: "en".to_owned(),
            is_streaming: false,
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
    /// The caller made a sound with its words, or up to three seconds before one of them.
    pub is_voiced: bool,
    /// Why it was held for over; `None` for a turn that was taken for another reason.
    pub decision: Option<TurnDecision>,
}

/// Collects words and watches silence.
#[derive(Debug)]
pub struct EndOfTurnDetector {
    config: EndOfTurnConfig,
    sound: CallerSound,
    words: TurnWords,
    stt: SttState,
    rhythm: Rhythm,
    /// What the agent asked last.
    asked: Asked,
    /// What the turn that was taken last has answered.
    answered: Asked,
    /// How the voice ended.
    prosody: Option<Prosody>,
    verdict: Verdict,
}

impl EndOfTurnDetector {
    /// Creates a detector at the start of a call: no words and no known pauses.
    pub fn new(config: EndOfTurnConfig) -> Self {
        Self {
            config,
            sound: CallerSound::default(),
            words: TurnWords::default(),
            stt: SttState::default(),
            rhythm: Rhythm::default(),
            asked: Asked::Nothing,
            answered: Asked::Nothing,
            prosody: None,
            verdict: Verdict::default(),
        }
    }

    /// Other rules apply from here on. Words, pauses and what STT said stay.
    pub fn set_config(&mut self, config: EndOfTurnConfig) {
        self.config = config;
        self.update_verdict();
    }

    /// The agent has said this in its language: what it asks for tells what a complete answer is.
    pub fn set_asked(&mut self, said: &str, language: &str) {
        self.asked = asked(said, language);
        self.update_verdict();
    }

    /// Returns true between the VAD's start and end of speech.
    pub fn is_speaking(&self) -> bool {
        self.sound.is_speaking()
    }

    /// There are words of which STT has not said that they are final.
    pub fn is_waiting_for_final(&self) -> bool {
        self.words.has_interim()
    }

    /// STT is streaming: it can be asked to finalize. Non-streaming STT starts at the end of the utterance by itself.
    pub fn is_streaming(&self) -> bool {
        self.stt.is_streaming(self.config.is_streaming)
    }

    /// STT has a turn model: it is not asked to finalize, and its end-of-turn event is awaited.
    pub fn set_turn_model(&mut self) {
        self.stt.set_turn_model();
    }

    /// True if final words for already used interim words are outstanding.
    pub fn is_final_outstanding(&self) -> bool {
        self.words.is_final_outstanding()
    }

    /// The words so far belong to the sound of a turn that was taken before STT had sent them.
    pub fn goes_on_with_last_turn(&self) -> bool {
        self.words.goes_on()
    }

    /// How sure STT is of the final words.
    pub fn confidence(&self) -> Option<f32> {
        self.words.confidence()
    }

    /// Words of the present turn so far.
    pub fn words(&self) -> String {
        self.words.text()
    }

    /// The caller made a sound with words of the present turn, or up to three seconds before one of them.
    pub fn has_voiced_words(&self) -> bool {
        self.sound.has_voiced_words()
    }

    /// When the present turn began; `None` before its first sound or word.
    pub fn started(&self) -> Option<Instant> {
        self.sound.started()
    }

    /// What is known of the turn points to its end, and the caller is silent: the LLM may begin.
    pub fn is_likely_over(&self) -> bool {
        let is_open = self.sound.is_silent() && self.stt.sign() == SttSign::None && !self.words.is_empty();
        is_open && self.verdict.probability() >= LIKELY
    }

    /// The caller is silent and may have finished: an answer that costs nothing may be made.
    pub fn may_be_over(&self) -> bool {
        self.sound.is_silent() && !self.words.is_empty() && self.verdict.probability() >= POSSIBLE
    }

    /// The turn may be over, and words of it are not final or not there: STT can be asked for them, once in a silence.
    pub fn wants_final(&self) -> bool {
        if !self.is_streaming() || self.stt.is_finalize_asked() {
            return false;
        }
        // A short answer may be over before STT has sent anything of it.
        let has_sound_alone = self.words.is_empty() && self.sound.started().is_some();
        let is_open = self.words.has_interim() && (!self.is_covered() || self.verdict.probability() >= POSSIBLE);
        let is_due = has_sound_alone || is_open || self.has_unheard_sound();
        self.sound.is_silent() && self.stt.sign() == SttSign::None && is_due
    }

    /// The caller has made a sound since STT last sent anything: words of it are on their way.
    fn has_unheard_sound(&self) -> bool {
        self.sound.onset().is_some_and(|onset| self.words.is_unheard_since(onset))
    }

    /// The words came so long after the last sound that none are missing.
    fn is_covered(&self) -> bool {
        self.words_after_sound().is_some_and(|lag| lag >= STT_LAG)
    }

    /// STT was asked for its last words: what it sends then says nothing about the end of the turn.
    pub fn handle_finalize_asked(&mut self, now: Instant) {
        self.stt.record_finalize_asked(now);
    }

    /// How long after the last sound the last words arrived.
    fn words_after_sound(&self) -> Option<Duration> {
        let since = self.sound.silent_since()?;
        self.words.last_at().and_then(|at| at.checked_duration_since(since))
    }

    /// Records that the last turn was cut off: the caller continued after this pause.
    pub fn record_cut_off(&mut self, pause: Duration) {
        let longest = self.config.waits.max_silence;
        self.rhythm.record(pause, self.verdict.taken_probability(), true, longest);
        self.words.record_cut_off();
        // What the agent has begun to say answers half a turn, and asks for nothing.
        self.asked = self.answered;
        self.update_verdict();
    }

    /// Records speech from `at` on. If the turn has words already, the silence before was one of the caller's pauses.
    pub fn handle_speech_started(&mut self, at: Instant) {
        let pause = self.sound.silent_since().filter(|_| !self.words.is_empty());
        if let Some(since) = pause {
            let (pause, longest) = (at.saturating_duration_since(since), self.config.waits.max_silence);
            self.rhythm.record(pause, self.verdict.probability(), false, longest);
        }
        self.words.record_speech(pause.is_some());
        self.sound.record_start(at);
        self.stt.record_speech();
        self.prosody = None;
        self.judge(at, "speech");
    }

    /// The caller may have begun to speak again: no turn ends before that is known.
    pub fn handle_speech_suspected(&mut self, now: Instant) {
        self.sound.record_suspicion(now);
    }

    /// `last_sound` is when the last voiced sound was heard, which lies before the event.
    pub fn handle_speech_ended(&mut self, last_sound: Instant) {
        self.sound.record_end(last_sound);
        self.judge(last_sound, "silence");
    }

    /// How the voice ended, as the leg has measured it.
    pub fn handle_prosody(&mut self, now: Instant, prosody: Prosody) {
        self.prosody = Some(prosody);
        self.judge(now, "voice");
    }

    /// Replaces the interim words of the turn. Words of a turn that was already taken are left out.
    pub fn handle_interim(&mut self, now: Instant, text: &str) {
        if !self.words.set_interim(now, text) {
            return;
        }
        if self.words.has_interim() {
            if self.is_speaking() {
                self.stt.record_words_in_speech();
            }
            self.sound.record_words(now);
        }
        self.judge(now, "interim");
    }

    /// `done`: STT holds the utterance for finished (`speech_final`, `UtteranceEnd`).
    pub fn handle_final(&mut self, now: Instant, text: &str, confidence: Option<f32>, done: bool) {
        if self.words.add_final(now, text, confidence, done) {
            self.sound.record_words(now);
        }
        if done && !self.stt.is_our_result(now) {
            self.stt.record_sign(now, SttSign::SpeechFinal, &self.sound);
        }
        self.judge(now, "final");
    }

    /// Final words came once more in another version: it takes the place of the first, in this turn or in the last one.
    pub fn handle_corrected(&mut self, now: Instant, was: &str, is: &str, done: bool) {
        self.words.correct(was, is);
        if done && self.words.has_finals() {
            self.stt.record_sign(now, SttSign::SpeechFinal, &self.sound);
        }
        self.judge(now, "correction");
    }

    /// Another writing of the turn that was taken last, if its final words have brought one.
    pub fn take_correction(&mut self) -> Option<TurnCorrection> {
        self.words.take_correction()
    }

    /// Records that STT heard no more words for long, which is a sign of the end.
    pub fn handle_utterance_end(&mut self, now: Instant) {
        self.stt.record_sign(now, SttSign::UtteranceEnd, &self.sound);
        self.judge(now, "utterance_end");
    }

    /// An STT service that models turns says that this one is over; its words are those of the whole turn.
    pub fn handle_end_of_turn(&mut self, now: Instant, text: &str, confidence: Option<f32>) {
        self.handle_final(now, text, confidence, true);
        self.stt.set_sign(if self.words.has_finals() { SttSign::EndOfTurn } else { SttSign::SpeechFinal });
        self.judge(now, "end_of_turn");
    }

    /// The likely end of turn was wrong: the caller continues.
    pub fn handle_turn_resumed(&mut self, now: Instant) {
        self.stt.set_sign(SttSign::None);
        self.judge(now, "turn_resumed");
    }

    fn quiet_since(&self) -> Option<Instant> {
        match self.sound.is_unheard() {
            true => self.words.last_at(),
            false => self.sound.silent_since(),
        }
    }

    /// Judges the turn anew, and notes it for the explanation.
    fn judge(&mut self, now: Instant, cause: &'static str) {
        self.update_verdict();
        if !self.words.is_empty() {
            self.verdict.record_step(now, cause);
        }
    }

    fn update_verdict(&mut self) {
        let judgement = judge(&Evidence {
            words: &self.words.judged_text(),
            language: &self.config.language,
            is_interim: self.words.has_interim(),
            words_after_sound: self.words_after_sound(),
            marks: self.words.marks(),
            stops: self.words.stop_trust(),
            stt: self.stt.sign(),
            asked: self.asked,
            prosody: self.prosody,
        });
        let wait = self.find_wait(judgement.probability);
        self.verdict.set(judgement, wait);
    }

    /// The silence that ends the turn, by words, rhythm, and whether words are missing.
    fn find_wait(&self, probability: f32) -> Duration {
        let waits = &self.config.waits;
        let by_words = waits.wait(probability);
        // What is learnt counts at most as much as words that look far less complete.
        let by_rhythm = self.rhythm.usual_pause(probability).min(waits.wait(probability - RHYTHM_COUNTS_MAX));
        let wait = by_words.max(by_rhythm);
        let is_covered = self.words_after_sound().is_some() || self.sound.is_unheard();
        match (!self.words.has_interim(), is_covered && self.is_streaming()) {
            // The words of the last sound are missing.
            (true, _) if self.is_streaming() && self.has_unheard_sound() => wait.max(UNHEARD_WAIT),
            (true, _) => wait,
            // Words for the last sound may follow, unless STT would have sent them by now.
            (false, true) if self.is_covered() => wait,
            (false, true) => wait.max(SETTLED_AFTER),
            (false, false) if probability >= SURE && self.is_streaming() => wait.max(SETTLED_AFTER),
            // STT is late or stuck.
            (false, false) => waits.unfinished_silence.max(wait),
        }
    }

    /// When the turn ends if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.words.is_empty() {
            return None;
        }
        let wait = self.verdict.wait();
        let last_words = self.words.last_at();
        let due = match (self.quiet_since(), self.stt.sign()) {
            (Some(quiet), _) => quiet + wait,
            // If STT reports the end, it overrides a line that is never silent (music, traffic).
            (None, SttSign::EndOfTurn) => last_words? + wait,
            (None, SttSign::SpeechFinal | SttSign::UtteranceEnd) => last_words? + wait.max(self.config.waits.silence),
            // Words would have come.
            (None, SttSign::None) if self.stt.has_sent_in_speech() => {
                last_words? + wait.max(self.config.waits.silence) + NO_WORDS_MAX
            }
            (None, SttSign::None) => return None,
        };
        // Words come in bursts: those that are not the last are followed by more at once.
        let is_settled = self.words.is_settled() || self.stt.sign() != SttSign::None;
        let more = last_words.filter(|_| !is_settled).map(|at| at + MORE_WORDS_WAIT);
        Some([more, self.sound.suspected_until()].into_iter().flatten().fold(due, Instant::max))
    }

    /// The finished turn, when its time has come.
    pub fn poll_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        let due = self.poll_timeout()?;
        if now < due {
            return None;
        }
        let decision = self.verdict.decision(self.asked);
        self.rhythm.record_end();
        self.words.record_end();
        let turn = self.take_turn(now)?;
        Some(CallerTurn { decision: Some(decision), ..turn })
    }

    /// Takes the words so far, finished or not: a barge-in with words, or the end of the call.
    pub fn take_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        let ended = self.quiet_since().unwrap_or(now).min(now);
        let TakenTurn { text, confidence, final_at } = self.words.take(self.is_speaking() || self.sound.is_unheard());
        self.answered = self.asked;
        self.stt.record_taken();
        self.verdict.record_taken();
        let started = self.sound.take_start(now).unwrap_or(ended);
        let ended = ended.max(started);
        let is_voiced = self.sound.take_voiced_words();
        let turn = CallerTurn { text, confidence, started, ended, final_at, is_voiced, decision: None };
        (!turn.text.is_empty()).then_some(turn)
    }
}

#[cfg(test)]
mod tests;
