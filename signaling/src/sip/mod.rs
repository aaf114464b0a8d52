//! SIP (RFC 3261) cut by its own layers: message, transaction, dialog, endpoint.

pub mod dialog;
pub mod digest;
pub mod endpoint;
pub mod failure;
pub mod message;
pub mod reason;
pub mod registration;
pub mod session_timer;
pub mod shield;
mod token;
pub mod transaction;

pub use token::TokenSource;
