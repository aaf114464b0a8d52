//! Arbitrary bytes as a STUN response and as a connectivity check: no panics, and no response without the password.
#![no_main]

#[path = "../../media/tests/packet_mutator/mod.rs"]
mod packet_mutator;

use libfuzzer_sys::fuzz_target;
use trunkline_media::transport::ice::IceLiteAgent;
use trunkline_media::transport::webrtc::ufrag_of_check;
use trunkline_signaling::stun;

/// A binding success with XOR-MAPPED-ADDRESS, MAPPED-ADDRESS and SOFTWARE.
const ANSWER: &[u8] = &[
    1, 1, 0, 36, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x80, 0x22, 0, 5, b'h', b'e', b'l',
    b'l', b'o', 0, 0, 0, 0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43, 0, 1, 0, 8, 0, 1, 0x80, 0x55, 192, 0,
    2, 1,
];
const LITE: IceLiteAgent = IceLiteAgent { ufrag: *b"01234567", password: *b"0123456789abcdef0123456789abcdef" };

fn read(bytes: &[u8]) {
    let transaction: [u8; 12] = bytes.get(8..20).and_then(|t| t.try_into().ok()).unwrap_or_default();
    let _ = stun::mapped_address(bytes, transaction);
    let _ = ufrag_of_check(bytes);
    if IceLiteAgent::is_check(bytes) {
        let source = ([127, 0, 0, 1], 9).into();
        assert!(LITE.handle_check(source, bytes, |_| panic!("an answer without the password")).is_none());
    }
}

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if let [a0, a1, b0, b1, ..] = bytes {
        let pick =
            |high: &u8, low: &u8, len| usize::from(u16::from_be_bytes([*high, *low])) % packet_mutator::count(len);
        let once = packet_mutator::variant(ANSWER, pick(a0, a1, ANSWER.len()));
        read(&once);
        read(&packet_mutator::variant(&once, pick(b0, b1, once.len())));
    }
});
