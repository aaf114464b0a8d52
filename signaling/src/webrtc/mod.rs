//! What browsers send to begin and to mend a call (WHIP, RFC 9725): offers and ICE fragments. What is in
//! them for ICE, DTLS and the codecs is read by the media transport.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod fragment;
pub mod offer;
