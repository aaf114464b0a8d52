//! Any text as a challenge and as credentials: no panics, and no authentication without the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trunkline_signaling::sip::digest::{Challenge, Check, Claim, ClientSession, Credentials, verify};

fuzz_target!(|text: &str| {
    let ours = Credentials { username: "u".into(), password: "not in the corpus".into() };
    let _ = Claim::of(text);
    let keyed = |input: &[u8]| format!("{:x}", input.len());
    assert!(!matches!(verify(text, &ours, "r", "INVITE", 10, keyed), Check::Valid(_)));
    if let Some(challenge) = Challenge::parse(text) {
        let value = ClientSession::new(challenge, "c".into()).authorize(&ours, "INVITE", "sip:h");
        assert_eq!(Claim::of(&value).map(|claim| claim.username).as_deref(), Some("u"));
    }
});
