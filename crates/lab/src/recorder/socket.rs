//! A vendor's socket as it is recorded.

use super::recording::{Notes, Received};
use super::target::deadlines;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use trunkline::egress::EgressGuard;
use trunkline::providers::transport::{self, ProviderSocket, WarmConnections, WebSocketRequest};
use trunkline::providers::{ProviderAccess, ProviderError};

/// An open socket, and what was said on it.
pub(super) struct RecordedSocket {
    socket: ProviderSocket,
    pub(super) sent: Vec<Value>,
}

impl RecordedSocket {
    /// Opens it; a refusal is noted.
    pub(super) async fn open(
        endpoint: &ProviderAccess, upgrade: Result<WebSocketRequest, ProviderError>, notes: &mut Notes,
    ) -> Option<Self> {
        let opened = match upgrade {
            Ok(upgrade) => {
                let guard = EgressGuard::unrestricted();
                transport::open(&WarmConnections::default(), endpoint, &upgrade, &deadlines(), &guard).await
            }
            Err(error) => Err(error),
        };
        match opened {
            Ok(socket) => Some(Self { socket, sent: Vec::new() }),
            Err(ProviderError::Refused { status, message, .. }) => {
                notes.add(Received::Refused { status, message });
                None
            }
            Err(error) => {
                notes.add(Received::Closed(error.to_string()));
                None
            }
        }
    }

    /// Sends a message. Audio is noted as its length, one note for all that follow each other.
    pub(super) async fn send(&mut self, message: Message) {
        match &message {
            Message::Text(text) => {
                let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text.as_str()));
                if !is_audio(&value) {
                    self.sent.push(value);
                }
            }
            Message::Binary(bytes) => match self.sent.last_mut().and_then(|last| last.get_mut("audio_bytes")) {
                Some(sum) => *sum = json!(sum.as_u64().unwrap_or(0) + bytes.len() as u64),
                None => self.sent.push(json!({"audio_bytes": bytes.len()})),
            },
            _ => {}
        }
        // A socket that is gone says so when it is read.
        let _ = self.socket.send(message).await;
    }

    /// Notes what comes until a time, or until `is_last` says so of a frame. False when the socket is closed.
    pub(super) async fn receive(
        &mut self, notes: &mut Notes, limit: Duration, mut is_last: impl FnMut(&str) -> bool,
    ) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            let Ok(message) = tokio::time::timeout_at(deadline, self.socket.next()).await else { return true };
            match message {
                Some(Ok(Message::Text(text))) => {
                    notes.add(Received::Frame(text.as_str().to_owned()));
                    if is_last(&text) {
                        return true;
                    }
                }
                Some(Ok(Message::Binary(bytes))) => notes.add(Received::AudioBytes(bytes.len())),
                Some(Ok(Message::Close(frame))) => {
                    let why = frame.map_or_else(
                        || "1005".to_owned(),
                        |frame| format!("{} {}", u16::from(frame.code), frame.reason),
                    );
                    notes.add(Received::Closed(why));
                    return false;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    notes.add(Received::Closed(error.to_string()));
                    return false;
                }
                None => return false,
            }
        }
    }
}

/// A part of the caller's audio in JSON.
fn is_audio(value: &Value) -> bool {
    value["type"] == "input_audio_buffer.append"
}
