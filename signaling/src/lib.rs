//! Signalling: the SIP user agent and SDP negotiation.
//!
//! Everything outside [`io`] is a state machine without I/O: bytes, commands and instants go in; bytes, events and the
//! next deadline come out. It knows nothing of sockets, clocks, tasks, RTP, agents and organizations.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod io;
pub mod limits;
pub mod sdp;
pub mod sip;
pub mod stun;
pub mod webrtc;

#[cfg(test)]
mod tests {
    use super::sdp::crypto::{CryptoSuite, SdesKey};
    use super::sdp::negotiate::IceLiteCredentials;
    use super::sip::TokenSource;
    use super::sip::digest::DigestCredentials;
    use super::sip::message::Uri;
    use super::sip::user_agent::HostCredentials;
    use super::webrtc::ice_fragment;

    /// Every type that holds a secret, with its debug output.
    fn debug_outputs(secret: &str) -> Vec<(&'static str, String)> {
        let bytes = |index: usize| secret.as_bytes()[index % secret.len()];
        let digest = DigestCredentials { username: "user".into(), password: secret.into() };
        let host = HostCredentials::of(&Uri::sip(None, "carrier.example", None), digest.clone());
        let ice = IceLiteCredentials { ufrag: *b"01234567", password: std::array::from_fn(bytes) };
        let fragment = ice_fragment::parse(ice_fragment::print("ufrag", &secret.into()).as_bytes()).unwrap();
        let sdes = SdesKey::from_random(CryptoSuite::AeadAes256Gcm, &std::array::from_fn(bytes));
        vec![
            ("digest credentials", format!("{digest:?}")),
            ("digest credentials of a host", format!("{host:?}")),
            ("an ICE fragment", format!("{fragment:?}")),
            ("ICE credentials of a description", format!("{ice:?}")),
            ("an SRTP key of a description", format!("{sdes:?}")),
            ("the seed of tokens", format!("{:?}", TokenSource::new(std::array::from_fn(bytes)))),
        ]
    }

    #[test]
    fn debug_output_does_not_depend_on_secrets() {
        for ((what, one), (_, other)) in debug_outputs("the first one").into_iter().zip(debug_outputs("and another")) {
            assert_eq!(one, other, "{what}");
        }
    }
}
