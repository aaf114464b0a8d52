//! Messages on a stream: one ends where its Content-Length says (RFC 3261 section 18.3). What is kept of a stream is
//! never more than one message of the largest size and one read.

use super::parse::{self, ParsedMessage};
use super::{Method, Request, SipMessage};
use crate::limits;
use crate::sip::message_log::MessageExcerpt;

/// A double CRLF (RFC 5626 section 3.5.1).
const PING_BYTES: usize = 4;

/// What is at the front of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// One message or keep-alive; its bytes are consumed.
    Complete(ParsedMessage),
    /// The stream cannot be read any further and must be closed after answering `Parsed`, if it can be answered.
    Unreadable(ParsedMessage),
}

/// Splits a stream into messages in linear time, however small the received chunks are.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// Position up to which no end of headers was found.
    searched: usize,
    head: Option<FramedHead>,
    /// Bytes of line ends since the last message or ping, which may come in pieces.
    line_ends: usize,
    /// Of the message that came last, until it is taken.
    excerpt: MessageExcerpt,
}

/// A header block that is complete.
#[derive(Clone, Copy, Debug)]
struct FramedHead {
    /// Without and with the empty line.
    headers: usize,
    body_at: usize,
    end: usize,
}

/// Error in Content-Length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LengthError {
    /// Not one number of digits.
    Malformed,
    TooLarge,
}

impl Framer {
    /// Takes what arrived. Call [`Framer::next`] until there is nothing more, so that at most one message is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing has come for a while: line ends from before belong to another keep-alive.
    pub fn record_pause(&mut self) {
        self.line_ends = 0;
    }

    /// The message that [`Framer::next`] returned, as it came. Empty for a keep-alive, and for headers without an end.
    pub fn take_excerpt(&mut self) -> MessageExcerpt {
        std::mem::take(&mut self.excerpt)
    }

    /// Nothing of a message has come yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next message or keep-alive; `None` when more bytes are needed.
    #[expect(clippy::should_implement_trait, reason = "an end of input is not an end of the stream")]
    pub fn next(&mut self) -> Option<Framed> {
        if self.bytes.is_empty() {
            return None;
        }
        if let Some(head) = self.head {
            return self.finish(head);
        }
        let leading = self.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
        if leading > 0 {
            self.consume(leading);
            let line_ends = self.line_ends.saturating_add(leading);
            let ping = line_ends >= PING_BYTES;
            self.line_ends = if ping { 0 } else { line_ends };
            return Some(Framed::Complete(ParsedMessage::KeepAlive { ping }));
        }
        let Some((headers, body_at)) = self.end_of_headers() else {
            let too_large = self.bytes.len() > limits::MESSAGE_BYTES_MAX;
            return too_large.then_some(Framed::Unreadable(ParsedMessage::Unparseable("headers too large")));
        };
        let block = self.bytes.get(..headers).unwrap_or_default();
        let end = content_length(block).and_then(|length| {
            let end = body_at.checked_add(length).filter(|end| *end <= limits::MESSAGE_BYTES_MAX);
            end.ok_or(LengthError::TooLarge)
        });
        match end {
            Ok(end) => {
                let head = FramedHead { headers, body_at, end };
                self.head = Some(head);
                self.finish(head)
            }
            Err(LengthError::TooLarge) => Some(Framed::Unreadable(refused(block, 513, "Message Too Large"))),
            Err(LengthError::Malformed) => Some(Framed::Unreadable(refused(block, 400, "Malformed Content-Length"))),
        }
    }

    fn finish(&mut self, head: FramedHead) -> Option<Framed> {
        let (headers, body) = (self.bytes.get(..head.headers)?, self.bytes.get(head.body_at..head.end)?);
        let parsed = parse::message(headers, body);
        self.excerpt = MessageExcerpt::of(self.bytes.get(..head.end).unwrap_or_default());
        self.consume(head.end);
        self.line_ends = 0;
        Some(Framed::Complete(parsed))
    }

    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        (self.searched, self.head) = (0, None);
    }

    /// Where the headers end and the body begins; looks only at what it has not seen before.
    fn end_of_headers(&mut self) -> Option<(usize, usize)> {
        while let Some(found) = self.bytes.get(self.searched..)?.iter().position(|byte| *byte == b'\n') {
            let next = self.searched.saturating_add(found).saturating_add(1);
            match self.bytes.get(next..)? {
                [b'\n', ..] => return Some((next, next.saturating_add(1))),
                [b'\r', b'\n', ..] => return Some((next, next.saturating_add(2))),
                // More bytes are needed: examine this line end again.
                [] | [b'\r'] => {
                    self.searched = next.saturating_sub(1);
                    return None;
                }
                _ => self.searched = next,
            }
        }
        self.searched = self.bytes.len();
        None
    }
}

/// A request that ends the stream, with the answer it gets.
fn refused(headers: &[u8], status: u16, reason: &'static str) -> ParsedMessage {
    match parse::message(headers, &[]) {
        // Nothing answers it, and its call goes on elsewhere.
        ParsedMessage::Message(SipMessage::Request(ack)) if ack.method == Method::Ack => {
            ParsedMessage::Message(SipMessage::Request(ack))
        }
        ParsedMessage::Message(SipMessage::Request(Request { method, headers, .. }))
        | ParsedMessage::Invalid { method, headers, .. } => {
            ParsedMessage::Invalid { method, headers, status, reason: reason.into() }
        }
        ParsedMessage::Message(SipMessage::Response(_))
        | ParsedMessage::KeepAlive { .. }
        | ParsedMessage::Unparseable(_) => ParsedMessage::Unparseable("message with an invalid Content-Length"),
    }
}

/// Content-Length of a header block, folded lines included. Absent counts as zero. Two of them, even with one value,
/// are refused: otherwise two implementations could frame the stream differently.
fn content_length(headers: &[u8]) -> Result<usize, LengthError> {
    let mut value: Option<Vec<u8>> = None;
    let mut is_continued = false;
    for line in headers.split(|byte| *byte == b'\n').skip(1) {
        if let Some(b' ' | b'\t') = line.first() {
            if let Some(value) = value.as_mut().filter(|_| is_continued) {
                value.push(b' ');
                value.extend_from_slice(line);
            }
            continue;
        }
        is_continued = false;
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (Some(name), Some(rest)) = (parts.next(), parts.next()) else { continue };
        let name = name.trim_ascii_end();
        if name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l") {
            if value.is_some() {
                return Err(LengthError::Malformed);
            }
            (value, is_continued) = (Some(rest.to_vec()), true);
        }
    }
    let Some(value) = value else { return Ok(0) };
    parse::length(std::str::from_utf8(&value).unwrap_or("")).ok_or(LengthError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
        Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@h>\r\n";

    fn invite(extra: &str, body: &str) -> String {
        format!("INVITE sip:b@h SIP/2.0\r\n{HEAD}{extra}\r\n{body}")
    }

    /// Statuses of what comes out (0: taken, 1: keep-alive, 2: garbage), and whether the stream broke.
    fn read(wire: &[u8], piece: usize) -> (Vec<u16>, bool) {
        let (mut framer, mut found) = (Framer::default(), vec![]);
        let kind = |parsed: &ParsedMessage| match parsed {
            ParsedMessage::Message(_) => 0,
            ParsedMessage::KeepAlive { .. } => 1,
            ParsedMessage::Unparseable(_) => 2,
            ParsedMessage::Invalid { status, .. } => *status,
        };
        for bytes in wire.chunks(piece) {
            framer.push(bytes);
            assert!(framer.bytes.len() <= limits::MESSAGE_BYTES_MAX + piece);
            while let Some(framed) = framer.next() {
                match framed {
                    Framed::Complete(parsed) => found.push(kind(&parsed)),
                    Framed::Unreadable(parsed) => {
                        found.push(kind(&parsed));
                        return (found, true);
                    }
                }
            }
        }
        (found, false)
    }

    #[test]
    fn messages_are_reassembled_from_any_chunks() {
        let one = invite("Content-Length: 3\r\n", "abc");
        let bare = invite("l : 0003\r\n", "a\n\n").replace("\r\n", "\n");
        let folded = invite("Content-Length:\r\n 3\r\n", "a\r\n");
        let wire = format!("\r\n\r\n{one}{bare}\r\n{folded}{one}");
        for piece in 1..wire.len() {
            let (found, broken) = read(wire.as_bytes(), piece);
            let messages: Vec<u16> = found.into_iter().filter(|kind| *kind != 1).collect();
            assert_eq!((messages, broken), (vec![0, 0, 0, 0], false), "in chunks of {piece}");
        }
    }

    /// RFC 5626 section 3.5.1: every double CRLF is a ping, wherever a segment ends.
    #[test]
    fn a_ping_is_found_in_any_pieces_before_between_and_behind_messages() {
        let message = invite("Content-Length: 0\r\n", "");
        let pings = |pieces: &[&str]| {
            let mut framer = Framer::default();
            let (mut pings, mut messages) = (0, 0);
            for piece in pieces {
                if *piece == "pause" {
                    framer.record_pause();
                    continue;
                }
                framer.push(piece.as_bytes());
                while let Some(framed) = framer.next() {
                    match framed {
                        Framed::Complete(ParsedMessage::KeepAlive { ping }) => pings += usize::from(ping),
                        Framed::Complete(ParsedMessage::Message(_)) => messages += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            (pings, messages)
        };
        for ping in [&["\r\n\r\n"][..], &["\r\n", "\r\n"], &["\r", "\n\r", "\n"], &["\r\n\r", "\n"]] {
            assert_eq!(pings(ping), (1, 0), "{ping:?}");
            let between = [&[message.as_str()][..], ping, &[message.as_str()], ping].concat();
            assert_eq!(pings(&between), (2, 2), "{ping:?}");
            assert_eq!(pings(&[ping, ping, ping].concat()), (3, 0), "{ping:?}");
        }
        assert_eq!(pings(&["\r\n", "pause", "\r\n", "pause", "\r\n"]), (0, 0), "single ones are pongs");
        assert_eq!(pings(&["\r\n", &message, "\r\n"]), (0, 1), "the end of one message and the begin of another");
    }

    #[test]
    fn invalid_content_length_ends_the_stream_with_answer() {
        for (value, wanted) in [
            ("18446744073709551615", 513),
            ("18446744073709551616", 513),
            ("99999999999999999999999999999999", 513),
            ("9223372036854775807", 513),
            ("65535", 513),
            ("-1", 400),
            ("+5", 400),
            ("5 5", 400),
            ("5, 5", 400),
            ("0x5", 400),
            ("5.0", 400),
            ("\u{665}", 400),
            ("", 400),
            ("5\r\nContent-Length: 5", 400),
            ("5\r\nl: 6", 400),
            ("5\r\n 5", 400),
        ] {
            for piece in [1, 7, 65_536] {
                let wire = invite(&format!("Content-Length: {value}\r\n"), "abcde");
                assert_eq!(read(wire.as_bytes(), piece), (vec![wanted], true), "{value:?}");
            }
        }
        // Zeros in front are digits. What is too long for a header is refused, and the next message is found all the same.
        for (zeros, wanted) in [(10_000, 0), (40_000, 400)] {
            let zeros = "0".repeat(zeros);
            let wire = invite(&format!("Content-Length: {zeros}5\r\n"), "abcde") + &invite("l: 0\r\n", "");
            assert_eq!(read(wire.as_bytes(), 1_000), (vec![wanted, 0], false));
        }
        let ack = invite("Content-Length: -1\r\n", "").replace("INVITE", "ACK");
        assert_eq!(read(ack.as_bytes(), 9), (vec![2], true), "nothing answers an ACK");
    }

    #[test]
    fn stream_without_message_end_is_bounded() {
        for wire in [
            "x".repeat(70_000),
            "X: y\r\n".repeat(12_000),
            "INVITE sip:b@h SIP/2.0\r\nX: ".to_owned() + &"y".repeat(70_000),
        ] {
            assert_eq!(read(wire.as_bytes(), 1_024), (vec![2], true));
        }
    }

    #[test]
    fn a_message_without_content_length_has_no_body() {
        let wire = invite("", "") + &invite("Content-Length: 0\r\n", "");
        assert_eq!(read(wire.as_bytes(), 11), (vec![0, 0], false));
    }
}
