//! Reads and writes the bodies of messages. Nothing beyond its bound is written or read.

use crate::frame::Frame;

/// A frame that is no message of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The body ends too early.
    #[error("a message ends too early")]
    Truncated,
    /// The body goes on after its last field.
    #[error("a message has bytes after its end")]
    TrailingBytes,
    /// A hello that does not begin as ours does.
    #[error("another program is at the end of the pipe")]
    NotOurs,
    /// A kind of message that this side does not read.
    #[error("unknown kind of message {0:#04x}")]
    UnknownKind(u8),
    /// A field beyond its bound.
    #[error("{0} beyond the limit")]
    TooLong(&'static str),
    /// A text that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// A field with a value that is not defined.
    #[error("unknown value of {0}")]
    UnknownValue(&'static str),
}

/// Writes one message.
pub(super) struct BodyWriter(Frame);

impl BodyWriter {
    pub(super) fn new(kind: u8) -> Self {
        Self(Frame { kind, body: Vec::new() })
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.0.body.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.0.body.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.body.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.body.extend_from_slice(&value.to_le_bytes());
    }

    /// A text beyond the bound is cut between two characters.
    pub(super) fn text(&mut self, text: &str, bytes_max: usize) {
        let text = &text[..text.floor_char_boundary(bytes_max)];
        self.u32(text.len() as u32);
        self.0.body.extend_from_slice(text.as_bytes());
    }

    /// Samples beyond the bound are left out.
    pub(super) fn samples(&mut self, samples: &[i16], count_max: usize) {
        let samples = samples.get(..count_max).unwrap_or(samples);
        self.u32(samples.len() as u32);
        self.0.body.reserve(samples.len() * 2);
        self.0.body.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    }

    pub(super) fn finish(self) -> Frame {
        self.0
    }
}

/// Reads one message.
pub(super) struct BodyReader<'a>(&'a [u8]);

impl<'a> BodyReader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], MessageError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MessageError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], MessageError> {
        self.take(N)?.try_into().map_err(|_| MessageError::Truncated)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MessageError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, MessageError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, MessageError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, MessageError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self, bytes_max: usize, field: &'static str) -> Result<String, MessageError> {
        let length = self.u32()? as usize;
        if length > bytes_max {
            return Err(MessageError::TooLong(field));
        }
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| MessageError::NotText(field))?;
        Ok(text.to_owned())
    }

    pub(super) fn samples(&mut self, count_max: usize) -> Result<Vec<i16>, MessageError> {
        let count = self.u32()? as usize;
        if count > count_max {
            return Err(MessageError::TooLong("audio"));
        }
        let (pairs, _) = self.take(count * 2)?.as_chunks::<2>();
        Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
    }

    pub(super) fn skip_rest(&mut self) {
        self.0 = &[];
    }

    /// The message, if nothing is left of the body.
    pub(super) fn finish<T>(self, message: T) -> Result<T, MessageError> {
        if self.0.is_empty() { Ok(message) } else { Err(MessageError::TrailingBytes) }
    }
}
