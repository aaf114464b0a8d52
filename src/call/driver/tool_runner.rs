//! Runs an agent's tools on the customer's server.

use super::SharedServices;
use super::call_webhooks::CallWebhooks;
use crate::domain::call::Call;
use crate::domain::chat::ToolCall;
use crate::domain::provider_config::Tool;
use crate::store::now;
use crate::webhooks::event;
use crate::webhooks::mcp::McpServer;
use std::sync::Arc;
use std::time::Duration;

/// Document B: a tool answers within ten seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// Characters of a result that the model receives.
const RESULT_CHARS_MAX: usize = 16_000;

/// Calls a tool of a tool server (MCP).
pub(super) async fn run_remote(server: Arc<McpServer>, wanted: ToolCall) -> String {
    let arguments = match serde_json::from_str(if wanted.arguments.is_empty() { "{}" } else { &wanted.arguments }) {
        Ok(serde_json::Value::Object(arguments)) => arguments,
        _ => return "error: the arguments must be an object".to_owned(),
    };
    let text = match server.call(&wanted.name, arguments, DEADLINE).await {
        Ok(text) => text,
        Err(failure) => {
            tracing::warn!(tool = wanted.name, error = %failure, "tool failed");
            "error: the tool did not answer".to_owned()
        }
    };
    text.chars().take(RESULT_CHARS_MAX).collect()
}

/// Calls a tool and returns the text for the model, at the latest at the deadline.
pub(super) async fn run(
    context: SharedServices, hooks: CallWebhooks, call: Call, tool: Tool, wanted: ToolCall,
) -> String {
    let own = tool.url.clone();
    let Some(target) = own.or_else(|| hooks.url.as_deref().map(|url| event::url(url, event::TOOL_CALLS))) else {
        return "error: this tool has no URL".to_owned();
    };
    let deadline = tool.timeout_ms.map_or(DEADLINE, Duration::from_millis).min(DEADLINE);
    let body = |id| event::tool_calls(id, &call, &[&wanted], now());
    let answer = context.ask_customer(&hooks, &call, event::TOOL_CALLS, target, body, deadline).await;
    let result = match answer {
        Ok(body) => event::tool_result(&body, &wanted.id),
        Err(failure) => {
            tracing::warn!(tool = wanted.name, error = %failure, "tool failed");
            // Tell the model that it failed, but not the address of the customer's server.
            Err("the tool did not answer".to_owned())
        }
    };
    let text = match result {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    };
    text.chars().take(RESULT_CHARS_MAX).collect()
}
