//! ElevenLabs' sockets: `stream-input` for one text, `multi-stream-input` and Text-to-Dialogue with
//! contexts.

use super::elevenlabs::{early_fault, refusal};
use super::fault_injection::InjectedFault;
use super::state::Emulator;
use super::wire::{is_key, query, send, stall};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Instant;
use trunkline_media::codec::Companding;

/// The sixth context closes the socket.
const CONTEXTS_MAX: usize = 5;
/// Bytes of a chunk: a quarter of a second.
const CHUNK: usize = 2_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum SocketKind {
    Single,
    Multi,
    Dialogue,
}

pub(super) async fn single(
    state: State<Emulator>, Path(voice): Path<String>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    accept(state.0, &voice, &headers, &uri, upgrade, SocketKind::Single)
}

pub(super) async fn multi(
    state: State<Emulator>, Path(voice): Path<String>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    accept(state.0, &voice, &headers, &uri, upgrade, SocketKind::Multi)
}

pub(super) async fn dialogue(
    state: State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    accept(state.0, "", &headers, &uri, upgrade, SocketKind::Dialogue)
}

fn accept(
    emulator: Emulator, voice: &str, headers: &HeaderMap, uri: &Uri, upgrade: WebSocketUpgrade, kind: SocketKind,
) -> Response {
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
    // The key may also come in the first message.
    if (kind != SocketKind::Single && !is_key(&key)) || key == "invalid" {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Invalid API key");
    }
    let fault = emulator.faults.take("tts", "elevenlabs");
    if let Some(response) = early_fault(fault) {
        return response;
    }
    if voice == "unknown" {
        return refusal(StatusCode::BAD_REQUEST, "voice_not_found", "A voice with that id was not found");
    }
    let query = query(uri);
    let model = query.get("model_id").map_or("eleven_flash_v2_5", String::as_str);
    let expressive = model.starts_with("eleven_v3") || model.starts_with("eleven_v4");
    if expressive != (kind == SocketKind::Dialogue) {
        return refusal(StatusCode::FORBIDDEN, "model_not_supported", "This model cannot be used on this endpoint");
    }
    let companding = match query.get("output_format").map(String::as_str) {
        Some("ulaw_8000") => Some(Companding::MuLaw),
        Some("alaw_8000") => Some(Companding::ALaw),
        Some("pcm_8000") => None,
        _ => {
            let takes = "This emulator speaks ulaw_8000, alaw_8000 and pcm_8000 on sockets";
            return refusal(StatusCode::BAD_REQUEST, "invalid_output_format", takes);
        }
    };
    let session =
        ElevenlabsSocket { emulator, kind, companding, fault, contexts: BTreeMap::new(), spoken: 0, mute: false };
    upgrade.on_upgrade(move |socket| session.run(socket)).into_response()
}

#[derive(Default)]
struct SpeechContext {
    text: String,
    closing: bool,
}

struct ElevenlabsSocket {
    emulator: Emulator,
    kind: SocketKind,
    companding: Option<Companding>,
    fault: Option<InjectedFault>,
    contexts: BTreeMap<String, SpeechContext>,
    /// Sentences so far.
    spoken: u32,
    /// Nothing more is said: a stall.
    mute: bool,
}

impl ElevenlabsSocket {
    async fn run(mut self, mut socket: WebSocket) {
        if self.fault == Some(InjectedFault::HalfOpen) {
            return stall().await;
        }
        while let Some(Ok(message)) = socket.recv().await {
            let Message::Text(text) = message else { continue };
            let arrived = Instant::now();
            let Ok(message) = serde_json::from_str::<Value>(&text) else { return };
            if message["close_socket"] == json!(true) {
                break;
            }
            if !self.take(&mut socket, &message, arrived).await {
                return;
            }
        }
        let _ = socket.send(Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }))).await;
    }

    /// False when the socket is over.
    async fn take(&mut self, socket: &mut WebSocket, message: &Value, arrived: Instant) -> bool {
        let id = message["context_id"].as_str().unwrap_or("").to_owned();
        if self.kind != SocketKind::Single && id.is_empty() {
            return self.fail(socket, "invalid_message", "context_id is missing").await;
        }
        if !self.contexts.contains_key(&id) {
            if message["close_context"] == json!(true) {
                return true;
            }
            if self.contexts.len() >= CONTEXTS_MAX {
                return self.fail(socket, "max_active_conversations", "Too many contexts").await;
            }
            self.contexts.insert(id.clone(), SpeechContext::default());
        } else if message.get("voices").is_some() {
            return self.fail(socket, "invalid_message", "voices can only be set in the first message").await;
        }
        let context = self.contexts.entry(id.clone()).or_default();
        let text = match self.kind {
            SocketKind::Dialogue => message["inputs"][0]["text"].as_str(),
            _ => message["text"].as_str(),
        };
        context.text.push_str(text.unwrap_or(""));
        let ends = self.kind == SocketKind::Single && text == Some("");
        context.closing |= message["close_context"] == json!(true) || ends;
        let closing = context.closing;
        let flush = message["flush"] == json!(true) || ends;
        if flush && !context.text.trim().is_empty() {
            let text = std::mem::take(&mut context.text);
            if self.loses_sentence() {
                return self.lose_sentence(socket, &id).await;
            }
            if !self.speak(socket, &id, text.trim(), arrived).await {
                return false;
            }
        }
        if closing {
            self.contexts.remove(&id);
            if self.mute {
                return true;
            }
            let last = match self.kind {
                SocketKind::Single => json!({"audio": null, "isFinal": true}),
                SocketKind::Multi => json!({"isFinal": true, "contextId": id}),
                SocketKind::Dialogue => json!({"is_final": true, "context_id": id}),
            };
            let told = send(socket, &last).await;
            if ends {
                let _ = socket.send(Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }))).await;
            }
            return told && !ends;
        }
        true
    }

    async fn fail(&self, socket: &mut WebSocket, error: &str, message: &str) -> bool {
        send(socket, &json!({"message": message, "error": error, "code": 1008})).await;
        let frame = CloseFrame { code: 1008, reason: error.to_owned().into() };
        let _ = socket.send(Message::Close(Some(frame))).await;
        false
    }

    /// Counts a sentence; true if it is the one that brings no sound.
    fn loses_sentence(&mut self) -> bool {
        self.spoken += 1;
        self.spoken == 2 && matches!(self.fault, Some(InjectedFault::EmptySentence | InjectedFault::LostSentence))
    }

    async fn lose_sentence(&mut self, socket: &mut WebSocket, id: &str) -> bool {
        if self.fault == Some(InjectedFault::LostSentence) {
            return true;
        }
        self.contexts.remove(id);
        send(socket, &json!({"contextId": id, "isFinal": true})).await
    }

    async fn speak(&mut self, socket: &mut WebSocket, id: &str, text: &str, arrived: Instant) -> bool {
        let voice = self.emulator.voice.clone();
        let audio = match self.companding {
            Some(companding) => voice.g711(text, companding).await,
            None => voice.pcm(text, 8_000).await,
        };
        match self.fault {
            // Reading the socket answers pings; a stalled session sends nothing.
            Some(InjectedFault::Stall) => {
                self.mute = true;
                return true;
            }
            Some(InjectedFault::Empty) => return true,
            Some(InjectedFault::Garbage) => {
                let _ = socket.send(Message::Text("<html>".into())).await;
                return false;
            }
            _ => {}
        }
        self.emulator.clock.wait_ms(arrived, self.emulator.delays.tts_first_byte_ms).await;
        let size = if self.fault == Some(InjectedFault::OddChunks) { 333 } else { CHUNK };
        let letters: Vec<String> = format!("{text} ").chars().map(String::from).collect();
        let chunks = audio.chunks(size);
        let count = chunks.len().max(1);
        for (index, chunk) in chunks.enumerate() {
            if index > count / 2 {
                match self.fault {
                    Some(InjectedFault::Drop) => return false,
                    Some(InjectedFault::StallMidStream) => {
                        self.mute = true;
                        return true;
                    }
                    _ => {}
                }
            }
            let part = &letters[letters.len() * index / count..letters.len() * (index + 1) / count];
            let each = chunk.len() as f64 / 8.0 / part.len().max(1) as f64;
            let starts: Vec<f64> = (0..part.len()).map(|n| (each * n as f64).round()).collect();
            let message = match self.kind {
                SocketKind::Dialogue => {
                    json!({"audio": STANDARD.encode(chunk), "context_id": id, "alignment": {"chars": part,
                    "char_start_times_ms": starts, "char_durations_ms": vec![each.round(); part.len()]}})
                }
                kind => {
                    let mut message = json!({"audio": STANDARD.encode(chunk), "isFinal": null, "normalizedAlignment": null,
                        "alignment": {"chars": part, "charStartTimesMs": starts, "charDurationsMs": vec![each.round(); part.len()]}});
                    if kind == SocketKind::Multi {
                        message["contextId"] = json!(id);
                    }
                    message
                }
            };
            if !send(socket, &message).await {
                return false;
            }
        }
        if self.kind == SocketKind::Dialogue {
            return send(socket, &json!({"is_final_audio_for_turn": true, "context_id": id})).await;
        }
        true
    }
}
