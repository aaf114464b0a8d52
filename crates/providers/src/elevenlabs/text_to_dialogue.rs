//! Text-to-Dialogue sockets: the transport of the expressive models (v3, v4).

use super::multi_stream::{AlignmentProgress, close_context, read, upgrade};
use super::voice::model;
use crate::transport::WebSocketRequest;
use crate::tts::language_code;
use crate::tts_socket::TtsSocketProtocol;
use crate::{AudioFormat, ProviderAccess, ProviderError, TtsEvent};
use serde_json::json;
use std::collections::HashMap;
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

const CONTEXTS_MAX: usize = 5;

/// State of one Text-to-Dialogue socket: voice, model, and how far each context has come.
#[derive(Debug)]
pub struct TextToDialogueProtocol {
    voice: String,
    model: String,
    language: String,
    /// The one setting that these models honour.
    stability: Option<f64>,
    progress: HashMap<String, AlignmentProgress>,
}

impl TextToDialogueProtocol {
    /// Returns the protocol of one call; of the voice settings only `stability` is used.
    pub fn new(config: &TtsConfig, settings: &VoiceSettings) -> Self {
        Self {
            voice: config.voice_id.clone(),
            model: model(config).to_owned(),
            language: language_code(config).to_owned(),
            stability: config.stability.or(settings.stability),
            progress: HashMap::new(),
        }
    }
}

impl TtsSocketProtocol for TextToDialogueProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let query = [
            ("model_id", self.model.as_str()),
            ("output_format", "ulaw_8000"),
            ("sync_alignment", "true"),
            ("language_code", &self.language),
        ];
        upgrade(endpoint, &["v1", "text-to-dialogue", "multi-stream-input"], &query)
    }

    fn speak(&mut self, context: &str, text: &str) -> Vec<Message> {
        self.progress.insert(context.to_owned(), AlignmentProgress::default());
        let mut first = json!({"context_id": context, "voices": [self.voice]});
        if let Some(stability) = self.stability {
            first["voice_settings"] = json!({"stability": stability});
        }
        let input = json!({"voice_id": self.voice, "text": format!("{text} "), "new_turn": true});
        let said = json!({"context_id": context, "inputs": [input]});
        // Without a flush nothing is said before forty characters have come.
        let flush = json!({"context_id": context, "flush": true});
        [first, said, flush].iter().map(|message| Message::text(message.to_string())).collect()
    }

    fn after_first_audio(&mut self, context: &str) -> Vec<Message> {
        vec![close_context(context)]
    }

    fn cancel(&mut self, context: &str) -> Vec<Message> {
        self.progress.remove(context);
        vec![close_context(context)]
    }

    fn read(&mut self, text: &str) -> Result<Vec<(String, TtsEvent)>, ProviderError> {
        read(&mut self.progress, text)
    }

    fn format(&self) -> AudioFormat {
        AudioFormat::Mulaw
    }

    fn contexts_max(&self) -> usize {
        CONTEXTS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_flushed_and_ends_with_its_context() {
        let mut wire = TextToDialogueProtocol {
            voice: "v".into(),
            model: "eleven_v3".into(),
            language: "nl".into(),
            stability: Some(0.3),
            progress: HashMap::new(),
        };
        let sent: Vec<String> = wire.speak("s0", "[warm] Hallo.").iter().map(Message::to_string).collect();
        assert_eq!(sent[0], "{\"context_id\":\"s0\",\"voice_settings\":{\"stability\":0.3},\"voices\":[\"v\"]}");
        assert!(sent[1].contains("[warm] Hallo. ") && sent[2].contains("flush"), "{sent:?}");
        let mut read = |text: &str| wire.read(text).unwrap();
        assert_eq!(read("{\"is_final_audio_for_turn\":true,\"context_id\":\"s0\"}"), []);
        assert_eq!(read("{\"is_final\":true,\"context_id\":\"s0\"}"), [("s0".into(), TtsEvent::Done)]);
        assert!(wire.read("{\"message\":\"m\",\"error\":\"e\",\"code\":1008,\"param\":\"voices\"}").is_err());
    }
}
