//! How STT works, and what it says of the end of a turn by itself.

use super::super::evidence::SttSign;
use super::sound::CallerSound;
use std::time::{Duration, Instant};

/// Final words within this time of our request are its result.
const FINALIZE_RESULT_MAX: Duration = Duration::from_millis(1_500);
/// An event of STT speaks of a time that ended this long ago or longer: a voice that began later contradicts it.
const SPEECH_FINAL_AGE: Duration = Duration::from_millis(600);
const UTTERANCE_END_AGE: Duration = Duration::from_millis(1_200);

/// How STT works, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SttMode {
    /// No words of this turn came while the caller was speaking.
    #[default]
    AfterSpeech,
    /// Words of this turn came while the caller was speaking, so later words complete the turn.
    Streaming,
    /// It models turns: it is not asked to finalize, and its end-of-turn event is awaited.
    TurnModel,
}

/// What is known of STT.
#[derive(Debug, Default)]
pub(super) struct SttState {
    mode: SttMode,
    sign: SttSign,
    /// When it was asked for its last words, since the caller's last sound.
    finalize_asked: Option<Instant>,
}

impl SttState {
    pub(super) fn set_turn_model(&mut self) {
        self.mode = SttMode::TurnModel;
    }

    /// Words came while the caller was speaking.
    pub(super) fn record_words_in_speech(&mut self) {
        if self.mode == SttMode::AfterSpeech {
            self.mode = SttMode::Streaming;
        }
    }

    /// STT sends words during speech; `is_known`: it is known to do so from its kind.
    pub(super) fn is_streaming(&self, is_known: bool) -> bool {
        match self.mode {
            SttMode::Streaming => true,
            SttMode::AfterSpeech => is_known,
            SttMode::TurnModel => false,
        }
    }

    /// Words of this turn came while the caller was speaking.
    pub(super) fn has_sent_in_speech(&self) -> bool {
        self.mode == SttMode::Streaming
    }

    pub(super) fn sign(&self) -> SttSign {
        self.sign
    }

    pub(super) fn is_finalize_asked(&self) -> bool {
        self.finalize_asked.is_some()
    }

    pub(super) fn record_finalize_asked(&mut self, now: Instant) {
        self.finalize_asked = Some(now);
    }

    /// Final words that come now are the result of our request.
    pub(super) fn is_our_result(&self, now: Instant) -> bool {
        self.finalize_asked.is_some_and(|at| at <= now && now.saturating_duration_since(at) <= FINALIZE_RESULT_MAX)
    }

    /// The caller speaks again: what STT said of the silence counts no more, except of a turn model.
    pub(super) fn record_speech(&mut self) {
        self.finalize_asked = None;
        if self.sign != SttSign::EndOfTurn {
            self.sign = SttSign::None;
        }
    }

    /// What STT says of the end, unless the caller has begun to speak since the time that it speaks of.
    pub(super) fn record_sign(&mut self, now: Instant, sign: SttSign, sound: &CallerSound) {
        let age = match sign {
            SttSign::UtteranceEnd => UTTERANCE_END_AGE,
            SttSign::None | SttSign::SpeechFinal | SttSign::EndOfTurn => SPEECH_FINAL_AGE,
        };
        if self.sign != SttSign::EndOfTurn && !sound.has_begun_within(age, now) {
            self.sign = sign;
        }
    }

    /// What the turn model of STT says.
    pub(super) fn set_sign(&mut self, sign: SttSign) {
        self.sign = sign;
    }

    /// The turn is taken: the next one tells anew whether words come during speech.
    pub(super) fn record_taken(&mut self) {
        if self.mode == SttMode::Streaming {
            self.mode = SttMode::AfterSpeech;
        }
        self.sign = SttSign::None;
    }
}
