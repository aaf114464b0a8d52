//! Logs, metrics and spans.

pub mod log;
pub mod metrics;

pub use trunkline_call::spans;
