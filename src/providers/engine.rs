//! Realtime (speech-to-speech) sessions: one socket that hears and speaks. The call decides what is played; failover is
//! up to the call.

use super::net::{self, Pulse};
use super::{Endpoint, Failure, Providers, Stream, Usage};
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::provider::Stage;
use crate::providers::net::Upgrade;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Inputs waiting for the socket: ten seconds of audio.
const INPUTS_MAX: usize = 500;
/// Audio kept until the session is set up: three seconds.
const EARLY_MAX: usize = 150;
/// Without sound for this long, an answer that was begun may be over.
const QUIET: Duration = Duration::from_millis(800);

/// Configuration of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub model: String,
    pub voice: Option<String>,
    pub instructions: String,
    /// Said first by models that greet by themselves.
    pub first_message: Option<String>,
    pub language: String,
    pub tools: Vec<ToolOffer>,
    /// `mulaw` or `alaw`: the line's own codec, both ways.
    pub encoding: &'static str,
    pub silence_ms: u64,
}

impl Setup {
    pub fn format(&self) -> &'static str {
        if self.encoding == "alaw" { "audio/pcma" } else { "audio/pcmu" }
    }

    pub fn language_code(&self) -> &str {
        self.language.split(['-', '_']).next().unwrap_or(&self.language)
    }
}

/// Input of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// G.711 codes.
    Audio(Bytes),
    /// Say this text verbatim.
    Say(String),
    /// Request a response; optionally with an extra instruction.
    Ask(Option<String>),
    /// DTMF or text of the caller.
    User(String),
    ToolResult {
        id: String,
        result: String,
    },
    /// Barge-in: so many milliseconds of this item were heard.
    Interrupted {
        item: Option<(u32, u64)>,
    },
}

/// Event of a realtime session.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It hears from now on.
    Ready,
    /// An identifier under which the vendor keeps the conversation.
    Conversation(String),
    SpeechStarted,
    SpeechStopped,
    UserInterim(String),
    UserFinal(String),
    /// An answer begins; what comes belongs to it until it is done.
    ResponseStarted,
    /// A part of the answer, by its number within the session.
    Audio {
        item: u32,
        codes: Bytes,
    },
    Text {
        item: u32,
        text: String,
    },
    /// The whole text of an item, in place of what came before.
    WholeText {
        item: u32,
        text: String,
    },
    ItemDone {
        item: u32,
    },
    /// Complete tool calls of the answer.
    Tools(Vec<ToolCall>),
    /// The model considers itself interrupted.
    Interrupted,
    ResponseDone(Usage),
    Failed(Failure),
}

/// A vendor's engine.
pub trait Engine: Sync {
    fn open(&self, setup: Setup) -> Box<dyn Wire>;
    /// It can be made to say a given text.
    fn can_say(&self) -> bool;
    /// It says the first message without being told.
    fn greets(&self) -> bool;
    /// The encoding it speaks and hears, on a line with this one.
    fn encoding(&self, line: &'static str) -> &'static str {
        line
    }
}

/// The wire of one session, without its socket.
pub trait Wire: Send {
    fn upgrade(&self, endpoint: &Endpoint) -> Result<Upgrade, Failure>;
    /// Sent as soon as the socket is open.
    fn hello(&mut self) -> Vec<Message>;
    fn input(&mut self, input: Input) -> Vec<Message>;
    /// Reads a text frame: what it means, and what is to be answered at once.
    fn read(&mut self, text: &str) -> Result<(Vec<Event>, Vec<Message>), Failure>;
    /// No sound has come for a while: an engine that does not say when an answer is over may conclude it.
    fn quiet(&mut self) -> Vec<Event> {
        Vec::new()
    }
}

/// The engine of one call.
#[derive(Debug)]
pub struct Session {
    pub input: mpsc::Sender<Input>,
    pub stream: Stream<Event>,
}

/// Starts to connect at once.
pub fn converse(providers: &Providers, engine: &'static dyn Engine, endpoint: Endpoint, setup: Setup) -> Session {
    let (input, queue) = mpsc::channel(INPUTS_MAX);
    let providers = providers.clone();
    let stream = Stream::spawn("realtime", move |events| async move {
        let wire = engine.open(setup);
        let mut running =
            Running { providers, endpoint, wire, queue, events, ready: false, early: VecDeque::new(), sound: None };
        if let Err(failure) = running.run().await {
            let _ = running.events.send(Event::Failed(failure)).await;
        }
    });
    Session { input, stream }
}

struct Running {
    providers: Providers,
    endpoint: Endpoint,
    wire: Box<dyn Wire>,
    queue: mpsc::Receiver<Input>,
    events: mpsc::Sender<Event>,
    ready: bool,
    /// What came before the session was set up; of audio the newest is kept.
    early: VecDeque<Input>,
    /// When sound came last.
    sound: Option<Instant>,
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Running {
    async fn run(&mut self) -> Result<(), Failure> {
        let deadlines = self.providers.timeouts.engine;
        let entered = self
            .providers
            .gates
            .enter_in(self.providers.tenant(), &self.endpoint, Stage::Engine, deadlines.first_byte)
            .await;
        let pass = entered.map_err(|refusal| refusal.failure())?;
        let result = self.serve(&pass).await;
        if let Err(failure) = &result {
            pass.failed(std::time::Instant::now(), failure);
        }
        result
    }

    async fn serve(&mut self, pass: &super::gate::Pass) -> Result<(), Failure> {
        let deadlines = self.providers.timeouts.engine;
        let upgrade = self.wire.upgrade(&self.endpoint)?;
        let mut socket = self.providers.open(&self.endpoint, &upgrade, &deadlines).await?;
        let mut out: VecDeque<Message> = self.wire.hello().into();
        let set_up_by = Instant::now() + deadlines.first_byte;
        let mut pulse = Pulse::new(deadlines.between_bytes);
        loop {
            while let Some(message) = out.pop_front() {
                match timeout(deadlines.between_bytes, socket.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(Failure::Dropped(error.to_string())),
                    Err(_) => return Err(Failure::Deadline("room to send")),
                }
            }
            let quiet_at = self.sound.map(|at| at + QUIET);
            let setting_up = until((!self.ready).then_some(set_up_by));
            tokio::select! {
                input = self.queue.recv() => match input {
                    Some(input) if self.ready => out.extend(self.wire.input(input)),
                    Some(input) => self.keep(input),
                    None => {
                        let _ = timeout(Duration::from_millis(200), socket.close(None)).await;
                        return Ok(());
                    }
                },
                message = socket.next() => {
                    pulse.felt();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            net::check_text(text.as_bytes())?;
                            if !self.read(&text, &mut out, pass).await? {
                                return Ok(());
                            }
                        }
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(net::ended(message)),
                        Some(Ok(_)) => {}
                    }
                },
                () = pulse.due() => out.extend(pulse.ask()?),
                () = until(quiet_at) => {
                    self.sound = None;
                    for event in self.wire.quiet() {
                        let _ = self.events.send(event).await;
                    }
                }
                () = setting_up => return Err(Failure::Deadline("session")),
            }
        }
    }

    /// False when the call does not listen any more.
    async fn read(
        &mut self, text: &str, out: &mut VecDeque<Message>, pass: &super::gate::Pass,
    ) -> Result<bool, Failure> {
        let (events, answers) = self.wire.read(text)?;
        out.extend(answers);
        for event in events {
            if matches!(event, Event::Audio { .. }) {
                self.sound = Some(Instant::now());
            }
            if event == Event::Ready && !std::mem::replace(&mut self.ready, true) {
                pass.succeeded();
                for input in std::mem::take(&mut self.early) {
                    out.extend(self.wire.input(input));
                }
            }
            if self.events.send(event).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn keep(&mut self, input: Input) {
        let audio = self.early.iter().filter(|one| matches!(one, Input::Audio(_))).count();
        if matches!(input, Input::Audio(_)) && audio >= EARLY_MAX {
            let oldest = self.early.iter().position(|one| matches!(one, Input::Audio(_)));
            oldest.and_then(|index| self.early.remove(index));
        }
        self.early.push_back(input);
    }
}
