//! Media: one call leg as a state machine, from datagrams to audio for STT, and from TTS audio to datagrams.
//!
//! Outside of [`io`] nothing here touches a socket, a clock, a thread or a file. It knows nothing of SIP, providers,
//! agents and organizations.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod codec;
pub mod detect;
pub mod frame;
pub mod io;
pub mod jitter;
pub mod leg;
pub mod limits;
pub mod playout;
pub mod record;
pub mod rtp;
pub mod stats;
pub mod transport;
pub mod turn;
pub mod vad;
