//! Voice activity detection: a small neural model behind a level normalizer, with an adaptive threshold and a hangover.

mod detector;
mod level_contrast;
mod level_normalizer;

pub use detector::{SpeechChange, VadConfig, VoiceActivityDetector};
