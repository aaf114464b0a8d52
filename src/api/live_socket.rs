//! A WebSocket for listeners: pings detect dead peers; listeners that read too slowly or send too much are dropped.

use super::http_listener::ConnectionPlace;
use crate::store::OrgScope;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, Interval, timeout};
use trunkline_connections::{TokenBucket, TokenRate};

/// Listeners send pings and nothing else.
pub(super) const MESSAGE_BYTES_MAX: usize = 4_096;
/// What a listener may say, its answers to probes included.
const MESSAGES: TokenRate = TokenRate { per_s: 5.0, burst: 50.0 };

pub(super) const NORMAL: u16 = 1000;
/// The listener is too slow or asks too much (RFC 6455: policy violation).
pub(super) const DROPPED: u16 = 1008;

/// Code and reason of a close frame.
pub(super) type CloseCode = (u16, &'static str);

/// How long listeners may take.
#[derive(Clone, Copy, Debug)]
pub struct LiveSocketLimits {
    /// Between two probes; one that is not answered until the next ends the socket.
    pub probe_interval: Duration,
    /// For one message to be taken.
    pub send: Duration,
}

#[derive(Debug)]
pub(super) struct LiveSocket {
    socket: WebSocket,
    limits: LiveSocketLimits,
    probe: Interval,
    answered: bool,
    messages: TokenBucket,
    /// The connection slot, which the HTTP server has released by now.
    place: Option<ConnectionPlace>,
}

impl LiveSocket {
    pub(super) fn new(limits: LiveSocketLimits, socket: WebSocket, place: Option<ConnectionPlace>) -> Self {
        let probe = tokio::time::interval_at(Instant::now() + limits.probe_interval, limits.probe_interval);
        let messages = TokenBucket::full(Instant::now().into(), MESSAGES);
        Self { socket, limits, probe, answered: true, messages, place }
    }

    /// The socket is an organization's; false when that has too many.
    pub(super) fn belongs_to(&self, scope: OrgScope) -> bool {
        self.place.as_ref().is_none_or(|place| place.belongs_to(scope))
    }

    /// False when the listener is gone or too slow.
    pub(super) async fn send(&mut self, message: Value) -> bool {
        self.write(Message::Text(message.to_string().into())).await
    }

    async fn write(&mut self, message: Message) -> bool {
        matches!(timeout(self.limits.send, self.socket.send(message)).await, Ok(Ok(())))
    }

    /// The next message of the listener, or the reason to close. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Message, CloseCode> {
        loop {
            tokio::select! {
                received = self.socket.recv() => {
                    let Some(Ok(message)) = received else { return Err((NORMAL, "")) };
                    self.answered = true;
                    if !self.messages.take_token(Instant::now().into(), MESSAGES) {
                        return Err((DROPPED, "Too many messages"));
                    }
                    if matches!(message, Message::Text(_) | Message::Binary(_)) {
                        return Ok(message);
                    }
                }
                _ = self.probe.tick() => {
                    if !std::mem::take(&mut self.answered) {
                        return Err((DROPPED, "No answer to a ping"));
                    }
                    if !self.write(Message::Ping(Default::default())).await {
                        return Err((DROPPED, "Too slow"));
                    }
                }
            }
        }
    }

    pub(super) async fn close(mut self, (code, reason): CloseCode) {
        self.write(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}
