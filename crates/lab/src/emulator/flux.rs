//! Deepgram `/v2/listen`: turns with their events. `Connected` comes first, transcripts are cumulative,
//! nothing happens while no audio comes.

use super::deepgram::{Encoding, refusal, request_id};
use super::fault_injection::InjectedFault;
use super::phrase_stt::{RecognitionEvent, RecognitionStream};
use super::state::{Emulator, has_token, query, send, stall};
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::time::Instant;

/// Parameters of `/v1/listen` that are none here.
const FOREIGN: [&str; 7] =
    ["language", "interim_results", "endpointing", "smart_format", "vad_events", "punctuate", "multichannel"];
/// Silence after which the model holds a turn for finished.
const END_OF_TURN_MS: u64 = 260;

pub(super) async fn listen(
    State(emulator): State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    let fault = emulator.faults.take("stt", "deepgram");
    if let Some(response) = super::deepgram::early(fault) {
        return response;
    }
    if !has_token(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "INVALID_AUTH", "Invalid credentials.");
    }
    let query = query(&uri);
    let bad = |message: &str| refusal(StatusCode::BAD_REQUEST, "Bad Request", message);
    if let Some(name) = FOREIGN.iter().find(|name| query.contains_key(**name)) {
        return bad(&format!("{name} is not a parameter of this endpoint."));
    }
    let Some(model) = query.get("model").filter(|model| model.starts_with("flux-general-")) else {
        return bad("model has to be flux-general-en or flux-general-multi.");
    };
    if query.contains_key("language_hint") && !model.ends_with("multi") {
        return bad("language_hint is only for flux-general-multi.");
    }
    let Some(encoding) = Encoding::parse(&query) else {
        return bad("This emulator takes mulaw, alaw and linear16 at 8000.");
    };
    let eager = query.contains_key("eager_eot_threshold");
    let session = FluxSocket {
        emulator,
        encoding,
        fault,
        eager,
        sequence: 0,
        turn: 0,
        words: String::new(),
        request_id: request_id(),
    };
    upgrade.on_upgrade(move |socket| session.run(socket)).into_response()
}

struct FluxSocket {
    emulator: Emulator,
    encoding: Encoding,
    fault: Option<InjectedFault>,
    eager: bool,
    sequence: u64,
    turn: u64,
    /// Of the turn so far; empty between turns.
    words: String,
    request_id: String,
}

impl FluxSocket {
    async fn run(mut self, mut socket: WebSocket) {
        let connected = json!({"type": "Connected", "request_id": self.request_id, "sequence_id": self.next()});
        if !send(&mut socket, &connected).await {
            return;
        }
        let mut listener = RecognitionStream::default();
        while let Some(Ok(message)) = socket.recv().await {
            let arrived = Instant::now();
            let stt = self.emulator.stt.clone();
            let mut heard = Vec::new();
            match message {
                Message::Binary(bytes) => {
                    let samples = self.encoding.decode(&bytes);
                    listener.listen(&stt, &samples, END_OF_TURN_MS, |one| heard.push(one));
                }
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap_or_default();
                    match message["type"].as_str() {
                        Some("ForceEndTurn") => heard.extend(listener.finish(&stt)),
                        Some("Configure") => {
                            let answer = json!({"type": "ConfigureSuccess", "request_id": self.request_id,
                                "sequence_id": self.next(), "thresholds": message["thresholds"]});
                            send(&mut socket, &answer).await;
                        }
                        Some("CloseStream") => {
                            let _ =
                                socket.send(Message::Close(Some(CloseFrame { code: 1000, reason: "".into() }))).await;
                            return;
                        }
                        // A KeepAlive is none of its messages and ends the stream.
                        _ => return,
                    }
                }
                Message::Close(_) => return,
                _ => {}
            }
            let seconds = listener.samples as f64 / 8_000.0;
            for one in heard {
                if !self.send_turn_events(&mut socket, one, seconds, arrived).await {
                    return;
                }
            }
        }
    }

    async fn send_turn_events(
        &mut self, socket: &mut WebSocket, heard: RecognitionEvent, seconds: f64, arrived: Instant,
    ) -> bool {
        match heard {
            RecognitionEvent::Started => true,
            RecognitionEvent::Interim(words) => {
                let event = if self.words.is_empty() { "StartOfTurn" } else { "Update" };
                self.words = words;
                let info = self.info(event, seconds);
                send(socket, &info).await
            }
            RecognitionEvent::Final { text, .. } => {
                self.emulator.clock.wait_ms(arrived, self.emulator.delays.stt_final_ms).await;
                match self.fault {
                    Some(InjectedFault::HalfOpen) => stall().await,
                    Some(InjectedFault::Stall | InjectedFault::StallMidStream | InjectedFault::Empty) => return true,
                    Some(InjectedFault::Drop) => return false,
                    Some(InjectedFault::Garbage) => {
                        let _ = socket.send(Message::Text("<html>".into())).await;
                        return false;
                    }
                    _ => {}
                }
                let mut events = Vec::new();
                if self.words.is_empty() {
                    self.words.clone_from(&text);
                    events.push(self.info("StartOfTurn", seconds));
                }
                if self.eager {
                    self.words = text.split_whitespace().next().unwrap_or("").to_owned();
                    events.push(self.info("EagerEndOfTurn", seconds));
                    self.words.clone_from(&text);
                    events.push(self.info("TurnResumed", seconds));
                    events.push(self.info("EagerEndOfTurn", seconds));
                }
                self.words.clone_from(&text);
                let mut end = self.info("EndOfTurn", seconds);
                end["trigger"] = json!("model");
                end["end_of_turn_confidence"] = json!(0.91);
                events.push(end);
                self.words.clear();
                self.turn += 1;
                let _ = self.emulator.results.send((Instant::now(), text));
                for event in events {
                    if !send(socket, &event).await {
                        return false;
                    }
                }
                true
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence - 1
    }

    fn info(&mut self, event: &str, seconds: f64) -> Value {
        let words: Vec<Value> = self
            .words
            .split_whitespace()
            .map(|word| json!({"word": word, "confidence": 0.95, "start": 0.0, "end": seconds}))
            .collect();
        json!({"type": "TurnInfo", "request_id": self.request_id, "sequence_id": self.next(), "event": event,
            "turn_index": self.turn, "audio_window_start": 0.0, "audio_window_end": seconds, "transcript": self.words,
            "words": words, "end_of_turn_confidence": 0.1})
    }
}
