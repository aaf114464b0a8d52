//! What Piper's voices of this server share: who speaks, the phrases on disk, what the log has said.

use super::phrase_cache::PhraseCache;
use super::speaker::{PartSpeaker, SpeakError};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use trunkline_local_speech::models::PiperVoice;

/// How long the caller waits for the first part, or for a further one when the sound before it has ended. espeak-ng needs
/// some tens of milliseconds then, and the call's own patience is two seconds.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the voices of this server share.
#[derive(Debug)]
pub struct PiperVoices {
    /// Speaks phonemes.
    pub(super) speaker: Arc<dyn PartSpeaker>,
    /// Phrases on disk; `None` if none are kept.
    pub(super) cache: Option<Arc<PhraseCache>>,
    /// How long the caller waits for sound before espeak-ng speaks.
    pub(super) patience: Duration,
    /// Why a voice could not speak, as far as the log says it.
    reported: Mutex<HashSet<String>>,
}

impl PiperVoices {
    /// Voices that `speaker` speaks with.
    pub fn new(speaker: Arc<dyn PartSpeaker>, cache: Option<Arc<PhraseCache>>) -> Self {
        Self { speaker, cache, patience: PATIENCE, reported: Mutex::default() }
    }

    /// Loads what the local voices and the local STT need, before a call wants them.
    pub fn warm_up(&self) {
        self.speaker.warm_up();
    }

    /// For programs that nobody waits for.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Counts that espeak-ng speaks in a voice's place, and logs each reason once until the voice has spoken again.
    pub(super) fn report(&self, voice: &PiperVoice, error: &SpeakError) {
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

    pub(super) fn has_spoken(&self) {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
