//! Any bytes as SRTP and SRTCP of each suite, and sealed packets that are wrong in two places: no panics, no forged
//! packet is accepted, and genuine packets are accepted afterwards.
#![no_main]

#[path = "../../media/tests/packet_mutator/mod.rs"]
mod packet_mutator;

use libfuzzer_sys::fuzz_target;
use trunkline_media::rtp::packet::is_rtcp;
use trunkline_media::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpProfile, SrtpSession};

fuzz_target!(|bytes: &[u8]| {
    let [suite, base, a0, a1, b0, b1, rest @ ..] = bytes else { return };
    let suite = SrtpProfile::ALL[usize::from(*suite) % 4];
    let keys = |ours: u8, theirs: u8| SrtpKeys { suite, send: [ours; KEY_BYTES_MAX], receive: [theirs; KEY_BYTES_MAX] };
    // Separate keys: the fuzzer learns sealed packets from the comparisons below, and replays them here.
    let (Some(mut any), Some(mut b)) = (SrtpSession::new(keys(4, 3)), SrtpSession::new(keys(2, 1))) else { return };
    for kind in [false, true] {
        assert!(!any.unprotect(rest, kind, |_| {}));
        any.protect(rest, kind, |_| {});
    }
    let bases: Vec<Vec<u8>> = packet_mutator::rtp().into_iter().chain(packet_mutator::rtcp()).collect();
    let plain = &bases[usize::from(*base) % bases.len()];
    let mut sealed = vec![];
    let (Some(mut a), kind) = (SrtpSession::new(keys(1, 2)), is_rtcp(plain)) else { return };
    a.protect(plain, kind, |packet| sealed = packet.to_vec());
    let pick = |high: &u8, low: &u8, len| usize::from(u16::from_be_bytes([*high, *low])) % packet_mutator::count(len);
    let once = packet_mutator::variant(&sealed, pick(a0, a1, sealed.len()));
    let twice = packet_mutator::variant(&once, pick(b0, b1, once.len()));
    for packet in [once, twice] {
        assert!(packet == sealed || !b.unprotect(&packet, kind, |_| {}));
    }
    assert!(b.unprotect(&sealed, kind, |inside| assert_eq!(inside, plain)));
});
