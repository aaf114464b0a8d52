//! Voice activity detection: a small neural model behind a level normalizer, with an adaptive threshold and a hangover.

mod level;
mod model;

pub use model::{SpeechChange, VadConfig, VoiceActivityDetector};
