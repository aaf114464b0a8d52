//! What a trunk says about media: codecs, packet time, encryption.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a trunk can speak.
pub const CODECS: &[&str] = &["PCMU", "PCMA", "G722", "OPUS"];

pub(super) fn default_codecs() -> Vec<String> {
    vec!["PCMU".to_owned(), "PCMA".to_owned()]
}

/// Whether sound is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Srtp)]
pub enum SrtpPolicy {
    /// Never offered, and not taken.
    #[default]
    Off,
    /// Taken where it is offered; offered beside the plain stream (RFC 8643).
    Preferred,
    /// Nothing else.
    Mandatory,
}

/// How keys are agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SrtpKeying {
    /// In the session description (RFC 4568): carriers.
    #[default]
    Sdes,
    /// By a DTLS handshake on the stream (RFC 5763): WebRTC's way, and that of some softphones and gateways.
    Dtls,
}

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
