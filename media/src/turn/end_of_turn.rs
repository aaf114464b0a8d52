//! End-of-turn detection: collects what is known of a turn, and asks the policy in [`super::decision`] whether it is over.
//!
//! Owned by the call, not by the leg, because transcripts arrive at the call.

use super::asked::{Asked, asked};
use super::decision::{Judgement, STT_LAG, WaitCurve, judge};
use super::evidence::{Evidence, Prosody, SttSign};
use super::explanation::{DecisionStep, TurnDecision};
use super::rhythm::Rhythm;
use super::taken_words::{self, TakenWords, TurnCorrection};
use super::word_times::WordTimes;
use std::time::{Duration, Instant};

/// Wait after words that are not marked as last, because more may follow.
const MORE_WORDS_WAIT: Duration = Duration::from_millis(80);
/// Silence after which words that came before its beginning are all there are, if they are an answer by themselves.
const SETTLED_AFTER: Duration = Duration::from_millis(350);
/// Silence after a sound of which STT has sent nothing, before the words that came before it are all there is.
const UNHEARD_WAIT: Duration = Duration::from_millis(700);
/// Final words within this time of our request are its result.
const FINALIZE_RESULT_MAX: Duration = Duration::from_millis(1_500);
/// An event of STT speaks of a time that ended this long ago or longer: a voice that began later contradicts it.
const SPEECH_FINAL_AGE: Duration = Duration::from_millis(600);
const UTTERANCE_END_AGE: Duration = Duration::from_millis(1_200);
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
/// Stops that count for or against an STT at most.
const FALSE_STOPS_MAX: i32 = 3;
/// Words that come longer than this after the caller's last sound belong to no sound: the slowest STT is two seconds late.
const VOICE_AGE_MAX: Duration = Duration::from_secs(3);
/// Judgements of a turn that are kept for its explanation.
const STEPS_MAX: usize = 10;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SpeechState {
    Speaking { since: Instant },
    Silent { since: Instant },
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
    /// When the caller last began to make a sound.
    onset: Option<Instant>,
    finals: String,
    interim: String,
    confidences: (f32, u32),
    /// What STT says about the end by itself.
    stt_sign: SttSign,
    /// When STT was asked for its last words, since the caller's last sound.
    finalize_asked: Option<Instant>,
    rhythm: Rhythm,
    stt: SttMode,
    /// What the agent asked last.
    asked: Asked,
    /// STT has put marks into final words of this call.
    is_written: bool,
    /// How the voice ended.
    prosody: Option<Prosody>,
    /// What the policy says of the turn so far.
    judgement: Judgement,
    /// The silence that ends the turn as it is known now.
    wait: Duration,
    steps: Vec<DecisionStep>,
    /// How complete the last turn looked when it was taken.
    taken_probability: f32,
    /// Words of a turn that was cut off, to which the present ones belong.
    cut_words: String,
    words: WordTimes,
}

impl EndOfTurnDetector {
    /// Creates a detector at the start of a call: no words and no known pauses.
    pub fn new(config: EndOfTurnConfig) -> Self {
        Self {
            config,
            speech: None,
            started: None,
            onset: None,
            finals: String::new(),
            interim: String::new(),
            confidences: (0.0, 0),
            stt_sign: SttSign::None,
            finalize_asked: None,
            rhythm: Rhythm::default(),
            stt: SttMode::AfterSpeech,
            asked: Asked::Nothing,
            is_written: false,
            prosody: None,
            judgement: Judgement::default(),
            wait: Duration::ZERO,
            steps: Vec::with_capacity(STEPS_MAX),
            taken_probability: 0.0,
            cut_words: String::new(),
            words: WordTimes::default(),
        }
    }

    /// Other rules apply from here on. Words, pauses and what STT said stay.
    pub fn set_config(&mut self, config: EndOfTurnConfig) {
        self.config = config;
        self.update_judgement();
    }

    /// The agent has said this in its language: what it asks for tells what a complete answer is.
    pub fn set_asked(&mut self, said: &str, language: &str) {
        self.asked = asked(said, language);
        self.update_judgement();
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
        match self.stt {
            SttMode::Streaming => true,
            SttMode::AfterSpeech => self.config.is_streaming,
            SttMode::TurnModel => false,
        }
    }

    /// STT has a turn model: it is not asked to finalize, and its end-of-turn event is awaited.
    pub fn set_turn_model(&mut self) {
        self.stt = SttMode::TurnModel;
    }

    /// True if final words for already used interim words are outstanding.
    pub fn is_final_outstanding(&self) -> bool {
        !self.words.taken.is_empty()
    }

    /// How sure STT is of the final words.
    pub fn confidence(&self) -> Option<f32> {
        (self.confidences.1 > 0).then(|| self.confidences.0 / self.confidences.1 as f32)
    }

    /// Words of the present turn so far.
    pub fn words(&self) -> String {
        taken_words::join(&self.finals, &self.interim)
    }

    /// The caller made a sound with words of the present turn, or up to three seconds before one of them.
    pub fn has_voiced_words(&self) -> bool {
        self.words.are_voiced
    }

    /// When the present turn began; `None` before its first sound or word.
    pub fn started(&self) -> Option<Instant> {
        self.started
    }

    /// What is known of the turn points to its end, and the caller is silent: the LLM may begin.
    pub fn is_likely_over(&self) -> bool {
        let is_open = self.is_silent() && self.stt_sign == SttSign::None && self.has_words();
        is_open && self.judgement.probability >= LIKELY
    }

    /// The turn may be over, and words of it are not final or not there: STT can be asked for them, once in a silence.
    pub fn wants_final(&self) -> bool {
        if !self.is_streaming() || self.finalize_asked.is_some() {
            return false;
        }
        // A short answer may be over before STT has sent anything of it.
        let has_sound_alone = !self.has_words() && self.started.is_some();
        let is_open = self.is_waiting_for_final() && (!self.is_covered() || self.judgement.probability >= POSSIBLE);
        let is_due = has_sound_alone || is_open || self.has_unheard_sound();
        self.is_silent() && self.stt_sign == SttSign::None && is_due
    }

    /// The caller has made a sound since STT last sent anything: words of it are on their way.
    fn has_unheard_sound(&self) -> bool {
        self.onset.is_some_and(|onset| self.words.heard_at.is_none_or(|heard| heard < onset))
    }

    fn is_silent(&self) -> bool {
        matches!(self.speech, Some(SpeechState::Silent { .. }))
    }

    /// The words came so long after the last sound that none are missing.
    fn is_covered(&self) -> bool {
        self.words_after_sound().is_some_and(|lag| lag >= STT_LAG)
    }

    fn has_words(&self) -> bool {
        !self.finals.is_empty() || !self.interim.is_empty()
    }

    /// STT was asked for its last words: what it sends then says nothing about the end of the turn.
    pub fn handle_finalize_asked(&mut self, now: Instant) {
        self.finalize_asked = Some(now);
    }

    /// How long after the last sound the last words arrived.
    fn words_after_sound(&self) -> Option<Duration> {
        match self.speech {
            Some(SpeechState::Silent { since }) => self.words.last_at.and_then(|at| at.checked_duration_since(since)),
            _ => None,
        }
    }

    /// Records that the last turn was cut off: the caller continued after this pause.
    pub fn record_cut_off(&mut self, pause: Duration) {
        let longest = self.config.waits.max_silence;
        self.rhythm.record(pause, self.taken_probability, true, longest);
        self.cut_words = std::mem::take(&mut self.words.last_turn);
        if self.cut_words.ends_with('.') {
            self.words.false_stops = FALSE_STOPS_MAX.min(self.words.false_stops + 2);
        }
    }

    /// Records speech from `at` on. If the turn has words already, the silence before was one of the caller's pauses.
    pub fn handle_speech_started(&mut self, at: Instant) {
        if let Some(SpeechState::Silent { since }) = self.speech
            && self.has_words()
        {
            let (pause, longest) = (at.saturating_duration_since(since), self.config.waits.max_silence);
            self.rhythm.record(pause, self.judgement.probability, false, longest);
            if self.finals.ends_with('.') && self.interim.is_empty() {
                self.words.false_stops = FALSE_STOPS_MAX.min(self.words.false_stops + 1);
            }
        }
        self.speech = Some(SpeechState::Speaking { since: at });
        self.onset = Some(at);
        self.words.taken.record_speech();
        self.started.get_or_insert(at);
        self.finalize_asked = None;
        self.prosody = None;
        if self.stt_sign != SttSign::EndOfTurn {
            self.stt_sign = SttSign::None;
        }
        self.judge(at, "speech");
    }

    /// `last_sound` is when the last voiced sound was heard, which lies before the event.
    pub fn handle_speech_ended(&mut self, last_sound: Instant) {
        self.speech = Some(SpeechState::Silent { since: last_sound });
        self.judge(last_sound, "silence");
    }

    /// How the voice ended, as the leg has measured it.
    pub fn handle_prosody(&mut self, now: Instant, prosody: Prosody) {
        self.prosody = Some(prosody);
        self.judge(now, "voice");
    }

    /// Replaces the interim words of the turn. Words of a turn that was already taken are left out.
    pub fn handle_interim(&mut self, now: Instant, text: &str) {
        self.words.heard_at = Some(now);
        let taken = &self.words.taken;
        // A replacement STT session that hears the replay buffer repeats them word by word.
        if taken.covers(text) || taken.is_begun_by(text) {
            return;
        }
        let text = taken.without(text);
        if !taken.is_empty() && (text.is_empty() || taken.is_begun_by(&text)) {
            return;
        }
        self.words.last_at = Some(now);
        self.words.is_settled = false;
        if !text.is_empty() {
            self.record_voice(now);
            if self.stt == SttMode::AfterSpeech && self.is_speaking() {
                self.stt = SttMode::Streaming;
            }
            self.started.get_or_insert(now);
        }
        text.clone_into(&mut self.interim);
        self.judge(now, "interim");
    }

    /// `done`: STT holds the utterance for finished (`speech_final`, `UtteranceEnd`).
    pub fn handle_final(&mut self, now: Instant, text: &str, confidence: Option<f32>, done: bool) {
        self.interim.clear();
        self.words.heard_at = Some(now);
        let text = self.new_words(text);
        if !text.is_empty() {
            self.record_voice(now);
            self.words.last_at = Some(now);
            self.words.final_at = Some(now);
            self.started.get_or_insert(now);
            self.finals = taken_words::join(&self.finals, &text);
            let before = self.words.judged.trim_end_matches('.');
            self.words.judged = taken_words::join(before, &text);
            self.is_written |= text.ends_with(['.', '?', '!']);
            if let Some(confidence) = confidence {
                self.confidences.0 += confidence;
                self.confidences.1 += 1;
            }
        }
        let is_our_request =
            self.finalize_asked.is_some_and(|at| at <= now && now.saturating_duration_since(at) <= FINALIZE_RESULT_MAX);
        self.words.is_settled = done;
        if done && !is_our_request {
            self.record_stt_sign(now, SttSign::SpeechFinal);
        }
        self.judge(now, "final");
    }

    /// Words have come: there was a sound that they may be, or none.
    fn record_voice(&mut self, now: Instant) {
        self.words.are_voiced |= match self.speech {
            Some(SpeechState::Silent { since }) => now.saturating_duration_since(since) <= VOICE_AGE_MAX,
            speech => speech.is_some(),
        };
    }

    /// What final words say beyond the turn that was taken. The same words in another writing correct that turn.
    fn new_words(&mut self, text: &str) -> String {
        let WordTimes { taken, correction, .. } = &mut self.words;
        // An empty final is not the final of the used words; it is still to come.
        if text.trim().is_empty() || taken.is_empty() {
            return text.to_owned();
        }
        // Some STT services send their final words in parts: the rest still comes.
        if taken.take_part(text) {
            return String::new();
        }
        let taken = std::mem::take(taken);
        if taken.covers(text) {
            *correction = taken.correction(text);
            return String::new();
        }
        taken.without(text)
    }

    /// Final words came once more in another version: it takes the place of the first, in this turn or in the last one.
    pub fn handle_corrected(&mut self, now: Instant, was: &str, is: &str, done: bool) {
        let (was, is) = (was.trim(), is.trim());
        if let Some(at) = self.finals.rfind(was) {
            self.finals.replace_range(at..at + was.len(), is);
            self.words.judged = self.words.judged.replacen(was, is, 1);
        } else {
            self.words.correction = Some(TurnCorrection { was: was.to_owned(), is: is.to_owned() });
        }
        if done && !self.finals.is_empty() {
            self.record_stt_sign(now, SttSign::SpeechFinal);
        }
        self.judge(now, "correction");
    }

    /// Another writing of the turn that was taken last, if its final words have brought one.
    pub fn take_correction(&mut self) -> Option<TurnCorrection> {
        self.words.correction.take()
    }

    /// Records that STT heard no more words for long, which is a sign of the end.
    pub fn handle_utterance_end(&mut self, now: Instant) {
        self.record_stt_sign(now, SttSign::UtteranceEnd);
        self.judge(now, "utterance_end");
    }

    /// What STT says of the end, unless the caller has begun to speak since the time that it speaks of.
    fn record_stt_sign(&mut self, now: Instant, sign: SttSign) {
        let age = match sign {
            SttSign::UtteranceEnd => UTTERANCE_END_AGE,
            SttSign::None | SttSign::SpeechFinal | SttSign::EndOfTurn => SPEECH_FINAL_AGE,
        };
        let is_contradicted = matches!(self.speech, Some(SpeechState::Speaking { since })
            if now.saturating_duration_since(since) < age);
        if self.stt_sign != SttSign::EndOfTurn && !is_contradicted {
            self.stt_sign = sign;
        }
    }

    /// An STT service that models turns says that this one is over; its words are those of the whole turn.
    pub fn handle_end_of_turn(&mut self, now: Instant, text: &str, confidence: Option<f32>) {
        self.handle_final(now, text, confidence, true);
        self.stt_sign = if self.finals.is_empty() { SttSign::SpeechFinal } else { SttSign::EndOfTurn };
        self.judge(now, "end_of_turn");
    }

    /// The likely end of turn was wrong: the caller continues.
    pub fn handle_turn_resumed(&mut self, now: Instant) {
        self.stt_sign = SttSign::None;
        self.judge(now, "turn_resumed");
    }

    fn quiet_since(&self) -> Option<Instant> {
        match self.speech {
            Some(SpeechState::Silent { since }) => Some(since),
            Some(SpeechState::Speaking { .. }) => None,
            None => self.words.last_at,
        }
    }

    /// Judges the turn anew, and notes it for the explanation.
    fn judge(&mut self, now: Instant, cause: &'static str) {
        self.update_judgement();
        if !self.has_words() {
            return;
        }
        let step = DecisionStep { at: now, cause, probability: self.judgement.probability, wait: self.wait };
        if self.steps.len() == STEPS_MAX {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }

    fn update_judgement(&mut self) {
        // A caller who was cut off goes on with the same sentence or number.
        let words = taken_words::join(&self.words.judged, &self.interim);
        let words = taken_words::join(self.cut_words.trim_end_matches('.'), &words);
        self.judgement = judge(&Evidence {
            words: &words,
            language: &self.config.language,
            is_interim: !self.interim.is_empty(),
            words_after_sound: self.words_after_sound(),
            is_written: self.is_written,
            trusts_stops: self.words.false_stops <= 0,
            stt: self.stt_sign,
            asked: self.asked,
            prosody: self.prosody,
        });
        self.wait = self.find_wait();
    }

    /// The silence that ends the turn, by words, rhythm, and whether words are missing.
    fn find_wait(&self) -> Duration {
        let (waits, probability) = (&self.config.waits, self.judgement.probability);
        let by_words = waits.wait(probability);
        // What is learnt counts at most as much as words that look far less complete.
        let by_rhythm = self.rhythm.usual_pause(probability).min(waits.wait(probability - RHYTHM_COUNTS_MAX));
        let wait = by_words.max(by_rhythm);
        let is_covered = self.words_after_sound().is_some() || self.speech.is_none();
        match (self.interim.is_empty(), is_covered && self.is_streaming()) {
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
        if !self.has_words() {
            return None;
        }
        let wait = self.wait;
        let last_words = self.words.last_at;
        let due = match (self.quiet_since(), self.stt_sign) {
            (Some(quiet), _) => quiet + wait,
            // If STT reports the end, it overrides a line that is never silent (music, traffic).
            (None, SttSign::EndOfTurn) => last_words? + wait,
            (None, SttSign::SpeechFinal | SttSign::UtteranceEnd) => last_words? + wait.max(self.config.waits.silence),
            // Words would have come.
            (None, SttSign::None) if self.stt == SttMode::Streaming => {
                last_words? + wait.max(self.config.waits.silence) + NO_WORDS_MAX
            }
            (None, SttSign::None) => return None,
        };
        // Words come in bursts: those that are not the last are followed by more at once.
        let is_settled = self.words.is_settled || self.stt_sign != SttSign::None;
        let more = last_words.filter(|_| !is_settled).map(|at| at + MORE_WORDS_WAIT);
        Some(more.map_or(due, |more| due.max(more)))
    }

    /// The finished turn, when its time has come.
    pub fn poll_turn(&mut self, now: Instant) -> Option<CallerTurn> {
        let due = self.poll_timeout()?;
        if now < due {
            return None;
        }
        let decision = TurnDecision {
            probability: self.judgement.probability,
            wait: self.wait,
            asked: self.asked.name(),
            reasons: self.judgement.reasons.clone(),
            steps: std::mem::take(&mut self.steps),
        };
        self.rhythm.record_end();
        if self.finals.ends_with('.') {
            self.words.false_stops = (-FALSE_STOPS_MAX).max(self.words.false_stops - 1);
        }
        let turn = self.take_turn(now)?;
        Some(CallerTurn { decision: Some(decision), ..turn })
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
            let is_speaking = self.is_speaking() || self.speech.is_none();
            self.words.taken = TakenWords::new(&self.finals, &self.interim, is_speaking);
        }
        let confidence = self.confidence();
        self.taken_probability = self.judgement.probability;
        self.words.last_turn = taken_words::join(&std::mem::take(&mut self.cut_words), &text);
        self.finals.clear();
        self.words.judged.clear();
        self.interim.clear();
        self.confidences = (0.0, 0);
        self.stt_sign = SttSign::None;
        self.words.last_at = None;
        self.judgement = Judgement::default();
        self.steps.clear();
        if self.is_speaking() {
            self.started = Some(now); // what follows belongs to the next turn
        }
        let final_at = self.words.final_at.take();
        let is_voiced = std::mem::take(&mut self.words.are_voiced);
        let ended = ended.max(started);
        let turn = CallerTurn { text, confidence, started, ended, final_at, is_voiced, decision: None };
        (!turn.text.is_empty()).then_some(turn)
    }
}

#[cfg(test)]
mod tests;
