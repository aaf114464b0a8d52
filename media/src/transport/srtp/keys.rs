//! Master keys of a stream and the profile they are for.

/// Longest master key and salt.
pub const KEY_BYTES_MAX: usize = 46;
/// SRTP protection profile: cipher, key length and authentication tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpProfile {
    /// AES-128 in counter mode, 80-bit tag: the one that RFC 3711 makes mandatory.
    AesCm128HmacSha1_80,
    /// AES-128 in counter mode, 32-bit tag on RTP; SRTCP keeps 80 bits (RFC 4568 section 6.2.2).
    AesCm128HmacSha1_32,
    /// AES-128-GCM, 128-bit tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256-GCM, 128-bit tag (RFC 7714).
    AeadAes256Gcm,
}

impl SrtpProfile {
    /// All supported profiles, in no order of preference.
    pub const ALL: [Self; 4] =
        [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32, Self::AeadAes128Gcm, Self::AeadAes256Gcm];

    /// Bytes of the master key, and of the salt behind it.
    pub fn lengths(self) -> (usize, usize) {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => (16, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }
}

/// Master keys of both directions, each with its salt behind it. Not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Protection profile of both directions.
    pub suite: SrtpProfile,
    /// Master key and salt for what we send, zero-padded. The profile says how many bytes count.
    pub send: [u8; KEY_BYTES_MAX],
    /// Master key and salt for what the peer sends, zero-padded.
    pub receive: [u8; KEY_BYTES_MAX],
}

impl SrtpKeys {
    /// What we send stays under the same key.
    pub fn keeps_send_key(&self, other: &Self) -> bool {
        (self.suite, self.send) == (other.suite, other.send)
    }

    /// What we are sent stays under the same key.
    pub fn keeps_receive_key(&self, other: &Self) -> bool {
        (self.suite, self.receive) == (other.suite, other.receive)
    }
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKeys").field("suite", &self.suite).finish_non_exhaustive()
    }
}
