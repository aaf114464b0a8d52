//! Tools of an answered call: connects to tool servers and runs tool calls, each contained. A panic counts as a failed
//! tool.

use super::super::tool_runner::WantedTool;
use super::super::{schema_validation, tool_runner};
use super::ConversationLoop;
use crate::call::tool_calls::{TOOL_FAILED, ToolOwner, owner};
use crate::domain::chat::ToolCall;
use crate::domain::collected::CollectedValues;
use crate::supervision::{self, contain};

impl ConversationLoop {
    /// Connects to the agent's tool servers in the background.
    pub(super) fn connect_tool_servers(&mut self) {
        let tools = self.call.spec.agent.llm_config.iter().flat_map(|config| &config.tools);
        for tool in tools.filter(|tool| tool.server().is_some()) {
            let tool = tool.clone();
            let (context, scope) = (self.call.context.clone(), self.call.record.scope);
            self.connecting_servers.spawn(contain("tool_server", async move {
                let mut server = context.webhooks.tool_server(&tool).await?;
                let (tools, left_out) =
                    schema_validation::usable_tools(&context.schemas, scope, std::mem::take(&mut server.tools)).await;
                server.tools = tools;
                Ok((server, left_out))
            }));
        }
    }

    /// A blocking tool ends with the call; an async tool runs on.
    pub(super) fn call_tool(&mut self, call: ToolCall, is_async: bool, collected: CollectedValues) {
        let tools = self.call.spec.agent.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        let (id, record) = (call.id.clone(), &self.call.record);
        let offers = self.servers.iter().map(|server| server.tools.as_slice());
        let tool = match owner(tools, offers, &call.name) {
            ToolOwner::Function(tool) => tool.clone(),
            ToolOwner::Server(place) => {
                let server = self.servers[place].clone();
                return self.wait_for_tool(id, tool_runner::run_remote(server, call, collected));
            }
            ToolOwner::Nobody => return,
        };
        let wanted = WantedTool { tool, call, collected };
        let run = tool_runner::run(self.call.context.clone(), record.hooks.clone(), record.call.clone(), wanted);
        if is_async {
            supervision::spawn("tool", run);
        } else {
            self.wait_for_tool(id, run);
        }
    }

    fn wait_for_tool(&mut self, id: String, run: impl Future<Output = String> + Send + 'static) {
        self.tools.spawn(async move {
            let result = contain("tool", run).await;
            (id, result.unwrap_or_else(|_| TOOL_FAILED.to_owned()))
        });
    }
}
