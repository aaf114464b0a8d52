//! Servers that offer tools themselves: Model Context Protocol over streamable HTTP, with the protocol's own client.
//! What a server says of its tools goes to the model as it is; what a tool answers is words.

use super::client::{BoundedMcpClient, MESSAGE};
use crate::domain::chat::ToolOffer;
use crate::domain::provider_config::Tool;
use crate::domain::secret::Secret;
use crate::domain::tool_limits::{is_tool_name, shortened};
use crate::sender::{WebhookError, WebhookSender};
use hyper::header::{AUTHORIZATION, HeaderValue};
use rmcp::model::{CallToolRequestParams, ContentBlock, PaginatedRequestParams};
use rmcp::service::{RoleClient, RunningService, ServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::time::timeout;

/// Connecting and listing: callers do not wait for it, their first question may.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Tools taken of one server: models choose badly from more.
const TOOLS_MAX: usize = 64;
/// Pages of its list that are asked for: some servers name a next one for ever.
const PAGES_MAX: usize = 16;
/// Tools looked at before `allowed_tools` chooses.
const LISTED_MAX: usize = 1_000;
/// Characters of what a server says a tool is for that are looked at.
const DESCRIPTION_CHARS_MAX: usize = 4_000;
/// Characters of a tool's answer; the call cuts it once more for the model.
const ANSWER_CHARS_MAX: usize = 64_000;

/// A server that was reached; ends with its last handle.
pub struct McpServer {
    service: RunningService<RoleClient, ()>,
    /// Tools that the agent allows and every model can name; at most 64.
    pub tools: Vec<ToolOffer>,
    /// How long each of them may take. `None`: the default.
    pub timeout_ms: Option<u64>,
}

impl std::fmt::Debug for McpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("McpServer").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

/// What a tool is for, within what vendors take.
fn description(name: &str, text: Option<&str>) -> String {
    let text: String = text.unwrap_or_default().chars().take(DESCRIPTION_CHARS_MAX).collect();
    let Some(short) = shortened(&text) else { return text };
    tracing::warn!(
        tool = name,
        "cut the description of an MCP server's tool at the end of a sentence: vendors take 1,024 characters"
    );
    short.to_owned()
}

impl WebhookSender {
    /// Connects to an agent's tool server and asks what it has.
    pub async fn tool_server(&self, tool: &Tool) -> Result<McpServer, WebhookError> {
        let url = tool.server().unwrap_or_default();
        let parsed = self.tools.guard().check(url).map_err(WebhookError::Refused)?;
        let client = self.tools.client(&parsed).map_err(WebhookError::Refused)?.clone();
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.max_sse_event_size = MESSAGE.bytes_max;
        let authorization = tool.authorization.as_ref().map(Secret::expose);
        if let Some(mut value) = authorization.and_then(|text| HeaderValue::from_str(text).ok()) {
            value.set_sensitive(true);
            config.custom_headers.insert(AUTHORIZATION, value);
        }
        let transport = StreamableHttpClientTransport::with_client(BoundedMcpClient(client), config);
        let connect = async {
            let service = ().serve(transport).await.map_err(|error| unreachable(&error))?;
            let tools = list(&service, tool.allowed_tools.as_deref()).await?;
            Ok(McpServer { tools, service, timeout_ms: tool.timeout_ms })
        };
        timeout(CONNECT_DEADLINE, connect).await.unwrap_or(Err(WebhookError::Deadline))
    }
}

/// The tools of a server that may be used, page by page.
async fn list(
    service: &RunningService<RoleClient, ()>, allowed: Option<&[String]>,
) -> Result<Vec<ToolOffer>, WebhookError> {
    let allowed = |name: &str| allowed.is_none_or(|list| list.iter().any(|one| one == name));
    let (mut tools, mut listed, mut cursor) = (Vec::<ToolOffer>::new(), 0, None);
    for _ in 0..PAGES_MAX {
        let mut params = PaginatedRequestParams::default();
        params.cursor = cursor;
        let page = service.list_tools(Some(params)).await.map_err(|error| unreachable(&error))?;
        listed += page.tools.len();
        for one in page.tools.into_iter().filter(|one| allowed(&one.name)) {
            if !is_tool_name(&one.name) {
                tracing::warn!("left out a tool of an MCP server: no model takes its name");
                continue;
            }
            if tools.iter().any(|known| *known.name == *one.name) {
                continue;
            }
            tools.push(ToolOffer {
                name: one.name.to_string(),
                description: description(&one.name, one.description.as_deref()),
                parameters: Value::Object(one.input_schema.as_ref().clone()),
                strict: false,
            });
            if tools.len() == TOOLS_MAX {
                tracing::warn!(tools = TOOLS_MAX, "an MCP server may have more tools than are offered");
                return Ok(tools);
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() || listed >= LISTED_MAX {
            break;
        }
    }
    Ok(tools)
}

/// What went wrong, without the address.
fn unreachable(error: &dyn std::error::Error) -> WebhookError {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    WebhookError::Unreachable(inner.to_string())
}

impl McpServer {
    /// Calls a tool: its words, or why there are none.
    pub async fn call(
        &self, name: &str, arguments: Map<String, Value>, deadline: Duration,
    ) -> Result<String, WebhookError> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let answer = timeout(deadline, self.service.call_tool(params)).await.map_err(|_| WebhookError::Deadline)?;
        let answer = answer.map_err(|error| unreachable(&error))?;
        let words = answer.content.iter().filter_map(|content| match content {
            ContentBlock::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        let mut text = words.collect::<Vec<_>>().join("\n");
        if let (true, Some(structured)) = (text.is_empty(), &answer.structured_content) {
            text = structured.to_string();
        }
        let text: String = text.chars().take(ANSWER_CHARS_MAX).collect();
        Ok(if answer.is_error == Some(true) { format!("error: {text}") } else { text })
    }
}
