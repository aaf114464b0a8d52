//! Any bytes as a session description: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sdp::negotiate::{self, LocalMedia, SdpCodec, SrtpMode};
use trunkline_signaling::sdp::{MediaDirection, host_names, print};

fuzz_target!(|bytes: &[u8]| {
    let local = LocalMedia {
        addr: std::net::IpAddr::from([192, 0, 2, 1]),
        port: 30_000,
        codecs: SdpCodec::ALL.to_vec(),
        ptime_ms: 20,
        srtp: SrtpMode::Preferred,
        keying: negotiate::KeyExchange::Sdes,
        fingerprint: Some([2; 32]),
        ice: Some(negotiate::IceLiteCredentials { ufrag: *b"01234567", password: [b'p'; 32] }),
        keys: [[1; 46]; 2],
        association: 0,
        standing: None,
        session_id: 1,
        session_version: 1,
    };
    if let Ok((negotiated, _)) = negotiate::answer(bytes, &local) {
        // What a later offer makes of it.
        let standing = LocalMedia { standing: Some(Box::new(negotiated)), ..local.clone() };
        let _ = negotiate::accept_answer(&print::offer(&standing, MediaDirection::SendRecv), &standing);
    }
    let _ = negotiate::answer_off(bytes, &local);
    let _ = host_names::replace(bytes, |_| Some(local.addr));
    let _ = negotiate::accept_answer(bytes, &local);
});
