//! The local voices: espeak-ng, and flite as `flite:slt`, as child processes, so that their licences stay
//! outside of our binary; Piper's neural voices as `piper:joe`, in the speech worker.

pub mod espeak;
pub mod piper;

/// The TTS client that the registry hands out.
pub static TTS: espeak::LocalTts = espeak::LocalTts;
