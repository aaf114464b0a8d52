//! A transcription session of the Realtime API, as OpenAI and self-hosted STT services speak it.
//! <https://platform.openai.com/docs/guides/realtime-transcription>

use super::session_errors::SESSION_ERRORS;
use super::transcription_items::TranscriptionItems;
use crate::nullable::lenient;
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
            items: TranscriptionItems::default(),
            works: false,
        })
    }
}

struct TranscriptionProtocol {
    setup: SttSessionConfig,
    chunk: Vec<u8>,
    /// Codes that were sent.
    sent: u64,
    items: TranscriptionItems,
    /// The session has heard something: it is configured rightly.
    works: bool,
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
}

impl TranscriptionProtocol {
    /// An error frame: keys and configuration are final, one event that was refused means nothing, and everything else
    /// passes with the session: the next one is as good.
    fn read_error(&self, error: &Value) -> Result<SttUpdate, ProviderError> {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let (kind, code) = (text("type"), text("code"));
        let said = error["message"].as_str().unwrap_or("error");
        if code == "input_audio_buffer_commit_empty" {
            // A commit without sound is refused and means nothing.
            let empty = SttEvent::Final { text: String::new(), confidence: None, speech_final: true };
            return Ok(SttUpdate::one(empty));
        }
        if let Some(failure) = SESSION_ERRORS.fault(&[code, kind]).error(said) {
            return Err(failure);
        }
        if self.works {
            tracing::info!(code, "STT has refused an event; the session goes on");
            return Ok(SttUpdate::default());
        }
        let is_configuration =
            kind == "invalid_request_error" || code.starts_with("invalid") || code.contains("not_found");
        Err(if is_configuration {
            ProviderError::refused(400, said)
        } else {
            ProviderError::SessionEnded(said.to_owned())
        })
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
        let event: TranscriptionEvent = crate::nullable::message(text)?;
        let sent_ms = self.sent / 8;
        Ok(match event.kind.as_str() {
            "input_audio_buffer.speech_started" => {
                self.works = true;
                let mut update = self.items.poll(sent_ms);
                update.events.push(SttEvent::StartOfTurn);
                update
            }
            "input_audio_buffer.speech_stopped" | "input_audio_buffer.committed" => {
                self.works = true;
                self.items.end(&event.item_id, event.previous_item_id, event.audio_end_ms.unwrap_or(sent_ms));
                SttUpdate::default()
            }
            "conversation.item.input_audio_transcription.delta" => {
                self.works = true;
                self.items.append(&event.item_id, &event.delta, sent_ms);
                let mut update = self.items.poll(sent_ms);
                if update.events.is_empty() {
                    update.events.extend(self.items.interim());
                }
                update
            }
            "conversation.item.input_audio_transcription.completed" => {
                self.works = true;
                self.items.complete(&event.item_id, event.transcript);
                self.items.poll(sent_ms)
            }
            "conversation.item.input_audio_transcription.failed" => {
                self.items.fail(&event.item_id);
                self.items.poll(sent_ms)
            }
            "error" => return self.read_error(&event.error),
            _ => SttUpdate::default(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
struct TranscriptionEvent {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: String,
    #[serde(default, deserialize_with = "lenient")]
    item_id: String,
    #[serde(default, deserialize_with = "lenient")]
    previous_item_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    delta: String,
    #[serde(default, deserialize_with = "lenient")]
    transcript: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    audio_end_ms: Option<u64>,
    #[serde(default)]
    error: Value,
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
        assert_eq!(last, SttUpdate { events: vec![wanted], settled_ms: Some(40), span: None });
        let error = json!({"type": "error", "error": {"message": "unknown model", "code": "invalid_model"}});
        assert_eq!(wire.read(&error.to_string()), Err(ProviderError::refused(400, "unknown model")));
    }

    #[test]
    fn no_damage_ends_the_session() {
        let kind = |name: &str| format!("conversation.item.input_audio_transcription.{name}");
        let messages = [
            json!({"type": "session.created", "session": {"id": "s"}}),
            json!({"type": "input_audio_buffer.speech_started", "item_id": "a", "audio_start_ms": 10}),
            json!({"type": "input_audio_buffer.speech_stopped", "item_id": "a", "audio_end_ms": 900}),
            json!({"type": "input_audio_buffer.committed", "item_id": "a", "previous_item_id": null}),
            json!({"type": kind("delta"), "item_id": "a", "delta": "Ja "}),
            json!({"type": kind("completed"), "item_id": "a", "transcript": "Ja hoor."}),
            json!({"type": kind("failed"), "item_id": "b", "error": {"code": "x", "message": "y"}}),
        ];
        crate::damage::survives(&messages, |texts| {
            let mut wire = protocol();
            texts.iter().try_for_each(|text| wire.read(text).map(drop)).map_err(|failure| failure.to_string())
        });
    }

    fn protocol() -> Box<dyn SttProtocol> {
        OpenaiStt.open(&SttSessionConfig {
            model: "gpt-4o-transcribe".into(),
            language: "en".into(),
            keyterms: vec![],
            encoding: "mulaw",
            endpointing_ms: 300,
            eager: false,
        })
    }

    fn read(wire: &mut dyn SttProtocol, event: &Value) -> Vec<SttEvent> {
        wire.read(&event.to_string()).unwrap().events
    }

    fn last(text: &str) -> SttEvent {
        SttEvent::Final { text: text.into(), confidence: None, speech_final: true }
    }

    fn of_item(name: &str, item: &str, field: &str, text: &str) -> Value {
        json!({"type": format!("conversation.item.input_audio_transcription.{name}"), "item_id": item, field: text})
    }

    #[test]
    fn utterances_keep_their_order_whatever_the_order_of_their_transcripts() {
        let mut wire = protocol();
        let wire = wire.as_mut();
        read(wire, &json!({"type": "input_audio_buffer.committed", "item_id": "a", "previous_item_id": null}));
        read(wire, &json!({"type": "input_audio_buffer.committed", "item_id": "b", "previous_item_id": "a"}));
        let interim = |text: &str| vec![SttEvent::Interim(text.into())];
        assert_eq!(read(wire, &of_item("delta", "a", "delta", "My name")), interim("My name"));
        assert_eq!(read(wire, &of_item("delta", "b", "delta", "Yes")), interim("My name"));
        assert_eq!(read(wire, &of_item("delta", "a", "delta", " is Ann.")), interim("My name is Ann."));
        assert_eq!(read(wire, &of_item("completed", "b", "transcript", "Yes.")), []);
        let both = [last("My name is Ann."), last("Yes.")];
        assert_eq!(read(wire, &of_item("completed", "a", "transcript", "My name is Ann.")), both);
    }

    #[test]
    fn an_utterance_whose_predecessor_comes_later_waits_for_it() {
        let mut wire = protocol();
        let wire = wire.as_mut();
        read(wire, &json!({"type": "input_audio_buffer.committed", "item_id": "b", "previous_item_id": "a"}));
        read(wire, &json!({"type": "input_audio_buffer.committed", "item_id": "a", "previous_item_id": null}));
        assert_eq!(read(wire, &of_item("completed", "b", "transcript", "two")), []);
        assert_eq!(read(wire, &of_item("completed", "a", "transcript", "one")), [last("one"), last("two")]);
    }

    #[test]
    fn a_failed_utterance_is_over_at_once() {
        let mut wire = protocol();
        let wire = wire.as_mut();
        read(wire, &json!({"type": "input_audio_buffer.committed", "item_id": "a"}));
        assert_eq!(read(wire, &of_item("failed", "a", "x", "")), [last(""), SttEvent::Lost]);
        read(wire, &of_item("delta", "b", "delta", "Half a"));
        assert_eq!(read(wire, &of_item("failed", "b", "x", "")), [last("Half a")]);
        assert_eq!(read(wire, &of_item("completed", "c", "transcript", "next")), [last("next")]);
        assert_eq!(read(wire, &of_item("completed", "c", "transcript", "next")), [], "doubled");
        assert_eq!(read(wire, &of_item("delta", "b", "delta", "late")), []);
    }

    /// What comes of the messages of one session, `sent_ms` of audio before each.
    fn heard(messages: &[(u64, Value)]) -> Vec<SttEvent> {
        let mut wire = protocol();
        let mut events = Vec::new();
        for (sent_ms, message) in messages {
            for _ in 0..*sent_ms / 20 {
                wire.audio(&[0xFF; 160]);
            }
            events.extend(read(wire.as_mut(), message));
        }
        events
    }

    #[test]
    fn the_words_that_came_count_whatever_the_last_transcript_is() {
        let interim = SttEvent::Interim("help me".into());
        let delta = || of_item("delta", "a", "delta", "help me");
        for (case, messages, wanted) in [
            (
                "empty",
                vec![delta(), of_item("completed", "a", "transcript", "")],
                vec![interim.clone(), last("help me")],
            ),
            (
                "blank",
                vec![delta(), of_item("completed", "a", "transcript", " ")],
                vec![interim.clone(), last("help me")],
            ),
            (
                "null",
                vec![
                    delta(),
                    json!({"type": of_item("completed", "a", "x", "")["type"], "item_id": "a",
                "transcript": null}),
                ],
                vec![interim.clone(), last("help me")],
            ),
            ("failed", vec![delta(), of_item("failed", "a", "x", "")], vec![interim.clone(), last("help me")]),
            ("failed with no words", vec![of_item("failed", "a", "x", "")], vec![last(""), SttEvent::Lost]),
            (
                "first without words",
                vec![of_item("completed", "a", "x", ""), of_item("completed", "a", "transcript", "help me")],
                vec![last(""), last("help me")],
            ),
            (
                "empty again",
                vec![delta(), of_item("completed", "a", "transcript", ""), of_item("completed", "a", "transcript", "")],
                vec![interim.clone(), last("help me")],
            ),
        ] {
            let messages: Vec<_> = messages.into_iter().map(|message| (0, message)).collect();
            assert_eq!(heard(&messages), wanted, "{case}");
        }
    }

    #[test]
    fn an_utterance_that_is_never_completed_counts_by_its_words_and_holds_back_no_other() {
        let stopped = |item: &str| json!({"type": "input_audio_buffer.speech_stopped", "item_id": item});
        let started = || json!({"type": "input_audio_buffer.speech_started", "item_id": "b"});
        let interim = |text: &str| SttEvent::Interim(text.into());
        let first = [(500, stopped("a")), (20, of_item("delta", "a", "delta", "one"))];
        let with = |rest: Vec<(u64, Value)>| [first.to_vec(), rest].concat();
        let next = (500, of_item("delta", "b", "delta", "two"));
        assert_eq!(
            heard(&with(vec![(3_000, started()), next.clone()])),
            [interim("one"), last("one"), SttEvent::StartOfTurn, interim("two")]
        );
        let later = (3_000, of_item("delta", "b", "delta", "two"));
        assert_eq!(heard(&with(vec![later])), [interim("one"), last("one"), interim("two")], "no start was told");
        let soon = heard(&with(vec![(500, started()), next]));
        assert_eq!(soon, [interim("one"), SttEvent::StartOfTurn, interim("one")], "its transcript may come");
        let slow = (3_000, of_item("delta", "a", "delta", " more"));
        assert_eq!(heard(&with(vec![slow])), [interim("one"), interim("one more")], "its words still come");
        let late = with(vec![(3_000, started()), (0, of_item("completed", "a", "transcript", "one"))]);
        assert_eq!(heard(&late), [interim("one"), last("one"), SttEvent::StartOfTurn], "its transcript is too late");
        let mute = [(0, stopped("a")), (2_500, of_item("completed", "b", "transcript", "two"))];
        assert_eq!(heard(&mute), [last(""), last("two")], "of the first no word has come");
    }

    #[test]
    fn words_of_no_utterance_are_left_out() {
        let nothing = json!({"type": of_item("delta", "", "x", "")["type"], "item_id": null, "delta": "x"});
        let empty = json!({"type": nothing["type"], "item_id": "a", "delta": null});
        let turn = |item: &str, text: &str| of_item("completed", item, "transcript", text);
        let messages = [&empty, &nothing, &turn("a", "one"), &nothing, &turn("b", "two"), &nothing, &turn("", "x")];
        let messages = messages.map(|message| (0, message.clone()));
        assert_eq!(heard(&messages), [last("one"), last("two")]);
        // The transcript without an id is that of the oldest utterance.
        let stopped = json!({"type": "input_audio_buffer.speech_stopped", "item_id": "a"});
        assert_eq!(heard(&[(0, stopped), (0, turn("", "one"))]), [last("one")]);
        // A server that gives no ids at all.
        assert_eq!(heard(&[(0, turn("", "one")), (0, turn("", "two"))]), [last("one"), last("two")]);
    }

    #[test]
    fn only_keys_and_configuration_end_a_session_for_good() {
        let judged = |works: bool, error: Value| {
            let mut wire = protocol();
            if works {
                read(wire.as_mut(), &json!({"type": "input_audio_buffer.speech_started"}));
            }
            wire.read(&json!({"type": "error", "error": error}).to_string()).map_err(|error| error.is_retryable())
        };
        for works in [false, true] {
            assert_eq!(
                judged(works, json!({"type": "server_error", "code": null, "message": "The server had an error"})),
                Err(true)
            );
            let expired =
                json!({"type": "invalid_request_error", "code": "session_expired", "message": "maximum duration"});
            assert_eq!(judged(works, expired), Err(true));
            assert_eq!(judged(works, json!({"type": "rate_limit_error"})), Err(true));
            assert_eq!(judged(works, json!({"type": "invalid_request_error", "code": "invalid_api_key"})), Err(false));
            assert_eq!(judged(works, json!({"code": "insufficient_quota"})), Err(false));
        }
        let refused = json!({"type": "invalid_request_error", "code": "invalid_value", "message": "no such thing"});
        assert_eq!(judged(false, refused.clone()), Err(false), "the session never worked");
        assert_eq!(judged(true, refused), Ok(SttUpdate::default()), "one event, not the session");
        assert_eq!(judged(false, json!(null)), Err(true));
    }

    #[test]
    fn odd_fields_cost_no_session() {
        let whole = of_item("completed", "a", "transcript", "yes");
        for field in ["type", "item_id", "transcript"] {
            for odd in [json!(null), json!(""), json!([]), json!(7), json!({})] {
                let mut event = whole.clone();
                event[field] = odd;
                assert!(protocol().read(&event.to_string()).is_ok(), "{event}");
            }
            let mut event = whole.clone();
            event.as_object_mut().unwrap().remove(field);
            assert!(protocol().read(&event.to_string()).is_ok(), "{event}");
        }
    }
}
