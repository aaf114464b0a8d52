//! A stream that gives up a peer which does not take what it is sent. Reading is left alone: who reads knows what is
//! to come.

use crate::minimum_rate::MinimumRate;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Writes fail with [`io::ErrorKind::TimedOut`] when the peer takes less than the least speed.
#[derive(Debug)]
pub struct MinimumRateStream<S> {
    stream: S,
    pace: MinimumRate,
    /// Runs while a write waits.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> MinimumRateStream<S> {
    /// At least `bytes_per_s` over every `window` in which a write waits.
    pub fn new(stream: S, window: Duration, bytes_per_s: u64) -> Self {
        Self { stream, pace: MinimumRate::new(window, bytes_per_s), timer: None }
    }

    fn watch<T>(
        &mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>, bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = done {
            let bytes = result.as_ref().map_or(0, bytes);
            self.pace.record_bytes(Instant::now().into(), bytes);
            self.timer = None;
            return Poll::Ready(result);
        }
        loop {
            let until = Instant::from(self.pace.start_waiting(Instant::now().into()));
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
            if self.pace.is_too_slow(Instant::now().into()) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MinimumRateStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MinimumRateStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, done, |count| *count)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, done, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, done, |()| 0)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, done, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[expect(clippy::disallowed_methods, reason = "the other end of a stream is a task that takes its time")]
#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_is_given_up_and_a_slow_one_is_not() {
        for (bytes, every_ms, wanted) in
            [(0, 1_000, false), (9, 1_000, false), (200, 1_000, true), (2_000, 9_000, true)]
        {
            let (ours, mut theirs) = tokio::io::duplex(64);
            let mut stream = MinimumRateStream::new(ours, Duration::from_secs(10), 100);
            tokio::spawn(async move {
                let (mut buffer, every) = (vec![0; 4_000], Duration::from_millis(every_ms));
                let mut turns = tokio::time::interval_at(Instant::now() + every, every);
                turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    turns.tick().await;
                    let mut left = bytes;
                    while left > 0 {
                        match theirs.read(&mut buffer[..left]).await {
                            Ok(0) | Err(_) => return,
                            Ok(count) => left -= count,
                        }
                    }
                }
            });
            let started = Instant::now();
            let written = stream.write_all(&[7; 20_000]).await;
            assert_eq!(written.is_ok(), wanted, "{bytes} bytes every {every_ms} ms: {written:?}");
            if let Err(error) = written {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                assert!(started.elapsed() <= Duration::from_secs(21), "{:?}", started.elapsed());
            }
        }
    }
}
