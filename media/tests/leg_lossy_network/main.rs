//! One leg in virtual time on a lossy network: caller audio arrives, agent audio is sent on time, and barge-in works.
#![expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alignment;
mod digits;
mod interruptions;
mod line;
mod reference_g711;
mod several_sources;
mod sources;
mod speech;
mod streams;
