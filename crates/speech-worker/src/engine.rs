//! What a model is to the worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trunkline_local_speech::message::FailureKind;

/// Set when nobody waits for the answer any more; models look at it between two steps.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Nobody waits any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails if nobody waits any more.
    pub fn check(&self) -> Result<(), EngineError> {
        if self.0.load(Ordering::Relaxed) { Err(EngineError::cancelled()) } else { Ok(()) }
    }
}

/// Why a model gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// What kind of failure.
    pub kind: FailureKind,
    /// In words, without what was said.
    pub message: String,
}

impl EngineError {
    /// Nobody waits for the answer.
    pub fn cancelled() -> Self {
        Self { kind: FailureKind::Cancelled, message: String::new() }
    }

    /// There is no such model or voice.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unsupported, message: message.into() }
    }

    /// The model failed.
    pub fn model(error: impl std::fmt::Display) -> Self {
        Self { kind: FailureKind::Model, message: error.to_string() }
    }
}

/// What was heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcription {
    /// The words; empty if there were none.
    pub text: String,
    /// Mean probability of its parts, 0 to 1.
    pub confidence: f32,
}

/// A model of STT.
pub trait Transcriber: Send {
    /// Its name, as settings have it.
    fn name(&self) -> &str;
    /// Words of mono audio at 16 kHz.
    fn transcribe(&mut self, samples: &[i16], cancellation: &Cancellation) -> Result<Transcription, EngineError>;
}

/// What a voice has spoken of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeechPiece {
    /// Sampling rate in Hz.
    pub rate_hz: u32,
    /// Further samples, mono; there may be none.
    pub samples: Vec<i16>,
    /// The sample at which each word of the text is over, if this piece is the one that says it.
    pub word_ends: Vec<u32>,
}

/// A text of a voice, spoken up to some place.
pub trait Utterance: Send {
    /// Speaks the next piece; `None` if the text is over. It takes a fraction of a second, and another text may be spoken
    /// before the next one.
    fn next_piece(&mut self, cancellation: &Cancellation) -> Result<Option<SpeechPiece>, EngineError>;
    /// All of it was spoken.
    fn is_over(&self) -> bool;
}

/// Voices. Several threads use them at once.
pub trait Synthesizer: Send + Sync {
    /// Their names, as settings have them.
    fn voices(&self) -> Vec<String>;
    /// Begins to speak a text; `speed` 1.0 is the voice's own.
    fn begin(&self, voice: &str, speed: f32, text: &str) -> Result<Box<dyn Utterance>, EngineError>;
}

/// The models of a worker.
#[derive(Default)]
pub struct Engines {
    /// STT, if there is a model of it.
    pub stt: Option<Box<dyn Transcriber>>,
    /// TTS, if there is a voice.
    pub tts: Option<Box<dyn Synthesizer>>,
    /// What to do about a model of STT that is not there, in words.
    pub stt_advice: String,
    /// What to do about voices that are not there, in words.
    pub tts_advice: String,
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engines").field("stt", &self.stt.is_some()).field("tts", &self.tts.is_some()).finish()
    }
}
