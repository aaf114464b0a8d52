//! ElevenLabs' conversational agent: `/v1/convai/conversation`.

use super::elevenlabs::{early_fault, refusal};
use super::fault_injection::InjectedFault;
use super::phrase_stt::{RecognitionEvent, RecognitionStream};
use super::state::Emulator;
use super::wire::{is_key, query, send, stall};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use trunkline_media::codec::Companding;

/// A quarter of a second of sound, sent four times as fast as it is heard.
const CHUNK: usize = 2_000;
const PACE: Duration = Duration::from_millis(60);
/// Silence that ends the caller's turn.
const SILENCE_MS: u64 = 400;

pub(super) async fn conversation(
    State(emulator): State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    let query = query(&uri);
    let Some(agent) = query.get("agent_id") else {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request", "agent_id is required");
    };
    let key = headers.get("xi-api-key").and_then(|v| v.to_str().ok());
    // A public agent needs no key.
    if !agent.starts_with("agent_") || key.is_some_and(|key| !is_key(key)) {
        return refusal(StatusCode::FORBIDDEN, "agent_not_found", "The agent does not exist");
    }
    let fault = emulator.faults.take("engine", "elevenlabs");
    if let Some(response) = early_fault(fault) {
        return response;
    }
    let session = ConversationalAgentSocket {
        emulator,
        fault,
        listener: RecognitionStream::default(),
        messages: Vec::new(),
        out: VecDeque::new(),
        event: 0,
        tools: Vec::new(),
        sent: 0,
        utterances: 0,
    };
    upgrade.on_upgrade(move |socket| session.run(socket)).into_response()
}

struct ConversationalAgentSocket {
    emulator: Emulator,
    fault: Option<InjectedFault>,
    listener: RecognitionStream,
    messages: Vec<Value>,
    out: VecDeque<Value>,
    event: i64,
    /// Names of the client tools of the agent.
    tools: Vec<String>,
    sent: usize,
    /// What the caller has said in this session.
    utterances: u32,
}

impl ConversationalAgentSocket {
    async fn run(mut self, mut socket: WebSocket) {
        if matches!(self.fault, Some(InjectedFault::HalfOpen)) {
            return stall().await;
        }
        let mut pace = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let message: Value = serde_json::from_str(&text).unwrap_or_default();
                        if !self.take(&mut socket, &message).await {
                            return;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                _ = pace.tick(), if !self.out.is_empty() => {
                    if let Some(event) = self.out.pop_front() {
                        if event["type"] == "audio" {
                            self.sent += 1;
                            match self.fault {
                                Some(InjectedFault::Drop) if self.sent > 3 => return,
                                Some(InjectedFault::StallMidStream) if self.sent > 3 => {
                                    self.out.clear();
                                    continue;
                                }
                                _ => {}
                            }
                        }
                        if !send(&mut socket, &event).await {
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn take(&mut self, socket: &mut WebSocket, message: &Value) -> bool {
        if let Some(audio) = message["user_audio_chunk"].as_str() {
            let codes = STANDARD.decode(audio).unwrap_or_default();
            let samples: Vec<i16> = codes.iter().map(|code| Companding::MuLaw.decode(*code)).collect();
            let stt = self.emulator.stt.clone();
            let mut heard = Vec::new();
            self.listener.listen(&stt, &samples, SILENCE_MS, |one| heard.push(one));
            for one in heard {
                self.heard(one).await;
            }
            return true;
        }
        match message["type"].as_str() {
            Some("conversation_initiation_client_data") => return self.start_conversation(socket, message).await,
            Some("client_tool_result") => {
                self.messages.push(json!({"role": "tool", "content": message["result"]}));
                self.answer().await;
            }
            Some("user_message") => {
                self.messages.push(json!({"role": "user", "content": message["text"]}));
                self.answer().await;
            }
            _ => {}
        }
        true
    }

    async fn start_conversation(&mut self, socket: &mut WebSocket, message: &Value) -> bool {
        match self.fault {
            Some(InjectedFault::Stall) => return true,
            Some(InjectedFault::Garbage) => {
                let _ = socket.send(Message::Text("<html>".into())).await;
                return false;
            }
            _ => {}
        }
        let metadata = json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
            {"conversation_id": "conv_emulated", "agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}});
        let ping = json!({"type": "ping", "ping_event": {"event_id": 1, "ping_ms": 20}});
        if !send(socket, &metadata).await || !send(socket, &ping).await {
            return false;
        }
        // The script's tools stand for those that were set up with the agent.
        let tools = self.emulator.script.0.iter().flat_map(|rule| rule.tool.iter());
        self.tools = tools.map(|tool| tool.name.clone()).collect();
        let first = message["conversation_config_override"]["agent"]["first_message"].as_str();
        self.speak(first.unwrap_or("Hello, how can I help?")).await;
        true
    }

    async fn heard(&mut self, heard: RecognitionEvent) {
        match heard {
            RecognitionEvent::Started if !self.out.is_empty() => {
                self.out.clear();
                self.out.push_back(json!({"type": "interruption", "interruption_event": {"event_id": self.event}}));
            }
            RecognitionEvent::Final { .. }
                if self.fault == Some(InjectedFault::SessionExpired) && self.utterances > 0 =>
            {
                let error = json!({"error_type": "max_duration_exceeded", "message": "Conversation has exceeded maximum duration"});
                self.out.push_back(json!({"type": "error", "error_event": error}));
            }
            RecognitionEvent::Final { text, .. } => {
                self.utterances += 1;
                let _ = self.emulator.results.send((Instant::now(), text.clone()));
                self.out.push_back(
                    json!({"type": "user_transcript", "user_transcription_event": {"user_transcript": text}}),
                );
                self.messages.push(json!({"role": "user", "content": text}));
                self.answer().await;
            }
            _ => {}
        }
    }

    async fn answer(&mut self) {
        let said = self.emulator.script.answer_to(&self.messages, &self.tools);
        self.speak(&said.reply).await;
        for (index, (name, arguments)) in said.tools.iter().enumerate() {
            let parameters: Value = serde_json::from_str(arguments).unwrap_or_default();
            self.out.push_back(json!({"type": "client_tool_call", "client_tool_call":
                {"tool_name": name, "tool_call_id": format!("tool_{index}"), "parameters": parameters}}));
        }
    }

    async fn speak(&mut self, text: &str) {
        tokio::time::sleep(Duration::from_millis(self.emulator.delays.llm_first_token_ms)).await;
        self.messages.push(json!({"role": "assistant", "content": text}));
        if text.is_empty() || self.fault == Some(InjectedFault::Empty) {
            return;
        }
        let codes = self.emulator.voice.g711(text, Companding::MuLaw).await;
        let size = if self.fault == Some(InjectedFault::OddChunks) { 333 } else { CHUNK };
        self.out.push_back(json!({"type": "agent_response", "agent_response_event": {"agent_response": text}}));
        for chunk in codes.chunks(size) {
            self.event += 1;
            self.out.push_back(json!({"type": "audio", "audio_event":
                {"audio_base_64": STANDARD.encode(chunk), "event_id": self.event}}));
        }
        self.out.push_back(json!({"type": "agent_response_complete"}));
    }
}
