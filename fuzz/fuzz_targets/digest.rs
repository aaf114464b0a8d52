//! Any text as a challenge and as credentials: no panics, and no authentication without the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::digest::{
    DigestChallenge, DigestCheck, DigestClaim, DigestClientSession, DigestCredentials, verify,
};

fuzz_target!(|text: &str| {
    let ours = DigestCredentials { username: "u".into(), password: "not in the corpus".into() };
    let _ = DigestClaim::from_header(text);
    let keyed = |input: &[u8]| format!("{:x}", input.len());
    assert!(!matches!(verify(text, &ours, "r", "INVITE", 10, keyed), DigestCheck::Verified(_)));
    if let Some(challenge) = DigestChallenge::parse(text) {
        let value = DigestClientSession::new(challenge, "c".into()).authorize(&ours, "INVITE", "sip:h");
        assert_eq!(DigestClaim::from_header(&value).map(|claim| claim.username).as_deref(), Some("u"));
    }
});
