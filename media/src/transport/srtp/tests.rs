//! Known-answer tests, and interoperability with another implementation.

use super::*;
use rtc_dtls::crypto_provider::default_provider;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn keys(suite: SrtpProfile, ours: u8, theirs: u8) -> SrtpKeys {
    SrtpKeys { suite, send: [ours; KEY_BYTES_MAX], receive: [theirs; KEY_BYTES_MAX] }
}

const PACKET: [u8; 20] = [0x80, 0, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4, 9, 8, 7, 6, 5, 4, 3, 2];
/// A receiver report without blocks, and a BYE.
const REPORT: [u8; 16] = [0x80, 201, 0, 1, 1, 2, 3, 4, 0x81, 203, 0, 1, 1, 2, 3, 4];

/// A packet of ours, of a source.
fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = PACKET.to_vec();
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

fn sealed(srtp: &mut SrtpSession, packet: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = None;
    srtp.protect(packet, crate::rtp::packet::is_rtcp(packet), |bytes| sealed = Some(bytes.to_vec()));
    sealed
}

fn opened(srtp: &mut SrtpSession, packet: &[u8]) -> Option<Vec<u8>> {
    let mut opened = None;
    srtp.unprotect(packet, crate::rtp::packet::is_rtcp(packet), |bytes| opened = Some(bytes.to_vec()));
    opened
}

fn pair(suite: SrtpProfile) -> (SrtpSession, SrtpSession) {
    (SrtpSession::new(keys(suite, 1, 2)).unwrap(), SrtpSession::new(keys(suite, 2, 1)).unwrap())
}

#[test]
fn protected_packet_is_accepted_once() {
    for suite in SrtpProfile::ALL {
        for packet in [&PACKET[..], &REPORT[..]] {
            let (mut a, mut b) = pair(suite);
            let sealed = sealed(&mut a, packet).unwrap();
            assert_ne!(sealed[12..16], packet[12..16], "{suite:?}");
            assert_eq!(opened(&mut b, &sealed).as_deref(), Some(packet), "{suite:?}");
            assert_eq!(opened(&mut b, &sealed), None, "a repeated packet, {suite:?}");
            assert_eq!(opened(&mut b, packet), None, "one that was never sealed, {suite:?}");
        }
    }
}

#[test]
fn modified_or_truncated_packets_are_rejected() {
    for suite in SrtpProfile::ALL {
        for packet in [&PACKET[..], &REPORT[..]] {
            let (mut a, mut b) = pair(suite);
            let sealed = sealed(&mut a, packet).unwrap();
            for at in 0..sealed.len() {
                assert_eq!(opened(&mut b, &sealed[..at]), None, "{suite:?} cut at {at}");
                for bit in 0..8 {
                    let mut changed = sealed.clone();
                    changed[at] ^= 1 << bit;
                    assert_eq!(opened(&mut b, &changed), None, "{suite:?} bit {bit} of {at}");
                }
            }
            assert_eq!(opened(&mut b, &sealed).as_deref(), Some(packet), "no harm was done");
        }
    }
}

#[test]
fn unencrypted_srtcp_is_rejected() {
    for suite in SrtpProfile::ALL {
        let (_, mut b) = pair(suite);
        for tail in 0..40 {
            let mut forged = REPORT.to_vec();
            forged.extend(vec![0; tail]);
            assert_eq!(opened(&mut b, &forged), None, "{suite:?} with {tail} octets behind");
        }
    }
}

/// Headers that a parser may stumble over: extensions whose elements say more than there is, sources without end.
#[test]
fn forged_headers_are_refused() {
    for suite in SrtpProfile::ALL {
        let (_, mut b) = pair(suite);
        for first in [0x80u8, 0x90, 0x9f, 0x8f, 0xb0, 0xbf] {
            for profile in [[0xbe, 0xde], [0x10, 0x00], [0, 0]] {
                for words in [0u16, 1, 2, 0xffff] {
                    for element in [0x00u8, 0x1f, 0xf0, 0xff] {
                        for len in 12..64 {
                            let mut forged = vec![element; len];
                            forged[..12].copy_from_slice(&PACKET[..12]);
                            forged[0] = first;
                            let sources = usize::from(first & 15) * 4;
                            let at = 12 + sources;
                            if let Some(place) = forged.get_mut(at..at + 4) {
                                place[..2].copy_from_slice(&profile);
                                place[2..].copy_from_slice(&words.to_be_bytes());
                            }
                            assert_eq!(opened(&mut b, &forged), None);
                        }
                    }
                }
            }
        }
    }
}

/// RFC 3711 appendix B.3 gives the session keys of this master key; its key stream has to come of them.
#[test]
fn key_derivation_matches_rfc_3711() {
    let mut keys = keys(SrtpProfile::AesCm128HmacSha1_80, 0, 0);
    let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    keys.send[..30].copy_from_slice(&master);
    let mut srtp = SrtpSession::new(keys).unwrap();
    // RFC 6904 and the test of libsrtp use this packet: 16 octets of 0xAB, sequence 0x1234.
    let packet = hex("800f1234decafbadcafebabeabababababababababababababababab");
    let wanted = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    assert_eq!(sealed(&mut srtp, &packet), Some(wanted));
}

fn witness(suite: SrtpProfile, master: &[u8; KEY_BYTES_MAX]) -> Context {
    let profile = match suite {
        SrtpProfile::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        SrtpProfile::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        SrtpProfile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
    };
    let (key, salt) = suite.lengths();
    let provider = default_provider().unwrap();
    Context::new(&master[..key], &master[key..key + salt], profile, None, None, provider.crypto()).unwrap()
}

#[test]
fn interoperates_with_other_implementation_across_roll_over() {
    for suite in SrtpProfile::ALL {
        let keys = SrtpKeys {
            suite,
            send: std::array::from_fn(|at| (at as u8).wrapping_mul(5)),
            receive: std::array::from_fn(|at| (at as u8).wrapping_mul(7)),
        };
        let mut ours = SrtpSession::new(keys).unwrap();
        let (mut hears, mut says) = (witness(suite, &keys.send), witness(suite, &keys.receive));
        for step in 0..70_000u32 {
            // Contributing sources and an extension now and then.
            let mut plain = packet(77, (32_000 + step) as u16);
            if step % 3 == 1 {
                plain[0] = 0x92;
                plain.splice(12..12, [9; 8].into_iter().chain([0xAB, 0xCD, 0, 1, 1, 2, 3, 4]));
            }
            if step % 7_000 > 3 && !(33_530..33_540).contains(&step) {
                continue;
            }
            let sealed = sealed(&mut ours, &plain).unwrap();
            assert_eq!(hears.decrypt_rtp(&sealed).unwrap(), plain, "{suite:?} {step}");
            let theirs = says.encrypt_rtp(&plain).unwrap();
            assert_eq!(opened(&mut ours, &theirs).as_deref(), Some(&plain[..]), "{suite:?} {step}");
        }
        for _ in 0..3 {
            let report = sealed(&mut ours, &REPORT).unwrap();
            assert_eq!(hears.decrypt_rtcp(&report).unwrap(), &REPORT[..], "{suite:?}");
            let theirs = says.encrypt_rtcp(&REPORT).unwrap();
            assert_eq!(opened(&mut ours, &theirs).as_deref(), Some(&REPORT[..]), "{suite:?}");
        }
    }
}

#[test]
fn late_packets_pass_once_across_roll_over() {
    for suite in SrtpProfile::ALL {
        let (mut a, mut b) = pair(suite);
        let all: Vec<Vec<u8>> = (0..300u32).map(|n| sealed(&mut a, &packet(1, (65_400 + n) as u16)).unwrap()).collect();
        // Swapped in pairs, one very late.
        for chunk in all.chunks(2) {
            for one in chunk.iter().rev() {
                assert!(opened(&mut b, one).is_some(), "{suite:?}");
            }
        }
        assert!(all.iter().all(|one| opened(&mut b, one).is_none()), "{suite:?}: nothing twice");
    }
}

#[test]
fn index_is_never_reused() {
    for suite in SrtpProfile::ALL {
        let (mut a, _) = pair(suite);
        assert!(sealed(&mut a, &packet(1, 10)).is_some());
        assert_eq!(sealed(&mut a, &packet(1, 10)), None);
        assert_eq!(sealed(&mut a, &packet(1, 9)), None, "an index that has passed");
        assert!(sealed(&mut a, &packet(1, 11)).is_some());
        assert!(sealed(&mut a, &packet(2, 10)).is_some(), "another source has separate indices");
        for ssrc in 10..200 {
            sealed(&mut a, &packet(ssrc, 1));
        }
        assert_eq!(sealed(&mut a, &packet(1, 11)), None, "never forgotten, however many sources there were");
    }
}

#[test]
fn forged_sources_leave_no_state_and_real_ones_are_bounded() {
    let (mut a, mut b) = pair(SrtpProfile::AesCm128HmacSha1_80);
    let real = sealed(&mut a, &packet(7, 1)).unwrap();
    for ssrc in 0..100_000u32 {
        let mut forged = real.clone();
        forged[8..12].copy_from_slice(&(ssrc + 100).to_be_bytes());
        assert_eq!(opened(&mut b, &forged), None);
    }
    assert_eq!(b.receive.sources(), 0);
    assert!(opened(&mut b, &real).is_some());
    for ssrc in 0..1_000u32 {
        // Many senders under one key, each with a separate session.
        let (mut other, _) = pair(SrtpProfile::AesCm128HmacSha1_80);
        assert!(opened(&mut b, &sealed(&mut other, &packet(ssrc + 100, 1)).unwrap()).is_some());
    }
    assert!(b.receive.sources() <= 32, "{}", b.receive.sources());
}

#[test]
fn kept_key_keeps_counters_and_new_key_starts_fresh() {
    for suite in SrtpProfile::ALL {
        let (mut a, mut b) = pair(suite);
        let mut sequence = 65_000u16;
        let mut say = |a: &mut SrtpSession, b: &mut SrtpSession| {
            sequence = sequence.wrapping_add(1);
            let plain = packet(1, sequence);
            let sealed = sealed(a, &plain).unwrap();
            assert_eq!(opened(b, &sealed).as_deref(), Some(&plain[..]), "{suite:?} at {sequence}");
            sealed
        };
        // Into the second round.
        let sent: Vec<Vec<u8>> = (0..1_000).map(|_| say(&mut a, &mut b)).collect();
        let (ours, theirs) = (a.keys, b.keys);
        assert!(a.rekey(ours) && b.rekey(theirs));
        say(&mut a, &mut b);
        assert!(sent.iter().all(|old| opened(&mut b, old).is_none()), "the window is the key's as well");
        // Only the other direction gets a new key: ours goes on.
        let other = SrtpKeys { receive: [9; KEY_BYTES_MAX], ..a.keys };
        assert!(a.rekey(other));
        say(&mut a, &mut b);
        // Our key changes too: peers that continue their counters and peers that restart them both understand.
        assert!(a.rekey(SrtpKeys { send: [8; KEY_BYTES_MAX], ..other }));
        let late = {
            let mut before = SrtpSession::new(SrtpKeys { send: [1; KEY_BYTES_MAX], ..other }).unwrap();
            sealed(&mut before, &packet(5, 1)).unwrap()
        };
        assert!(b.rekey(SrtpKeys { receive: [8; KEY_BYTES_MAX], ..b.keys }));
        assert!(opened(&mut b, &late).is_some(), "a packet in flight when the key changed");
        say(&mut a, &mut b);
        assert_eq!(opened(&mut b, &late), None, "and no more once the new key is in use");
    }
}

#[test]
fn peer_may_keep_roll_over_counter_under_new_key() {
    let suite = SrtpProfile::AesCm128HmacSha1_80;
    let (mut a, mut b) = pair(suite);
    let mut theirs = witness(suite, &[2; KEY_BYTES_MAX]);
    for sequence in [65_535u16, 0, 1] {
        assert!(opened(&mut a, &theirs.encrypt_rtp(&packet(1, sequence)).unwrap()).is_some());
    }
    assert!(a.rekey(SrtpKeys { receive: [3; KEY_BYTES_MAX], ..a.keys }));
    // The peer's counter is at one, under the new key.
    let mut counts_on = witness(suite, &[3; KEY_BYTES_MAX]);
    for sequence in [40_000u16, 65_535] {
        counts_on.encrypt_rtp(&packet(1, sequence)).unwrap();
    }
    assert!(opened(&mut a, &counts_on.encrypt_rtp(&packet(1, 2)).unwrap()).is_some());
    assert!(sealed(&mut b, &packet(1, 1)).is_some());
}

#[test]
fn returning_key_continues_its_counter() {
    let (mut a, _) = pair(SrtpProfile::AesCm128HmacSha1_80);
    let first = a.keys;
    let mut streams = std::collections::HashSet::new();
    for round in 0..6u16 {
        let key = SrtpKeys { send: [1 + (round % 2) as u8; KEY_BYTES_MAX], ..first };
        assert!(a.rekey(key));
        // The first block of the key stream: what is encrypted, without what it hides. Never twice.
        let plain = packet(1, round + 1);
        let sealed = sealed(&mut a, &plain).unwrap();
        let stream: Vec<u8> = sealed[12..20].iter().zip(&plain[12..]).map(|(a, b)| a ^ b).collect();
        assert!(streams.insert(stream), "round {round}");
    }
    assert!(a.rekey(first));
    assert_eq!(sealed(&mut a, &packet(1, 1)), None);
}
