//! Deepgram `/v1/listen`: upgrade, audio in, results out, with the vendor's other messages.

use super::fault_injection::InjectedFault;
use super::phrase_stt::{RecognitionEvent, RecognitionStream, language_of};
use super::state::Emulator;
use super::wire::{has_token, query, send, stall};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;

/// A socket without audio or text for this long is closed (NET-0001).
const IDLE: Duration = Duration::from_secs(10);

/// What the vendor says to a request it does not take.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"err_code": code, "err_msg": message, "request_id": request_id()}).to_string();
    let mut response =
        (status, [("dg-error", message.to_owned()), ("dg-request-id", request_id())], body).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
    }
    response
}

/// Faults that happen before the upgrade.
pub(super) fn early(fault: Option<InjectedFault>) -> Option<Response> {
    Some(match fault? {
        InjectedFault::Refuse => refusal(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal server error."),
        InjectedFault::RateLimit => refusal(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", "Too many requests."),
        InjectedFault::Unauthorized => refusal(StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials."),
        _ => return None,
    })
}

/// The models of the vendor.
pub(super) fn models() -> Response {
    let model = |name: &str| json!({"name": name, "canonical_name": name, "languages": ["en"], "streaming": true});
    let stt = ["nova-3-general", "nova-emulated"].map(model);
    axum::Json(json!({"stt": stt, "tts": []})).into_response()
}

pub(super) async fn listen(
    State(emulator): State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    let fault = emulator.faults.take("stt", "deepgram");
    if let Some(response) = early(fault) {
        return response;
    }
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials.");
    }
    let query = query(&uri);
    let text = |name: &str| query.get(name).map(String::as_str);
    if text("model").is_none() {
        return refusal(StatusCode::BAD_REQUEST, "Bad Request", "model is required.");
    }
    let Some(encoding) = Encoding::parse(&query) else {
        let takes = "This emulator takes mulaw, alaw and linear16 at a sample_rate of 8000.";
        return refusal(StatusCode::BAD_REQUEST, "Bad Request", takes);
    };
    let flag = |name: &str| text(name) == Some("true");
    let session = NovaSocket {
        encoding,
        interim: flag("interim_results"),
        vad_events: flag("vad_events"),
        utterance_end: text("utterance_end_ms").is_some(),
        multi: text("language") == Some("multi"),
        endpointing_ms: text("endpointing").and_then(|v| v.parse().ok()).unwrap_or(10),
        request_id: request_id(),
        listener: RecognitionStream::default(),
        started_at: 0.0,
        fault,
        emulator,
    };
    let mut response = upgrade.on_upgrade(move |socket| session.run(socket));
    if let Ok(value) = request_id().parse() {
        response.headers_mut().insert("dg-request-id", value);
    }
    response
}

pub(super) fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[derive(Clone, Copy)]
pub(super) enum Encoding {
    G711(Companding),
    Linear,
}

impl Encoding {
    /// Of a query, at the 8 kHz rate.
    pub(super) fn parse(query: &HashMap<String, String>) -> Option<Self> {
        let text = |name: &str| query.get(name).map(String::as_str);
        let encoding = match text("encoding")? {
            "mulaw" => Self::G711(Companding::MuLaw),
            "alaw" => Self::G711(Companding::ALaw),
            "linear16" => Self::Linear,
            _ => return None,
        };
        (text("sample_rate") == Some("8000")).then_some(encoding)
    }

    pub(super) fn decode(self, bytes: &[u8]) -> Vec<i16> {
        match self {
            Self::G711(companding) => bytes.iter().map(|code| companding.decode(*code)).collect(),
            Self::Linear => bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
        }
    }
}

/// What a socket is closed with when nothing came for [`IDLE`].
const IDLE_REASON: &str =
    "Deepgram did not receive audio data or a text message within the timeout window. See https://dpgr.am/net0001";

struct NovaSocket {
    encoding: Encoding,
    interim: bool,
    vad_events: bool,
    utterance_end: bool,
    /// `language=multi`: words have languages.
    multi: bool,
    endpointing_ms: u64,
    request_id: String,
    listener: RecognitionStream,
    started_at: f64,
    fault: Option<InjectedFault>,
    emulator: Emulator,
}

impl NovaSocket {
    async fn run(mut self, mut socket: WebSocket) {
        let mut finals = 0u32;
        loop {
            let message = match tokio::time::timeout(IDLE, socket.recv()).await {
                Ok(Some(Ok(message))) => message,
                Ok(_) => return,
                Err(_) => {
                    let frame = CloseFrame { code: 1011, reason: IDLE_REASON.into() };
                    let _ = socket.send(Message::Close(Some(frame))).await;
                    return;
                }
            };
            let arrived = Instant::now();
            let replies = match message {
                Message::Binary(bytes) if bytes.is_empty() => {
                    self.close(&mut socket).await;
                    return;
                }
                Message::Binary(bytes) => self.audio(&bytes),
                Message::Text(text) => match self.control(&text) {
                    Some(replies) => replies,
                    None => {
                        self.close(&mut socket).await;
                        return;
                    }
                },
                Message::Close(_) => return,
                _ => Vec::new(),
            };
            for reply in replies {
                finals += u32::from(has_words(&reply));
                if !self.reply(&mut socket, arrived, &reply).await {
                    return;
                }
            }
            tracing::trace!(finals, "emulated STT");
        }
    }

    /// Sends one reply in its time, or what a fault makes of it; false when the socket is over.
    async fn reply(&self, socket: &mut WebSocket, arrived: Instant, reply: &Value) -> bool {
        if has_words(reply) {
            self.emulator.clock.wait_ms(arrived, self.emulator.delays.stt_final_ms).await;
            match self.fault {
                Some(InjectedFault::HalfOpen) => stall().await,
                // Pings are answered, and nothing else.
                Some(InjectedFault::Stall | InjectedFault::StallMidStream | InjectedFault::Empty) => return true,
                Some(InjectedFault::OddChunks) => {
                    for part in in_words(reply) {
                        send(socket, &part).await;
                    }
                    return true;
                }
                Some(InjectedFault::Drop) => return false,
                Some(InjectedFault::Garbage) => {
                    let _ = socket.send(Message::Text("<html>502 Bad Gateway</html>".into())).await;
                    return false;
                }
                _ => {}
            }
        }
        if let Some(text) = reply["channel"]["alternatives"][0]["transcript"].as_str() {
            let _ = self.emulator.results.send((Instant::now(), text.to_owned()));
        }
        send(socket, reply).await
    }

    fn audio(&mut self, bytes: &[u8]) -> Vec<Value> {
        let samples = self.encoding.decode(bytes);
        let mut heard = Vec::new();
        let stt = self.emulator.stt.clone();
        self.listener.listen(&stt, &samples, self.endpointing_ms, |one| heard.push(one));
        let now = self.seconds();
        let mut replies = Vec::new();
        for one in heard {
            match one {
                RecognitionEvent::Started => {
                    self.started_at = now;
                    if self.vad_events {
                        replies.push(json!({"type": "SpeechStarted", "channel": [0], "timestamp": now}));
                    }
                }
                RecognitionEvent::Interim(text) if self.interim => {
                    replies.push(self.results(&text, 0.9, false, false, false))
                }
                RecognitionEvent::Interim(_) => {}
                RecognitionEvent::Final { text, confidence } => {
                    replies.push(self.results(&text, confidence, true, true, false));
                    if self.utterance_end {
                        replies.push(json!({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": now}));
                    }
                }
            }
        }
        replies
    }

    /// `None` for the end of the stream.
    fn control(&mut self, text: &str) -> Option<Vec<Value>> {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        Some(match message["type"].as_str() {
            Some("KeepAlive") => Vec::new(),
            Some("Finalize") => {
                let stt = self.emulator.stt.clone();
                match self.listener.finalize(&stt) {
                    Some(RecognitionEvent::Final { text, confidence }) => {
                        vec![self.results(&text, confidence, true, true, true)]
                    }
                    _ => vec![self.results("", 0.0, true, false, true)],
                }
            }
            Some("CloseStream") => return None,
            _ => vec![
                json!({"type": "Error", "variant": "SchemaError", "description": "unknown message", "message": text}),
            ],
        })
    }

    async fn close(&mut self, socket: &mut WebSocket) {
        let stt = self.emulator.stt.clone();
        if let Some(RecognitionEvent::Final { text, confidence }) = self.listener.finish(&stt) {
            let last = self.results(&text, confidence, true, true, false);
            let _ = socket.send(Message::Text(last.to_string().into())).await;
        }
        let metadata = json!({
            "type": "Metadata", "transaction_key": "deprecated", "request_id": self.request_id,
            "sha256": "0".repeat(64), "created": "2026-01-01T00:00:00.000Z", "duration": self.seconds(), "channels": 1,
            "models": [], "model_info": {},
        });
        let _ = socket.send(Message::Text(metadata.to_string().into())).await;
        let _ = socket.send(Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }))).await;
    }

    fn seconds(&self) -> f64 {
        self.listener.samples as f64 / 8_000.0
    }

    fn results(&self, text: &str, confidence: f32, is_final: bool, speech_final: bool, from_finalize: bool) -> Value {
        let (start, end) = (self.started_at, self.seconds());
        let count = text.split_whitespace().count().max(1) as f64;
        let words: Vec<Value> = text
            .split_whitespace()
            .enumerate()
            .map(|(index, word)| {
                let at = |n: f64| start + (end - start) * n / count;
                let plain: String = word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
                let mut one = json!({"word": plain, "start": at(index as f64), "end": at(index as f64 + 1.0),
                    "confidence": confidence, "punctuated_word": word});
                if self.multi {
                    one["language"] = json!(language_of(text));
                }
                one
            })
            .collect();
        let mut alternative = json!({"transcript": text, "confidence": confidence, "words": words});
        if self.multi && !text.is_empty() {
            alternative["languages"] = json!([language_of(text)]);
        }
        json!({
            "type": "Results", "channel_index": [0, 1], "duration": end - start, "start": start,
            "is_final": is_final, "speech_final": speech_final, "from_finalize": from_finalize,
            "channel": {"alternatives": [alternative]},
            "metadata": {"request_id": self.request_id, "model_uuid": "00000000-0000-0000-0000-000000000000",
                "model_info": {"name": "emulator", "version": "1", "arch": "emulator"}},
        })
    }
}

/// A final result that is not empty.
fn has_words(reply: &Value) -> bool {
    let text = reply["channel"]["alternatives"][0]["transcript"].as_str().unwrap_or("");
    reply["is_final"] == json!(true) && !text.is_empty()
}

/// The same final result as one for each word, of which only the last ends the utterance.
fn in_words(reply: &Value) -> Vec<Value> {
    let alternative = &reply["channel"]["alternatives"][0];
    let words: Vec<&str> = alternative["transcript"].as_str().unwrap_or("").split_whitespace().collect();
    let duration = reply["duration"].as_f64().unwrap_or(0.0) / words.len().max(1) as f64;
    let start = reply["start"].as_f64().unwrap_or(0.0);
    let part = |(index, word): (usize, &&str)| {
        let mut part = reply.clone();
        part["channel"]["alternatives"][0]["transcript"] = json!(word);
        let last = index + 1 == words.len();
        part["speech_final"] = json!(last);
        part["from_finalize"] = json!(last && reply["from_finalize"] == json!(true));
        part["start"] = json!(start + duration * index as f64);
        part["duration"] = json!(duration);
        part
    };
    words.iter().enumerate().map(part).collect()
}

/// What a key is good for.
pub(super) async fn projects(headers: HeaderMap) -> Response {
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials.");
    }
    axum::Json(json!({"projects": [{"project_id": request_id(), "name": "emulated"}]})).into_response()
}
