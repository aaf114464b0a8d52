//! Runs an agent's tools on the customer's server.

use super::services::SharedServices;
use crate::call_webhooks::{CallWebhooks, CustomerAnswer};
use crate::domain::call::Call;
use crate::domain::chat::ToolCall;
use crate::domain::collected::CollectedValues;
use crate::domain::delivery::DeliveryProgress;
use crate::domain::ids::DeliveryId;
use crate::domain::provider_config::Tool;
use crate::store::now;
use crate::tool_answer::{ToolOutcome, outcome, repeat_after};
use crate::tool_calls::{NO_ANSWER, deadline, deadline_of, result_text, server_arguments};
use crate::tool_request::{KeptMessage, PlannedRequest};
use crate::webhooks::event;
use crate::webhooks::mcp::McpServer;
use crate::webhooks::sender::WebhookError;
use crate::webhooks::tool_sender::{ToolAnswer, ToolMessage, ToolRedirects};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

/// A connected tool server and how many of its tools are unusable, or why it was not reached.
pub(super) type ToolServerResult = Result<(McpServer, usize), WebhookError>;

/// A tool call that is planned.
pub(super) struct PlannedToolCall {
    pub context: SharedServices,
    pub hooks: CallWebhooks,
    pub call: Call,
    pub tool: Tool,
    pub wanted: ToolCall,
    /// The same for all attempts.
    pub id: DeliveryId,
    pub request: PlannedRequest,
}

/// Calls a tool of a tool server (MCP).
pub(super) async fn run_remote(server: Arc<McpServer>, wanted: ToolCall, collected: CollectedValues) -> ToolOutcome {
    let arguments = match server_arguments(&collected.fill_json(&wanted.arguments)) {
        Ok(arguments) => arguments,
        Err(text) => return ToolOutcome::new(text),
    };
    let answer = server.call(&wanted.name, arguments, deadline_of(server.timeout_ms)).await;
    let answer = answer.map(Value::String).map_err(|failure| {
        tracing::warn!(tool = wanted.name, error = %failure, "tool failed");
        NO_ANSWER.to_owned()
    });
    ToolOutcome::new(result_text(answer))
}

impl PlannedToolCall {
    /// Calls the tool and returns the text for the model, at the latest when the tool's time is over.
    pub(super) async fn run(self) -> ToolOutcome {
        let ends = Instant::now() + deadline(&self.tool);
        let mut repetitions = 0;
        let answer = loop {
            let left = ends.saturating_duration_since(Instant::now());
            let answer = self.attempt(left).await;
            let left = ends.saturating_duration_since(Instant::now());
            match repeat_after(self.tool.request.as_ref(), repetitions, answer.as_ref(), left) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => break answer,
            }
            repetitions += 1;
        };
        let failure = match &answer {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(WebhookError::Status(answer.status)),
            Err(error) => Some(error.clone()),
        };
        if let Some(error) = failure {
            tracing::warn!(tool = self.wanted.name, %error, attempts = repetitions + 1, "tool failed");
        }
        self.record(&answer, (repetitions + 1).into()).await;
        outcome(&self.tool, &self.wanted.id, answer.as_ref(), &self.request.redaction)
    }

    async fn attempt(&self, left: std::time::Duration) -> Result<ToolAnswer, WebhookError> {
        let (id, at) = (self.id.to_string(), now());
        let secrets = self.hooks.secrets.valid_at(at);
        let body = self.request.body.as_ref();
        let redirects = match self.tool.request {
            Some(_) => ToolRedirects::SameOrigin,
            None => ToolRedirects::AnyOrigin,
        };
        let message = ToolMessage {
            id: &id,
            method: self.request.method.name(),
            url: &self.request.url,
            headers: &self.request.headers,
            content_type: body.and_then(|body| body.content_type),
            body: body.map_or("", |body| &body.text),
            secrets: &secrets,
            at_s: at.0 / 1_000,
            redirects,
        };
        self.context.webhooks.ask_tool(message, left).await
    }

    /// Records a message like every webhook. Other requests are not recorded: they cannot be sent again.
    async fn record(&self, answer: &Result<ToolAnswer, WebhookError>, attempts: i64) {
        let Some(KeptMessage { target, body }) = &self.request.kept else { return };
        let one = self.hooks.delivery(&self.call, self.id, event::TOOL_CALLS, target.clone(), body, now());
        let answer = answer.as_ref().map(|answer| (answer.status, answer.body.clone())).map_err(WebhookError::clone);
        let progress = CustomerAnswer::new(answer, now()).progress;
        self.context.journal.record_delivered(one, DeliveryProgress { attempts, ..progress }).await;
    }
}
