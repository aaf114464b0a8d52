//! Webhooks: what they say, how they are signed, and sending one. When and how often
//! is the outbox's business.

pub mod event;
pub mod mcp;
pub mod message;
mod receiver_check;
pub mod sender;
pub mod signature;
pub mod tool_sender;
