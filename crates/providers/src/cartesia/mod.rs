//! Cartesia: speech over one WebSocket for a call. <https://docs.cartesia.ai/api-reference/tts/websocket>

pub(crate) mod session_errors;
pub mod websocket;

use super::tts::{TtsSession, TtsSetup, TtsVendor};
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
}
