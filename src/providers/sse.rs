//! Server-sent events as model providers send them: CRLF, comments, several data lines, no space after
//! the colon, characters split over reads.

/// Longest event taken; a model's chunk is a few hundred bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Parses a stream of server-sent events, whatever its reads are split at; one event has at most 1 MiB.
#[derive(Debug, Default)]
pub struct SseParser {
    buffer: Vec<u8>,
    /// Bytes of `buffer` in which no line ends: they are not looked at again with each read.
    seen: usize,
    data: String,
}

impl SseParser {
    /// Adds bytes and hands every complete event's data on. False when an event is too large.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(&str)) -> bool {
        self.buffer.extend_from_slice(bytes);
        let (mut start, mut from) = (0, self.seen.min(self.buffer.len()));
        while let Some(length) = self.buffer.iter().skip(from).position(|b| *b == b'\n') {
            let end = from + length;
            let line = self.buffer.get(start..end).unwrap_or_default();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            (start, from) = (end + 1, end + 1);
            if line.is_empty() {
                if !self.data.is_empty() {
                    event(&self.data);
                    self.data.clear();
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
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
