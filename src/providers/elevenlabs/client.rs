//! `POST /v1/text-to-speech/{voice}/stream` in the telephone's own format.

use crate::domain::speech::{TtsConfig, VoiceSettings};
use crate::providers::openai::client::audio_body;
use crate::providers::{AudioFormat, Failure, Providers, Speech, Stream};
use serde_json::{Map, Value, json};

/// Vendor's fastest model, the default of the reference.
const DEFAULT_MODEL: &str = "eleven_flash_v2_5";

/// Speaks a text. `settings` are the agent's `voice_settings`; `config` wins field by field.
pub fn speech(providers: &Providers, config: &TtsConfig, settings: Option<&VoiceSettings>, text: &str) -> Speech {
    let model = config.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let mut body = json!({"text": text, "model_id": model});
    // Multilingual v2 and v1 models refuse a language code.
    if !model.contains("multilingual") && !model.ends_with("_v1") {
        body["language_code"] = json!(config.language.split('-').next().unwrap_or(&config.language));
    }
    let voice = voice_settings(config, settings);
    if !voice.is_empty() {
        body["voice_settings"] = Value::Object(voice);
    }
    let (providers, endpoint, voice_id) = (providers.clone(), providers.elevenlabs.clone(), config.voice_id.clone());
    let stream = Stream::spawn(|events| async move {
        let request = match endpoint.api_key.as_deref() {
            Some(key) => address(&endpoint.base_url, &voice_id)
                .map(|url| providers.http.post(url).header("xi-api-key", key).json(&body)),
            None => Err(Failure::NotConfigured),
        };
        audio_body(&providers, request, &events).await;
    });
    Speech { format: AudioFormat::Mulaw, stream }
}

fn address(base_url: &str, voice_id: &str) -> Result<url::Url, Failure> {
    let mut url = segments(base_url, &["v1", "text-to-speech", voice_id, "stream"])?;
    url.set_query(Some("output_format=ulaw_8000"));
    Ok(url)
}

/// Identifiers are customers' texts: each becomes one path segment, whatever it holds.
pub(super) fn segments(base_url: &str, path: &[&str]) -> Result<url::Url, Failure> {
    let wrong = |why: String| Failure::Unreachable(why);
    let mut url = url::Url::parse(base_url).map_err(|error| wrong(format!("base_url: {error}")))?;
    url.path_segments_mut().map_err(|()| wrong("base_url has no path".to_owned()))?.pop_if_empty().extend(path);
    Ok(url)
}

fn voice_settings(config: &TtsConfig, settings: Option<&VoiceSettings>) -> Map<String, Value> {
    let default = VoiceSettings::default();
    let settings = settings.unwrap_or(&default);
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
