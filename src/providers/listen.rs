//! STT session of a call: keeps the connection alive, detects dead connections, reconnects or fails over, and replays
//! the audio that has no final text yet.

use super::gate::Pass;
use super::net::{self, Pulse, Socket, Upgrade};
use super::{Endpoint, Failure, Providers, Stream, SttEvent, Switch};
use crate::domain::provider::Stage;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

/// Chunks of audio that wait while a connection is made: ten seconds. What comes on top of them is lost.
const AUDIO_MAX: usize = 500;
/// Consecutive rounds through all candidates without a stable connection.
const ROUNDS_MAX: u32 = 4;
/// A connection that lasted this long resets the rounds.
const HELD: Duration = Duration::from_secs(60);
/// G.711: codes in a millisecond.
const CODES_A_MS: usize = 8;
/// Audio kept while the caller speaks without a final result.
const TAPE_MAX_MS: usize = 15_000;
/// Audio kept during silence, because speech onset is detected late.
const LEAD_MS: usize = 1_000;

/// What a recogniser is to listen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    pub model: String,
    pub language: String,
    pub keyterms: Vec<String>,
    /// `mulaw` or `alaw`: the line's own codec, passed through.
    pub encoding: &'static str,
    pub endpointing_ms: u64,
    /// Tell of likely ends of a turn before it is certain.
    pub eager: bool,
}

impl Setup {
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
pub enum Input {
    /// G.711 codes.
    Audio(Bytes),
    /// Voice activity detection found speech.
    Speaking,
    /// The caller fell silent.
    Quiet,
    /// Request the final result.
    Finalize,
    /// The connection returns nothing: open another.
    Restart,
}

/// A vendor's recogniser.
pub trait Recogniser: Sync {
    fn open(&self, setup: &Setup) -> Box<dyn Wire>;
}

/// The STT protocol of one connection, without its socket.
pub trait Wire: Send {
    fn upgrade(&self, endpoint: &Endpoint) -> Result<Upgrade, Failure>;
    /// Sent before any audio.
    fn hello(&self) -> Vec<Message>;
    /// Nothing where a message needs more audio than there is yet.
    fn audio(&mut self, codes: &[u8]) -> Option<Message>;
    /// How long without audio until a keep-alive is sent, and the keep-alive.
    fn idle(&mut self) -> (Duration, Message);
    fn quiet(&mut self) -> Option<Message>;
    fn finalize(&mut self) -> Option<Message>;
    fn close(&mut self) -> Option<Message>;
    /// Reads a text frame.
    fn read(&mut self, text: &str) -> Result<Heard, Failure>;
}

/// What a frame of a provider meant.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    pub events: Vec<SttEvent>,
    /// Text is final up to here, in milliseconds of the connection's audio.
    pub settled_ms: Option<u64>,
}

impl Heard {
    pub fn one(event: SttEvent) -> Self {
        Self { events: vec![event], settled_ms: None }
    }
}

/// A recogniser that may be asked.
#[derive(Clone)]
pub struct Candidate {
    pub recogniser: &'static dyn Recogniser,
    pub endpoint: Endpoint,
    pub setup: Setup,
    /// `provider/model`, for the record.
    pub name: String,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A recogniser of one call.
#[derive(Debug)]
pub struct Session {
    pub input: mpsc::Sender<Input>,
    pub stream: Stream<SttEvent>,
}

/// Opens an STT session; connects at once, and audio may be sent right away.
pub fn listen(providers: &Providers, candidates: Vec<Candidate>) -> Session {
    let (input, queue) = mpsc::channel(AUDIO_MAX);
    let providers = providers.clone();
    let stream = Stream::spawn("stt", |events| async move {
        let dead = vec![false; candidates.len()];
        let tape = Tape::default();
        let mut listening = Listening { providers, candidates, dead, queue, events, tape, failed: None };
        if let Err(failure) = listening.run().await {
            let _ = listening.events.send(SttEvent::Failed(failure)).await;
        }
    });
    Session { input, stream }
}

/// Audio without final text.
#[derive(Debug, Default)]
struct Tape {
    pieces: VecDeque<Bytes>,
    codes: usize,
    /// Codes that were here before and are gone.
    gone: u64,
    speaking: bool,
}

impl Tape {
    fn push(&mut self, codes: Bytes) {
        self.codes += codes.len();
        self.pieces.push_back(codes);
        self.trim();
    }

    fn trim(&mut self) {
        let keep_ms = if self.speaking { TAPE_MAX_MS } else { LEAD_MS };
        while self.codes > keep_ms * CODES_A_MS {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.pieces.pop_front() {
            self.codes -= first.len();
            self.gone += first.len() as u64;
        }
    }

    /// Drops audio before a point; outside of speech that is all of the utterance.
    fn settle(&mut self, until_codes: u64, utterance_over: bool) {
        while self.pieces.front().is_some_and(|first| self.gone + first.len() as u64 <= until_codes) {
            self.drop_first();
        }
        if utterance_over {
            self.speaking = false;
            self.trim();
        }
    }
}

/// Why one connection ended.
enum End {
    /// The call is over.
    Finished,
    Broken(Failure),
}

struct Listening {
    providers: Providers,
    candidates: Vec<Candidate>,
    /// Candidates disabled for this call by a permanent refusal.
    dead: Vec<bool>,
    queue: mpsc::Receiver<Input>,
    events: mpsc::Sender<SttEvent>,
    tape: Tape,
    /// The provider that failed last, how, and when.
    failed: Option<(usize, Failure, Instant)>,
}

impl Listening {
    async fn run(&mut self) -> Result<(), Failure> {
        let (mut current, mut tries) = (0, 0);
        loop {
            let failure = match self.connect(current).await {
                Ok((socket, pass, wire)) => {
                    self.connected(current).await;
                    let since = Instant::now();
                    let failure = match self.serve(current, socket, wire, &pass).await {
                        End::Finished => return Ok(()),
                        End::Broken(failure) => failure,
                    };
                    pass.failed(std::time::Instant::now(), &failure);
                    if since.elapsed() > HELD {
                        tries = 0;
                    }
                    failure
                }
                Err(failure) => failure,
            };
            tries += 1;
            self.dead[current] |= !failure.is_retryable();
            let round = tries / self.candidates.len() as u32;
            let next = (1..=self.candidates.len()).map(|step| (current + step) % self.candidates.len());
            let next = next.into_iter().find(|index| !self.dead[*index]).filter(|_| round < ROUNDS_MAX);
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

    async fn connect(&self, index: usize) -> Result<(Socket, Pass, Box<dyn Wire>), Failure> {
        let candidate = &self.candidates[index];
        let deadlines = self.providers.timeouts.stt;
        let (gates, tenant, endpoint) = (&self.providers.gates, self.providers.tenant(), &candidate.endpoint);
        let others = self.dead.iter().enumerate().any(|(other, dead)| other != index && !dead);
        let entered = if others {
            gates.enter(tenant, endpoint, Stage::Stt, std::time::Instant::now(), false)
        } else {
            gates.enter_in(tenant, endpoint, Stage::Stt, deadlines.first_byte).await
        };
        let pass = entered.map_err(|refusal| refusal.failure())?;
        let wire = candidate.recogniser.open(&candidate.setup);
        let opened = match wire.upgrade(endpoint) {
            Ok(upgrade) => self.providers.open(endpoint, &upgrade, &deadlines).await,
            Err(failure) => Err(failure),
        };
        match opened {
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
            let switch = Switch {
                stage: Stage::Stt,
                from: self.candidates[from].name.clone(),
                to: self.candidates[index].name.clone(),
                why: failure.kind(),
                after: at.elapsed(),
            };
            let _ = self.events.send(SttEvent::Switched(switch)).await;
        }
        let _ = self.events.send(SttEvent::Ready).await;
    }

    async fn serve(&mut self, index: usize, socket: Socket, wire: Box<dyn Wire>, pass: &Pass) -> End {
        let silence = vec![self.candidates[index].setup.silence(); 20 * CODES_A_MS];
        let mut connection = Connection {
            socket,
            wire,
            limit: self.providers.timeouts.stt.between_bytes,
            // The tape's first code is played after 20 ms of silence.
            origin: self.tape.gone as i64 - silence.len() as i64,
            last_audio: Instant::now(),
            pulse: Pulse::new(self.providers.timeouts.stt.between_bytes),
        };
        let mut greeting = connection.wire.hello();
        // A new connection needs audio soon; keep-alives alone do not hold it.
        greeting.extend(connection.wire.audio(&silence));
        for codes in &self.tape.pieces {
            greeting.extend(connection.wire.audio(codes));
        }
        if self.tape.speaking {
            metrics::counter!("trunkline_stt_replays_total").increment(1);
        }
        for message in greeting {
            if let Err(failure) = connection.send(message).await {
                return End::Broken(failure);
            }
        }
        let end = self.converse(&mut connection, pass).await;
        let _ = timeout(Duration::from_millis(200), connection.socket.close(None)).await;
        end
    }

    async fn converse(&mut self, connection: &mut Connection, pass: &Pass) -> End {
        let mut succeeded = false;
        loop {
            let (idle_after, filler) = connection.wire.idle();
            let idle = tokio::time::sleep_until(connection.last_audio + idle_after);
            let result = tokio::select! {
                input = self.queue.recv() => match input {
                    Some(Input::Restart) => Err(Failure::Deadline("transcript")),
                    Some(input) => self.input(connection, input).await,
                    None => {
                        if let Some(last) = connection.wire.close() {
                            let _ = connection.send(last).await;
                        }
                        return End::Finished;
                    }
                },
                message = connection.socket.next() => {
                    connection.pulse.felt();
                    match message {
                        Some(Ok(Message::Text(text))) => {
                            if !std::mem::replace(&mut succeeded, true) {
                                pass.succeeded();
                            }
                            match net::check_text(text.as_bytes()) {
                                Ok(()) => self.heard(connection, &text).await,
                                Err(failure) => Err(failure),
                            }
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Ok(true),
                        ended => Err(net::ended(ended)),
                    }
                },
                () = idle => {
                    connection.last_audio = Instant::now();
                    connection.send(filler).await.map(|()| true)
                }
                () = connection.pulse.due() => {
                    self.providers.keep_spares(self.candidates.iter().map(|one| &one.endpoint), Stage::Stt);
                    match connection.pulse.ask() {
                        Ok(Some(ping)) => connection.send(ping).await.map(|()| true),
                        Ok(None) => Ok(true),
                        Err(failure) => Err(failure),
                    }
                }
            };
            match result {
                Ok(true) => {}
                Ok(false) => return End::Finished,
                Err(failure) => return End::Broken(failure),
            }
        }
    }

    async fn input(&mut self, connection: &mut Connection, input: Input) -> Result<bool, Failure> {
        let message = match input {
            Input::Audio(codes) => {
                connection.last_audio = Instant::now();
                let message = connection.wire.audio(&codes);
                self.tape.push(codes);
                message
            }
            Input::Speaking => {
                self.tape.speaking = true;
                None
            }
            Input::Quiet => connection.wire.quiet(),
            Input::Finalize => connection.wire.finalize(),
            Input::Restart => None,
        };
        if let Some(message) = message {
            connection.send(message).await?;
        }
        Ok(true)
    }

    /// False when the call no longer listens.
    async fn heard(&mut self, connection: &mut Connection, text: &str) -> Result<bool, Failure> {
        let heard = connection.wire.read(text)?;
        let over = heard.events.iter().any(|event| {
            matches!(
                event,
                SttEvent::Final { speech_final: true, .. } | SttEvent::EndOfTurn { .. } | SttEvent::UtteranceEnd
            )
        });
        if let Some(ms) = heard.settled_ms {
            let until = connection.origin + (ms as usize * CODES_A_MS) as i64;
            self.tape.settle(u64::try_from(until).unwrap_or(0), over);
        }
        for event in heard.events {
            if self.events.send(event).await.is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// An open connection.
struct Connection {
    socket: Socket,
    wire: Box<dyn Wire>,
    limit: Duration,
    /// Position of the connection's first audio in the replay buffer.
    origin: i64,
    last_audio: Instant,
    pulse: Pulse,
}

impl Connection {
    async fn send(&mut self, message: Message) -> Result<(), Failure> {
        match timeout(self.limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::Dropped(error.to_string())),
            Err(_) => Err(Failure::Deadline("room to send")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(tape: &mut Tape) {
        for _ in 0..50 {
            tape.push(Bytes::from_static(&[0; 160]));
        }
    }

    #[test]
    fn the_tape_keeps_what_no_words_have_come_of() {
        let mut tape = Tape::default();
        for _ in 0..5 {
            second(&mut tape);
        }
        assert_eq!((tape.codes, tape.gone), (8_000, 32_000), "silence is kept for a second");
        tape.speaking = true;
        for _ in 0..3 {
            second(&mut tape);
        }
        assert_eq!(tape.codes, 32_000);
        // Words are final up to 6.5 s of the call, and more is being said.
        tape.settle(52_000, false);
        assert_eq!((tape.codes, tape.speaking), (12_000, true));
        tape.settle(60_000, true);
        assert_eq!((tape.codes, tape.speaking), (4_000, false));
        tape.speaking = true;
        for _ in 0..30 {
            second(&mut tape);
        }
        assert_eq!(tape.codes, 120_000, "somebody who never ends is kept for a while only");
    }
}
