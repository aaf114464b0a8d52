//! TTS: what every vendor provides, vendors over HTTP, and vendors with one socket per call and one context per
//! sentence.

use super::circuit_breaker::ProviderPermit;
use super::transport::{self, ProviderSocket, WebSocketRequest};
use super::{
    AudioFormat, EventStream, ProviderAccess, ProviderError, ProviderRegistry, TtsEvent, TtsStream, refusal,
    unreachable,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::provider::PipelineStage;
use trunkline_domain::provider_config::{TtsConfig, VoiceSettings};

/// Sentences waiting for the socket of one call.
const COMMANDS_MAX: usize = 16;

/// A vendor's voices.
pub trait TtsVendor: Sync {
    /// Opens a voice for one call; socket vendors connect at once.
    fn open(&self, setup: TtsSetup) -> Box<dyn TtsSession>;
}

/// What a voice is opened with.
#[derive(Clone, Debug)]
pub struct TtsSetup {
    /// Connections, circuit breakers and deadlines.
    pub providers: ProviderRegistry,
    /// Address, key and limits of the account.
    pub endpoint: ProviderAccess,
    /// The agent's `tts_config`: voice, model, language and speed.
    pub config: TtsConfig,
    /// The agent's `voice_settings`; `config` wins field by field.
    pub settings: VoiceSettings,
}

/// The voice of one call.
pub trait TtsSession: Send {
    /// Speaks one text. `alone`: no fallback exists, so wait for a busy provider.
    fn speak(&mut self, text: &str, alone: bool) -> TtsStream;
}

/// `nl` of `nl-BE`.
pub fn language_code(config: &TtsConfig) -> &str {
    config.language.split(['-', '_']).next().unwrap_or(&config.language)
}

impl TtsSetup {
    async fn acquire_permit(&self, alone: bool) -> Result<ProviderPermit, ProviderError> {
        let (circuits, tenant) = (&self.providers.circuits, self.providers.tenant());
        let entered = if alone {
            circuits
                .acquire_waiting(tenant, &self.endpoint, PipelineStage::Tts, self.providers.timeouts.tts.first_byte)
                .await
        } else {
            circuits.acquire(tenant, &self.endpoint, PipelineStage::Tts, std::time::Instant::now(), false)
        };
        entered.map_err(|refusal| refusal.failure())
    }
}

/// Speaks with one HTTP request; `build` makes it.
pub fn speak_over_http(
    setup: &TtsSetup, alone: bool, format: AudioFormat,
    build: impl FnOnce(
        &dyn Fn(url::Url) -> Result<reqwest::RequestBuilder, ProviderError>,
    ) -> Result<reqwest::RequestBuilder, ProviderError>,
) -> TtsStream {
    let post = |url| setup.providers.http(PipelineStage::Tts).request(reqwest::Method::POST, &setup.endpoint, url);
    let request = build(&post);
    let setup = setup.clone();
    let stream = EventStream::spawn("tts", move |events| async move {
        let last = match spoken(&setup, alone, request, &events).await {
            Ok(()) => TtsEvent::Done,
            Err(failure) => TtsEvent::Failed(failure),
        };
        let _ = events.send(last).await;
    });
    TtsStream { format, stream }
}

/// Streams the bytes of an audio answer. Without a fallback, one retry is made before the first byte.
async fn spoken(
    setup: &TtsSetup, alone: bool, request: Result<reqwest::RequestBuilder, ProviderError>,
    events: &mpsc::Sender<TtsEvent>,
) -> Result<(), ProviderError> {
    let request = request?;
    let again = request.try_clone().filter(|_| alone);
    let mut heard = false;
    match (spoken_once(setup, alone, request, events, &mut heard).await, again) {
        (Err(failure), Some(again)) if !heard && failure.is_retryable() => {
            metrics::counter!("trunkline_provider_retries_total", "stage" => "tts").increment(1);
            spoken_once(setup, alone, again, events, &mut heard).await
        }
        (result, _) => result,
    }
}

async fn spoken_once(
    setup: &TtsSetup, alone: bool, request: reqwest::RequestBuilder, events: &mpsc::Sender<TtsEvent>, heard: &mut bool,
) -> Result<(), ProviderError> {
    let pass = setup.acquire_permit(alone).await?;
    let result = audio_body(setup, request, events, heard, &pass).await;
    if let Err(failure) = &result {
        pass.failed(std::time::Instant::now(), failure);
    }
    result
}

async fn audio_body(
    setup: &TtsSetup, request: reqwest::RequestBuilder, events: &mpsc::Sender<TtsEvent>, heard: &mut bool,
    pass: &ProviderPermit,
) -> Result<(), ProviderError> {
    let deadlines = setup.providers.timeouts.tts;
    let response = match timeout(deadlines.first_byte, request.send()).await {
        Ok(Ok(response)) if response.status().is_success() => response,
        Ok(Ok(response)) => return Err(refusal(response).await),
        Ok(Err(error)) => return Err(unreachable(&error)),
        Err(_) => return Err(ProviderError::Timeout("first audio")),
    };
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or("");
    if kind.starts_with("application/json") || kind.starts_with("text/") {
        return Err(ProviderError::InvalidResponse(format!("content type {kind}")));
    }
    let mut bytes = response.bytes_stream();
    loop {
        let limit = if *heard { deadlines.between_bytes } else { deadlines.first_byte };
        let chunk: Bytes = match timeout(limit, bytes.next()).await {
            Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
            Ok(Some(Ok(chunk))) => chunk,
            Ok(Some(Err(error))) => return Err(ProviderError::Disconnected(error.to_string())),
            Ok(None) if *heard => return Ok(()),
            Ok(None) => return Err(ProviderError::Disconnected("no audio at all".to_owned())),
            Err(_) => return Err(ProviderError::Timeout("next audio")),
        };
        if !std::mem::replace(heard, true) {
            pass.succeeded();
        }
        if events.send(TtsEvent::Audio(chunk)).await.is_err() {
            return Ok(());
        }
    }
}

/// The wire of a voice with a socket, without the socket.
pub trait TtsSocketProtocol: Send + Sync {
    /// Returns the request that opens the socket; fails without a usable key.
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError>;
    /// A whole text in a separate context, spoken at once.
    fn speak(&mut self, context: &str, text: &str) -> Vec<Message>;
    /// Returns the messages that stop a context; empty if the vendor has none.
    fn cancel(&mut self, context: &str) -> Vec<Message>;
    /// Reads a text frame: what it means for which context.
    fn read(&mut self, text: &str) -> Result<Vec<(String, TtsEvent)>, ProviderError>;
    /// Returns the format of all audio on this socket.
    fn format(&self) -> AudioFormat;
    /// Contexts of one socket that may be open together.
    fn contexts_max(&self) -> usize;
}

struct QueuedSentence {
    text: String,
    events: mpsc::Sender<TtsEvent>,
    pass: ProviderPermit,
}

enum TtsCommand {
    Speak(QueuedSentence),
    /// The sentence with this number is no longer wanted.
    Cancel(u64),
}

/// A voice on a separate socket, opened before the first word is needed.
pub struct TtsSocketSession {
    setup: TtsSetup,
    format: AudioFormat,
    commands: mpsc::Sender<TtsCommand>,
}

impl std::fmt::Debug for TtsSocketSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TtsSocketSession").field("format", &self.format).finish_non_exhaustive()
    }
}

impl TtsSocketSession {
    /// Starts the task of the socket and returns at once; the socket opens in the background.
    pub fn open(setup: TtsSetup, wire: Box<dyn TtsSocketProtocol>) -> Self {
        let (commands, queue) = mpsc::channel(COMMANDS_MAX);
        let format = wire.format();
        let own = commands.downgrade();
        let speaking =
            TtsSocketWorker { setup: setup.clone(), wire, queue, own, open: HashMap::new(), left: 0, next: 0 };
        trunkline_supervision::spawn("tts", speaking.run());
        Self { setup, format, commands }
    }
}

impl TtsSession for TtsSocketSession {
    fn speak(&mut self, text: &str, alone: bool) -> TtsStream {
        let (events, stream) = EventStream::channel();
        let (setup, text) = (&self.setup, text.to_owned());
        let now = std::time::Instant::now();
        // Sentences go out in their order: the way to the socket is a queue, not a task for each.
        match setup.providers.circuits.acquire(
            setup.providers.tenant(),
            &setup.endpoint,
            PipelineStage::Tts,
            now,
            alone,
        ) {
            Ok(pass) => {
                let command = TtsCommand::Speak(QueuedSentence { text, events: events.clone(), pass });
                if self.commands.try_send(command).is_err() {
                    let failure = ProviderError::Disconnected("the voice takes no more".to_owned());
                    let _ = events.try_send(TtsEvent::Failed(failure));
                }
            }
            Err(_) if alone => self.wait(text, events),
            Err(refusal) => drop(events.try_send(TtsEvent::Failed(refusal.failure()))),
        }
        TtsStream { format: self.format, stream }
    }
}

impl TtsSocketSession {
    /// The provider is busy and there is no fallback: speaks the text when the provider has room.
    fn wait(&self, text: String, events: mpsc::Sender<TtsEvent>) {
        let (setup, commands) = (self.setup.clone(), self.commands.clone());
        trunkline_supervision::spawn("tts", async move {
            let entered = tokio::select! {
                entered = setup.acquire_permit(true) => entered,
                () = events.closed() => return,
            };
            let failure = match entered {
                Ok(pass) => {
                    let sentence = QueuedSentence { text, events: events.clone(), pass };
                    if commands.send(TtsCommand::Speak(sentence)).await.is_ok() {
                        return;
                    }
                    ProviderError::Disconnected("voice ended".to_owned())
                }
                Err(failure) => failure,
            };
            let _ = events.send(TtsEvent::Failed(failure)).await;
        });
    }
}

/// A sentence that is being spoken.
struct OpenContext {
    sentence: QueuedSentence,
    heard: bool,
    retried: bool,
    deadline: Instant,
}

/// The socket of one call.
struct TtsSocketWorker {
    setup: TtsSetup,
    wire: Box<dyn TtsSocketProtocol>,
    queue: mpsc::Receiver<TtsCommand>,
    own: mpsc::WeakSender<TtsCommand>,
    open: HashMap<u64, OpenContext>,
    /// Contexts that were cancelled on this socket and have not ended.
    left: usize,
    next: u64,
}

/// What the loop of a socket ended with.
enum TtsSocketEnd {
    /// The call is over.
    Finished,
    Broken(ProviderError),
    /// The socket works, but no further context can be opened on it.
    ContextsExhausted,
}

impl TtsSocketWorker {
    async fn run(mut self) {
        loop {
            let (failure, connected) = match self.connect().await {
                Ok(mut socket) => {
                    let end = self.serve(&mut socket).await;
                    let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
                    match end {
                        TtsSocketEnd::Finished => return,
                        TtsSocketEnd::ContextsExhausted => continue,
                        TtsSocketEnd::Broken(failure) => (failure, true),
                    }
                }
                Err(failure) => (failure, false),
            };
            self.fail_open(&failure, connected).await;
            if self.open.is_empty() {
                // No sentence is waiting: the next sentence opens the next socket.
                match self.queue.recv().await {
                    Some(TtsCommand::Speak(sentence)) => drop(self.begin(sentence)),
                    Some(TtsCommand::Cancel(_)) => {}
                    None => return,
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<ProviderSocket, ProviderError> {
        self.left = 0;
        let upgrade = self.wire.upgrade(&self.setup.endpoint)?;
        let deadlines = self.setup.providers.timeouts.tts;
        self.setup.providers.open(&self.setup.endpoint, &upgrade, &deadlines).await
    }

    /// Sentences without audio so far are retried once on the next socket.
    async fn fail_open(&mut self, failure: &ProviderError, connected: bool) {
        let now = Instant::now();
        let numbers: Vec<u64> = self.open.keys().copied().collect();
        for number in numbers {
            let Some(open) = self.open.get_mut(&number) else { continue };
            let again = connected && !open.heard && !open.retried && failure.is_retryable();
            if again && !matches!(failure, ProviderError::Timeout(_)) {
                open.retried = true;
                open.deadline = now + self.setup.providers.timeouts.tts.first_byte;
                continue;
            }
            if let Some(OpenContext { sentence, .. }) = self.open.remove(&number) {
                sentence.pass.failed(std::time::Instant::now(), failure);
                let _ = sentence.events.send(TtsEvent::Failed(failure.clone())).await;
            }
        }
    }

    fn begin(&mut self, sentence: QueuedSentence) -> u64 {
        let number = self.next;
        self.next += 1;
        let (events, own) = (sentence.events.clone(), self.own.clone());
        // The task ends with the sentence: its receiver is dropped at the latest when the call ends.
        trunkline_supervision::spawn("tts", async move {
            events.closed().await;
            if let Some(own) = own.upgrade() {
                let _ = own.send(TtsCommand::Cancel(number)).await;
            }
        });
        let deadline = Instant::now() + self.setup.providers.timeouts.tts.first_byte;
        self.open.insert(number, OpenContext { sentence, heard: false, retried: false, deadline });
        number
    }

    async fn serve(&mut self, socket: &mut ProviderSocket) -> TtsSocketEnd {
        let mut waiting: Vec<u64> = self.open.keys().copied().collect();
        waiting.sort_unstable();
        for number in waiting {
            if let Err(failure) = self.send_sentence(socket, number).await {
                return TtsSocketEnd::Broken(failure);
            }
        }
        loop {
            let deadline = self.open.values().map(|open| open.deadline).min();
            let late = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                command = self.queue.recv() => match command {
                    Some(TtsCommand::Speak(sentence)) => {
                        let number = self.begin(sentence);
                        if self.left + self.open.len() > self.wire.contexts_max() {
                            return TtsSocketEnd::ContextsExhausted;
                        }
                        self.send_sentence(socket, number).await
                    }
                    Some(TtsCommand::Cancel(number)) => self.cancel(socket, number).await,
                    None => return TtsSocketEnd::Finished,
                },
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => match transport::check_text(text.as_bytes()).and_then(|()| self.wire.read(&text)) {
                        Ok(events) => {
                            self.deliver(events).await;
                            Ok(())
                        }
                        Err(failure) => Err(failure),
                    },
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(transport::close_error(message)),
                    Some(Ok(_)) => Ok(()),
                },
                () = late => Err(ProviderError::Timeout("audio")),
            };
            if let Err(failure) = result {
                return TtsSocketEnd::Broken(failure);
            }
        }
    }

    async fn send_sentence(&mut self, socket: &mut ProviderSocket, number: u64) -> Result<(), ProviderError> {
        let Some(OpenContext { sentence, .. }) = self.open.get(&number) else { return Ok(()) };
        let messages = self.wire.speak(&context_id(number), &sentence.text);
        self.send(socket, messages).await
    }

    async fn cancel(&mut self, socket: &mut ProviderSocket, number: u64) -> Result<(), ProviderError> {
        if self.open.remove(&number).is_none() {
            return Ok(());
        }
        self.left += 1;
        let messages = self.wire.cancel(&context_id(number));
        self.send(socket, messages).await
    }

    async fn send(&self, socket: &mut ProviderSocket, messages: Vec<Message>) -> Result<(), ProviderError> {
        let limit = self.setup.providers.timeouts.tts.between_bytes;
        for message in messages {
            match timeout(limit, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(ProviderError::Disconnected(error.to_string())),
                Err(_) => return Err(ProviderError::Timeout("room to send")),
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, events: Vec<(String, TtsEvent)>) {
        for (context, event) in events {
            let Some(number) = context.strip_prefix('s').and_then(|number| number.parse().ok()) else { continue };
            let over = matches!(event, TtsEvent::Done | TtsEvent::Failed(_));
            let Some(open) = self.open.get_mut(&number) else {
                // Late audio of a cancelled sentence; its end frees a context.
                self.left -= usize::from(over && self.left > 0);
                continue;
            };
            let sentence = &open.sentence;
            let event = match event {
                TtsEvent::Done if !open.heard => {
                    TtsEvent::Failed(ProviderError::Disconnected("no audio at all".to_owned()))
                }
                event => event,
            };
            match &event {
                TtsEvent::Audio(_) => {
                    open.deadline = Instant::now() + self.setup.providers.timeouts.tts.between_bytes;
                    if !std::mem::replace(&mut open.heard, true) {
                        sentence.pass.succeeded();
                    }
                }
                TtsEvent::Failed(failure) => sentence.pass.failed(std::time::Instant::now(), failure),
                TtsEvent::WordTimestamps(_) | TtsEvent::Done => {}
            }
            // A call that has left finds out by its own cancel.
            let _ = sentence.events.send(event).await;
            if over {
                self.open.remove(&number);
            }
        }
    }
}

fn context_id(number: u64) -> String {
    format!("s{number}")
}
