//! Reads the names and arguments of calls in every form that models write.

use super::frames::without_namespaces;
use serde_json::{Map, Value};
use trunkline_domain::chat::ToolOffer;

/// Places of one text at which JSON is looked for.
const PLACES_MAX: usize = 200;
/// Names of the arguments in JSON.
const ARGUMENTS: [&str; 7] = ["arguments", "parameters", "args", "input", "params", "tool_input", "action_input"];
/// Names of the name.
const NAMES: [&str; 5] = ["name", "tool", "tool_name", "function", "action"];
/// What may stand beside a name without arguments.
const BESIDE: [&str; 3] = ["type", "id", "index"];

/// A tool that was offered, as far as calls of it are read.
#[derive(Clone, Debug)]
pub(super) struct KnownTool {
    pub(super) name: String,
    /// Names of the arguments, and whether each is a text.
    arguments: Vec<(String, bool)>,
}

impl KnownTool {
    pub(super) fn new(offer: &ToolOffer) -> Self {
        let properties = offer.parameters["properties"].as_object().into_iter().flatten();
        let arguments = properties.map(|(name, schema)| (name.clone(), schema["type"] == "string")).collect();
        Self { name: offer.name.clone(), arguments }
    }

    /// A value as the argument of this name is written: a text where the schema wants one.
    fn fitting(&self, name: &str, value: Value) -> Value {
        let is_text = self.arguments.iter().any(|(known, is_text)| known == name && *is_text);
        match value {
            value if !is_text || value.is_string() || value.is_null() => value,
            value => Value::String(value.to_string()),
        }
    }
}

/// The name without what servers write around it: "functions.find:0".
pub(super) fn bare_name(name: &str) -> &str {
    let name = name.trim().trim_matches(['"', '\'', '`']);
    let name = name.strip_prefix("functions.").unwrap_or(name);
    name.split(':').next().unwrap_or(name).trim()
}

/// A name without the tokens around it, and without brackets behind it.
pub(super) fn without_marks(name: &str) -> &str {
    let mut name = name.trim();
    while let Some((_, rest)) = name.strip_prefix("<|").and_then(|rest| rest.split_once("|>")) {
        name = rest.trim_start();
    }
    let end = name.find("<|").unwrap_or(name.len());
    name[..end].split('(').next().unwrap_or_default()
}

/// The small letters and digits of a name.
pub(super) fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The calls in a text: names, and arguments as JSON. Names may be unknown.
pub(super) fn calls_in(text: &str, tools: &[KnownTool]) -> Vec<(String, String)> {
    let plain = without_namespaces(text);
    if plain.contains("<parameter") || plain.contains("<arg_key>") {
        return calls_in_tags(&plain, tools);
    }
    let mut calls = Vec::new();
    let (mut from, mut done) = (0, 0);
    for _ in 0..PLACES_MAX {
        let Some(at) = text.get(from..).and_then(|rest| rest.find(['{', '['])).map(|at| from + at) else { break };
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else {
            from = at + 1;
            continue;
        };
        let before = text.get(done..at).unwrap_or_default();
        from = at + values.byte_offset();
        done = from;
        let made = calls_of(&value, tools);
        if made.is_empty() && value.is_object() {
            calls.extend(last_known(before, tools).map(|name| (name.to_owned(), value.to_string())));
        }
        calls.extend(made);
    }
    if calls.is_empty() {
        calls = function_calls(text, tools);
    }
    if calls.is_empty() { named_objects(text, tools) } else { calls }
}

/// The last name of a tool in a text.
fn last_known<'a>(text: &str, tools: &'a [KnownTool]) -> Option<&'a str> {
    let words = text.rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
    let mut known = words.filter_map(|word| tools.iter().find(|tool| tool.name == word));
    known.next().map(|tool| tool.name.as_str())
}

fn calls_of(value: &Value, tools: &[KnownTool]) -> Vec<(String, String)> {
    match value {
        Value::Array(all) => all.iter().filter_map(|one| call_of(one).or_else(|| keyed_call(one, tools))).collect(),
        Value::Object(fields) => match fields.get("tool_calls").and_then(Value::as_array) {
            Some(all) => all.iter().filter_map(call_of).collect(),
            None => call_of(value).or_else(|| keyed_call(value, tools)).into_iter().collect(),
        },
        _ => Vec::new(),
    }
}

/// `{"find_order": {"number": "12"}}`.
fn keyed_call(value: &Value, tools: &[KnownTool]) -> Option<(String, String)> {
    let mut fields = value.as_object()?.iter();
    let (name, arguments) = fields.next().filter(|(_, arguments)| arguments.is_object())?;
    let is_call = fields.next().is_none() && tools.iter().any(|tool| tool.name == *name);
    is_call.then(|| (name.clone(), arguments.to_string()))
}

/// A call with an input that is a JSON object, or values as they are said.
pub(super) fn call_with(tool: &KnownTool, input: &str) -> (String, String) {
    let input = input.trim();
    let object = input.find('{').and_then(|at| {
        let mut values = serde_json::Deserializer::from_str(input.get(at..)?).into_iter::<Map<String, Value>>();
        values.next()?.ok()
    });
    let arguments = match object {
        Some(object) => object,
        // An object that was cut is none; the tool says what it misses.
        None if input.starts_with('{') => Map::new(),
        None => {
            let line = input.lines().next().unwrap_or_default().trim_matches(['`', ' ', '*']);
            let named = named_values(line, tool);
            named.into_iter().map(|(name, value)| (name.clone(), tool.fitting(&name, value))).collect()
        }
    };
    (tool.name.clone(), Value::Object(arguments).to_string())
}

/// `call:find_order{number:<escape>12<escape>}`: values in marks of their own (Gemma).
fn named_objects(text: &str, tools: &[KnownTool]) -> Vec<(String, String)> {
    let text = text.replace("<escape>", "\"").replace("<|\"|>", "\"");
    let calls = text.split("call:").skip(1).filter_map(|call| {
        let (name, behind) = call.split_once('{')?;
        let tool = tools.iter().find(|tool| tool.name == bare_name(name))?;
        let inner = behind.rsplit_once('}').map_or(behind, |(inner, _)| inner);
        let pairs = parts(inner).into_iter().filter_map(|part| part.split_once(':'));
        let arguments = pairs.map(|(name, value)| {
            let name = name.trim().trim_matches('"');
            (name.to_owned(), tool.fitting(name, literal(value.trim())))
        });
        Some((tool.name.clone(), Value::Object(arguments.collect()).to_string()))
    });
    calls.collect()
}

fn call_of(value: &Value) -> Option<(String, String)> {
    let fields = value.as_object()?;
    let call = fields.get("function").and_then(Value::as_object).unwrap_or(fields);
    let key = NAMES.into_iter().find(|key| call.get(*key).is_some_and(Value::is_string))?;
    let name = bare_name(call.get(key)?.as_str()?).to_owned();
    let arguments = ARGUMENTS.into_iter().find_map(|key| call.get(key));
    let is_bare = call.keys().all(|field| field == key || BESIDE.contains(&field.as_str()));
    let arguments = match arguments {
        Some(Value::String(text)) if serde_json::from_str::<Map<String, Value>>(text).is_ok() => text.clone(),
        Some(arguments @ Value::Object(_)) => arguments.to_string(),
        Some(_) => "{}".to_owned(),
        None if is_bare && (key != "name" || call.len() > 1) => "{}".to_owned(),
        None => return None,
    };
    (!name.is_empty() && !name.contains(char::is_whitespace)).then_some((name, arguments))
}

/// `<function=find><parameter=number>12</parameter></function>`, `<invoke name="find"><parameter name="number">12…`,
/// `<tool_call>find<arg_key>number</arg_key><arg_value>12</arg_value></tool_call>`.
fn calls_in_tags(text: &str, tools: &[KnownTool]) -> Vec<(String, String)> {
    let starts = ["<function=", "<invoke", "<tool_call>"];
    let own = starts.into_iter().find(|start| text.contains(start));
    let Some(start) = own else { return Vec::new() };
    let mut calls = Vec::new();
    for part in text.split(start).skip(1) {
        let head = part.split_once(['>', '<']).map_or(part, |(head, _)| head);
        let name = match start {
            "<invoke" => attribute(head),
            _ => head,
        };
        let name = bare_name(name).to_owned();
        let tool = tools.iter().find(|tool| tool.name == name);
        let mut arguments = Map::new();
        for one in part.split("<parameter").skip(1) {
            let Some((key, rest)) = one.split_once('>') else { continue };
            let value = rest.split_once("</parameter>").map_or(rest, |(value, _)| value);
            add_value(&mut arguments, tool, attribute(key), value);
        }
        for one in part.split("<arg_key>").skip(1) {
            let Some((key, rest)) = one.split_once("</arg_key>") else { continue };
            let value = rest.split_once("<arg_value>").map_or("", |(_, value)| value);
            let value = value.split_once("</arg_value>").map_or(value, |(value, _)| value);
            add_value(&mut arguments, tool, key.trim(), value);
        }
        calls.push((name, Value::Object(arguments).to_string()));
    }
    calls
}

/// The value of `name="number"` or `=number`.
fn attribute(text: &str) -> &str {
    let value = text.split_once('=').map_or(text, |(_, value)| value).trim();
    let end = value.find(|c: char| c.is_whitespace()).unwrap_or(value.len());
    value.get(..end).unwrap_or(value).trim_matches(['"', '\''])
}

/// `number="12" day='Friday'`.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, behind) = rest.split_once('=')?;
        let behind = behind.trim_start();
        let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, behind) = behind.get(1..)?.split_once(quote)?;
        rest = behind;
        Some((name.trim(), value))
    })
}

pub(super) fn add_value(arguments: &mut Map<String, Value>, tool: Option<&KnownTool>, name: &str, text: &str) {
    let text = text.trim();
    let is_text = tool.is_some_and(|tool| tool.arguments.iter().any(|(known, is_text)| known == name && *is_text));
    let value = if is_text { None } else { serde_json::from_str(text).ok() };
    arguments.insert(name.to_owned(), value.unwrap_or_else(|| Value::String(text.to_owned())));
}

/// Where the bracket behind a name is: `find(`, `find.call(`.
pub(super) fn bracket_behind(text: &str, name: &str) -> Option<usize> {
    let behind = text.strip_prefix(name)?;
    let method =
        behind.strip_prefix('.').map(|method| method.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    let rest = method.unwrap_or(behind);
    rest.starts_with('(').then(|| text.len() - rest.len())
}

/// `find(number="12")`, as in Python.
fn function_calls(text: &str, tools: &[KnownTool]) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    let (mut from, mut is_word) = (0, false);
    while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
        let found = tools.iter().filter(|_| !is_word).find(|tool| bracket_behind(rest, &tool.name).is_some());
        if let Some((tool, end)) = found.and_then(|tool| Some((tool, bracket_end(rest)?))) {
            let open = bracket_behind(rest, &tool.name).unwrap_or_default();
            let inner = rest.get(open + 1..end.saturating_sub(1)).unwrap_or_default();
            // "book(s)" are words.
            if inner.trim().is_empty() || inner.contains(['=', '"', '\'', '{']) || inner.contains(char::is_numeric) {
                calls.push((tool.name.clone(), Value::Object(named_values(inner, tool)).to_string()));
            }
            from += end;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        is_word = c.is_alphanumeric() || c == '_';
        from += c.len_utf8();
    }
    calls
}

/// Values by name, and by place where the tool has only one.
fn named_values(text: &str, tool: &KnownTool) -> Map<String, Value> {
    let mut values = Map::new();
    for part in parts(text) {
        let named = part.split_once('=').filter(|(name, _)| {
            let name = name.trim();
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        });
        match (named, tool.arguments.as_slice()) {
            (Some((name, value)), _) => {
                values.insert(name.trim().to_owned(), literal(value.trim()));
            }
            (None, [(only, _)]) => {
                values.insert(only.clone(), literal(part.trim()));
            }
            (None, _) => {}
        }
    }
    values
}

fn literal(text: &str) -> Value {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return Value::String(inner.replace("\\'", "'").replace("\\\"", "\""));
        }
    }
    match text {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// Walks over a text outside of its quotes; `visit` gets each character's place and the depth of brackets before it, and
/// says where to stop.
fn outside_quotes(text: &str, mut visit: impl FnMut(usize, char, usize) -> bool) {
    let (mut quote, mut escaped, mut depth) = (None, false, 0_usize);
    for (at, c) in text.char_indices() {
        if let Some(open) = quote {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == open {
                quote = None;
            }
            continue;
        }
        if visit(at, c, depth) {
            return;
        }
        match c {
            '"' | '\'' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Behind the bracket that closes the first round one.
pub(super) fn bracket_end(text: &str) -> Option<usize> {
    let open = text.find('(')?;
    let mut end = None;
    outside_quotes(text.get(open..)?, |at, c, depth| {
        if c == ')' && depth == 1 {
            end = Some(open + at + 1);
        }
        end.is_some()
    });
    end
}

fn parts(text: &str) -> Vec<&str> {
    let (mut all, mut from) = (Vec::new(), 0);
    outside_quotes(text, |at, c, depth| {
        if c == ',' && depth == 0 {
            all.push(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        false
    });
    all.push(text.get(from..).unwrap_or_default());
    all.into_iter().filter(|part| !part.trim().is_empty()).collect()
}
