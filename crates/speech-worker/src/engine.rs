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

/// What a voice hands on while it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechPiece<'a> {
    /// Further samples, mono.
    Audio {
        /// Sampling rate in Hz.
        rate_hz: u32,
        /// The samples.
        samples: &'a [i16],
    },
    /// The sample at which each word is over.
    WordEnds(&'a [u32]),
}

/// Voices.
pub trait Synthesizer: Send {
    /// Their names, as settings have them.
    fn voices(&self) -> Vec<String>;
    /// Speaks a text; `speed` 1.0 is the voice's own. Hands the speech on piece by piece; another text may be spoken
    /// between two pieces.
    fn synthesize(
        &self, voice: &str, speed: f32, text: &str, cancellation: &Cancellation,
        speech: &mut dyn FnMut(SpeechPiece<'_>),
    ) -> Result<(), EngineError>;
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
