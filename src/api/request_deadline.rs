//! Limits the time from the first byte of a request to the end of its headers. An idle connection without a request is
//! not affected.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Shared between the stream and the request handler.
#[derive(Debug, Default)]
pub(super) struct RequestProgress {
    /// A request is complete up to its body, and its answer is not.
    is_answering: AtomicBool,
    /// The stream ended because of a request that did not come to its body in time.
    is_late: AtomicBool,
}

impl RequestProgress {
    pub(super) fn begin_answer(&self) {
        self.is_answering.store(true, Ordering::Relaxed);
    }

    pub(super) fn end_answer(&self) {
        self.is_answering.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

/// Reads fail with [`io::ErrorKind::TimedOut`] when a request has begun and its headers do not end in time. The first
/// request counts as begun when the connection opens.
#[derive(Debug)]
pub(super) struct RequestDeadline<S> {
    stream: S,
    within: Duration,
    progress: Arc<RequestProgress>,
    /// Runs while headers are on their way.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> RequestDeadline<S> {
    pub(super) fn new(stream: S, within: Duration, progress: Arc<RequestProgress>) -> Self {
        let timer = Some(Box::pin(tokio::time::sleep_until(Instant::now() + within)));
        Self { stream, within, progress, timer }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestDeadline<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let done = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if this.progress.is_answering.load(Ordering::Relaxed) {
            this.timer = None;
            return done;
        }
        if done.is_ready() && buffer.filled().len() > before && this.timer.is_none() {
            this.timer = Some(Box::pin(tokio::time::sleep_until(Instant::now() + this.within)));
        }
        // Checked after each read, so that single bytes do not extend the deadline.
        let Some(timer) = &mut this.timer else { return done };
        if timer.as_mut().poll(cx).is_pending() {
            return done;
        }
        this.progress.is_late.store(true, Ordering::Relaxed);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestDeadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[expect(clippy::disallowed_methods, reason = "the other end of a stream is a task that takes its time")]
#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const WITHIN: Duration = Duration::from_secs(15);

    fn pair() -> (RequestDeadline<tokio::io::DuplexStream>, tokio::io::DuplexStream, Arc<RequestProgress>) {
        let (ours, theirs) = tokio::io::duplex(64);
        let progress = Arc::new(RequestProgress::default());
        (RequestDeadline::new(ours, WITHIN, progress.clone()), theirs, progress)
    }

    /// Seconds until the stream is given up.
    async fn given_up_after(stream: &mut RequestDeadline<tokio::io::DuplexStream>) -> u64 {
        let started = Instant::now();
        let mut buffer = [0; 8];
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) => panic!("the other end closed"),
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    return started.elapsed().as_secs();
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_a_trickle_end_at_the_same_time() {
        let (mut stream, _theirs, progress) = pair();
        assert_eq!(given_up_after(&mut stream).await, 15);
        assert!(progress.is_late());
        let (mut stream, mut theirs, _) = pair();
        tokio::spawn(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            while theirs.write_all(b"G").await.is_ok() {
                seconds.tick().await;
            }
        });
        assert_eq!(given_up_after(&mut stream).await, 15);
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_requests_nothing_runs_and_the_next_one_has_its_own_time() {
        let (mut stream, mut theirs, progress) = pair();
        theirs.write_all(b"GET").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
        progress.begin_answer();
        // An answer takes as long as it takes, and so does the idle time after it.
        let waited = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await;
        assert!(waited.is_err(), "{waited:?}");
        progress.end_answer();
        let waited = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer)).await;
        assert!(waited.is_err(), "{waited:?}");
        theirs.write_all(b"G").await.unwrap();
        assert_eq!(given_up_after(&mut stream).await, 15);
    }
}
