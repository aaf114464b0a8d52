//! Sends one webhook and waits for the answer, over connections that the guard lets through.

use super::signature::sign;
use crate::domain::secret::Secret;
use crate::egress::http::{GuardedHttp, RedirectPolicy};
use crate::egress::{EgressError, EgressGuard};
use bytes::Bytes;
use reqwest::Method;
use std::time::Duration;
use tokio::time::timeout;

/// Document A: ten seconds, then the webhook counts as failed.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long the body of an answer that is no success is read: its status says enough.
const ERROR_BODY_MAX: Duration = Duration::from_secs(1);
/// Redirects followed; only those that keep method and body (307, 308).
const REDIRECTS_MAX: usize = 3;

/// Why a webhook got no useful answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookError {
    /// The address guard stopped it: trying again will not help.
    Refused(EgressError),
    /// No complete answer before the deadline.
    Deadline,
    /// No connection, or it broke; the text is the innermost cause, without the URL.
    Unreachable(String),
    /// The answer is larger than what is read.
    TooLarge,
    /// The server answered with another status than 2xx.
    Status(u16),
}

impl std::fmt::Display for WebhookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "the URL {why}"),
            Self::Deadline => f.write_str("no answer in time"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::TooLarge => write!(f, "the answer is larger than {ANSWER_BYTES_MAX} bytes"),
            Self::Status(status) => write!(f, "answered with status {status}"),
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct WebhookMessage<'a> {
    /// `webhook-id`: the same for every attempt at one delivery.
    pub id: &'a str,
    /// Where to post; the guard checks it at each attempt.
    pub url: &'a str,
    /// The JSON to post, exactly as it is signed.
    pub body: &'a str,
    /// Keys of the signatures; receivers accept any of them. Empty: the request is not signed.
    pub secrets: &'a [Secret],
    /// Unix time in seconds.
    pub at_s: i64,
}

/// Shared by everything that sends webhooks.
#[derive(Clone, Debug)]
pub struct WebhookSender {
    pub(super) http: GuardedHttp,
    /// For servers that offer tools, and for requests with headers of the customer's.
    pub(super) tools: GuardedHttp,
    /// For questions whether a receiver is there.
    pub(super) checks: GuardedHttp,
}

impl WebhookSender {
    /// Creates the HTTP clients, one set each for webhooks, tool servers and questions to receivers. Fails if TLS cannot be set up.
    pub fn new(guard: &EgressGuard) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(5))
                .pool_idle_timeout(Duration::from_secs(60))
                .pool_max_idle_per_host(16)
                .user_agent(concat!("trunkline/", env!("CARGO_PKG_VERSION")))
        };
        let http = GuardedHttp::new(guard, RedirectPolicy::AnyOrigin(REDIRECTS_MAX), builder)?;
        // Their authorization and session are for the server that the agent names, not for one it points to.
        let tools = GuardedHttp::new(guard, RedirectPolicy::SameOrigin(REDIRECTS_MAX), builder)?;
        let checks = || builder().pool_max_idle_per_host(0).tls_info(true);
        let checks = GuardedHttp::new(guard, RedirectPolicy::None, checks)?;
        Ok(Self { http, tools, checks })
    }

    /// Whether this URL may be a webhook's, as far as it says before it is resolved.
    pub fn check(&self, url: &str) -> Result<(), EgressError> {
        self.http.guard().check(url).map(drop)
    }

    /// Posts a message; the answer's status and body, whatever the status is.
    pub async fn post(&self, message: WebhookMessage<'_>, deadline: Duration) -> Result<(u16, Bytes), WebhookError> {
        let url = self.http.guard().check(message.url).map_err(WebhookError::Refused)?;
        let mut request = self
            .http
            .request(Method::POST, url)
            .map_err(WebhookError::Refused)?
            .header("content-type", "application/json")
            .header("webhook-id", message.id)
            // The same for receivers that know this name: a repeated delivery is not a new one.
            .header("idempotency-key", message.id)
            .header("webhook-timestamp", message.at_s)
            .body(message.body.to_owned());
        if !message.secrets.is_empty() {
            let sign = |secret: &Secret| sign(secret.expose(), message.id, message.at_s, message.body);
            let signatures: Vec<String> = message.secrets.iter().map(sign).collect();
            request = request.header("webhook-signature", signatures.join(" "));
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            let status = response.status();
            let body = if status.is_success() { read_body(response).await? } else { error_body(response).await };
            Ok((status.as_u16(), body))
        };
        timeout(deadline, exchange).await.unwrap_or(Err(WebhookError::Deadline))
    }
}

/// The body of an answer, up to its bound.
pub(super) async fn read_body(mut response: reqwest::Response) -> Result<Bytes, WebhookError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(WebhookError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Bytes::from(body))
}

/// The beginning of the body of an answer that is no success: neither its length nor a body that stops or breaks off hides
/// the status.
pub(super) async fn error_body(mut response: reqwest::Response) -> Bytes {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(chunk.get(..ANSWER_BYTES_MAX - body.len()).unwrap_or(&chunk));
            if body.len() >= ANSWER_BYTES_MAX {
                break;
            }
        }
    };
    // What came within the time is enough.
    timeout(ERROR_BODY_MAX, read).await.unwrap_or_default();
    Bytes::from(body)
}

/// The innermost reason; a URL may hold a customer's token and stays out.
pub(super) fn unreachable(error: &reqwest::Error) -> WebhookError {
    let mut why = if error.is_redirect() { "redirect not followed".to_owned() } else { "request failed".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    WebhookError::Unreachable(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{EgressReach, OwnListeners};
    use std::sync::LazyLock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn message(url: &str) -> WebhookMessage<'_> {
        static SECRETS: LazyLock<[Secret; 2]> = LazyLock::new(|| ["s".into(), "old".into()]);
        WebhookMessage { id: "1", url, body: "{}", secrets: &*SECRETS, at_s: 5 }
    }

    /// Answers one request and returns it.
    async fn answer(listener: &TcpListener, response: &str) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let len = stream.read(&mut request).await.unwrap();
        stream.write_all(response.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..len]).into_owned()
    }

    #[tokio::test]
    async fn names_that_lead_home_are_not_connected_to() {
        let guard = EgressGuard::new(EgressReach::default(), &[], OwnListeners::default(), None);
        let sender = WebhookSender::new(&guard).unwrap();
        // This test asks the resolver directly, because the URL check already rejects this name.
        let (url, public) = ("https://localhost:1/", url::Url::parse("https://example.com/").unwrap());
        let request = sender.http.client(&public).unwrap().post(url).send().await.unwrap_err();
        assert_eq!(unreachable(&request), WebhookError::Unreachable("the name has no public address".into()));
        let failure = sender.post(message("https://127.0.0.1/"), DEADLINE).await.unwrap_err();
        assert!(matches!(failure, WebhookError::Refused(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_silent_is_given_up_at_the_deadline() {
        let sender = WebhookSender::new(&EgressGuard::unrestricted()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let began = tokio::time::Instant::now();
        assert_eq!(sender.post(message(&url), DEADLINE).await, Err(WebhookError::Deadline));
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test]
    async fn a_redirect_keeps_the_message_and_is_guarded() {
        let sender = WebhookSender::new(&EgressGuard::unrestricted()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let url = format!("http://{addr}/first");
        let moved = format!(
            "HTTP/1.1 307 Moved\r\nlocation: http://{addr}/second\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let serve = async {
            answer(&listener, &moved).await;
            answer(&listener, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await
        };
        let (sent, second) = tokio::join!(sender.post(message(&url), DEADLINE), serve);
        assert_eq!(sent.unwrap(), (200, Bytes::from_static(b"hi")));
        assert!(second.starts_with("POST /second ") && second.contains("webhook-signature: v1,"));
        // A redirect that would turn the POST into a GET is returned as the answer.
        let found = "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n";
        let (sent, _) = tokio::join!(sender.post(message(&url), DEADLINE), answer(&listener, found));
        assert_eq!(sent.unwrap().0, 302);
        // The guard asks again where it leads.
        let away = "HTTP/1.1 308 Moved\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n";
        let (sent, _) = tokio::join!(sender.post(message(&url), DEADLINE), answer(&listener, away));
        assert!(!matches!(sent, Ok((200, _))), "{sent:?}");
    }
}
