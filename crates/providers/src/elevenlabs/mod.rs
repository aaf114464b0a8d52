//! ElevenLabs: TTS over the transport that the model supports, transcripts of their conversational agent, and that
//! agent as a realtime model. <https://elevenlabs.io/docs/api-reference>

pub mod conversation;
pub mod conversational_agent;
pub mod http_stream;
pub mod multi_stream;
pub(crate) mod session_errors;
pub mod text_to_dialogue;
mod voice;

use super::tts::{TtsSession, TtsSetup, TtsVendor};
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
                Box::new(TtsSocketSession::open(setup, Box::new(wire)))
            }
        }
    }
}
