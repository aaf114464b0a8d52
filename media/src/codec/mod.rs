//! Codecs and sample rates.

pub mod g711;
pub mod resample;

pub use g711::Law;
