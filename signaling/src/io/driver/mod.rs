//! Runs the SIP user agent: one task owns it, its UDP socket, connections and timers.

mod commands;
mod delivery;
mod event_loop;
mod service;
mod state;
mod transmit;

pub use super::handle::SipSnapshot;
pub use service::{ListenConfig, SipService, start};
pub use state::IncomingCall;
pub(super) use state::SipDriver;

#[cfg(test)]
mod tests;
