//! OpenAI-compatible servers: chat completions as server-sent events, and speech.

pub mod client;
pub mod message;
