//! What else peers write, put wrong: descriptions, challenges, STUN.

use super::*;
use trunkline_signaling::sdp::negotiate::{self, LocalMedia, SdpCodec, SrtpMode};
use trunkline_signaling::sip::digest::{
    DigestChallenge, DigestCheck, DigestClaim, DigestClientSession, DigestCredentials, verify,
};
use trunkline_signaling::stun;
use trunkline_signaling::webrtc::{ice_fragment, offer};

/// A description with every line that is read.
const DESCRIPTION: [&str; 23] = [
    "v=0",
    "o=- 1 1 IN IP4 10.0.0.1",
    "s=-",
    "c=IN IP4 10.0.0.1",
    "t=0 0",
    "b=AS:64",
    "a=fingerprint:sha-256 AB:CD",
    "a=setup:actpass",
    "m=audio 4000 RTP/AVP 0 8 96 101",
    "c=IN IP6 ::1",
    "a=rtpmap:96 opus/48000/2",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
    "a=ptime:20",
    "a=rtcp:4001 IN IP4 10.0.0.1",
    "a=rtcp-mux",
    "a=sendonly",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:p",
    "a=mid:0",
    "a=candidate:1 1 UDP 2130706431 10.0.0.1 4000 typ host",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
    "m=video 0 RTP/AVP 99",
];

fn local() -> LocalMedia {
    LocalMedia {
        addr: [192, 0, 2, 1].into(),
        port: u16::MAX,
        codecs: SdpCodec::ALL.to_vec(),
        ptime_ms: 20,
        srtp: SrtpMode::Preferred,
        keying: negotiate::KeyExchange::Sdes,
        fingerprint: Some([2; 32]),
        ice: Some(negotiate::IceLiteCredentials { ufrag: *b"01234567", password: [b'p'; 32] }),
        keys: [[1; 46]; 2],
        association: 0,
        standing: None,
        session_id: u64::MAX,
        session_version: u64::MAX,
    }
}

/// Every line of a description, wrong in every way, at every place it may stand.
#[test]
fn every_line_of_a_description() {
    let local = local();
    for at in 0..DESCRIPTION.len() {
        let (kind, value) = DESCRIPTION[at].split_once('=').unwrap();
        for (_, values) in mutations(value.as_bytes()) {
            let wrong = values.iter().map(|value| [kind.as_bytes(), b"=", value].concat());
            let before = DESCRIPTION[..at].iter().map(|network| network.as_bytes().to_vec());
            let after = DESCRIPTION[at + 1..].iter().map(|network| network.as_bytes().to_vec());
            let text = before.chain(wrong).chain(after).collect::<Vec<_>>().join(&b"\r\n"[..]);
            if let Ok((_, answer)) = negotiate::answer(&text, &local) {
                assert!(answer.iter().all(|byte| byte.is_ascii_graphic() || b" \r\n".contains(byte)));
                assert!(answer.len() < 2 * text.len() + 2_000, "an answer is not many times its offer");
            }
            let _ = negotiate::accept_answer(&text, &local);
            let _ = negotiate::is_webrtc(&text);
            let _ = offer::validate(&text);
            let _ = ice_fragment::parse(&text);
        }
    }
    let many = |network: &str, count| [SDP, format!("{network}\r\n").repeat(count).as_bytes()].concat();
    for (network, count) in [
        ("a=x", 300),
        ("m=audio 1 RTP/AVP 0", 17),
        ("x=", 2_000),
        ("m=audio é RTP/AVP 0", 1),
        ("m=audio 1 RTP/AVP \0", 1),
        ("m=audio 65536 RTP/AVP 0", 1),
    ] {
        assert!(
            matches!(negotiate::answer(&many(network, count), &local), Err(negotiate::OfferAnswerError::Malformed(_))),
            "{network}"
        );
    }
    let formats =
        format!("v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 1 RTP/AVP 0\r\nm=video 1 RTP/AVP{}\r\n", " 96".repeat(5_000));
    assert!(negotiate::answer(formats.as_bytes(), &local).unwrap().1.len() < 1_000);
}

#[test]
fn every_field_of_a_challenge_and_its_answer() {
    let ours = DigestCredentials { username: "u".into(), password: "not in here".into() };
    let keyed = |input: &[u8]| format!("{:x}", input.len());
    for (name, usual) in HEADERS.iter().filter(|(name, _)| name.contains("Auth")) {
        for (way, values) in mutations(usual.as_bytes()) {
            for value in values {
                let text = String::from_utf8_lossy(&value);
                let _ = DigestClaim::from_header(&text);
                assert!(
                    !matches!(verify(&text, &ours, "r", "INVITE", 10, keyed), DigestCheck::Verified(_)),
                    "{name}: {way}"
                );
                if let Some(challenge) = DigestChallenge::parse(&text) {
                    let value = DigestClientSession::new(challenge, "c".into()).authorize(&ours, "INVITE", "sip:h");
                    assert_eq!(
                        DigestClaim::from_header(&value).map(|claim| claim.username).as_deref(),
                        Some("u"),
                        "{name}: {way}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_byte_of_a_stun_answer() {
    let request = stun::binding_request([7; 12]);
    let mut good = request.to_vec();
    good[..4].copy_from_slice(&[1, 1, 0, 12]);
    good.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]);
    assert!(stun::mapped_address(&good, [7; 12]).is_some());
    for at in 0..good.len() {
        for byte in 0..=u8::MAX {
            let mut bad = good.clone();
            bad[at] = byte;
            let _ = stun::mapped_address(&bad, [7; 12]);
            let _ = stun::mapped_address(&bad[..at], [7; 12]);
            bad.truncate(at.max(20));
            let _ = stun::mapped_address(&bad, [7; 12]);
        }
    }
}
