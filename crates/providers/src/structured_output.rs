//! Answers in the shape of a schema, in the dialect that a vendor takes. The answer is held against the customer's own
//! schema afterwards, so a vendor may get less: what it does not take is said in words, or the schema stands in the prompt.

use serde_json::{Map, Value, json};
use trunkline_domain::chat::ChatMessage;

/// How a model is asked for the shape of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerShape {
    /// The vendor keeps the answer to the schema.
    Schema,
    /// The vendor keeps the answer to JSON; the schema stands in the prompt.
    JsonObject,
    /// The prompt alone asks for it.
    Words,
}

impl AnswerShape {
    /// The next one to try if a server refuses this one.
    pub fn weaker(self) -> Option<Self> {
        match self {
            Self::Schema => Some(Self::JsonObject),
            Self::JsonObject => Some(Self::Words),
            Self::Words => None,
        }
    }

    /// What its refusals are remembered by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "json_schema",
            Self::JsonObject => "json_object",
            Self::Words => "words",
        }
    }

    /// The messages, with the schema in the prompt where the vendor is not given it.
    pub fn ask(self, messages: &[ChatMessage], schema: &Value) -> Vec<ChatMessage> {
        let mut asked = messages.to_vec();
        if self != Self::Schema {
            let place = messages.iter().take_while(|message| matches!(message, ChatMessage::System(_))).count();
            let words =
                format!("Answer with one JSON object that fits this JSON schema, and with nothing else: {schema}");
            asked.insert(place, ChatMessage::System(words));
        }
        asked
    }
}

/// Words that combine schemas in ways that closed objects do not survive.
const COMBINING: [&str; 8] =
    ["allOf", "not", "if", "then", "else", "dependentSchemas", "unevaluatedProperties", "patternProperties"];
/// What a schema may say to every vendor that keeps answers to it.
const UNDERSTOOD: [&str; 14] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "definitions",
    "description",
    "title",
    "minItems",
];
/// Words about the schema itself: nothing that a model should be told.
const ABOUT_THE_SCHEMA: [&str; 9] =
    ["$schema", "$id", "$comment", "examples", "readOnly", "writeOnly", "deprecated", "default", "oneOf"];
/// Formats that Anthropic keeps to.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Schemas within schemas that are followed.
const DEPTH_MAX: usize = 32;

/// The schema with its objects closed, where that does not change what fits.
pub fn closed(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if !mentions(&schema, &COMBINING) {
        close(&mut schema);
    }
    schema
}

fn close(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    let has_properties = fields.get("properties").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
    let is_choice = ["anyOf", "oneOf", "$ref"].iter().any(|name| fields.contains_key(*name));
    if has_properties && !is_choice && !fields.contains_key("additionalProperties") {
        fields.insert("additionalProperties".to_owned(), json!(false));
    }
    // The branches of a choice have the properties that stand beside it as well.
    let branches: &[&str] = if has_properties { &[] } else { &["anyOf", "oneOf"] };
    for_each_schema(fields, branches, close);
}

/// Every schema right below this one, with those of these lists.
fn for_each_schema(fields: &mut Map<String, Value>, lists: &[&str], mut visit: impl FnMut(&mut Value)) {
    for name in ["items", "additionalProperties"] {
        fields.get_mut(name).filter(|value| value.is_object()).into_iter().for_each(&mut visit);
    }
    for name in ["properties", "$defs", "definitions"] {
        let named = fields.get_mut(name).and_then(Value::as_object_mut).into_iter().flatten();
        named.for_each(|(_, one)| visit(one));
    }
    for name in lists {
        fields.get_mut(*name).and_then(Value::as_array_mut).into_iter().flatten().for_each(&mut visit);
    }
}

/// A schema somewhere within uses one of these words.
fn mentions(schema: &Value, words: &[&str]) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    let inside = |name: &str, value: &Value| match (name, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            named.values().any(|one| mentions(one, words))
        }
        ("anyOf" | "oneOf" | "prefixItems", Value::Array(all)) => all.iter().any(|one| mentions(one, words)),
        ("items" | "additionalProperties", value) => mentions(value, words),
        _ => false,
    };
    fields.iter().any(|(name, value)| words.contains(&name.as_str()) || inside(name, value))
}

/// A schema that Anthropic keeps answers to: closed objects and the words it knows; the others are said in descriptions.
/// `None` where closed objects cannot say what is meant: any value, open maps, recursion.
pub fn for_anthropic(schema: &Value) -> Option<Value> {
    if mentions(schema, &COMBINING) || is_recursive(schema) {
        return None;
    }
    strict(schema, 0)
}

/// A schema that OpenAI's strict mode takes: as Anthropic's, and every property is required.
pub fn for_openai_strict(schema: &Value) -> Option<Value> {
    if mentions(schema, &COMBINING) || mentions(schema, &["oneOf"]) {
        return None;
    }
    strict(schema, 0).filter(requires_everything)
}

fn requires_everything(schema: &Value) -> bool {
    let Some(fields) = schema.as_object() else { return true };
    let required =
        |name: &String| fields.get("required").and_then(Value::as_array).is_some_and(|all| all.contains(&json!(name)));
    let properties = fields.get("properties").and_then(Value::as_object);
    let lists = ["anyOf"].iter().filter_map(|name| fields.get(*name)?.as_array()).flatten();
    let named = ["properties", "$defs", "definitions"].iter().filter_map(|name| fields.get(*name)?.as_object());
    properties.is_none_or(|all| all.keys().all(required))
        && named.flat_map(Map::values).chain(lists).chain(fields.get("items")).all(requires_everything)
}

fn strict(schema: &Value, depth: usize) -> Option<Value> {
    let fields = schema.as_object().filter(|_| depth < DEPTH_MAX)?;
    let mut kept = Map::new();
    let mut hints = Vec::new();
    for (name, value) in fields {
        match name.as_str() {
            "minItems" if value.as_u64().is_some_and(|items| items > 1) => hints.push(format!("minItems: {value}")),
            "format" if FORMATS.iter().any(|known| value == *known) => {
                kept.insert(name.clone(), value.clone());
            }
            known if UNDERSTOOD.contains(&known) => {
                kept.insert(name.clone(), value.clone());
            }
            about if ABOUT_THE_SCHEMA.contains(&about) => {}
            "prefixItems" => return None,
            _ => hints.push(format!("{name}: {value}")),
        }
    }
    if let Some(choice) = fields.get("oneOf") {
        kept.insert("anyOf".to_owned(), choice.clone());
    }
    complete(&mut kept)?;
    add_hints(&mut kept, &hints);
    let mut is_right = true;
    for_each_schema(&mut kept, &["anyOf"], |one| match strict(one, depth + 1) {
        Some(strict) => *one = strict,
        None => is_right = false,
    });
    is_right.then_some(Value::Object(kept))
}

/// Says what kind of value it is, and closes objects.
fn complete(fields: &mut Map<String, Value>) -> Option<()> {
    let is_choice = ["anyOf", "$ref", "enum", "const"].iter().any(|name| fields.contains_key(*name));
    if !fields.contains_key("type") {
        let kind = match () {
            () if fields.contains_key("properties") => Some("object"),
            () if fields.contains_key("items") => Some("array"),
            () if is_choice => None,
            () => return None,
        };
        fields.extend(kind.map(|kind| ("type".to_owned(), json!(kind))));
    }
    if fields.get("enum").and_then(Value::as_array).is_some_and(|all| all.iter().any(|v| v.is_object() || v.is_array()))
    {
        return None;
    }
    let is = |kind: &str| match fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        one => one.is_some_and(|one| one == kind),
    };
    if is("array") && !fields.get("items").is_some_and(Value::is_object) {
        return None;
    }
    if is("object") {
        let is_map = fields.get("additionalProperties").is_some_and(Value::is_object);
        let names: Vec<String> = fields.get("properties")?.as_object()?.keys().cloned().collect();
        let is_open = names.is_empty() && fields.get("additionalProperties") != Some(&json!(false));
        if is_map || is_open || fields.contains_key("anyOf") {
            return None;
        }
        if let Some(required) = fields.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name.as_str().is_some_and(|name| names.iter().any(|known| known == name)));
        }
        fields.insert("additionalProperties".to_owned(), json!(false));
    } else {
        fields.remove("additionalProperties");
    }
    Some(())
}

fn add_hints(fields: &mut Map<String, Value>, hints: &[String]) {
    if hints.is_empty() {
        return;
    }
    let known = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    let text = format!("{known} ({})", hints.join(", ")).trim_start().to_owned();
    fields.insert("description".to_owned(), json!(text));
}

/// A definition refers to itself, or a reference leads elsewhere than to a definition.
fn is_recursive(schema: &Value) -> bool {
    let definitions: Map<String, Value> = ["$defs", "definitions"]
        .iter()
        .filter_map(|group| Some((group, schema.get(*group)?.as_object()?)))
        .flat_map(|(group, all)| all.iter().map(move |(name, one)| (format!("#/{group}/{name}"), one.clone())))
        .collect();
    let mut top = schema.clone();
    for group in ["$defs", "definitions"] {
        top.as_object_mut().and_then(|fields| fields.remove(group));
    }
    // Without recursion, names are replaced by what they stand for as often as there are names at most.
    let mut open = references(&top);
    for _ in 0..=definitions.len() {
        if open.is_empty() {
            return false;
        }
        let Some(found) = open.iter().map(|name| definitions.get(name)).collect::<Option<Vec<_>>>() else {
            return true;
        };
        open = found.into_iter().flat_map(references).collect();
        open.sort();
        open.dedup();
    }
    true
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
