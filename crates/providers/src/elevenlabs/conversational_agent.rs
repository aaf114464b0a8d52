//! ElevenLabs' conversational agent: `/v1/convai/conversation`. The agent is one that the customer made
//! there (`model` is its id); prompt, first message, language and voice of ours go in as overrides, which
//! that agent has to allow. <https://elevenlabs.io/docs/conversational-ai/api-reference>

use super::multi_stream::upgrade;
use super::session_errors::SESSION_ERRORS;
use crate::realtime::{RealtimeEvent, RealtimeInput, RealtimeProtocol, RealtimeSessionConfig, RealtimeVendor};
use crate::tool_arguments::unwrapped;
use crate::transport::WebSocketRequest;
use crate::{ProviderAccess, ProviderError, TokenUsage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::chat::{ChatMessage, ToolCall};

/// The realtime client that the registry hands out.
pub static REALTIME: ElevenlabsRealtime = ElevenlabsRealtime;

/// Opens conversations with an agent that the customer made at ElevenLabs. It hears and speaks mu-law only.
#[derive(Debug)]
pub struct ElevenlabsRealtime;

impl RealtimeVendor for ElevenlabsRealtime {
    fn open(&self, setup: RealtimeSessionConfig) -> Box<dyn RealtimeProtocol> {
        Box::new(ConversationalAgentProtocol { setup, item: 0, speaking: false, interrupted: 0, origin: Origin::First })
    }

    fn can_say(&self) -> bool {
        false
    }

    fn greets_first(&self) -> bool {
        true
    }

    /// A-law is not among its formats.
    fn encoding(&self, _line: &'static str) -> &'static str {
        "mulaw"
    }
}

/// Told to an agent that takes over within a call.
const EARLIER: &str = "\n\nThe connection of this call was lost and is back. Go on where the conversation stopped, \
    without greeting again. What was said so far:\n";

/// Told to an agent whose prompt cannot change within a call.
const NEW_INSTRUCTIONS: &str = "From here on these instructions hold in place of those that you began with:\n";

/// A message as a line of the prompt.
fn line_of(message: &ChatMessage) -> Option<String> {
    match message {
        ChatMessage::User(text) => Some(format!("Caller: {text}")),
        ChatMessage::Assistant { content, .. } if !content.is_empty() => Some(format!("You: {content}")),
        ChatMessage::Tool { content, .. } => Some(format!("(A tool answered: {content})")),
        ChatMessage::System(text) => Some(format!("({text})")),
        ChatMessage::Assistant { .. } => None,
    }
}

/// Where the conversation of a session began.
#[derive(Debug)]
enum Origin {
    First,
    /// In an earlier one, with what the caller said last there without an answer.
    Resumed {
        unanswered: Option<String>,
    },
}

struct ConversationalAgentProtocol {
    setup: RealtimeSessionConfig,
    /// The answer being given; each has one item.
    item: u32,
    speaking: bool,
    /// Sound up to this event was made before the last interruption.
    interrupted: i64,
    origin: Origin,
}

impl ConversationalAgentProtocol {
    /// A new answer begins with its first sign.
    fn begun(&mut self, events: &mut Vec<RealtimeEvent>) -> u32 {
        if !std::mem::replace(&mut self.speaking, true) {
            self.item += 1;
            events.push(RealtimeEvent::ResponseStarted);
        }
        self.item
    }

    /// Not every agent is set to say that an answer is complete: then silence or the next thing ends it.
    fn ended(&mut self, events: &mut Vec<RealtimeEvent>) {
        if std::mem::replace(&mut self.speaking, false) {
            events.push(RealtimeEvent::ItemDone { item: self.item });
            events.push(RealtimeEvent::ResponseDone(TokenUsage::default()));
        }
    }
}

impl RealtimeProtocol for ConversationalAgentProtocol {
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError> {
        upgrade(endpoint, &["v1", "convai", "conversation"], &[("agent_id", &self.setup.model)])
    }

    /// Its prompt tells what was said before, and it does not greet again.
    fn resume(&mut self, conversation: &[ChatMessage]) {
        let (earlier, last) = match conversation.split_last() {
            Some((ChatMessage::User(text), earlier)) => (earlier, Some(text.clone())),
            _ => (conversation, None),
        };
        self.origin = Origin::Resumed { unanswered: last };
        let said = earlier.iter().filter_map(line_of).collect::<Vec<_>>().join("\n");
        self.setup.instructions.push_str(EARLIER);
        self.setup.instructions.push_str(&said);
        self.setup.first_message = Some(String::new());
    }

    fn initial_messages(&mut self) -> Vec<Message> {
        let setup = &self.setup;
        let mut agent = json!({"prompt": {"prompt": setup.instructions}, "language": setup.language_code()});
        if let Some(text) = &setup.first_message {
            agent["first_message"] = json!(text);
        }
        let mut overrides = json!({"agent": agent});
        if let Some(voice) = &setup.voice {
            overrides["tts"] = json!({"voice_id": voice});
        }
        let data = json!({"type": "conversation_initiation_client_data", "conversation_config_override": overrides,
            "dynamic_variables": {}});
        vec![Message::text(data.to_string())]
    }

    fn input(&mut self, input: RealtimeInput) -> Vec<Message> {
        let message = match input {
            RealtimeInput::Audio(codes) => json!({"user_audio_chunk": STANDARD.encode(codes)}),
            RealtimeInput::UserMessage(text) => json!({"type": "user_message", "text": text}),
            RealtimeInput::RequestResponse(hint) => match (&mut self.origin, hint) {
                // It does not know by itself that somebody waits for it.
                (Origin::Resumed { .. }, Some(hint)) => json!({"type": "user_message", "text": format!("({hint})")}),
                (Origin::First, Some(hint)) => json!({"type": "contextual_update", "text": hint}),
                // It answers by itself what it has heard in this session.
                (Origin::Resumed { unanswered }, None) => match unanswered.take() {
                    Some(text) => json!({"type": "user_message", "text": text}),
                    None => return Vec::new(),
                },
                (Origin::First, None) => return Vec::new(),
            },
            RealtimeInput::ToolResult { id, result } => {
                json!({"type": "client_tool_result", "tool_call_id": id, "is_error": result.starts_with("error:"), "result": result})
            }
            // Its prompt stays as it was; what it is told does not count as the caller's words.
            RealtimeInput::Instructions(text) => {
                let text = format!("{NEW_INSTRUCTIONS}{text}");
                json!({"type": "contextual_update", "text": text})
            }
            // It handles interruptions by itself, and cannot say a given text.
            RealtimeInput::Say(_) | RealtimeInput::Interrupted { .. } | RealtimeInput::Resume(_) => return Vec::new(),
        };
        vec![Message::text(message.to_string())]
    }

    fn read(&mut self, text: &str) -> Result<(Vec<RealtimeEvent>, Vec<Message>), ProviderError> {
        let message: Value = serde_json::from_str(text).map_err(ProviderError::invalid_response)?;
        // What is no message of theirs says nothing.
        let message: ConversationalAgentMessage = serde_json::from_value(message).unwrap_or_default();
        let (mut events, mut answers) = (Vec::new(), Vec::new());
        match message.kind.as_deref().unwrap_or_default() {
            "conversation_initiation_metadata" => {
                let told = message.metadata.unwrap_or_default();
                check_formats(&told)?;
                events.extend(told["conversation_id"].as_str().map(|id| RealtimeEvent::Conversation(id.to_owned())));
                events.push(RealtimeEvent::Ready);
            }
            "audio" => {
                let audio = message.audio.unwrap_or_default();
                if audio["event_id"].as_i64().is_some_and(|id| id <= self.interrupted) {
                    return Ok((events, answers));
                }
                let codes = STANDARD.decode(audio["audio_base_64"].as_str().unwrap_or_default());
                // Sound that cannot be read is missing; the rest is heard.
                let Some(codes) = codes.ok().filter(|codes| !codes.is_empty()) else { return Ok((events, answers)) };
                let item = self.begun(&mut events);
                events.push(RealtimeEvent::Audio { item, codes: codes.into() });
            }
            "agent_response" => {
                let text = message.agent_response.unwrap_or_default();
                let item = self.begun(&mut events);
                let text = text["agent_response"].as_str().unwrap_or_default().trim().to_owned();
                events.push(RealtimeEvent::FinalText { item, text });
            }
            "agent_response_complete" => self.ended(&mut events),
            "user_transcript" => {
                self.ended(&mut events);
                let text = message.user.unwrap_or_default();
                events.push(RealtimeEvent::SpeechStopped);
                let text = text["user_transcript"].as_str().unwrap_or_default().trim().to_owned();
                events.push(RealtimeEvent::UserFinal(text));
            }
            "interruption" => {
                self.interrupted = message.interruption.unwrap_or_default()["event_id"].as_i64().unwrap_or(0);
                events.push(RealtimeEvent::Interrupted);
                self.ended(&mut events);
            }
            "client_tool_call" => events.extend(tool_call(&message.tool.unwrap_or_default())),
            "error" => {
                let error = message.error.unwrap_or_default();
                let text = |name: &str| error[name].as_str().unwrap_or_default();
                let said = [text("message"), text("reason"), text("error_type")];
                let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or("error");
                if let Some(failure) = SESSION_ERRORS.fault(&[text("error_type"), text("code")]).error(said) {
                    return Err(failure);
                }
            }
            "ping" => {
                let id = message.ping.unwrap_or_default()["event_id"].clone();
                answers.push(Message::text(json!({"type": "pong", "event_id": id}).to_string()));
            }
            _ => {}
        }
        Ok((events, answers))
    }

    fn conclude_response(&mut self) -> Vec<RealtimeEvent> {
        let mut events = Vec::new();
        self.ended(&mut events);
        events
    }
}

/// The agent at the vendor has to be set to the one encoding that both sides of a call have.
fn check_formats(metadata: &Value) -> Result<(), ProviderError> {
    for name in ["agent_output_audio_format", "user_input_audio_format"] {
        let format = metadata[name].as_str().unwrap_or("ulaw_8000");
        if format != "ulaw_8000" {
            let why = format!("the agent's {name} is {format}, and has to be ulaw_8000");
            return Err(ProviderError::refused(400, why));
        }
    }
    Ok(())
}

/// The call of a tool; `None` without a name.
fn tool_call(call: &Value) -> Option<RealtimeEvent> {
    let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
    let arguments = match &call["parameters"] {
        Value::Object(_) => call["parameters"].to_string(),
        Value::String(wrapped) if !wrapped.trim().is_empty() => unwrapped(wrapped.clone()),
        _ => "{}".to_owned(),
    };
    let call = ToolCall::new(text("tool_call_id"), text("tool_name"), arguments);
    (!call.name.is_empty()).then(|| RealtimeEvent::ToolCalls(vec![call]))
}

#[derive(Debug, Default, Deserialize)]
struct ConversationalAgentMessage {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(rename = "conversation_initiation_metadata_event", default)]
    metadata: Option<Value>,
    #[serde(rename = "audio_event", default)]
    audio: Option<Value>,
    #[serde(rename = "agent_response_event", default)]
    agent_response: Option<Value>,
    #[serde(rename = "user_transcription_event", default)]
    user: Option<Value>,
    #[serde(rename = "client_tool_call", default)]
    tool: Option<Value>,
    #[serde(rename = "interruption_event", default)]
    interruption: Option<Value>,
    #[serde(rename = "ping_event", default)]
    ping: Option<Value>,
    #[serde(rename = "error_event", default)]
    error: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> RealtimeSessionConfig {
        RealtimeSessionConfig {
            model: "agent_1".into(),
            voice: None,
            instructions: "Be brief.".into(),
            first_message: Some("Hello.".into()),
            language: "en".into(),
            tools: vec![],
            encoding: "mulaw",
            silence_ms: 300,
        }
    }

    #[test]
    fn an_agent_that_takes_over_knows_what_was_said_and_does_not_greet() {
        let mut wire = REALTIME.open(agent());
        let said = ChatMessage::Assistant { content: "Hello.".into(), tool_calls: Vec::new() };
        wire.resume(&[said, ChatMessage::User("Where is it?".into())]);
        let first: Value = serde_json::from_str(wire.initial_messages()[0].to_text().unwrap()).unwrap();
        let agent = &first["conversation_config_override"]["agent"];
        assert_eq!(agent["first_message"], "");
        let prompt = agent["prompt"]["prompt"].as_str().unwrap();
        assert!(prompt.starts_with("Be brief.") && prompt.ends_with("You: Hello."), "{prompt}");
        let mut sent =
            |input| wire.input(input).iter().map(|one| one.to_text().unwrap().to_owned()).collect::<Vec<_>>();
        let asked = sent(RealtimeInput::RequestResponse(None));
        assert!(asked.len() == 1 && asked[0].contains("Where is it?"), "{asked:?}");
        assert!(sent(RealtimeInput::RequestResponse(None)).is_empty(), "once");
        let told = sent(RealtimeInput::Instructions("You help Jan.".into()));
        assert!(
            told.len() == 1 && told[0].contains("contextual_update") && told[0].contains("You help Jan."),
            "{told:?}"
        );
        assert!(sent(RealtimeInput::RequestResponse(Some("Go on.".into())))[0].contains("user_message"));
    }

    #[test]
    fn no_damage_ends_the_conversation() {
        let messages = [
            json!({"type": "conversation_initiation_metadata",
                "conversation_initiation_metadata_event": {"conversation_id": "conv_1"}}),
            json!({"type": "agent_response", "agent_response_event": {"agent_response": "Hello."}}),
            json!({"type": "audio", "audio_event": {"audio_base_64": STANDARD.encode([1]), "event_id": 1}}),
            json!({"type": "user_transcript", "user_transcription_event": {"user_transcript": "Hi"}}),
            json!({"type": "interruption", "interruption_event": {"event_id": 1}}),
            json!({"type": "client_tool_call",
                "client_tool_call": {"tool_name": "t", "tool_call_id": "c", "parameters": {"a": 1}}}),
            json!({"type": "agent_response_complete"}),
            json!({"type": "ping", "ping_event": {"event_id": 3, "ping_ms": 20}}),
        ];
        crate::damage::survives(&messages, |texts| {
            let mut wire = REALTIME.open(agent());
            texts.iter().try_for_each(|text| wire.read(text).map(drop)).map_err(|failure| failure.to_string())
        });
    }

    #[test]
    fn arguments_are_read_in_whatever_they_are_wrapped() {
        let object = json!({"number": "12"});
        for (parameters, wanted) in [
            (object.clone(), object.to_string()),
            (json!(object.to_string()), object.to_string()),
            (json!(json!(object.to_string()).to_string()), object.to_string()),
            (json!(format!("```json\n{object}\n```")), object.to_string()),
            (Value::Null, "{}".to_owned()),
            (json!(""), "{}".to_owned()),
        ] {
            let call = json!({"tool_name": "find", "tool_call_id": "c", "parameters": parameters});
            let mut wire = REALTIME.open(agent());
            let (events, _) =
                wire.read(&json!({"type": "client_tool_call", "client_tool_call": call}).to_string()).unwrap();
            let [RealtimeEvent::ToolCalls(calls)] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!(calls[0].arguments, wanted, "{parameters}");
        }
        let nameless = json!({"type": "client_tool_call", "client_tool_call": null});
        assert!(REALTIME.open(agent()).read(&nameless.to_string()).unwrap().0.is_empty());
    }

    #[test]
    fn errors_end_the_session_the_account_or_nothing() {
        let read = |error: Value| {
            let event = json!({"type": "error", "error_event": error});
            REALTIME.open(agent()).read(&event.to_string()).err()
        };
        let ended = ProviderError::SessionEnded("Max conversation duration reached".into());
        assert_eq!(
            read(json!({"error_type": "max_duration_exceeded", "message": "Max conversation duration reached"})),
            Some(ended)
        );
        assert_eq!(
            read(json!({"error_type": "quota_exceeded", "reason": "x"})),
            Some(ProviderError::refused(402, "x"))
        );
        assert_eq!(read(json!(null)), Some(ProviderError::SessionEnded("error".into())));
    }

    #[test]
    fn an_answer_begins_with_its_sound_and_ends_with_what_follows() {
        let setup = RealtimeSessionConfig {
            model: "agent_1".into(),
            voice: None,
            instructions: "Be brief.".into(),
            first_message: Some("Hello.".into()),
            language: "en".into(),
            tools: vec![],
            encoding: "mulaw",
            silence_ms: 300,
        };
        let mut wire = REALTIME.open(setup);
        assert!(wire.initial_messages()[0].to_text().unwrap().contains("\"first_message\":\"Hello.\""));
        let mut read = |message: Value| wire.read(&message.to_string()).unwrap();
        let metadata = json!({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event":
            {"conversation_id": "conv_1", "agent_output_audio_format": "ulaw_8000", "user_input_audio_format": "ulaw_8000"}});
        assert_eq!(read(metadata).0, [RealtimeEvent::Conversation("conv_1".into()), RealtimeEvent::Ready]);
        let audio =
            |id: i64| json!({"type": "audio", "audio_event": {"audio_base_64": STANDARD.encode([1]), "event_id": id}});
        let sound = RealtimeEvent::Audio { item: 1, codes: vec![1].into() };
        assert_eq!(read(audio(3)).0, [RealtimeEvent::ResponseStarted, sound]);
        let said = json!({"type": "agent_response", "agent_response_event": {"agent_response": " Hello. "}});
        assert_eq!(read(said).0, [RealtimeEvent::FinalText { item: 1, text: "Hello.".into() }]);
        let cut = json!({"type": "interruption", "interruption_event": {"event_id": 4}});
        let ends = [
            RealtimeEvent::Interrupted,
            RealtimeEvent::ItemDone { item: 1 },
            RealtimeEvent::ResponseDone(TokenUsage::default()),
        ];
        assert_eq!(read(cut).0, ends);
        assert_eq!(read(audio(4)).0, [], "made before the interruption");
        for odd in [
            json!(null),
            json!([]),
            json!({"type": null}),
            json!({"type": 7}),
            json!({"type": "audio", "audio_event": null}),
        ] {
            assert_eq!(read(odd), (vec![], vec![]), "ends no session");
        }
        let ping = read(json!({"type": "ping", "ping_event": {"event_id": 7, "ping_ms": 50}}));
        assert_eq!(ping.1[0].to_text().unwrap(), "{\"event_id\":7,\"type\":\"pong\"}");
    }
}
