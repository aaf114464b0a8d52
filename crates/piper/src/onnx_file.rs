//! Whether a file can be an ONNX model at all: its outer fields follow each other to the end of the file. The runtime's
//! reader never returns from some files that are none.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>, `ModelProto` of <https://github.com/onnx/onnx>.

use crate::error::VoiceError;
use std::io::{BufReader, Read, Seek};

/// The field of `ModelProto` that holds the graph.
const GRAPH: u64 = 7;
/// A number takes at most so many bytes.
const VARINT_BYTES_MAX: usize = 10;

/// Refuses a file of so many bytes whose outer fields are broken, or that has no graph. Reads what stands between the
/// fields, and not the weights.
pub(crate) fn check(file: impl Read + Seek, bytes: u64) -> Result<(), VoiceError> {
    let mut fields = Fields { file: BufReader::with_capacity(64, file), left: bytes };
    let mut has_graph = false;
    while fields.left > 0 {
        let field = fields.skip().ok_or_else(|| VoiceError::Model("the file is broken or no ONNX model".to_owned()))?;
        has_graph |= field == GRAPH;
    }
    if has_graph { Ok(()) } else { Err(VoiceError::Model("the file is no ONNX model: it has no graph".to_owned())) }
}

/// What is left of a file.
struct Fields<F> {
    file: BufReader<F>,
    left: u64,
}

impl<F: Read + Seek> Fields<F> {
    /// Skips a field and returns its number.
    fn skip(&mut self) -> Option<u64> {
        let tag = self.varint()?;
        let length = match tag & 7 {
            0 => self.varint().map(|_| 0)?,
            1 => 8,
            2 => self.varint()?,
            5 => 4,
            _ => return None,
        };
        self.left = self.left.checked_sub(length)?;
        self.file.seek_relative(i64::try_from(length).ok()?).ok()?;
        Some(tag >> 3).filter(|number| *number > 0)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for place in 0..VARINT_BYTES_MAX {
            let mut byte = [0];
            self.left = self.left.checked_sub(1)?;
            self.file.read_exact(&mut byte).ok()?;
            let [byte] = byte;
            value |= u64::from(byte & 0x7F).checked_shl(place as u32 * 7).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn check(file: &[u8]) -> Result<(), VoiceError> {
        super::check(Cursor::new(file), file.len() as u64)
    }

    #[test]
    fn outer_fields_have_to_reach_the_end() {
        let whole = [0x08, 8, 0x12, 2, b'h', b'i', 0x3A, 3, 1, 2, 3];
        assert!(check(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(check(&whole[..end]).is_err(), "cut at {end}");
        }
        for wrong in [&[0xFF; 40][..], &[0x3A, 200, 1], b"<!DOCTYPE html>", &[0x3B, 0], &[0x02, 0], b""] {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        let endless = [0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];
        assert!(check(&endless).is_err(), "longer than the memory");
    }
}
