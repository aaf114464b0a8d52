//! A scripted SIP caller on our own signalling and media: the tool behind demo, bench and tests, and of
//! use against any SIP agent. It knows nothing of the server.
#![expect(clippy::disallowed_methods, reason = "a program of its own: tasks, clocks and sockets are its business")]

pub mod load;
pub mod report;
pub mod script;
pub mod softphone;
