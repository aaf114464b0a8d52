//! Cryptographic context of one key in one direction: session keys and, per SSRC, roll-over counter and replay window.

use super::keys::{KEY_BYTES_MAX, SrtpProfile};
use crate::rtp::packet::header_len;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

/// Maximum SSRCs per key. A peer has one, and another after a transfer; the least recently used is dropped.
const SOURCES_MAX: usize = 32;
/// Packets that may come late; RFC 3711 section 3.3.2 asks for at least 64.
const REPLAY_WINDOW: u64 = 128;
/// Highest index of RTCP (section 3.2.1).
const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;
/// Flag of an encrypted report; others are rejected.
const RTCP_ENCRYPTED: u32 = 1 << 31;
/// Header of RTCP that stays readable: with it the sender's synchronization source.
const RTCP_HEADER_BYTES: usize = 8;
/// Session authentication key of HMAC-SHA1 (section 5.2).
const AUTH_BYTES: usize = 20;

enum SrtpCipher {
    /// Counter mode, with a separate authentication tag.
    Cm {
        key: EncryptingKey,
        auth: hmac::Key,
        tag_bytes: usize,
    },
    Gcm(Box<LessSafeKey>),
}

/// Session keys of RTP or of RTCP.
struct SessionKeys {
    cipher: SrtpCipher,
    /// Salt of 14 bytes, or of 12 with zeros behind.
    salt: [u8; 14],
}

/// Labels of the key derivation (section 4.3.2): encryption, authentication, salt.
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

fn block_key(master: &[u8]) -> Option<UnboundCipherKey> {
    let algorithm = if master.len() == 16 { &AES_128 } else { &AES_256 };
    UnboundCipherKey::new(algorithm, master).ok()
}

/// Counter mode over `bytes`.
fn apply_counter_mode(key: &EncryptingKey, iv: [u8; 16], bytes: &mut [u8]) -> Option<()> {
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from(iv))).ok().map(drop)
}

/// The key derivation of section 4.3 with a rate of zero, into `out`.
fn derive(master: &EncryptingKey, salt: &[u8; 14], label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv.iter_mut().zip(salt).for_each(|(to, from)| *to = *from);
    if let Some(place) = iv.get_mut(7) {
        *place ^= label;
    }
    out.fill(0);
    apply_counter_mode(master, iv, out)
}

impl SessionKeys {
    fn new(suite: SrtpProfile, master: &[u8; KEY_BYTES_MAX], labels: [u8; 3], is_rtcp: bool) -> Option<Self> {
        let (key_len, salt_len) = suite.lengths();
        let (key, rest) = master.split_at_checked(key_len)?;
        let mut master_salt = [0; 14];
        master_salt.iter_mut().zip(rest.get(..salt_len)?).for_each(|(to, from)| *to = *from);
        let master = EncryptingKey::ctr(block_key(key)?).ok()?;
        let [encryption, authentication, salting] = labels;
        let mut session_key = [0; 32];
        let session_key = session_key.get_mut(..key_len)?;
        derive(&master, &master_salt, encryption, session_key)?;
        let mut salt = [0; 14];
        derive(&master, &master_salt, salting, salt.get_mut(..salt_len)?)?;
        let cipher = match suite {
            SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => {
                let mut auth = [0; AUTH_BYTES];
                derive(&master, &master_salt, authentication, &mut auth)?;
                let key = EncryptingKey::ctr(block_key(session_key)?).ok()?;
                // Reports have the long tag in both suites (RFC 4568 section 6.2.2).
                let tag_bytes = if suite == SrtpProfile::AesCm128HmacSha1_32 && !is_rtcp { 4 } else { 10 };
                SrtpCipher::Cm { key, auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth), tag_bytes }
            }
            SrtpProfile::AeadAes128Gcm | SrtpProfile::AeadAes256Gcm => {
                let algorithm = if key_len == 16 { &AES_128_GCM } else { &AES_256_GCM };
                SrtpCipher::Gcm(Box::new(LessSafeKey::new(UnboundKey::new(algorithm, session_key).ok()?)))
            }
        };
        Some(Self { cipher, salt })
    }

    /// Of counter mode (section 4.1.1): `index` has 48 bits.
    fn counter(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let [c0, c1, c2, c3] = ssrc.to_be_bytes();
        let [_, _, i0, i1, i2, i3, i4, i5] = index.to_be_bytes();
        let mut iv = [0, 0, 0, 0, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, 0, 0];
        iv.iter_mut().zip(&self.salt).for_each(|(to, salt)| *to ^= salt);
        iv
    }

    /// Of GCM (RFC 7714 sections 8.1, 9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let [c0, c1, c2, c3] = ssrc.to_be_bytes();
        let [_, _, i0, i1, i2, i3, i4, i5] = index.to_be_bytes();
        let mut iv = [0, 0, c0, c1, c2, c3, i0, i1, i2, i3, i4, i5];
        iv.iter_mut().zip(&self.salt).for_each(|(to, salt)| *to ^= salt);
        Nonce::assume_unique_for_key(iv)
    }
}

fn tag(auth: &hmac::Key, parts: [&[u8]; 2]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(auth);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// Whose packet, and its sequence number.
fn ssrc_and_sequence(packet: &[u8]) -> Option<(u32, u16)> {
    let [_, _, s0, s1, _, _, _, _, c0, c1, c2, c3, ..] = *packet else { return None };
    Some((u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([s0, s1])))
}

fn rtcp_sender(packet: &[u8]) -> Option<u32> {
    packet.get(4..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Index of a packet, near the highest so far (section 3.3.1 and appendix A). `None` for one from before the first.
fn estimate_index(highest: u64, sequence: u16) -> Option<u64> {
    let last = highest as u16;
    let ahead = sequence.wrapping_sub(last);
    let index = if ahead < 1 << 15 {
        highest.checked_add(u64::from(ahead))?
    } else {
        highest.checked_sub(u64::from(last.wrapping_sub(sequence)))?
    };
    (index >> 48 == 0).then_some(index)
}

/// What one source has sent under the key.
struct SentSource {
    ssrc: u32,
    /// Of RTP: sequence number and how often it has rolled over.
    highest: Option<u64>,
    /// Of RTCP.
    reports: u32,
}

/// The sending side of a key.
pub(super) struct SrtpEncryptor {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    sent: Vec<SentSource>,
}

impl SrtpEncryptor {
    pub(super) fn new(suite: SrtpProfile, master: &[u8; KEY_BYTES_MAX]) -> Option<Self> {
        let rtp = SessionKeys::new(suite, master, RTP_LABELS, false)?;
        let rtcp = SessionKeys::new(suite, master, RTCP_LABELS, true)?;
        Some(Self { rtp, rtcp, sent: Vec::new() })
    }

    /// We have few SSRCs, and none may be dropped while the key lives, because an index must not be reused.
    fn sent(&mut self, ssrc: u32) -> Option<&mut SentSource> {
        let at = match self.sent.iter().position(|sent| sent.ssrc == ssrc) {
            Some(at) => at,
            None if self.sent.len() < SOURCES_MAX => {
                self.sent.push(SentSource { ssrc, highest: None, reports: 0 });
                self.sent.len().checked_sub(1)?
            }
            None => return None,
        };
        self.sent.get_mut(at)
    }

    /// Puts the sealed packet into `out`; false when it may not leave.
    pub(super) fn protect(&mut self, packet: &[u8], is_rtcp: bool, out: &mut Vec<u8>) -> bool {
        out.clear();
        let sealed = if is_rtcp { self.protect_rtcp(packet, out) } else { self.protect_rtp(packet, out) };
        sealed.is_some()
    }

    fn protect_rtp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (ssrc, sequence) = ssrc_and_sequence(packet)?;
        let header = header_len(packet)?;
        let sent = self.sent(ssrc)?;
        let index = match sent.highest {
            None => u64::from(sequence),
            Some(highest) => estimate_index(highest, sequence).filter(|index| *index > highest)?,
        };
        sent.highest = Some(index);
        out.extend_from_slice(packet);
        let (head, payload) = out.split_at_mut_checked(header)?;
        match &self.rtp.cipher {
            SrtpCipher::Cm { key, auth, tag_bytes } => {
                apply_counter_mode(key, self.rtp.counter(ssrc, index), payload)?;
                let rounds = ((index >> 16) as u32).to_be_bytes();
                let tag = tag(auth, [out, &rounds]);
                out.extend_from_slice(tag.as_ref().get(..*tag_bytes)?);
            }
            SrtpCipher::Gcm(key) => {
                let nonce = self.rtp.nonce(ssrc, index);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*head), payload).ok()?;
                out.extend_from_slice(tag.as_ref());
            }
        }
        Some(())
    }

    fn protect_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let ssrc = rtcp_sender(packet)?;
        let sent = self.sent(ssrc)?;
        let index = sent.reports.checked_add(1).filter(|index| *index <= RTCP_INDEX_MAX)?;
        sent.reports = index;
        let word = (index | RTCP_ENCRYPTED).to_be_bytes();
        out.extend_from_slice(packet);
        let (head, payload) = out.split_at_mut_checked(RTCP_HEADER_BYTES)?;
        match &self.rtcp.cipher {
            SrtpCipher::Cm { key, auth, tag_bytes } => {
                apply_counter_mode(key, self.rtcp.counter(ssrc, u64::from(index)), payload)?;
                out.extend_from_slice(&word);
                let tag = tag(auth, [out, &[]]);
                out.extend_from_slice(tag.as_ref().get(..*tag_bytes)?);
            }
            SrtpCipher::Gcm(key) => {
                let aad = report_aad(head, word)?;
                let nonce = self.rtcp.nonce(ssrc, u64::from(index));
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload).ok()?;
                out.extend_from_slice(tag.as_ref());
                out.extend_from_slice(&word);
            }
        }
        Some(())
    }
}

/// Header and index of an encrypted report (RFC 7714 section 9.2).
fn report_aad(head: &[u8], word: [u8; 4]) -> Option<[u8; 12]> {
    let mut aad = [0; 12];
    let (first, last) = aad.split_at_mut_checked(RTCP_HEADER_BYTES)?;
    first.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
    last.copy_from_slice(&word);
    Some(aad)
}

/// Indices that have come: the highest, and a bit for each of the last ones, itself the lowest bit.
#[derive(Clone, Copy, Debug)]
struct ReplayWindow {
    highest: u64,
    seen: u128,
}

impl ReplayWindow {
    /// `None` when it was there already, or is too old to tell.
    fn with(this: Option<Self>, index: u64) -> Option<Self> {
        let Some(Self { highest, seen }) = this else { return Some(Self { highest: index, seen: 1 }) };
        if let Some(ahead) = index.checked_sub(highest).filter(|ahead| *ahead > 0) {
            let moved = u32::try_from(ahead).ok().and_then(|ahead| seen.checked_shl(ahead)).unwrap_or(0);
            return Some(Self { highest: index, seen: moved | 1 });
        }
        let age = highest.checked_sub(index).filter(|age| *age < REPLAY_WINDOW)?;
        let bit = 1u128.checked_shl(u32::try_from(age).ok()?)?;
        (seen & bit == 0).then_some(Self { highest, seen: seen | bit })
    }
}

/// What has come of one source under the key.
struct ReceivedSource {
    ssrc: u32,
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
}

/// The receiving side of a key.
pub(super) struct SrtpDecryptor {
    rtp: SessionKeys,
    rtcp: SessionKeys,
    /// The one heard last is the last.
    received: Vec<ReceivedSource>,
    /// Sources of the key before this one, with how far they were: RFC 3711 section 3.3.1 has a new key go on with the
    /// roll-over counter, many begin with zero, and both are taken.
    followed: Vec<(u32, u64)>,
}

impl SrtpDecryptor {
    pub(super) fn new(suite: SrtpProfile, master: &[u8; KEY_BYTES_MAX]) -> Option<Self> {
        let rtp = SessionKeys::new(suite, master, RTP_LABELS, false)?;
        let rtcp = SessionKeys::new(suite, master, RTCP_LABELS, true)?;
        Some(Self { rtp, rtcp, received: Vec::new(), followed: Vec::new() })
    }

    /// Takes over the roll-over counters of the previous key.
    pub(super) fn inherit_roll_over(&mut self, before: &Self) {
        let windows = before.received.iter().filter_map(|one| Some((one.ssrc, one.rtp?.highest)));
        self.followed = windows.collect();
    }

    /// Sources that state is kept of.
    #[cfg(test)]
    pub(super) fn sources(&self) -> usize {
        self.received.len()
    }

    fn source_index(&self, ssrc: u32) -> Option<usize> {
        self.received.iter().position(|one| one.ssrc == ssrc)
    }

    /// Marks an SSRC as most recently used; drops the oldest if the table is full.
    fn mark_recent(&mut self, ssrc: u32) -> Option<&mut ReceivedSource> {
        let one = match self.source_index(ssrc) {
            Some(at) if at.checked_add(1) == Some(self.received.len()) => return self.received.last_mut(),
            Some(at) => self.received.remove(at),
            None => {
                if self.received.len() >= SOURCES_MAX {
                    self.received.remove(0);
                }
                ReceivedSource { ssrc, rtp: None, rtcp: None }
            }
        };
        self.received.push(one);
        self.received.last_mut()
    }

    /// Writes the decrypted packet to `out`; false if it is not the peer's, or is a replay.
    pub(super) fn unprotect(&mut self, packet: &[u8], is_rtcp: bool, out: &mut Vec<u8>) -> bool {
        let opened = if is_rtcp { self.unprotect_rtcp(packet, out) } else { self.unprotect_rtp(packet, out) };
        opened.is_some()
    }

    fn unprotect_rtp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (ssrc, sequence) = ssrc_and_sequence(packet)?;
        let header = header_len(packet)?;
        let window = self.source_index(ssrc).and_then(|at| self.received.get(at)?.rtp);
        let (index, moved) = match window {
            Some(window) => {
                let index = estimate_index(window.highest, sequence)?;
                let moved = ReplayWindow::with(Some(window), index)?;
                self.verify_rtp(packet, header, ssrc, index, out)?;
                (index, moved)
            }
            None => {
                let far = self.followed.iter().find(|(one, _)| *one == ssrc);
                let far =
                    far.and_then(|(_, highest)| estimate_index(*highest, sequence)).filter(|index| index >> 16 != 0);
                let index = [Some(u64::from(sequence)), far]
                    .into_iter()
                    .flatten()
                    .find(|index| self.verify_rtp(packet, header, ssrc, *index, out).is_some())?;
                (index, ReplayWindow::with(None, index)?)
            }
        };
        debug_assert_eq!(index as u16, sequence);
        self.mark_recent(ssrc)?.rtp = Some(moved);
        Some(())
    }

    fn verify_rtp(&self, packet: &[u8], header: usize, ssrc: u32, index: u64, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        match &self.rtp.cipher {
            SrtpCipher::Cm { key, auth, tag_bytes } => {
                let (body, theirs) = packet.split_at_checked(packet.len().checked_sub(*tag_bytes)?)?;
                let rounds = ((index >> 16) as u32).to_be_bytes();
                check_tag(&tag(auth, [body, &rounds]), theirs)?;
                out.extend_from_slice(body);
                let (_, payload) = out.split_at_mut_checked(header)?;
                apply_counter_mode(key, self.rtp.counter(ssrc, index), payload)
            }
            SrtpCipher::Gcm(key) => {
                out.extend_from_slice(packet);
                let (head, sealed) = out.split_at_mut_checked(header)?;
                let len = key.open_in_place(self.rtp.nonce(ssrc, index), Aad::from(&*head), sealed).ok()?.len();
                out.truncate(header.checked_add(len)?);
                Some(())
            }
        }
    }

    fn unprotect_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        let ssrc = rtcp_sender(packet)?;
        let (body, word) = match &self.rtcp.cipher {
            SrtpCipher::Cm { auth, tag_bytes, .. } => {
                let (body, theirs) = packet.split_at_checked(packet.len().checked_sub(*tag_bytes)?)?;
                check_tag(&tag(auth, [body, &[]]), theirs)?;
                body.split_last_chunk::<4>()?
            }
            SrtpCipher::Gcm(_) => packet.split_last_chunk::<4>()?,
        };
        let index = u32::from_be_bytes(*word);
        // Reports that are not encrypted were not agreed on (RFC 4568 section 6.3.2).
        if index & RTCP_ENCRYPTED == 0 {
            return None;
        }
        let index = u64::from(index & RTCP_INDEX_MAX);
        let window = self.source_index(ssrc).and_then(|at| self.received.get(at)?.rtcp);
        let moved = ReplayWindow::with(window, index)?;
        out.extend_from_slice(body);
        let (head, sealed) = out.split_at_mut_checked(RTCP_HEADER_BYTES)?;
        let len = match &self.rtcp.cipher {
            SrtpCipher::Cm { key, .. } => {
                apply_counter_mode(key, self.rtcp.counter(ssrc, index), sealed).map(|()| sealed.len())?
            }
            SrtpCipher::Gcm(key) => {
                let aad = report_aad(head, *word)?;
                key.open_in_place(self.rtcp.nonce(ssrc, index), Aad::from(aad), sealed).ok()?.len()
            }
        };
        out.truncate(RTCP_HEADER_BYTES.checked_add(len)?);
        self.mark_recent(ssrc)?.rtcp = Some(moved);
        Some(())
    }
}

fn check_tag(ours: &hmac::Tag, theirs: &[u8]) -> Option<()> {
    aws_lc_rs::constant_time::verify_slices_are_equal(ours.as_ref().get(..theirs.len())?, theirs).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 lets a report be authentic and in the clear.
    #[test]
    fn authentic_report_without_encryption_is_refused() {
        let report = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4];
        for (word, is_accepted) in [(7u32, false), (7 | RTCP_ENCRYPTED, true)] {
            let suite = SrtpProfile::AesCm128HmacSha1_80;
            let mut context = SrtpDecryptor::new(suite, &[1; KEY_BYTES_MAX]).unwrap();
            let SrtpCipher::Cm { auth, tag_bytes, .. } = &context.rtcp.cipher else { panic!("a suite with a tag") };
            let mut packet = [&report[..], &word.to_be_bytes()].concat();
            packet.extend_from_slice(&tag(auth, [&packet, &[]]).as_ref()[..*tag_bytes]);
            assert_eq!(context.unprotect(&packet, true, &mut Vec::new()), is_accepted, "{word:x}");
        }
    }
}
