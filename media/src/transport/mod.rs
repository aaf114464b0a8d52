//! Transports and security of media: DTLS, ICE, SRTP, RFC 4571 framing, WebRTC.

pub mod dtls;
pub mod ice;
pub mod srtp;
pub mod tcp_framing;
pub mod webrtc;
