//! Piper voices: VITS models in ONNX that turn phonemes of espeak-ng into samples.
//!
//! Pure but for reading the files: no sockets, no clock, no tasks. The worker process loads voices and calls them; the
//! server never does, so that a model that crashes or eats memory takes one sentence and no call with it.
//!
//! File formats: <https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/VOICES.md>.

mod config;
mod error;
mod onnx_file;
mod operators;
mod pcm;
mod phonemes;
mod voice;

pub use config::VoiceConfig;
pub use error::VoiceError;
pub use voice::{ComputeThreads, Speech, Utterance, Voice};
