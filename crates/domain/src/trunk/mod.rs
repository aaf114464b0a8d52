//! A SIP trunk: where calls go, where they may come from, who we are there.

mod document;
mod fields;
mod media;
mod modes;
mod numbers;
mod outbound_proxy;
#[cfg(test)]
mod tests;

pub use document::Trunk;
pub use fields::{ALLOWED_ADDRESSES_MAX, CODECS, DESTINATIONS_MAX, TARGETS_MAX, TrunkFields, TrunkTarget};
pub use media::TrunkMedia;
pub use modes::{IdentityHeader, InboundDigest, SrtpKeying, SrtpPolicy, TrunkTransport};
pub use outbound_proxy::{OUTBOUND_PROXY_BYTES_MAX, OutboundProxy};
