//! DTLS-SRTP on a separate stream (RFC 5763, RFC 5764): the handshake that provides the SRTP keys. No sockets here.
//! Without the feature `dtls` there is no identity, so none is ever offered and what a peer offers is refused.

use super::srtp::SrtpKeys;

#[cfg(feature = "dtls")]
mod handshake;
#[cfg(not(feature = "dtls"))]
#[path = "without.rs"]
mod handshake;

pub use handshake::{DtlsHandshake, DtlsIdentity};

/// SHA-256 of a certificate (RFC 8122).
pub type DtlsFingerprint = [u8; 32];

/// DTLS parameters negotiated in SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsParams {
    /// Fingerprint of the peer's certificate.
    pub peer_fingerprint: DtlsFingerprint,
    /// We begin the handshake.
    pub is_dtls_client: bool,
    /// Association number: a different number requires a new handshake.
    pub association: u64,
}

/// How a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeProgress {
    /// Not complete. It may stay so: the handshake itself has no deadline.
    Waiting,
    /// Complete, with the SRTP keys of both directions.
    Done(SrtpKeys),
    /// Failed for good: wrong certificate, or no common profile.
    Failed,
}

/// Whether a datagram is one of a handshake (RFC 7983).
pub fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (20..64).contains(first))
}
