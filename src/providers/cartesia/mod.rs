//! Cartesia: speech over one WebSocket for a call. <https://docs.cartesia.ai/api-reference/tts/websocket>

pub mod message;

use super::speech::{Setup, SocketVoice, Voice, VoiceProvider};

pub static VOICE: Voices = Voices;

#[derive(Debug)]
pub struct Voices;

impl VoiceProvider for Voices {
    fn open(&self, setup: Setup) -> Box<dyn Voice> {
        let wire = message::Contexts::new(&setup.config, &setup.settings);
        Box::new(SocketVoice::open(setup, Box::new(wire)))
    }
}
