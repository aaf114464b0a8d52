//! What the servers of models do not take, or want. Model ids are passed through, so it is learnt from refusals: a request is
//! adapted and sent again, and later requests are adapted from the start.

use super::answer_limit::{self, AnswerLimits};
use super::context_limit::{self, ContextLimits};
use super::refusal_words::{
    ONLY_TWO_ROLES, is_about_id_form, is_about_ids, is_about_result_names, is_about_template, is_about_tool_role,
    is_about_tool_use, is_named, names, names_all_tools,
};
use super::{plain_schemas, tool_messages};
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
/// The chat template knows no system message (Gemma).
const NO_SYSTEM: &str = "no system";
/// Tools are not known at all.
const NO_TOOLS: &str = "no tools";
/// Schemas of tools have plain keywords alone (grammars, Gemini).
const PLAIN_SCHEMAS: &str = "plain schemas";
/// Answers are not streamed.
const NO_STREAM: &str = "no stream";
/// Statuses of refusals of what was sent. Others, but for 400 and 422, are used for trouble of the server too: there a
/// parameter has to be named in a frame.
const REFUSALS: [u16; 7] = [400, 404, 405, 413, 422, 500, 501];
/// What a request is not one without; the shape of an answer is asked for in weaker forms elsewhere.
const ESSENTIAL: [&str; 10] = [
    "model",
    "messages",
    "system",
    "stream",
    "tools",
    "response_format",
    "output_config",
    "output_format",
    NEW_LIMIT,
    OLD_LIMIT,
];
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
/// Models remembered.
const MODELS_MAX: u64 = 1_000;
/// Tools remembered for each model.
const REFUSED_TOOLS_MAX: usize = 128;
/// Further parameters remembered for each model.
const REFUSED_FIELDS_MAX: usize = 64;

/// What is known of one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownOfModel {
    known: Arc<[&'static str]>,
    fields: Arc<[String]>,
}

/// Shared by all calls; by address and model.
#[derive(Clone, Debug)]
pub struct UnsupportedParameters {
    known: Cache<String, Arc<[&'static str]>>,
    /// Further parameters that were refused, as JSON pointers.
    refused_fields: Cache<String, Arc<[String]>>,
    /// Tools whose definitions were refused, by their digests.
    refused_tools: Cache<String, Arc<[[u8; 32]]>>,
    answer_limits: AnswerLimits,
    contexts: ContextLimits,
}

impl Default for UnsupportedParameters {
    fn default() -> Self {
        Self {
            known: Cache::new(MODELS_MAX),
            refused_fields: Cache::new(MODELS_MAX),
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

    /// What is known, to be restored.
    pub fn known_of(&self, model: &str) -> KnownOfModel {
        KnownOfModel { known: self.for_model(model), fields: self.refused_fields.get(model).unwrap_or_default() }
    }

    /// Forgets what was learnt since then: the same refusal has come again, so it was about something else.
    pub fn restore(&self, model: &str, before: KnownOfModel) {
        if self.known_of(model) != before {
            tracing::info!(model, "a refusal came again without what it named; that is sent again");
            self.known.insert(model.to_owned(), before.known);
            self.refused_fields.insert(model.to_owned(), before.fields);
        }
    }

    /// The body as this model takes it, by what is known.
    pub fn adapted(&self, model: &str, body: &Value) -> Value {
        let known = self.for_model(model);
        let mut body = body.clone();
        self.contexts.shorten(model, &mut body);
        let is_without_calls = body[TOOL_CHOICE] == "none" && known.contains(&TOOL_CHOICE);
        let left_out: Vec<&str> = DISPENSABLE.into_iter().filter(|name| known.contains(name)).collect();
        remove_fields(&mut body, &left_out);
        if body["output_config"].as_object().is_some_and(serde_json::Map::is_empty) {
            remove_at(&mut body, "/output_config");
        }
        for pointer in self.refused_fields.get(model).unwrap_or_default().iter() {
            remove_at(&mut body, pointer);
        }
        if known.contains(&PLAIN_SCHEMAS) {
            plain_schemas::write(&mut body);
        }
        if known.contains(&NO_STREAM) && body["stream"] == true {
            remove_at(&mut body, "/stream_options");
            body["stream"] = json!(false);
        }
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
        if !REFUSALS.contains(&status) {
            return false;
        }
        let words = message.to_lowercase();
        if context_limit::is_too_long(&words) && !matches!(status, 404 | 405 | 501) {
            return self.record_limit(model, sent, &words) || self.record_context(model, body, sent);
        }
        if status == 413 {
            return false;
        }
        // Elsewhere a word may have come by chance.
        let is_plain = matches!(status, 400 | 422);
        let is_about_form = is_about_template(&words) || is_about_ids(&words);
        self.record_wish(model, body, sent, &words)
            || (is_plain || is_about_form) && self.record_content(model, sent, &words)
            || self.record_limit(model, sent, &words)
            || self.record_tool_choice(model, sent, &words)
            || self.record_parameter(model, sent, &words, is_plain)
            || self.record_field(model, body, sent, &words)
            || has_tools(sent) && self.record_tools(model, body, sent, &words)
            || status != 500 && self.record_stream(model, sent, &words)
    }

    /// Tools are refused: all of them, their schemas, or one.
    fn record_tools(&self, model: &str, body: &Value, sent: &Value, words: &str) -> bool {
        if is_about_tool_use(words) {
            return self.record_no_tools(model);
        }
        self.record_schemas(model, body, sent, words)
            || self.record_tool(model, sent, words)
            || (names_all_tools(words) || is_about_template(words)) && self.record_no_tools(model)
    }

    fn record_no_tools(&self, model: &str) -> bool {
        tracing::warn!(model, "a model's server takes no tools: its agents cannot hang up, transfer or look things up");
        self.remember(model, NO_TOOLS);
        true
    }

    /// A keyword of a schema is named, or a grammar cannot be made of one.
    fn record_schemas(&self, model: &str, body: &Value, sent: &Value, words: &str) -> bool {
        let keywords = plain_schemas::other_keywords(sent);
        let is_about_schemas = ["schema", "grammar", "function_declarations"].iter().any(|said| words.contains(said));
        let is_named = || keywords.iter().any(|keyword| names(words, &keyword.to_lowercase()));
        if keywords.is_empty() || !(is_about_schemas || is_named()) {
            return false;
        }
        self.remember(model, PLAIN_SCHEMAS);
        self.adapted(model, body) != *sent
    }

    /// A further parameter is named: one of the agent's `extra_body`, or a part of it.
    fn record_field(&self, model: &str, body: &Value, sent: &Value, words: &str) -> bool {
        let Some(fields) = sent.as_object() else { return false };
        let own: Vec<_> = fields.iter().filter(|(name, _)| !ESSENTIAL.contains(&name.as_str())).collect();
        let named = |name: &str| names(words, &name.to_lowercase());
        let whole = own.iter().find(|(name, _)| named(name)).map(|(name, _)| pointer_to("", name));
        let within = || own.iter().find_map(|(name, value)| pointer_within(value, &pointer_to("", name), &named));
        // The shape of an answer goes by the same name, and is asked for in weaker forms elsewhere.
        let has_effort_alone = sent["output_config"]["format"].is_null() && !sent["output_config"]["effort"].is_null();
        let effort = || (has_effort_alone && named("output_config")).then(|| "/output_config/effort".to_owned());
        let Some(pointer) = whole.or_else(effort).or_else(within) else { return false };
        tracing::info!(model, pointer, "a model does not take a further parameter; it is left out from now on");
        self.refused_fields.entry_by_ref(model).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            known.iter().cloned().chain([pointer]).take(REFUSED_FIELDS_MAX).collect()
        });
        self.adapted(model, body) != *sent
    }

    /// A stream is refused: a whole answer is read as well.
    fn record_stream(&self, model: &str, sent: &Value, words: &str) -> bool {
        let is_refused = sent["stream"] == true && ["stream", "streaming"].iter().any(|name| names(words, name));
        if is_refused {
            self.remember(model, NO_STREAM);
        }
        is_refused
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
        let wish = match () {
            () if is_about_id_form(words) => SHORT_IDS,
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
    fn record_parameter(&self, model: &str, sent: &Value, words: &str, is_plain: bool) -> bool {
        let is_named = |name: &str| if is_plain { is_named(words, name) } else { names(words, name) };
        let named =
            DISPENSABLE.into_iter().find(|name| is_named(name) && mentions(sent, name) && !self.knows(model, name));
        let Some(named) = named else { return false };
        self.remember(model, named);
        true
    }

    /// One tool is named by its place, or as what has a bad schema: it costs that tool, not the conversation.
    fn record_tool(&self, model: &str, sent: &Value, words: &str) -> bool {
        let place = words.split("tools").skip(1).find_map(|rest| {
            let digits = rest.trim_start_matches(['[', '.', '/', ' ']);
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits.get(..end)?.parse::<usize>().ok()
        });
        let name_of = |tool: &Value| tool["function"]["name"].as_str().or(tool["name"].as_str()).map(str::to_lowercase);
        let by_name = || {
            let mut tools = sent["tools"].as_array()?.iter();
            tools.find(|tool| words.contains("schema") && name_of(tool).is_some_and(|name| names(words, &name)))
        };
        let by_place = place.and_then(|place| sent["tools"].get(place));
        let Some(tool) = by_place.or_else(by_name) else { return false };
        let name = name_of(tool).unwrap_or_default();
        tracing::warn!(model, tool = name, "a model does not take a tool; it is not offered from now on");
        self.refused_tools.entry_by_ref(model).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value).unwrap_or_default();
            known.iter().rev().take(REFUSED_TOOLS_MAX - 1).copied().chain([digest(tool)]).collect()
        });
        true
    }
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

fn pointer_to(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The first part of a value whose name fits.
fn pointer_within(value: &Value, at: &str, fits: &impl Fn(&str) -> bool) -> Option<String> {
    let fields = value.as_object()?;
    let own = fields.keys().find(|name| fits(name)).map(|name| pointer_to(at, name));
    own.or_else(|| fields.iter().find_map(|(name, part)| pointer_within(part, &pointer_to(at, name), fits)))
}

/// Takes out one field, and the objects around it that have nothing else.
fn remove_at(body: &mut Value, pointer: &str) {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let name = name.replace("~1", "/").replace("~0", "~");
    let Some(fields) = body.pointer_mut(parent).and_then(Value::as_object_mut) else { return };
    let is_alone = fields.remove(&name).is_some() && fields.is_empty();
    if is_alone && !parent.is_empty() {
        remove_at(body, parent);
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
