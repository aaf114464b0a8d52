//! Messages of `/tts/websocket`: a context for each sentence, complete when it is sent.

use super::session_errors::SESSION_ERRORS;
use crate::nullable::{lenient, lenient_mark};
use crate::transport::WebSocketRequest;
use crate::tts::language_code;
use crate::tts_socket::TtsSocketProtocol;
use crate::{AudioFormat, ProviderAccess, ProviderError, TtsEvent, WordTimestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};
use trunkline_domain::speech_tags;

/// The vendor's present model, where the agent names none.
const DEFAULT_MODEL: &str = "sonic-3.5";
/// One socket carries dozens.
const CONTEXTS_MAX: usize = 24;

/// State of one Cartesia socket: voice, speed and the word timestamps of each context.
#[derive(Debug)]
pub struct CartesiaProtocol {
    voice: String,
    model: String,
    language: String,
    speed: Option<f64>,
    progress: HashMap<String, AlignmentProgress>,
}

/// Where the words of a sentence are.
#[derive(Debug)]
struct AlignmentProgress {
    text: String,
    /// Bytes of the text whose words have come.
    at: usize,
}

impl CartesiaProtocol {
    /// Returns the protocol of one call; the speed is limited to 0.6 to 1.5, and the model defaults to `sonic-3.5`.
    pub fn new(config: &TtsConfig, settings: &VoiceSettings) -> Self {
        Self {
            voice: config.voice_id.clone(),
            model: config.model.clone().unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            language: language_code(config).to_owned(),
            // The reference allows 0.5 to 2.0, the vendor 0.6 to 1.5.
            speed: config.speed.or(settings.speed).map(|speed| speed.clamp(0.6, 1.5)),
            progress: HashMap::new(),
        }
    }
}

impl TtsSocketProtocol for CartesiaProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let upgrade = WebSocketRequest::for_endpoint(endpoint, "/tts/websocket", &[]);
        let upgrade = upgrade.header("authorization", format!("Bearer {}", endpoint.key()?));
        Ok(upgrade.header("cartesia-version", endpoint.api_version.clone()))
    }

    fn speak(&mut self, context: &str, text: &str) -> Vec<Message> {
        self.progress.insert(context.to_owned(), AlignmentProgress { text: speech_tags::removed(text), at: 0 });
        let mut message = json!({
            "model_id": self.model, "context_id": context, "transcript": text, "continue": false,
            "language": self.language, "voice": {"mode": "id", "id": self.voice},
            "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000},
            // The sentence is whole: nothing is to be waited for.
            "add_timestamps": true, "max_buffer_delay_ms": 0,
        });
        if let Some(speed) = self.speed {
            message["generation_config"] = json!({"speed": speed});
        }
        vec![Message::text(message.to_string())]
    }

    fn cancel(&mut self, context: &str) -> Vec<Message> {
        self.progress.remove(context);
        vec![Message::text(json!({"context_id": context, "cancel": true}).to_string())]
    }

    fn read(&mut self, text: &str) -> Result<Vec<(String, TtsEvent)>, ProviderError> {
        let message: CartesiaMessage = crate::nullable::message(text)?;
        let named = message.context_id.filter(|context| !context.is_empty());
        let is_named = named.is_some();
        let context = named.or_else(|| self.only_context()).unwrap_or_default();
        let event = match message.kind.as_str() {
            "chunk" => {
                let bytes = STANDARD.decode(message.data.unwrap_or_default());
                // Sound that cannot be read is missing; the rest is heard.
                TtsEvent::Audio(bytes.unwrap_or_default().into())
            }
            "timestamps" => {
                TtsEvent::WordTimestamps(self.marks(&context, &message.word_timestamps.unwrap_or_default()))
            }
            "error" => {
                // Before 2026-03-01 an error was a plain text.
                let said =
                    message.message.or(message.title).or(message.error.and_then(|e| e.as_str().map(str::to_owned)));
                let failure = failure(message.status_code, &message.error_code, &said.unwrap_or_default());
                if !is_named {
                    return Err(failure);
                }
                TtsEvent::Failed(failure)
            }
            "done" => TtsEvent::Done,
            "" if message.done => TtsEvent::Done,
            _ => return Ok(Vec::new()),
        };
        let is_over = matches!(event, TtsEvent::Done | TtsEvent::Failed(_));
        // Some servers mark the last sound in place of an end of its own.
        let end = (!is_over && message.done).then(|| (context.clone(), TtsEvent::Done));
        if is_over || end.is_some() {
            self.progress.remove(&context);
        }
        Ok(std::iter::once((context, event)).chain(end).collect())
    }

    fn handle_connected(&mut self) {
        self.progress.clear();
    }

    fn format(&self) -> AudioFormat {
        AudioFormat::Mulaw
    }

    fn contexts_max(&self) -> usize {
        CONTEXTS_MAX
    }
}

impl CartesiaProtocol {
    /// The context that is open, where there is but one: what names none is its.
    fn only_context(&self) -> Option<String> {
        let mut open = self.progress.keys();
        open.next().filter(|_| open.next().is_none()).cloned()
    }

    fn marks(&mut self, context: &str, words: &CartesiaWordTimestamps) -> Vec<WordTimestamp> {
        let Some(progress) = self.progress.get_mut(context) else { return Vec::new() };
        let mut marks = Vec::new();
        for (word, end) in words.words.iter().zip(&words.end) {
            let Some(found) = progress.text[progress.at..].find(word.as_str()) else { continue };
            progress.at += found + word.len();
            let chars = progress.text[..progress.at].chars().count() as u32;
            marks.push(WordTimestamp { at_ms: (end.max(0.0) * 1_000.0) as u32, chars });
        }
        marks
    }
}

/// An error's status says whose fault it is; where it has none, its code does.
fn failure(status: Option<u16>, code: &str, said: &str) -> ProviderError {
    let named = || SESSION_ERRORS.fault(&[code]).error(said);
    match status {
        Some(status) => ProviderError::refused(status, said),
        None => named().unwrap_or_else(|| ProviderError::SessionEnded(said.to_owned())),
    }
}

#[derive(Debug, Default, Deserialize)]
struct CartesiaMessage {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    context_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    status_code: Option<u16>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<String>,
    #[serde(default, deserialize_with = "lenient_mark")]
    done: bool,
    #[serde(default, deserialize_with = "lenient")]
    word_timestamps: Option<CartesiaWordTimestamps>,
    #[serde(default, deserialize_with = "lenient")]
    error_code: String,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default, deserialize_with = "lenient")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct CartesiaWordTimestamps {
    #[serde(default, deserialize_with = "lenient")]
    words: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    end: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_the_text() {
        let mut wire = CartesiaProtocol {
            voice: "v".into(),
            model: "sonic-3.5".into(),
            language: "nl".into(),
            speed: None,
            progress: HashMap::new(),
        };
        wire.speak("s3", "Ja, ja, één.");
        let mut read = |message: Value| wire.read(&message.to_string());
        let words = json!({"type": "timestamps", "context_id": "s3", "status_code": 206, "done": false,
            "word_timestamps": {"words": ["Ja,", "ja,", "één."], "start": [0.0, 0.2, 0.5], "end": [0.2, 0.5, 0.75]}});
        let mark = |at_ms, chars| WordTimestamp { at_ms, chars };
        let marks = TtsEvent::WordTimestamps(vec![mark(200, 3), mark(500, 7), mark(750, 12)]);
        assert_eq!(read(words), Ok(vec![("s3".into(), marks)]));
        assert_eq!(read(json!({"type": "flush_done", "context_id": "s3", "done": false})), Ok(vec![]));
        let busy = json!({"type": "error", "context_id": "s3", "status_code": 429, "done": true,
            "error_code": "concurrency_limited", "title": "Too many concurrent requests"});
        let failed = TtsEvent::Failed(ProviderError::refused(429, "Too many concurrent requests"));
        assert_eq!(read(busy), Ok(vec![("s3".into(), failed)]));
    }

    fn protocol() -> CartesiaProtocol {
        CartesiaProtocol {
            voice: "v".into(),
            model: "sonic-3.5".into(),
            language: "nl".into(),
            speed: None,
            progress: HashMap::new(),
        }
    }

    #[test]
    fn ends_come_in_several_forms_and_the_only_context_need_not_be_named() {
        let data = STANDARD.encode([0xFF; 80]);
        let sound = ("s1".to_owned(), TtsEvent::Audio(vec![0xFF; 80].into()));
        let done = ("s1".to_owned(), TtsEvent::Done);
        for (message, wanted) in [
            (
                json!({"type": "chunk", "context_id": "s1", "data": data, "done": true}),
                vec![sound.clone(), done.clone()],
            ),
            (
                json!({"type": "chunk", "context_id": "s1", "data": data, "done": "true"}),
                vec![sound.clone(), done.clone()],
            ),
            (json!({"type": "chunk", "context_id": "s1", "data": data, "done": "no"}), vec![sound.clone()]),
            (json!({"type": "chunk", "data": data, "done": false}), vec![sound.clone()]),
            (json!({"type": "chunk", "context_id": null, "data": data}), vec![sound.clone()]),
            (json!({"type": "done", "context_id": ""}), vec![done.clone()]),
            (json!({"context_id": "s1", "done": true}), vec![done.clone()]),
            (json!({"type": "flush_done", "context_id": "s1", "done": true}), vec![]),
        ] {
            let mut wire = protocol();
            wire.speak("s1", "Ja.");
            assert_eq!(wire.read(&message.to_string()), Ok(wanted), "{message}");
        }
        let mut wire = protocol();
        wire.speak("s1", "Ja.");
        assert!(wire.read(&json!({"type": "error", "message": "x"}).to_string()).is_err(), "it is the socket's");
        wire.speak("s2", "Nee.");
        let unnamed = json!({"type": "chunk", "data": data});
        assert_eq!(wire.read(&unnamed.to_string()).unwrap()[0].0, "", "it may be of either");
        wire.handle_connected();
        wire.speak("s3", "Ja.");
        assert_eq!(wire.read(&unnamed.to_string()).unwrap()[0].0, "s3", "those of the lost socket are over");
    }

    #[test]
    fn no_damage_ends_the_socket() {
        let chunk = json!({"type": "chunk", "context_id": "s1", "status_code": 206, "done": false,
            "data": STANDARD.encode([0xFF; 80]), "step_time": 1.5});
        let words = json!({"type": "timestamps", "context_id": "s1", "status_code": 206, "done": false,
            "word_timestamps": {"words": ["Ja,", "hoor."], "start": [0.0, 0.2], "end": [0.2, 0.5]}});
        let done = json!({"type": "done", "context_id": "s1", "status_code": 200, "done": true});
        crate::damage::survives(&[chunk, words, done], |texts| {
            let mut wire = CartesiaProtocol {
                voice: "v".into(),
                model: "sonic-3.5".into(),
                language: "nl".into(),
                speed: None,
                progress: HashMap::new(),
            };
            wire.speak("s1", "Ja, hoor.");
            texts.iter().try_for_each(|text| wire.read(text).map(drop)).map_err(|failure| failure.to_string())
        });
    }

    #[test]
    fn a_field_that_is_missing_null_or_odd_costs_no_call() {
        let whole = json!({"type": "chunk", "context_id": "s1", "status_code": 206, "data": STANDARD.encode([0xFF; 80]),
            "word_timestamps": {"words": ["Ja"], "end": [0.2]}, "message": "m", "title": "t"});
        for field in ["type", "context_id", "status_code", "data", "word_timestamps", "message", "title"] {
            for kind in ["chunk", "timestamps", "done"] {
                let mut event = whole.clone();
                event["type"] = json!(kind);
                event.as_object_mut().unwrap().remove(field);
                let read = |event: &Value| {
                    CartesiaProtocol {
                        voice: "v".into(),
                        model: "sonic-3.5".into(),
                        language: "nl".into(),
                        speed: None,
                        progress: HashMap::new(),
                    }
                    .read(&event.to_string())
                };
                assert!(read(&event).is_ok(), "{kind} without {field}");
                for odd in [json!(null), json!(""), json!([]), json!({"words": null, "end": null})] {
                    event[field] = odd;
                    assert!(read(&event).is_ok(), "{event}");
                }
            }
        }
    }
}
