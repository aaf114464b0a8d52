//! Sockets, threads, clock and files for the legs. The only module of this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "this module delivers packets and time to the legs")]

pub mod arrival;
mod carrier;
pub mod ports;
pub mod recorder;
mod seat;
mod shared;
mod streams;
mod turns;
pub mod worker;
