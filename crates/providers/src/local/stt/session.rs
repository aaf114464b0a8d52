//! One session: its task hears, asks the worker, and tells words.

use super::super::speech_feed::SpeechFeed;
use super::wire::{FromSession, ToSession};
use futures_util::stream::FuturesUnordered;
use futures_util::{Sink, Stream, StreamExt as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};
use trunkline_local_speech::io::SpeechWorker;
use trunkline_local_speech::message::{SessionId, Urgency};
use trunkline_local_speech::request::{SpeechAnswer, SpeechError, SpeechRequest, Tenant};
use trunkline_local_speech::segmenter::{HeardWords, Segmenter, SegmenterOutput, Ticket};
use trunkline_supervision::ContainedTask;

/// Pieces of audio that wait for the session: what is replayed after a change of STT comes at once, and is 15 s.
const MESSAGES_MAX: usize = 1_024;
/// What waits for the call.
const TOLD_MAX: usize = 64;
/// How long final words are waited for; the call asks for others after 1.2 s, and the worker may be starting again.
const FINAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Words so far that come later are old.
const PARTIAL_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Sentences in a row that may be lost before the session gives up, so that a fallback takes over.
const LOST_MAX: u32 = 3;

/// The call's end of a session; the session ends with it.
pub(super) struct LocalSession {
    to_session: mpsc::Sender<Message>,
    from_session: mpsc::Receiver<Message>,
    task: ContainedTask<()>,
}

impl Drop for LocalSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LocalSession {
    /// Begins a session.
    pub(super) fn open(worker: SpeechWorker, tenant: Tenant, feed: SpeechFeed, endpointing_ms: u64) -> Self {
        let (to_session, messages) = mpsc::channel(MESSAGES_MAX);
        let (told, from_session) = mpsc::channel(TOLD_MAX);
        let session = worker.new_session();
        let segmenter = Segmenter::new(endpointing_ms);
        let task = SessionTask { worker, tenant, session, feed, segmenter, told, lost: 0 };
        let task = trunkline_supervision::spawn("local_stt", task.run(messages));
        Self { to_session, from_session, task }
    }
}

impl Stream for LocalSession {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.from_session.poll_recv(context).map(|message| message.map(Ok))
    }
}

/// A session that does not keep up has lost its audio: it ends.
impl Sink<Message> for LocalSession {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        self.to_session.try_send(message).map_err(|_| Error::Io(std::io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.task.abort();
        Poll::Ready(Ok(()))
    }
}

struct SessionTask {
    worker: SpeechWorker,
    tenant: Tenant,
    session: SessionId,
    feed: SpeechFeed,
    segmenter: Segmenter,
    told: mpsc::Sender<Message>,
    /// Sentences in a row whose words were lost.
    lost: u32,
}

/// An answer of the worker.
struct Answer {
    ticket: Ticket,
    urgency: Urgency,
    words: Result<HeardWords, SpeechError>,
}

impl SessionTask {
    async fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut asked = FuturesUnordered::new();
        loop {
            while let Some(output) = self.segmenter.poll_output() {
                let said = match output {
                    SegmenterOutput::Transcribe { ticket, urgency, samples } => {
                        let request = SpeechRequest::Transcribe { session: self.session, urgency, samples };
                        asked.push(ask(self.worker.clone(), self.tenant, ticket, urgency, request));
                        continue;
                    }
                    SegmenterOutput::Interim(text) => FromSession::Interim { text },
                    SegmenterOutput::Final { text, confidence, is_end, until_ms } => {
                        FromSession::Final { text, confidence, is_end, until_ms }
                    }
                };
                if self.told.send(said.message()).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.handle_message(message).await,
                    None => return,
                },
                Some(answer) = asked.next() => {
                    if let Err(error) = self.handle_answer(answer) {
                        let is_permanent = matches!(error, SpeechError::Unavailable(_) | SpeechError::Unsupported(_));
                        let message = error.to_string();
                        let _ = self.told.send(FromSession::Error { is_permanent, message }.message()).await;
                        return;
                    }
                }
            }
        }
    }

    async fn handle_message(&mut self, message: Message) {
        match message {
            Message::Binary(codes) => {
                let segmenter = &mut self.segmenter;
                self.feed.push(&codes, |samples, is_voiced| segmenter.push(samples, is_voiced));
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(ToSession::Finalize) => self.segmenter.finalize(),
                Err(_) => {}
            },
            Message::Ping(payload) => drop(self.told.send(Message::Pong(payload)).await),
            _ => {}
        }
    }

    /// Fails if the session cannot go on.
    fn handle_answer(&mut self, answer: Answer) -> Result<(), SpeechError> {
        let Answer { ticket, urgency, words } = answer;
        let words = match words {
            Ok(words) => {
                self.lost = 0;
                Some(words)
            }
            Err(error @ (SpeechError::Unavailable(_) | SpeechError::Unsupported(_))) => {
                // Files of the right length with other contents: the worker alone reads them.
                tracing::warn!(%error, "the local STT cannot be used");
                return Err(error);
            }
            Err(SpeechError::Superseded) => None,
            Err(_) if urgency == Urgency::Partial => None,
            Err(error) => {
                tracing::warn!(%error, "the local STT has lost a sentence");
                metrics::counter!("trunkline_local_stt_lost_total").increment(1);
                self.lost += 1;
                if self.lost >= LOST_MAX {
                    return Err(error);
                }
                None
            }
        };
        self.segmenter.handle_transcript(ticket, words);
        Ok(())
    }
}

async fn ask(worker: SpeechWorker, tenant: Tenant, ticket: Ticket, urgency: Urgency, request: SpeechRequest) -> Answer {
    let timeout = if urgency == Urgency::Final { FINAL_TIMEOUT } else { PARTIAL_TIMEOUT };
    let mut pending = worker.request(tenant, request, timeout);
    let words = match pending.next().await {
        Some(SpeechAnswer::Transcript { text, confidence, compute }) => {
            metrics::histogram!("trunkline_local_stt_seconds").record(compute.as_secs_f64());
            Ok(HeardWords { text, confidence })
        }
        Some(SpeechAnswer::Failed(error)) => Err(error),
        Some(SpeechAnswer::Audio { .. } | SpeechAnswer::WordEnds(_) | SpeechAnswer::Done) | None => {
            Err(SpeechError::Model("it answers something else".to_owned()))
        }
    };
    Answer { ticket, urgency, words }
}
