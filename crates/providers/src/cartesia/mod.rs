//! Cartesia: speech over one WebSocket for a call. <https://docs.cartesia.ai/api-reference/tts/websocket>

pub(crate) mod session_errors;
pub mod websocket;

use super::tts::{TextAbilities, TtsSession, TtsSetup, TtsVendor};
use super::tts_socket::TtsSocketSession;

/// The TTS client that the registry hands out.
pub static TTS: CartesiaTts = CartesiaTts;

/// Opens Cartesia voices: one WebSocket for a call.
#[derive(Debug)]
pub struct CartesiaTts;

impl TtsVendor for CartesiaTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        let wire = websocket::CartesiaProtocol::new(&setup.config, &setup.settings);
        Box::new(TtsSocketSession::open(setup, Box::new(wire)))
    }

    /// Sonic reads what is written in the usual way; its tags are documented for every version.
    /// <https://docs.cartesia.ai/build-with-cartesia/capability-guides/prompting-tips>
    fn abilities(&self, _: Option<&str>) -> TextAbilities {
        TextAbilities { normalizes: true, takes_breaks: true, takes_phonemes: false }
    }
}
