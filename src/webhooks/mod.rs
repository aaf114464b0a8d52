//! Webhooks: what they say, how they are signed, where they may go, and sending one. When and how often
//! is the outbox's business.

pub mod address_guard;
pub mod event;
pub mod sender;
pub mod signature;
