//! Which schemas of tools must be checked, and what a tool call learns of its arguments.
//!
//! Pure: checks take milliseconds, so the driver runs them on a blocking thread.

use crate::dialogue::tools::argument_error;
use crate::domain::FieldError;
use crate::domain::agent::AgentFields;
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::collected::CollectedValues;
use crate::domain::languages::is_named;
use crate::domain::template::COLLECTED;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget};

/// The message to the model if its arguments could not be checked.
const NOT_CHECKED: &str = "the arguments could not be held against their schema in time";
/// The message to the model if the customer's schema cannot be used.
const INVALID_SCHEMA: &str = "the schema of this tool is invalid";

/// Objects within each other that are looked into.
const OBJECTS_MAX: usize = 8;
/// Numbers below this size are exact.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// The message to the model if arguments with an entry of the caller do not fit.
const ENTRY_DOES_NOT_FIT: &str = "the arguments do not fit their schema with what the caller has entered";

/// Schemas of a call's tools that were compiled, each with what it was compiled of.
#[derive(Debug, Default)]
pub struct ToolSchemas(HashMap<String, (Value, Arc<CompiledSchema>)>);

/// Tool calls whose arguments are to be checked.
#[derive(Debug)]
pub struct SchemaCheck(Vec<CheckedToolCall>);

#[derive(Debug)]
struct CheckedToolCall {
    /// Its place in the list.
    place: usize,
    name: String,
    arguments: String,
    source: Value,
    /// `None`: to be compiled.
    schema: Option<Arc<CompiledSchema>>,
    schema_error: Option<String>,
    /// Arguments that fit once texts are numbers, or numbers texts.
    converted: Option<String>,
}

impl CheckedToolCall {
    fn run(&mut self) {
        if self.schema.is_none() {
            match CompiledSchema::compile(&self.source, &mut SchemaBudget::default(), PatternPolicy::SkipBacktracking) {
                Ok(schema) => self.schema = Some(Arc::new(schema)),
                Err(_) => self.schema_error = Some(INVALID_SCHEMA.to_owned()),
            }
        }
        if let Some(schema) = &self.schema {
            self.schema_error = argument_error(schema, &self.arguments);
            let converted = converted(&self.source, &self.arguments, self.schema_error.is_some());
            self.converted = converted.filter(|arguments| argument_error(schema, arguments).is_none());
        }
    }
}

impl SchemaCheck {
    /// Compiles what is not compiled yet, and checks every call.
    #[must_use]
    pub fn run(mut self) -> Self {
        self.0.iter_mut().for_each(CheckedToolCall::run);
        self
    }

    /// Which calls are checked, by their places in the list.
    pub fn places(&self) -> Vec<usize> {
        self.0.iter().map(|one| one.place).collect()
    }
}

impl ToolSchemas {
    /// What is to be checked of some tool calls; `None` if nothing is. `schema_of` finds the schema of a tool.
    pub fn to_check(&self, calls: &[ToolCall], schema_of: impl Fn(&str) -> Option<Value>) -> Option<SchemaCheck> {
        let check = |(place, call): (usize, &ToolCall)| {
            let source = schema_of(&call.name)?;
            let schema = self.0.get(&call.name).filter(|(of, _)| *of == source).map(|(_, schema)| schema.clone());
            let (name, arguments) = (call.name.clone(), call.arguments.clone());
            Some(CheckedToolCall { place, name, arguments, source, schema, schema_error: None, converted: None })
        };
        let checks: Vec<_> = calls.iter().enumerate().filter_map(check).collect();
        (!checks.is_empty()).then_some(SchemaCheck(checks))
    }

    /// Records in each tool call how its arguments violate the schema, and keeps the compiled schemas. Arguments that fit
    /// once they are converted are, unless they hold what the caller has entered.
    pub fn record(&mut self, checked: SchemaCheck, calls: &mut [ToolCall]) {
        for one in checked.0 {
            let call = &mut calls[one.place];
            match one.converted.filter(|_| call.arguments == one.arguments) {
                Some(converted) => (call.arguments, call.schema_error) = (converted, None),
                None => call.schema_error = one.schema_error,
            }
            self.0.extend(one.schema.map(|schema| (one.name, (one.source, schema))));
        }
    }
}

/// The arguments with their fields as the schema wants them, as far as the values are the same: models write `"8"` for 8,
/// `"true"` for true, 12 for `"12"`, and `"Dutch"` or `"nl-NL"` for `"nl"`; and null, or nothing between quotes, for what they
/// leave out. Arguments that fit have their integers without a point or an exponent. `None` if nothing is to be converted.
fn converted(schema: &Value, arguments: &str, is_misfit: bool) -> Option<String> {
    let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(arguments) else {
        // A tool that takes nothing needs no arguments that can be read.
        return (takes_nothing(schema) && !arguments.trim().is_empty()).then(|| "{}".to_owned());
    };
    convert_fields(schema, &mut fields, is_misfit, OBJECTS_MAX).then(|| Value::Object(fields).to_string())
}

fn takes_nothing(schema: &Value) -> bool {
    schema["properties"].as_object().is_none_or(Map::is_empty)
        && schema["required"].as_array().is_none_or(Vec::is_empty)
}

/// True if anything has changed.
fn convert_fields(schema: &Value, fields: &mut Map<String, Value>, is_misfit: bool, depth: usize) -> bool {
    let of = |name: &str| schema["properties"].get(name);
    let count = fields.len();
    if is_misfit {
        // Without a required one the arguments still do not fit.
        fields.retain(|name, value| of(name).is_none_or(|schema| !is_left_out(schema, value)));
    }
    let mut is_changed = fields.len() < count;
    for (name, value) in fields {
        let Some(schema) = of(name) else { continue };
        is_changed |= convert(schema, value, is_misfit, depth);
    }
    is_changed
}

fn convert(schema: &Value, value: &mut Value, is_misfit: bool, depth: usize) -> bool {
    match value {
        Value::Object(fields) if depth > 0 => convert_fields(schema, fields, is_misfit, depth - 1),
        Value::Array(values) if depth > 0 => {
            let items = &schema["items"];
            values.iter_mut().filter_map(|value| convert(items, value, is_misfit, depth - 1).then_some(())).count() > 0
        }
        _ => {
            let wanted = if is_misfit { as_wanted(schema, value) } else { as_integer(schema, value) };
            wanted.map(|other| *value = other).is_some()
        }
    }
}

/// Whether the schema of a field names a type.
fn takes(schema: &Value, kind: &str) -> bool {
    let wanted = &schema["type"];
    wanted == kind || wanted.as_array().is_some_and(|kinds| kinds.iter().any(|one| one == kind))
}

/// Whether a model leaves a field out by this value: one that the field does not take.
fn is_left_out(schema: &Value, value: &Value) -> bool {
    let has_type = schema.get("type").is_some();
    match value {
        Value::Null => !takes(schema, "null") && (has_type || schema.get("enum").is_some()),
        Value::String(text) if text.trim().is_empty() => {
            let limits = ["enum", "const", "minLength", "pattern", "format"];
            has_type && !takes(schema, "string") || limits.iter().any(|limit| schema.get(limit).is_some())
        }
        _ => false,
    }
}

/// A number without a fraction as an integer, where the schema wants one: servers do not read 1000.0.
fn as_integer(schema: &Value, value: &Value) -> Option<Value> {
    let number = value.as_f64().filter(|_| value.is_f64() && takes(schema, "integer") && !takes(schema, "number"))?;
    whole(number).map(Value::from)
}

/// The integer that a number is.
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < INTEGER_MAX).then_some(number as i64)
}

/// One value as its schema wants it.
fn as_wanted(schema: &Value, value: &Value) -> Option<Value> {
    let takes = |kind: &str| takes(schema, kind);
    match value {
        Value::String(text) if takes("string") => choice(schema, text),
        Value::String(text) => match text.trim() {
            "true" if takes("boolean") => Some(Value::Bool(true)),
            "false" if takes("boolean") => Some(Value::Bool(false)),
            text if takes("integer") => {
                let whole = || text.parse::<f64>().ok().and_then(whole);
                text.parse::<i64>().ok().or_else(whole).map(Value::from)
            }
            text if takes("number") => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
            text => serde_json::from_str::<Value>(text)
                .ok()
                .filter(|value| value.is_array() && takes("array") || value.is_object() && takes("object")),
        },
        Value::Number(number) if takes("string") => Some(Value::String(number.to_string())),
        Value::Number(_) => as_integer(schema, value),
        _ => None,
    }
}

/// The one value of a list that a text stands for: in other letters, or another code or the name of a language, in English or its own words.
fn choice(schema: &Value, text: &str) -> Option<Value> {
    let text = text.trim().to_lowercase();
    let code = |text: &str| text.split(['-', '_']).next().unwrap_or_default().to_owned();
    let listed: Vec<&str> = schema["enum"].as_array()?.iter().filter_map(Value::as_str).collect();
    let is_languages = listed.iter().all(|one| (2..=3).contains(&code(one).len()));
    let find = |is: &dyn Fn(&str) -> bool| {
        let mut found = listed.iter().filter(|one| is(&one.to_lowercase()));
        found.next().filter(|_| found.next().is_none()).map(|one| Value::String((*one).to_owned()))
    };
    let names = |one: &str| is_named(one, &text) || code(one) == code(&text);
    find(&|one| one == text).or_else(|| find(&names).filter(|_| is_languages))
}

/// The calls with what the caller has entered in the place of references to it: as the server of the tool gets them.
pub fn with_entries(calls: &[ToolCall], collected: &CollectedValues) -> Vec<ToolCall> {
    let filled = |call: &ToolCall| ToolCall { arguments: collected.fill_json(&call.arguments), ..call.clone() };
    calls.iter().map(filled).collect()
}

/// Errors of calls that refer to an entry say nothing of it: they would repeat the digits.
pub fn hide_entries(calls: &mut [ToolCall]) {
    for call in calls.iter_mut().filter(|call| call.arguments.contains(COLLECTED)) {
        call.schema_error = call.schema_error.take().map(|_| ENTRY_DOES_NOT_FIT.to_owned());
    }
}

/// Records that calls could not be checked in time.
pub fn record_not_checked(places: &[usize], calls: &mut [ToolCall]) {
    for place in places {
        calls[*place].schema_error = Some(NOT_CHECKED.to_owned());
    }
}

/// The tool calls that keys may make, each once. They have no arguments: whether that is valid is checked before the
/// first digit.
pub fn dtmf_tool_calls(agent: &AgentFields) -> Vec<ToolCall> {
    let rules = agent.dtmf_rules.iter().flat_map(|rules| &rules.rules);
    let call = |name: &String| ToolCall { name: name.clone(), arguments: "{}".to_owned(), ..ToolCall::default() };
    let mut calls: Vec<ToolCall> = rules.filter_map(|rule| rule.tool.as_ref()).map(call).collect();
    calls.sort_by(|one, other| one.name.cmp(&other.name));
    calls.dedup();
    calls
}

/// Those tools of a server whose schemas can be used.
pub fn usable_tools(mut tools: Vec<ToolOffer>) -> Vec<ToolOffer> {
    let mut budget = SchemaBudget::default();
    tools
        .retain(|tool| CompiledSchema::compile(&tool.parameters, &mut budget, PatternPolicy::SkipBacktracking).is_ok());
    tools
}

/// An agent without what exceeds the limits of schemas, and the parts that were left out.
pub fn without_oversized(mut agent: AgentFields) -> (AgentFields, Vec<FieldError>) {
    let left_out = agent.leave_out_schemas_beyond_limits();
    (agent, left_out)
}

/// What a call's metrics say about parts that were left out; `None` if nothing was.
pub fn left_out_metric(faults: &[String]) -> Option<Value> {
    (!faults.is_empty()).then(|| json!({"faults": faults}))
}

/// A part that was left out, in words.
pub fn fault_text(fault: &FieldError) -> String {
    format!("{}: {}", fault.field, fault.message)
}

#[cfg(test)]
mod tests;
