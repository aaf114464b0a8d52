//! Frames on the pipes: a length of four bytes (little-endian), a kind, a body. The reader takes pieces of any size.

use super::limits::FRAME_BYTES_MAX;
use std::collections::VecDeque;

/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;

/// A frame: what kind of message, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The kind of message; see [`crate::message`].
    pub kind: u8,
    /// The message without its kind.
    pub body: Vec<u8>,
}

impl Frame {
    /// The bytes on the pipe. A frame that is too long cannot be read by the other side; messages are bounded, so there
    /// is none.
    pub fn encode(&self) -> Vec<u8> {
        let length = (self.body.len() + 1) as u32;
        let mut bytes = Vec::with_capacity(LENGTH_BYTES + 1 + self.body.len());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.push(self.kind);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The bytes are no frames: the pipe cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame without a kind.
    #[error("a frame is empty")]
    Empty,
    /// A length beyond the bound, which text on the pipe looks like as well.
    #[error("a frame of {0} bytes; at most {FRAME_BYTES_MAX} are allowed")]
    TooLong(u32),
    /// The pipe ended within a frame.
    #[error("the pipe ended within a frame")]
    Truncated,
}

/// Reads frames from pieces of a pipe. Holds one frame and one piece at most.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: VecDeque<u8>,
}

impl FrameReader {
    /// Takes a piece of the pipe.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend(piece);
    }

    /// The next whole frame; `None` until more bytes come.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let mut length = [0; LENGTH_BYTES];
        if self.bytes.len() < LENGTH_BYTES {
            return Ok(None);
        }
        for (to, from) in length.iter_mut().zip(&self.bytes) {
            *to = *from;
        }
        let length = u32::from_le_bytes(length);
        match length {
            0 => return Err(FrameError::Empty),
            length if length as usize > FRAME_BYTES_MAX => return Err(FrameError::TooLong(length)),
            length if self.bytes.len() < LENGTH_BYTES + length as usize => return Ok(None),
            _ => {}
        }
        let mut frame = self.bytes.drain(..LENGTH_BYTES + length as usize).skip(LENGTH_BYTES);
        let kind = frame.next().unwrap_or_default();
        let body = frame.collect();
        Ok(Some(Frame { kind, body }))
    }

    /// The pipe has ended: whether that was between two frames.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(FrameError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Frame {
        Frame { kind, body: body.to_vec() }
    }

    #[test]
    fn frames_come_out_of_pieces_of_any_size() {
        let sent = [frame(1, b""), frame(2, b"hello"), frame(3, &[7; 3_000])];
        let bytes: Vec<u8> = sent.iter().flat_map(Frame::encode).collect();
        for size in [1, 2, 3, 5, 7, 1_000, bytes.len()] {
            let mut reader = FrameReader::default();
            let mut read = Vec::new();
            for piece in bytes.chunks(size) {
                reader.push(piece);
                while let Some(frame) = reader.next_frame().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, sent, "pieces of {size} bytes");
            assert_eq!(reader.finish(), Ok(()));
        }
    }

    #[test]
    fn a_pipe_that_ends_within_a_frame_is_told_from_one_that_ends_between_two() {
        let bytes = frame(9, b"abcdef").encode();
        for end in 1..bytes.len() {
            let mut reader = FrameReader::default();
            reader.push(&bytes[..end]);
            assert_eq!(reader.next_frame(), Ok(None), "{end} bytes");
            assert_eq!(reader.finish(), Err(FrameError::Truncated));
        }
    }

    #[test]
    fn garbage_is_refused_before_it_is_stored() {
        let mut reader = FrameReader::default();
        reader.push(b"thread 'main' panicked at");
        assert!(matches!(reader.next_frame(), Err(FrameError::TooLong(_))));
        let mut reader = FrameReader::default();
        reader.push(&[0; 8]);
        assert_eq!(reader.next_frame(), Err(FrameError::Empty));
        let mut reader = FrameReader::default();
        reader.push(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
        assert_eq!(reader.next_frame(), Err(FrameError::TooLong(FRAME_BYTES_MAX as u32 + 1)));
        let mut longest = FrameReader::default();
        longest.push(&(FRAME_BYTES_MAX as u32).to_le_bytes());
        assert_eq!(longest.next_frame(), Ok(None), "the longest frame is waited for");
    }
}
