//! Streams of a provider's events.

use super::event::{AudioFormat, TtsEvent};
use tokio::sync::mpsc;

/// Events of one stream that wait for the call. The stream waits for room.
pub const EVENTS_MAX: usize = 256;

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
    pub fn channel() -> (mpsc::Sender<E>, Self) {
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
