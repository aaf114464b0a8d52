//! The fuzz corpus, replayed on every change, and each entry damaged a little in every place.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/random_events.rs"]
mod random_events;

use std::path::PathBuf;
use trunkline_signaling::sdp::negotiate::{self, LocalMedia, SdpCodec, SrtpMode};
use trunkline_signaling::sip::digest::{
    DigestChallenge, DigestCheck, DigestClaim, DigestClientSession, DigestCredentials, verify,
};
use trunkline_signaling::sip::message::framing::{Framed, Framer};
use trunkline_signaling::sip::message::parse::{self, ParsedMessage};
use trunkline_signaling::sip::message::peek::HeaderPeek;
use trunkline_signaling::sip::message::{SipMessage, print};
use trunkline_signaling::stun;
use trunkline_signaling::webrtc::{ice_fragment, offer};

fn corpus(folder: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3);
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The entry itself, and with one byte gone, changed or doubled.
fn damaged(entry: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let variants = (0..entry.len()).flat_map(move |at| {
        let mut gone = entry.to_vec();
        gone.remove(at);
        let mut doubled = entry.to_vec();
        doubled.insert(at, entry[at]);
        let changed = [0u8, b'\n', b':', b'"', 0xFF].map(|byte| {
            let mut changed = entry.to_vec();
            changed[at] = byte;
            changed
        });
        [gone, doubled].into_iter().chain(changed)
    });
    std::iter::once(entry.to_vec()).chain(variants)
}

#[test]
fn sip_messages_never_panic_and_what_parses_prints_and_parses_again() {
    for entry in corpus("sip/corpus") {
        for bytes in damaged(&entry) {
            let mut framer = Framer::default();
            framer.push(&bytes);
            while framer.next().is_some_and(|framed| matches!(framed, Framed::Complete(_))) {}
            let _ = HeaderPeek::of_datagram(&bytes);
            if let ParsedMessage::Message(SipMessage::Request(request)) = parse::datagram(&bytes) {
                let again = parse::datagram(&print::request(&request));
                assert!(matches!(again, ParsedMessage::Message(_)), "{:?} {again:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
}

#[test]
fn session_descriptions_never_panic() {
    let addr = "192.0.2.1".parse().unwrap();
    let local = LocalMedia {
        addr,
        port: 30_000,
        codecs: SdpCodec::ALL.to_vec(),
        ptime_ms: 20,
        srtp: SrtpMode::Preferred,
        keying: negotiate::KeyExchange::Sdes,
        fingerprint: Some([2; 32]),
        ice: Some(negotiate::IceLiteCredentials { ufrag: *b"01234567", password: [b'p'; 32] }),
        keys: [[1; 46]; 2],
        session_id: 1,
        session_version: 1,
        association: 0,
        standing: None,
    };
    for entry in corpus("sdp/corpus") {
        for bytes in damaged(&entry) {
            let _ = negotiate::answer(&bytes, &local);
            let _ = negotiate::accept_answer(&bytes, &local);
        }
    }
}

#[test]
fn browsers_offers_and_fragments_never_panic() {
    for entry in corpus("webrtc/corpus") {
        for bytes in damaged(&entry) {
            let _ = offer::validate(&bytes);
            let _ = ice_fragment::parse(&bytes);
        }
    }
}

#[test]
fn random_events_leave_a_user_agent_as_it_was() {
    for entry in corpus("sip/random_events") {
        random_events::run(&entry);
    }
}

#[test]
fn mutated_authorization_is_rejected() {
    let ours = DigestCredentials { username: "u".into(), password: "not in the corpus".into() };
    for entry in corpus("sip/digest") {
        for bytes in damaged(&entry) {
            let text = String::from_utf8_lossy(&bytes);
            let keyed = |input: &[u8]| format!("{:x}", input.len());
            assert!(!matches!(verify(&text, &ours, "r", "INVITE", 10, keyed), DigestCheck::Verified(_)), "{text}");
            if let Some(challenge) = DigestChallenge::parse(&text) {
                let value = DigestClientSession::new(challenge, "c".into()).authorize(&ours, "INVITE", "sip:h");
                assert_eq!(DigestClaim::from_header(&value).map(|claim| claim.username).as_deref(), Some("u"));
            }
        }
    }
}

#[test]
fn answers_of_stun_servers_never_panic() {
    for entry in corpus("stun/corpus") {
        for bytes in damaged(&entry) {
            let transaction: [u8; 12] = bytes.get(8..20).and_then(|t| t.try_into().ok()).unwrap_or_default();
            let _ = stun::mapped_address(&bytes, transaction);
        }
    }
}
