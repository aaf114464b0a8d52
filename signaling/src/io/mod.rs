//! The sockets and the clock around the endpoint. The only place in this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "carrying bytes and time to the machine is what this module is for")]

mod containment;
pub mod driver;
mod handle;
mod listener;
mod names;
mod public;
mod stream;
mod streams;
pub mod tls;

pub use handle::{Local, SipHandle};
pub use listener::{StreamLimits, StreamReports};
pub use public::public_address;
