//! Tool calls of an answered call, each contained: a panic counts as a failed tool.

use super::super::tool_runner;
use super::ConversationLoop;
use crate::domain::chat::ToolCall;
use crate::supervision::{self, contain};
use crate::webhooks::mcp::McpServer;
use std::sync::Arc;

impl ConversationLoop {
    /// A blocking tool ends with the call; an async tool runs on.
    pub(super) fn call_tool(&mut self, call: ToolCall, is_async: bool) {
        let tools = self.call.spec.agent.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        let (id, record) = (call.id.clone(), &self.call.record);
        let Some(tool) = tools.iter().find(|tool| tool.is_function() && tool.function.name == call.name).cloned()
        else {
            let offers = |server: &&Arc<McpServer>| server.tools.iter().any(|tool| tool.name == call.name);
            if let Some(server) = self.servers.iter().find(offers).cloned() {
                self.wait_for_tool(id, tool_runner::run_remote(server, call));
            }
            return;
        };
        let run = tool_runner::run(self.call.context.clone(), record.hooks.clone(), record.call.clone(), tool, call);
        if is_async {
            supervision::spawn("tool", run);
        } else {
            self.wait_for_tool(id, run);
        }
    }

    /// A panic counts as a failure, so the conversation does not wait for it.
    fn wait_for_tool(&mut self, id: String, run: impl Future<Output = String> + Send + 'static) {
        self.tools.spawn(async move {
            let result = contain("tool", run).await;
            (id, result.unwrap_or_else(|_| "error: the tool failed".to_owned()))
        });
    }
}
