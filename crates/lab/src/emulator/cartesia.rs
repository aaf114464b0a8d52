//! Cartesia: `/tts/websocket` with contexts.

use super::fault_injection::InjectedFault;
use super::state::{Emulator, has_token, query, send, stall};
use axum::Json;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Instant;
use trunkline_media::codec::Companding;

fn refusal(status: StatusCode, code: &str, title: &str) -> Response {
    let body = json!({"error_code": code, "title": title, "message": title, "request_id": "emulated"});
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
    }
    response
}

pub(super) async fn voices(headers: HeaderMap) -> Response {
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid API key");
    }
    Json(json!({"data": [{"id": "v", "name": "Emulated", "language": "en"}], "has_more": false})).into_response()
}

pub(super) async fn websocket(
    State(emulator): State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    let query = query(&uri);
    let key = headers.get("x-api-key").and_then(|v| v.to_str().ok()).or(query.get("api_key").map(String::as_str));
    if !has_token(&headers) && !key.is_some_and(super::state::is_key) {
        return refusal(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid API key");
    }
    if !headers.contains_key("cartesia-version") && !query.contains_key("cartesia_version") {
        return refusal(StatusCode::BAD_REQUEST, "version_missing", "Cartesia-Version is required");
    }
    let fault = emulator.faults.take("tts", "cartesia");
    match fault {
        Some(InjectedFault::Refuse) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        Some(InjectedFault::RateLimit) => {
            return refusal(StatusCode::TOO_MANY_REQUESTS, "concurrency_limited", "Too many concurrent requests");
        }
        Some(InjectedFault::Unauthorized) => {
            return refusal(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid API key");
        }
        _ => {}
    }
    let session = CartesiaSocket { emulator, fault, texts: HashMap::new() };
    upgrade.on_upgrade(move |socket| session.run(socket)).into_response()
}

struct CartesiaSocket {
    emulator: Emulator,
    fault: Option<InjectedFault>,
    /// Text sent so far to a context that continues.
    texts: HashMap<String, String>,
}

impl CartesiaSocket {
    async fn run(mut self, mut socket: WebSocket) {
        if self.fault == Some(InjectedFault::HalfOpen) {
            return stall().await;
        }
        while let Some(Ok(message)) = socket.recv().await {
            let Message::Text(text) = message else { continue };
            let arrived = Instant::now();
            let message: Value = serde_json::from_str(&text).unwrap_or_default();
            let id = message["context_id"].as_str().unwrap_or("").to_owned();
            if message["cancel"] == json!(true) {
                self.texts.remove(&id);
                send(&mut socket, &json!({"type": "done", "context_id": id, "status_code": 200, "done": true})).await;
                continue;
            }
            let known = message["model_id"].is_string() && message["voice"]["mode"] == "id";
            let format = &message["output_format"];
            if !known || format["container"] != "raw" {
                let error = json!({"type": "error", "context_id": id, "status_code": 400, "done": true,
                    "error_code": "invalid_request", "title": "Invalid request", "message": "model_id, voice and a raw output_format are required"});
                send(&mut socket, &error).await;
                continue;
            }
            let transcript = message["transcript"].as_str().unwrap_or("");
            self.texts.entry(id.clone()).or_default().push_str(transcript);
            if message["continue"] == json!(true) && message["flush"] != json!(true) {
                continue;
            }
            let text = self.texts.remove(&id).unwrap_or_default();
            if !self.speak(&mut socket, &id, &text, &message, arrived).await {
                return;
            }
        }
    }

    async fn speak(&self, socket: &mut WebSocket, id: &str, text: &str, order: &Value, arrived: Instant) -> bool {
        let voice = &self.emulator.voice;
        let rate = order["output_format"]["sample_rate"].as_u64().unwrap_or(8_000) as u32;
        let audio = match order["output_format"]["encoding"].as_str() {
            Some("pcm_mulaw") => voice.g711(text, Companding::MuLaw).await,
            Some("pcm_alaw") => voice.g711(text, Companding::ALaw).await,
            _ => voice.pcm(text, rate).await,
        };
        match self.fault {
            Some(InjectedFault::Stall) => return true,
            Some(InjectedFault::Garbage) => {
                let _ = socket.send(Message::Text("<html>".into())).await;
                return false;
            }
            _ => {}
        }
        self.emulator.clock.wait_ms(arrived, self.emulator.delays.tts_first_byte_ms).await;
        let empty = self.fault == Some(InjectedFault::Empty);
        let size = if self.fault == Some(InjectedFault::OddChunks) { 333 } else { 2_000 };
        let chunks = audio.chunks(size);
        let count = chunks.len();
        for (index, chunk) in chunks.enumerate().filter(|_| !empty) {
            if index > count / 2 {
                match self.fault {
                    Some(InjectedFault::Drop) => return false,
                    Some(InjectedFault::StallMidStream) => return true,
                    _ => {}
                }
            }
            let message = json!({"type": "chunk", "context_id": id, "status_code": 206, "done": false, "step_time": 12.5,
                "data": STANDARD.encode(chunk), "flush_id": 1});
            if !send(socket, &message).await {
                return false;
            }
        }
        if order["add_timestamps"] == json!(true) && !empty {
            let words: Vec<&str> = text.split_whitespace().collect();
            let seconds = audio.len() as f64 / 8_000.0;
            let letters = text.chars().count().max(1) as f64;
            let mut at = 0.0;
            let (mut start, mut end) = (Vec::new(), Vec::new());
            for word in &words {
                start.push(at * seconds / letters);
                at += word.chars().count() as f64 + 1.0;
                end.push((at - 1.0) * seconds / letters);
            }
            let stamps = json!({"type": "timestamps", "context_id": id, "status_code": 206, "done": false,
                "word_timestamps": {"words": words, "start": start, "end": end}});
            send(socket, &stamps).await;
        }
        // It comes unasked as well.
        send(socket, &json!({"type": "flush_done", "context_id": id, "status_code": 206, "done": false, "flush_done": true, "flush_id": 1})).await;
        send(socket, &json!({"type": "done", "context_id": id, "status_code": 200, "done": true})).await
    }
}
