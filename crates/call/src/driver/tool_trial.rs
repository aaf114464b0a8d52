//! A tool that is tried outside of any call: the request that a call would send, and what the model would read of the
//! answer.

use crate::call_webhooks::CallWebhooks;
use crate::domain::agent::AgentFields;
use crate::domain::call::{Call, Direction};
use crate::domain::call_facts::CallVariables;
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::collected::CollectedValues;
use crate::domain::ids::{AgentId, CallId, DeliveryId, OrganizationId};
use crate::domain::provider_config::Tool;
use crate::domain::secret::Secret;
use crate::domain::tool_request::{MASK, ToolAuth};
use crate::store::now;
use crate::tool_answer::outcome;
use crate::tool_calls::deadline;
use crate::tool_request::{PlannedRequest, ToolSituation, plan};
use crate::webhooks::sender::{WebhookError, WebhookSender};
use crate::webhooks::tool_sender::{ToolAnswer, ToolMessage, ToolRedirects};
use serde_json::{Map, Value};
use std::time::{Duration, Instant};

/// Characters of a body that are shown.
const SHOWN_CHARS_MAX: usize = 20_000;

/// What is tried.
#[derive(Clone, Debug)]
pub struct ToolTrial {
    /// The organization that tries it.
    pub organization: OrganizationId,
    /// The agent that the tool is of, if it is stored; signs as in calls.
    pub agent: Option<AgentId>,
    /// The agent's document with the tool.
    pub fields: AgentFields,
    /// The tool, with its secrets.
    pub tool: Tool,
    /// What the model would have sent.
    pub arguments: Map<String, Value>,
    /// Variables of the call that is made up for it.
    pub variables: Map<String, Value>,
}

/// The request as it was sent, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownRequest {
    /// Its method.
    pub method: &'static str,
    /// The address with its query.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// `None`: without one.
    pub body: Option<String>,
}

/// The answer of the customer's server, without the request's secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownAnswer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type` as it came.
    pub content_type: Option<String>,
    /// The beginning of the body.
    pub body: String,
}

/// How a trial went.
#[derive(Clone, Debug, Default)]
pub struct ToolTrialReport {
    /// What was sent; `None` if nothing was, or for a tool server.
    pub request: Option<ShownRequest>,
    /// What came back; `None` if nothing did.
    pub answer: Option<ShownAnswer>,
    /// What the model would read.
    pub result: Option<String>,
    /// Variables that the answer sets.
    pub variables: Map<String, Value>,
    /// Of a tool server: what it offers.
    pub offers: Option<Vec<ToolOffer>>,
    /// Why it went wrong, in words.
    pub problem: Option<String>,
    /// From the request to the answer or the failure.
    pub latency: Duration,
}

impl ToolTrial {
    /// Sends the request once, under the borders and the deadline that calls have.
    pub async fn run(self, sender: &WebhookSender) -> ToolTrialReport {
        let began = Instant::now();
        let report = if self.tool.server().is_some() { self.ask_server(sender).await } else { self.ask(sender).await };
        ToolTrialReport { latency: began.elapsed(), ..report }
    }

    async fn ask_server(&self, sender: &WebhookSender) -> ToolTrialReport {
        match sender.tool_server(&self.tool).await {
            Ok(server) => ToolTrialReport { offers: Some(server.tools.clone()), ..ToolTrialReport::default() },
            Err(error) => ToolTrialReport { problem: Some(error.to_string()), ..ToolTrialReport::default() },
        }
    }

    async fn ask(&self, sender: &WebhookSender) -> ToolTrialReport {
        let id = DeliveryId::new();
        let request = match self.planned(id) {
            Ok(request) => request,
            Err(why) => return ToolTrialReport { problem: Some(why), ..ToolTrialReport::default() },
        };
        let hooks = CallWebhooks::new(self.agent, &self.fields);
        let answer = self.send(sender, &request, id, &hooks.secrets.valid_at(now())).await;
        let read = outcome(&self.tool, &id.to_string(), answer.as_ref(), &request.redaction);
        let problem = match &answer {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(WebhookError::Status(answer.status).to_string()),
            Err(error) => Some(request.redaction.text(&error.to_string())),
        };
        ToolTrialReport {
            request: Some(self.shown(&request)),
            answer: answer.ok().map(|answer| shown_answer(&answer, &request)),
            result: Some(read.text),
            variables: read.variables,
            offers: None,
            problem,
            latency: Duration::ZERO,
        }
    }

    /// The request as in a call that begins now.
    fn planned(&self, id: DeliveryId) -> Result<PlannedRequest, String> {
        let at = now();
        let call = Call { agent: self.agent, ..Call::begun(CallId::new(), self.organization, Direction::Web, at) };
        let wanted = ToolCall {
            id: "call_trial".to_owned(),
            name: self.tool.function.name.clone(),
            arguments: Value::Object(self.arguments.clone()).to_string(),
            schema_error: None,
            opaque: None,
        };
        let situation = ToolSituation {
            call: &call,
            agent: &self.fields,
            task: None,
            variables: &CallVariables(self.variables.clone()),
            collected: &CollectedValues::default(),
            webhook_url: self.fields.webhook_url.as_deref(),
            now: at,
        };
        plan(&self.tool, &wanted, id, &situation)
    }

    async fn send(
        &self, sender: &WebhookSender, request: &PlannedRequest, id: DeliveryId, secrets: &[Secret],
    ) -> Result<ToolAnswer, WebhookError> {
        let id = id.to_string();
        let body = request.body.as_ref();
        let message = ToolMessage {
            id: &id,
            method: request.method.name(),
            url: &request.url,
            headers: &request.headers,
            content_type: body.and_then(|body| body.content_type),
            body: body.map_or("", |body| &body.text),
            secrets,
            at_s: now().0 / 1_000,
            redirects: if self.tool.request.is_some() { ToolRedirects::SameOrigin } else { ToolRedirects::AnyOrigin },
        };
        sender.ask_tool(message, deadline(&self.tool)).await
    }

    fn shown(&self, request: &PlannedRequest) -> ShownRequest {
        let auth = self.tool.request.as_ref().and_then(|request| request.auth.as_ref()).map(|auth| match auth {
            ToolAuth::Bearer { .. } | ToolAuth::Basic { .. } => "authorization",
            ToolAuth::Header { name, .. } => name.as_str(),
        });
        let shown = |(name, value): &(String, Secret)| {
            let is_auth = auth.is_some_and(|auth| auth.eq_ignore_ascii_case(name));
            (name.clone(), if is_auth { MASK.to_owned() } else { request.redaction.text(value.expose()) })
        };
        let mut headers: Vec<(String, String)> = request.headers.iter().map(shown).collect();
        if let Some(content_type) = request.body.as_ref().and_then(|body| body.content_type) {
            headers.push(("content-type".to_owned(), content_type.to_owned()));
        }
        ShownRequest {
            method: request.method.name(),
            url: request.redaction.text(&request.url),
            headers,
            body: request.body.as_ref().map(|body| cut(&request.redaction.text(&body.text))),
        }
    }
}

fn shown_answer(answer: &ToolAnswer, request: &PlannedRequest) -> ShownAnswer {
    let text = request.redaction.text(&String::from_utf8_lossy(&answer.body));
    ShownAnswer { status: answer.status, content_type: answer.content_type.clone(), body: cut(&text) }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
