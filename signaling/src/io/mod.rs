//! Sockets and clock for the user agent. The only module of this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "this module delivers bytes and time to the state machine")]

mod containment;
pub mod driver;
mod handle;
mod listener;
mod names;
mod public;
mod stream;
mod streams;
pub mod tls;

pub use handle::{ListenAddresses, SipHandle};
pub use listener::{SipConnectionLimits, SipConnectionReports};
pub use public::public_address;
