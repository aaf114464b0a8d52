//! Request bodies with a minimum transfer rate, and response bodies that report when they end.

use axum::body::Body;
use axum::body::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use trunkline_connections::{Closed, ConnectionGuard, MinimumRate};

/// A client sends its body too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body is sent too slowly")]
pub(super) struct BodyTooSlowError;

/// Whether the body could not be read because it was sent too slowly.
pub(super) fn is_too_slow_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut errors = std::iter::successors(Some(error), |error| error.source());
    errors.any(|error| error.is::<BodyTooSlowError>())
}

/// A request's body.
pub(super) struct MinimumRateBody {
    body: Incoming,
    pace: MinimumRate,
    timer: Option<Pin<Box<Sleep>>>,
    /// Told when the request is complete.
    place: Arc<ConnectionGuard>,
}

impl MinimumRateBody {
    /// Requires at least `bytes_per_s` on average over every `window` in which the handler waits.
    pub(super) fn new(body: Incoming, window: Duration, bytes_per_s: u64, place: Arc<ConnectionGuard>) -> Self {
        Self { body, pace: MinimumRate::new(window, bytes_per_s), timer: None, place }
    }
}

impl HttpBody for MinimumRateBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>, cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref().map(Bytes::len));
            self.pace.record_bytes(Instant::now().into(), bytes.unwrap_or(0));
            self.timer = None;
            if self.body.is_end_stream() {
                self.place.mark_busy();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        loop {
            let until = Instant::from(self.pace.start_waiting(Instant::now().into()));
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            if timer.deadline() != until {
                timer.as_mut().reset(until);
            }
            ready!(timer.as_mut().poll(cx));
            if self.pace.is_too_slow(Instant::now().into()) {
                self.place.count(Closed::MessageTimeout);
                return Poll::Ready(Some(Err(BodyTooSlowError.into())));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; `done` is called once, when it has been handed over or dropped.
pub(super) struct ResponseBody<F: FnOnce()> {
    body: Body,
    done: Option<F>,
}

impl<F: FnOnce()> ResponseBody<F> {
    pub(super) fn new(body: Body, done: F) -> Self {
        Self { body, done: Some(done) }
    }
}

impl<F: FnOnce() + Unpin> HttpBody for ResponseBody<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<F: FnOnce()> Drop for ResponseBody<F> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done();
        }
    }
}
