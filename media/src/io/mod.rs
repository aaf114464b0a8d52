//! Sockets, threads, the clock and files around the legs. The only place in this crate that may use them.
#![expect(clippy::disallowed_methods, reason = "carrying packets and time to the legs is what this module is for")]

pub mod arrival;
mod carrier;
pub mod ports;
pub mod recorder;
mod seat;
mod shared;
mod streams;
mod turns;
pub mod worker;
