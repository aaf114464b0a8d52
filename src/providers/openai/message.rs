//! Bodies of chat completions and their stream of chunks.

use crate::domain::chat::{ChatMessage, ToolCall};
use crate::providers::{ChatRequest, LlmEvent};
use serde::Deserialize;
use serde_json::{Value, json};

/// Most tool calls of one answer that are taken.
const TOOL_CALLS_MAX: usize = 16;

pub fn request_body(request: &ChatRequest) -> Value {
    let mut body = json!({
        "model": request.model,
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
    });
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if !request.tools.is_empty() {
        body["tools"] = request
            .tools
            .iter()
            .map(|tool| {
                json!({"type": "function", "function": {
                    "name": tool.name, "description": tool.description, "parameters": tool.parameters}})
            })
            .collect();
    }
    body
}

/// A request for one answer in the shape of a schema.
#[derive(Clone, Copy, Debug)]
pub struct StructuredRequest<'a> {
    pub model: &'a str,
    pub messages: &'a [ChatMessage],
    pub schema: &'a Value,
}

/// Not `strict`: that takes only schemas without optional fields, and customers write their own. The
/// answer is held against the schema here.
pub fn structured_body(request: &StructuredRequest<'_>) -> Value {
    json!({
        "model": request.model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "report", "schema": request.schema, "strict": false}},
    })
}

/// Text and tokens of an answer that came in one piece.
pub fn whole_answer(body: &[u8]) -> Result<(String, u64, u64), String> {
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = body["choices"][0]["message"]["content"].as_str().ok_or("no content in the answer")?;
    let tokens = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
    Ok((text.to_owned(), tokens("prompt_tokens"), tokens("completion_tokens")))
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

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
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

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// Collects a stream of chunks.
#[derive(Debug, Default)]
pub struct Collector {
    tools: Vec<ToolCall>,
    usage: Option<Usage>,
    finished: bool,
}

/// A chunk that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server reported an error inside the stream.
    Error(String),
    Garbage(String),
}

impl Collector {
    /// Text of one chunk, if it has any.
    pub fn chunk(&mut self, data: &str) -> Result<Option<String>, Fault> {
        let chunk: Chunk = serde_json::from_str(data).map_err(|error| Fault::Garbage(error.to_string()))?;
        if let Some(error) = chunk.error {
            let text = error.get("message").and_then(Value::as_str).map_or_else(|| error.to_string(), str::to_owned);
            return Err(Fault::Error(text));
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage);
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(None) };
        for delta in choice.delta.tool_calls.into_iter().flatten() {
            self.tool(delta);
        }
        self.finished |= choice.finish_reason.is_some();
        Ok(choice.delta.content.filter(|text| !text.is_empty()))
    }

    fn tool(&mut self, delta: ToolDelta) {
        if delta.index >= TOOL_CALLS_MAX {
            return;
        }
        while self.tools.len() <= delta.index {
            self.tools.push(ToolCall { id: String::new(), name: String::new(), arguments: String::new() });
        }
        let call = &mut self.tools[delta.index];
        if let Some(id) = delta.id.filter(|id| !id.is_empty() && id != "null") {
            call.id = id;
        }
        let function = delta.function.unwrap_or_default();
        if let Some(name) = function.name {
            call.name.push_str(&name);
        }
        match function.arguments {
            Some(Value::String(part)) => call.arguments.push_str(&part),
            // Some servers send the whole object at once.
            Some(object @ Value::Object(_)) => call.arguments = object.to_string(),
            _ => {}
        }
    }

    /// A finish reason was seen: an end of the stream without `[DONE]` is then complete too.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What is left to say at the end of the stream.
    pub fn finish(mut self) -> Vec<LlmEvent> {
        let mut events = Vec::new();
        self.tools.retain(|call| !call.name.is_empty());
        for (index, call) in self.tools.iter_mut().enumerate() {
            if call.id.is_empty() {
                call.id = format!("call_{index}");
            }
            if call.arguments.trim().is_empty() {
                call.arguments = "{}".to_owned();
            }
        }
        if !self.tools.is_empty() {
            events.push(LlmEvent::Tools(self.tools));
        }
        let usage = self.usage.unwrap_or(Usage { prompt_tokens: None, completion_tokens: None });
        events.push(LlmEvent::Done { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens });
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interleaved_tool_calls_are_put_together_after_the_text() {
        let mut collector = Collector::default();
        let mut text = String::new();
        for data in [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"One moment."}}],"obfuscation":"xx"}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"book","arguments":""}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"null","function":{"name":"look","arguments":{"x":1}}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"day\":1}"}}]},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":3,"total_tokens":11}}"#,
        ] {
            text.extend(collector.chunk(data).unwrap());
        }
        assert_eq!(text, "One moment.");
        assert!(collector.is_finished());
        let call = |id: &str, name: &str, arguments: &str| ToolCall {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
        };
        assert_eq!(
            collector.finish(),
            [
                LlmEvent::Tools(vec![call("a", "book", "{\"day\":1}"), call("call_1", "look", "{\"x\":1}")]),
                LlmEvent::Done { prompt_tokens: Some(8), completion_tokens: Some(3) },
            ]
        );
    }

    #[test]
    fn errors_inside_the_stream_are_told_apart_from_garbage() {
        let mut collector = Collector::default();
        assert_eq!(collector.chunk(r#"{"error":{"message":"overloaded"}}"#), Err(Fault::Error("overloaded".into())));
        assert!(matches!(collector.chunk("<html>"), Err(Fault::Garbage(_))));
    }
}
