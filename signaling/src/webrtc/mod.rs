//! What browsers send to begin and to mend a call (WHIP, RFC 9725): offers and ICE fragments. What is in
//! them for ICE, DTLS and the codecs is read by the media transport.

pub mod fragment;
pub mod offer;
