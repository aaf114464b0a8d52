//! What carries a leg's packets when it is not plain RTP.

pub mod dtls;
pub mod ice;
pub mod srtp;
pub mod stream;
pub mod webrtc;
