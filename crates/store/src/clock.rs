//! The clock of row times.

use trunkline_domain::time::UnixMs;

/// Reads the clock for row times; the store is at the edge of the world.
pub fn now() -> UnixMs {
    #[expect(clippy::disallowed_methods, reason = "row times come from the wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as i64)
}
