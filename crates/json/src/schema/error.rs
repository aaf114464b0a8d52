//! Faults of schemas and of values.

use super::limits::FAULT_CHARS_MAX;

/// Why a schema is refused, and where. Says which limit it is, and never more than a few hundred characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}{place}", if place.is_empty() { "" } else { ", at " })]
pub struct SchemaError {
    /// JSON pointer; empty for the schema itself.
    pub place: String,
    /// What is wrong, and which limit is exceeded if it is one. Does not repeat the place.
    pub message: String,
}

impl SchemaError {
    pub(super) fn root(message: impl Into<String>) -> Self {
        Self { place: String::new(), message: message.into() }
    }
}

/// A fault of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// JSON pointer to the value at fault; empty for the whole value.
    pub place: String,
    /// What is wrong with that value, in words for its sender; shortened when long.
    pub message: String,
}

/// The beginning of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(FAULT_CHARS_MAX) {
        Some((at, _)) => text.get(..at).map(|start| format!("{start}…")).unwrap_or_default(),
        None => text.to_owned(),
    }
}
