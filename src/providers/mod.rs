//! Clients of the speech and model providers. Each protocol has a folder: `message` is the wire,
//! `client` the connection. They refuse to know calls; what they say comes as events over a channel.
#![expect(clippy::disallowed_methods, reason = "clients drive sockets: tasks, clocks and deadlines are theirs")]

pub mod deepgram;
pub mod elevenlabs;
pub mod local;
pub mod openai;
mod sse;

use crate::domain::chat::{ChatMessage, ToolCall, ToolOffer};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Events of one stream waiting for the call; a call that does not read ends its streams.
pub const EVENTS_MAX: usize = 256;

/// Where a provider is and how long it may take.
#[derive(Clone)]
pub struct Endpoint {
    /// Without a slash at the end.
    pub base_url: String,
    pub api_key: Option<String>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("base_url", &self.base_url).field("key", &self.api_key.is_some()).finish()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    pub connect: Duration,
    /// From the request to the first useful byte.
    pub first_byte: Duration,
    /// Between two bytes after that.
    pub between_bytes: Duration,
}

/// Everything a call needs to reach its providers; shared by all calls.
#[derive(Clone, Debug)]
pub struct Providers {
    pub http: reqwest::Client,
    pub deadlines: Deadlines,
    pub deepgram: Endpoint,
    pub openai: Endpoint,
    pub elevenlabs: Endpoint,
    /// Program of the local voice.
    pub espeak: String,
    pub warmth: Warmth,
}

impl Providers {
    /// The shared HTTP client: connections are kept warm between turns.
    pub fn http_client(deadlines: &Deadlines) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .connect_timeout(deadlines.connect)
            .pool_idle_timeout(Duration::from_secs(90))
            .pool_max_idle_per_host(64)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(15))
            .build()
    }
}

/// A connection used in this time is still open: servers keep idle ones for a minute and more.
const WARM_FOR: Duration = Duration::from_secs(30);

/// When each HTTP provider was last connected to, so that ringing calls do not all knock.
#[derive(Clone, Debug, Default)]
pub struct Warmth(Arc<Mutex<HashMap<String, Instant>>>);

impl Warmth {
    /// True when this caller should open the connection.
    fn is_cold(&self, base_url: &str, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cold = last.get(base_url).is_none_or(|at| now.saturating_duration_since(*at) > WARM_FOR);
        if cold {
            last.insert(base_url.to_owned(), now);
        }
        cold
    }
}

impl Providers {
    /// Opens the connections that a call will need while its phone rings: name, TCP and TLS are done when
    /// the first word is asked for. The answer does not matter.
    pub fn open_connections(&self, endpoints: &[&Endpoint]) -> Vec<JoinHandle<()>> {
        let cold = endpoints
            .iter()
            .filter(|endpoint| endpoint.api_key.is_some() && self.warmth.is_cold(&endpoint.base_url, Instant::now()));
        cold.map(|endpoint| {
            let knock = self.http.head(&endpoint.base_url).timeout(self.deadlines.connect);
            tokio::spawn(async move {
                if let Err(error) = knock.send().await {
                    tracing::debug!(why = %unreachable(&error), "connection not opened ahead");
                }
            })
        })
        .collect()
    }
}

/// What went wrong at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    NotConfigured,
    /// The provider said no; the text is the provider's.
    Refused {
        status: u16,
        message: String,
    },
    Unreachable(String),
    /// Which deadline passed.
    Deadline(&'static str),
    /// The stream ended before its end.
    Dropped(String),
    /// Not the provider's protocol.
    Garbage(String),
}

impl Failure {
    /// Worth another try with the same request.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConfigured => false,
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
            _ => true,
        }
    }

    /// A short name for metrics and the call's record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConfigured => "not_configured",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Deadline(_) => "deadline",
            Self::Dropped(_) => "dropped",
            Self::Garbage(_) => "garbage",
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no key configured"),
            Self::Refused { status, message } => write!(f, "refused with {status}: {message}"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Deadline(which) => write!(f, "no {which} in time"),
            Self::Dropped(why) => write!(f, "dropped: {why}"),
            Self::Garbage(what) => write!(f, "not understood: {what}"),
        }
    }
}

/// What a recogniser hears.
#[derive(Clone, Debug, PartialEq)]
pub enum SttEvent {
    Ready,
    Interim(String),
    Final {
        text: String,
        confidence: Option<f32>,
        speech_final: bool,
    },
    UtteranceEnd,
    /// A connection was lost and is being made again; audio is kept meanwhile.
    Reconnecting(Failure),
    /// No further attempt is made.
    Failed(Failure),
}

/// What a model says.
#[derive(Clone, Debug, PartialEq)]
pub enum LlmEvent {
    Text(String),
    /// The complete calls, after the text.
    Tools(Vec<ToolCall>),
    Done {
        prompt_tokens: Option<u64>,
        completion_tokens: Option<u64>,
    },
    Failed(Failure),
}

/// What a voice says, in the format of its [`Speech`].
#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    Audio(Bytes),
    Done,
    Failed(Failure),
}

/// Encoding of a voice's audio, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// Little-endian 16-bit samples.
    Pcm16 { rate_hz: u32 },
    /// mu-law at 8 kHz.
    Mulaw,
}

/// A stream of a provider; dropping it cancels the request.
#[derive(Debug)]
pub struct Stream<E> {
    pub events: mpsc::Receiver<E>,
    task: tokio::task::AbortHandle,
}

impl<E> Drop for Stream<E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<E: Send + 'static> Stream<E> {
    pub(crate) fn spawn<F>(run: impl FnOnce(mpsc::Sender<E>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let task = tokio::spawn(run(sender)).abort_handle();
        Self { events, task }
    }
}

/// A sentence being spoken.
#[derive(Debug)]
pub struct Speech {
    pub format: AudioFormat,
    pub stream: Stream<TtsEvent>,
}

/// A request to a model.
#[derive(Clone, Debug)]
pub struct ChatRequest {
    pub model: String,
    pub temperature: Option<f64>,
    pub messages: Vec<ChatMessage>,
    pub tools: Vec<ToolOffer>,
}

/// A refusal with the start of its body, for the log and the call.
pub(crate) async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status().as_u16();
    let body = tokio::time::timeout(Duration::from_secs(2), response.text()).await;
    let mut message = body.ok().and_then(Result::ok).unwrap_or_default();
    message.truncate(message.floor_char_boundary(300));
    Failure::Refused { status, message }
}

pub(crate) fn unreachable(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Deadline("connection");
    }
    // The URL may hold a key; the source says what happened without it.
    let mut why = "request failed".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    Failure::Unreachable(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    async fn answer(stream: &mut tokio::net::TcpStream) -> String {
        let mut request = vec![0; 4_096];
        let len = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..len]).into_owned()
    }

    #[tokio::test]
    async fn a_connection_opened_ahead_carries_the_first_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ms = Duration::from_millis;
        let deadlines = Deadlines { connect: ms(1_000), first_byte: ms(1_000), between_bytes: ms(1_000) };
        let endpoint =
            Endpoint { base_url: format!("http://{}", listener.local_addr().unwrap()), api_key: Some("k".into()) };
        let providers = Providers {
            http: Providers::http_client(&deadlines).unwrap(),
            deadlines,
            deepgram: endpoint.clone(),
            openai: endpoint.clone(),
            elevenlabs: endpoint.clone(),
            espeak: String::new(),
            warmth: Warmth::default(),
        };
        // Two providers at one address and a second call: one knock.
        let mut knocks = providers.open_connections(&[&endpoint, &endpoint]);
        knocks.extend(providers.open_connections(&[&endpoint]));
        assert_eq!(knocks.len(), 1);
        let (mut stream, _) = listener.accept().await.unwrap();
        let (request, knocked) = tokio::join!(answer(&mut stream), knocks.remove(0));
        knocked.unwrap();
        assert!(request.starts_with("HEAD / "));
        for _ in 0..20 {
            tokio::task::yield_now().await; // the client puts the connection back on its own task
        }
        let request = providers.http.get(format!("{}/first", endpoint.base_url)).send();
        tokio::select! {
            (response, request) = async { tokio::join!(request, answer(&mut stream)) } => {
                assert_eq!(response.unwrap().status(), 404);
                assert!(request.starts_with("GET /first "));
            }
            _ = listener.accept() => panic!("a second connection was made"),
        }
    }
}
