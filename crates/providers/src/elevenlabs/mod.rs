//! ElevenLabs: TTS over the transport that the model supports, transcripts of their conversational agent, and that
//! agent as a realtime model. <https://elevenlabs.io/docs/api-reference>

pub mod conversation;
pub mod conversational_agent;
pub mod http_stream;
pub mod multi_stream;
pub mod text_to_dialogue;

use super::tts::{TtsSession, TtsSetup, TtsSocketSession, TtsVendor};
use serde_json::{Map, Value, json};
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

/// Vendor's fastest model, the default of the reference.
const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

/// The TTS client that the registry hands out.
pub static TTS: ElevenlabsTts = ElevenlabsTts;
pub use conversational_agent::REALTIME;

/// Opens ElevenLabs voices, over the transport that the model accepts.
#[derive(Debug)]
pub struct ElevenlabsTts;

impl TtsVendor for ElevenlabsTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        match model(&setup.config) {
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

fn model(config: &TtsConfig) -> &str {
    config.model.as_deref().unwrap_or(DEFAULT_MODEL)
}

/// Multilingual v2 and version 1 models refuse a language code.
fn takes_language(model: &str) -> bool {
    !model.contains("multilingual") && !model.ends_with("_v1")
}

fn voice_settings(config: &TtsConfig, settings: &VoiceSettings) -> Map<String, Value> {
    let mut voice = Map::new();
    let numbers = [
        ("stability", config.stability.or(settings.stability)),
        ("similarity_boost", config.similarity_boost.or(settings.similarity_boost)),
        ("style", settings.style),
        // The reference allows 0.5 to 2.0, the vendor 0.7 to 1.2.
        ("speed", config.speed.or(settings.speed).map(|speed| speed.clamp(0.7, 1.2))),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            voice.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(boost) = config.use_speaker_boost.or(settings.use_speaker_boost) {
        voice.insert("use_speaker_boost".to_owned(), json!(boost));
    }
    voice
}
