//! A Piper voice in one call.

use super::super::espeak;
use super::sentence::{InTurn, Sentence};
use super::voices::piper_voice;
use crate::ProviderError;
use crate::event::{AudioFormat, TtsEvent};
use crate::event_stream::{EventStream, TtsStream};
use crate::tts::{TtsSession, TtsSetup};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;
use trunkline_local_speech::models::PiperVoice;

/// Texts of an agent whose sound is kept.
const PHRASES_MAX: usize = 512;

/// Opens a voice; one that is not known refuses every text, so that the next voice of the agent speaks.
pub(crate) fn open(setup: TtsSetup, name: &str) -> Box<dyn TtsSession> {
    match piper_voice(name) {
        Ok(voice) => {
            if let Some(voices) = setup.providers.piper() {
                voices.speaker.warm_up();
            }
            Box::new(PiperSession { setup, voice, phrases: HashSet::new(), sound_until: None, in_turn: Arc::default() })
        }
        Err(error) => Box::new(UnknownVoice(error)),
    }
}

struct PiperSession {
    setup: TtsSetup,
    voice: &'static PiperVoice,
    phrases: HashSet<String>,
    /// Until when the caller has sound that was made before.
    sound_until: Option<Instant>,
    /// Held by the text that is spoken; the sound of the last one ends then.
    in_turn: InTurn,
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
            sound_until: self.sound_until,
        };
        let in_turn = Arc::clone(&self.in_turn);
        let stream = EventStream::spawn("tts", move |events| async move {
            let last = match sentence.speak_in_turn(&in_turn, &events).await {
                Ok(()) => TtsEvent::Done,
                Err(failure) => TtsEvent::Failed(failure),
            };
            let _ = events.send(last).await;
        });
        TtsStream { format: AudioFormat::Pcm16 { rate_hz: espeak::RATE_HZ }, stream }
    }

    fn costs_nothing(&self) -> bool {
        true
    }

    fn set_sound_until(&mut self, until: Option<Instant>) {
        self.sound_until = until;
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
