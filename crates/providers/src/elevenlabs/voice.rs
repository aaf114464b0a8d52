//! What an agent sets of a voice, as every transport of ElevenLabs takes it.

use serde_json::{Map, Value, json};
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

/// Vendor's fastest model, the default of the reference.
pub(super) const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

pub(super) fn model(config: &TtsConfig) -> &str {
    config.model.as_deref().unwrap_or(DEFAULT_MODEL)
}

/// Multilingual v2 and version 1 models refuse a language code.
pub(super) fn takes_language(model: &str) -> bool {
    !model.contains("multilingual") && !model.ends_with("_v1")
}

pub(super) fn voice_settings(config: &TtsConfig, settings: &VoiceSettings) -> Map<String, Value> {
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
