//! Sends the request of a tool call and reads its answer, over connections that the guard lets through.

use super::sender::{WebhookError, WebhookSender, read_body, unreachable};
use super::signature::sign;
use crate::domain::secret::Secret;
use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use std::time::Duration;
use tokio::time::timeout;

/// Seconds of `Retry-After` that are believed.
const RETRY_AFTER_S_MAX: u64 = 600;

/// Where a tool's redirects may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolRedirects {
    /// To any server: nothing but the signed message is sent.
    AnyOrigin,
    /// To the same server: headers of the customer's go along.
    SameOrigin,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct ToolMessage<'a> {
    /// `Idempotency-Key` and `webhook-id`: the same for every attempt at one tool call.
    pub id: &'a str,
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The address with its query; the guard checks it at each attempt.
    pub url: &'a str,
    /// Headers beside those of every tool call.
    pub headers: &'a [(String, Secret)],
    /// `None`: no type, or one of `headers`.
    pub content_type: Option<&'static str>,
    /// The body, exactly as it is signed; empty for none.
    pub body: &'a str,
    /// Keys of the signatures. Empty: the request is not signed.
    pub secrets: &'a [Secret],
    /// Unix time in seconds.
    pub at_s: i64,
    /// Where redirects may lead.
    pub redirects: ToolRedirects,
}

/// An answer, whatever its status is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The status.
    pub status: u16,
    /// `Content-Type` as it came.
    pub content_type: Option<String>,
    /// `Content-Encoding` as it came.
    pub content_encoding: Option<String>,
    /// How long the server wants to be left alone; only if it says so in seconds.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl WebhookSender {
    /// Sends a tool's request once.
    pub async fn ask_tool(&self, message: ToolMessage<'_>, deadline: Duration) -> Result<ToolAnswer, WebhookError> {
        let request = self.tool_request(message)?;
        let exchange = async {
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            let head = head(&response);
            Ok(ToolAnswer { body: read_body(response).await?, ..head })
        };
        timeout(deadline, exchange).await.unwrap_or(Err(WebhookError::Deadline))
    }

    fn tool_request(&self, message: ToolMessage<'_>) -> Result<RequestBuilder, WebhookError> {
        let http = match message.redirects {
            ToolRedirects::AnyOrigin => &self.http,
            ToolRedirects::SameOrigin => &self.tools,
        };
        let url = http.guard().check(message.url).map_err(WebhookError::Refused)?;
        let not_sent = |what: &str| WebhookError::Unreachable(format!("{what} cannot be sent"));
        let method = Method::from_bytes(message.method.as_bytes()).map_err(|_| not_sent("the method"))?;
        let mut request = http
            .request(method, url)
            .map_err(WebhookError::Refused)?
            .header("webhook-id", message.id)
            .header("idempotency-key", message.id)
            .header("webhook-timestamp", message.at_s);
        if !message.body.is_empty() {
            request = request.body(message.body.to_owned());
        }
        if let Some(content_type) = message.content_type {
            request = request.header("content-type", content_type);
        }
        for (name, value) in message.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| not_sent("a header"))?;
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| not_sent("a header"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if !message.secrets.is_empty() {
            let sign = |secret: &Secret| sign(secret.expose(), message.id, message.at_s, message.body);
            let signatures: Vec<String> = message.secrets.iter().map(sign).collect();
            request = request.header("webhook-signature", signatures.join(" "));
        }
        Ok(request)
    }
}

/// Everything of an answer but its body.
fn head(response: &Response) -> ToolAnswer {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let seconds = header("retry-after").and_then(|text| text.trim().parse().ok());
    ToolAnswer {
        status: response.status().as_u16(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        retry_after: seconds.map(|seconds: u64| Duration::from_secs(seconds.min(RETRY_AFTER_S_MAX))),
        body: Bytes::new(),
    }
}
