//! Cartesia: speech over one WebSocket for a call. <https://docs.cartesia.ai/api-reference/tts/websocket>

pub mod message;

use super::speech::{TtsSession, TtsSetup, TtsSocketSession, TtsVendor};

pub static TTS: CartesiaTts = CartesiaTts;

#[derive(Debug)]
pub struct CartesiaTts;

impl TtsVendor for CartesiaTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        let wire = message::CartesiaProtocol::new(&setup.config, &setup.settings);
        Box::new(TtsSocketSession::open(setup, Box::new(wire)))
    }
}
