//! Sockets and clock for the user agent. The only module of this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "this module delivers bytes and time to the state machine")]

mod connection;
mod connection_keep_alive;
mod connection_limits;
mod dns;
pub mod driver;
mod handle;
mod listener;
mod media_hosts;
mod message_recorder;
mod name_report;
mod open_connections;
mod panic_containment;
mod public_address;
mod self_checks;
pub mod tls;

pub use connection_limits::{SipConnectionLimits, SipConnectionReports};
pub use handle::{ListenAddresses, SipHandle};
pub use name_report::{NameReport, report_name};
pub use public_address::public_address;
