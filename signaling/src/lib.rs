//! Signalling: the SIP user agent and SDP negotiation.
//!
//! Everything outside [`io`] is a state machine without I/O: bytes, commands and instants go in; bytes, events and the
//! next deadline come out. It knows nothing of sockets, clocks, tasks, RTP, agents and organizations.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod io;
pub mod limits;
pub mod sdp;
pub mod sip;
pub mod stun;
pub mod webrtc;
