//! Runs an agent's tools on the customer's server.

use super::services::SharedServices;
use crate::call::call_webhooks::CallWebhooks;
use crate::call::tool_calls::{DEADLINE, NO_ANSWER, ToolQuestion, question, result_text, server_arguments};
use crate::domain::call::Call;
use crate::domain::chat::ToolCall;
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

/// Calls a tool of a tool server (MCP).
pub(super) async fn run_remote(server: Arc<McpServer>, wanted: ToolCall) -> String {
    let arguments = match server_arguments(&wanted.arguments) {
        Ok(arguments) => arguments,
        Err(text) => return text,
    };
    let answer = server.call(&wanted.name, arguments, DEADLINE).await;
    result_text(answer.map(Value::String).map_err(|failure| no_answer(&wanted.name, &failure)))
}

/// Calls a tool and returns the text for the model, at the latest at the deadline.
pub(super) async fn run(
    context: SharedServices, hooks: CallWebhooks, call: Call, tool: Tool, wanted: ToolCall,
) -> String {
    let ToolQuestion { target, deadline } = match question(&tool, hooks.url.as_deref()) {
        Ok(question) => question,
        Err(text) => return text,
    };
    let body = |id| event::tool_calls(id, &call, &[&wanted], now());
    let answer = context.ask_customer(&hooks, &call, event::TOOL_CALLS, target, body, deadline).await;
    result_text(match answer {
        Ok(body) => event::tool_result(&body, &wanted.id),
        Err(failure) => Err(no_answer(&wanted.name, &failure)),
    })
}
