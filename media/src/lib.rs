//! Media: one call leg as a state machine, from datagrams to audio for STT, and from TTS audio to datagrams.
//!
//! Outside of [`io`] nothing here touches a socket, a clock, a thread or a file. It knows nothing of SIP, providers,
//! agents and organizations.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod audio;
pub mod codec;
pub mod detect;
pub mod frame;
pub mod io;
pub mod jitter;
pub mod leg;
pub mod limits;
pub mod playout;
pub mod record;
pub mod rtp;
pub mod stats;
pub mod transport;
pub mod turn;
pub mod vad;

#[cfg(test)]
mod tests {
    use super::transport::ice::IceLiteAgent;
    use super::transport::srtp::{SrtpKeys, SrtpProfile};
    use super::transport::webrtc::IceCredentials;

    /// Every type that holds a secret, with its debug output.
    fn debug_outputs(secret: &str) -> Vec<(&'static str, String)> {
        let bytes = |index: usize| secret.as_bytes()[index % secret.len()];
        let (send, receive) = (std::array::from_fn(bytes), std::array::from_fn(bytes));
        let agent = IceLiteAgent { ufrag: *b"01234567", password: std::array::from_fn(bytes) };
        let credentials = IceCredentials { ufrag: "ufrag".into(), password: secret.into() };
        vec![
            ("our ICE credentials", format!("{agent:?}")),
            ("ICE credentials of a browser", format!("{credentials:?}")),
            ("SRTP keys", format!("{:?}", SrtpKeys { suite: SrtpProfile::AeadAes128Gcm, send, receive })),
        ]
    }

    #[test]
    fn debug_output_does_not_depend_on_secrets() {
        for ((what, one), (_, other)) in debug_outputs("the first one").into_iter().zip(debug_outputs("and another")) {
            assert_eq!(one, other, "{what}");
        }
    }
}
