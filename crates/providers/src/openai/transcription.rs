//! A transcription session of the Realtime API, as OpenAI and self-hosted STT services speak it.
//! <https://platform.openai.com/docs/guides/realtime-transcription>

use crate::stt::{SttProtocol, SttSessionConfig, SttUpdate, SttVendor};
use crate::transport::WebSocketRequest;
use crate::{ProviderAccess, ProviderError, SttEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as Frame;

/// 60 ms of G.711 in a message: fewer messages cost less, longer ones are late.
const CHUNK: usize = 480;
/// A gap of the line is silence to the server's detector.
const GAP: Duration = Duration::from_millis(200);

/// Opens transcription sessions of the Realtime API.
#[derive(Debug)]
pub struct OpenaiStt;

impl SttVendor for OpenaiStt {
    fn open(&self, setup: &SttSessionConfig) -> Box<dyn SttProtocol> {
        Box::new(TranscriptionProtocol {
            setup: setup.clone(),
            chunk: Vec::new(),
            sent: 0,
            item: TranscriptionItem::default(),
        })
    }
}

/// The utterance being spoken.
#[derive(Debug, Default)]
struct TranscriptionItem {
    id: String,
    text: String,
    /// End of its audio, where the server said.
    ended_ms: Option<u64>,
}

struct TranscriptionProtocol {
    setup: SttSessionConfig,
    chunk: Vec<u8>,
    /// Codes that were sent.
    sent: u64,
    item: TranscriptionItem,
}

impl TranscriptionProtocol {
    /// Whether the client has to mark the end of utterances for this model.
    fn needs_commit(&self) -> bool {
        self.setup.model.contains("realtime-whisper")
    }

    fn append(&mut self) -> Option<Frame> {
        if self.chunk.is_empty() {
            return None;
        }
        let audio = STANDARD.encode(&self.chunk);
        self.chunk.clear();
        Some(Frame::text(json!({"type": "input_audio_buffer.append", "audio": audio}).to_string()))
    }

    fn of_item(&mut self, id: Option<String>) -> &mut TranscriptionItem {
        let id = id.unwrap_or_default();
        if self.item.id != id {
            self.item = TranscriptionItem { id, ..TranscriptionItem::default() };
        }
        &mut self.item
    }
}

impl SttProtocol for TranscriptionProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let upgrade = WebSocketRequest::for_endpoint(endpoint, "/realtime", &[("intent", "transcription")]);
        Ok(upgrade.header("authorization", format!("Bearer {}", endpoint.key()?)))
    }

    fn initial_messages(&self) -> Vec<Frame> {
        let setup = &self.setup;
        let format = if setup.encoding == "alaw" { "audio/pcma" } else { "audio/pcmu" };
        let mut transcription = json!({"model": setup.model});
        if setup.language_code() != "multi" {
            transcription["language"] = json!(setup.language_code());
        }
        if !setup.keyterms.is_empty() {
            transcription["prompt"] = json!(format!("Words that may occur: {}.", setup.keyterms.join(", ")));
        }
        let detection = if self.needs_commit() {
            Value::Null
        } else {
            json!({"type": "server_vad", "silence_duration_ms": setup.endpointing_ms, "prefix_padding_ms": 300})
        };
        let session = json!({"type": "session.update", "session": {"type": "transcription", "audio": {"input": {
            "format": {"type": format}, "transcription": transcription, "turn_detection": detection}}}});
        vec![Frame::text(session.to_string())]
    }

    fn audio(&mut self, codes: &[u8]) -> Option<Frame> {
        self.chunk.extend_from_slice(codes);
        self.sent += codes.len() as u64;
        if self.chunk.len() >= CHUNK { self.append() } else { None }
    }

    fn keep_alive(&mut self) -> (Duration, Frame) {
        let silence = vec![self.setup.silence(); GAP.as_millis() as usize * 8];
        let audio = STANDARD.encode(silence);
        (GAP, Frame::text(json!({"type": "input_audio_buffer.append", "audio": audio}).to_string()))
    }

    fn speech_ended_message(&mut self) -> Option<Frame> {
        self.needs_commit().then(|| Frame::text("{\"type\":\"input_audio_buffer.commit\"}"))
    }

    fn finalize(&mut self) -> Option<Frame> {
        Some(Frame::text("{\"type\":\"input_audio_buffer.commit\"}"))
    }

    fn close(&mut self) -> Option<Frame> {
        None
    }

    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError> {
        let event: TranscriptionEvent = serde_json::from_str(text).map_err(ProviderError::invalid_response)?;
        let sent_ms = self.sent / 8;
        Ok(match event.kind.as_str() {
            "input_audio_buffer.speech_started" => SttUpdate::one(SttEvent::StartOfTurn),
            "input_audio_buffer.speech_stopped" | "input_audio_buffer.committed" => {
                let ended = event.audio_end_ms.unwrap_or(sent_ms);
                self.of_item(event.item_id).ended_ms.get_or_insert(ended);
                SttUpdate::default()
            }
            "conversation.item.input_audio_transcription.delta" => {
                let item = self.of_item(event.item_id);
                item.text.push_str(&event.delta.unwrap_or_default());
                SttUpdate::one(SttEvent::Interim(item.text.trim().to_owned()))
            }
            "conversation.item.input_audio_transcription.completed" => {
                let item = self.of_item(event.item_id);
                let text = event.transcript.unwrap_or_else(|| std::mem::take(&mut item.text)).trim().to_owned();
                let settled_ms = Some(item.ended_ms.unwrap_or(sent_ms));
                self.item = TranscriptionItem::default();
                let last = SttEvent::Final { text, confidence: None, speech_final: true };
                SttUpdate { events: vec![last], settled_ms }
            }
            "error" => {
                let error = event.error.unwrap_or_default();
                let said = error["message"].as_str().unwrap_or("error").to_owned();
                // A commit without sound is refused and means nothing; the rest is a session that will not work.
                if error["code"] == "input_audio_buffer_commit_empty" {
                    return Ok(SttUpdate::one(SttEvent::Final {
                        text: String::new(),
                        confidence: None,
                        speech_final: true,
                    }));
                }
                return Err(ProviderError::refused(400, said));
            }
            _ => SttUpdate::default(),
        })
    }
}

#[derive(Debug, Deserialize)]
struct TranscriptionEvent {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    item_id: Option<String>,
    #[serde(default)]
    delta: Option<String>,
    #[serde(default)]
    transcript: Option<String>,
    #[serde(default)]
    audio_end_ms: Option<u64>,
    #[serde(default)]
    error: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_utterance_grows_and_is_settled_where_it_ended() {
        let setup = SttSessionConfig {
            model: "gpt-4o-transcribe".into(),
            language: "nl-NL".into(),
            keyterms: vec!["IBAN".into()],
            encoding: "alaw",
            endpointing_ms: 300,
            eager: false,
        };
        let mut wire = OpenaiStt.open(&setup);
        let Frame::Text(hello) = &wire.initial_messages()[0] else { panic!("no text") };
        let hello: Value = serde_json::from_str(hello).unwrap();
        let input = &hello["session"]["audio"]["input"];
        assert_eq!(
            (&input["format"]["type"], &input["transcription"]["language"]),
            (&json!("audio/pcma"), &json!("nl"))
        );
        assert!(wire.audio(&[0; 320]).is_none());
        assert!(wire.audio(&[0; 160]).is_some());
        let mut read = |event: Value| wire.read(&event.to_string()).unwrap();
        assert_eq!(read(json!({"type": "session.created"})), SttUpdate::default());
        let kind = |name: &str| format!("conversation.item.input_audio_transcription.{name}");
        let first = read(json!({"type": kind("delta"), "item_id": "i", "delta": "Ja "}));
        assert_eq!(first.events, [SttEvent::Interim("Ja".into())]);
        read(json!({"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 40}));
        let last = read(json!({"type": kind("completed"), "item_id": "i", "transcript": "Ja hoor."}));
        let wanted = SttEvent::Final { text: "Ja hoor.".into(), confidence: None, speech_final: true };
        assert_eq!(last, SttUpdate { events: vec![wanted], settled_ms: Some(40) });
        let error = json!({"type": "error", "error": {"message": "unknown model", "code": "invalid_model"}});
        assert_eq!(wire.read(&error.to_string()), Err(ProviderError::refused(400, "unknown model")));
    }
}
