//! Speech on this machine, without an account. The voices espeak-ng, and flite as `flite:slt`, are child processes, so
//! that their licences stay outside of our binary. STT is a model in the speech worker, a process of its own.

pub mod espeak;
pub mod speech;
mod speech_feed;
pub mod stt;

/// The STT client that the registry hands out.
pub static STT: stt::LocalStt = stt::LocalStt;

/// The TTS client that the registry hands out.
pub static TTS: espeak::LocalTts = espeak::LocalTts;
