//! The local voices: espeak-ng, and flite as `flite:slt`, as child processes, so that their licences stay
//! outside of our binary.

pub mod espeak;

/// The TTS client that the registry hands out.
pub static TTS: espeak::LocalTts = espeak::LocalTts;
