//! Server-sent events as model providers send them: CRLF, comments, several data lines, no space after
//! the colon, characters split over reads.

/// Longest event taken; a model's chunk is a few hundred bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct Parser {
    buffer: Vec<u8>,
    data: String,
}

impl Parser {
    /// Adds bytes and hands every complete event's data on. False when an event is too large.
    pub fn push(&mut self, bytes: &[u8], mut event: impl FnMut(&str)) -> bool {
        self.buffer.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(end) = self.buffer[start..].iter().position(|b| *b == b'\n') {
            let line = &self.buffer[start..start + end];
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            start += end + 1;
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
        }
        self.buffer.drain(..start);
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
            let mut parser = Parser::default();
            let mut seen = vec![];
            for bytes in wire.as_bytes().chunks(chunk) {
                assert!(parser.push(bytes, |data| seen.push(data.to_owned())));
            }
            assert_eq!(seen, ["{\"a\":\"é\"}", "one\ntwo", "[DONE]"], "{chunk}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::default();
        assert!(!parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1], |_| {}));
    }
}
