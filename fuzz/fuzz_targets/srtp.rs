//! Any bytes as SRTP and SRTCP of each suite, and sealed packets that are wrong in two places: no panics, no forged
//! packet is accepted, and genuine packets are accepted afterwards.
#![no_main]

#[path = "../../media/tests/mutate/mod.rs"]
mod mutate;

use libfuzzer_sys::fuzz_target;
use trunkline_media::rtp::packet::is_rtcp;
use trunkline_media::transport::srtp::{KEY_BYTES_MAX, SrtpKeys, SrtpSession, SrtpProfile};

fuzz_target!(|bytes: &[u8]| {
    let [suite, base, a0, a1, b0, b1, rest @ ..] = bytes else { return };
    let suite = SrtpProfile::ALL[usize::from(*suite) % 4];
    let keys = |ours: u8, theirs: u8| SrtpKeys { suite, ours: [ours; KEY_BYTES_MAX], theirs: [theirs; KEY_BYTES_MAX] };
    // SrtpKeys of their own: the fuzzer learns sealed packets from the comparisons below, and replays them here.
    let (Some(mut any), Some(mut b)) = (SrtpSession::new(keys(4, 3)), SrtpSession::new(keys(2, 1))) else { return };
    for kind in [false, true] {
        assert!(!any.open(rest, kind, |_| {}));
        any.seal(rest, kind, |_| {});
    }
    let bases: Vec<Vec<u8>> = mutate::rtp().into_iter().chain(mutate::rtcp()).collect();
    let plain = &bases[usize::from(*base) % bases.len()];
    let mut sealed = vec![];
    let (Some(mut a), kind) = (SrtpSession::new(keys(1, 2)), is_rtcp(plain)) else { return };
    a.seal(plain, kind, |packet| sealed = packet.to_vec());
    let pick = |high: &u8, low: &u8, len| usize::from(u16::from_be_bytes([*high, *low])) % mutate::count(len);
    let once = mutate::variant(&sealed, pick(a0, a1, sealed.len()));
    let twice = mutate::variant(&once, pick(b0, b1, once.len()));
    for packet in [once, twice] {
        assert!(packet == sealed || !b.open(&packet, kind, |_| {}));
    }
    assert!(b.open(&sealed, kind, |inside| assert_eq!(inside, plain)));
});
