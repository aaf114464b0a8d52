//! Runs an agent's tools on the customer's server.

use super::call_webhooks::CustomerQuestion;
use super::services::SharedServices;
use crate::call::call_webhooks::CallWebhooks;
use crate::call::tool_calls::{DEADLINE, NO_ANSWER, ToolQuestion, question, result_text, server_arguments};
use crate::domain::call::Call;
use crate::domain::chat::ToolCall;
use crate::domain::collected::CollectedValues;
use crate::domain::provider_config::Tool;
use crate::store::now;
use crate::webhooks::event;
use crate::webhooks::mcp::McpServer;
use crate::webhooks::sender::WebhookError;
use serde_json::Value;
use std::fmt::Display;
use std::sync::Arc;

/// A connected tool server and how many of its tools are unusable, or why it was not reached.
pub(super) type ToolServerResult = Result<(McpServer, usize), WebhookError>;

fn no_answer(tool: &str, failure: &dyn Display) -> String {
    tracing::warn!(tool, error = %failure, "tool failed");
    NO_ANSWER.to_owned()
}

/// A tool call, and what its arguments and its URL may refer to.
pub(super) struct WantedTool {
    pub(super) tool: Tool,
    pub(super) call: ToolCall,
    pub(super) collected: CollectedValues,
}

/// Calls a tool of a tool server (MCP).
pub(super) async fn run_remote(server: Arc<McpServer>, wanted: ToolCall, collected: CollectedValues) -> String {
    let arguments = match server_arguments(&collected.fill_json(&wanted.arguments)) {
        Ok(arguments) => arguments,
        Err(text) => return text,
    };
    let answer = server.call(&wanted.name, arguments, DEADLINE).await;
    result_text(answer.map(Value::String).map_err(|failure| no_answer(&wanted.name, &failure)))
}

/// Calls a tool and returns the text for the model, at the latest at the deadline.
pub(super) async fn run(context: SharedServices, hooks: CallWebhooks, call: Call, wanted: WantedTool) -> String {
    let WantedTool { tool, call: wanted, collected } = wanted;
    let ToolQuestion { target, deadline } = match question(&tool, hooks.url.as_deref()) {
        Ok(question) => question,
        Err(text) => return text,
    };
    let body = |id| event::tool_calls(id, &call, &[&wanted], now());
    let question = CustomerQuestion { name: event::TOOL_CALLS, target, collected, deadline };
    let answer = context.ask_customer(&hooks, &call, question, body).await;
    result_text(match answer {
        Ok(body) => event::tool_result(&body, &wanted.id),
        Err(failure) => Err(no_answer(&wanted.name, &failure)),
    })
}
