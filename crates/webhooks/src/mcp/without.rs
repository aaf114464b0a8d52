//! A program without the protocol's client: no server is ever reached.

use crate::domain::chat::ToolOffer;
use crate::domain::provider_config::Tool;
use crate::sender::{WebhookError, WebhookSender};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::time::Duration;

/// A server that was reached: there is none.
#[derive(Debug)]
pub struct McpServer {
    reached: Infallible,
    /// Its tools.
    pub tools: Vec<ToolOffer>,
    /// How long each of them may take.
    pub timeout_ms: Option<u64>,
}

impl WebhookSender {
    /// Says why it cannot.
    #[expect(clippy::unused_async, reason = "the other one connects")]
    pub async fn tool_server(&self, _: &Tool) -> Result<McpServer, WebhookError> {
        Err(WebhookError::Unreachable("this program was built without MCP (the feature `mcp`)".to_owned()))
    }
}

impl McpServer {
    /// Nothing to call.
    #[expect(clippy::unused_async, reason = "the other one asks")]
    pub async fn call(&self, _: &str, _: Map<String, Value>, _: Duration) -> Result<String, WebhookError> {
        match self.reached {}
    }
}
