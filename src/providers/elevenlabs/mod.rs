//! ElevenLabs: streaming speech over HTTP, the one transport that every model accepts.

pub mod client;
pub mod conversation;
