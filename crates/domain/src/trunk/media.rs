//! The media of a trunk.

use super::modes::{SrtpKeying, SrtpPolicy};

/// What a trunk says about media.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrunkMedia {
    /// Names of codecs, the preferred first; empty for G.711.
    pub codecs: Vec<String>,
    /// Milliseconds of audio in a packet: 10 to 60 in steps of 10. `None`: 20, or what the peer asks for.
    pub ptime_ms: Option<u16>,
    /// Whether SRTP is offered, required or refused.
    pub srtp: SrtpPolicy,
    /// Where the keys of outbound calls come from; inbound calls may use either.
    pub srtp_keying: SrtpKeying,
}
