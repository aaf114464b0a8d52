//! What the schemas of one document may cost together.

use super::error::SchemaError;
use super::limits::{DOCUMENT_PATTERN_BYTES_MAX, DOCUMENT_PATTERNS_MAX, DOCUMENT_TEXT_BYTES_MAX, DOCUMENT_VALUES_MAX};

/// What is left for the schemas of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaBudget {
    values: usize,
    text_bytes: usize,
    patterns: usize,
    pattern_bytes: usize,
}

impl Default for SchemaBudget {
    fn default() -> Self {
        Self {
            values: DOCUMENT_VALUES_MAX,
            text_bytes: DOCUMENT_TEXT_BYTES_MAX,
            patterns: DOCUMENT_PATTERNS_MAX,
            pattern_bytes: DOCUMENT_PATTERN_BYTES_MAX,
        }
    }
}

impl SchemaBudget {
    fn spend(left: &mut usize, spent: usize, what: impl FnOnce() -> String) -> Result<(), SchemaError> {
        *left = left.checked_sub(spent).ok_or_else(|| SchemaError::root(what()))?;
        Ok(())
    }

    pub(super) fn spend_values(&mut self, values: usize, bytes: usize) -> Result<(), SchemaError> {
        let all = "all schemas together have more than";
        Self::spend(&mut self.values, values, || format!("{all} {DOCUMENT_VALUES_MAX} values"))?;
        Self::spend(&mut self.text_bytes, bytes, || format!("{all} {DOCUMENT_TEXT_BYTES_MAX} bytes of text"))
    }

    pub(super) fn spend_patterns(&mut self, patterns: usize, bytes: usize) -> Result<(), SchemaError> {
        let all = "all schemas together have more than";
        Self::spend(&mut self.patterns, patterns, || format!("{all} {DOCUMENT_PATTERNS_MAX} patterns"))?;
        Self::spend(&mut self.pattern_bytes, bytes, || {
            format!("the patterns of all schemas together take more than {DOCUMENT_PATTERN_BYTES_MAX} bytes")
        })
    }
}

/// What is done with patterns that need backtracking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPolicy {
    /// The schema is refused: it is being saved, and can be changed.
    None,
    /// They are not checked: the schema was saved before they were refused, or comes from a third party.
    SkipBacktracking,
}
