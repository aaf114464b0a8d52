//! JSON texts of strangers, read into a value within bounds.
//!
//! A text is looked through once before it is read: values take many times the memory of their text, and what works on
//! a value afterwards (merging, printing, dropping) recurses on its depth.

use serde_json::Value;

/// Bounds of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentLimits {
    /// Bytes of the text.
    pub bytes_max: usize,
    /// Objects and arrays inside of each other.
    pub depth_max: usize,
    /// Values, names of members not counted.
    pub values_max: usize,
}

/// Why a document is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The text, or the names and texts of the value, exceed this many bytes (`bytes_max`).
    #[error("is larger than {0} bytes")]
    TooLarge(usize),
    /// Objects and arrays are nested deeper than this many levels (`depth_max`).
    #[error("is nested more than {0} levels deep")]
    TooDeep(usize),
    /// The document has more than this many values (`values_max`).
    #[error("has more than {0} values")]
    TooManyValues(usize),
    /// Not JSON, and where.
    #[error("is not valid JSON: {0}")]
    Invalid(String),
}

impl DocumentLimits {
    /// Reads a text.
    pub fn parse(&self, text: &[u8]) -> Result<Value, DocumentError> {
        self.check_text(text)?;
        serde_json::from_slice(text).map_err(|error| DocumentError::Invalid(error.to_string()))
    }

    /// Whether a text is within the bounds, without reading it. What is not JSON may pass.
    pub fn check_text(&self, text: &[u8]) -> Result<(), DocumentError> {
        if text.len() > self.bytes_max {
            return Err(DocumentError::TooLarge(self.bytes_max));
        }
        let (mut depth, mut commas, mut opened) = (0_usize, 0_usize, 0_usize);
        let (mut in_string, mut escaped) = (false, false);
        for byte in text {
            if in_string {
                in_string = escaped || *byte != b'"';
                escaped = !escaped && *byte == b'\\';
                continue;
            }
            match byte {
                b'"' => in_string = true,
                b'[' | b'{' => {
                    depth += 1;
                    opened += 1;
                    if depth > self.depth_max {
                        return Err(DocumentError::TooDeep(self.depth_max));
                    }
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b',' => commas += 1,
                _ => {}
            }
            // A container is a value, and each value but a container's first follows a comma: never fewer than there are
            // but for one in each container that has no other.
            if commas + opened > self.values_max {
                return Err(DocumentError::TooManyValues(self.values_max));
            }
        }
        Ok(())
    }

    /// Whether a value is within the bounds of depth and number; `bytes_max` counts names and texts.
    pub fn check(&self, value: &Value) -> Result<(), DocumentError> {
        let (mut values, mut bytes) = (0_usize, 0_usize);
        let mut waiting = vec![(value, 1_usize)];
        while let Some((value, depth)) = waiting.pop() {
            values += 1;
            if values > self.values_max {
                return Err(DocumentError::TooManyValues(self.values_max));
            }
            let is_container = value.is_object() || value.is_array();
            if is_container && depth > self.depth_max {
                return Err(DocumentError::TooDeep(self.depth_max));
            }
            match value {
                Value::String(text) => bytes = bytes.saturating_add(text.len()),
                Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
                Value::Object(members) => {
                    bytes = members.keys().fold(bytes, |sum, name| sum.saturating_add(name.len()));
                    waiting.extend(members.values().map(|value| (value, depth + 1)));
                }
                _ => {}
            }
            if bytes > self.bytes_max {
                return Err(DocumentError::TooLarge(self.bytes_max));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LIMITS: DocumentLimits = DocumentLimits { bytes_max: 1_000, depth_max: 4, values_max: 10 };

    #[test]
    fn a_document_is_read_up_to_its_bounds() {
        assert_eq!(
            LIMITS.parse(br#"{"a":[1,"[[[[[[,,,,,,,,,,\"",{}]}"#),
            Ok(json!({"a": [1, "[[[[[[,,,,,,,,,,\"", {}]}))
        );
        assert_eq!(LIMITS.parse(b"[[[[]]]]").map(|_| ()), Ok(()));
        assert_eq!(LIMITS.parse(b"[[[[[]]]]]"), Err(DocumentError::TooDeep(4)));
        assert_eq!(LIMITS.parse(b"[1,2,3,4,5,6,7,8,9]").map(|_| ()), Ok(()));
        assert_eq!(LIMITS.parse(b"[1,2,3,4,5,6,7,8,9,10,11]"), Err(DocumentError::TooManyValues(10)));
        assert_eq!(LIMITS.parse(&[b' '; 1_001]), Err(DocumentError::TooLarge(1_000)));
        assert!(matches!(LIMITS.parse(b"{"), Err(DocumentError::Invalid(_))));
    }

    #[test]
    fn nested_brackets_do_not_recurse() {
        let wide = DocumentLimits { bytes_max: 10_000_000, depth_max: 100, values_max: 1_000_000 };
        for bracket in ["[", "{\"a\":", "[{\"\":"] {
            let text = bracket.repeat(500_000);
            assert_eq!(wide.parse(text.as_bytes()), Err(DocumentError::TooDeep(100)));
        }
        let many = format!("[{}]", "[],".repeat(1_000_000));
        assert_eq!(wide.parse(many.as_bytes()), Err(DocumentError::TooManyValues(1_000_000)));
    }

    #[test]
    fn values_are_counted_as_their_text_is() {
        assert_eq!(LIMITS.check(&json!([[[[]]]])), Ok(()));
        assert_eq!(LIMITS.check(&json!([[[[[]]]]])), Err(DocumentError::TooDeep(4)));
        assert_eq!(LIMITS.check(&json!([1, 2, 3, 4, 5, 6, 7, 8, 9])), Ok(()));
        assert_eq!(LIMITS.check(&json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])), Err(DocumentError::TooManyValues(10)));
        assert_eq!(LIMITS.check(&json!({"a": "x".repeat(1_000)})), Err(DocumentError::TooLarge(1_000)));
    }
}
