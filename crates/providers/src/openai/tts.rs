//! `POST /audio/speech`, of OpenAI and of servers that speak its protocol.

use crate::tts::{TextAbilities, TtsSession, TtsSetup, TtsVendor, speak_over_http};
use crate::{AudioFormat, TtsStream};
use serde_json::json;

/// Model where the agent names none.
const DEFAULT_MODEL: &str = "gpt-4o-mini-tts";

/// Opens voices of `POST /audio/speech`, with one request for each text and PCM at 24 kHz.
#[derive(Debug)]
pub struct OpenaiTts;

impl TtsVendor for OpenaiTts {
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession> {
        Box::new(OpenaiHttpSession(setup))
    }

    /// The models read text as a person does; they have no tags. <https://platform.openai.com/docs/guides/text-to-speech>
    fn abilities(&self, _: Option<&str>) -> TextAbilities {
        TextAbilities { normalizes: true, ..TextAbilities::default() }
    }
}

struct OpenaiHttpSession(TtsSetup);

impl TtsSession for OpenaiHttpSession {
    fn speak(&mut self, text: &str, alone: bool) -> TtsStream {
        let setup = &self.0;
        let model = setup.config.model.as_deref().unwrap_or(DEFAULT_MODEL);
        let mut body = json!({"model": model, "voice": setup.config.voice_id, "input": text, "response_format": "pcm"});
        if let Some(speed) = setup.config.speed {
            body["speed"] = json!(speed);
        }
        // The provider's default rate; it offers no 8 kHz format.
        speak_over_http(setup, alone, AudioFormat::Pcm16 { rate_hz: 24_000 }, |post| {
            let request = post(setup.endpoint.url("/audio/speech")?)?;
            Ok(request.bearer_auth(setup.endpoint.key()?).json(&body))
        })
    }
}
