//! Session descriptions (RFC 8866) and their offer/answer exchange (RFC 3264) for one audio stream.
#![cfg_attr(not(test), deny(clippy::string_slice, clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod codec;
pub mod crypto;
mod description;
pub mod host_names;
mod media_session;
pub mod negotiate;
mod offered_formats;
pub mod parse;
pub mod print;

pub use description::{
    CertificateFingerprint, DtlsSetup, IceGeneration, MediaDescription, MediaDirection, MediaFormat, SessionDescription,
};
