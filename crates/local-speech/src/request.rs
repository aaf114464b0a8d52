//! Requests to the speech worker as the server's parts make them, and their answers.

use super::message::{SessionId, Urgency};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// Too many requests wait.
    #[error("too many requests wait for the speech worker")]
    QueueFull,
    /// It cannot work; in words, with what to do about it.
    #[error("{0}")]
    Unavailable(String),
    /// The answer did not come in time.
    #[error("the speech worker gave no answer in time")]
    Deadline,
    /// The worker crashed with this request, twice if it could be repeated.
    #[error("the speech worker ended: {0}")]
    Crashed(String),
    /// A newer request, or a more urgent one, took its place.
    #[error("replaced by a newer request")]
    Superseded,
    /// The worker does not have this model or voice; in its words.
    #[error("{0}")]
    Unsupported(String),
    /// The model failed on this input; in the worker's words.
    #[error("the speech model failed: {0}")]
    Model(String),
}

/// Whose request it is: organizations share the worker fairly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tenant(pub u64);

impl Tenant {
    /// Of an organization's name.
    pub fn of(organization: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        organization.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What is asked of the worker.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechRequest {
    /// Speech to text: mono at 16 kHz.
    Transcribe {
        /// Whose speech.
        session: SessionId,
        /// How soon.
        urgency: Urgency,
        /// At most [`super::limits::TRANSCRIBE_SAMPLES_MAX`].
        samples: Vec<i16>,
    },
    /// Text to speech.
    Synthesize {
        /// Sound that the listener has before it, in milliseconds.
        sound_ms: u32,
        /// One of the worker's voices.
        voice: String,
        /// Speed in thousandths.
        speed_permille: u32,
        /// At most [`super::limits::SYNTHESIZE_BYTES_MAX`].
        text: String,
    },
}

/// An answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum SpeechAnswer {
    /// What was said; the only answer.
    Transcript {
        /// The words; empty if there were none.
        text: String,
        /// Mean probability of the words, 0 to 1.
        confidence: f32,
        /// What the models took.
        compute: Duration,
    },
    /// A part of the speech.
    Audio {
        /// Sampling rate in Hz.
        rate_hz: u32,
        /// Mono.
        samples: Vec<i16>,
    },
    /// The sample at which each word of the speech is over.
    WordEnds(Vec<u32>),
    /// All of the speech has come; the last answer.
    Done,
    /// Nothing more comes.
    Failed(SpeechError),
}

impl SpeechAnswer {
    /// Nothing comes after it.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Audio { .. } | Self::WordEnds(_))
    }
}
