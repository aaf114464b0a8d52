//! Neural voices on this machine: Piper's models in the speech worker, phonemes from espeak-ng.
//!
//! A text is cut into parts of some words, and the voice hands on a part while it speaks it, so the caller hears the first
//! piece after a fraction of the time that a sentence takes. Where a voice cannot speak (no model, another language, too slow, a worker that crashed), espeak-ng says
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
pub use speaker::{PartSpeaker, SpeakError, SpokenPart, SpokenPiece};
pub use voices::piper_voice;
pub use worker::WorkerSpeaker;

#[cfg(test)]
mod tests;
