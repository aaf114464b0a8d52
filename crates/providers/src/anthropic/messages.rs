//! Requests of `POST /v1/messages`. `events` reads its streams.

use super::events::{MessagesReader, THINKING_BLOCKS, error_of};
use super::options;
use crate::canonical_conversation::{CanonicalConversation, CanonicalTurn, ToolIdStyle};
use crate::llm::{Completion, LlmHttpRequest, LlmStreamReader, LlmVendor, StructuredRequest};
use crate::structured_output::{self, AnswerShape};
use crate::{LlmRequest, ProviderAccess, ProviderError, extra_body, tool_dialect};
use serde_json::{Value, json};
use trunkline_domain::chat::{ChatMessage, ToolChoice};

/// A report with fields that the customer defines.
const REPORT_TOKENS_MAX: u32 = 4_096;
/// The last version whose older models take a temperature and the like.
const VERSION_WITH_TEMPERATURE: &str = "2023-06-01";

/// Client of the Messages API, with streamed and structured answers.
#[derive(Debug)]
pub struct AnthropicMessages;

impl LlmVendor for AnthropicMessages {
    fn request(&self, endpoint: &ProviderAccess, request: &LlmRequest) -> Result<LlmHttpRequest, ProviderError> {
        let (system, messages) = conversation(&request.messages, &request.origin);
        let mut body = json!({"model": request.model, "stream": true, "messages": messages});
        options::write(&mut body, &request.model, &request.options);
        if !system.is_empty() {
            // The prompt is the same for every turn: it is read from the cache after the first.
            body["system"] = json!([{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]);
        }
        if !request.tools.is_empty() {
            let tools = tool_dialect::offers(&request.tools).map(|tool| {
                let strict = structured_output::for_anthropic(&tool.parameters).filter(|_| tool.strict);
                let mut one = json!({"name": tool.name, "description": tool.description});
                if strict.is_some() {
                    one["strict"] = json!(true);
                }
                one["input_schema"] = strict.unwrap_or(tool.parameters);
                one
            });
            body["tools"] = tools.collect();
            if request.tool_choice == ToolChoice::None {
                body["tool_choice"] = json!({"type": "none"});
            }
        }
        extra_body::merge(&mut body, &request.options.extra_body);
        outgoing(endpoint, body)
    }

    fn reader(&self) -> Box<dyn LlmStreamReader> {
        Box::new(MessagesReader::default())
    }

    fn structured(
        &self, endpoint: &ProviderAccess, request: &StructuredRequest<'_>,
    ) -> Result<LlmHttpRequest, ProviderError> {
        let schema = structured_output::for_anthropic(request.schema).filter(|_| request.shape == AnswerShape::Schema);
        let shape = if schema.is_some() { AnswerShape::Schema } else { AnswerShape::Words };
        let (system, messages) = conversation(&shape.ask(request.messages, request.schema), "");
        let mut body = json!({
            "model": request.model, "max_tokens": REPORT_TOKENS_MAX, "messages": messages,
            "thinking": options::least_thinking(request.model),
        });
        if let Some(schema) = schema {
            body["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        }
        if !system.is_empty() {
            body["system"] = json!(system);
        }
        outgoing(endpoint, body)
    }

    fn parse_complete(&self, body: &[u8]) -> Result<Completion, ProviderError> {
        let body: Value = serde_json::from_slice(body).map_err(ProviderError::invalid_response)?;
        if let Some(error) = error_of(&body) {
            return Err(error);
        }
        let blocks = body["content"].as_array().into_iter().flatten();
        let text: String =
            blocks.filter(|block| block["type"] == "text").filter_map(|block| block["text"].as_str()).collect();
        if text.trim().is_empty() {
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
    let samples = ["temperature", "top_p", "top_k"].iter().any(|name| !body[*name].is_null());
    let version = if samples { VERSION_WITH_TEMPERATURE.to_owned() } else { endpoint.api_version.clone() };
    let headers = vec![("x-api-key", endpoint.key()?.into()), ("anthropic-version", version.into())];
    Ok(LlmHttpRequest { path: "/v1/messages", headers, body })
}

/// The system prompt, and turns of which user and assistant take one each. Results come first in their message.
fn conversation(messages: &[ChatMessage], origin: &str) -> (String, Vec<Value>) {
    let CanonicalConversation { system, turns } = CanonicalConversation::new(messages, ToolIdStyle::Plain, origin);
    let (mut written, mut results) = (Vec::new(), Vec::new());
    for turn in turns {
        match turn {
            CanonicalTurn::User(text) => {
                let mut blocks = std::mem::take(&mut results);
                blocks.push(json!({"type": "text", "text": text}));
                written.push(json!({"role": "user", "content": blocks}));
            }
            CanonicalTurn::Assistant { content, calls } => {
                if !results.is_empty() {
                    written.push(json!({"role": "user", "content": std::mem::take(&mut results)}));
                }
                let mut blocks = Vec::new();
                let thoughts =
                    calls.iter().filter_map(|call| call.opaque.as_ref()?.fields.get(THINKING_BLOCKS)?.as_array());
                blocks.extend(thoughts.flatten().cloned());
                if !content.trim().is_empty() {
                    blocks.push(json!({"type": "text", "text": content}));
                }
                for call in calls {
                    blocks.push(json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.input()}));
                    results.push(json!({"type": "tool_result", "tool_use_id": call.id, "content": call.result}));
                }
                written.push(json!({"role": "assistant", "content": blocks}));
            }
        }
    }
    if !results.is_empty() {
        written.push(json!({"role": "user", "content": results}));
    }
    (system, written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_domain::chat::{OpaqueFields, ToolCall};

    #[test]
    fn turns_alternate_and_results_come_first() {
        let call = ToolCall { id: "t:0".into(), name: "book".into(), arguments: "oops".into(), ..ToolCall::default() };
        let (system, turns) = conversation(
            &[
                ChatMessage::System("a".into()),
                ChatMessage::System("b".into()),
                ChatMessage::Assistant { content: "Hello. ".into(), tool_calls: vec![] },
                ChatMessage::User("Hi".into()),
                ChatMessage::Assistant { content: String::new(), tool_calls: vec![call] },
                ChatMessage::System("news".into()),
                ChatMessage::Tool { call_id: "t:0".into(), content: "done".into() },
            ],
            "",
        );
        assert_eq!(system, "a\n\nb");
        let text = |text: &str| json!({"type": "text", "text": text});
        let id = &turns[3]["content"][0]["id"];
        assert!(id.as_str().unwrap().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{id}");
        assert_eq!(
            json!(turns),
            json!([
                {"role": "user", "content": [text("(The call begins.)")]},
                {"role": "assistant", "content": [text("Hello.")]},
                {"role": "user", "content": [text("Hi")]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "book", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "done"}, text("[news]")]},
            ])
        );
    }

    #[test]
    fn thoughts_return_before_the_call_that_they_led_to() {
        let block = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
        let fields = json!({THINKING_BLOCKS: [block]}).as_object().unwrap().clone();
        let opaque = Some(Box::new(OpaqueFields { origin: "anthropic/m".into(), fields }));
        let call = ToolCall { id: "t".into(), name: "book".into(), opaque, ..ToolCall::default() };
        let messages = [
            ChatMessage::User("Hi".into()),
            ChatMessage::Assistant { content: "One moment.".into(), tool_calls: vec![call] },
            ChatMessage::Tool { call_id: "t".into(), content: "done".into() },
        ];
        let kinds = |origin: &str| -> Vec<String> {
            let (_, turns) = conversation(&messages, origin);
            assert_eq!(turns.len(), 3);
            turns[1]["content"].as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(kinds("anthropic/m"), ["thinking", "text", "tool_use"]);
        assert_eq!(kinds("anthropic/other"), ["text", "tool_use"]);
    }

    #[test]
    fn a_schema_that_anthropic_cannot_keep_to_stands_in_the_prompt() {
        let endpoint = ProviderAccess {
            account: trunkline_domain::provider::ProviderAccount::Anthropic,
            base_url: String::new(),
            api_key: Some("k".into()),
            api_version: String::new(),
            concurrency_max: 0,
            is_customer_server: false,
            blocked: None,
        };
        let messages = [ChatMessage::System("Report.".into()), ChatMessage::User("Hello".into())];
        let body = |schema: &Value, shape| {
            let request = StructuredRequest { model: "m", messages: &messages, schema, shape };
            AnthropicMessages.structured(&endpoint, &request).unwrap().body
        };
        let simple = json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}});
        let kept = body(&simple, AnswerShape::Schema);
        let schema = &kept["output_config"]["format"]["schema"];
        assert_eq!(
            (&schema["additionalProperties"], &schema["properties"]["a"]["minimum"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(kept["system"], json!("Report."));
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
        for body in
            [body(&map, AnswerShape::Schema), body(&simple, AnswerShape::JsonObject), body(&simple, AnswerShape::Words)]
        {
            assert!(body.get("output_config").is_none() && body["system"].as_str().unwrap().contains("JSON schema"));
        }
    }
}
