//! Any bytes as RTCP: never a panic, and what we write ourselves is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_media::rtp::rtcp;

fuzz_target!(|bytes: &[u8]| {
    let received = rtcp::parse(bytes, 7);
    if let Some(voip) = received.voip {
        assert!(voip.mos.is_none_or(|mos| mos <= 25.5));
    }
});
