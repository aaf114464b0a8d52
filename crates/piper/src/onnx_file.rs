//! Whether a file can be an ONNX model at all: its outer fields follow each other to the end of the file. The runtime's
//! reader never returns from some files that are none.
//!
//! Format: <https://protobuf.dev/programming-guides/encoding/>, `ModelProto` of <https://github.com/onnx/onnx>.

use crate::error::VoiceError;

/// The field of `ModelProto` that holds the graph.
const GRAPH: u64 = 7;
/// A number takes at most so many bytes.
const VARINT_BYTES_MAX: usize = 10;

/// Refuses a file whose outer fields are broken, or that has no graph.
pub(crate) fn check(file: &[u8]) -> Result<(), VoiceError> {
    let mut rest = file;
    let mut has_graph = false;
    while !rest.is_empty() {
        let field =
            field(&mut rest).ok_or_else(|| VoiceError::Model("the file is broken or no ONNX model".to_owned()))?;
        has_graph |= field == GRAPH;
    }
    if has_graph { Ok(()) } else { Err(VoiceError::Model("the file is no ONNX model: it has no graph".to_owned())) }
}

/// Skips a field and returns its number.
fn field(rest: &mut &[u8]) -> Option<u64> {
    let tag = varint(rest)?;
    let length = match tag & 7 {
        0 => varint(rest).map(|_| 0)?,
        1 => 8,
        2 => varint(rest)?,
        5 => 4,
        _ => return None,
    };
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(tag >> 3).filter(|number| *number > 0)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..VARINT_BYTES_MAX {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7F).checked_shl(place as u32 * 7).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

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
