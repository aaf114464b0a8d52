//! `POST /v1/text-to-speech/{voice}/stream` in mu-law at 8 kHz: the transport that every model
//! before v4 accepts.

use super::voice::{model, takes_language, voice_settings};
use crate::tts::{TtsSession, TtsSetup, language_code, speak_over_http};
use crate::{AudioFormat, ProviderError, TtsStream};
use serde_json::{Value, json};
use trunkline_domain::speech_tags;

/// A voice that speaks each text with one HTTP request; for models whose names end with `_v1`.
#[derive(Debug)]
pub struct ElevenlabsHttpSession(pub TtsSetup);

impl TtsSession for ElevenlabsHttpSession {
    fn speak(&mut self, text: &str, alone: bool) -> TtsStream {
        let setup = &self.0;
        let config = &setup.config;
        let mut body = json!({"text": text, "model_id": model(config)});
        if takes_language(model(config)) {
            body["language_code"] = json!(language_code(config));
        }
        if speech_tags::are_in(text) {
            body["enable_ssml_parsing"] = json!(true);
        }
        let voice = voice_settings(config, &setup.settings);
        if !voice.is_empty() {
            body["voice_settings"] = Value::Object(voice);
        }
        speak_over_http(setup, alone, AudioFormat::Mulaw, |post| {
            let mut url = segments(&setup.endpoint.base_url, &["v1", "text-to-speech", &config.voice_id, "stream"])?;
            url.set_query(Some("output_format=ulaw_8000"));
            Ok(post(url)?.header("xi-api-key", setup.endpoint.key()?).json(&body))
        })
    }
}

/// Identifiers are customers' texts: each becomes one path segment, whatever it holds.
pub(super) fn segments(base_url: &str, path: &[&str]) -> Result<url::Url, ProviderError> {
    let wrong = |why: String| ProviderError::Unreachable(why);
    let mut url = url::Url::parse(base_url).map_err(|error| wrong(format!("base_url: {error}")))?;
    url.path_segments_mut().map_err(|()| wrong("base_url has no path".to_owned()))?.pop_if_empty().extend(path);
    Ok(url)
}
