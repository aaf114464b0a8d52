//! Speech on this machine, without an account. The voices espeak-ng, and flite as `flite:slt`, are child processes, so
//! that their licences stay outside of our binary. STT, and Piper's neural voices as `piper:joe`, are models in the speech
//! worker, a process of its own.

pub mod advice;
pub mod espeak;
pub mod piper;
pub mod speech;
mod speech_feed;
pub mod stt;
pub mod tts;

/// The STT client that the registry hands out.
pub static STT: stt::LocalStt = stt::LocalStt;

/// The TTS client that the registry hands out.
pub static TTS: tts::LocalTts = tts::LocalTts;
