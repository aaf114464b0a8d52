//! WHIP (RFC 9725) input from browsers: SDP offers and ICE fragments. Their ICE, DTLS and codec contents are parsed by
//! the media transport.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod ice_fragment;
pub mod offer;
