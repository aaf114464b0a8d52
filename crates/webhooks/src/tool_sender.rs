//! Sends the request of a tool call and reads its answer, over connections that the guard lets through.

use super::sender::{WebhookError, WebhookSender, error_body, read_body, unreachable};
use super::signature::sign;
use crate::domain::secret::Secret;
use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout};

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
    /// How long the server wants to be left alone, ten minutes at most.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
}

impl WebhookSender {
    /// Sends a tool's request once.
    pub async fn ask_tool(&self, message: ToolMessage<'_>, deadline: Duration) -> Result<ToolAnswer, WebhookError> {
        let request = self.tool_request(message)?;
        let (sent_s, begun) = (u64::try_from(message.at_s).unwrap_or_default(), Instant::now());
        let exchange = async {
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            let now = UNIX_EPOCH + Duration::from_secs(sent_s) + begun.elapsed();
            let (head, is_success) = (head(&response, now), response.status().is_success());
            let body = if is_success { read_body(response).await? } else { error_body(response).await };
            Ok(ToolAnswer { body, ..head })
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

/// Everything of an answer but its body, which came at `now`.
fn head(response: &Response, now: SystemTime) -> ToolAnswer {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    ToolAnswer {
        status: response.status().as_u16(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        retry_after: header("retry-after").and_then(|text| retry_after(&text, header("date").as_deref(), now)),
        body: Bytes::new(),
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or the time when the server may be asked again. The server's own
/// clock counts if it says what time it is. A time that is past is no wait; what is neither is left out.
fn retry_after(text: &str, date: Option<&str>, now: SystemTime) -> Option<Duration> {
    let longest = Duration::from_secs(RETRY_AFTER_S_MAX);
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits are a very long time.
        return Some(text.parse().map_or(longest, Duration::from_secs).min(longest));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let now = date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default().min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::EgressGuard;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// What is made of an answer whose connection stays open when all of it was sent.
    async fn asked(answer: Vec<u8>) -> Result<ToolAnswer, WebhookError> {
        let sender = WebhookSender::new(&EgressGuard::unrestricted()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let message = ToolMessage {
            id: "1",
            method: "GET",
            url: &url,
            headers: &[],
            content_type: None,
            body: "",
            secrets: &[],
            at_s: 5,
            redirects: ToolRedirects::SameOrigin,
        };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4_096]).await;
            // The client may have gone before the end.
            let _ = stream.write_all(&answer).await;
            stream
        };
        let (answer, _stream) = tokio::join!(sender.ask_tool(message, Duration::from_secs(10)), serve);
        answer
    }

    #[tokio::test]
    async fn a_status_that_is_no_success_is_told_whatever_the_body() {
        let html = "<html>".repeat(70_000);
        let with = |head: &str, body: &str| format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes();
        let length = |length: usize| format!("content-type: text/html\r\ncontent-length: {length}");
        for (what, answer) in [
            ("large", with(&format!("500 Error\r\n{}", length(html.len())), &html)),
            ("large, in chunks", with("500 Error\r\ntransfer-encoding: chunked", &format!("66000\r\n{html}"))),
            ("it stops", with(&format!("500 Error\r\n{}", length(1_000)), "<html>")),
            ("nothing of it", with(&format!("500 Error\r\n{}", length(1_000)), "")),
            ("no chunk", with("500 Error\r\ntransfer-encoding: chunked", "zzz\r\n")),
        ] {
            let answer = asked(answer).await.map(|answer| (answer.status, answer.body.len() <= 256 * 1024));
            assert_eq!(answer, Ok((500, true)), "{what}");
        }
        let large = with(&format!("200 OK\r\n{}", length(html.len())), &html);
        assert_eq!(asked(large).await, Err(WebhookError::TooLarge), "a result is whole or none");
    }

    #[test]
    fn both_forms_of_retry_after_are_read_and_bounded() {
        let now = httpdate::parse_http_date("Sat, 28 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |text: &str, date: Option<&str>| retry_after(text, date, now).map(|wait| wait.as_secs());
        for (text, seconds) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("Sat, 28 Nov 2026 10:00:07 GMT", Some(7)),
            ("Saturday, 28-Nov-26 10:00:07 GMT", Some(7)),
            ("Sat Nov 28 10:00:07 2026", Some(7)),
            ("Sat, 28 Nov 2026 09:00:00 GMT", Some(0)),
            ("Sun, 29 Nov 2026 10:00:00 GMT", Some(600)),
            ("", None),
            ("-7", None),
            ("1.5", None),
            ("soon", None),
            ("2026-11-28T10:00:07Z", None),
        ] {
            assert_eq!(wait(text, None), seconds, "{text}");
        }
        let (until, servers) = ("Sat, 28 Nov 2026 12:00:07 GMT", "Sat, 28 Nov 2026 12:00:00 GMT");
        assert_eq!(wait(until, Some(servers)), Some(7), "its clock is two hours fast");
        assert_eq!(wait(until, Some("noon")), Some(600));
    }
}
