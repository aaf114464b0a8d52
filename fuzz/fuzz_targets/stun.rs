//! Any bytes as the answer of a STUN server: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::stun;

fuzz_target!(|bytes: &[u8]| {
    let transaction: [u8; 12] = bytes.get(8..20).and_then(|t| t.try_into().ok()).unwrap_or_default();
    let _ = stun::mapped_address(bytes, transaction);
});
