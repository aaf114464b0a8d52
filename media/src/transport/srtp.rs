//! SRTP and SRTCP (RFC 3711, RFC 7714) of one stream: sent packets are protected, received packets are verified and
//! decrypted. The cryptography comes from a library; packet formats, roll-over counters and replay windows are
//! implemented here.
//!
//! All state belongs to a key. It lives as long as the key. A key kept over a renegotiation continues its counters, and
//! no index is ever used twice, because that would reveal the plain text of both packets. State of an SSRC is created
//! by its first authentic packet, so that forged packets cost time but no memory.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod context;

use context::{Opener, Sealer};

/// Longest master key and salt.
pub const KEY_BYTES_MAX: usize = 46;
/// Replaced send keys that are kept: the suites of two offers. Older keys do not return, because each key is random and
/// made for one peer.
const RETIRED_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    AeadAes128Gcm,
    AeadAes256Gcm,
}

impl Suite {
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
pub struct Keys {
    pub suite: Suite,
    pub ours: [u8; KEY_BYTES_MAX],
    pub theirs: [u8; KEY_BYTES_MAX],
}

impl Keys {
    /// What we send stays under the same key.
    pub fn keeps_ours(&self, other: &Self) -> bool {
        (self.suite, self.ours) == (other.suite, other.ours)
    }

    /// What we are sent stays under the same key.
    pub fn keeps_theirs(&self, other: &Self) -> bool {
        (self.suite, self.theirs) == (other.suite, other.theirs)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// Both directions at work.
pub struct Srtp {
    pub keys: Keys,
    ours: Sealer,
    theirs: Opener,
    /// The peer's key before this one: packets under it are on their way until the first under the new one arrives.
    before: Option<Opener>,
    retired: Vec<(Keys, Sealer)>,
    /// Room for the packet in work.
    scratch: Vec<u8>,
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Srtp").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl Srtp {
    /// `None` for keys the library does not take.
    pub fn new(keys: Keys) -> Option<Self> {
        Some(Self {
            keys,
            ours: Sealer::new(keys.suite, &keys.ours)?,
            theirs: Opener::new(keys.suite, &keys.theirs)?,
            before: None,
            retired: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Sets new keys. A direction whose key stays continues its state; a new key starts fresh. Returns false and
    /// changes nothing if the library rejects the keys.
    pub fn rekey(&mut self, keys: Keys) -> bool {
        let (before, mut sealer, mut opener) = (self.keys, None, None);
        if !keys.keeps_ours(&before) {
            let known = self.retired.iter().position(|(old, _)| old.keeps_ours(&keys));
            sealer = match known {
                Some(at) => Some(self.retired.swap_remove(at).1),
                None => Sealer::new(keys.suite, &keys.ours),
            };
            if sealer.is_none() {
                return false;
            }
        }
        if !keys.keeps_theirs(&before) {
            opener = Opener::new(keys.suite, &keys.theirs);
            if opener.is_none() {
                return false;
            }
        }
        if let Some(sealer) = sealer {
            if self.retired.len() >= RETIRED_MAX {
                self.retired.remove(0);
            }
            self.retired.push((before, std::mem::replace(&mut self.ours, sealer)));
        }
        if let Some(mut opener) = opener {
            opener.follow(&self.theirs);
            self.before = Some(std::mem::replace(&mut self.theirs, opener));
        }
        self.keys = keys;
        true
    }

    /// Verifies and decrypts a packet; false if it was forged, replayed or not encrypted.
    pub fn open(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) -> bool {
        let scratch = &mut self.scratch;
        let opened = if self.theirs.open(packet, is_rtcp, scratch) {
            self.before = None;
            true
        } else {
            self.before.as_mut().is_some_and(|before| before.open(packet, is_rtcp, scratch))
        };
        if opened {
            out(scratch);
        }
        opened
    }

    /// Encrypts a packet. Emits nothing if the packet is invalid or its index was already used.
    pub fn seal(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) {
        if self.ours.seal(packet, is_rtcp, &mut self.scratch) {
            out(&self.scratch);
        }
    }
}

#[cfg(test)]
mod tests;
