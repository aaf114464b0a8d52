//! Requests and server-sent events of `POST /v1/messages`.

use crate::llm::{Completion, LlmHttpRequest, LlmStreamReader, LlmVendor, StructuredRequest};
use crate::{LlmEvent, LlmRequest, ProviderAccess, ProviderError, TokenUsage};
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_domain::chat::{ChatMessage, ToolCall};

/// Longest answer: `max_tokens` is required, and what is spoken is shorter.
const TOKENS_MAX: u32 = 1_024;
/// A report with fields that the customer defines.
const REPORT_TOKENS_MAX: u32 = 4_096;
/// The last version whose older models take a temperature.
const VERSION_WITH_TEMPERATURE: &str = "2023-06-01";
/// Most content blocks of one answer that are taken.
const BLOCKS_MAX: usize = 32;

/// Client of the Messages API, with streamed and structured answers.
#[derive(Debug)]
pub struct AnthropicMessages;

impl LlmVendor for AnthropicMessages {
    fn request(&self, endpoint: &ProviderAccess, request: &LlmRequest) -> Result<LlmHttpRequest, ProviderError> {
        let (system, messages) = conversation(&request.messages);
        let mut body = json!({
            "model": request.model, "max_tokens": TOKENS_MAX, "stream": true, "messages": messages,
            "thinking": thinking(&request.model),
        });
        if !system.is_empty() {
            // The prompt is the same for every turn: it is read from the cache after the first.
            body["system"] = json!([{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]);
        }
        if let Some(temperature) = request.temperature {
            body["temperature"] = json!(temperature.clamp(0.0, 1.0));
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let mut one =
                    json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters});
                if tool.strict {
                    one["strict"] = json!(true);
                }
                one
            });
            body["tools"] = tools.collect();
        }
        outgoing(endpoint, body)
    }

    fn reader(&self) -> Box<dyn LlmStreamReader> {
        Box::new(MessagesReader::default())
    }

    fn structured(
        &self, endpoint: &ProviderAccess, request: &StructuredRequest<'_>,
    ) -> Result<LlmHttpRequest, ProviderError> {
        let (system, messages) = conversation(request.messages);
        let mut body = json!({
            "model": request.model, "max_tokens": REPORT_TOKENS_MAX, "messages": messages,
            "thinking": thinking(request.model),
            "output_config": {"format": {"type": "json_schema", "schema": request.schema}},
        });
        if !system.is_empty() {
            body["system"] = json!(system);
        }
        outgoing(endpoint, body)
    }

    fn parse_complete(&self, body: &[u8]) -> Result<Completion, ProviderError> {
        let body: Value = serde_json::from_slice(body).map_err(ProviderError::invalid_response)?;
        let blocks = body["content"].as_array().into_iter().flatten();
        let text: String =
            blocks.filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect();
        if text.is_empty() {
            return Err(ProviderError::InvalidResponse("no text in the answer".to_owned()));
        }
        let tokens = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
        let cached = tokens("cache_read_input_tokens") + tokens("cache_creation_input_tokens");
        Ok(Completion {
            text,
            prompt_tokens: tokens("input_tokens") + cached,
            completion_tokens: tokens("output_tokens"),
        })
    }
}

fn outgoing(endpoint: &ProviderAccess, body: Value) -> Result<LlmHttpRequest, ProviderError> {
    let version =
        if body["temperature"].is_null() { endpoint.api_version.clone() } else { VERSION_WITH_TEMPERATURE.to_owned() };
    let headers = vec![("x-api-key", endpoint.key()?.into()), ("anthropic-version", version.into())];
    Ok(LlmHttpRequest { path: "/v1/messages", headers, body })
}

/// Callers wait for the first word: no thinking, where a model can do without. One that cannot refuses
/// this, and is asked without it.
fn thinking(model: &str) -> Value {
    if model.contains("sonnet-5-5") { json!({"type": "between_tools"}) } else { json!({"type": "disabled"}) }
}

/// The system prompt, and turns of which user and assistant take one each.
fn conversation(messages: &[ChatMessage]) -> (String, Vec<Value>) {
    let count = messages.iter().take_while(|message| matches!(message, ChatMessage::System(_))).count();
    let (first, rest) = messages.split_at(count);
    let system: Vec<&str> = first
        .iter()
        .filter_map(|m| if let ChatMessage::System(text) = m { Some(text.as_str()) } else { None })
        .collect();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut add = |role: &'static str, block: Value| match turns.last_mut() {
        Some((last, blocks)) if *last == role => {
            // Results come first in their message.
            let at = if block["type"] == "tool_result" {
                blocks.iter().take_while(|block| block["type"] == "tool_result").count()
            } else {
                blocks.len()
            };
            blocks.insert(at, block);
        }
        _ => turns.push((role, vec![block])),
    };
    if !matches!(rest.first(), Some(ChatMessage::User(_) | ChatMessage::System(_))) {
        add("user", json!({"type": "text", "text": "(The call begins.)"}));
    }
    for message in rest {
        match message {
            ChatMessage::System(text) | ChatMessage::User(text) if text.trim().is_empty() => {}
            // Information for the model that neither side has spoken.
            ChatMessage::System(text) => add("user", json!({"type": "text", "text": format!("[{text}]")})),
            ChatMessage::User(text) => add("user", json!({"type": "text", "text": text})),
            ChatMessage::Assistant { content, tool_calls } => {
                if !content.trim().is_empty() {
                    add("assistant", json!({"type": "text", "text": content.trim_end()}));
                }
                for call in tool_calls {
                    let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
                    let input = if input.is_object() { input } else { json!({}) };
                    add("assistant", json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input}));
                }
            }
            ChatMessage::Tool { call_id, content } => {
                add("user", json!({"type": "tool_result", "tool_use_id": call_id, "content": content}));
            }
        }
    }
    // An answer to its own words is asked for by a turn of the other side.
    if turns.last().is_some_and(|(role, _)| *role == "assistant") {
        turns.push(("user", vec![json!({"type": "text", "text": "(The caller waits.)"})]));
    }
    (system.join("\n\n"), turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum MessagesEvent {
    MessageStart {
        message: MessageStartBody,
    },
    ContentBlockStart {
        index: usize,
        content_block: ContentBlock,
    },
    ContentBlockDelta {
        index: usize,
        delta: ContentDelta,
    },
    MessageDelta {
        delta: MessageDelta,
        #[serde(default)]
        usage: MessagesUsage,
    },
    MessageStop,
    Error {
        error: ErrorBody,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct MessageStartBody {
    #[serde(default)]
    usage: MessagesUsage,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentBlock {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ContentDelta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Json { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
struct MessageDelta {
    #[serde(default)]
    stop_reason: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct MessagesUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    message: String,
}

/// Collects the events of one message.
#[derive(Debug, Default)]
pub struct MessagesReader {
    /// By index of their block; other blocks leave gaps.
    tools: Vec<Option<ToolCall>>,
    usage: MessagesUsage,
    finished: bool,
}

impl LlmStreamReader for MessagesReader {
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError> {
        let event: MessagesEvent = serde_json::from_str(data).map_err(ProviderError::invalid_response)?;
        match event {
            MessagesEvent::MessageStart { message } => self.usage = message.usage,
            MessagesEvent::ContentBlockStart { index, content_block } if index < BLOCKS_MAX => {
                self.tools.resize(self.tools.len().max(index + 1), None);
                match content_block {
                    ContentBlock::Text { text } => said.extend(Some(text).filter(|text| !text.is_empty())),
                    ContentBlock::ToolUse { id, name } => {
                        self.tools[index] = Some(ToolCall::new(id, name, String::new()));
                    }
                    ContentBlock::Other => {}
                }
            }
            MessagesEvent::ContentBlockDelta { index, delta } => match delta {
                ContentDelta::Text { text } => said.extend(Some(text).filter(|text| !text.is_empty())),
                ContentDelta::Json { partial_json } => {
                    if let Some(Some(call)) = self.tools.get_mut(index) {
                        call.push_arguments(&partial_json);
                    }
                }
                ContentDelta::Other => {}
            },
            MessagesEvent::MessageDelta { delta, usage } => {
                // Cumulative; what it leaves out stands as it was.
                self.usage.output_tokens = usage.output_tokens.or(self.usage.output_tokens);
                self.usage.input_tokens = usage.input_tokens.or(self.usage.input_tokens);
                self.finished |= delta.stop_reason.is_some();
            }
            MessagesEvent::MessageStop => return Ok(true),
            MessagesEvent::Error { error } => {
                let status = match error.kind.as_str() {
                    "overloaded_error" => 529,
                    "rate_limit_error" => 429,
                    "invalid_request_error" => 400,
                    "authentication_error" => 401,
                    "permission_error" => 403,
                    _ => 500,
                };
                return Err(ProviderError::refused(status, error.message));
            }
            MessagesEvent::ContentBlockStart { .. } | MessagesEvent::Other => {}
        }
        Ok(false)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(&mut self) -> Vec<LlmEvent> {
        let mut tools: Vec<ToolCall> = std::mem::take(&mut self.tools).into_iter().flatten().collect();
        for call in &mut tools {
            if call.arguments.trim().is_empty() {
                call.arguments = "{}".to_owned();
            }
        }
        let mut events = Vec::new();
        if !tools.is_empty() {
            events.push(LlmEvent::ToolCalls(tools));
        }
        let usage = &self.usage;
        let cached = usage.cache_read_input_tokens.unwrap_or(0);
        let written = usage.cache_creation_input_tokens.unwrap_or(0);
        events.push(LlmEvent::Done(TokenUsage {
            model: String::new(),
            prompt_tokens: usage.input_tokens.unwrap_or(0) + cached + written,
            completion_tokens: usage.output_tokens.unwrap_or(0),
            cached_tokens: cached,
        }));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_text_and_tool_calls() {
        let mut collector = MessagesReader::default();
        let mut said = vec![];
        for data in [
            r#"{"type":"message_start","message":{"id":"msg_1","content":[],"usage":{"input_tokens":25,"cache_creation_input_tokens":0,"cache_read_input_tokens":1800,"output_tokens":1}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"x"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Prima"}}"#,
            r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"book","input":{}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"day\": \"ma\"}"}}"#,
            r#"{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"look","input":{}}}"#,
            r#"{"type":"content_block_stop","index":3}"#,
            r#"{"type":"something_new","x":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":48}}"#,
        ] {
            assert_eq!(collector.event(data, &mut said), Ok(false), "{data}");
        }
        assert_eq!(collector.event(r#"{"type":"message_stop"}"#, &mut said), Ok(true));
        assert_eq!(said, ["Prima"]);
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            schema_error: None,
        };
        let usage =
            TokenUsage { model: String::new(), prompt_tokens: 1_825, completion_tokens: 48, cached_tokens: 1_800 };
        assert_eq!(
            collector.finish(),
            [
                LlmEvent::ToolCalls(vec![call("toolu_1", "book", "{\"day\": \"ma\"}"), call("toolu_2", "look", "{}")]),
                LlmEvent::Done(usage)
            ]
        );
    }

    #[test]
    fn an_error_in_the_stream_says_what_it_is() {
        let data = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
        assert_eq!(MessagesReader::default().event(data, &mut vec![]), Err(ProviderError::refused(529, "Overloaded")));
    }

    #[test]
    fn turns_alternate_and_results_come_first() {
        let tool_calls =
            vec![ToolCall { id: "t".into(), name: "book".into(), arguments: "oops".into(), schema_error: None }];
        let (system, turns) = conversation(&[
            ChatMessage::System("a".into()),
            ChatMessage::System("b".into()),
            ChatMessage::Assistant { content: "Hello. ".into(), tool_calls: vec![] },
            ChatMessage::User("Hi".into()),
            ChatMessage::Assistant { content: String::new(), tool_calls },
            ChatMessage::System("news".into()),
            ChatMessage::Tool { call_id: "t".into(), content: "done".into() },
        ]);
        assert_eq!(system, "a\n\nb");
        let text = |text: &str| json!({"type": "text", "text": text});
        assert_eq!(
            json!(turns),
            json!([
                {"role": "user", "content": [text("(The call begins.)")]},
                {"role": "assistant", "content": [text("Hello.")]},
                {"role": "user", "content": [text("Hi")]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "book", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "done"}, text("[news]")]},
            ])
        );
    }
}
