//! Who turns phonemes into samples: the speech worker, or what a test puts in its place.

use futures_util::stream::BoxStream;
use std::time::Duration;
use trunkline_local_speech::models::PiperVoice;
use trunkline_local_speech::request::Tenant;

/// What a voice has spoken of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpokenPiece {
    /// The sample at which each word of the phonemes is over. Comes before the sound, if it is known.
    WordEnds(Vec<u32>),
    /// Further sound.
    Audio {
        /// Sampling rate in Hz.
        rate_hz: u32,
        /// Mono.
        samples: Vec<i16>,
    },
}

/// A part while it is spoken. It ends when all of it was handed on, or with an error.
pub type SpokenPart = BoxStream<'static, Result<SpokenPiece, SpeakError>>;

/// Why a voice does not speak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeakError {
    /// The text is in another language than the voice's.
    #[error("the language of tts_config is {0}, and the voice speaks another one")]
    Language(String),
    /// The server has no models; in words, with what to do about it.
    #[error("{0}")]
    Unavailable(String),
    /// Too many texts wait.
    #[error("too many texts wait for the local voices")]
    Busy,
    /// It took too long.
    #[error("the voice was too slow")]
    Late,
    /// The voice failed; in words, without the text.
    #[error("{0}")]
    Failed(String),
}

impl SpeakError {
    /// The reason in metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Language(_) => "language",
            Self::Unavailable(_) => "no_model",
            Self::Busy => "busy",
            Self::Late => "late",
            Self::Failed(_) => "failed",
        }
    }
}

/// Speaks with Piper's voices.
pub trait PartSpeaker: Send + Sync + std::fmt::Debug {
    /// A call will need a voice: loads what takes time.
    fn warm_up(&self);

    /// Speaks phonemes; organizations take turns. The first sound comes within this time; who listens watches over the rest.
    fn speak(
        &self, tenant: Tenant, voice: &'static PiperVoice, phonemes: String, speed_permille: u32, patience: Duration,
    ) -> SpokenPart;
}
