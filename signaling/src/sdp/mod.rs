//! Session descriptions (RFC 8866) and their offer/answer exchange (RFC 3264) for one audio stream.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod codec;
pub mod crypto;
mod description;
mod media_session;
pub mod negotiate;
pub mod parse;
pub mod print;

pub use description::{
    CertificateFingerprint, DtlsSetup, MediaDescription, MediaDirection, MediaFormat, SessionDescription,
};
