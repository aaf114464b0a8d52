//! STT session of a call: keeps the connection alive, detects dead connections, reconnects or fails over, and replays
//! the audio that has no final text yet.

use super::circuit_breaker::ProviderPermit;
use super::final_repeats::FinalRepeats;
use super::replay_buffer::{ReplayBuffer, SAMPLES_PER_MS};
use super::transport::{self, KeepAlive, WebSocketRequest};
use super::unreadable_frames::UnreadableFrames;
use super::{AudioSpan, EventStream, Failover, ProviderAccess, ProviderError, ProviderRegistry, SttEvent};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{Error, Message};
use trunkline_domain::provider::PipelineStage;

/// Chunks of audio that wait while a connection is made: ten seconds. What comes on top of them is lost.
const AUDIO_MAX: usize = 500;
/// Consecutive rounds through all candidates without a stable connection.
const FAILOVER_ROUNDS_MAX: u32 = 4;
/// A connection that lasted this long resets the rounds.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// Final words this soon behind an error frame belong to the same session.
const WORDS_BEHIND_ERROR: Duration = Duration::from_millis(50);

/// What an STT service is to listen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SttSessionConfig {
    /// The vendor's name of the model.
    pub model: String,
    /// Language of the caller, such as `nl` or `nl-BE`; `multi` for several.
    pub language: String,
    /// Words to listen for, such as names; at most 100.
    pub keyterms: Vec<String>,
    /// `mulaw` or `alaw`: the codec of the call, passed through.
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
#[derive(Debug, Default, PartialEq)]
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
    /// It is only asked when the others are down: a connection that broke is opened again first.
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

/// Opens an STT session; connects at once, and audio may be sent right away.
pub fn open_stt_session(providers: &ProviderRegistry, candidates: Vec<SttCandidate>) -> SttSession {
    let (input, queue) = mpsc::channel(AUDIO_MAX);
    let providers = providers.clone();
    let stream = EventStream::spawn("stt", |events| async move {
        let dead = vec![false; candidates.len()];
        let replay_buffer = ReplayBuffer::default();
        let mut listening = SttWorker {
            providers,
            candidates,
            is_disabled: dead,
            queue,
            events,
            replay_buffer,
            repeats: FinalRepeats::new(),
            failed: None,
        };
        if let Err(failure) = listening.run().await {
            let _ = listening.events.send(SttEvent::Failed(failure)).await;
        }
    });
    SttSession { input, stream }
}

/// Why one connection ended.
enum SttConnectionEnd {
    /// The call is over.
    Finished,
    /// `has_heard`: it has brought final words.
    Broken { failure: ProviderError, has_heard: bool },
}

struct SttWorker {
    providers: ProviderRegistry,
    candidates: Vec<SttCandidate>,
    /// Candidates disabled for this call by a permanent refusal.
    is_disabled: Vec<bool>,
    queue: mpsc::Receiver<SttInput>,
    events: mpsc::Sender<SttEvent>,
    replay_buffer: ReplayBuffer,
    repeats: FinalRepeats,
    /// The provider that failed last, how, and when.
    failed: Option<(usize, ProviderError, Instant)>,
}

impl SttWorker {
    async fn run(&mut self) -> Result<(), ProviderError> {
        let (mut current, mut tries) = (0, 0);
        loop {
            let mut is_down = false;
            let failure = match self.connect(current).await {
                Ok((socket, pass, wire)) => {
                    self.connected(current).await;
                    let since = Instant::now();
                    let (failure, has_heard) = match self.serve(current, socket, wire, &pass).await {
                        SttConnectionEnd::Finished => return Ok(()),
                        SttConnectionEnd::Broken { failure, has_heard } => (failure, has_heard),
                    };
                    pass.failed(std::time::Instant::now(), &failure);
                    // One that ends after each utterance still understands the caller.
                    if has_heard || since.elapsed() > STABLE_AFTER {
                        tries = 0;
                    }
                    failure
                }
                Err(failure) => {
                    is_down = true;
                    failure
                }
            };
            if self.leave_out_extra(current, &failure) {
                continue;
            }
            tries += 1;
            self.is_disabled[current] |= !failure.is_retryable();
            let round = tries / self.candidates.len() as u32;
            let next = self.next(current, is_down || tries > 1).filter(|_| round < FAILOVER_ROUNDS_MAX);
            self.failed.get_or_insert((current, failure.clone(), Instant::now()));
            let Some(next) = next else { return Err(failure) };
            if self.events.send(SttEvent::Reconnecting(failure)).await.is_err() {
                return Ok(());
            }
            // The next provider is tried at once, the same one a little later.
            if next == current || round > 0 {
                tokio::time::sleep(Duration::from_millis(100) * (1 << round.min(5))).await;
            }
            current = next;
        }
    }

    /// The next candidate in order, which may be the same one.
    fn next(&self, current: usize, are_others_down: bool) -> Option<usize> {
        let order = (1..=self.candidates.len()).map(|step| (current + step) % self.candidates.len());
        let mut usable = order.filter(|index| !self.is_disabled[*index]);
        let mut last_resort = None;
        usable
            .find(|index| {
                let is_last_resort = self.candidates[*index].is_last_resort && *index != current;
                if is_last_resort && !are_others_down {
                    last_resort.get_or_insert(*index);
                }
                !is_last_resort || are_others_down
            })
            .or(last_resort)
    }

    /// A service has refused the session: an extra that it may not know is left out of the next attempt. False if there
    /// is none, or if something else was wrong.
    fn leave_out_extra(&mut self, index: usize, failure: &ProviderError) -> bool {
        let (ProviderError::Refused { status: 400 | 422, message, .. }, Some(candidate)) =
            (failure, self.candidates.get_mut(index))
        else {
            return false;
        };
        let extra = if !candidate.setup.keyterms.is_empty() {
            candidate.setup.keyterms.clear();
            "keyterms"
        } else if std::mem::take(&mut candidate.setup.eager) {
            "eager"
        } else {
            return false;
        };
        tracing::warn!(stt = candidate.name, extra, message, "STT refused the session; an extra is left out");
        true
    }

    async fn connect(&self, index: usize) -> Result<(SttSocket, ProviderPermit, Box<dyn SttProtocol>), ProviderError> {
        let candidate = &self.candidates[index];
        let deadlines = self.providers.timeouts.stt;
        let (circuits, tenant, endpoint) = (&self.providers.circuits, self.providers.tenant(), &candidate.endpoint);
        let others = self.is_disabled.iter().enumerate().any(|(other, dead)| other != index && !dead);
        let entered = if others {
            circuits.acquire(tenant, endpoint, PipelineStage::Stt, std::time::Instant::now(), false)
        } else {
            circuits.acquire_waiting(tenant, endpoint, PipelineStage::Stt, deadlines.first_byte).await
        };
        let pass = entered.map_err(|refusal| refusal.failure())?;
        let wire = candidate.vendor.open(&candidate.setup);
        match candidate.vendor.connect(&self.providers, candidate, wire.as_ref()).await {
            Ok(socket) => Ok((socket, pass, wire)),
            Err(failure) => {
                pass.failed(std::time::Instant::now(), &failure);
                Err(failure)
            }
        }
    }

    async fn connected(&mut self, index: usize) {
        if let Some((from, failure, at)) = self.failed.take()
            && from != index
        {
            let switch = Failover {
                stage: PipelineStage::Stt,
                from: self.candidates[from].name.clone(),
                to: self.candidates[index].name.clone(),
                reason: failure.kind(),
                after: at.elapsed(),
            };
            let _ = self.events.send(SttEvent::FailedOver(switch)).await;
        }
        let _ = self.events.send(SttEvent::Ready).await;
    }

    async fn serve(
        &mut self, index: usize, socket: SttSocket, wire: Box<dyn SttProtocol>, pass: &ProviderPermit,
    ) -> SttConnectionEnd {
        let silence = vec![self.candidates[index].setup.silence(); 20 * SAMPLES_PER_MS];
        let mut connection = SttConnection {
            socket,
            wire,
            limit: self.providers.timeouts.stt.between_bytes,
            // The replay buffer's first code is played after 20 ms of silence.
            replay_origin: self.replay_buffer.gone as i64 - silence.len() as i64,
            last_audio: Instant::now(),
            keep_alive: KeepAlive::new(self.providers.timeouts.stt.between_bytes),
            frames: UnreadableFrames::new("stt"),
            progress: SttProgress::Nothing,
        };
        self.repeats.handle_connected();
        let mut greeting = connection.wire.initial_messages();
        // A new connection needs audio soon; keep-alives alone do not hold it.
        greeting.extend(connection.wire.audio(&silence));
        for codes in &self.replay_buffer.pieces {
            greeting.extend(connection.wire.audio(codes));
        }
        if self.replay_buffer.speaking {
            metrics::counter!("trunkline_stt_replays_total").increment(1);
        }
        for message in greeting {
            if let Err(failure) = connection.send(message).await {
                return SttConnectionEnd::Broken { failure, has_heard: false };
            }
        }
        let end = self.converse(&mut connection, pass).await;
        let _ = timeout(Duration::from_millis(200), connection.socket.close()).await;
        end
    }

    async fn converse(&mut self, connection: &mut SttConnection, pass: &ProviderPermit) -> SttConnectionEnd {
        loop {
            let (idle_after, filler) = connection.wire.keep_alive();
            let idle = tokio::time::sleep_until(connection.last_audio + idle_after);
            let result = tokio::select! {
                input = self.queue.recv() => match input {
                    Some(SttInput::Restart) => Err(ProviderError::Timeout("transcript")),
                    Some(input) => self.input(connection, input).await,
                    None => {
                        if let Some(last) = connection.wire.close() {
                            let _ = connection.send(last).await;
                        }
                        return SttConnectionEnd::Finished;
                    }
                },
                message = connection.socket.next() => {
                    connection.keep_alive.record_activity();
                    match message {
                        Some(Ok(Message::Text(text))) => self.heard(connection, &text, pass).await,
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Ok(true),
                        ended => Err(transport::close_error(ended)),
                    }
                },
                () = idle => {
                    connection.last_audio = Instant::now();
                    connection.send(filler).await.map(|()| true)
                }
                () = connection.keep_alive.due() => {
                    self.providers.keep_warm_connections(self.candidates.iter().map(|one| &one.endpoint), PipelineStage::Stt);
                    match connection.keep_alive.poll_ping() {
                        Ok(Some(ping)) => connection.send(ping).await.map(|()| true),
                        Ok(None) => Ok(true),
                        Err(failure) => Err(failure),
                    }
                }
            };
            match result {
                Ok(true) => {}
                Ok(false) => return SttConnectionEnd::Finished,
                Err(ProviderError::SessionEnded(said)) if self.words_follow(connection, pass).await => {
                    tracing::warn!(error = said, "STT has told of an error, and goes on");
                }
                Err(failure) => {
                    let has_heard = connection.progress == SttProgress::Words;
                    return SttConnectionEnd::Broken { failure, has_heard };
                }
            }
        }
    }

    /// Whether final words come right behind an error: then the session has not ended with it.
    async fn words_follow(&mut self, connection: &mut SttConnection, pass: &ProviderPermit) -> bool {
        let until = Instant::now() + WORDS_BEHIND_ERROR;
        let before = std::mem::replace(&mut connection.progress, SttProgress::Message);
        while let Ok(Some(Ok(message))) = timeout_at(until, connection.socket.next()).await {
            let Message::Text(text) = message else { continue };
            match self.heard(connection, &text, pass).await {
                Ok(true) if connection.progress == SttProgress::Words => return true,
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        connection.progress = before;
        false
    }

    async fn input(&mut self, connection: &mut SttConnection, input: SttInput) -> Result<bool, ProviderError> {
        let message = match input {
            SttInput::Audio(codes) => {
                connection.last_audio = Instant::now();
                let message = connection.wire.audio(&codes);
                self.replay_buffer.push(codes);
                message
            }
            SttInput::SpeechStarted => {
                self.replay_buffer.speaking = true;
                self.repeats.handle_speech_started();
                None
            }
            SttInput::SpeechEnded => {
                self.repeats.handle_speech_ended();
                connection.wire.speech_ended_message()
            }
            SttInput::Finalize => connection.wire.finalize(),
            SttInput::Restart => None,
        };
        if let Some(message) = message {
            connection.send(message).await?;
        }
        Ok(true)
    }

    /// False when the call no longer listens.
    async fn heard(
        &mut self, connection: &mut SttConnection, text: &str, pass: &ProviderPermit,
    ) -> Result<bool, ProviderError> {
        transport::check_text(text.as_bytes())?;
        let read = connection.wire.read(text);
        let Some(heard) = connection.frames.judge(read)? else { return Ok(true) };
        if connection.progress == SttProgress::Nothing {
            pass.succeeded();
            connection.progress = SttProgress::Message;
        }
        let over = heard.events.iter().any(|event| {
            matches!(
                event,
                SttEvent::Final { speech_final: true, .. } | SttEvent::EndOfTurn { .. } | SttEvent::UtteranceEnd
            )
        });
        if let Some(ms) = heard.settled_ms {
            let until = connection.replay_origin + (ms as usize * SAMPLES_PER_MS) as i64;
            self.replay_buffer.settle(u64::try_from(until).unwrap_or(0), over);
        }
        for event in heard.events {
            let Some(event) = self.repeats.filter(Instant::now(), event, heard.span) else { continue };
            if let SttEvent::Final { text, .. } | SttEvent::EndOfTurn { text, .. } = &event
                && !text.trim().is_empty()
            {
                connection.progress = SttProgress::Words;
            }
            if self.events.send(event).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// An open connection.
struct SttConnection {
    socket: SttSocket,
    wire: Box<dyn SttProtocol>,
    limit: Duration,
    /// Position of the connection's first audio in the replay buffer.
    replay_origin: i64,
    last_audio: Instant,
    keep_alive: KeepAlive,
    frames: UnreadableFrames,
    progress: SttProgress,
}

/// What a connection has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SttProgress {
    Nothing,
    Message,
    /// Final words of the caller.
    Words,
}

impl SttConnection {
    async fn send(&mut self, message: Message) -> Result<(), ProviderError> {
        match timeout(self.limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ProviderError::Disconnected(error.to_string())),
            Err(_) => Err(ProviderError::Timeout("room to send")),
        }
    }
}

#[cfg(test)]
mod tests;
