//! One open connection of an STT session: what is sent on it, and what it says.

use super::circuit_breaker::ProviderPermit;
use super::replay_buffer::{ReplayBuffer, SAMPLES_PER_MS};
use super::stt::{SttCandidate, SttInput, SttProtocol, SttSocket, SttUpdate};
use super::transport::{self, KeepAlive};
use super::unreadable_frames::UnreadableFrames;
use super::{ProviderError, ProviderRegistry};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

/// How long the end of a socket may take.
const CLOSE_MAX: Duration = Duration::from_millis(200);

/// Final words this soon behind an error frame belong to the same session, which goes on.
const WORDS_BEHIND_ERROR: Duration = Duration::from_millis(50);

/// A socket that was opened, before anything was sent.
pub(super) struct OpenedSocket {
    pub(super) socket: SttSocket,
    pub(super) pass: ProviderPermit,
    pub(super) wire: Box<dyn SttProtocol>,
}

impl OpenedSocket {
    /// Connects to a candidate.
    pub(super) async fn open(
        providers: &ProviderRegistry, candidate: &SttCandidate, pass: ProviderPermit,
    ) -> Result<Self, ProviderError> {
        let wire = candidate.vendor.open(&candidate.setup);
        match candidate.vendor.connect(providers, candidate, wire.as_ref()).await {
            Ok(socket) => Ok(Self { socket, pass, wire }),
            Err(failure) => {
                pass.failed(Instant::now().into_std(), &failure);
                Err(failure)
            }
        }
    }
}

/// What a connection has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SttProgress {
    Nothing,
    Message,
    /// Final words of the caller.
    Words,
}

/// What happened on a connection.
pub(super) enum SttNews {
    /// The vendor says something.
    Update(SttUpdate),
    /// It was looked after: a ping, a filler, a frame without meaning.
    Upkeep,
}

/// Position of a connection's first audio in the replay buffer, in codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplayOrigin(i64);

impl ReplayOrigin {
    /// Where the connection's audio up to here ends in the replay buffer.
    pub(super) fn position(self, settled_ms: u64) -> u64 {
        let settled = i64::try_from(settled_ms).unwrap_or(i64::MAX).saturating_mul(SAMPLES_PER_MS as i64);
        u64::try_from(self.0.saturating_add(settled)).unwrap_or(0)
    }
}

/// An open connection.
pub(super) struct SttConnection {
    /// The place of its candidate.
    pub(super) index: usize,
    socket: SttSocket,
    wire: Box<dyn SttProtocol>,
    pass: ProviderPermit,
    limit: Duration,
    replay_origin: ReplayOrigin,
    last_audio: Instant,
    keep_alive: KeepAlive,
    frames: UnreadableFrames,
    progress: SttProgress,
    /// An error that the vendor has told of, and when it ends the session unless words come.
    told: Option<(ProviderError, Instant)>,
}

impl SttConnection {
    /// Begins a session on a socket: what the vendor wants first, and the audio that has no final words yet.
    pub(super) async fn begin(
        opened: OpenedSocket, index: usize, candidate: &SttCandidate, limit: Duration, replay: &ReplayBuffer,
    ) -> (Self, Result<(), ProviderError>) {
        let OpenedSocket { socket, pass, wire } = opened;
        let silence = vec![candidate.setup.silence(); 20 * SAMPLES_PER_MS];
        let mut connection = Self {
            index,
            socket,
            wire,
            pass,
            limit,
            // The replay buffer's first code is played after 20 ms of silence.
            replay_origin: ReplayOrigin(replay.gone as i64 - silence.len() as i64),
            last_audio: Instant::now(),
            keep_alive: KeepAlive::new(limit),
            frames: UnreadableFrames::new("stt"),
            progress: SttProgress::Nothing,
            told: None,
        };
        let mut greeting = connection.wire.initial_messages();
        // A new connection needs audio soon; keep-alives alone do not hold it.
        greeting.extend(connection.wire.audio(&silence));
        for codes in &replay.pieces {
            greeting.extend(connection.wire.audio(codes));
        }
        for message in greeting {
            if let Err(failure) = connection.send(message).await {
                return (connection, Err(failure));
            }
        }
        (connection, Ok(()))
    }

    /// What the call sends. The replay buffer is the caller's.
    pub(super) async fn input(&mut self, input: &SttInput) -> Result<(), ProviderError> {
        let message = match input {
            SttInput::Audio(codes) => {
                self.last_audio = Instant::now();
                self.wire.audio(codes)
            }
            SttInput::SpeechEnded => self.wire.speech_ended_message(),
            SttInput::Finalize => self.wire.finalize(),
            SttInput::SpeechStarted | SttInput::Restart => None,
        };
        match message {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    /// What happens next. Cancel safe: deadlines are kept, and a message is either taken by the socket or not.
    pub(super) async fn next(&mut self) -> Result<SttNews, ProviderError> {
        let (idle_after, filler) = self.wire.keep_alive();
        let told_until = self.told.as_ref().map(|(_, until)| *until);
        tokio::select! {
            biased;
            message = self.socket.next() => {
                self.keep_alive.record_activity();
                match message {
                    Some(Ok(Message::Text(text))) => self.read(&text),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => {
                        Ok(SttNews::Upkeep)
                    }
                    ended => Err(self.told.take().map_or_else(|| transport::close_error(ended), |(told, _)| told)),
                }
            },
            () = sleep_until_some(told_until) => {
                Err(self.told.take().map_or_else(|| ProviderError::SessionEnded(String::new()), |(told, _)| told))
            }
            () = tokio::time::sleep_until(self.last_audio + idle_after) => {
                self.last_audio = Instant::now();
                self.send(filler).await.map(|()| SttNews::Upkeep)
            }
            () = self.keep_alive.due() => match self.keep_alive.poll_ping()? {
                Some(ping) => self.send(ping).await.map(|()| SttNews::Upkeep),
                None => Ok(SttNews::Upkeep),
            },
        }
    }

    fn read(&mut self, text: &str) -> Result<SttNews, ProviderError> {
        transport::check_text(text.as_bytes())?;
        let read = self.wire.read(text);
        let update = match self.frames.judge(read) {
            Ok(Some(update)) => update,
            Ok(None) => return Ok(SttNews::Upkeep),
            // Whatever the frame says, a session that still has words is alive; of several errors the first one counts.
            Err(told @ (ProviderError::SessionEnded(_) | ProviderError::Refused { .. })) => {
                self.told.get_or_insert_with(|| (told, Instant::now() + WORDS_BEHIND_ERROR));
                return Ok(SttNews::Upkeep);
            }
            Err(failure) => return Err(failure),
        };
        if self.progress == SttProgress::Nothing {
            self.pass.succeeded();
            self.progress = SttProgress::Message;
        }
        if update.has_final_words() {
            if let Some((told, _)) = self.told.take() {
                tracing::warn!(error = %told, "STT has told of an error, and goes on");
            }
            self.progress = SttProgress::Words;
        }
        Ok(SttNews::Update(update))
    }

    /// How long it may refuse what it is sent.
    pub(super) fn set_limit(&mut self, limit: Duration) {
        (self.limit, self.keep_alive) = (limit, KeepAlive::new(limit));
    }

    /// How far the connection has come.
    pub(super) fn progress(&self) -> SttProgress {
        self.progress
    }

    /// Where its audio begins in the replay buffer.
    pub(super) fn replay_origin(&self) -> ReplayOrigin {
        self.replay_origin
    }

    /// It has failed.
    pub(super) fn record_failure(&self, failure: &ProviderError) {
        self.pass.failed(Instant::now().into_std(), failure);
    }

    /// Says that nothing more comes.
    pub(super) async fn say_goodbye(&mut self) {
        if let Some(last) = self.wire.close() {
            let _ = self.send(last).await;
        }
    }

    /// Ends the socket.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSE_MAX, self.socket.close()).await;
    }

    async fn send(&mut self, message: Message) -> Result<(), ProviderError> {
        match timeout(self.limit, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ProviderError::Disconnected(error.to_string())),
            Err(_) => Err(ProviderError::Timeout("room to send")),
        }
    }
}

async fn sleep_until_some(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
