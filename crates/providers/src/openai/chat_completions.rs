//! Bodies of chat completions and their stream of chunks, with what differs between the servers that
//! speak them.

use crate::llm::{Completion, LlmHttpRequest, LlmStreamReader, LlmVendor, StructuredRequest};
use crate::{LlmEvent, LlmRequest, ProviderAccess, ProviderError, TokenUsage};
use serde::Deserialize;
use serde_json::{Value, json};
use trunkline_domain::chat::{ChatMessage, ToolCall};

/// Most tool calls of one answer that are taken.
const TOOL_CALLS_MAX: usize = 16;
/// Document B: default of `temperature`.
const TEMPERATURE: f64 = 0.7;

/// A server that speaks chat completions.
#[derive(Debug)]
pub struct ChatCompletions {
    /// `stream_options` asks for the usage of a stream.
    pub has_stream_options: bool,
    /// `prompt_cache_key` is known.
    pub has_cache_key: bool,
    /// Whether a model thinks before it speaks, and how little it can be asked to.
    pub effort: fn(&str) -> Option<&'static str>,
    /// Rules about the order of messages.
    pub arrange: fn(Vec<Value>) -> Vec<Value>,
}

/// Any order of messages is taken.
pub fn as_they_are(messages: Vec<Value>) -> Vec<Value> {
    messages
}

impl ChatCompletions {
    fn outgoing(&self, endpoint: &ProviderAccess, body: Value) -> Result<LlmHttpRequest, ProviderError> {
        let headers = vec![("authorization", format!("Bearer {}", endpoint.key()?).into())];
        Ok(LlmHttpRequest { path: "/chat/completions", headers, body })
    }

    fn messages(&self, messages: &[ChatMessage]) -> Vec<Value> {
        (self.arrange)(messages.iter().map(message).collect())
    }
}

impl LlmVendor for ChatCompletions {
    fn request(&self, endpoint: &ProviderAccess, request: &LlmRequest) -> Result<LlmHttpRequest, ProviderError> {
        let mut body = json!({"model": request.model, "stream": true, "messages": self.messages(&request.messages)});
        if self.has_stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
        let effort = (self.effort)(&request.model).filter(|_| !endpoint.is_customer_server);
        if let Some(effort) = effort {
            body["reasoning_effort"] = json!(effort);
        }
        // A model that thinks takes the temperature only where it was asked for, if at all.
        if let Some(temperature) = request.temperature.or(effort.is_none().then_some(TEMPERATURE)) {
            body["temperature"] = json!(temperature);
        }
        if let (Some(key), true, false) = (&request.cache_key, self.has_cache_key, endpoint.is_customer_server) {
            body["prompt_cache_key"] = json!(key);
        }
        if !request.tools.is_empty() {
            let tools = request.tools.iter().map(|tool| {
                let mut function =
                    json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
                if tool.strict {
                    function["strict"] = json!(true);
                }
                json!({"type": "function", "function": function})
            });
            body["tools"] = tools.collect();
        }
        self.outgoing(endpoint, body)
    }

    fn reader(&self) -> Box<dyn LlmStreamReader> {
        Box::new(ChatCompletionsReader::default())
    }

    /// Not `strict`: that takes only schemas without optional fields, and customers write their own. The
    /// answer is held against the schema here.
    fn structured(
        &self, endpoint: &ProviderAccess, request: &StructuredRequest<'_>,
    ) -> Result<LlmHttpRequest, ProviderError> {
        let body = json!({
            "model": request.model,
            "messages": self.messages(request.messages),
            "response_format": {"type": "json_schema", "json_schema": {
                "name": "report", "schema": request.schema, "strict": false}},
        });
        self.outgoing(endpoint, body)
    }

    fn parse_complete(&self, body: &[u8]) -> Result<Completion, ProviderError> {
        let body: Value = serde_json::from_slice(body).map_err(ProviderError::invalid_response)?;
        let text = text_of(&body["choices"][0]["message"]["content"]);
        let text = text.ok_or_else(|| ProviderError::InvalidResponse("no content in the answer".to_owned()))?;
        let tokens = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
        let (prompt_tokens, completion_tokens) = (tokens("prompt_tokens"), tokens("completion_tokens"));
        Ok(Completion { text, prompt_tokens, completion_tokens })
    }
}

fn message(message: &ChatMessage) -> Value {
    match message {
        ChatMessage::System(content) => json!({"role": "system", "content": content}),
        ChatMessage::User(content) => json!({"role": "user", "content": content}),
        ChatMessage::Assistant { content, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": content})
        }
        ChatMessage::Assistant { content, tool_calls } => {
            let calls: Vec<Value> = tool_calls
                .iter()
                .map(|call| json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}))
                .collect();
            let content = if content.is_empty() { Value::Null } else { json!(content) };
            json!({"role": "assistant", "content": content, "tool_calls": calls})
        }
        ChatMessage::Tool { call_id, content } => json!({"role": "tool", "tool_call_id": call_id, "content": content}),
    }
}

/// Content is a text, or a list of parts of which some are text (Mistral).
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            Some(parts.iter().filter(|part| part["type"] == "text").filter_map(|part| part["text"].as_str()).collect())
        }
        _ => None,
    }
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<ChunkUsage>,
    /// A text in xAI's flat shape, an object everywhere else.
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    x_groq: Option<GroqExtension>,
}

/// What Groq adds to the first and the last chunk.
#[derive(Debug, Deserialize)]
struct GroqExtension {
    #[serde(default)]
    usage: Option<ChunkUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: ChunkDelta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ChunkDelta {
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Debug, Deserialize)]
struct ToolDelta {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionDelta>,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ChunkUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// Collects a stream of chunks.
#[derive(Debug, Default)]
pub struct ChatCompletionsReader {
    tools: Vec<ToolCall>,
    usage: Option<ChunkUsage>,
    finished: bool,
}

/// The server reported an error inside the stream: what it said, as a refusal that may be tried again.
fn stream_error(error: &Value) -> ProviderError {
    let text = error.get("message").and_then(Value::as_str).or(error.as_str());
    ProviderError::refused(500, text.map_or_else(|| error.to_string(), str::to_owned))
}

impl LlmStreamReader for ChatCompletionsReader {
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError> {
        if data == "[DONE]" {
            return Ok(true);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(ProviderError::invalid_response)?;
        if let Some(error) = &chunk.error {
            return Err(stream_error(error));
        }
        if let Some(groq) = chunk.x_groq {
            if let Some(error) = &groq.error {
                return Err(stream_error(error));
            }
            self.usage = groq.usage.or(self.usage.take());
        }
        self.usage = chunk.usage.or(self.usage.take());
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(false) };
        for delta in choice.delta.tool_calls.into_iter().flatten() {
            self.tool(delta);
        }
        self.finished |= choice.finish_reason.is_some();
        let words = choice.delta.content.as_ref().and_then(text_of).or(choice.delta.refusal);
        said.extend(words.filter(|text| !text.is_empty()));
        Ok(false)
    }

    /// A finish reason was seen: an end of the stream without `[DONE]` is then complete too.
    fn is_finished(&self) -> bool {
        self.finished
    }

    fn finish(&mut self) -> Vec<LlmEvent> {
        let mut events = Vec::new();
        let mut tools = std::mem::take(&mut self.tools);
        tools.retain(|call| !call.name.is_empty());
        for (index, call) in tools.iter_mut().enumerate() {
            if call.id.is_empty() {
                call.id = format!("call_{index}");
            }
            if call.arguments.trim().is_empty() {
                call.arguments = "{}".to_owned();
            }
        }
        if !tools.is_empty() {
            events.push(LlmEvent::ToolCalls(tools));
        }
        let usage = self.usage.take().unwrap_or_default();
        events.push(LlmEvent::Done(TokenUsage {
            model: String::new(),
            prompt_tokens: usage.prompt_tokens.unwrap_or(0),
            completion_tokens: usage.completion_tokens.unwrap_or(0),
            cached_tokens: usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0),
        }));
        events
    }
}

impl ChatCompletionsReader {
    fn tool(&mut self, delta: ToolDelta) {
        if delta.index >= TOOL_CALLS_MAX {
            return;
        }
        while self.tools.len() <= delta.index {
            self.tools.push(ToolCall::default());
        }
        let call = &mut self.tools[delta.index];
        if let Some(id) = delta.id.filter(|id| !id.is_empty() && id != "null") {
            call.id = id;
        }
        let function = delta.function.unwrap_or_default();
        if let Some(name) = function.name {
            call.push_name(&name);
        }
        match function.arguments {
            Some(Value::String(part)) => call.push_arguments(&part),
            // Some servers send the whole object at once.
            Some(object @ Value::Object(_)) => {
                call.arguments.clear();
                call.push_arguments(&object.to_string());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(prompt_tokens: u64, completion_tokens: u64, cached_tokens: u64) -> LlmEvent {
        LlmEvent::Done(TokenUsage { model: String::new(), prompt_tokens, completion_tokens, cached_tokens })
    }

    #[test]
    fn interleaved_tool_calls_are_put_together_after_the_text() {
        let mut collector = ChatCompletionsReader::default();
        let mut said = vec![];
        for data in [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"One moment."}}],"obfuscation":"xx"}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"book","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"null","function":{"name":"look","arguments":{"x":1}}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"day\":1}"}}]},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":3,"total_tokens":11,"prompt_tokens_details":{"cached_tokens":5}}}"#,
        ] {
            assert_eq!(collector.event(data, &mut said), Ok(false));
        }
        assert_eq!(said, ["One moment."]);
        assert!(collector.is_finished());
        assert_eq!(collector.event("[DONE]", &mut said), Ok(true));
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            schema_error: None,
        };
        assert_eq!(
            collector.finish(),
            [
                LlmEvent::ToolCalls(vec![call("a", "book", "{\"day\":1}"), call("call_1", "look", "{\"x\":1}")]),
                done(8, 3, 5),
            ]
        );
    }

    #[test]
    fn other_vendors_chunks_are_read_as_well() {
        let mut collector = ChatCompletionsReader::default();
        let mut said = vec![];
        for data in [
            r#"{"x_groq":{"id":"req_1"},"choices":[{"delta":{"reasoning":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Ja."}]}}]}"#,
            r#"{"x_groq":{"usage":{"prompt_tokens":2,"completion_tokens":1}},"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        ] {
            assert_eq!(collector.event(data, &mut said), Ok(false));
        }
        assert_eq!(said, ["Ja."]);
        assert_eq!(collector.finish(), [done(2, 1, 0)]);
    }

    #[test]
    fn errors_inside_the_stream_are_told_apart_from_garbage() {
        let mut collector = ChatCompletionsReader::default();
        let mut event = |data: &str| collector.event(data, &mut vec![]);
        for data in [
            r#"{"error":{"message":"overloaded"}}"#,
            r#"{"code":"x","error":"overloaded"}"#,
            r#"{"x_groq":{"error":"overloaded"},"choices":[]}"#,
        ] {
            assert_eq!(event(data), Err(ProviderError::refused(500, "overloaded")));
        }
        assert!(matches!(event("<html>"), Err(ProviderError::InvalidResponse(_))));
    }
}
