//! A SIP trunk: where calls go, where they may come from, who we are there.

mod fields;
mod media;
mod stored;
mod target;
#[cfg(test)]
mod tests;
mod validation;

pub use fields::{ALLOWED_ADDRESSES_MAX, DESTINATIONS_MAX, IdentityHeader, TrunkFields};
pub use media::{CODECS, SrtpKeying, SrtpPolicy, TrunkMedia};
pub use stored::Trunk;
pub use target::{OutboundProxy, TARGETS_MAX, TrunkTarget, TrunkTransport};
