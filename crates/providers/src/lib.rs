//! Clients of the STT, LLM, TTS and realtime providers. Each vendor has a folder: its messages are plain values without
//! sockets; `registry` finds the client by name; `stt`, `llm`, `tts` and `realtime` add connections, deadlines, retries
//! and failover. They know nothing of calls; events come over a channel.
#![expect(clippy::disallowed_methods, reason = "clients drive sockets: tasks, clocks and deadlines are theirs")]

pub mod anthropic;
pub mod cartesia;
pub mod circuit_breaker;
pub mod deepgram;
pub mod elevenlabs;
pub mod groq;
pub mod llm;
pub mod local;
pub mod mistral;
pub mod openai;
pub mod provider_check;
pub mod realtime;
pub mod registry;
pub mod sse;
pub mod stt;
pub mod transport;
pub mod tts;
mod unsupported_parameters;
pub mod xai;

pub use registry::{
    LocalTtsPrograms, OrganizationKey, OrganizationKeys, ProviderRegistry, ProviderSettings, StageDeadlines,
};

use bytes::Bytes;
use std::time::Duration;
use tokio::sync::mpsc;
use trunkline_domain::chat::{ChatMessage, ToolCall, ToolOffer};
use trunkline_domain::provider::{PipelineStage, ProviderAccount};
use trunkline_domain::secret::Secret;
use trunkline_egress::EgressError;

/// Events of one stream that wait for the call. The stream waits for room.
pub const EVENTS_MAX: usize = 256;

/// Base URL, key and limits of a provider account.
#[derive(Clone, Debug)]
pub struct ProviderAccess {
    /// The provider account that the key and the limits belong to.
    pub account: ProviderAccount,
    /// Without a slash at the end.
    pub base_url: String,
    /// The key; `None` where none is configured or none may be sent to this address.
    pub api_key: Option<Secret>,
    /// Version of the API, where requests name one.
    pub api_version: String,
    /// Concurrent streams that the provider allows; 0: unknown.
    pub concurrency_max: usize,
    /// A customer named the address: every resolution is checked by the egress guard, and the server's keys are not
    /// sent there.
    pub is_customer_server: bool,
    /// Set when it must not be used, with the reason.
    pub blocked: Option<BlockReason>,
}

/// Why a provider must not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// The agent names an address that the egress guard refuses.
    Address(EgressError),
    /// The organization's own key cannot be decrypted. No other key takes its place.
    Key,
}

impl ProviderAccess {
    /// Customers' own servers may need no key; vendors always do.
    pub fn is_usable(&self) -> bool {
        self.blocked.is_none() && (self.api_key.is_some() || self.is_customer_server || !self.account.needs_key())
    }

    /// What keeps it from being asked.
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        match self.blocked {
            None => Ok(()),
            Some(BlockReason::Address(why)) => Err(ProviderError::AddressBlocked(why)),
            Some(BlockReason::Key) => Err(ProviderError::KeyUnreadable),
        }
    }

    /// A path, with a query if need be, below its address.
    pub(crate) fn url(&self, path: &str) -> Result<url::Url, ProviderError> {
        self.check()?;
        let url = url::Url::parse(&format!("{}{path}", self.base_url));
        url.map_err(|error| ProviderError::Unreachable(format!("address: {error}")))
    }

    /// The key in the clear, for the header of a request.
    pub(crate) fn key(&self) -> Result<&str, ProviderError> {
        self.check()?;
        match &self.api_key {
            Some(key) => Ok(key.expose()),
            None if self.is_customer_server => Ok("none"),
            None => Err(ProviderError::NotConfigured),
        }
    }
}

/// How long one stage of a provider may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// TCP, TLS and upgrade.
    pub connect: Duration,
    /// From the request to the first useful byte.
    pub first_byte: Duration,
    /// Between two bytes after that.
    pub between_bytes: Duration,
}

/// An error of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderError {
    /// No key is configured for the account.
    NotConfigured,
    /// The organization's own key cannot be decrypted, and the server's does not take its place.
    KeyUnreadable,
    /// The egress guard refuses the address that an agent names.
    AddressBlocked(EgressError),
    /// The provider refused; the text is the provider's.
    Refused {
        /// HTTP status, or the vendor's code for an error on a socket.
        status: u16,
        /// What the provider says, at most 300 bytes.
        message: String,
        /// When it may be asked again.
        retry_after: Option<Duration>,
    },
    /// No connection came about; holds the reason in words.
    Unreachable(String),
    /// Which timeout passed.
    Timeout(&'static str),
    /// The stream ended early.
    Disconnected(String),
    /// The response does not follow the provider's protocol.
    InvalidResponse(String),
    /// Not asked: the circuit is open, or the concurrency limit is reached.
    CircuitOpen(&'static str),
}

impl ProviderError {
    /// An answer that could not be read, with the reader's words.
    pub fn invalid_response(error: impl std::fmt::Display) -> Self {
        Self::InvalidResponse(error.to_string())
    }

    pub(crate) fn refused(status: u16, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(300));
        Self::Refused { status, message, retry_after: None }
    }

    /// Whether the same request may be retried.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConfigured | Self::KeyUnreadable | Self::AddressBlocked(_) => false,
            Self::Refused { status, .. } => matches!(status, 408 | 409 | 429 | 500..),
            _ => true,
        }
    }

    /// A short name for metrics and the call's record.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConfigured | Self::KeyUnreadable => "not_configured",
            Self::AddressBlocked(_) => "address_refused",
            Self::Refused { status: 401 | 403, .. } => "unauthorized",
            Self::Refused { status: 429, .. } => "rate_limited",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Timeout(_) => "deadline",
            Self::Disconnected(_) => "dropped",
            Self::InvalidResponse(_) => "garbage",
            Self::CircuitOpen(_) => "closed",
        }
    }
}

impl std::fmt::Display for ProviderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no key configured"),
            Self::KeyUnreadable => f.write_str("the organization's key cannot be opened with this server's master key"),
            Self::AddressBlocked(why) => write!(f, "base_url {why}"),
            Self::Refused { status, message, .. } => write!(f, "refused with {status}: {message}"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Timeout(which) => write!(f, "no {which} in time"),
            Self::Disconnected(why) => write!(f, "dropped: {why}"),
            Self::InvalidResponse(what) => write!(f, "not understood: {what}"),
            Self::CircuitOpen(why) => write!(f, "not asked: {why}"),
        }
    }
}

/// A failover: a fallback took over during a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The stage whose provider was replaced.
    pub stage: PipelineStage,
    /// `provider/model`.
    pub from: String,
    /// `provider/model` that takes over.
    pub to: String,
    /// Kind of the failure, or `slow` where the other one was only faster.
    pub reason: &'static str,
    /// What the failure cost: time from the request to the failover.
    pub after: Duration,
}

/// Events of STT.
#[derive(Clone, Debug, PartialEq)]
pub enum SttEvent {
    /// A connection is open; audio sent before is not lost.
    Ready,
    /// The words since the last final ones, which may still change.
    Interim(String),
    /// Words that no longer change.
    Final {
        /// The words since the last final ones; empty if there were none.
        text: String,
        /// From 0 to 1; `None` if the vendor gives none.
        confidence: Option<f32>,
        /// The vendor heard a pause after these words, or was asked to finalize.
        speech_final: bool,
    },
    /// The vendor heard no more words for a while, so the utterance is over (Deepgram: 1 s).
    UtteranceEnd,
    /// STT detected the start of speech.
    StartOfTurn,
    /// The turn is likely over; `TurnResumed` takes it back.
    EagerEndOfTurn,
    /// The caller went on after a likely end of turn.
    TurnResumed,
    /// The vendor's end-of-turn model is certain: the text is the whole turn.
    EndOfTurn {
        /// All words of the turn.
        text: String,
        /// Mean of the words from 0 to 1; `None` if the vendor gives none.
        confidence: Option<f32>,
    },
    /// A connection was lost and is being reopened; audio is buffered.
    Reconnecting(ProviderError),
    /// Another candidate takes over.
    FailedOver(Failover),
    /// No further attempt is made.
    Failed(ProviderError),
}

/// Token usage of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// `provider/model` that said it.
    pub model: String,
    /// Tokens of the messages, those from the provider's cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Of the prompt, read from the provider's cache.
    pub cached_tokens: u64,
}

/// Events of an LLM.
#[derive(Clone, Debug, PartialEq)]
pub enum LlmEvent {
    /// A further part of the text.
    Text(String),
    /// The complete calls, after the text.
    ToolCalls(Vec<ToolCall>),
    /// The answer is complete; the last event.
    Done(TokenUsage),
    /// Another model is asked, or has answered first.
    FailedOver(Failover),
    /// The request has failed, and no fallback is left; the last event.
    Failed(ProviderError),
}

/// A word timestamp: so much text is spoken after so much audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordTimestamp {
    /// Milliseconds from the start of the segment's audio.
    pub at_ms: u32,
    /// Characters of the text.
    pub chars: u32,
}

/// Events of TTS, in the format of its [`TtsStream`].
#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    /// A further part of the audio, in any number of bytes.
    Audio(Bytes),
    /// Where the words are, as far as they are known.
    WordTimestamps(Vec<WordTimestamp>),
    /// All audio of the segment was sent; the last event.
    Done,
    /// The segment could not be spoken, or only in part; the last event.
    Failed(ProviderError),
}

/// Encoding of a voice's audio, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// Little-endian 16-bit samples.
    Pcm16 {
        /// Sampling rate in Hz, such as 22,050 or 24,000.
        rate_hz: u32,
    },
    /// mu-law at 8 kHz.
    Mulaw,
}

/// A stream of a provider; dropping it cancels the request.
#[derive(Debug)]
pub struct EventStream<E> {
    /// Receiver of the events, at most 256 waiting; it ends when the stream does.
    pub events: mpsc::Receiver<E>,
    /// Handle of the task, for a stream that has one.
    task: Option<tokio::task::AbortHandle>,
}

impl<E> Drop for EventStream<E> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<E: Send + 'static> EventStream<E> {
    /// A task that panics ends its stream, which the reader treats as a provider failure.
    pub(crate) fn spawn<F>(part: &'static str, run: impl FnOnce(mpsc::Sender<E>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let task = Some(trunkline_supervision::spawn(part, run(sender)).abort_handle());
        Self { events, task }
    }

    /// Creates a stream without a task. The sender must notice when the receiver is gone.
    pub(crate) fn channel() -> (mpsc::Sender<E>, Self) {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        (sender, Self { events, task: None })
    }
}

/// The TTS stream of one sentence.
#[derive(Debug)]
pub struct TtsStream {
    /// Format of all audio of the stream.
    pub format: AudioFormat,
    /// Audio, word timestamps and the end.
    pub stream: EventStream<TtsEvent>,
}

/// A request to a model.
#[derive(Clone, Debug, Default)]
pub struct LlmRequest {
    /// The vendor's name of the model.
    pub model: String,
    /// What the agent asks for; `None`: the default of the reference, where the model takes one.
    pub temperature: Option<f64>,
    /// System messages and history, the oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may call; empty if there are none.
    pub tools: Vec<ToolOffer>,
    /// Requests of one agent begin alike: providers that cache prompts by name get this one.
    pub cache_key: Option<String>,
}

/// Bytes of a refusal's body that are read; the sentence in it is short.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// A refusal with the start of its body, for the log and the call.
pub(crate) async fn refusal(response: reqwest::Response) -> ProviderError {
    let status = response.status().as_u16();
    let retry_after = transport::retry_after(response.headers());
    let body = tokio::time::timeout(Duration::from_secs(2), transport::read_prefix(response, REFUSAL_BYTES_MAX)).await;
    let body = body.unwrap_or_default();
    let mut message = transport::error_text(&body).unwrap_or(body);
    message.truncate(message.floor_char_boundary(300));
    ProviderError::Refused { status, message, retry_after }
}

pub(crate) fn unreachable(error: &reqwest::Error) -> ProviderError {
    if error.is_timeout() {
        return ProviderError::Timeout("connection");
    }
    // The URL may hold a key; the source says what happened without it.
    let mut why = "request failed".to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why = inner.to_string();
        source = inner.source();
    }
    ProviderError::Unreachable(why)
}
