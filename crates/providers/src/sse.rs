//! Server-sent events as model providers send them: CRLF or CR at the end of lines, a byte order mark, comments, other
//! fields, several data lines, no space after the colon, characters split over reads.
//!
//! Written here because a call must survive all of these: of the crates that read such streams, one panics on a byte
//! order mark and rescans an unfinished line with each read (eventsource-stream 0.2.3), and one ends the stream at a
//! field it does not know (sse-stream 0.2.6). The standard has a reader ignore such fields.

/// Longest event taken; a model's chunk is a few hundred bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Parses a stream of server-sent events, whatever its reads are split at; one event has at most 1 MiB.
#[derive(Debug, Default)]
pub struct SseParser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` in which no line ends: they are not looked at again with each read.
    seen: usize,
    /// A line has ended with the last byte of a read, CR: LF after it ends no other one.
    after_cr: bool,
    /// The first line was read; a byte order mark may stand before it.
    is_begun: bool,
    data: String,
}

impl SseParser {
    /// Adds bytes and hands every complete event's data on. False when an event is too large.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(&str)) -> bool {
        let Some(first) = bytes.first() else { return true };
        let bytes = if std::mem::take(&mut self.after_cr) && *first == b'\n' { &bytes[1..] } else { bytes };
        self.buffer.extend_from_slice(bytes);
        let (mut start, mut from) = (0, self.seen.min(self.buffer.len()));
        while let Some(length) = self.buffer.iter().skip(from).position(|byte| matches!(byte, b'\n' | b'\r')) {
            let end = from + length;
            let mut line = self.buffer.get(start..end).unwrap_or_default();
            if !std::mem::replace(&mut self.is_begun, true) {
                line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
            }
            let line = String::from_utf8_lossy(line);
            (start, from) = match (self.buffer.get(end), self.buffer.get(end + 1)) {
                (Some(b'\r'), Some(b'\n')) => (end + 2, end + 2),
                (last, next) => {
                    self.after_cr = last == Some(&b'\r') && next.is_none();
                    (end + 1, end + 1)
                }
            };
            if line.is_empty() {
                if !self.data.is_empty() {
                    event(&self.data);
                    self.data.clear();
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                let data = without_second_name(data.strip_prefix(' ').unwrap_or(data));
                if is_message(&self.data) && (data.starts_with('{') || data == "[DONE]") {
                    event(&self.data);
                    self.data.clear();
                }
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data);
            } else if let Some(error) = line.strip_prefix("error:") {
                self.data = error_event(error.trim());
            }
            if self.data.len() > EVENT_BYTES_MAX {
                return false;
            }
        }
        self.buffer.drain(..start);
        self.seen = self.buffer.len();
        self.buffer.len() + self.data.len() <= EVENT_BYTES_MAX
    }
}

/// Servers that leave the empty line out between events: a line that is a message by itself is an event.
fn is_message(line: &str) -> bool {
    line.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok()
}

/// Gateways that frame what is framed already: `data: data: {…}`.
fn without_second_name(data: &str) -> &str {
    let inner = data.strip_prefix("data:").map(str::trim_start);
    inner.filter(|inner| inner.starts_with(['{', '['])).unwrap_or(data)
}

/// llama.cpp wrote errors in a field of their own until the end of 2025: `error: {"code": 500, "message": "…"}`. As an event
/// that reports an error, as other servers write it.
fn error_event(error: &str) -> String {
    let error: serde_json::Value = serde_json::from_str(error).unwrap_or_else(|_| error.into());
    serde_json::json!({"error": error}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_any_split() {
        let wire = ": hello\r\ndata: {\"a\":\"é\"}\r\n\r\nevent: x\ndata:one\ndata: two\n\n\n\ndata: [DONE]\n\n";
        for chunk in 1..wire.len() {
            let mut parser = SseParser::default();
            let mut seen = vec![];
            for bytes in wire.as_bytes().chunks(chunk) {
                assert!(parser.push(bytes, |data| seen.push(data.to_owned())));
            }
            assert_eq!(seen, ["{\"a\":\"é\"}", "one\ntwo", "[DONE]"], "{chunk}");
        }
    }

    #[test]
    fn the_standards_line_ends_marks_and_unknown_fields_are_read() {
        let standard = [
            "data: one\n\ndata: two\n\n",
            "data: one\r\rdata: two\r\r",
            "data: one\r\n\r\ndata: two\r\n\r\n",
            "\u{feff}data: one\n\n\u{feff}data: lost\ndata: two\n\n",
            "vendor-field: 1\nretry: soon\nid\nevent: a\nevent: b\ndata: one\n\nnonsense\ndata: two\n\n",
        ];
        for wire in standard {
            for chunk in 1..wire.len() {
                let (mut parser, mut seen) = (SseParser::default(), vec![]);
                for bytes in wire.as_bytes().chunks(chunk) {
                    assert!(parser.push(bytes, |data| seen.push(data.to_owned())));
                }
                assert_eq!(seen, ["one", "two"], "{wire:?} in reads of {chunk}");
            }
        }
    }

    #[test]
    fn an_error_in_a_field_of_its_own_is_an_event() {
        let (mut parser, mut seen) = (SseParser::default(), vec![]);
        let wire = "error: {\"code\":500}\n\nerror: out of memory\r\n\r\n";
        assert!(parser.push(wire.as_bytes(), |data| seen.push(data.to_owned())));
        assert_eq!(seen, ["{\"error\":{\"code\":500}}", "{\"error\":\"out of memory\"}"]);
    }

    #[test]
    fn events_without_an_empty_line_between_them_and_framed_twice_are_read() {
        for wire in [
            "data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n\n",
            "data: {\"a\":1}\r\ndata: {\"b\":2}\r\ndata: [DONE]\r\n\r\n",
            "event: x\ndata: {\"a\":1}\nevent: x\nid: 2\ndata:{\"b\":2}\n\ndata: [DONE]\n\n",
            "data: data: {\"a\":1}\n\ndata: data:{\"b\":2}\n\ndata: data: [DONE]\n\n",
        ] {
            for chunk in [1, 2, 5, 1_000] {
                let (mut parser, mut seen) = (SseParser::default(), vec![]);
                for bytes in wire.as_bytes().chunks(chunk) {
                    assert!(parser.push(bytes, |data| seen.push(data.to_owned())));
                }
                assert_eq!(seen, ["{\"a\":1}", "{\"b\":2}", "[DONE]"], "{wire:?} in reads of {chunk}");
            }
        }
        // One message over several lines is one, and so are lines that are no messages.
        let (mut parser, mut seen) = (SseParser::default(), vec![]);
        let wire = "data: {\ndata: \"a\":\ndata: {\"b\":2}}\n\ndata: data: one\ndata: two\n\n";
        assert!(parser.push(wire.as_bytes(), |data| seen.push(data.to_owned())));
        assert_eq!(seen, ["{\n\"a\":\n{\"b\":2}}", "data: one\ntwo"]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = SseParser::default();
        assert!(!parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1], |_| {}));
        let mut parser = SseParser::default();
        let lines = "data: x\n".repeat(EVENT_BYTES_MAX / 2 + 1);
        assert!(!parser.push(lines.as_bytes(), |_| panic!("no event ends")));
    }

    /// A megabyte in reads of one byte: each byte is looked at once. Looking again would be 500 billion bytes.
    #[test]
    fn a_line_that_trickles_in_is_looked_at_once() {
        let mut parser = SseParser::default();
        let mut events = 0;
        for byte in b"data:".iter().chain(std::iter::repeat_n(&b'x', EVENT_BYTES_MAX - 100)).chain(b"\n\n") {
            assert!(parser.push(std::slice::from_ref(byte), |_| events += 1));
            assert!(parser.seen == parser.buffer.len());
        }
        assert_eq!(events, 1);
    }
}
