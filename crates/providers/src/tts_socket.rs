//! Vendors with one socket per call and one context per sentence.

use super::circuit_breaker::ProviderPermit;
use super::spoken_length::SpokenLength;
use super::transport::{self, ProviderSocket, WebSocketRequest};
use super::tts::{NO_AUDIO, TtsSession, TtsSetup};
use super::unreadable_frames::UnreadableFrames;
use super::{AudioFormat, EventStream, ProviderAccess, ProviderError, TtsEvent, TtsStream};
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use trunkline_domain::provider::PipelineStage;

/// Sentences waiting for the socket of one call.
const COMMANDS_MAX: usize = 16;
/// Ends the context id of a sentence that is asked for a second time.
const RETRY_MARK: &str = "r";

/// The wire of a voice with a socket, without the socket.
pub trait TtsSocketProtocol: Send + Sync {
    /// Returns the request that opens the socket; fails without a usable key.
    fn upgrade(&self, endpoint: &ProviderAccess) -> Result<WebSocketRequest, ProviderError>;
    /// A whole text in a separate context, spoken at once.
    fn speak(&mut self, context: &str, text: &str) -> Vec<Message>;
    /// Returns the messages that follow the first audio of a context; most vendors need none.
    fn after_first_audio(&mut self, _context: &str) -> Vec<Message> {
        Vec::new()
    }
    /// Returns the messages that stop a context; empty if the vendor has none.
    fn cancel(&mut self, context: &str) -> Vec<Message>;
    /// A socket was opened: no context is open on it.
    fn handle_connected(&mut self) {}
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
        let speaking = TtsSocketWorker {
            setup: setup.clone(),
            wire,
            queue,
            own,
            open: HashMap::new(),
            left: 0,
            next: 0,
            ends: EndsOfSentences::Untold,
        };
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
    /// Its second try, which has a context of its own.
    retried: bool,
    deadline: Instant,
    spoken: SpokenLength,
}

impl OpenContext {
    fn context_id(&self, number: u64) -> String {
        format!("s{number}{}", if self.retried { RETRY_MARK } else { "" })
    }
}

/// The number of a sentence and whether the context is its second try, from the context's id.
fn parse_context_id(context: &str) -> Option<(u64, bool)> {
    let context = context.strip_prefix('s')?;
    let first = context.strip_suffix(RETRY_MARK);
    Some((first.unwrap_or(context).parse().ok()?, first.is_some()))
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
    ends: EndsOfSentences,
}

/// Whether the vendor tells when a sentence is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndsOfSentences {
    /// None was told: a sentence that was said is over without.
    Untold,
    Told,
}

/// What a delivered frame asks for.
enum FollowUp {
    /// The first audio of this context has come: it may end.
    Close(String),
    /// The sentence with this number came back without sound.
    AskAgain(u64),
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
                        TtsSocketEnd::ContextsExhausted => {
                            self.fail_heard().await;
                            continue;
                        }
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
        self.wire.handle_connected();
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

    /// The socket is replaced: what was heard in part cannot go on, and is not said again from its beginning.
    async fn fail_heard(&mut self) {
        for (_, OpenContext { sentence, .. }) in self.open.extract_if(|_, open| open.heard) {
            let failure = ProviderError::Disconnected("too many contexts".to_owned());
            let _ = sentence.events.send(TtsEvent::Failed(failure)).await;
        }
    }

    /// How long a sentence may be silent before its second try, and as long again after it.
    fn patience(&self) -> Duration {
        self.setup.providers.timeouts.tts.first_byte / 2
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
        let deadline = Instant::now() + self.patience();
        let spoken = SpokenLength::of(&sentence.text);
        self.open.insert(number, OpenContext { sentence, heard: false, retried: false, deadline, spoken });
        number
    }

    async fn serve(&mut self, socket: &mut ProviderSocket) -> TtsSocketEnd {
        let mut waiting: Vec<u64> = self.open.keys().copied().collect();
        waiting.sort_unstable();
        let patience = self.patience();
        for number in waiting {
            if let Some(open) = self.open.get_mut(&number) {
                open.deadline = open.deadline.max(Instant::now() + patience);
            }
            if let Err(failure) = self.send_sentence(socket, number).await {
                return TtsSocketEnd::Broken(failure);
            }
        }
        let mut frames = UnreadableFrames::new("tts");
        loop {
            let deadline = self.open.values().map(|open| self.next_deadline(open)).min();
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
                    Some(Ok(Message::Text(text))) => self.handle_text(socket, &text, &mut frames).await,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(transport::close_error(message)),
                    Some(Ok(_)) => Ok(()),
                },
                () = late => self.handle_late(socket).await,
            };
            if let Err(failure) = result {
                return TtsSocketEnd::Broken(failure);
            }
        }
    }

    async fn handle_text(
        &mut self, socket: &mut ProviderSocket, text: &str, frames: &mut UnreadableFrames,
    ) -> Result<(), ProviderError> {
        transport::check_text(text.as_bytes())?;
        let Some(events) = frames.judge(self.wire.read(text))? else { return Ok(()) };
        let next = self.deliver(events).await;
        self.follow(socket, next).await
    }

    async fn send_sentence(&mut self, socket: &mut ProviderSocket, number: u64) -> Result<(), ProviderError> {
        let Some(open) = self.open.get(&number) else { return Ok(()) };
        let messages = self.wire.speak(&open.context_id(number), &open.sentence.text);
        self.send(socket, messages).await
    }

    async fn cancel(&mut self, socket: &mut ProviderSocket, number: u64) -> Result<(), ProviderError> {
        let Some(open) = self.open.remove(&number) else { return Ok(()) };
        self.leave(socket, &open.context_id(number)).await
    }

    /// Stops a context: until it has ended at the vendor, it counts as open.
    async fn leave(&mut self, socket: &mut ProviderSocket, context: &str) -> Result<(), ProviderError> {
        self.left += 1;
        let messages = self.wire.cancel(context);
        self.send(socket, messages).await
    }

    /// When a sentence is over without an end mark, or too late.
    fn next_deadline(&self, open: &OpenContext) -> Instant {
        let ends_at = open.spoken.ends_at().filter(|_| self.ends == EndsOfSentences::Untold);
        ends_at.map_or(open.deadline, |at| at.min(open.deadline))
    }

    /// The sentence that was said, from a vendor that tells no ends.
    fn said_sentence(&self, now: Instant) -> Option<u64> {
        let is_said = |open: &OpenContext| open.heard && open.spoken.ends_at().is_some_and(|at| at <= now);
        let mut open = self.open.iter().filter(|_| self.ends == EndsOfSentences::Untold);
        open.find(|(_, open)| is_said(open)).map(|(number, _)| *number)
    }

    /// A sentence has been silent for too long. One that was not heard yet may have been lost: it is asked for once
    /// more. Otherwise the socket is given up.
    async fn handle_late(&mut self, socket: &mut ProviderSocket) -> Result<(), ProviderError> {
        let now = Instant::now();
        if let Some(number) = self.said_sentence(now)
            && let Some(open) = self.open.remove(&number)
        {
            let _ = open.sentence.events.send(TtsEvent::Done).await;
            let messages = self.wire.cancel(&open.context_id(number));
            return self.send(socket, messages).await;
        }
        let patience = self.patience();
        let late = self.open.iter_mut().find(|(_, open)| open.deadline <= now && !open.heard && !open.retried);
        let Some((number, open)) = late else { return Err(ProviderError::Timeout("audio")) };
        let (number, lost) = (*number, open.context_id(*number));
        (open.retried, open.deadline) = (true, now + patience);
        self.leave(socket, &lost).await?;
        self.ask_again(socket, number).await
    }

    /// Asks for a sentence once more, on the same socket.
    async fn ask_again(&mut self, socket: &mut ProviderSocket, number: u64) -> Result<(), ProviderError> {
        metrics::counter!("trunkline_provider_retries_total", "stage" => "tts").increment(1);
        if self.left + self.open.len() > self.wire.contexts_max() {
            return Err(ProviderError::Disconnected("too many contexts".to_owned()));
        }
        self.send_sentence(socket, number).await
    }

    /// Does what delivered frames ask for.
    async fn follow(&mut self, socket: &mut ProviderSocket, next: Vec<FollowUp>) -> Result<(), ProviderError> {
        for one in next {
            match one {
                FollowUp::Close(context) => {
                    let messages = self.wire.after_first_audio(&context);
                    self.send(socket, messages).await?;
                }
                FollowUp::AskAgain(number) => self.ask_again(socket, number).await?,
            }
        }
        Ok(())
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

    async fn deliver(&mut self, events: Vec<(String, TtsEvent)>) -> Vec<FollowUp> {
        let mut next = Vec::new();
        let patience = self.patience();
        for (context, event) in events {
            if event == TtsEvent::Done {
                self.ends = EndsOfSentences::Told;
            }
            let Some((number, retried)) = parse_context_id(&context) else { continue };
            let over = matches!(event, TtsEvent::Done | TtsEvent::Failed(_));
            let open = self.open.get_mut(&number).filter(|open| open.retried == retried);
            let Some(open) = open else {
                // Late audio of a cancelled sentence; its end frees a context.
                self.left -= usize::from(over && self.left > 0);
                continue;
            };
            let event = match event {
                TtsEvent::Done if !open.heard && !open.retried => {
                    (open.retried, open.deadline) = (true, Instant::now() + patience);
                    next.push(FollowUp::AskAgain(number));
                    continue;
                }
                TtsEvent::Done if !open.heard => TtsEvent::Failed(ProviderError::Disconnected(NO_AUDIO.to_owned())),
                TtsEvent::Audio(bytes) if bytes.is_empty() => continue,
                event => event,
            };
            open.spoken.handle_event(Instant::now(), &event, self.wire.format());
            let sentence = &open.sentence;
            match &event {
                TtsEvent::Audio(_) => {
                    open.deadline = Instant::now() + self.setup.providers.timeouts.tts.between_bytes;
                    if !std::mem::replace(&mut open.heard, true) {
                        sentence.pass.succeeded();
                        next.push(FollowUp::Close(context));
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
        next
    }
}
