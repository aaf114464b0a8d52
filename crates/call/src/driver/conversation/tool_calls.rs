//! Tools of an answered call: connects to tool servers and runs tool calls, each contained. A panic counts as a failed
//! tool.

use super::super::tool_runner::PlannedToolCall;
use super::super::{schema_validation, tool_runner};
use super::ConversationLoop;
use crate::domain::chat::ToolCall;
use crate::domain::collected::CollectedValues;
use crate::domain::ids::DeliveryId;
use crate::store::now;
use crate::supervision::{self, contain};
use crate::tool_answer::ToolOutcome;
use crate::tool_calls::{TOOL_FAILED, ToolOwner, owner};
use crate::tool_request::{ToolSituation, plan};
use std::time::Instant;

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
        let (agent, record) = (&self.call.spec.agent, &self.call.record);
        let tools = agent.llm_config.as_ref().map_or(&[][..], |config| &config.tools);
        let id = call.id.clone();
        let offers = self.servers.iter().map(|server| server.tools.as_slice());
        let tool = match owner(tools, offers, &call.name) {
            ToolOwner::Function(tool) => tool.clone(),
            ToolOwner::Server(place) => {
                let server = self.servers[place].clone();
                return self.wait_for_tool(id, tool_runner::run_remote(server, call, collected));
            }
            ToolOwner::Nobody => return,
        };
        let situation = ToolSituation {
            call: &record.call,
            agent,
            task: self.call.spec.task.as_ref(),
            variables: &self.variables,
            collected: &collected,
            webhook_url: record.hooks.url.as_deref(),
            now: now(),
        };
        let delivery = DeliveryId::new();
        let request = match plan(&tool, &call, delivery, &situation) {
            Ok(request) => request,
            Err(why) => return self.wait_for_tool(id, std::future::ready(ToolOutcome::failed(&why))),
        };
        let (context, hooks) = (self.call.context.clone(), record.hooks.clone());
        let planned =
            PlannedToolCall { context, hooks, call: record.call.clone(), tool, wanted: call, id: delivery, request };
        if is_async {
            supervision::spawn("tool", planned.run());
        } else {
            self.wait_for_tool(id, planned.run());
        }
    }

    fn wait_for_tool(&mut self, id: String, run: impl Future<Output = ToolOutcome> + Send + 'static) {
        self.tools.spawn(async move {
            let result = contain("tool", run).await;
            (id, result.unwrap_or_else(|_| ToolOutcome::new(TOOL_FAILED)))
        });
    }

    /// A tool has answered: the machine learns it, with the variables that the answer sets.
    pub(super) fn handle_tool_outcome(&mut self, now: Instant, id: &str, outcome: ToolOutcome) {
        if self.variables.take(outcome.variables) {
            self.machine.set_variables(&self.variables);
            self.renew_next_agent(now);
        }
        self.machine.handle_tool_result(now, id, &outcome.text);
    }
}
