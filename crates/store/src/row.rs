//! Values between rows and our types.

use super::error::StoreError;
use trunkline_domain::time::UnixMs;

pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// Parses a stored identifier or name; rows are ours, so a failure is corruption.
pub(super) fn parsed<T>(value: Option<T>, what: &str) -> Result<T, StoreError> {
    value.ok_or_else(|| corrupt(what))
}

pub(super) fn document<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Text from outside (headers, transcripts, answers of other servers) as every database stores it: PostgreSQL refuses
/// U+0000, and a call whose row is refused would be neither visible nor billed.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

pub(super) fn storable_or_none(text: Option<&String>) -> Option<String> {
    text.map(|text| storable(text))
}

pub(super) fn unique(error: sqlx::Error, what: &'static str) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Duplicate(what),
        _ => StoreError::Database(error),
    }
}

/// Reads the clock for row times; the store is at the edge of the world.
pub fn now() -> UnixMs {
    #[expect(clippy::disallowed_methods, reason = "row times come from the wall clock")]
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMs(since.as_millis() as i64)
}
