//! SRTP and SRTCP (RFC 3711, RFC 7714) of one stream whose keys came in its description. The cryptography is a
//! library's, which allocates for each packet.

use webrtc_srtp::context::Context;
use webrtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use webrtc_srtp::protection_profile::ProtectionProfile;

/// Packets that may come late (RFC 3711 section 3.3.2 asks for at least 64).
const REPLAY_WINDOW: usize = 128;
/// Longest master key and salt.
pub const KEY_BYTES_MAX: usize = 46;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }

    /// Bytes of the master key, and of the salt behind it.
    pub(super) fn lengths(self) -> (usize, usize) {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => (16, 14),
            Self::AeadAes128Gcm => (16, 12),
            Self::AeadAes256Gcm => (32, 12),
        }
    }
}

/// Master keys of both directions, each with its salt behind it. Not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    pub suite: Suite,
    pub ours: [u8; KEY_BYTES_MAX],
    pub theirs: [u8; KEY_BYTES_MAX],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Both directions at work.
pub struct Srtp {
    pub keys: Keys,
    ours: Context,
    theirs: Context,
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtp").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Srtp {
    /// `None` for keys the library does not take.
    pub fn new(keys: Keys) -> Option<Self> {
        let (key, salt) = keys.suite.lengths();
        let context = |bytes: &[u8; KEY_BYTES_MAX]| {
            Context::new(
                &bytes[..key],
                &bytes[key..key + salt],
                keys.suite.profile(),
                Some(srtp_replay_protection(REPLAY_WINDOW)),
                Some(srtcp_replay_protection(REPLAY_WINDOW)),
            )
            .ok()
        };
        Some(Self { keys, ours: context(&keys.ours)?, theirs: context(&keys.theirs)? })
    }

    /// Hands on the packet that is inside; false for one that was tampered with, repeated or never encrypted.
    pub fn open(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) -> bool {
        let opened = if is_rtcp { self.theirs.decrypt_rtcp(packet) } else { self.theirs.decrypt_rtp(packet) };
        match opened {
            Ok(inside) => {
                out(&inside);
                true
            }
            Err(_) => false,
        }
    }

    pub fn seal(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) {
        let sealed = if is_rtcp { self.ours.encrypt_rtcp(packet) } else { self.ours.encrypt_rtp(packet) };
        if let Ok(sealed) = sealed {
            out(&sealed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    fn keys(suite: Suite, ours: u8, theirs: u8) -> Keys {
        Keys { suite, ours: [ours; KEY_BYTES_MAX], theirs: [theirs; KEY_BYTES_MAX] }
    }

    const PACKET: [u8; 20] = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6, 5, 4, 3, 2];

    #[test]
    fn what_one_side_seals_the_other_opens_once() {
        for suite in
            [Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_32, Suite::AeadAes128Gcm, Suite::AeadAes256Gcm]
        {
            let mut a = Srtp::new(keys(suite, 1, 2)).unwrap();
            let mut b = Srtp::new(keys(suite, 2, 1)).unwrap();
            let mut sealed = Vec::new();
            a.seal(&PACKET, false, |bytes| sealed = bytes.to_vec());
            assert_ne!(sealed[12..20], PACKET[12..], "{suite:?}");
            let mut opened = Vec::new();
            assert!(b.open(&sealed, false, |bytes| opened = bytes.to_vec()), "{suite:?}");
            assert_eq!(opened, PACKET);
            assert!(!b.open(&sealed, false, |_| {}), "a repeated packet, {suite:?}");
            assert!(!b.open(&PACKET, false, |_| {}), "one that was never sealed, {suite:?}");
            let last = sealed.len() - 1;
            sealed[last] ^= 1;
            sealed[3] = 2;
            assert!(!b.open(&sealed, false, |_| {}), "one that was changed, {suite:?}");
        }
    }

    /// RFC 3711 appendix B.3 gives the session keys of this master key; its key stream has to come of them.
    #[test]
    fn keys_are_derived_as_the_standard_says() {
        let mut keys = keys(Suite::AesCm128HmacSha1_80, 0, 0);
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        keys.ours[..30].copy_from_slice(&master);
        let mut srtp = Srtp::new(keys).unwrap();
        // RFC 6904 and libsrtp's own test use this packet: 16 octets of 0xAB, sequence 0x1234.
        let packet = hex("800f1234decafbadcafebabeabababababababababababababababab");
        let mut sealed = Vec::new();
        srtp.seal(&packet, false, |bytes| sealed = bytes.to_vec());
        let wanted = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
        assert_eq!(sealed, wanted);
    }
}
