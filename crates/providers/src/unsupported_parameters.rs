//! What the servers of models do not take, or want. Model ids are passed through, so it is learnt from refusals: a request is
//! adapted and sent again, and later requests are adapted from the start.

use super::answer_limit::{self, AnswerLimits};
use super::context_limit::{self, ContextLimits};
use super::tool_messages;
use moka::sync::Cache;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Parameters that are worth having and that an answer can do without.
const DISPENSABLE: [&str; 13] = [
    "temperature",
    "top_p",
    "stop",
    "stop_sequences",
    "effort",
    "stream_options",
    "prompt_cache_key",
    "parallel_tool_calls",
    "reasoning_effort",
    "strict",
    "cache_control",
    "thinking",
    TOOL_CHOICE,
];
/// Without it, a model that is to call no tool is offered none.
const TOOL_CHOICE: &str = "tool_choice";
/// A server that wants it said is told what all others take for granted: the model chooses.
const SAYS_TOOL_CHOICE: &str = "says tool choice";
/// How servers say that it is missing.
const MISSING_WORDS: [&str; 8] =
    ["required", "missing", "must be", "must specify", "must set", "provide", "expected", "cannot be empty"];
/// Sent only to a model whose server asks for it.
const THOUGHTS: [&str; 2] = ["reasoning_content", "reasoning"];
/// Thoughts are returned beside their tool calls.
const RETURNS_THOUGHTS: &str = "returns thoughts";
/// Ids of tool calls have nine letters and digits (Mistral's templates).
const SHORT_IDS: &str = "short ids";
/// Results of tools have the name of their tool (Gemini).
const NAMED_RESULTS: &str = "named results";
/// The chat template knows no messages of tools: results are words of the user.
const RESULTS_AS_WORDS: &str = "results as words";
/// How servers say that an id has a wrong form.
const ID_FORM_WORDS: [&str; 9] =
    ["length", "alphanumeric", "pattern", "a-z", "{9}", "9 char", "nine char", "too long", "regex"];
/// How servers say that a role is unknown.
const ROLE_WORDS: [&str; 9] =
    ["support", "got", "unknown", "unexpected", "not allowed", "one of", "unrecognized", "not valid", "invalid role"];
/// How templates say that they know two roles alone.
const ONLY_TWO_ROLES: &str = "only user and assistant roles";
/// The chat template knows no system message (Gemma).
const NO_SYSTEM: &str = "no system";
/// Tools are not known at all.
const NO_TOOLS: &str = "no tools";
/// The limit of an answer has its other name: OpenAI's newer models take `max_completion_tokens` only, older servers
/// `max_tokens` only.
const NEW_LIMIT: &str = "max_completion_tokens";
const OLD_LIMIT: &str = "max_tokens";
/// Beside calls of tools, no words are an empty text: null is refused.
const EMPTY_CONTENT: &str = "empty content";
/// An empty text is refused as well.
const FILLED_CONTENT: &str = "filled content";
/// Nothing of it can be spoken, if the model should repeat it.
const NO_WORDS: &str = "…";
/// How servers say that a text is missing, or empty.
const NO_TEXT_WORDS: [&str; 7] = ["string", "null", "none", "required", "missing", "must not be", "invalid"];
const EMPTY_WORDS: [&str; 6] = ["empty", "blank", "non-empty", "at least", "too short", "whitespace"];
/// How servers say so.
const NO_TOOLS_WORDS: [&str; 12] = [
    "does not support tool",
    "do not support tool",
    "not support tool",
    "tools are not supported",
    "tools is not supported",
    "tool use is not supported",
    "support tool use",
    "tool calling is not supported",
    "does not support function",
    "function calling is not",
    "--enable-auto-tool-choice",
    "tools param requires",
];
/// Models remembered.
const MODELS_MAX: u64 = 1_000;
/// Tools remembered for each model.
const REFUSED_TOOLS_MAX: usize = 128;

/// Shared by all calls; by address and model.
#[derive(Clone, Debug)]
pub struct UnsupportedParameters {
    known: Cache<String, Arc<[&'static str]>>,
    /// Tools whose definitions were refused, by their digests.
    refused_tools: Cache<String, Arc<[[u8; 32]]>>,
    answer_limits: AnswerLimits,
    contexts: ContextLimits,
}

impl Default for UnsupportedParameters {
    fn default() -> Self {
        Self {
            known: Cache::new(MODELS_MAX),
            refused_tools: Cache::new(MODELS_MAX),
            answer_limits: AnswerLimits::default(),
            contexts: ContextLimits::default(),
        }
    }
}

impl UnsupportedParameters {
    /// What is known of a model so far.
    pub fn for_model(&self, model: &str) -> Arc<[&'static str]> {
        self.known.get(model).unwrap_or_default()
    }

    fn knows(&self, model: &str, what: &'static str) -> bool {
        self.for_model(model).contains(&what)
    }

    /// Remembers something of a model.
    pub fn remember(&self, model: &str, what: &'static str) {
        if self.knows(model, what) {
            return;
        }
        tracing::info!(model, what, "a model does not take this, or wants it; requests are adapted from now on");
        self.known.entry_by_ref(model).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            known.iter().copied().chain([what]).collect()
        });
    }

    fn forget(&self, model: &str, what: &'static str) {
        let kept = self.for_model(model).iter().copied().filter(|known| *known != what).collect();
        self.known.insert(model.to_owned(), kept);
    }

    /// The body as this model takes it, by what is known.
    pub fn adapted(&self, model: &str, body: &Value) -> Value {
        let known = self.for_model(model);
        let mut body = body.clone();
        self.contexts.shorten(model, &mut body);
        let is_without_calls = body[TOOL_CHOICE] == "none" && known.contains(&TOOL_CHOICE);
        let left_out: Vec<&str> = DISPENSABLE.into_iter().filter(|name| known.contains(name)).collect();
        remove_fields(&mut body, &left_out);
        if !known.contains(&RETURNS_THOUGHTS) {
            for_each_message(&mut body, |message| {
                if let Some(fields) = message.as_object_mut() {
                    fields.retain(|name, _| !THOUGHTS.contains(&name.as_str()));
                }
            });
        }
        if known.contains(&SHORT_IDS) {
            for_each_message(&mut body, tool_messages::shorten_ids);
        }
        if known.contains(&NAMED_RESULTS) {
            tool_messages::name_results(&mut body);
        }
        if known.contains(&RESULTS_AS_WORDS) {
            tool_messages::write_results_as_words(&mut body);
        }
        if known.contains(&NO_SYSTEM) {
            give_system_to_user(&mut body);
        }
        if known.contains(&EMPTY_CONTENT) {
            let words = if known.contains(&FILLED_CONTENT) { NO_WORDS } else { "" };
            for_each_message(&mut body, |message| give_content(message, words));
        }
        if known.contains(&SAYS_TOOL_CHOICE) && has_tools(&body) && body[TOOL_CHOICE].is_null() {
            body[TOOL_CHOICE] = if is_of_anthropic(&body) { json!({"type": "auto"}) } else { json!("auto") };
        }
        adapt_limit(&mut body, &known);
        self.answer_limits.adapt(model, &mut body);
        self.leave_out_tools(model, &mut body, is_without_calls || known.contains(&NO_TOOLS));
        body
    }

    fn leave_out_tools(&self, model: &str, body: &mut Value, all: bool) {
        let refused = self.refused_tools.get(model).unwrap_or_default();
        if !all && refused.is_empty() {
            return;
        }
        let Some(tools) = body.get_mut("tools").and_then(Value::as_array_mut) else { return };
        tools.retain(|tool| !all && !refused.contains(&digest(tool)));
        if tools.is_empty() {
            body.as_object_mut()
                .into_iter()
                .for_each(|fields| fields.retain(|name, _| name != "tools" && name != TOOL_CHOICE));
        }
    }

    /// Reads a refusal of `sent`, which `body` was adapted to; true when the next request will be another one.
    pub fn record_rejection(&self, model: &str, body: &Value, sent: &Value, status: u16, message: &str) -> bool {
        let words = message.to_lowercase();
        let has_tools = sent["tools"].is_array();
        if has_tools
            && matches!(status, 400 | 404 | 422 | 500 | 501)
            && NO_TOOLS_WORDS.iter().any(|said| words.contains(said))
        {
            tracing::warn!(
                model,
                "a model's server knows no tools: its agents cannot hang up, transfer or look things up"
            );
            self.remember(model, NO_TOOLS);
            return true;
        }
        if matches!(status, 400 | 413 | 422 | 500) && context_limit::is_too_long(&words) {
            return self.record_limit(model, sent, &words) || self.record_context(model, body, sent);
        }
        let is_about_form = words.contains("template") || is_about_ids(&words);
        if !matches!(status, 400 | 422) && (status != 500 || !is_about_form) {
            return false;
        }
        self.record_wish(model, body, sent, &words)
            || self.record_content(model, sent, &words)
            || self.record_limit(model, sent, &words)
            || self.record_tool_choice(model, sent, &words)
            || self.record_parameter(model, sent, &words)
            || has_tools && self.record_tool(model, sent, &words)
    }

    /// The server wants the conversation in another form.
    fn record_wish(&self, model: &str, body: &Value, sent: &Value, words: &str) -> bool {
        if words.contains("reasoning_content") || words.contains("`reasoning`") {
            if self.knows(model, RETURNS_THOUGHTS) {
                self.forget(model, RETURNS_THOUGHTS);
                return words.contains("not permitted") || words.contains("unsupported") || words.contains("unknown");
            }
            if has_thoughts(body) {
                self.remember(model, RETURNS_THOUGHTS);
                return true;
            }
        }
        let says = |all: &[&str]| all.iter().any(|said| words.contains(said));
        let wish = match () {
            () if is_about_ids(words) && says(&ID_FORM_WORDS) => SHORT_IDS,
            () if tool_messages::has_unnamed_results(sent) && is_about_result_names(words) => NAMED_RESULTS,
            () if tool_messages::has_role(sent, "tool") && is_about_tool_role(words) => RESULTS_AS_WORDS,
            () if words.contains("system") && words.contains("role") && words.contains("not support") => NO_SYSTEM,
            () if tool_messages::has_role(sent, "system") && words.contains(ONLY_TWO_ROLES) => NO_SYSTEM,
            () => return false,
        };
        let is_new = !self.knows(model, wish);
        self.remember(model, wish);
        is_new
    }

    /// The server wants a text beside calls of tools.
    fn record_content(&self, model: &str, sent: &Value, words: &str) -> bool {
        if !words.contains("content") {
            return false;
        }
        let says = |all: &[&str]| all.iter().any(|said| words.contains(said));
        let wish = if has_content(sent, &Value::Null) && says(&NO_TEXT_WORDS) {
            EMPTY_CONTENT
        } else if self.knows(model, EMPTY_CONTENT) && has_content(sent, &json!("")) && says(&EMPTY_WORDS) {
            FILLED_CONTENT
        } else {
            return false;
        };
        let is_new = !self.knows(model, wish);
        self.remember(model, wish);
        is_new
    }

    /// The conversation is too long: the next request has fewer turns, if it can have fewer.
    fn record_context(&self, model: &str, body: &Value, sent: &Value) -> bool {
        self.contexts.record(model, body);
        self.adapted(model, body) != *sent
    }

    /// The limit of an answer is too large, or has another name.
    fn record_limit(&self, model: &str, sent: &Value, words: &str) -> bool {
        let Some(name) = answer_limit::NAMES.into_iter().find(|name| !sent[*name].is_null()) else { return false };
        let limit = sent[name].as_u64().unwrap_or(0);
        let is_about_context = context_limit::is_too_long(words);
        if !(words.contains(name) || is_about_context && answer_limit::numbers(words).contains(&limit)) {
            return false;
        }
        if is_about_context || answer_limit::is_too_large(words) {
            return self.answer_limits.record(model, limit, words);
        }
        // Anthropic requires it.
        if sent["thinking"].is_object() {
            return false;
        }
        let other = if name == NEW_LIMIT { OLD_LIMIT } else { NEW_LIMIT };
        let is_new = !self.knows(model, name) && !self.knows(model, other);
        self.remember(model, other);
        is_new
    }

    /// The server wants `tool_choice` said, or takes back that it did.
    fn record_tool_choice(&self, model: &str, sent: &Value, words: &str) -> bool {
        if !is_named(words, TOOL_CHOICE) {
            return false;
        }
        if [&sent[TOOL_CHOICE], &sent[TOOL_CHOICE]["type"]].iter().any(|choice| **choice == "auto") {
            self.forget(model, SAYS_TOOL_CHOICE);
        }
        if !sent[TOOL_CHOICE].is_null() {
            return false;
        }
        let wants = has_tools(sent) && MISSING_WORDS.iter().any(|said| words.contains(said));
        let is_new = wants && !self.knows(model, SAYS_TOOL_CHOICE) && !self.knows(model, TOOL_CHOICE);
        if is_new {
            self.remember(model, SAYS_TOOL_CHOICE);
        }
        is_new
    }

    /// A parameter is named that can be left out.
    fn record_parameter(&self, model: &str, sent: &Value, words: &str) -> bool {
        let named = DISPENSABLE
            .into_iter()
            .find(|name| is_named(words, name) && mentions(sent, name) && !self.knows(model, name));
        let Some(named) = named else { return false };
        self.remember(model, named);
        true
    }

    /// One tool is named by its place: it costs that tool, not the conversation.
    fn record_tool(&self, model: &str, sent: &Value, words: &str) -> bool {
        let place = words.split("tools").skip(1).find_map(|rest| {
            let digits = rest.trim_start_matches(['[', '.', '/', ' ']);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits.get(..end)?.parse::<usize>().ok()
        });
        let Some(tool) = place.and_then(|place| sent["tools"].get(place)) else { return false };
        let name = tool["function"]["name"].as_str().or(tool["name"].as_str()).unwrap_or_default();
        tracing::warn!(model, tool = name, "a model does not take a tool; it is not offered from now on");
        self.refused_tools.entry_by_ref(model).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            known.iter().rev().take(REFUSED_TOOLS_MAX - 1).copied().chain([digest(tool)]).collect()
        });
        true
    }
}

/// Whether a refusal is about the ids of tool calls.
fn is_about_ids(words: &str) -> bool {
    let plain = words.replace(['_', '-', ' '], "");
    let is_in_calls = || {
        let named = [".id", "'id'", "\"id\"", "`id`", " id ", " ids"];
        plain.contains("toolcall") && named.iter().any(|name| words.contains(name))
    };
    plain.contains("toolcallid") || plain.contains("functioncallid") || is_in_calls()
}

/// Whether a refusal says that the results of tools need the names of their tools.
fn is_about_result_names(words: &str) -> bool {
    let is_about_results =
        ["function_response", "functionresponse", "'tool'", "`tool`", "\"tool\"", "tool message", "role tool"];
    let is_missing = ["empty", "missing", "required", "must"];
    let says = |all: &[&str]| all.iter().any(|said| words.contains(said));
    words.contains("name") && says(&is_about_results) && says(&is_missing)
}

/// Whether a refusal says that no message may be of a tool, and not where it has to stand.
fn is_about_tool_role(words: &str) -> bool {
    let is_about_place = words.contains("preced") || words.contains("preceed") || words.contains("follow");
    let is_named = words.contains("tool") && ROLE_WORDS.iter().any(|said| words.contains(said));
    words.contains("role") && !is_about_place && (is_named || words.contains(ONLY_TWO_ROLES))
}

/// Whether a parameter is named, in any way of writing. A short name has to stand alone: "stopped" has two in it.
fn is_named(words: &str, name: &str) -> bool {
    let bare = name.replace('_', "");
    if bare.len() <= 5 {
        let mut parts = words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        return parts.any(|part| part == name || part == bare);
    }
    words.replace(['_', ' ', '-'], "").contains(&bare)
}

/// The limit of an answer under the name that the model takes.
fn adapt_limit(body: &mut Value, known: &[&'static str]) {
    let Some(fields) = body.as_object_mut() else { return };
    for (from, to) in [(OLD_LIMIT, NEW_LIMIT), (NEW_LIMIT, OLD_LIMIT)] {
        if known.contains(&to)
            && let Some(limit) = fields.remove(from)
        {
            fields.insert(to.to_owned(), limit);
            break;
        }
    }
}

fn has_tools(body: &Value) -> bool {
    body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

/// Anthropic's tools have their schema under another name.
fn is_of_anthropic(body: &Value) -> bool {
    body["tools"][0]["input_schema"].is_object()
}

fn digest(tool: &Value) -> [u8; 32] {
    Sha256::digest(tool.to_string()).into()
}

fn has_thoughts(body: &Value) -> bool {
    let mut messages = body["messages"].as_array().into_iter().flatten();
    messages.any(|message| THOUGHTS.iter().any(|name| message.get(*name).is_some()))
}

/// Whether a message that calls tools has this content.
fn has_content(body: &Value, content: &Value) -> bool {
    let mut messages = body["messages"].as_array().into_iter().flatten();
    messages.any(|message| message["tool_calls"].is_array() && message["content"] == *content)
}

fn give_content(message: &mut Value, words: &str) {
    if message["tool_calls"].is_array() && message["content"].is_null() {
        message["content"] = json!(words);
    }
}

fn for_each_message(body: &mut Value, change: impl FnMut(&mut Value)) {
    body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

/// The system text becomes the beginning of the first user message.
fn give_system_to_user(body: &mut Value) {
    let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) else { return };
    if messages.len() < 2 || messages[0]["role"] != "system" {
        return;
    }
    let system = messages.remove(0);
    let text = |message: &Value| message["content"].as_str().unwrap_or_default().to_owned();
    messages[0]["content"] = json!(format!("{}\n\n{}", text(&system), text(&messages[0])));
}

/// Customers' own schemas, whose properties may have any name.
const FOREIGN: [&str; 3] = ["parameters", "input_schema", "schema"];

/// The body has a field of this name somewhere.
fn mentions(body: &Value, name: &str) -> bool {
    match body {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key == name || (!FOREIGN.contains(&key.as_str()) && mentions(value, name)))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, name)),
        _ => false,
    }
}

/// Takes fields out wherever they are.
fn remove_fields(body: &mut Value, names: &[&str]) {
    match body {
        Value::Object(fields) => {
            fields.retain(|key, _| !names.contains(&key.as_str()));
            let own = fields.iter_mut().filter(|(key, _)| !FOREIGN.contains(&key.as_str()));
            own.for_each(|(_, value)| remove_fields(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| remove_fields(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
