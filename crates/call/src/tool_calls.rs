//! Who runs a tool that the model calls, how long it may take, and what the model reads of a result.
//!
//! Pure: the driver asks the customer's server.

use crate::domain::chat::ToolOffer;
use crate::domain::provider_config::Tool;
use serde_json::{Map, Value};
use std::time::Duration;

/// Document B: a tool answers within ten seconds, unless it is given more.
const DEADLINE: Duration = Duration::from_secs(10);
/// Characters of a result that the model receives.
const RESULT_CHARS_MAX: usize = 16_000;
/// The model learns that a tool failed, but not the address of the customer's server.
pub const NO_ANSWER: &str = "the tool did not answer";
/// The result of a tool whose task panicked, so that the conversation does not wait for it.
pub const TOOL_FAILED: &str = "error: the tool failed";

/// Who runs a tool.
#[derive(Debug, PartialEq)]
pub enum ToolOwner<'a> {
    /// A function of the agent: the customer's server is asked.
    Function(&'a Tool),
    /// The tool server (MCP) at this place of the list.
    Server(usize),
    /// Nobody: the model has invented it.
    Nobody,
}

/// Finds who runs the tool of this name: the agent's own functions come before those of tool servers.
pub fn owner<'a, 'b>(
    tools: &'a [Tool], mut servers: impl Iterator<Item = &'b [ToolOffer]>, name: &str,
) -> ToolOwner<'a> {
    if let Some(tool) = tools.iter().find(|tool| tool.is_function() && tool.function.name == name) {
        return ToolOwner::Function(tool);
    }
    let offers = |tools: &[ToolOffer]| tools.iter().any(|tool| tool.name == name);
    servers.position(offers).map_or(ToolOwner::Nobody, ToolOwner::Server)
}

/// How long a tool may take, with all attempts.
pub fn deadline(tool: &Tool) -> Duration {
    deadline_of(tool.timeout_ms)
}

/// The same of its `timeout_ms`.
pub fn deadline_of(timeout_ms: Option<u64>) -> Duration {
    timeout_ms.map_or(DEADLINE, Duration::from_millis)
}

/// The arguments for a tool server. Fails with the text for the model.
pub fn server_arguments(arguments: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(if arguments.is_empty() { "{}" } else { arguments }) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        _ => Err("error: the arguments must be an object".to_owned()),
    }
}

/// What the model reads of a result, or of an error.
pub fn result_text(result: Result<Value, String>) -> String {
    let text = match result {
        Ok(Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    };
    text.chars().take(RESULT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
