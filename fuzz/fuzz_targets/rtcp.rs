//! Arbitrary bytes as RTCP, and reports with one mutation: no panics and no invented values.
#![no_main]

#[path = "../../media/tests/packet_mutator/mod.rs"]
mod packet_mutator;

use libfuzzer_sys::fuzz_target;
use trunkline_media::rtp::rtcp;

fn read(bytes: &[u8]) {
    let received = rtcp::parse(bytes, 7);
    if let Some(voip) = received.voip {
        assert!(voip.mos.is_none_or(|mos| mos <= 25.5));
    }
    let _ = rtcp::sender_ssrc(bytes);
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Two places at once, by the first bytes.
    if let [base, a0, a1, b0, b1, ..] = bytes {
        let reports = packet_mutator::rtcp();
        let base = &reports[usize::from(*base) % reports.len()];
        let pick =
            |high: &u8, low: &u8, len| usize::from(u16::from_be_bytes([*high, *low])) % packet_mutator::count(len);
        let once = packet_mutator::variant(base, pick(a0, a1, base.len()));
        read(&once);
        read(&packet_mutator::variant(&once, pick(b0, b1, once.len())));
    }
});
