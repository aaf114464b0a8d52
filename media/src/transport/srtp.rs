//! SRTP and SRTCP (RFC 3711, RFC 7714) of one stream: what is sent is sealed, what is received is opened or refused. The
//! cryptography is a library's; packets, roll-over counters and replay windows are ours.
//!
//! All state belongs to a key. It ends with the key and not before: a key that is kept over a renegotiation goes on
//! counting, and nothing is ever sealed twice under one index, because that would give the plain text of both away.
//! State of a synchronization source comes into being with its first authentic packet, so that forged packets cost
//! time but no memory.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod context;

use context::{Opener, Sealer};

/// Longest master key and salt.
pub const KEY_BYTES_MAX: usize = 46;
/// Keys of ours that are remembered after another took their place: the suites of two offers. Each key is random and
/// made for one peer, so an older one does not come back.
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

    /// Other keys, or the same. A direction whose key stays goes on where it is; a new key begins anew. False for keys
    /// the library does not take: then nothing has changed.
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

    /// Hands on the packet that is inside; false for one that was tampered with, repeated or never encrypted.
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

    /// Hands on the packet as it may leave. Nothing, when it cannot be sealed: no packet, or an index that was used.
    pub fn seal(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) {
        if self.ours.seal(packet, is_rtcp, &mut self.scratch) {
            out(&self.scratch);
        }
    }
}

#[cfg(test)]
mod tests;
