//! A scripted SIP caller on our own signalling and media: the tool behind demo, bench and tests, and of
//! use against any SIP agent. It knows nothing of the server.
#![expect(clippy::disallowed_methods, reason = "a separate program: it may use tasks, clocks and sockets")]

pub mod load;
mod phone_leg;
mod received_audio;
pub mod report;
pub mod script;
mod scripted_call;
pub mod softphone;
