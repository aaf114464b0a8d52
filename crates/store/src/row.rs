//! Columns: how they are read and written.

use super::error::{StoreError, corrupt};

/// Parses a stored identifier or name; rows are ours, so a failure is corruption.
pub(super) fn parsed<T>(value: Option<T>, what: &str) -> Result<T, StoreError> {
    value.ok_or_else(|| corrupt(what))
}

/// A column of JSON.
pub(super) fn document<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The JSON for a column.
pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Text from outside (headers, transcripts, answers of other servers) as every database stores it: PostgreSQL refuses
/// U+0000, and a call whose row is refused would be neither visible nor billed.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

/// The same of a text that may be missing.
pub(super) fn storable_or_none(text: Option<&String>) -> Option<String> {
    text.map(|text| storable(text))
}
