//! The Realtime API as OpenAI has it, and as xAI has it with its own differences.
//! <https://platform.openai.com/docs/guides/realtime>, <https://docs.x.ai/docs/guides/voice>

use super::realtime_items::conversation_items;
use super::session_errors::SESSION_ERRORS;
use crate::realtime::{RealtimeEvent, RealtimeInput, RealtimeProtocol, RealtimeSessionConfig, RealtimeVendor};
use crate::session_error::SessionErrors;
use crate::tool_arguments::unwrapped;
use crate::transport::WebSocketRequest;
use crate::{ProviderAccess, ProviderError, TokenUsage, tool_dialect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::chat::{ChatMessage, ToolCall};

/// Errors that are part of any conversation: a cancel that came too late, a cut beyond what there is.
const USUAL: [&str; 4] = [
    "response_cancel_not_active",
    "conversation_already_has_active_response",
    "input_audio_buffer_commit_empty",
    "invalid_truncate",
];

/// Items of a session that we keep track of: an hour of talk has some hundreds.
const ITEMS_MAX: usize = 4_096;
/// Tools called in one answer.
const TOOL_CALLS_MAX: usize = 16;

/// Who speaks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealtimeDialect {
    /// The Realtime API as OpenAI documents it.
    Openai,
    /// Voice and turn detection at the top, cumulative transcripts, texts that are said as they are.
    Xai,
}

/// Client of the Realtime API, for one dialect.
#[derive(Debug)]
pub struct OpenaiRealtime {
    pub(crate) dialect: RealtimeDialect,
    /// What the vendor's error codes mean.
    pub(crate) errors: &'static SessionErrors,
}

/// The client for OpenAI's dialect.
pub const OPENAI: OpenaiRealtime = OpenaiRealtime { dialect: RealtimeDialect::Openai, errors: &SESSION_ERRORS };

impl RealtimeVendor for OpenaiRealtime {
    fn open(&self, setup: RealtimeSessionConfig) -> Box<dyn RealtimeProtocol> {
        Box::new(OpenaiRealtimeProtocol {
            dialect: self.dialect,
            errors: self.errors,
            setup,
            earlier: Vec::new(),
            items: Vec::new(),
            user: (String::new(), String::new()),
            tools: Vec::new(),
            stage: SessionStage::Opening,
        })
    }

    fn can_say(&self) -> bool {
        true
    }

    fn greets_first(&self) -> bool {
        false
    }
}

/// How far a session is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionStage {
    /// The server has not spoken yet.
    Opening,
    /// It was told what the session is like.
    SettingUp,
    /// It hears.
    Ready,
}

struct OpenaiRealtimeProtocol {
    dialect: RealtimeDialect,
    errors: &'static SessionErrors,
    setup: RealtimeSessionConfig,
    /// The conversation that began in another session.
    earlier: Vec<ChatMessage>,
    /// Items of the agent, in the order they came; their place is their number.
    items: Vec<String>,
    /// The caller's item being transcribed, and its text so far.
    user: (String, String),
    tools: Vec<ToolCall>,
    stage: SessionStage,
}

impl OpenaiRealtimeProtocol {
    fn session(&self) -> Value {
        let setup = &self.setup;
        let tools: Vec<Value> = tool_dialect::offers(&setup.tools)
            .map(|tool| json!({"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}))
            .collect();
        let detection =
            json!({"type": "server_vad", "silence_duration_ms": setup.silence_ms, "prefix_padding_ms": 300});
        let format = json!({"type": setup.format()});
        let mut session = match self.dialect {
            RealtimeDialect::Openai => {
                let mut input = json!({"format": format, "turn_detection": detection,
                    "transcription": {"model": "gpt-4o-mini-transcribe", "language": setup.language_code()}});
                input["turn_detection"]["create_response"] = json!(true);
                input["turn_detection"]["interrupt_response"] = json!(true);
                json!({"type": "realtime", "output_modalities": ["audio"],
                    "audio": {"input": input, "output": {"format": format}}})
            }
            RealtimeDialect::Xai => json!({"turn_detection": detection, "audio": {
                "input": {"format": format, "transport": "json",
                    "transcription": {"model": "grok-transcribe", "language_hint": setup.language_code()}},
                "output": {"format": format, "transport": "json"}}}),
        };
        session["instructions"] = json!(setup.instructions);
        if let Some(voice) = &setup.voice {
            match self.dialect {
                RealtimeDialect::Openai => session["audio"]["output"]["voice"] = json!(voice),
                RealtimeDialect::Xai => session["voice"] = json!(voice),
            }
        }
        if !tools.is_empty() {
            session["tools"] = json!(tools);
            session["tool_choice"] = json!("auto");
        }
        session
    }

    /// What changes in a session whose instructions change.
    fn instructions(&self) -> Value {
        let instructions = &self.setup.instructions;
        match self.dialect {
            RealtimeDialect::Openai => json!({"type": "realtime", "instructions": instructions}),
            RealtimeDialect::Xai => json!({"instructions": instructions}),
        }
    }

    /// The number of an item; a new one gets the next.
    fn number(&mut self, id: &str) -> u32 {
        let at = self.items.iter().rposition(|known| known == id).unwrap_or_else(|| {
            if self.items.len() < ITEMS_MAX {
                self.items.push(id.to_owned());
            }
            self.items.len() - 1
        });
        at as u32
    }

    fn say(&self, text: &str) -> Vec<Value> {
        match self.dialect {
            RealtimeDialect::Openai => vec![json!({"type": "response.create", "response": {
                "instructions": format!("Say exactly this, word for word, and nothing else: {text}"), "tool_choice": "none"}})],
            // The server begins to speak by itself.
            RealtimeDialect::Xai => vec![json!({"type": "conversation.item.create", "item": {"type": "force_message",
                "role": "assistant", "content": [{"type": "output_text", "text": text}]}})],
        }
    }

    fn message(role: &str, text: &str) -> Value {
        json!({"type": "conversation.item.create", "item": {"type": "message", "role": role,
            "content": [{"type": "input_text", "text": text}]}})
    }
}

impl RealtimeProtocol for OpenaiRealtimeProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        let upgrade = WebSocketRequest::for_endpoint(endpoint, "/realtime", &[("model", &self.setup.model)]);
        Ok(upgrade.header("authorization", format!("Bearer {}", endpoint.key()?)))
    }

    fn resume(&mut self, conversation: &[ChatMessage]) {
        self.earlier = conversation.to_vec();
    }

    fn initial_messages(&mut self) -> Vec<Message> {
        Vec::new() // the server speaks first
    }

    fn input(&mut self, input: RealtimeInput) -> Vec<Message> {
        let respond = || json!({"type": "response.create"});
        let events = match input {
            RealtimeInput::Audio(codes) => {
                vec![json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(codes)})]
            }
            RealtimeInput::Say(text) => self.say(&text),
            RealtimeInput::RequestResponse(None) => vec![respond()],
            RealtimeInput::RequestResponse(Some(hint)) => vec![Self::message("system", &hint), respond()],
            RealtimeInput::UserMessage(text) => vec![Self::message("user", &text), respond()],
            RealtimeInput::ToolResult { id, result } => vec![json!({"type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": id, "output": result}})],
            RealtimeInput::Instructions(text) => {
                self.setup.instructions = text;
                vec![json!({"type": "session.update", "session": self.instructions()})]
            }
            RealtimeInput::Resume(_) => Vec::new(),
            RealtimeInput::Interrupted { item } => {
                let mut events = vec![json!({"type": "response.cancel"})];
                if let Some((number, ms)) = item
                    && let Some(id) = self.items.get(number as usize)
                {
                    events.push(json!({"type": "conversation.item.truncate", "item_id": id, "content_index": 0,
                        "audio_end_ms": ms}));
                }
                events
            }
        };
        events.iter().map(|event| Message::text(event.to_string())).collect()
    }

    fn read(&mut self, text: &str) -> Result<(Vec<RealtimeEvent>, Vec<Message>), ProviderError> {
        let event = OpenaiRealtimeMessage::parse(text)?;
        let item = event.item_id.unwrap_or_default();
        let mut answers = Vec::new();
        let events = match event.kind.as_str() {
            "session.created" | "conversation.created" => {
                if self.stage == SessionStage::Opening {
                    self.stage = SessionStage::SettingUp;
                    let update = json!({"type": "session.update", "session": self.session()});
                    answers.push(Message::text(update.to_string()));
                    let earlier = conversation_items(&std::mem::take(&mut self.earlier));
                    answers.extend(earlier.iter().map(|item| Message::text(item.to_string())));
                }
                Vec::new()
            }
            // Once for each session; it comes again for other instructions.
            "session.updated" => match std::mem::replace(&mut self.stage, SessionStage::Ready) {
                SessionStage::Opening | SessionStage::SettingUp => vec![RealtimeEvent::Ready],
                SessionStage::Ready => Vec::new(),
            },
            "input_audio_buffer.speech_started" => vec![RealtimeEvent::SpeechStarted],
            "input_audio_buffer.speech_stopped" => vec![RealtimeEvent::SpeechStopped],
            "conversation.item.input_audio_transcription.delta" => {
                vec![RealtimeEvent::UserInterim(self.user_interim(item, &event.delta.unwrap_or_default()))]
            }
            // xAI: the whole text so far, which may correct itself.
            "conversation.item.input_audio_transcription.updated" => {
                vec![RealtimeEvent::UserInterim(event.transcript.unwrap_or_default())]
            }
            "conversation.item.input_audio_transcription.completed" => {
                vec![RealtimeEvent::UserFinal(event.transcript.unwrap_or_default().trim().to_owned())]
            }
            "response.created" => vec![RealtimeEvent::ResponseStarted],
            "response.output_audio.delta" => {
                // Sound that cannot be read is missing; the rest of the answer is heard.
                match STANDARD.decode(event.delta.unwrap_or_default()) {
                    Ok(codes) if !codes.is_empty() => {
                        vec![RealtimeEvent::Audio { item: self.number(&item), codes: codes.into() }]
                    }
                    _ => Vec::new(),
                }
            }
            "response.output_audio.done" => vec![RealtimeEvent::ItemDone { item: self.number(&item) }],
            "response.output_audio_transcript.delta" => {
                vec![RealtimeEvent::Text { item: self.number(&item), text: event.delta.unwrap_or_default() }]
            }
            "response.output_audio_transcript.done" => match event.transcript {
                Some(text) => vec![RealtimeEvent::FinalText { item: self.number(&item), text }],
                None => Vec::new(),
            },
            "response.function_call_arguments.done" => {
                self.keep_tool_call(event.call_id, event.name, event.arguments);
                Vec::new()
            }
            "response.done" => self.done(&event.response.unwrap_or_default(), &event.usage.unwrap_or_default()),
            "error" => {
                self.check_error(&event.error.unwrap_or_default())?;
                Vec::new()
            }
            _ => Vec::new(),
        };
        Ok((events, answers))
    }
}

impl OpenaiRealtimeProtocol {
    /// The caller's words so far, with a further part.
    fn user_interim(&mut self, item: String, delta: &str) -> String {
        if self.user.0 != item {
            self.user = (item, String::new());
        }
        self.user.1.push_str(delta);
        self.user.1.trim().to_owned()
    }

    /// Keeps a call until the response is done. One that is known is completed.
    fn keep_tool_call(&mut self, id: Option<String>, name: Option<String>, arguments: Option<String>) {
        let arguments = arguments.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".to_owned());
        let call = ToolCall::new(id.unwrap_or_default(), name.unwrap_or_default(), unwrapped(arguments));
        if let Some(known) = self.tools.iter_mut().find(|known| !call.id.is_empty() && known.id == call.id) {
            if known.name.is_empty() {
                known.name = call.name;
            }
        } else if self.tools.len() < TOOL_CALLS_MAX {
            self.tools.push(call);
        }
    }

    /// Calls that the whole response has; some servers name the function only there.
    fn keep_tool_calls_of(&mut self, response: &Value) {
        for item in response["output"].as_array().into_iter().flatten().filter(|item| item["type"] == "function_call") {
            let text = |name: &str| item[name].as_str().map(str::to_owned);
            if text("call_id").is_some() {
                self.keep_tool_call(text("call_id"), text("name"), text("arguments"));
            }
        }
    }

    /// Most errors keep the session; one before it was set up does not.
    fn check_error(&self, error: &Value) -> Result<(), ProviderError> {
        let text = |name: &str| error[name].as_str().unwrap_or_default();
        let (code, said) = (text("code"), error["message"].as_str().unwrap_or("error"));
        if let Some(failure) = self.errors.fault(&[code, text("type")]).error(said) {
            return Err(failure);
        }
        if self.stage == SessionStage::Opening {
            return Err(ProviderError::refused(400, said));
        }
        if !USUAL.contains(&code) {
            tracing::warn!(code, "realtime model reports an error");
        }
        Ok(())
    }

    fn done(&mut self, response: &Value, usage: &Value) -> Vec<RealtimeEvent> {
        let mut events = Vec::new();
        self.keep_tool_calls_of(response);
        let mut tools = std::mem::take(&mut self.tools);
        tools.retain(|call| !call.name.is_empty());
        if !tools.is_empty() {
            events.push(RealtimeEvent::ToolCalls(tools));
        }
        let usage = if response["usage"].is_object() { &response["usage"] } else { usage };
        let tokens = |name: &str| usage[name].as_u64().unwrap_or(0);
        let usage = TokenUsage {
            model: String::new(),
            prompt_tokens: tokens("input_tokens"),
            completion_tokens: tokens("output_tokens"),
            cached_tokens: usage["input_token_details"]["cached_tokens"].as_u64().unwrap_or(0),
        };
        events.push(match response["status"] == "failed" {
            true => RealtimeEvent::ResponseFailed { failure: response_failure(response), usage },
            false => RealtimeEvent::ResponseDone(usage),
        });
        events
    }
}

/// Why the model could not answer.
fn response_failure(response: &Value) -> ProviderError {
    let error = &response["status_details"]["error"];
    let code = error["code"].as_str().or(error["type"].as_str()).unwrap_or("failed");
    let status = if code.contains("rate_limit") || code.contains("quota") { 429 } else { 500 };
    ProviderError::refused(status, error["message"].as_str().unwrap_or(code))
}

/// A message of the server. What is missing, null or of another type is absent.
#[derive(Debug)]
struct OpenaiRealtimeMessage {
    kind: String,
    item_id: Option<String>,
    delta: Option<String>,
    transcript: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    response: Option<Value>,
    usage: Option<Value>,
    error: Option<Value>,
}

impl OpenaiRealtimeMessage {
    fn parse(text: &str) -> Result<Self, ProviderError> {
        let message: Value = serde_json::from_str(text).map_err(ProviderError::invalid_response)?;
        let text = |name: &str| message[name].as_str().map(str::to_owned);
        let object = |name: &str| message.get(name).filter(|value| value.is_object()).cloned();
        Ok(Self {
            kind: text("type").unwrap_or_default(),
            item_id: text("item_id"),
            delta: text("delta"),
            transcript: text("transcript"),
            call_id: text("call_id"),
            name: text("name"),
            arguments: text("arguments").or_else(|| object("arguments").map(|arguments| arguments.to_string())),
            response: object("response"),
            usage: object("usage"),
            error: message.get("error").filter(|error| !error.is_null()).cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup() -> RealtimeSessionConfig {
        RealtimeSessionConfig {
            model: "m".into(),
            voice: Some("eve".into()),
            instructions: "Be brief.".into(),
            first_message: None,
            language: "nl-NL".into(),
            tools: vec![],
            encoding: "alaw",
            silence_ms: 400,
        }
    }

    fn texts(messages: Vec<Message>) -> Vec<Value> {
        messages.iter().map(|m| serde_json::from_str(m.to_text().unwrap()).unwrap()).collect()
    }

    #[test]
    fn a_session_is_set_up_in_each_dialect() {
        let update = |dialect| {
            let mut wire = OpenaiRealtime { dialect, errors: &SESSION_ERRORS }.open(setup());
            let (events, answers) = wire.read("{\"type\":\"session.created\"}").unwrap();
            assert_eq!((events.len(), wire.read("{\"type\":\"conversation.created\"}").unwrap().1.len()), (0, 0));
            texts(answers)[0]["session"].clone()
        };
        let (openai, xai) = (update(RealtimeDialect::Openai), update(RealtimeDialect::Xai));
        assert_eq!(openai["audio"]["output"], json!({"format": {"type": "audio/pcma"}, "voice": "eve"}));
        assert_eq!(openai["audio"]["input"]["turn_detection"]["silence_duration_ms"], json!(400));
        assert_eq!((&xai["voice"], &xai["turn_detection"]["type"]), (&json!("eve"), &json!("server_vad")));
        assert_eq!(xai["audio"]["input"]["transcription"]["language_hint"], json!("nl"));
    }

    #[test]
    fn instructions_change_within_a_session_and_nothing_else_does() {
        for (dialect, wanted) in [
            (RealtimeDialect::Openai, json!({"type": "realtime", "instructions": "You help Jan."})),
            (RealtimeDialect::Xai, json!({"instructions": "You help Jan."})),
        ] {
            let mut wire = OpenaiRealtime { dialect, errors: &SESSION_ERRORS }.open(setup());
            let sent = texts(wire.input(RealtimeInput::Instructions("You help Jan.".into())));
            assert_eq!(sent, [json!({"type": "session.update", "session": wanted})]);
        }
    }

    #[test]
    fn answers_are_read_and_cut() {
        let mut wire = OPENAI.open(setup());
        wire.read("{\"type\":\"session.created\"}").unwrap();
        let mut read = |event: Value| wire.read(&event.to_string()).unwrap().0;
        assert_eq!(read(json!({"type": "session.updated"})), [RealtimeEvent::Ready]);
        assert_eq!(read(json!({"type": "session.updated"})), [], "once for each session");
        assert_eq!(read(json!({"type": "ping", "timestamp": 1})), []);
        let delta = json!({"type": "response.output_audio.delta", "item_id": "i9", "delta": STANDARD.encode([1, 2])});
        assert_eq!(read(delta), [RealtimeEvent::Audio { item: 0, codes: vec![1, 2].into() }]);
        let call =
            json!({"type": "response.function_call_arguments.done", "call_id": "c", "name": "book", "arguments": ""});
        assert_eq!(read(call), []);
        let done = json!({"type": "response.done", "response": {"status": "completed", "usage": {"input_tokens": 9, "output_tokens": 4}}});
        let tool = ToolCall { id: "c".into(), name: "book".into(), arguments: "{}".into(), ..ToolCall::default() };
        let usage = TokenUsage { prompt_tokens: 9, completion_tokens: 4, ..TokenUsage::default() };
        assert_eq!(read(done), [RealtimeEvent::ToolCalls(vec![tool]), RealtimeEvent::ResponseDone(usage)]);
        let harmless = json!({"type": "error", "error": {"code": "response_cancel_not_active", "message": "x"}});
        assert_eq!(read(harmless), []);
        let cut = texts(wire.input(RealtimeInput::Interrupted { item: Some((0, 1_840)) }));
        assert_eq!(cut[0], json!({"type": "response.cancel"}));
        assert_eq!((&cut[1]["item_id"], &cut[1]["audio_end_ms"]), (&json!("i9"), &json!(1_840)));
    }
    #[test]
    fn what_is_missing_null_or_of_another_type_ends_no_session() {
        let mut wire = OPENAI.open(setup());
        wire.read("{\"type\":\"session.created\"}").unwrap();
        let mut read = |event: Value| wire.read(&event.to_string()).unwrap().0;
        for event in [
            json!({}),
            json!(null),
            json!({"type": null}),
            json!({"type": 7, "item_id": {}}),
            json!({"type": "response.output_audio.delta", "item_id": null, "delta": null}),
            json!({"type": "response.output_audio.delta", "item_id": "i", "delta": "not base64"}),
            json!({"type": "error", "error": null}),
        ] {
            assert_eq!(read(event.clone()), [], "{event}");
        }
        let transcript =
            json!({"type": "response.output_audio_transcript.delta", "item_id": null, "delta": "Hi", "response": 7});
        assert_eq!(read(transcript), [RealtimeEvent::Text { item: 0, text: "Hi".into() }]);
        let done = json!({"type": "response.done", "response": {"status": "completed", "output": null, "usage": null}});
        assert_eq!(read(done), [RealtimeEvent::ResponseDone(TokenUsage::default())], "nothing is an answer");
    }

    #[test]
    fn no_damage_ends_the_session() {
        let of = |kind: &str, mut rest: Value| {
            rest["type"] = json!(kind);
            rest
        };
        let call = json!({"type": "function_call", "call_id": "c", "name": "book", "arguments": "{}"});
        let messages = [
            of("session.created", json!({"session": {"id": "s"}})),
            of("session.updated", json!({"session": {"id": "s"}})),
            of("input_audio_buffer.speech_started", json!({"item_id": "u"})),
            of("input_audio_buffer.speech_stopped", json!({"item_id": "u"})),
            of("conversation.item.input_audio_transcription.delta", json!({"item_id": "u", "delta": "Ja "})),
            of("conversation.item.input_audio_transcription.updated", json!({"item_id": "u", "transcript": "Ja"})),
            of("conversation.item.input_audio_transcription.completed", json!({"item_id": "u", "transcript": "Ja."})),
            of("response.created", json!({"response": {"id": "r", "status": "in_progress"}})),
            of("response.output_audio.delta", json!({"item_id": "i", "delta": STANDARD.encode([1, 2])})),
            of("response.output_audio_transcript.delta", json!({"item_id": "i", "delta": "Hi"})),
            of("response.output_audio.done", json!({"item_id": "i"})),
            of("response.output_audio_transcript.done", json!({"item_id": "i", "transcript": "Hi."})),
            of("response.function_call_arguments.done", json!({"call_id": "c", "name": "book", "arguments": "{}"})),
            of(
                "response.done",
                json!({"response": {"status": "completed", "output": [call], "usage": {"input_tokens": 1}}}),
            ),
        ];
        for dialect in [RealtimeDialect::Openai, RealtimeDialect::Xai] {
            crate::damage::survives(&messages, |texts| {
                let mut wire = OpenaiRealtime { dialect, errors: &SESSION_ERRORS }.open(setup());
                texts.iter().try_for_each(|text| wire.read(text).map(drop)).map_err(|failure| failure.to_string())
            });
        }
    }

    #[test]
    fn a_tool_call_is_taken_once_wherever_its_name_stands() {
        let mut wire = OPENAI.open(setup());
        wire.read("{\"type\":\"session.created\"}").unwrap();
        let mut read = |event: Value| wire.read(&event.to_string()).unwrap().0;
        let call = json!({"type": "response.function_call_arguments.done", "call_id": "c", "arguments": "{\"a\":1}"});
        assert_eq!(read(call.clone()), []);
        assert_eq!(read(call), [], "twice");
        let item = json!({"type": "function_call", "call_id": "c", "name": "book", "arguments": "{\"a\":1}"});
        let done = json!({"type": "response.done", "response": {"status": "completed", "output": [item, null, {"type": "message"}]}});
        let wanted = ToolCall::new("c".into(), "book".into(), "{\"a\":1}".into());
        assert_eq!(read(done)[0], RealtimeEvent::ToolCalls(vec![wanted]));
    }

    #[test]
    fn a_session_that_takes_over_knows_what_was_said() {
        let mut wire = OPENAI.open(setup());
        wire.resume(&[ChatMessage::User("Where is it?".into())]);
        let (events, answers) = wire.read("{\"type\":\"session.created\"}").unwrap();
        let sent = texts(answers);
        assert_eq!((events.len(), sent.len()), (0, 2));
        assert_eq!(sent[0]["type"], "session.update");
        assert_eq!(sent[1]["item"]["content"][0]["text"], "Where is it?");
        assert_eq!(wire.read("{\"type\":\"conversation.created\"}").unwrap().1.len(), 0, "once");
    }

    #[test]
    fn only_keys_and_configuration_end_more_than_the_session() {
        let read = |kind: &str, code: &str| {
            let mut wire = OPENAI.open(setup());
            wire.read("{\"type\":\"session.created\"}").unwrap();
            let error = json!({"type": "error", "error": {"type": kind, "code": code, "message": "x"}});
            wire.read(&error.to_string()).err()
        };
        let ended = Some(ProviderError::SessionEnded("x".into()));
        assert_eq!(read("invalid_request_error", "session_expired"), ended);
        assert_eq!(read("server_error", ""), ended);
        assert_eq!(read("invalid_request_error", "unknown_parameter"), None);
        assert_eq!(read("invalid_request_error", "invalid_api_key"), Some(ProviderError::refused(401, "x")));
        assert_eq!(read("invalid_request_error", "model_not_found"), Some(ProviderError::refused(400, "x")));
    }

    #[test]
    fn a_response_that_failed_says_why() {
        let mut wire = OPENAI.open(setup());
        wire.read("{\"type\":\"session.created\"}").unwrap();
        let details = json!({"type": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down"}});
        let done = json!({"type": "response.done", "response": {"status": "failed", "status_details": details}});
        let failed = RealtimeEvent::ResponseFailed {
            failure: ProviderError::refused(429, "Slow down"),
            usage: TokenUsage::default(),
        };
        assert_eq!(wire.read(&done.to_string()).unwrap().0, [failed]);
    }
}
