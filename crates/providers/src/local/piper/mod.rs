//! Neural voices on this machine: Piper's models in the speech worker, phonemes from espeak-ng.
//!
//! A text is cut into parts of some words; each is sent when it is spoken, so the caller hears the first one while the
//! next is made. Where a voice cannot speak (no model, another language, too slow, a worker that crashed), espeak-ng says
//! what is left of the text in the same stream: nobody waits for a worker.

mod clauses;
mod phrase_cache;
mod sentence;
mod speaker;
mod voices;
mod word_marks;
mod worker;

pub use phrase_cache::{Phrase, PhraseCache, PhraseKey};
pub use speaker::{PartSpeaker, SpeakError, SpokenPart};
pub use voices::piper_voice;
pub use worker::WorkerSpeaker;

use super::espeak;
use crate::tts::{TtsSession, TtsSetup};
use crate::{AudioFormat, EventStream, ProviderError, TtsEvent, TtsStream};
use sentence::Sentence;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trunkline_local_speech::models::PiperVoice;

/// Texts of an agent whose sound is kept.
const PHRASES_MAX: usize = 512;
/// How long the caller waits for the first part, or for a further one when the sound before it has ended. espeak-ng needs
/// some tens of milliseconds then, and the call's own patience is two seconds.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the voices of this server share.
#[derive(Debug)]
pub struct PiperVoices {
    /// Speaks phonemes.
    speaker: Arc<dyn PartSpeaker>,
    /// Phrases on disk; `None` if none are kept.
    cache: Option<Arc<PhraseCache>>,
    /// How long the caller waits for sound before espeak-ng speaks.
    patience: Duration,
    /// Why a voice could not speak, as far as the log says it.
    reported: Mutex<HashSet<String>>,
}

impl PiperVoices {
    /// Voices that `speaker` speaks with.
    pub fn new(speaker: Arc<dyn PartSpeaker>, cache: Option<Arc<PhraseCache>>) -> Self {
        Self { speaker, cache, patience: PATIENCE, reported: Mutex::default() }
    }

    /// For programs that nobody waits for.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Counts that espeak-ng speaks in a voice's place, and logs each reason once until the voice has spoken again.
    fn report(&self, voice: &PiperVoice, error: &SpeakError) {
        metrics::counter!("trunkline_local_voice_fallbacks_total", "reason" => error.reason()).increment(1);
        let is_new = self.reported.lock().unwrap_or_else(PoisonError::into_inner).insert(format!(
            "{} {}",
            voice.name,
            error.reason()
        ));
        if is_new {
            tracing::warn!(voice = voice.name, reason = error.reason(), %error, "espeak-ng speaks in place of a local voice");
        }
    }

    fn has_spoken(&self) {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Opens a voice; one that is not known refuses every text, so that the next voice of the agent speaks.
pub(super) fn open(setup: TtsSetup, name: &str) -> Box<dyn TtsSession> {
    match piper_voice(name) {
        Ok(voice) => {
            if let Some(voices) = setup.providers.piper() {
                voices.speaker.warm_up();
            }
            Box::new(PiperSession { setup, voice, phrases: HashSet::new() })
        }
        Err(error) => Box::new(UnknownVoice(error)),
    }
}

struct PiperSession {
    setup: TtsSetup,
    voice: &'static PiperVoice,
    phrases: HashSet<String>,
}

impl TtsSession for PiperSession {
    fn speak(&mut self, text: &str, _alone: bool) -> TtsStream {
        let sentence = Sentence {
            providers: self.setup.providers.clone(),
            voice: self.voice,
            language: self.setup.config.language.clone(),
            speed: self.setup.config.speed.unwrap_or(1.0).clamp(0.5, 2.0),
            text: text.to_owned(),
            is_kept: self.phrases.contains(text),
        };
        let stream = EventStream::spawn("tts", move |events| async move {
            let last = match sentence.speak(&events).await {
                Ok(()) => TtsEvent::Done,
                Err(failure) => TtsEvent::Failed(failure),
            };
            let _ = events.send(last).await;
        });
        TtsStream { format: AudioFormat::Pcm16 { rate_hz: espeak::RATE_HZ }, stream }
    }

    fn keep_phrases(&mut self, phrases: &[String]) {
        self.phrases = phrases.iter().filter(|phrase| !phrase.is_empty()).take(PHRASES_MAX).cloned().collect();
    }
}

struct UnknownVoice(String);

impl TtsSession for UnknownVoice {
    fn speak(&mut self, _: &str, _alone: bool) -> TtsStream {
        let failure = ProviderError::refused(400, &self.0);
        let stream = EventStream::spawn("tts", move |events| async move {
            let _ = events.send(TtsEvent::Failed(failure)).await;
        });
        TtsStream { format: AudioFormat::Pcm16 { rate_hz: espeak::RATE_HZ }, stream }
    }
}

#[cfg(test)]
mod tests;
