//! Deepgram `/v1/listen`: streaming recognition over a WebSocket.

pub mod client;
pub mod message;
