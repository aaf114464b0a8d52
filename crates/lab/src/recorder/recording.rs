//! What was recorded of one case, as it stands in a file.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Instant;

/// One case with one vendor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The provider.
    pub provider: String,
    /// `vendor`, or `emulator` for recordings that show nothing of a vendor.
    pub source: String,
    /// `stt`, `llm` or `tts`.
    pub stage: String,
    /// Name of the case, and of the file.
    pub case: String,
    /// The vendor's name of the model.
    pub model: String,
    /// What was asked, without headers: the body of a request, or the messages on a socket. Audio is a length.
    pub request: Value,
    /// What came, in order.
    pub exchange: Vec<Exchange>,
    /// What our readers make of it.
    pub result: Vec<String>,
}

/// Something that came from the vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Milliseconds after the request.
    pub after_ms: u64,
    /// What it was.
    #[serde(flatten)]
    pub what: Received,
}

/// What can come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Received {
    /// The status of a response, or of an upgrade that was refused.
    Status(u16),
    /// A whole body.
    Body(String),
    /// The data of a server-sent event.
    Event(String),
    /// A text frame of a socket.
    Frame(String),
    /// So many bytes of audio.
    AudioBytes(usize),
    /// A socket was closed, or no connection came about: why.
    Closed(String),
    /// What our own clients made of an error, where there is no message to read again.
    Refused {
        /// HTTP status.
        status: u16,
        /// The vendor's words.
        message: String,
    },
}

/// Notes what comes with its time.
pub(super) struct Notes {
    began: Instant,
    pub(super) exchange: Vec<Exchange>,
}

impl Notes {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), exchange: Vec::new() }
    }

    pub(super) fn add(&mut self, what: Received) {
        let after_ms = self.began.elapsed().as_millis() as u64;
        self.exchange.push(Exchange { after_ms, what });
    }
}
