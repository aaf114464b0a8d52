//! Who runs a tool that the model calls, how it is asked, and what the model reads of the answer.
//!
//! Pure: the driver asks the customer's server.

use crate::domain::chat::ToolOffer;
use crate::domain::provider_config::Tool;
use crate::webhooks::event;
use serde_json::{Map, Value};
use std::time::Duration;

/// Document B: a tool answers within ten seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);
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

/// How the customer's server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolQuestion {
    /// Where the question is posted.
    pub target: String,
    /// How long the answer may take.
    pub deadline: Duration,
}

/// Plans the question; `webhook_url` is where the call's events go. Fails with the text for the model.
pub fn question(tool: &Tool, webhook_url: Option<&str>) -> Result<ToolQuestion, String> {
    let of_call = || webhook_url.map(|url| event::url(url, event::TOOL_CALLS));
    let target = tool.url.clone().or_else(of_call).ok_or_else(|| "error: this tool has no URL".to_owned())?;
    let deadline = tool.timeout_ms.map_or(DEADLINE, Duration::from_millis).min(DEADLINE);
    Ok(ToolQuestion { target, deadline })
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
