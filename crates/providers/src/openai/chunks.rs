//! Reads the chunks of streamed chat completions. Servers and gateways write them in many ways: each field may be missing,
//! null, empty or of another type, and what is repeated is taken once. Only what is no JSON at all is refused. Ollama's own
//! messages are read too: gateways in front of it pass them on.

use super::tool_deltas::{CALL_EXTENSION, ToolDeltas, has_value};
use crate::json_text::read_json;
use crate::llm::{CallProgress, LlmStreamReader};
use crate::{LlmEvent, ProviderError, TokenUsage, transport};
use serde_json::Value;
use trunkline_domain::chat::ToolCall;

/// Names of the thoughts before an answer. DeepSeek wants them returned beside the calls that they led to.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];

/// Collects a stream of chunks.
#[derive(Debug, Default)]
pub struct ChatCompletionsReader {
    tools: ToolDeltas,
    thoughts: Option<(&'static str, String)>,
    usage: TokenUsage,
    has_words: bool,
    finished: bool,
    /// It ended at its most tokens.
    is_cut: bool,
}

/// Content is a text, or a list of parts of which some are text (Mistral).
pub fn text_of(content: &Value) -> Option<String> {
    let part = |part: &Value| match part {
        Value::String(text) => Some(text.clone()),
        part if part["thought"] == true => None,
        part if part["type"].as_str().is_none_or(|kind| matches!(kind, "text" | "output_text")) => {
            part["text"].as_str().map(str::to_owned)
        }
        _ => None,
    };
    match content {
        Value::Array(parts) => Some(parts.iter().filter_map(part).collect()),
        Value::String(_) | Value::Object(_) => part(content),
        _ => None,
    }
}

/// Where a delta says what its words are.
const KINDS: [&str; 4] = ["role", "channel", "type", "phase"];
/// What it says of thoughts.
const KINDS_OF_THOUGHTS: [&str; 5] = ["analysis", "reasoning", "thinking", "thought", "thoughts"];

/// The words of this delta are thoughts: it says so beside them.
fn are_thoughts(delta: &Value) -> bool {
    let is_thought = |part: &Value| part["thought"] == true || part["is_thought"] == true;
    let extensions = delta[CALL_EXTENSION].as_object().into_iter().flatten();
    let kinds = KINDS.iter().filter_map(|name| delta[*name].as_str());
    is_thought(delta)
        || is_thought(&delta[CALL_EXTENSION])
        || extensions.into_iter().any(|(_, part)| is_thought(part))
        || kinds.into_iter().any(|kind| KINDS_OF_THOUGHTS.contains(&kind.to_lowercase().as_str()))
}

/// The error that a body or a chunk reports, as a refusal that may be tried again. xAI's is a text, others' an object.
pub fn error_of(body: &Value) -> Option<ProviderError> {
    let named = [&body["error"], &body["x_groq"]["error"]].into_iter().find(|error| has_value(error));
    if let Some(error) = named {
        let text = error.get("message").and_then(Value::as_str).or(error.as_str());
        return Some(ProviderError::refused(500, text.map_or_else(|| error.to_string(), str::to_owned)));
    }
    // vLLM's older form, FastAPI's, and that of gateways: nothing of an answer, and words about it.
    let is_answer = ["choices", "usage", "id", "done"].iter().any(|name| has_value(&body[*name]));
    let is_error = ["object", "type"].iter().any(|name| body[*name] == "error") || !is_answer;
    let text = is_error.then(|| transport::error_text(&body.to_string())).flatten();
    text.filter(|text| !text.trim().is_empty()).map(|text| ProviderError::refused(500, text))
}

/// The choice that we follow: the first one, or the only one that is not another's.
fn choice_of(chunk: &Value) -> Option<&Value> {
    let choices = chunk["choices"].as_array()?;
    choices.iter().filter(|choice| choice.is_object()).find(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
}

impl LlmStreamReader for ChatCompletionsReader {
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError> {
        let data = data.trim();
        if data == "[DONE]" {
            return Ok(true);
        }
        if data.is_empty() {
            return Ok(false);
        }
        let chunk = read_json(data).map_err(ProviderError::invalid_response)?;
        if let Some(error) = error_of(&chunk) {
            return Err(error);
        }
        self.count(&chunk["x_groq"]["usage"]);
        self.count(&chunk["usage"]);
        let Some(choice) = choice_of(&chunk) else { return Ok(self.take_native(&chunk, said)) };
        // A server that does not stream sends the whole message at once; some repeat it at the end of a stream.
        let whole = !choice["delta"].is_object() && !self.has_words && self.tools.is_empty();
        let delta = if whole { &choice["message"] } else { &choice["delta"] };
        self.tools.take(&delta["tool_calls"]);
        self.tools.take_legacy(&delta["function_call"]);
        self.keep_thoughts(delta);
        let reason = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty());
        self.finished |= reason.is_some();
        self.is_cut |= matches!(reason, Some("length" | "model_length" | "max_tokens" | "MAX_TOKENS"));
        let filled = |text: &String| !text.is_empty();
        let words = text_of(&delta["content"]).filter(filled).or_else(|| text_of(&delta["refusal"]).filter(filled));
        // Completions without roles have their text at the choice.
        let words = words.or_else(|| text_of(&choice["text"]).filter(filled).filter(|_| !delta.is_object()));
        if let Some(words) = words.filter(|_| !are_thoughts(delta)) {
            self.has_words = true;
            said.push(words);
        }
        Ok(false)
    }

    /// A finish reason was seen: an end of the stream without `[DONE]` is then complete too.
    fn is_finished(&self) -> bool {
        self.finished
    }

    fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn calls(&self) -> CallProgress {
        match (self.tools.is_empty(), self.tools.are_whole()) {
            (true, _) => CallProgress::None,
            (false, false) => CallProgress::Partial,
            (false, true) => CallProgress::Whole,
        }
    }

    fn finish(&mut self) -> Vec<LlmEvent> {
        let mut events = Vec::new();
        let mut calls = std::mem::take(&mut self.tools).finish();
        if let (Some((name, text)), Some(first)) = (self.thoughts.take(), calls.first_mut()) {
            let opaque = first.opaque.get_or_insert_default();
            opaque.fields.insert(name.to_owned(), Value::String(text));
        }
        if !calls.is_empty() {
            events.push(LlmEvent::ToolCalls(calls));
        }
        events.push(LlmEvent::Done(std::mem::take(&mut self.usage)));
        events
    }
}

impl ChatCompletionsReader {
    /// A message of Ollama's own API; true for the last one.
    fn take_native(&mut self, chunk: &Value, said: &mut Vec<String>) -> bool {
        let Some(is_done) = chunk["done"].as_bool() else { return false };
        let message = &chunk["message"];
        self.tools.take(&message["tool_calls"]);
        let words = text_of(&message["content"]).or_else(|| text_of(&chunk["response"]));
        if let Some(words) = words.filter(|words| !words.is_empty()) {
            self.has_words = true;
            said.push(words);
        }
        let count = |known: u64, name: &str| chunk[name].as_u64().unwrap_or(known);
        self.usage.prompt_tokens = count(self.usage.prompt_tokens, "prompt_eval_count");
        self.usage.completion_tokens = count(self.usage.completion_tokens, "eval_count");
        self.is_cut |= chunk["done_reason"] == "length";
        self.finished |= is_done;
        is_done
    }

    /// Counts are for the whole answer so far: later ones replace earlier ones.
    fn count(&mut self, usage: &Value) {
        let set = |known: &mut u64, value: &Value| *known = value.as_u64().unwrap_or(*known);
        set(&mut self.usage.prompt_tokens, &usage["prompt_tokens"]);
        set(&mut self.usage.completion_tokens, &usage["completion_tokens"]);
        set(&mut self.usage.cached_tokens, &usage["prompt_tokens_details"]["cached_tokens"]);
    }

    fn keep_thoughts(&mut self, delta: &Value) {
        let thought = THOUGHTS.iter().find_map(|name| Some((*name, delta[*name].as_str().filter(|t| !t.is_empty())?)));
        let Some((name, part)) = thought else { return };
        let (_, text) = self.thoughts.get_or_insert_with(|| (name, String::new()));
        if text.len() + part.len() <= ToolCall::OPAQUE_BYTES_MAX {
            text.push_str(part);
        }
    }
}

#[cfg(test)]
mod tests;
