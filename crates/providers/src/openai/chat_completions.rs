//! Bodies of chat completions, with what differs between the servers that speak them. `chunks` reads their streams.

use super::chunks::{ChatCompletionsReader, text_of};
use crate::canonical_conversation::{CanonicalCall, CanonicalConversation, CanonicalTurn, ToolIdStyle};
use crate::llm::{Completion, LlmHttpRequest, LlmStreamReader, LlmVendor, StructuredRequest};
use crate::structured_output::{self, AnswerShape};
use crate::{LlmRequest, ProviderAccess, ProviderError, extra_body, tool_dialect};
use serde_json::{Map, Value, json};
use trunkline_domain::chat::{ChatMessage, ToolChoice};
use trunkline_domain::llm_options::ReasoningEffort;

/// Stands between a tool's result and the caller's next words: templates that count turns want an answer there. Nothing
/// of it can be spoken.
const NOT_ANSWERED: &str = "…";
/// Document B: default of `temperature`.
const TEMPERATURE: f64 = 0.7;

/// A server that speaks chat completions.
#[derive(Debug)]
pub struct ChatCompletions {
    /// `stream_options` asks for the usage of a stream.
    pub has_stream_options: bool,
    /// `prompt_cache_key` is known.
    pub has_cache_key: bool,
    /// The limit of an answer is `max_completion_tokens`; else `max_tokens`.
    pub has_completion_tokens: bool,
    /// Whether a model thinks before it speaks, and how little it can be asked to.
    pub effort: fn(&str) -> Option<&'static str>,
    /// How the ids of tool calls look.
    pub tool_ids: ToolIdStyle,
}

impl ChatCompletions {
    fn outgoing(&self, endpoint: &ProviderAccess, body: Value) -> Result<LlmHttpRequest, ProviderError> {
        let headers = vec![("authorization", format!("Bearer {}", endpoint.key()?).into())];
        Ok(LlmHttpRequest { path: "/chat/completions", headers, body })
    }

    /// The agent's settings, by this server's names.
    fn write_options(&self, body: &mut Value, endpoint: &ProviderAccess, request: &LlmRequest) {
        let options = &request.options;
        let own = (self.effort)(&request.model).filter(|_| !endpoint.is_customer_server);
        let effort = options.reasoning_effort.map(ReasoningEffort::name).or(own);
        if let Some(effort) = effort {
            body["reasoning_effort"] = json!(effort);
        }
        // A model that thinks takes the temperature only where it was asked for, if at all.
        if let Some(temperature) = options.temperature.or(effort.is_none().then_some(TEMPERATURE)) {
            body["temperature"] = json!(temperature);
        }
        if let Some(top_p) = options.top_p {
            body["top_p"] = json!(top_p);
        }
        if let Some(max_tokens) = options.max_tokens {
            // Servers that speak the protocol know the old name; the vendors have deprecated it.
            let is_new = self.has_completion_tokens && !endpoint.is_customer_server;
            body[if is_new { "max_completion_tokens" } else { "max_tokens" }] = json!(max_tokens);
        }
        if !options.stop.is_empty() {
            body["stop"] = json!(options.stop);
        }
    }

    /// One system message, then user and assistant in turns.
    fn messages(&self, messages: &[ChatMessage], origin: &str) -> Vec<Value> {
        let CanonicalConversation { system, turns } = CanonicalConversation::new(messages, self.tool_ids, origin);
        let mut written = Vec::new();
        if !system.is_empty() {
            written.push(json!({"role": "system", "content": system}));
        }
        let mut after_tool = false;
        for turn in turns {
            match turn {
                CanonicalTurn::User(content) => {
                    if after_tool {
                        written.push(json!({"role": "assistant", "content": NOT_ANSWERED}));
                    }
                    after_tool = false;
                    written.push(json!({"role": "user", "content": content}));
                }
                CanonicalTurn::Assistant { content, calls } => {
                    after_tool = !calls.is_empty();
                    write_assistant(&mut written, &content, calls);
                }
            }
        }
        written
    }
}

impl LlmVendor for ChatCompletions {
    fn request(&self, endpoint: &ProviderAccess, request: &LlmRequest) -> Result<LlmHttpRequest, ProviderError> {
        let mut body = json!({"model": request.model, "stream": true, "messages": self.messages(&request.messages, &request.origin)});
        if self.has_stream_options {
            body["stream_options"] = json!({"include_usage": true});
        }
        self.write_options(&mut body, endpoint, request);
        if let (Some(key), true, false) = (&request.cache_key, self.has_cache_key, endpoint.is_customer_server) {
            body["prompt_cache_key"] = json!(key);
        }
        if !request.tools.is_empty() {
            let tools = tool_dialect::offers(&request.tools).map(|tool| {
                let strict = structured_output::for_openai_strict(&tool.parameters).filter(|_| tool.strict);
                let mut function = json!({"name": tool.name, "description": tool.description});
                if strict.is_some() {
                    function["strict"] = json!(true);
                }
                function["parameters"] = strict.unwrap_or(tool.parameters);
                json!({"type": "function", "function": function})
            });
            body["tools"] = tools.collect();
            if request.tool_choice == ToolChoice::None {
                body["tool_choice"] = json!("none");
            }
        }
        extra_body::merge(&mut body, &request.options.extra_body);
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
        let asked = request.shape.ask(request.messages, request.schema);
        let mut body = json!({"model": request.model, "messages": self.messages(&asked, "")});
        match request.shape {
            AnswerShape::Schema => {
                body["response_format"] = json!({"type": "json_schema", "json_schema": {
                    "name": "report", "schema": structured_output::closed(request.schema), "strict": false}});
            }
            AnswerShape::JsonObject => body["response_format"] = json!({"type": "json_object"}),
            AnswerShape::Words => {}
        }
        self.outgoing(endpoint, body)
    }

    fn parse_complete(&self, body: &[u8]) -> Result<Completion, ProviderError> {
        let body: Value = serde_json::from_slice(body).map_err(ProviderError::invalid_response)?;
        if let Some(error) = super::chunks::error_of(&body) {
            return Err(error);
        }
        let text = text_of(&body["choices"][0]["message"]["content"]).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| ProviderError::InvalidResponse("no content in the answer".to_owned()))?;
        let tokens = |name: &str| body["usage"][name].as_u64().unwrap_or(0);
        let (prompt_tokens, completion_tokens) = (tokens("prompt_tokens"), tokens("completion_tokens"));
        Ok(Completion { text, prompt_tokens, completion_tokens })
    }
}

/// A turn of the assistant, and the results of its calls.
fn write_assistant(written: &mut Vec<Value>, content: &str, calls: Vec<CanonicalCall>) {
    if calls.is_empty() {
        return written.push(json!({"role": "assistant", "content": content}));
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), json!("assistant"));
    message.insert("content".to_owned(), if content.is_empty() { Value::Null } else { json!(content) });
    let (mut tool_calls, mut results) = (Vec::new(), Vec::new());
    for CanonicalCall { id, name, arguments, result, opaque } in calls {
        let mut call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        for (field, value) in opaque.into_iter().flat_map(|opaque| opaque.fields) {
            // Signatures stand at their call, thoughts at their message.
            if field == super::tool_deltas::CALL_EXTENSION {
                call[field] = value;
            } else {
                message.insert(field, value);
            }
        }
        tool_calls.push(call);
        results.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
    }
    message.insert("tool_calls".to_owned(), json!(tool_calls));
    written.push(Value::Object(message));
    written.append(&mut results);
}

#[cfg(test)]
mod tests;
