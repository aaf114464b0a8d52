//! SRTP and SRTCP (RFC 3711, RFC 7714) of one stream: sent packets are protected, received packets are verified and
//! decrypted. The cryptography comes from a library; packet formats, roll-over counters and replay windows are
//! implemented here.
//!
//! All state belongs to a key. It lives as long as the key. A key kept over a renegotiation continues its counters, and
//! no index is ever used twice, because that would reveal the plain text of both packets. State of an SSRC is created
//! by its first authentic packet, so that forged packets cost time but no memory.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod context;
mod keys;

use context::{SrtpDecryptor, SrtpEncryptor};
pub use keys::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile};

/// Replaced send keys that are kept: the suites of two offers. Older keys do not return, because each key is random and
/// made for one peer.
const RETIRED_KEYS_MAX: usize = 4;

/// Both directions at work.
pub struct SrtpSession {
    /// Keys in force; changed only by `rekey`.
    pub keys: SrtpKeys,
    send: SrtpEncryptor,
    receive: SrtpDecryptor,
    /// The peer's key before this one: packets under it are on their way until the first under the new one arrives.
    before: Option<SrtpDecryptor>,
    retired: Vec<(SrtpKeys, SrtpEncryptor)>,
    /// Room for the packet in work.
    scratch: Vec<u8>,
}

impl std::fmt::Debug for SrtpSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpSession").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl SrtpSession {
    /// `None` for keys the library does not take.
    pub fn new(keys: SrtpKeys) -> Option<Self> {
        Some(Self {
            keys,
            send: SrtpEncryptor::new(keys.suite, &keys.send)?,
            receive: SrtpDecryptor::new(keys.suite, &keys.receive)?,
            before: None,
            retired: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Sets new keys. A direction whose key stays continues its state; a new key starts fresh. Returns false and
    /// changes nothing if the library rejects the keys.
    pub fn rekey(&mut self, keys: SrtpKeys) -> bool {
        let (before, mut sealer, mut opener) = (self.keys, None, None);
        if !keys.keeps_send_key(&before) {
            let known = self.retired.iter().position(|(old, _)| old.keeps_send_key(&keys));
            sealer = match known {
                Some(at) => Some(self.retired.swap_remove(at).1),
                None => SrtpEncryptor::new(keys.suite, &keys.send),
            };
            if sealer.is_none() {
                return false;
            }
        }
        if !keys.keeps_receive_key(&before) {
            opener = SrtpDecryptor::new(keys.suite, &keys.receive);
            if opener.is_none() {
                return false;
            }
        }
        if let Some(sealer) = sealer {
            if self.retired.len() >= RETIRED_KEYS_MAX {
                self.retired.remove(0);
            }
            self.retired.push((before, std::mem::replace(&mut self.send, sealer)));
        }
        if let Some(mut opener) = opener {
            opener.inherit_roll_over(&self.receive);
            self.before = Some(std::mem::replace(&mut self.receive, opener));
        }
        self.keys = keys;
        true
    }

    /// Verifies and decrypts a packet; false if it was forged, replayed or not encrypted.
    pub fn unprotect(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) -> bool {
        let scratch = &mut self.scratch;
        let opened = if self.receive.unprotect(packet, is_rtcp, scratch) {
            self.before = None;
            true
        } else {
            self.before.as_mut().is_some_and(|before| before.unprotect(packet, is_rtcp, scratch))
        };
        if opened {
            out(scratch);
        }
        opened
    }

    /// Encrypts a packet. Emits nothing if the packet is invalid or its index was already used.
    pub fn protect(&mut self, packet: &[u8], is_rtcp: bool, out: impl FnOnce(&[u8])) {
        if self.send.protect(packet, is_rtcp, &mut self.scratch) {
            out(&self.scratch);
        }
    }
}

#[cfg(test)]
mod tests;
