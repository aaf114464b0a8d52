//! What an STT service is to a call: its protocol, its candidates, and what goes in and comes out of a session.

use super::transport::WebSocketRequest;
use super::{AudioSpan, EventStream, ProviderAccess, ProviderError, ProviderRegistry, SttEvent};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Sink, Stream};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};

/// What an STT service is to listen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SttSessionConfig {
    /// The vendor's name of the model.
    pub model: String,
    /// Language of the caller, such as `nl` or `nl-BE`; `multi` for several.
    pub language: String,
    /// Words to listen for, such as names; at most 100.
    pub keyterms: Vec<String>,
    /// `mulaw` or `alaw`: the codec of the call, passed through. The local STT takes `linear16` too: PCM at 16 kHz, the low
    /// octet first.
    pub encoding: &'static str,
    /// Silence in milliseconds after which the vendor takes the utterance as over.
    pub endpointing_ms: u64,
    /// Tell of likely ends of a turn before it is certain.
    pub eager: bool,
}

impl SttSessionConfig {
    /// A code of silence.
    pub fn silence(&self) -> u8 {
        if self.encoding == "alaw" { 0xD5 } else { 0xFF }
    }

    /// `nl` of `nl-BE`.
    pub fn language_code(&self) -> &str {
        self.language.split(['-', '_']).next().unwrap_or(&self.language)
    }
}

/// Input of an STT session.
#[derive(Clone, Debug)]
pub enum SttInput {
    /// G.711 codes.
    Audio(Bytes),
    /// Voice activity detection found speech.
    SpeechStarted,
    /// The caller fell silent.
    SpeechEnded,
    /// Request the final result.
    Finalize,
    /// The connection returns nothing: open another.
    Restart,
}

/// A vendor's STT.
pub trait SttVendor: Sync {
    /// Returns the protocol of one connection, without a socket.
    fn open(&self, setup: &SttSessionConfig) -> Box<dyn SttProtocol>;

    /// Connects: a WebSocket, where the vendor is not on this machine.
    fn connect<'a>(
        &'a self, providers: &'a ProviderRegistry, candidate: &'a SttCandidate, wire: &'a dyn SttProtocol,
    ) -> BoxFuture<'a, Result<SttSocket, ProviderError>> {
        Box::pin(async move {
            let upgrade = wire.upgrade(&candidate.endpoint)?;
            let socket = providers.open(&candidate.endpoint, &upgrade, &providers.timeouts.stt).await?;
            Ok(Box::new(socket) as SttSocket)
        })
    }
}

/// What carries the messages of a session: a socket, or a channel to a model on this machine.
pub trait SttTransport: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin {}

impl<T: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Send + Unpin> SttTransport for T {}

/// An open connection to STT.
pub type SttSocket = Box<dyn SttTransport>;

/// The STT protocol of one connection, without its socket.
pub trait SttProtocol: Send + Sync {
    /// Returns the request that opens the socket; fails without a usable key.
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError>;
    /// Sent before any audio.
    fn initial_messages(&self) -> Vec<Message>;
    /// Nothing where a message needs more audio than there is yet.
    fn audio(&mut self, codes: &[u8]) -> Option<Message>;
    /// How long without audio until a keep-alive is sent, and the keep-alive.
    fn keep_alive(&mut self) -> (Duration, Message);
    /// Returns the message for the end of speech; `None` where the vendor detects it.
    fn speech_ended_message(&mut self) -> Option<Message>;
    /// Returns the message that asks for the final words now; `None` if the vendor has none.
    fn finalize(&mut self) -> Option<Message>;
    /// Returns the message before the socket is closed; `None` if the vendor needs none.
    fn close(&mut self) -> Option<Message>;
    /// Reads a text frame.
    fn read(&mut self, text: &str) -> Result<SttUpdate, ProviderError>;
}

/// What a frame of a provider meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SttUpdate {
    /// Events for the call, in order; empty if the frame says nothing new.
    pub events: Vec<SttEvent>,
    /// Text is final up to here, in milliseconds of the connection's audio.
    pub settled_ms: Option<u64>,
    /// Audio of the words; `None` where the vendor does not say.
    pub span: Option<AudioSpan>,
}

impl SttUpdate {
    /// Returns an update with one event and no settled audio.
    pub fn one(event: SttEvent) -> Self {
        Self { events: vec![event], ..Self::default() }
    }

    /// It has words that do not change any more.
    pub fn has_final_words(&self) -> bool {
        self.events.iter().any(|event| match event {
            SttEvent::Final { text, .. } | SttEvent::EndOfTurn { text, .. } => !text.trim().is_empty(),
            _ => false,
        })
    }

    /// It says that the utterance is over.
    pub fn ends_utterance(&self) -> bool {
        self.events.iter().any(|event| {
            matches!(
                event,
                SttEvent::Final { speech_final: true, .. } | SttEvent::EndOfTurn { .. } | SttEvent::UtteranceEnd
            )
        })
    }

    /// It has nothing but words so far.
    pub fn is_interim(&self) -> bool {
        !self.events.is_empty() && self.events.iter().all(|event| matches!(event, SttEvent::Interim(_)))
    }
}

/// An STT service that may be asked.
#[derive(Clone)]
pub struct SttCandidate {
    /// The vendor's protocol.
    pub vendor: &'static dyn SttVendor,
    /// Address, key and limits of the account.
    pub endpoint: ProviderAccess,
    /// Model, language and encoding for this candidate.
    pub setup: SttSessionConfig,
    /// `provider/model`, for the record.
    pub name: String,
    /// It is only asked when the others are down or mute: a connection that broke is opened again first.
    pub is_last_resort: bool,
}

impl std::fmt::Debug for SttCandidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SttCandidate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An STT service of one call.
#[derive(Debug)]
pub struct SttSession {
    /// Sender of audio and commands, at most 500 waiting; dropping it ends the session.
    pub input: mpsc::Sender<SttInput>,
    /// Words and failures; dropping it closes the socket.
    pub stream: EventStream<SttEvent>,
}
