//! The Realtime API of OpenAI and xAI: transcription sessions and speech to speech.

use super::fault_injection::InjectedFault;
use super::openai::{early_fault, refusal};
use super::phrase_stt::{RecognitionEvent, RecognitionStream};
use super::script::ScriptedAnswer;
use super::state::Emulator;
use super::wire::{has_token, query, send, stall};
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

/// Bytes of one audio delta: a fifth of a second.
const DELTA: usize = 1_600;
/// A delta leaves this often: ten times as fast as it is heard.
const PACE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, PartialEq, Eq)]
enum RealtimeFlavor {
    Openai,
    Xai,
}

pub(super) async fn openai(
    state: State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade,
) -> Response {
    accept(state.0, &headers, &uri, upgrade, RealtimeFlavor::Openai)
}

pub(super) async fn xai(state: State<Emulator>, headers: HeaderMap, uri: Uri, upgrade: WebSocketUpgrade) -> Response {
    accept(state.0, &headers, &uri, upgrade, RealtimeFlavor::Xai)
}

fn accept(
    emulator: Emulator, headers: &HeaderMap, uri: &Uri, upgrade: WebSocketUpgrade, vendor: RealtimeFlavor,
) -> Response {
    if !has_token(headers) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_api_key", "Incorrect API key provided");
    }
    let query = query(uri);
    let transcribes = query.get("intent").is_some_and(|intent| intent == "transcription");
    let stage = if transcribes { "stt" } else { "engine" };
    let fault = emulator.faults.take(stage, if vendor == RealtimeFlavor::Xai { "xai" } else { "openai" });
    if let Some(response) = early_fault(fault) {
        return response;
    }
    if !transcribes && !query.contains_key("model") {
        return refusal(StatusCode::BAD_REQUEST, "invalid_request_error", "model is required");
    }
    let session = RealtimeSocket {
        emulator,
        vendor,
        fault,
        transcribes,
        set_up: false,
        companding: Companding::MuLaw,
        silence_ms: 500,
        tools: Vec::new(),
        listener: RecognitionStream::default(),
        messages: Vec::new(),
        out: VecDeque::new(),
        speaking: None,
        next: 0,
        event: 0,
        utterances: 0,
    };
    upgrade.on_upgrade(move |socket| session.run(socket)).into_response()
}

/// An answer being spoken.
struct ActiveResponse {
    response: String,
    item: String,
    /// Milliseconds of audio that were sent.
    sent_ms: u64,
    text: String,
}

struct RealtimeSocket {
    emulator: Emulator,
    vendor: RealtimeFlavor,
    fault: Option<InjectedFault>,
    transcribes: bool,
    set_up: bool,
    companding: Companding,
    silence_ms: u64,
    tools: Vec<String>,
    listener: RecognitionStream,
    /// The conversation in the shape that the script is asked with.
    messages: Vec<Value>,
    /// Events of the answer that are still to be sent, in their time.
    out: VecDeque<Value>,
    speaking: Option<ActiveResponse>,
    next: u32,
    event: u32,
    /// What the caller has said in this session.
    utterances: u32,
}

impl RealtimeSocket {
    async fn run(mut self, mut socket: WebSocket) {
        if self.fault == Some(InjectedFault::HalfOpen) {
            return stall().await;
        }
        if self.fault != Some(InjectedFault::Stall) {
            self.say(
                &mut socket,
                json!({"type": "session.created", "session": {"id": "sess_1", "object": "realtime.session"}}),
            )
            .await;
            if self.vendor == RealtimeFlavor::Xai {
                self.say(&mut socket, json!({"type": "conversation.created", "conversation": {"id": "conv_1"}})).await;
                self.say(&mut socket, json!({"type": "ping", "timestamp": 1})).await;
            }
        }
        let mut pace = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let event: Value = serde_json::from_str(&text).unwrap_or_default();
                        if !self.take(&mut socket, &event).await {
                            return;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
                _ = pace.tick(), if !self.out.is_empty() => {
                    if !self.go_on(&mut socket).await {
                        return;
                    }
                }
            }
        }
    }

    async fn say(&mut self, socket: &mut WebSocket, mut event: Value) -> bool {
        self.event += 1;
        event["event_id"] = json!(format!("event_{}", self.event));
        send(socket, &event).await
    }

    async fn error(&mut self, socket: &mut WebSocket, code: &str, message: &str) -> bool {
        let error =
            json!({"type": "invalid_request_error", "code": code, "message": message, "param": null, "event_id": null});
        self.say(socket, json!({"type": "error", "error": error})).await
    }

    fn id(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}_{}", self.next)
    }

    async fn take(&mut self, socket: &mut WebSocket, event: &Value) -> bool {
        match event["type"].as_str().unwrap_or("") {
            "session.update" => self.update(socket, &event["session"]).await,
            "input_audio_buffer.append" => {
                // Sound flows once the session was set up.
                if !self.set_up {
                    return true;
                }
                let codes = STANDARD.decode(event["audio"].as_str().unwrap_or("")).unwrap_or_default();
                let samples: Vec<i16> = codes.iter().map(|code| self.companding.decode(*code)).collect();
                let stt = self.emulator.stt.clone();
                let mut heard = Vec::new();
                self.listener.listen(&stt, &samples, self.silence_ms, |one| heard.push(one));
                for one in heard {
                    if !self.heard(socket, one).await {
                        return false;
                    }
                }
                true
            }
            "input_audio_buffer.commit" => match self.listener.finish(&self.emulator.stt.clone()) {
                Some(last) => self.heard(socket, last).await,
                None => self.error(socket, "input_audio_buffer_commit_empty", "the buffer is empty").await,
            },
            "conversation.item.create" => self.item(socket, &event["item"]).await,
            "conversation.item.truncate" => self.truncate(socket, event).await,
            "response.create" => {
                let wanted =
                    event["response"]["instructions"].as_str().and_then(|text| text.split_once("nothing else: "));
                match wanted {
                    Some((_, text)) => self.speak(ScriptedAnswer { reply: text.to_owned(), tools: Vec::new() }).await,
                    None => self.answer().await,
                }
                true
            }
            "response.cancel" => {
                if self.speaking.is_none() {
                    return self.error(socket, "response_cancel_not_active", "no active response").await;
                }
                self.cancel(socket, "client_cancelled").await
            }
            "input_audio_buffer.clear" | "conversation.item.delete" => true,
            other => self.error(socket, "unknown_event", &format!("unknown event {other}")).await,
        }
    }

    async fn update(&mut self, socket: &mut WebSocket, session: &Value) -> bool {
        if self.fault == Some(InjectedFault::Garbage) {
            let _ = socket.send(Message::Text("<html>502 Bad Gateway</html>".into())).await;
            return false;
        }
        let input = &session["audio"]["input"];
        let detection = match self.vendor {
            RealtimeFlavor::Openai if session["type"].is_null() => {
                return self.error(socket, "missing_required_parameter", "session.type is required").await;
            }
            RealtimeFlavor::Openai => &input["turn_detection"],
            RealtimeFlavor::Xai => &session["turn_detection"],
        };
        self.silence_ms = detection["silence_duration_ms"].as_u64().unwrap_or(500);
        self.companding = match input["format"]["type"].as_str() {
            Some("audio/pcma") => Companding::ALaw,
            Some("audio/pcmu") => Companding::MuLaw,
            _ => return self.error(socket, "invalid_value", "this emulator takes audio/pcmu and audio/pcma").await,
        };
        let tools = session["tools"].as_array().into_iter().flatten();
        self.tools = tools.filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect();
        self.set_up = true;
        self.say(socket, json!({"type": "session.updated", "session": session})).await
    }

    async fn item(&mut self, socket: &mut WebSocket, item: &Value) -> bool {
        let text = item["content"][0]["text"].as_str().unwrap_or("").to_owned();
        match item["type"].as_str() {
            Some("message") => self.messages.push(json!({"role": item["role"], "content": text})),
            Some("function_call") => self.messages.push(json!({"role": "assistant", "content": ""})),
            Some("function_call_output") => self.messages.push(json!({"role": "tool", "content": item["output"]})),
            Some("force_message") if self.vendor == RealtimeFlavor::Xai => {
                self.speak(ScriptedAnswer { reply: text, tools: Vec::new() }).await;
                return true;
            }
            _ => return self.error(socket, "invalid_value", "unknown item").await,
        }
        let mut item = item.clone();
        item["id"] = json!(self.id("item"));
        self.say(socket, json!({"type": "conversation.item.added", "previous_item_id": null, "item": item})).await
    }

    async fn truncate(&mut self, socket: &mut WebSocket, event: &Value) -> bool {
        let (item, ms) = (event["item_id"].as_str().unwrap_or(""), event["audio_end_ms"].as_u64().unwrap_or(0));
        let known = self.messages.iter_mut().find(|m| m["item"] == item);
        match known {
            Some(message) if ms <= message["sent_ms"].as_u64().unwrap_or(0) => {
                // The model treats audio that was not heard as not said.
                let text = message["content"].as_str().unwrap_or("").to_owned();
                let all = message["all_ms"].as_u64().unwrap_or(1).max(1);
                let keep = text.chars().count() as u64 * ms / all;
                message["content"] = json!(text.chars().take(keep as usize).collect::<String>());
                let done = json!({"type": "conversation.item.truncated", "item_id": item, "content_index": 0, "audio_end_ms": ms});
                self.say(socket, done).await
            }
            _ => self.error(socket, "invalid_truncate", "audio_end_ms is beyond the item").await,
        }
    }

    async fn heard(&mut self, socket: &mut WebSocket, heard: RecognitionEvent) -> bool {
        match heard {
            RecognitionEvent::Started => self.speech_started(socket).await,
            RecognitionEvent::Interim(_) => true,
            RecognitionEvent::Final { text, .. } => {
                let text = self.emulator.utterances.next().unwrap_or(text);
                self.speech_stopped(socket, text).await
            }
        }
    }

    async fn speech_started(&mut self, socket: &mut WebSocket) -> bool {
        let (now_ms, item) = (self.listener.samples / 8, self.id("item"));
        let started = json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": now_ms, "item_id": item});
        let said = self.say(socket, started).await;
        if self.speaking.is_some() && !self.transcribes {
            return said && self.cancel(socket, "turn_detected").await;
        }
        said
    }

    async fn speech_stopped(&mut self, socket: &mut WebSocket, text: String) -> bool {
        self.utterances += 1;
        if self.fault == Some(InjectedFault::SessionExpired) && self.utterances > 1 {
            self.error(socket, "session_expired", "Your session hit the maximum duration of 60 minutes.").await;
            return false;
        }
        let (now_ms, item) = (self.listener.samples / 8, format!("item_{}", self.next));
        let stopped = json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": now_ms, "item_id": item});
        self.say(socket, stopped).await;
        let committed = json!({"type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": item});
        self.say(socket, committed).await;
        tokio::time::sleep(Duration::from_millis(self.emulator.delays.stt_final_ms)).await;
        if self.transcribes && !self.transcription_goes_on(socket).await {
            return false;
        }
        let is_silent =
            matches!(self.fault, Some(InjectedFault::Stall | InjectedFault::StallMidStream | InjectedFault::Empty));
        if self.transcribes && is_silent {
            return true;
        }
        let said = self.transcribe(socket, &item, &text).await;
        if !self.transcribes {
            self.messages.push(json!({"role": "user", "content": text}));
            self.answer().await;
        }
        said
    }

    /// The words one after the other, and all of them.
    async fn transcribe(&mut self, socket: &mut WebSocket, item: &str, text: &str) -> bool {
        let kind = |name: &str| format!("conversation.item.input_audio_transcription.{name}");
        let mut so_far = String::new();
        for word in text.split_inclusive(' ') {
            so_far.push_str(word);
            let event = match self.vendor {
                RealtimeFlavor::Openai => {
                    json!({"type": kind("delta"), "item_id": item, "content_index": 0, "delta": word})
                }
                RealtimeFlavor::Xai => json!({"type": kind("updated"), "item_id": item, "transcript": so_far}),
            };
            self.say(socket, event).await;
        }
        let _ = self.emulator.results.send((Instant::now(), text.to_owned()));
        let done = json!({"type": kind("completed"), "item_id": item, "content_index": 0, "transcript": text,
            "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
        self.say(socket, done).await
    }

    async fn transcription_goes_on(&mut self, socket: &mut WebSocket) -> bool {
        match self.fault {
            Some(InjectedFault::Drop) => false,
            Some(InjectedFault::Garbage) => {
                let _ = socket.send(Message::Text("<html>502 Bad Gateway</html>".into())).await;
                false
            }
            _ => true,
        }
    }

    async fn answer(&mut self) {
        let said = self.emulator.script.answer_to(&self.messages, &self.tools);
        self.speak(said).await;
    }

    /// Lines up the events of an answer.
    async fn speak(&mut self, said: ScriptedAnswer) {
        tokio::time::sleep(Duration::from_millis(self.emulator.delays.llm_first_token_ms)).await;
        let (response, item) = (self.id("resp"), self.id("item"));
        let mut codes = self.emulator.voice.g711(&said.reply, self.companding).await;
        if said.reply.is_empty() || self.fault == Some(InjectedFault::Empty) {
            codes = bytes::Bytes::new();
        }
        let all_ms = codes.len() as u64 / 8;
        self.messages
            .push(json!({"role": "assistant", "content": said.reply, "item": item, "sent_ms": 0, "all_ms": all_ms}));
        let of = |kind: &str, rest: Value| {
            let mut event =
                json!({"type": kind, "response_id": response, "item_id": item, "output_index": 0, "content_index": 0});
            if let (Value::Object(event), Value::Object(rest)) = (&mut event, rest) {
                event.extend(rest);
            }
            event
        };
        self.out.push_back(json!({"type": "response.created", "response": {"id": response, "status": "in_progress"}}));
        self.out.push_back(of(
            "response.output_item.added",
            json!({"item": {"id": item, "type": "message", "role": "assistant"}}),
        ));
        let size = if self.fault == Some(InjectedFault::OddChunks) { 333 } else { DELTA };
        let words: Vec<&str> = said.reply.split_inclusive(' ').collect();
        let chunks: Vec<&[u8]> = codes.chunks(size).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let part: String =
                words[words.len() * index / chunks.len()..words.len() * (index + 1) / chunks.len()].concat();
            if !part.is_empty() {
                self.out.push_back(of("response.output_audio_transcript.delta", json!({"delta": part})));
            }
            self.out.push_back(of("response.output_audio.delta", json!({"delta": STANDARD.encode(chunk)})));
        }
        if !chunks.is_empty() {
            self.out.push_back(of("response.output_audio.done", json!({})));
            self.out.push_back(of("response.output_audio_transcript.done", json!({"transcript": said.reply})));
        }
        for (index, (name, arguments)) in said.tools.iter().enumerate() {
            let call = json!({"call_id": format!("call_{}_{index}", self.next), "name": name, "arguments": arguments});
            self.out.push_back(of("response.function_call_arguments.done", call));
        }
        let usage =
            json!({"input_tokens": 10, "output_tokens": words.len(), "input_token_details": {"cached_tokens": 4}});
        self.out.push_back(
            json!({"type": "response.done", "response": {"id": response, "status": "completed", "usage": usage}}),
        );
        self.speaking = Some(ActiveResponse { response, item, sent_ms: 0, text: said.reply });
    }

    /// The next event of an answer; audio takes its time, the rest does not.
    async fn go_on(&mut self, socket: &mut WebSocket) -> bool {
        while let Some(event) = self.out.pop_front() {
            let audio = event["type"] == "response.output_audio.delta";
            if audio && let Some(speaking) = &mut self.speaking {
                let bytes = event["delta"].as_str().map_or(0, str::len) as u64 * 3 / 4;
                speaking.sent_ms += bytes / 8;
                let (item, sent_ms) = (speaking.item.clone(), speaking.sent_ms);
                if let Some(message) = self.messages.iter_mut().find(|m| m["item"] == item.as_str()) {
                    message["sent_ms"] = json!(sent_ms);
                }
                if speaking.sent_ms > 800 && !speaking.text.is_empty() {
                    match self.fault {
                        Some(InjectedFault::Drop) => return false,
                        Some(InjectedFault::StallMidStream) => {
                            self.out.clear();
                            return true;
                        }
                        _ => {}
                    }
                }
            }
            if event["type"] == "response.done" {
                self.speaking = None;
            }
            if !self.say(socket, event).await {
                return false;
            }
            if audio {
                break;
            }
        }
        true
    }

    async fn cancel(&mut self, socket: &mut WebSocket, reason: &str) -> bool {
        // A late delta may follow a cancel.
        let late = self.out.iter().find(|event| event["type"] == "response.output_audio.delta").cloned();
        self.out.clear();
        let Some(speaking) = self.speaking.take() else { return true };
        let done = json!({"type": "response.done", "response": {"id": speaking.response, "status": "cancelled",
            "status_details": {"type": "cancelled", "reason": reason}, "usage": {"input_tokens": 10, "output_tokens": 2}}});
        let said = self.say(socket, done).await;
        match late {
            Some(late) => said && self.say(socket, late).await,
            None => said,
        }
    }
}
