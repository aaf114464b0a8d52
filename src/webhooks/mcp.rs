//! Servers that offer tools themselves: Model Context Protocol over streamable HTTP, by the protocol's own client.
//! What a server says of its tools goes to the model as it is; what a tool answers is words.

use super::sender::{Failure, Sender};
use crate::domain::chat::ToolOffer;
use crate::domain::speech::Tool;
use hyper::header::AUTHORIZATION;
use rmcp::model::{CallToolRequestParams, ContentBlock};
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
/// Bytes of one message that are read.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// A server that was reached; ends with its last handle.
pub struct ToolServer {
    service: RunningService<RoleClient, ()>,
    pub tools: Vec<ToolOffer>,
}

impl std::fmt::Debug for ToolServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolServer").field("tools", &self.tools.len()).finish_non_exhaustive()
    }
}

/// Names that every model takes.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

impl Sender {
    /// Connects to an agent's tool server and asks what it has.
    pub async fn tool_server(&self, tool: &Tool) -> Result<ToolServer, Failure> {
        let url = tool.server().unwrap_or_default();
        if let Some(why) = self.refuses(url) {
            return Err(Failure::Refused(why));
        }
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.max_sse_event_size = EVENT_BYTES_MAX;
        if let Some(value) = tool.authorization.as_deref().and_then(|text| text.parse().ok()) {
            config.custom_headers.insert(AUTHORIZATION, value);
        }
        let transport = StreamableHttpClientTransport::with_client(self.client(), config);
        let connect = async {
            let service = ().serve(transport).await.map_err(|error| unreachable(&error))?;
            let listed = service.list_all_tools().await.map_err(|error| unreachable(&error))?;
            let allowed =
                |name: &str| tool.allowed_tools.as_ref().is_none_or(|list| list.iter().any(|one| one == name));
            let tools = listed.into_iter().filter(|one| allowed(&one.name) && is_name(&one.name)).take(TOOLS_MAX);
            let tools = tools.map(|one| ToolOffer {
                name: one.name.to_string(),
                description: one.description.map(|text| text.to_string()).unwrap_or_default(),
                parameters: Value::Object(one.input_schema.as_ref().clone()),
                strict: false,
            });
            Ok(ToolServer { tools: tools.collect(), service })
        };
        timeout(CONNECT_DEADLINE, connect).await.unwrap_or(Err(Failure::Deadline))
    }
}

/// What went wrong, without the address.
fn unreachable(error: &dyn std::error::Error) -> Failure {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    Failure::Unreachable(inner.to_string())
}

impl ToolServer {
    /// Calls a tool: its words, or why there are none.
    pub async fn call(&self, name: &str, arguments: Map<String, Value>, deadline: Duration) -> Result<String, Failure> {
        let params = CallToolRequestParams::new(name.to_owned()).with_arguments(arguments);
        let answer = timeout(deadline, self.service.call_tool(params)).await.map_err(|_| Failure::Deadline)?;
        let answer = answer.map_err(|error| unreachable(&error))?;
        let words = answer.content.iter().filter_map(|content| match content {
            ContentBlock::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        let mut text = words.collect::<Vec<_>>().join("\n");
        if let (true, Some(structured)) = (text.is_empty(), &answer.structured_content) {
            text = structured.to_string();
        }
        Ok(if answer.is_error == Some(true) { format!("error: {text}") } else { text })
    }
}
