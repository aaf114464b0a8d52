//! `/agents/tools/test`: a tool is tried before a caller needs it.

use super::auth::Actor;
use super::error::ApiError;
use super::input::{JsonObject, typed_with, validated};
use super::organization_rates::RateKind;
use super::response::ApiResponse;
use super::state::ApiState;
use super::tool_secrets;
use crate::call::driver::{ShownAnswer, ShownRequest, ToolTrial, ToolTrialReport};
use crate::domain::agent::AgentFields;
use crate::domain::provider_config::Tool;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Where the tool stands in the document that is judged.
const PLACE: &str = "llm_config.tools[0]";

/// A tool to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToolTestFields)]
pub(super) struct ToolTestInput {
    /// The agent that the tool is of: its webhook address and its secrets are used, and a masked secret of the tool is the
    /// stored one. Without it, secrets must be given.
    #[serde(default)]
    #[schema(format = "uuid")]
    agent_id: Option<String>,
    /// The tool as in `llm_config.tools`; it need not be saved.
    #[expect(dead_code, reason = "read as JSON, with the agent's secrets in it")]
    tool: Tool,
    /// What the LLM would send; empty by default.
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    /// Values of `{{name}}` in the tool, as the context of a call would have them.
    #[serde(default)]
    variables: Option<Map<String, Value>>,
}

/// A header of the request.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolTestHeader {
    /// Its name.
    name: String,
    /// Its value; `********` or `[removed]` in place of a secret.
    value: String,
}

/// The request that was sent, without secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolTestRequest {
    /// The method, such as `POST`.
    method: &'static str,
    /// The address with its query.
    url: String,
    /// Headers that the tool sets; those of every request to a tool (`webhook-id`, `webhook-signature`) are left out.
    headers: Vec<ToolTestHeader>,
    /// The body; `null` if there was none.
    body: Option<String>,
}

/// The answer of the server, without the request's secrets.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolTestAnswer {
    /// HTTP status.
    status: u16,
    /// `Content-Type` as it came.
    content_type: Option<String>,
    /// The first 20,000 characters of the body.
    body: String,
}

/// A tool of a tool server (MCP).
#[derive(Serialize, ToSchema)]
pub(super) struct OfferedTool {
    /// Name of the function.
    name: String,
    /// What it does, in words for the LLM.
    description: String,
}

/// How a tool did.
#[derive(Serialize, ToSchema)]
pub(super) struct ToolTest {
    /// Whether the tool answered with a success.
    ok: bool,
    /// Milliseconds that the answer took.
    latency_ms: u64,
    /// What was sent; `null` if nothing was, and for a tool server.
    request: Option<ToolTestRequest>,
    /// What came back; `null` if nothing did.
    answer: Option<ToolTestAnswer>,
    /// What the LLM would read; `null` for a tool server.
    result: Option<String>,
    /// Variables of the call that the answer would set.
    variables: Map<String, Value>,
    /// Of a tool server: the tools that it offers. `null` for a function.
    tools: Option<Vec<OfferedTool>>,
    /// What went wrong, in words; `null` if nothing did.
    problem: Option<String>,
}

impl From<ToolTrialReport> for ToolTest {
    fn from(report: ToolTrialReport) -> Self {
        let request = |one: ShownRequest| ToolTestRequest {
            method: one.method,
            url: one.url,
            headers: one.headers.into_iter().map(|(name, value)| ToolTestHeader { name, value }).collect(),
            body: one.body,
        };
        let answer =
            |one: ShownAnswer| ToolTestAnswer { status: one.status, content_type: one.content_type, body: one.body };
        let tools = report.offers.map(|offers| {
            offers.into_iter().map(|one| OfferedTool { name: one.name, description: one.description }).collect()
        });
        Self {
            ok: report.problem.is_none(),
            latency_ms: report.latency.as_millis() as u64,
            request: report.request.map(request),
            answer: report.answer.map(answer),
            result: report.result,
            variables: report.variables,
            tools,
            problem: report.problem,
        }
    }
}

/// Sends a tool's real request once, with the arguments given, and shows request and answer without secrets. Addresses,
/// redirects, deadline and size are limited as in calls; a tool server (MCP) is asked for its tools.
#[utoipa::path(post, path = "/agents/tools/test", tag = "agents", operation_id = "test_tool", request_body = ToolTestInput, responses((status = 200, body = ToolTest)))]
pub(super) async fn test(
    State(api): State<ApiState>, actor: Actor, JsonObject(mut object, _turn): JsonObject,
) -> Result<ApiResponse, ApiError> {
    object.retain(|_, value| !value.is_null());
    let tool = object.get("tool").cloned().unwrap_or_default();
    let input: ToolTestInput = typed_with(object, Vec::new(), |_| Vec::new())?;
    let stored = match &input.agent_id {
        Some(text) => Some(super::agents::find(&api, actor.scope, text).await?),
        None => None,
    };
    let fields = document(&api, tool, stored.as_ref().map(|agent| &agent.fields))?;
    let Some(tool) = fields.llm_config.iter().flat_map(|config| &config.tools).next().cloned() else {
        return Err(ApiError::field("tool", "is required"));
    };
    api.limits.count(actor.scope, RateKind::ToolTests).await?;
    let trial = ToolTrial {
        organization: actor.scope.organization(),
        agent: stored.as_ref().map(|agent| agent.id),
        fields,
        tool,
        arguments: input.arguments.unwrap_or_default(),
        variables: input.variables.unwrap_or_default(),
    };
    let target = stored.as_ref().map_or_else(|| trial.tool.function.name.clone(), |agent| agent.id.to_string());
    actor.audit(&api, "tool.test", target).await?;
    Ok(ApiResponse::ok(ToolTest::from(trial.run(&api.addresses.webhooks).await)))
}

/// The agent with this tool alone, judged as a whole agent is.
fn document(api: &ApiState, tool: Value, stored: Option<&AgentFields>) -> Result<AgentFields, ApiError> {
    let base = stored.cloned().unwrap_or_default();
    let mut document = Map::new();
    document.insert("name".to_owned(), json!(if base.name.is_empty() { "Test" } else { &base.name }));
    for (name, value) in [("webhook_url", &base.webhook_url), ("time_zone", &base.time_zone)] {
        if let Some(value) = value {
            document.insert(name.to_owned(), json!(value));
        }
    }
    document.insert("llm_config".to_owned(), json!({"provider": "openai", "model": "none", "tools": [tool]}));
    ApiError::unless_empty(tool_secrets::keep(&mut document, &base)).map_err(renamed)?;
    let judged = validated(document, Vec::new(), |fields: &AgentFields| api.addresses.faults(fields));
    let fields = judged.map_err(renamed)?;
    fields.check_schemas("").map_err(|fault| renamed(fault.into()))?;
    Ok(AgentFields {
        webhook_secret: base.webhook_secret,
        previous_webhook_secret: base.previous_webhook_secret,
        webhook_rotation_ends_at: base.webhook_rotation_ends_at,
        ..fields
    })
}

/// Faults name the field of the request.
fn renamed(error: ApiError) -> ApiError {
    let renamed = |text: &str| text.replace(PLACE, "tool");
    let details = renamed(&error.details.to_string());
    ApiError {
        message: renamed(&error.message),
        details: serde_json::from_str(&details).unwrap_or(error.details),
        status: error.status,
    }
}
