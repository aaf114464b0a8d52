//! Models that are as unpleasant as some servers are, by words in their name: `odd-strict-nulls` refuses what strict chat
//! templates and validators refuse, and writes null where a value is expected.
//!
//! | Word | The model |
//! | --- | --- |
//! | `strict` | takes one leading system message, alternating roles, harmless ids, JSON arguments, tools within the limits |
//! | `nulls` | writes null for deltas, choices and indexes |
//! | `untidy` | ends without finish reason and `[DONE]` |
//! | `thinker`, `lone`, `channels` | thinks aloud: between tags, before a closing tag alone, in channels |
//! | `silent` | says nothing, properly |
//! | `parallel` | gives all tool calls index 0 |
//! | `schemaless`, `shapeless` | knows no `json_schema`; no `response_format` at all |
//! | `toolless` | knows no tools |
//! | `ollama` | writes the role in every chunk, and tool calls without index that end with `stop` |
//! | `llamacpp` | writes null for words beside tool calls, and `timings` |
//! | `recalling` | wants its thoughts back beside its tool calls |
//! | `ndjson` | streams Ollama's own messages, one in each line |
//! | `returns` | ends its lines with CR alone, after a byte order mark |
//! | `wantschoice`, `nochoice` | wants `tool_choice` beside tools; takes none |
//! | `encoded` | says that its bodies are in gzip |
//! | `picky` | takes no optional parameter, and says so with 400, 404, 500 or 501 |
//! | `nosystem` | has a template without system messages, as llama.cpp reports it |
//! | `grammar` | cannot express `pattern` and `additionalProperties` of a tool's schema |
//! | `framed` | thinks aloud between Cohere's marks |

use serde_json::{Value, json};
use std::collections::HashSet;

/// How a model is odd.
#[derive(Clone, Debug, Default)]
pub(super) struct OddModel(Vec<String>);

/// A refusal: status and words.
pub(super) type Refused = (u16, String);

/// What vendors keep no answer to.
const UNKNOWN_KEYWORDS: [&str; 12] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "oneOf",
];

impl OddModel {
    pub(super) fn named(model: &str) -> Self {
        let words = model.strip_prefix("odd-").into_iter().flat_map(|words| words.split('-'));
        Self(words.map(str::to_owned).collect())
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.0.iter().any(|known| known == word)
    }

    /// What a server of this model refuses in a chat completion.
    pub(super) fn refuses_chat(&self, body: &Value) -> Option<Refused> {
        let bad = |message: &str| Some((400, message.to_owned()));
        let messages = body["messages"].as_array()?;
        let shape = body["response_format"]["type"].as_str().unwrap_or_default();
        if self.is("toolless") && body["tools"].is_array() {
            return bad("This model does not support tools");
        }
        if let Some(refused) = self.refuses_extra(body) {
            return Some(refused);
        }
        if self.is("wantschoice") && body["tools"].is_array() && body["tool_choice"].is_null() {
            return bad("tool_choice is required when tools are given");
        }
        if self.is("nochoice") && !body["tool_choice"].is_null() {
            return bad("tool_choice: Extra inputs are not permitted");
        }
        if self.is("shapeless") && !shape.is_empty() || self.is("schemaless") && shape == "json_schema" {
            return Some((400, format!("This model does not support response format `{shape}`.")));
        }
        let calls = |message: &&Value| message["tool_calls"].is_array();
        let recalls = |message: &Value| message["reasoning_content"].is_string();
        if self.is("recalling") && messages.iter().filter(calls).any(|message| !recalls(message)) {
            return bad("The reasoning_content in the thinking mode must be passed back to the API.");
        }
        if !self.is("strict") {
            return None;
        }
        if !self.is("recalling") && messages.iter().any(recalls) {
            return bad("reasoning_content: Extra inputs are not permitted");
        }
        wrong_order(messages).or_else(|| wrong_calls(messages)).or_else(|| wrong_tools(body))
    }

    /// What local servers and gateways refuse, in their words.
    fn refuses_extra(&self, body: &Value) -> Option<Refused> {
        let picky = [
            ("stream_options", 500, "Unsupported param: stream_options"),
            (
                "temperature",
                404,
                "No endpoints found that support the parameter temperature. To learn more, visit the docs",
            ),
            ("top_p", 501, "top_p is not implemented"),
            ("seed", 400, "json: unknown field \"seed\""),
        ];
        let sent = picky.iter().find(|(name, ..)| self.is("picky") && !body[*name].is_null());
        if let Some((_, status, message)) = sent {
            return Some((*status, (*message).to_owned()));
        }
        if self.is("nosystem") && body["messages"][0]["role"] == "system" {
            return Some((500, "Jinja Exception: System role not supported".to_owned()));
        }
        let schemas = body["tools"].to_string();
        let is_beyond = ["\"pattern\":", "\"additionalProperties\":"].iter().any(|keyword| schemas.contains(keyword));
        (self.is("grammar") && is_beyond).then(|| (400, "failed to parse grammar: unsupported pattern".to_owned()))
    }

    /// What is written of an answer, thoughts and all.
    pub(super) fn written(&self, reply: &str) -> String {
        let thought = "The caller wants to know something. Keep it short.";
        match () {
            () if self.is("silent") => String::new(),
            () if self.is("thinker") => format!("<think>{thought}</think>\n\n{reply}"),
            () if self.is("lone") => format!("{thought}\n</think>\n\n{reply}"),
            () if self.is("framed") => {
                format!("<|START_THINKING|>{thought}<|END_THINKING|><|START_RESPONSE|>{reply}<|END_RESPONSE|>")
            }
            () if self.is("channels") => {
                format!(
                    "<|channel|>analysis<|message|>{thought}<|end|><|start|>assistant<|channel|>final<|message|>{reply}"
                )
            }
            () => reply.to_owned(),
        }
    }

    /// A chunk as this model's server writes it; `None` for one that it leaves out.
    pub(super) fn chunk(&self, mut chunk: Value) -> Option<Value> {
        let is_end = !chunk["choices"][0]["finish_reason"].is_null() || !chunk["usage"].is_null();
        if self.is("untidy") && is_end {
            return None;
        }
        self.write_as_local_server(&mut chunk);
        if self.is("nulls") {
            let choices = chunk["choices"].as_array().map_or(0, Vec::len);
            if choices == 0 {
                chunk["choices"] = Value::Null;
            } else if chunk["choices"][0]["delta"] == json!({}) {
                chunk["choices"][0]["delta"] = Value::Null;
            }
            for call in
                chunk.pointer_mut("/choices/0/delta/tool_calls").and_then(Value::as_array_mut).into_iter().flatten()
            {
                call["index"] = Value::Null;
            }
        }
        Some(chunk)
    }
}

impl OddModel {
    /// A chunk as it is streamed; what the model leaves out is an empty line.
    pub(super) fn event(&self, chunk: Value) -> String {
        match self.chunk(chunk) {
            None => "\n".to_owned(),
            Some(chunk) if self.is("ndjson") => native_line(&chunk),
            Some(chunk) if self.is("returns") => format!("data: {chunk}\r\r"),
            Some(chunk) => format!("data: {chunk}\n\n"),
        }
    }

    /// What stands before the first chunk.
    pub(super) fn preamble(&self) -> &'static str {
        match () {
            () if self.is("ndjson") => "\n",
            () if self.is("returns") => "\u{feff}: keep-alive comment\r\r",
            () => ": keep-alive comment\n\n",
        }
    }

    /// What stands behind the last chunk.
    pub(super) fn end_mark(&self) -> Option<&'static str> {
        match () {
            () if self.is("untidy") || self.is("ndjson") => None,
            () if self.is("returns") => Some("data: [DONE]\r\r"),
            () => Some("data: [DONE]\n\n"),
        }
    }

    /// The encoding that the header of a body names.
    pub(super) fn encoding(&self) -> Option<&'static str> {
        self.is("encoded").then_some("gzip")
    }

    /// Ollama's and llama.cpp's own ways of writing a chunk.
    fn write_as_local_server(&self, chunk: &mut Value) {
        let has_calls = chunk["choices"][0]["delta"]["tool_calls"].is_array();
        let Some(choice) = chunk.pointer_mut("/choices/0") else { return };
        if self.is("ollama") {
            choice["delta"]["role"] = json!("assistant");
            if choice["delta"]["content"].is_null() {
                choice["delta"]["content"] = json!("");
            }
            if choice["finish_reason"] == "tool_calls" {
                choice["finish_reason"] = json!("stop");
            }
            for call in choice["delta"]["tool_calls"].as_array_mut().into_iter().flatten() {
                call.as_object_mut().and_then(|call| call.remove("index"));
            }
        }
        if self.is("llamacpp") {
            if has_calls {
                choice["delta"]["content"] = Value::Null;
            }
            chunk["timings"] = json!({"prompt_n": 5, "prompt_ms": 12.5, "predicted_n": 2, "predicted_ms": 20.25});
        }
    }
}

/// A chunk as a message of Ollama's own API.
fn native_line(chunk: &Value) -> String {
    let choice = &chunk["choices"][0];
    let calls = choice["delta"]["tool_calls"].as_array().into_iter().flatten().map(|call| {
        let function = &call["function"];
        let arguments: Value =
            function["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        json!({"function": {"name": function["name"], "arguments": arguments}})
    });
    let mut message = json!({"role": "assistant", "content": choice["delta"]["content"].as_str().unwrap_or_default()});
    let calls: Vec<Value> = calls.collect();
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let reason = choice["finish_reason"].as_str().map(|reason| if reason == "length" { "length" } else { "stop" });
    if !chunk["usage"].is_null() && choice.is_null() {
        return "\n".to_owned();
    }
    let line = json!({"model": chunk["model"], "message": message, "done": reason.is_some(), "done_reason": reason});
    format!("{line}\n")
}

fn role(message: &Value) -> &str {
    message["role"].as_str().unwrap_or_default()
}

/// What chat templates say of other orders than theirs.
fn wrong_order(messages: &[Value]) -> Option<Refused> {
    let bad = |message: &str| Some((400, message.to_owned()));
    if messages.iter().skip(1).any(|message| role(message) == "system") {
        return bad("System message must be at the beginning.");
    }
    if messages.iter().any(|message| message["content"].as_str().is_some_and(|text| text.trim().is_empty())) {
        return bad("content must not be empty");
    }
    // Calls and their results do not count as turns.
    let turns = messages.iter().map(|message| (role(message), message["tool_calls"].is_array()));
    let turns: Vec<&str> =
        turns.filter(|(role, calls)| matches!(*role, "user" | "assistant") && !calls).map(|(role, _)| role).collect();
    let wanted = ["user", "assistant"].into_iter().cycle();
    if turns.is_empty() || turns.iter().zip(wanted).any(|(role, wanted)| *role != wanted) {
        return bad(
            "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
        );
    }
    if messages.windows(2).any(|two| role(&two[0]) == "tool" && role(&two[1]) == "user") {
        return bad("Unexpected role 'user' after role 'tool'");
    }
    messages.last().filter(|last| role(last) == "assistant").and_then(|_| bad("Cannot answer an assistant message"))
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// Calls that are no JSON, that cannot be named, or that were not answered at once.
fn wrong_calls(messages: &[Value]) -> Option<Refused> {
    let mut used = HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        for (number, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let (id, name) =
                (call["id"].as_str().unwrap_or_default(), call["function"]["name"].as_str().unwrap_or_default());
            if !is_name(id) || !is_name(name) || !used.insert(id) {
                return Some((
                    400,
                    format!("tool_calls: {id:?} and {name:?} must match ^[a-zA-Z0-9_-]{{1,64}}$ and be unique"),
                ));
            }
            let arguments: Option<Value> =
                call["function"]["arguments"].as_str().and_then(|text| serde_json::from_str(text).ok());
            if !arguments.is_some_and(|arguments| arguments.is_object()) {
                return Some((500, "Failed to parse tool call arguments as JSON".to_owned()));
            }
            if messages.get(at + 1 + number).is_none_or(|result| result["tool_call_id"] != id) {
                return Some((400, format!("tool_call_id {id} did not have a response message")));
            }
        }
    }
    None
}

fn wrong_tools(body: &Value) -> Option<Refused> {
    let tools = body["tools"].as_array()?;
    if tools.len() > 128 {
        return Some((400, "array_above_max_length: tools has more than 128 items".to_owned()));
    }
    for (at, tool) in tools.iter().enumerate() {
        let function = &tool["function"];
        let parameters = &function["parameters"];
        let fault = match () {
            () if !is_name(function["name"].as_str().unwrap_or_default()) => "name: does not match the pattern",
            () if function["description"].as_str().unwrap_or_default().chars().count() > 1_024 => {
                "description: string too long. Expected a string with maximum length 1024"
            }
            () if parameters["type"] != "object" || !parameters["properties"].is_object() => {
                "parameters: object schema missing properties"
            }
            () if function["strict"] == true && parameters["additionalProperties"] != false => {
                "parameters: 'additionalProperties' is required to be supplied and to be false"
            }
            () => continue,
        };
        return Some((400, format!("Invalid 'tools[{at}].function.{fault}'")));
    }
    None
}

/// What Anthropic refuses of a schema that answers are to be kept to.
pub(super) fn refuses_schema(schema: &Value) -> Option<String> {
    let fields = schema.as_object()?;
    let is_object = fields.get("type").is_some_and(|kind| kind == "object" || kind == &json!(["object", "null"]));
    if is_object && fields.get("additionalProperties") != Some(&json!(false)) {
        return Some(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
                .to_owned(),
        );
    }
    if let Some(keyword) = UNKNOWN_KEYWORDS.iter().find(|keyword| fields.contains_key(**keyword)) {
        return Some(format!("output_config.format.schema: property '{keyword}' is not supported"));
    }
    let named =
        ["properties", "$defs"].iter().filter_map(|name| fields.get(*name)?.as_object()).flat_map(|all| all.values());
    let listed = ["anyOf"].iter().filter_map(|name| fields.get(*name)?.as_array()).flatten();
    named.chain(listed).chain(fields.get("items")).find_map(refuses_schema)
}

/// The schema that a prompt asks for, where the request has no other place for it.
pub(super) fn schema_in_prompt(prompt: &str) -> Option<Value> {
    let after = &prompt[prompt.find("JSON schema")?..];
    let start = after.find('{')?;
    serde_json::Deserializer::from_str(&after[start..]).into_iter().next()?.ok()
}
