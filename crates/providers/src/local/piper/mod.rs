//! Neural voices on this machine: Piper's models in the speech worker, phonemes from espeak-ng.
//!
//! A text is cut into parts of some words; each is sent when it is spoken, so the caller hears the first one while the
//! next is made. Where a voice cannot speak (no model, another language, too slow, a worker that crashed), espeak-ng says
//! what is left of the text in the same stream: nobody waits for a worker.

mod clauses;
mod phrase_cache;
mod piper_voices;
mod sentence;
pub(super) mod session;
mod speaker;
mod text_room;
mod voices;
mod word_marks;
mod worker;

pub use phrase_cache::{Phrase, PhraseCache, PhraseKey};
pub use piper_voices::PiperVoices;
pub use speaker::{PartSpeaker, SpeakError, SpokenPart};
pub use voices::piper_voice;
pub use worker::WorkerSpeaker;

#[cfg(test)]
mod tests;
