//! The sockets and the clock around the endpoint. The only place in this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "carrying bytes and time to the machine is what this module is for")]

pub mod driver;
mod handle;
mod names;
mod public;
mod stream;
pub mod tls;

pub use handle::{Local, SipHandle};
pub use public::public_address;
