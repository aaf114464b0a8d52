//! Realtime (speech-to-speech) sessions: one socket that hears and speaks. A session that ends early is opened again with
//! the conversation so far. The call decides what is played; failover is up to the call.

use super::replay_buffer::ReplayBuffer;
use super::transport::{self, KeepAlive};
use super::unreadable_frames::UnreadableFrames;
use super::{EventStream, ProviderAccess, ProviderError, ProviderRegistry, TokenUsage};
use crate::transport::WebSocketRequest;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::chat::{ChatMessage, ToolCall, ToolOffer};
use trunkline_domain::provider::PipelineStage;

/// Inputs waiting for the socket: ten seconds of audio.
const INPUTS_MAX: usize = 500;
/// Other inputs kept until the session is set up; the oldest go first.
const EARLY_INPUTS_MAX: usize = 64;
/// Sessions that are opened again in a row; one that lasts resets the count.
const RECONNECTS_MAX: u32 = 3;
/// A session that lasted this long is not counted.
const STABLE_AFTER: Duration = Duration::from_secs(60);
/// How long the call may take to tell what was said so far.
const CONVERSATION_TIMEOUT: Duration = Duration::from_millis(500);
/// Without sound for this long, an answer that was begun may be over.
const RESPONSE_SILENCE: Duration = Duration::from_millis(800);

/// Configuration of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub struct RealtimeSessionConfig {
    /// The vendor's name of the model; for ElevenLabs the id of the agent.
    pub model: String,
    /// The vendor's name of the voice; `None` takes the vendor's default.
    pub voice: Option<String>,
    /// The system messages of the call as one text.
    pub instructions: String,
    /// Said first by models that greet by themselves.
    pub first_message: Option<String>,
    /// Language of the conversation, such as `nl` or `nl-BE`.
    pub language: String,
    /// The tools that the model may call; empty if there are none.
    pub tools: Vec<ToolOffer>,
    /// `mulaw` or `alaw`: the codec of the call, both ways.
    pub encoding: &'static str,
    /// Silence in milliseconds after which the model may take the turn as over.
    pub silence_ms: u64,
}

impl RealtimeSessionConfig {
    /// Returns the media type of the encoding: `audio/pcma` or `audio/pcmu`.
    pub fn format(&self) -> &'static str {
        if self.encoding == "alaw" { "audio/pcma" } else { "audio/pcmu" }
    }

    /// Returns the language without its region: `nl` of `nl-BE`.
    pub fn language_code(&self) -> &str {
        self.language.split(['-', '_']).next().unwrap_or(&self.language)
    }
}

/// Input of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub enum RealtimeInput {
    /// G.711 codes.
    Audio(Bytes),
    /// Say this text verbatim.
    Say(String),
    /// Request a response; optionally with an extra instruction.
    RequestResponse(Option<String>),
    /// DTMF or text of the caller.
    UserMessage(String),
    /// The result of a tool call.
    ToolResult {
        /// Id that the model gave the tool call.
        id: String,
        /// The result as text.
        result: String,
    },
    /// Barge-in: so many milliseconds of this item were heard.
    Interrupted {
        /// Number of the item and the milliseconds of it that were heard; `None` if nothing was playing.
        item: Option<(u32, u64)>,
    },
    /// The instructions hold from here on, also for the sessions after this one.
    Instructions(String),
    /// The conversation so far, for the session that takes the place of one that ended. The answer to `Reconnecting`.
    Resume(Vec<ChatMessage>),
}

/// Event of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub enum RealtimeEvent {
    /// It hears from now on; once for each session.
    Ready,
    /// The session has ended early, and another one is being opened: what it was about to say will not come.
    Reconnecting(ProviderError),
    /// An identifier under which the vendor keeps the conversation.
    Conversation(String),
    /// The model's voice activity detection heard the caller begin.
    SpeechStarted,
    /// The model's voice activity detection heard the caller stop.
    SpeechStopped,
    /// The caller's words so far in this turn, which may still change.
    UserInterim(String),
    /// All words of the caller's turn; they may come after the answer has begun.
    UserFinal(String),
    /// An answer begins; what comes belongs to it until it is done.
    ResponseStarted,
    /// A part of the answer, by its number within the session.
    Audio {
        /// Number of the item within the session.
        item: u32,
        /// Audio of the item: G.711 codes at 8 kHz.
        codes: Bytes,
    },
    /// A further part of an item's text.
    Text {
        /// Number of the item within the session.
        item: u32,
        /// The text that is added.
        text: String,
    },
    /// The whole text of an item, in place of what came before.
    FinalText {
        /// Number of the item within the session.
        item: u32,
        /// All text of the item.
        text: String,
    },
    /// All audio of an item was sent.
    ItemDone {
        /// Number of the item within the session.
        item: u32,
    },
    /// Complete tool calls of the answer.
    ToolCalls(Vec<ToolCall>),
    /// The model considers itself interrupted.
    Interrupted,
    /// The answer is complete; the name of the model in the usage is filled in by the call.
    ResponseDone(TokenUsage),
    /// The model could not answer; the session goes on.
    ResponseFailed {
        /// What the vendor says.
        failure: ProviderError,
        /// Tokens that it took.
        usage: TokenUsage,
    },
    /// The session has failed; the last event.
    Failed(ProviderError),
}

/// A vendor's realtime model.
pub trait RealtimeVendor: Sync {
    /// Returns the protocol of one session, without a socket.
    fn open(&self, setup: RealtimeSessionConfig) -> Box<dyn RealtimeProtocol>;
    /// It can be made to say a given text.
    fn can_say(&self) -> bool;
    /// It says the first message without being told.
    fn greets_first(&self) -> bool;
    /// The encoding it speaks and hears, on a line with this one.
    fn encoding(&self, line: &'static str) -> &'static str {
        line
    }
}

/// The wire of one session, without its socket.
pub trait RealtimeProtocol: Send {
    /// Returns the request that opens the socket; fails without a usable key.
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError>;
    /// The conversation began in another session; called before the socket is opened.
    fn resume(&mut self, conversation: &[ChatMessage]);
    /// Sent as soon as the socket is open.
    fn initial_messages(&mut self) -> Vec<Message>;
    /// Returns the messages to send for an input; empty if the vendor needs none.
    fn input(&mut self, input: RealtimeInput) -> Vec<Message>;
    /// Reads a text frame: what it means, and what is to be answered at once.
    fn read(&mut self, text: &str) -> Result<(Vec<RealtimeEvent>, Vec<Message>), ProviderError>;
    /// No sound has come for a while: a realtime model that does not say when an answer is over may conclude it.
    fn conclude_response(&mut self) -> Vec<RealtimeEvent> {
        Vec::new()
    }
}

/// The realtime model of one call.
#[derive(Debug)]
pub struct RealtimeSession {
    /// Sender of inputs, at most 500 waiting; dropping it ends the session.
    pub input: mpsc::Sender<RealtimeInput>,
    /// Events of the session; dropping it closes the socket.
    pub stream: EventStream<RealtimeEvent>,
}

/// Starts to connect at once.
pub fn open_realtime_session(
    providers: &ProviderRegistry, realtime: &'static dyn RealtimeVendor, endpoint: ProviderAccess,
    setup: RealtimeSessionConfig,
) -> RealtimeSession {
    let (input, queue) = mpsc::channel(INPUTS_MAX);
    let providers = providers.clone();
    let stream = EventStream::spawn("realtime", move |events| async move {
        let wire = realtime.open(setup.clone());
        let replay_buffer = ReplayBuffer::of_speech();
        let mut running = RealtimeWorker {
            providers,
            endpoint,
            vendor: realtime,
            setup,
            wire,
            queue,
            events,
            state: SessionState::SettingUp,
            replay_buffer,
            reports_speech: false,
            early: VecDeque::new(),
            sound: None,
            frames: UnreadableFrames::new("realtime"),
        };
        if let Err(failure) = running.run().await {
            let _ = running.events.send(RealtimeEvent::Failed(failure)).await;
        }
    });
    RealtimeSession { input, stream }
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionState {
    SettingUp,
    /// It hears, since then.
    Ready(Instant),
}

struct RealtimeWorker {
    providers: ProviderRegistry,
    endpoint: ProviderAccess,
    vendor: &'static dyn RealtimeVendor,
    setup: RealtimeSessionConfig,
    wire: Box<dyn RealtimeProtocol>,
    queue: mpsc::Receiver<RealtimeInput>,
    events: mpsc::Sender<RealtimeEvent>,
    state: SessionState,
    /// Audio that no session has turned into words yet.
    replay_buffer: ReplayBuffer,
    /// The vendor says when the caller begins to speak. One that does not may be hearing speech at any time.
    reports_speech: bool,
    /// What else came before the session was set up.
    early: VecDeque<RealtimeInput>,
    /// When sound came last.
    sound: Option<Instant>,
    frames: UnreadableFrames,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl RealtimeWorker {
    /// Opens one session after the other, until the call is over or no further one would help.
    async fn run(&mut self) -> Result<(), ProviderError> {
        let (mut losses, mut has_been_ready) = (0, false);
        loop {
            let Err(failure) = self.session().await else { return Ok(()) };
            let ended = std::mem::replace(&mut self.state, SessionState::SettingUp);
            if let SessionState::Ready(since) = ended {
                has_been_ready = true;
                if since.elapsed() > STABLE_AFTER {
                    losses = 0;
                }
            }
            losses += 1;
            if losses > RECONNECTS_MAX || !may_reconnect(&failure, has_been_ready, losses) {
                return Err(failure);
            }
            self.wire = self.vendor.open(self.setup.clone());
            self.frames = UnreadableFrames::new("realtime");
            if let SessionState::Ready(_) = ended {
                // Whoever begins to speak now is heard by the next session.
                self.replay_buffer.speaking = true;
                self.sound = None;
                metrics::counter!("trunkline_engine_reconnects_total").increment(1);
                if self.events.send(RealtimeEvent::Reconnecting(failure)).await.is_err() {
                    return Ok(());
                }
            }
            if !self.conversation_so_far(Duration::from_millis(250) * (losses - 1)).await {
                return Ok(());
            }
        }
    }

    /// Waits before the next session, and for the conversation that it takes over. False when the call is over.
    async fn conversation_so_far(&mut self, pause: Duration) -> bool {
        let begun = Instant::now();
        let (mut known, mut until) = (false, begun + pause.max(CONVERSATION_TIMEOUT));
        loop {
            match tokio::time::timeout_at(until, self.queue.recv()).await {
                Ok(Some(RealtimeInput::Resume(conversation))) => {
                    self.wire.resume(&conversation);
                    (known, until) = (true, begun + pause);
                }
                Ok(Some(input)) => self.keep(input),
                Ok(None) => return false,
                Err(_) => break,
            }
        }
        if !known {
            tracing::debug!("a realtime session takes over without knowing what was said");
        }
        true
    }

    async fn session(&mut self) -> Result<(), ProviderError> {
        let deadlines = self.providers.timeouts.realtime;
        let entered = self
            .providers
            .circuits
            .acquire_waiting(self.providers.tenant(), &self.endpoint, PipelineStage::Realtime, deadlines.first_byte)
            .await;
        let pass = entered.map_err(|refusal| refusal.failure())?;
        let result = self.serve(&pass).await;
        if let Err(failure) = &result {
            pass.failed(std::time::Instant::now(), failure);
        }
        result
    }

    async fn serve(&mut self, pass: &super::circuit_breaker::ProviderPermit) -> Result<(), ProviderError> {
        let deadlines = self.providers.timeouts.realtime;
        let upgrade = self.wire.upgrade(&self.endpoint)?;
        let mut socket = self.providers.open(&self.endpoint, &upgrade, &deadlines).await?;
        let mut out: VecDeque<Message> = self.wire.initial_messages().into();
        let set_up_by = Instant::now() + deadlines.first_byte;
        let mut keep_alive = KeepAlive::new(deadlines.between_bytes);
        loop {
            while let Some(message) = out.pop_front() {
                match timeout(deadlines.between_bytes, socket.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(ProviderError::Disconnected(error.to_string())),
                    Err(_) => return Err(ProviderError::Timeout("room to send")),
                }
            }
            let quiet_at = self.sound.map(|at| at + RESPONSE_SILENCE);
            let setting_up = until((self.state == SessionState::SettingUp).then_some(set_up_by));
            tokio::select! {
                input = self.queue.recv() => match input {
                    Some(input) => out.extend(self.input(input)),
                    None => {
                        let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
                        return Ok(());
                    }
                },
                message = socket.next() => {
                    keep_alive.record_activity();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            transport::check_text(text.as_bytes())?;
                            if !self.read(&text, &mut out, pass).await? {
                                return Ok(());
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(transport::close_error(message)),
                        Some(Ok(_)) => {}
                    }
                },
                () = keep_alive.due() => out.extend(keep_alive.poll_ping()?),
                () = until(quiet_at) => {
                    self.sound = None;
                    for event in self.wire.conclude_response() {
                        let _ = self.events.send(event).await;
                    }
                }
                () = setting_up => return Err(ProviderError::Timeout("session")),
            }
        }
    }

    /// False when the call does not listen any more.
    async fn read(
        &mut self, text: &str, out: &mut VecDeque<Message>, pass: &super::circuit_breaker::ProviderPermit,
    ) -> Result<bool, ProviderError> {
        let read = self.wire.read(text);
        let Some((events, answers)) = self.frames.judge(read)? else { return Ok(true) };
        out.extend(answers);
        for event in events {
            if matches!(event, RealtimeEvent::Audio { .. }) {
                self.sound = Some(Instant::now());
            }
            match &event {
                RealtimeEvent::Ready if self.state == SessionState::SettingUp => {
                    pass.succeeded();
                    out.extend(self.begin());
                }
                RealtimeEvent::SpeechStarted => (self.replay_buffer.speaking, self.reports_speech) = (true, true),
                // What was said until now has become words.
                RealtimeEvent::UserFinal(_) => self.replay_buffer.settle(u64::MAX, self.reports_speech),
                _ => {}
            }
            if self.events.send(event).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The session hears: it gets what came before.
    fn begin(&mut self) -> Vec<Message> {
        self.state = SessionState::Ready(Instant::now());
        let pieces: Vec<Bytes> = self.replay_buffer.pieces.iter().cloned().collect();
        self.replay_buffer.speaking = !self.reports_speech;
        let inputs = pieces.into_iter().map(RealtimeInput::Audio).chain(std::mem::take(&mut self.early));
        inputs.flat_map(|input| self.wire.input(input)).collect()
    }

    /// The messages for an input; what comes before the session hears is kept.
    fn input(&mut self, input: RealtimeInput) -> Vec<Message> {
        self.renew_setup(&input);
        match self.state {
            SessionState::SettingUp => {
                self.keep(input);
                Vec::new()
            }
            SessionState::Ready(_) => {
                if let RealtimeInput::Audio(codes) = &input {
                    self.replay_buffer.push(codes.clone());
                }
                self.wire.input(input)
            }
        }
    }

    /// A session that is opened later begins with the newest instructions.
    fn renew_setup(&mut self, input: &RealtimeInput) {
        if let RealtimeInput::Instructions(text) = input {
            self.setup.instructions.clone_from(text);
            self.early.retain(|early| !matches!(early, RealtimeInput::Instructions(_)));
        }
    }

    fn keep(&mut self, input: RealtimeInput) {
        self.renew_setup(&input);
        match input {
            RealtimeInput::Audio(codes) => self.replay_buffer.push(codes),
            // The answer that was interrupted ended with its session.
            RealtimeInput::Interrupted { .. } | RealtimeInput::Resume(_) => {}
            input => {
                if self.early.len() >= EARLY_INPUTS_MAX {
                    self.early.pop_front();
                }
                self.early.push_back(input);
            }
        }
    }
}

/// Whether another session may help. Before the first one the caller has heard nothing yet: a fallback is asked after one
/// more try, and at once where the time is gone already.
fn may_reconnect(failure: &ProviderError, has_been_ready: bool, losses: u32) -> bool {
    match failure {
        ProviderError::CircuitOpen(_) => false,
        ProviderError::Timeout(_) | ProviderError::Refused { status: 429, .. } => has_been_ready,
        _ => failure.is_retryable() && (has_been_ready || losses == 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_ended_is_opened_again_and_a_wrong_key_is_not_tried_twice() {
        let ended = ProviderError::SessionEnded("maximum duration".into());
        let late = ProviderError::Timeout("session");
        assert!(may_reconnect(&ended, true, 3) && may_reconnect(&ended, false, 1) && !may_reconnect(&ended, false, 2));
        assert!(may_reconnect(&late, true, 1) && !may_reconnect(&late, false, 1));
        assert!(!may_reconnect(&ProviderError::refused(401, "key"), true, 1));
        assert!(!may_reconnect(&ProviderError::refused(400, "model"), true, 1));
        assert!(!may_reconnect(&ProviderError::CircuitOpen("open"), true, 1));
    }
}
