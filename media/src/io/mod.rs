//! Sockets, threads, clock and files for the legs. The only module of this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "this module delivers packets and time to the legs")]

mod command;
mod event_loop;
mod ice_tcp;
mod leg_slots;
mod leg_transport;
pub mod ports;
pub mod receive_timestamp;
pub mod recorder;
mod slot;
mod transport_setup;
mod webrtc_port;
pub mod worker;
