//! Reads the server-sent events of `POST /v1/messages`. Each field may be missing, null, empty or of another type; blocks may
//! begin twice or not at all. Only what is no JSON is refused.

use crate::json_text::read_json;
use crate::llm::{CallProgress, LlmStreamReader};
use crate::tool_arguments::unwrapped;
use crate::{LlmEvent, ProviderError, TokenUsage};
use serde_json::{Map, Value, json};
use trunkline_domain::chat::{OpaqueFields, ToolCall};

/// Most content blocks of one answer that are taken.
const BLOCKS_MAX: u64 = 32;
/// Where the thoughts before a tool call are kept, to be returned with it.
pub const THINKING_BLOCKS: &str = "thinking_blocks";

/// Collects the events of one message.
#[derive(Debug, Default)]
pub struct MessagesReader {
    /// In the order in which they began.
    blocks: Vec<Block>,
    usage: Counts,
    /// What a second `message_start` means.
    repetition: Repetition,
    finished: bool,
    /// It ended at its most tokens.
    is_cut: bool,
}

/// A proxy that asks a second server goes on with that one's stream from its beginning. A `message_start` alone that comes
/// twice means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Repetition {
    #[default]
    None,
    /// A message has begun behind blocks of another one.
    Possible,
    /// So has its first block.
    Certain,
}

#[derive(Debug, Default)]
struct Counts {
    input: u64,
    cache_read: u64,
    cache_written: u64,
    output: u64,
}

#[derive(Debug)]
struct Block {
    index: u64,
    content: BlockContent,
}

#[derive(Debug)]
enum BlockContent {
    Tool(ToolCall),
    /// Thoughts, which the vendor wants back before a tool call: the block as it came, with its signature.
    Thinking(Map<String, Value>),
    Other,
}

/// The error that an event or a body reports.
pub fn error_of(event: &Value) -> Option<ProviderError> {
    let error = &event["error"];
    let is_error = event["type"] == "error" || error.is_object();
    if !is_error || (error.as_object().is_some_and(Map::is_empty) && event["type"] != "error") {
        return None;
    }
    let status = match error["type"].as_str().unwrap_or_default() {
        "overloaded_error" => 529,
        "rate_limit_error" => 429,
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "permission_error" => 403,
        _ => 500,
    };
    let text = error["message"].as_str().or(error.as_str()).unwrap_or("error");
    Some(ProviderError::refused(status, text))
}

fn filled(text: &Value) -> Option<&str> {
    text.as_str().filter(|text| !text.is_empty())
}

impl LlmStreamReader for MessagesReader {
    fn event(&mut self, data: &str, said: &mut Vec<String>) -> Result<bool, ProviderError> {
        let data = data.trim();
        if data.is_empty() {
            return Ok(false);
        }
        // Proxies that speak several protocols end every stream in this way.
        if data == "[DONE]" {
            return Ok(true);
        }
        let event = read_json(data).map_err(ProviderError::invalid_response)?;
        if let Some(error) = error_of(&event) {
            return Err(error);
        }
        match event["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.repetition = if self.blocks.is_empty() { Repetition::None } else { Repetition::Possible };
                self.count(&event["message"]["usage"]);
            }
            "content_block_start" => self.start_block(&event, said),
            "content_block_delta" => {
                self.repetition = Repetition::None;
                self.add(&event, said);
            }
            "message_delta" => {
                self.count(&event["usage"]);
                self.stop(&event["delta"]["stop_reason"]);
            }
            // A server that does not stream sends the whole message at once.
            "message" if self.blocks.is_empty() => self.take_message(&event, said),
            "message_stop" => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn calls(&self) -> CallProgress {
        let is_whole = |call: &ToolCall| serde_json::from_str::<Map<String, Value>>(&call.arguments).is_ok();
        match (self.tool_calls().next(), self.tool_calls().all(is_whole)) {
            (None, _) => CallProgress::None,
            (Some(_), true) => CallProgress::Whole,
            (Some(_), false) => CallProgress::Partial,
        }
    }

    fn take_restart(&mut self) -> bool {
        let is_certain = self.repetition == Repetition::Certain;
        if is_certain {
            self.repetition = Repetition::None;
        }
        is_certain
    }

    fn finish(&mut self) -> Vec<LlmEvent> {
        let mut events = Vec::new();
        let thoughts: Vec<Value> = self.blocks.iter().filter_map(Block::signed_thoughts).collect();
        let named = self.tool_calls().filter(|call| !call.name.trim().is_empty());
        let mut calls = with_own_ids(named.cloned());
        for (index, call) in calls.iter_mut().enumerate() {
            if call.id.is_empty() {
                call.id = format!("toolu_{index}");
            }
            call.arguments = unwrapped(std::mem::take(&mut call.arguments));
            if call.arguments.trim().is_empty() {
                call.arguments = "{}".to_owned();
            }
        }
        if let Some(first) = calls.first_mut().filter(|_| !thoughts.is_empty()) {
            let fields = Map::from_iter([(THINKING_BLOCKS.to_owned(), json!(thoughts))]);
            first.opaque = Some(Box::new(OpaqueFields { fields, ..OpaqueFields::default() }));
        }
        if !calls.is_empty() {
            events.push(LlmEvent::ToolCalls(calls));
        }
        let Counts { input, cache_read, cache_written, output } = self.usage;
        events.push(LlmEvent::Done(TokenUsage {
            model: String::new(),
            prompt_tokens: input + cache_read + cache_written,
            completion_tokens: output,
            cached_tokens: cache_read,
        }));
        events
    }
}

/// Calls that share an id: the same call once more counts once, and another one gets an id of its own.
fn with_own_ids(calls: impl Iterator<Item = ToolCall>) -> Vec<ToolCall> {
    let mut own: Vec<ToolCall> = Vec::new();
    for mut call in calls {
        let is_same = |known: &ToolCall| known.id == call.id && known.name == call.name && !call.id.is_empty();
        let repeated = own.iter().position(|known| {
            is_same(known)
                && (known.arguments.is_empty() || [known.arguments.as_str(), ""].contains(&call.arguments.as_str()))
        });
        if let Some(known) = repeated.and_then(|index| own.get_mut(index)) {
            if known.arguments.is_empty() {
                known.arguments = call.arguments;
            }
            continue;
        }
        if !call.id.is_empty() && own.iter().any(|known| known.id == call.id) {
            call.id = format!("{}_{}", call.id, own.len());
        }
        own.push(call);
    }
    own
}

impl Block {
    /// Thoughts that the vendor takes back: whole ones, which are signed.
    fn signed_thoughts(&self) -> Option<Value> {
        let BlockContent::Thinking(block) = &self.content else { return None };
        let is_signed = ["signature", "data"].iter().any(|name| block.get(*name).and_then(filled).is_some());
        is_signed.then(|| Value::Object(block.clone()))
    }
}

impl MessagesReader {
    fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.blocks.iter().filter_map(|block| match &block.content {
            BlockContent::Tool(call) => Some(call),
            BlockContent::Thinking(_) | BlockContent::Other => None,
        })
    }

    /// Cumulative; what a later count leaves out stands as it was.
    fn count(&mut self, usage: &Value) {
        let set = |known: &mut u64, name: &str| *known = usage[name].as_u64().unwrap_or(*known);
        set(&mut self.usage.input, "input_tokens");
        set(&mut self.usage.cache_read, "cache_read_input_tokens");
        set(&mut self.usage.cache_written, "cache_creation_input_tokens");
        set(&mut self.usage.output, "output_tokens");
    }

    /// The index of an event; without one it is about the newest block.
    fn index_of(&self, event: &Value, otherwise: u64) -> u64 {
        event["index"].as_u64().unwrap_or(otherwise)
    }

    fn stop(&mut self, reason: &Value) {
        let reason = filled(reason);
        self.finished |= reason.is_some();
        self.is_cut |= matches!(reason, Some("max_tokens" | "model_context_window_exceeded"));
    }

    fn take_message(&mut self, message: &Value, said: &mut Vec<String>) {
        self.count(&message["usage"]);
        for (index, block) in message["content"].as_array().into_iter().flatten().enumerate() {
            self.start_block(&json!({"index": index, "content_block": block}), said);
        }
        self.stop(&message["stop_reason"]);
    }

    fn start_block(&mut self, event: &Value, said: &mut Vec<String>) {
        let index = self.index_of(event, self.blocks.last().map_or(0, |last| last.index + 1));
        let block = &event["content_block"];
        let content = match block["type"].as_str().unwrap_or_default() {
            "tool_use" => {
                let text = |name: &str| block[name].as_str().unwrap_or_default().to_owned();
                let whole = block["input"].as_object().filter(|input| !input.is_empty());
                let whole = whole.map_or_else(String::new, |_| block["input"].to_string());
                BlockContent::Tool(ToolCall::new(text("id"), text("name"), whole))
            }
            "thinking" | "redacted_thinking" => BlockContent::Thinking(block.as_object().cloned().unwrap_or_default()),
            _ => BlockContent::Other,
        };
        let is_first = self.blocks.first().is_some_and(|first| first.index == index);
        if self.repetition == Repetition::Possible && is_first {
            self.repetition = Repetition::Certain;
            self.blocks.clear();
            said.clear();
        }
        if self.is_known(index, &content) {
            return;
        }
        if index < BLOCKS_MAX && self.blocks.len() < BLOCKS_MAX as usize {
            said.extend(filled(&block["text"]).filter(|_| matches!(content, BlockContent::Other)).map(str::to_owned));
            self.blocks.push(Block { index, content });
        }
    }

    /// The same block begins once more.
    fn is_known(&self, index: u64, content: &BlockContent) -> bool {
        self.blocks.iter().any(|known| match (&known.content, content) {
            (BlockContent::Tool(known_call), BlockContent::Tool(call)) if !call.id.is_empty() => {
                known_call.id == call.id && known.index == index
            }
            (known_content, content) => {
                known.index == index && std::mem::discriminant(known_content) == std::mem::discriminant(content)
            }
        })
    }

    fn add(&mut self, event: &Value, said: &mut Vec<String>) {
        let index = self.index_of(event, self.blocks.last().map_or(0, |last| last.index));
        let delta = &event["delta"];
        // Words are words, whether or not their block was announced.
        if delta["type"].as_str().is_none_or(|kind| kind == "text_delta") {
            said.extend(filled(&delta["text"]).map(str::to_owned));
        }
        let block = self.blocks.iter_mut().rev().find(|block| block.index == index);
        match block.map(|block| &mut block.content) {
            Some(BlockContent::Tool(call)) => match &delta["partial_json"] {
                Value::String(part) => call.push_arguments(part),
                Value::Object(_) => {
                    call.arguments.clear();
                    call.push_arguments(&delta["partial_json"].to_string());
                }
                _ => {}
            },
            Some(BlockContent::Thinking(block)) => {
                for name in ["thinking", "signature"] {
                    if let Some(part) = filled(&delta[name]) {
                        append(block, name, part);
                    }
                }
            }
            Some(BlockContent::Other) | None => {}
        }
    }
}

/// Thoughts that grow too long are not kept: they lose their signature, without which the vendor does not take them.
fn append(block: &mut Map<String, Value>, name: &str, part: &str) {
    if block.is_empty() {
        return;
    }
    let known = block.get(name).and_then(Value::as_str).unwrap_or_default();
    if known.len() + part.len() <= ToolCall::OPAQUE_BYTES_MAX {
        let text = format!("{known}{part}");
        block.insert(name.to_owned(), Value::String(text));
    } else {
        block.clear();
    }
}

#[cfg(test)]
mod tests;
