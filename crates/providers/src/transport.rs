//! Transport: HTTP clients, WebSockets, and warm connections opened before they are needed.

use super::{Deadlines, ProviderAccess, ProviderError};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};
use trunkline_domain::secret::Secret;
use trunkline_egress::EgressGuard;
use trunkline_egress::connect::ConnectError;
use trunkline_egress::http::{GuardedHttp, RedirectPolicy};
use trunkline_egress::tls::with_shared_tls;
use trunkline_json::document::DocumentLimits;
use url::Url;

/// A WebSocket to a provider, with or without TLS.
pub type ProviderSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest message of a provider: a second of base64 audio is 64 kB, a transcript less.
const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// A spare connection is used in this time: servers give up on clients that send nothing.
const WARM_CONNECTION_TTL: Duration = Duration::from_secs(8);
/// Longest wait a provider may order; longer ones are as good as a refusal.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(120);

/// HTTP clients: one for our addresses, one that asks the egress guard for customers' addresses. Neither follows
/// redirects: keys in vendors' own headers would travel along.
#[derive(Clone, Debug)]
pub struct ProviderHttp {
    server_client: reqwest::Client,
    guarded_client: GuardedHttp,
    /// Addresses connected to lately, so that concurrent calls do not all warm one up.
    warm: moka::sync::Cache<String, ()>,
}

/// A connection used in this time is still open: servers keep idle ones for a minute and more.
const WARM_TTL: Duration = Duration::from_secs(30);
const WARM_ADDRESSES_MAX: u64 = 10_000;

impl ProviderHttp {
    /// Returns the clients of one stage; fails if TLS cannot be set up. Only the connect deadline applies here.
    pub fn new(deadlines: &Deadlines, guard: &EgressGuard) -> Result<Self, reqwest::Error> {
        let builder = || {
            reqwest::Client::builder()
                .connect_timeout(deadlines.connect)
                .pool_idle_timeout(Duration::from_secs(90))
                .pool_max_idle_per_host(64)
                .tcp_nodelay(true)
                .tcp_keepalive(Duration::from_secs(15))
                .redirect(reqwest::redirect::Policy::none())
                .default_headers(identity_only())
        };
        let customers = GuardedHttp::new(guard, RedirectPolicy::None, builder)?;
        let warm = moka::sync::Cache::builder().max_capacity(WARM_ADDRESSES_MAX).time_to_live(WARM_TTL).build();
        Ok(Self { server_client: with_shared_tls(builder()).build()?, guarded_client: customers, warm })
    }

    /// A request to a URL below an endpoint's address.
    pub fn request(
        &self, method: Method, endpoint: &ProviderAccess, url: Url,
    ) -> Result<RequestBuilder, ProviderError> {
        endpoint.check()?;
        if endpoint.is_customer_server {
            return self.guarded_client.request(method, url).map_err(ProviderError::AddressBlocked);
        }
        Ok(self.server_client.request(method, url))
    }

    /// True when this caller should open the connection.
    pub fn needs_warm_up(&self, endpoint: &ProviderAccess) -> bool {
        self.warm.entry_by_ref(&endpoint.base_url).or_insert(()).is_fresh()
    }
}

/// Bodies are read as they come: without this header a server may send them in any encoding.
fn identity_only() -> reqwest::header::HeaderMap {
    std::iter::once((reqwest::header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))).collect()
}

/// Encodings of bodies that are not read here; other names in the header are mistakes of servers.
const COMPRESSIONS: [&str; 7] = ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"];

/// Refuses a body in an encoding that was not asked for.
pub fn check_encoding(response: &reqwest::Response) -> Result<(), ProviderError> {
    let headers = response.headers().get_all(reqwest::header::CONTENT_ENCODING).iter();
    let mut named = headers.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    let is_compression = |name: &&str| COMPRESSIONS.iter().any(|one| one.eq_ignore_ascii_case(name));
    match named.find(is_compression) {
        None => Ok(()),
        Some(name) => Err(ProviderError::InvalidResponse(format!(
            "content-encoding {name}, though the body was asked for as it is (accept-encoding: identity)"
        ))),
    }
}

/// The body of an answer, as far as `bytes_max`: a server that goes on sending does not fill our memory.
pub async fn body(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, ProviderError> {
    check_encoding(&response)?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| ProviderError::Disconnected(error.to_string()))? {
        if body.len() + part.len() > bytes_max {
            return Err(ProviderError::InvalidResponse(format!("an answer of more than {bytes_max} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// A vendor's JSON text: an event, a message, an answer. Values take thirty times their text in memory at worst.
const TEXT_LIMITS: DocumentLimits = DocumentLimits { bytes_max: 16 << 20, depth_max: 64, values_max: 50_000 };
/// Shorter texts have not enough values to matter, and the reader stops at its own depth.
const SHORT_TEXT_BYTES: usize = 64 * 1024;

/// Whether a vendor's text is within the bounds of what is read.
pub fn check_text(text: &[u8]) -> Result<(), ProviderError> {
    if text.len() <= SHORT_TEXT_BYTES {
        return Ok(());
    }
    TEXT_LIMITS.check_text(text).map_err(|error| ProviderError::InvalidResponse(format!("a message that {error}")))
}

/// The start of a response body.
pub async fn read_prefix(mut response: reqwest::Response, bytes_max: usize) -> String {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        body.extend_from_slice(part.get(..bytes_max.saturating_sub(body.len())).unwrap_or(&part));
        if body.len() >= bytes_max {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

/// `retry-after-ms`, or `retry-after` in seconds; dates are not used by any of the vendors.
pub fn retry_after(headers: &reqwest::header::HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms").map(|ms| ms / 1_000.0).or_else(|| number("retry-after"))?;
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    (wait <= RETRY_AFTER_MAX).then_some(wait)
}

/// The sentence in a vendor's error body, in whichever of their shapes.
pub fn error_text(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let paths = [
        "/error/message",
        "/0/error/message",
        "/error",
        "/err_msg",
        "/message",
        "/detail/message",
        "/detail/0/msg",
        "/detail",
        "/description",
        "/title",
    ];
    paths.iter().find_map(|path| body.pointer(path).and_then(Value::as_str)).map(str::to_owned)
}

/// The field of the request that a refusal is about, such as `tools[0].function.description`.
pub fn error_field(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let named = ["/error/param", "/param"].iter().find_map(|path| body.pointer(path).and_then(Value::as_str));
    let place = || {
        let parts = body.pointer("/detail/0/loc")?.as_array()?;
        let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
        Some(parts.iter().skip(1).map(part).collect::<Vec<_>>().join("."))
    };
    let too_long =
        || body.pointer("/error/code").and_then(Value::as_str).filter(|code| code.starts_with("context_length"));
    let named = named.or_else(too_long);
    named.map(str::to_owned).or_else(place).filter(|field| !field.is_empty())
}

/// A WebSocket to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketRequest {
    /// URL with the scheme `ws` or `wss`.
    pub url: String,
    /// Headers beside those of the WebSocket handshake, one of which has the key.
    pub headers: Vec<(&'static str, Secret)>,
}

impl WebSocketRequest {
    /// Path and query below an endpoint's address, with the scheme of a WebSocket.
    pub fn for_endpoint(endpoint: &ProviderAccess, path: &str, query: &[(&str, &str)]) -> Self {
        let base = endpoint.base_url.replacen("http", "ws", 1);
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(query);
        let text = text.finish();
        let mark = if text.is_empty() { "" } else { "?" };
        Self { url: format!("{base}{path}{mark}{text}"), headers: Vec::new() }
    }

    /// Adds a header, such as the one with the key.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Secret>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Connections to WebSocket hosts that have done TCP and TLS, one for each host.
#[derive(Clone, Debug, Default)]
pub struct WarmConnections(Arc<Mutex<HashMap<String, WarmConnection>>>);

#[derive(Debug)]
enum WarmConnection {
    Connecting { since: Instant },
    Ready { stream: Box<MaybeTlsStream<TcpStream>>, since: Instant },
}

impl WarmConnections {
    /// Warms up a connection. Not for customers' addresses.
    pub fn warm_up(&self, endpoint: &ProviderAccess, deadlines: &Deadlines) {
        if endpoint.is_customer_server || !endpoint.is_usable() {
            return;
        }
        let Ok(place) = HostPort::of(&endpoint.base_url) else { return };
        let now = Instant::now();
        let mut warm = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = warm.get(&place.key).is_some_and(|warm| match warm {
            WarmConnection::Connecting { since } | WarmConnection::Ready { since, .. } => {
                now.duration_since(*since) < WARM_CONNECTION_TTL
            }
        });
        if fresh {
            return;
        }
        warm.insert(place.key.clone(), WarmConnection::Connecting { since: now });
        let (own, limit) = (self.clone(), deadlines.connect);
        trunkline_supervision::spawn("provider_connection", async move {
            let made = timeout(limit, place.connect(None)).await;
            let mut warm = own.0.lock().unwrap_or_else(PoisonError::into_inner);
            match made {
                Ok(Ok(stream)) => {
                    let ready = WarmConnection::Ready { stream: Box::new(stream), since: Instant::now() };
                    warm.insert(place.key, ready);
                }
                _ => {
                    warm.remove(&place.key);
                }
            }
        });
    }

    fn take(&self, key: &str) -> Option<MaybeTlsStream<TcpStream>> {
        let mut warm = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match warm.remove(key)? {
            WarmConnection::Ready { stream, since } if since.elapsed() < WARM_CONNECTION_TTL && is_open(&stream) => {
                Some(*stream)
            }
            _ => None,
        }
    }
}

/// Whether the connection is still open; pending bytes (TLS tickets) do not count.
fn is_open(stream: &MaybeTlsStream<TcpStream>) -> bool {
    let tcp = match stream {
        MaybeTlsStream::Plain(tcp) => tcp,
        MaybeTlsStream::Rustls(tls) => tls.get_ref().0,
        _ => return false,
    };
    let mut one = [std::mem::MaybeUninit::uninit(); 1];
    !matches!(socket2::SockRef::from(tcp).peek(&mut one), Ok(0))
}

/// Host and port behind an address.
struct HostPort {
    key: String,
    host: String,
    port: u16,
    tls: bool,
}

static TLS: LazyLock<TlsConnector> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    TlsConnector::from(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
});

impl HostPort {
    fn of(url: &str) -> Result<Self, ProviderError> {
        let wrong = |why: &str| ProviderError::Unreachable(format!("address: {why}"));
        let url = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        let tls = matches!(url.scheme(), "https" | "wss");
        let host = url.host_str().ok_or_else(|| wrong("no host"))?.to_owned();
        let port = url.port().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { key: format!("{tls} {host}:{port}"), host, port, tls })
    }

    /// `guard` judges every address of a host that a customer names.
    async fn connect(&self, guard: Option<&EgressGuard>) -> Result<MaybeTlsStream<TcpStream>, ProviderError> {
        let stream = match guard {
            Some(guard) => guard.connect(&self.host, self.port).await.map_err(|error| match error {
                ConnectError::Egress(why) => ProviderError::AddressBlocked(why),
                ConnectError::Io(error) => ProviderError::Unreachable(error.to_string()),
            })?,
            None => {
                let host = self.host.trim_start_matches('[').trim_end_matches(']');
                let connected = TcpStream::connect((host, self.port)).await;
                connected.map_err(|error| ProviderError::Unreachable(error.to_string()))?
            }
        };
        self.connect_tls(stream).await
    }

    async fn connect_tls(&self, stream: TcpStream) -> Result<MaybeTlsStream<TcpStream>, ProviderError> {
        let _ = stream.set_nodelay(true);
        // A peer that is gone without a word is noticed by the kernel as well.
        let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(15));
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        if !self.tls {
            return Ok(MaybeTlsStream::Plain(stream));
        }
        let name = ServerName::try_from(self.host.clone()).map_err(|e| ProviderError::Unreachable(e.to_string()))?;
        let secured = TLS.connect(name, stream).await.map_err(|e| ProviderError::Unreachable(e.to_string()))?;
        Ok(MaybeTlsStream::Rustls(secured))
    }
}

/// Opens a WebSocket in the time of `deadlines.connect`; a spare connection saves TCP and TLS.
pub async fn open(
    warm: &WarmConnections, endpoint: &ProviderAccess, upgrade: &WebSocketRequest, deadlines: &Deadlines,
    guard: &EgressGuard,
) -> Result<ProviderSocket, ProviderError> {
    endpoint.check()?;
    let guard = if endpoint.is_customer_server {
        guard.check_base(&endpoint.base_url).map_err(ProviderError::AddressBlocked)?;
        Some(guard)
    } else {
        None
    };
    let opening = async {
        let place = HostPort::of(&endpoint.base_url)?;
        if let Some(stream) = warm.take(&place.key) {
            metrics::counter!("trunkline_provider_connections_total", "kind" => "spare").increment(1);
            match upgrade_websocket(upgrade, stream).await {
                // It may have been closed just now: that is no failure of the provider.
                Err(ProviderError::Disconnected(_)) => {}
                done => return done,
            }
        }
        metrics::counter!("trunkline_provider_connections_total", "kind" => "new").increment(1);
        upgrade_websocket(upgrade, place.connect(guard).await?).await
    };
    timeout(deadlines.connect, opening).await.unwrap_or(Err(ProviderError::Timeout("connection")))
}

async fn upgrade_websocket(
    upgrade: &WebSocketRequest, stream: MaybeTlsStream<TcpStream>,
) -> Result<ProviderSocket, ProviderError> {
    let mut request =
        upgrade.url.as_str().into_client_request().map_err(|error| ProviderError::Unreachable(error.to_string()))?;
    for (name, value) in &upgrade.headers {
        let value = HeaderValue::from_str(value.expose()).map_err(|_| ProviderError::NotConfigured)?;
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    // The default buffers are 128 kB each; a call needs a few hundred bytes at a time.
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_message_size(Some(MESSAGE_BYTES_MAX));
    match client_async_with_config(request, stream, Some(config)).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
            let mut failure = ProviderError::refused(response.status().as_u16(), error_text(&body).unwrap_or(body));
            if let ProviderError::Refused { retry_after, .. } = &mut failure {
                *retry_after = self::retry_after(response.headers());
            }
            Err(failure)
        }
        Err(error) => Err(ProviderError::Disconnected(error.to_string())),
    }
}

/// A peer is asked for a sign of life this often.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// Keep-alive by ping: detects dead peers on a socket.
#[derive(Debug)]
pub struct KeepAlive {
    limit: Duration,
    /// A sign of life was asked for and nothing has come since.
    asked: Option<tokio::time::Instant>,
    next: tokio::time::Instant,
}

impl KeepAlive {
    /// Returns a keep-alive that pings every 2 s; a peer that is silent for `limit` after a ping is dead.
    pub fn new(limit: Duration) -> Self {
        Self { limit, asked: None, next: tokio::time::Instant::now() + PING_INTERVAL }
    }

    /// Something came.
    pub fn record_activity(&mut self) {
        self.asked = None;
    }

    /// Waits until `poll_ping` is to be called.
    pub async fn due(&self) {
        tokio::time::sleep_until(self.next).await;
    }

    /// What is to be sent now that it is due; an error when nothing came for too long.
    pub fn poll_ping(&mut self) -> Result<Option<tungstenite::Message>, ProviderError> {
        let now = tokio::time::Instant::now();
        match self.asked {
            Some(since) if now >= since + self.limit => Err(ProviderError::Timeout("sign of life")),
            Some(since) => {
                self.next = since + self.limit;
                Ok(None)
            }
            None => {
                self.asked = Some(now);
                self.next = now + PING_INTERVAL.min(self.limit);
                Ok(Some(tungstenite::Message::Ping(bytes::Bytes::new())))
            }
        }
    }
}

/// Why a socket ended, from what it read last.
pub fn close_error(message: Option<Result<tungstenite::Message, Error>>) -> ProviderError {
    match message {
        Some(Ok(tungstenite::Message::Close(Some(frame)))) => {
            let said = format!("{} {}", frame.code, frame.reason);
            // Vendors that bound their sessions say so in the close frame, under various codes.
            let is_planned = frame.code == CloseCode::Away || frame.reason.to_lowercase().contains("maximum duration");
            if is_planned { ProviderError::SessionEnded(said) } else { ProviderError::Disconnected(said) }
        }
        Some(Ok(tungstenite::Message::Close(None))) => ProviderError::Disconnected("closed".to_owned()),
        Some(Err(error)) => ProviderError::Disconnected(error.to_string()),
        _ => ProviderError::Disconnected("end of stream".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_and_bounded() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect()
        };
        assert_eq!(retry_after(&headers(&[("retry-after", "2")])), Some(Duration::from_secs(2)));
        let both = headers(&[("retry-after", "2"), ("retry-after-ms", "250")]);
        assert_eq!(retry_after(&both), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&headers(&[("retry-after", "86400")])), None);
        assert_eq!(retry_after(&headers(&[("retry-after", "-1")])), None);
        assert_eq!(retry_after(&headers(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")])), None);
    }

    #[test]
    fn a_vendors_text_has_bounds() {
        let text = |values: usize| format!("[{}1]", "1,".repeat(values));
        assert_eq!(check_text(text(40_000).as_bytes()), Ok(()));
        assert!(matches!(check_text(text(60_000).as_bytes()), Err(ProviderError::InvalidResponse(_))));
        assert!(matches!(check_text("[".repeat(100_000).as_bytes()), Err(ProviderError::InvalidResponse(_))));
        // Sound is one long text.
        assert_eq!(check_text(format!("{{\"audio\":\"{}\"}}", "A,[{".repeat(500_000)).as_bytes()), Ok(()));
    }

    #[test]
    fn refusals_are_read_in_every_vendors_shape() {
        for (body, text) in [
            (r#"{"error":{"message":"a","type":"t","code":null}}"#, "a"),
            (r#"{"code":"invalid","error":"Argument not supported"}"#, "Argument not supported"),
            (r#"{"err_code":"INVALID_AUTH","err_msg":"Invalid credentials."}"#, "Invalid credentials."),
            (r#"{"detail":{"status":"voice_not_found","message":"b"}}"#, "b"),
            (r#"{"detail":[{"loc":["body","x"],"msg":"field required"}]}"#, "field required"),
            (r#"{"error_code":"x","title":"Too many","message":"c"}"#, "c"),
        ] {
            assert_eq!(error_text(body).as_deref(), Some(text));
        }
        assert_eq!(error_text("<html>"), None);
    }
}
