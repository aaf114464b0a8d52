//! Bytes of the wire as text and back. Bytes that are not UTF-8 and control characters are mapped to private-use
//! characters, so that they are echoed exactly but never appear as control characters in names, numbers or logs.

use std::borrow::Cow;

/// U+F700 to U+F7FF stand for the bytes 0x00 to 0xFF.
const HIDDEN: u32 = 0xF700;
/// First UTF-8 byte of the private range.
const LEAD: u8 = 0xEF;

fn escape_byte(byte: u8) -> char {
    char::from_u32(HIDDEN | u32::from(byte)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn is_escaped(c: char) -> bool {
    u32::from(c) & !0xFF == HIDDEN
}

/// True for an escaped control character.
pub fn is_escaped_control(c: char) -> bool {
    matches!(c, '\u{F700}'..='\u{F71F}' | '\u{F77F}')
}

/// Private-use characters written by the sender are escaped byte by byte.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control() && byte != LEAD)
}

/// Bytes as text. A CR without its LF is no line end (RFC 3261 section 7); it is read as the white space it is written
/// as, so that both sides of us see the same value.
pub fn decode_wire(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && is_plain(text)
    {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len().saturating_add(16));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(b'\t') => text.push(c),
                Ok(b'\r' | b'\n') => text.push(' '),
                Ok(byte) if byte.is_ascii_control() => text.push(escape_byte(byte)),
                _ if is_escaped(c) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(escape_byte)),
                _ => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape_byte));
    }
    Cow::Owned(text)
}

/// The bytes that a text was read from. An escaped line end is written as a space, because it would end the header.
pub fn encode_wire(text: String) -> Vec<u8> {
    if !text.as_bytes().contains(&LEAD) {
        return text.into_bytes();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c) ^ HIDDEN) {
            Ok(b'\r' | b'\n') => bytes.push(b' '),
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_round_trips() {
        let every: Vec<u8> = (0..=u8::MAX).filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        for bytes in [&every[..], "é\u{F700}\u{F78A}\u{F7FF}\u{F800}ﬀ".as_bytes(), b"plain\t", b"\xEF\x9C", b""] {
            let text = decode_wire(bytes);
            assert!(text.chars().all(|c| c == '\t' || !c.is_ascii_control()), "{text:?}");
            assert_eq!(encode_wire(text.into_owned()), bytes);
        }
    }

    #[test]
    fn escaped_line_end_is_written_as_space() {
        assert_eq!(encode_wire("a\u{F70A}b\u{F70D}c".to_owned()), b"a b c");
        assert_eq!(decode_wire(b"a\rb"), "a b");
    }
}
