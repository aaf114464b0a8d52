//! SIP (RFC 3261) cut by its own layers: message, transaction, dialog, user agent.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod dialog;
pub mod digest;
pub mod early_media;
pub mod end_cause;
pub mod info_body;
pub mod message;
pub mod message_log;
pub mod rate_limit;
pub mod reason;
pub mod registration;
pub mod session_timer;
mod token;
pub mod transaction;
pub mod transport;
pub mod user_agent;

pub use token::TokenSource;
