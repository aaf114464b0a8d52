//! Which schemas of tools must be checked, and what a tool call learns of its arguments.
//!
//! Pure: checks take milliseconds, so the driver runs them on a blocking thread.

use crate::dialogue::tools::argument_error;
use crate::domain::FieldError;
use crate::domain::agent::AgentFields;
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::collected::CollectedValues;
use crate::domain::template::COLLECTED;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use trunkline_json::schema::{CompiledSchema, PatternPolicy, SchemaBudget};

/// The message to the model if its arguments could not be checked.
const NOT_CHECKED: &str = "the arguments could not be held against their schema in time";
/// The message to the model if the customer's schema cannot be used.
const INVALID_SCHEMA: &str = "the schema of this tool is invalid";

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
            Some(CheckedToolCall { place, name, arguments, source, schema, schema_error: None })
        };
        let checks: Vec<_> = calls.iter().enumerate().filter_map(check).collect();
        (!checks.is_empty()).then_some(SchemaCheck(checks))
    }

    /// Records in each tool call how its arguments violate the schema, and keeps the compiled schemas.
    pub fn record(&mut self, checked: SchemaCheck, calls: &mut [ToolCall]) {
        for one in checked.0 {
            calls[one.place].schema_error = one.schema_error;
            self.0.extend(one.schema.map(|schema| (one.name, (one.source, schema))));
        }
    }
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
