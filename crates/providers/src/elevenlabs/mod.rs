//! ElevenLabs: TTS over the transport that the model supports, transcripts of their conversational agent, and that
//! agent as a realtime model. <https://elevenlabs.io/docs/api-reference>

pub mod conversation;
pub mod conversational_agent;
pub mod http_stream;
pub mod multi_stream;
pub(crate) mod session_errors;
pub mod text_to_dialogue;
mod voice;

use super::tts::{TextAbilities, TtsSession, TtsSetup, TtsVendor};
use super::tts_socket::TtsSocketSession;

/// The TTS client that the registry hands out.
pub static TTS: ElevenlabsTts = ElevenlabsTts;
pub use conversational_agent::REALTIME;

/// Opens ElevenLabs voices, over the transport that the model accepts.
#[derive(Debug)]
pub struct ElevenlabsTts;

impl TtsVendor for ElevenlabsTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        match voice::model(&setup.config) {
            // The expressive models are refused on the ordinary sockets.
            name if name.starts_with("eleven_v3") || name.starts_with("eleven_v4") => {
                let wire = text_to_dialogue::TextToDialogueProtocol::new(&setup.config, &setup.settings);
                Box::new(TtsSocketSession::open(setup, Box::new(wire)))
            }
            // Version 1 models only support HTTP.
            name if name.ends_with("_v1") => Box::new(http_stream::ElevenlabsHttpSession(setup)),
            _ => {
                let wire = multi_stream::MultiStreamProtocol::new(&setup.config, &setup.settings);
                let wire = if setup.has_tags { wire.with_tags() } else { wire };
                Box::new(TtsSocketSession::open(setup, Box::new(wire)))
            }
        }
    }

    /// Flash and turbo leave numbers as they are, to be quick; version 3 pauses at marks of its own.
    /// <https://elevenlabs.io/docs/overview/capabilities/text-to-speech/best-practices>
    fn abilities(&self, model: Option<&str>) -> TextAbilities {
        let name = model.unwrap_or(voice::DEFAULT_MODEL);
        let is_quick = name.contains("_flash") || name.contains("_turbo");
        let is_expressive = name.starts_with("eleven_v3") || name.starts_with("eleven_v4");
        let is_english = matches!(name, "eleven_flash_v2" | "eleven_turbo_v2" | "eleven_monolingual_v1");
        TextAbilities { normalizes: !is_quick, takes_breaks: !is_expressive, takes_phonemes: is_english }
    }
}
