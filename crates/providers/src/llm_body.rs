//! The body of an answer: server-sent events, or plain JSON from a server that does not stream. What is damaged in it is
//! skipped within limits.

use super::ProviderError;
use super::llm_vendor::CallProgress;
use super::sse::SseParser;

/// Longest plain answer taken.
const PLAIN_BYTES_MAX: usize = 1 << 20;
/// Events that are no JSON before an answer counts as damaged.
const BROKEN_MAX: usize = 3;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is read next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyPart<'a> {
    Bytes(&'a [u8]),
    /// The body has ended: its last event counts without the empty line behind it.
    End,
}

/// Finds the events of one body.
#[derive(Debug, Default)]
pub(crate) enum AnswerBody {
    /// Only white space came.
    #[default]
    Unknown,
    Events(SseParser),
    /// JSON without events around it.
    Plain(PlainBody),
    /// A message in each line (NDJSON), as Ollama streams by itself. What has come of the last line.
    Lines(Vec<u8>),
    /// Something else, in words for the log.
    Foreign(&'static str),
}

/// JSON of which it is not known yet whether a line of it stands by itself.
#[derive(Debug, Default)]
pub(crate) struct PlainBody {
    bytes: Vec<u8>,
    /// Bytes in which no line ends: they are not looked at again with each read.
    seen: usize,
}

impl PlainBody {
    /// Adds bytes. True once the first line is a message by itself and another one has begun behind it.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend_from_slice(bytes);
        let Some(at) = self.bytes.iter().skip(self.seen).position(|byte| *byte == b'\n') else {
            self.seen = self.bytes.len();
            return false;
        };
        // It stays at the end of the first line until more has come.
        self.seen += at;
        let (first, rest) = self.bytes.split_at(self.seen);
        let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
        next == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(first).is_ok()
    }
}

impl AnswerBody {
    /// Reads a part and hands every event's data on. False when one is too large.
    pub(crate) fn read(&mut self, part: BodyPart<'_>, mut event: impl FnMut(&str)) -> bool {
        let part = if let (Self::Unknown, BodyPart::Bytes(bytes)) = (&*self, part) {
            let is_before = |byte: &u8| byte.is_ascii_whitespace() || BYTE_ORDER_MARK.contains(byte);
            let Some(begin) = bytes.iter().position(|byte| !is_before(byte)) else { return true };
            let bytes = bytes.get(begin..).unwrap_or_default();
            *self = match bytes.first() {
                Some(b'{' | b'[') => Self::Plain(PlainBody::default()),
                Some(b'<') => Self::Foreign("a page (HTML) in place of an answer"),
                Some(0x1F) => Self::Foreign("a compressed body whose header (content-encoding) does not say so"),
                _ => Self::Events(SseParser::default()),
            };
            BodyPart::Bytes(bytes)
        } else {
            part
        };
        match (&mut *self, part) {
            (Self::Unknown | Self::Foreign(_), _) => true,
            (Self::Events(parser), BodyPart::Bytes(bytes)) => parser.push(bytes, event),
            (Self::Events(parser), BodyPart::End) => parser.push(b"\n\n", event),
            (Self::Plain(body), BodyPart::Bytes(bytes)) => {
                if !body.push(bytes) {
                    return body.bytes.len() <= PLAIN_BYTES_MAX;
                }
                let mut lines = std::mem::take(&mut body.bytes);
                let fits = hand_on_lines(&mut lines, &mut event);
                *self = Self::Lines(lines);
                fits
            }
            (Self::Plain(body), BodyPart::End) => {
                let body = std::mem::take(&mut body.bytes);
                hand_on(String::from_utf8_lossy(&body).trim(), &mut event)
            }
            (Self::Lines(rest), BodyPart::Bytes(bytes)) => {
                rest.extend_from_slice(bytes);
                hand_on_lines(rest, &mut event)
            }
            (Self::Lines(rest), BodyPart::End) => {
                rest.push(b'\n');
                hand_on_lines(rest, &mut event)
            }
        }
    }

    /// The server has not streamed.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// What it is in place of an answer: a page of a proxy or a login, or bytes that cannot be read.
    pub(crate) fn foreign(&self) -> Option<&'static str> {
        match self {
            Self::Foreign(what) => Some(what),
            Self::Unknown | Self::Events(_) | Self::Plain(_) | Self::Lines(_) => None,
        }
    }
}

/// Hands on the lines that are whole, and takes them out. False when the last one is too large.
fn hand_on_lines(lines: &mut Vec<u8>, event: &mut impl FnMut(&str)) -> bool {
    let Some(end) = lines.iter().rposition(|byte| *byte == b'\n') else { return lines.len() <= PLAIN_BYTES_MAX };
    let whole: Vec<u8> = lines.drain(..=end).collect();
    let whole = String::from_utf8_lossy(&whole);
    whole.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(event);
    lines.len() <= PLAIN_BYTES_MAX
}

/// A plain body is one message, a message in each line, or events after a first line that is none.
fn hand_on(body: &str, event: &mut impl FnMut(&str)) -> bool {
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let mut lines = body.lines().filter(|line| !line.trim().is_empty());
    if body.lines().any(|line| line.starts_with("data:")) && !is_json(body) {
        let mut parser = SseParser::default();
        return parser.push(body.as_bytes(), &mut *event) && parser.push(b"\n\n", event);
    }
    // All chunks of a stream in one list.
    if let Ok(chunks) = serde_json::from_str::<Vec<Box<serde_json::value::RawValue>>>(body) {
        chunks.iter().for_each(|chunk| event(chunk.get()));
    } else if !is_json(body) && lines.clone().count() > 1 && lines.clone().next().is_some_and(is_json) {
        lines.for_each(event);
    } else if lines.next().is_some() {
        event(body);
    }
    true
}

/// Events of an answer that were no JSON.
#[derive(Debug, Default)]
pub(crate) struct BrokenEvents {
    count: usize,
    /// How the last event was broken, if it was.
    last: Option<ProviderError>,
}

impl BrokenEvents {
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// An event was whole.
    pub(crate) fn record_whole(&mut self) {
        self.last = None;
    }

    /// Whether the answer goes on without an event: words can be missed, a part of a tool call cannot.
    pub(crate) fn skip(&mut self, data: &str, calls: CallProgress, failure: &ProviderError) -> bool {
        let is_skipped = matches!(failure, ProviderError::InvalidResponse(_))
            && self.count < BROKEN_MAX
            && calls != CallProgress::Partial
            && !["\"tool", "\"function", "\"partial_json"].iter().any(|mark| data.contains(mark));
        if is_skipped {
            tracing::warn!("an event of a model's answer is no JSON; it is skipped");
            self.count += 1;
            self.last = Some(failure.clone());
        }
        is_skipped
    }

    /// The answer has ended: how its last event was broken.
    pub(crate) fn take_last(&mut self) -> Option<ProviderError> {
        self.last.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events_of(body: &str, size: usize) -> (Vec<String>, bool) {
        let (mut answer, mut seen) = (AnswerBody::default(), Vec::new());
        for bytes in body.as_bytes().chunks(size) {
            assert!(answer.read(BodyPart::Bytes(bytes), |data| seen.push(data.to_owned())));
        }
        assert!(answer.read(BodyPart::End, |data| seen.push(data.to_owned())));
        (seen, answer.is_plain())
    }

    #[test]
    fn a_body_is_read_as_events_or_as_plain_json() {
        for (body, wanted, is_plain) in [
            ("data: {\"a\":1}\n\ndata: {\"b\":2}", vec!["{\"a\":1}", "{\"b\":2}"], false),
            ("\n\n: hello\n\ndata: x\n\n", vec!["x"], false),
            (" \n{\"a\":\n {\"b\": 1}}\n", vec!["{\"a\":\n {\"b\": 1}}"], true),
            ("{\"a\":1}\n{\"b\":2}\n", vec!["{\"a\":1}", "{\"b\":2}"], false),
            ("\u{feff}{\"a\":1}\r\n\r\n{\"b\":2}", vec!["{\"a\":1}", "{\"b\":2}"], false),
            ("{\n\"a\":\n{\"b\":2}}\n", vec!["{\n\"a\":\n{\"b\":2}}"], true),
            ("\u{feff}data: x\r\rdata:y\r: z\rdata: w", vec!["x", "y\nw"], false),
            ("{\"a\":1}\ndata: x\n\ndata: y\n\n", vec!["x", "y"], true),
            ("{\"a\":", vec!["{\"a\":"], true),
            ("[{\"a\":1},{\"b\":[2]}]", vec!["{\"a\":1}", "{\"b\":[2]}"], true),
            ("[\n{\"a\":1},\n{\"b\":2}\n]\n", vec!["{\"a\":1}", "{\"b\":2}"], true),
            ("[{\"a\":1},", vec!["[{\"a\":1},"], true),
            ("<html>login</html>", vec![], false),
            ("", vec![], false),
        ] {
            for size in [1, 3, 1_000] {
                assert_eq!(
                    events_of(body, size),
                    (wanted.iter().map(|s| (*s).to_owned()).collect(), is_plain),
                    "{body}"
                );
            }
        }
        assert_eq!(events_of("\u{feff}{\"a\":1}", 1_000), (vec!["{\"a\":1}".to_owned()], true));
    }

    #[test]
    fn lines_are_handed_on_as_they_come() {
        let (mut answer, mut seen) = (AnswerBody::default(), Vec::new());
        let mut counts = Vec::new();
        for bytes in ["{\"a\":1}\n", "{\"b\"", ":2}\n{\"c\":3}", "\n"] {
            assert!(answer.read(BodyPart::Bytes(bytes.as_bytes()), |data| seen.push(data.to_owned())));
            counts.push(seen.len());
        }
        assert_eq!(counts, [0, 1, 2, 3], "the first one waits for a sign of the second: it might be a whole answer");
        let endless = "x".repeat(PLAIN_BYTES_MAX + 1);
        assert!(!answer.read(BodyPart::Bytes(endless.as_bytes()), |_| panic!("it has not ended")));
    }

    #[test]
    fn what_is_no_answer_is_named() {
        for (bytes, name) in [(&b"\r\n<!DOCTYPE html>"[..], "HTML"), (&b"\x1F\x8B\x08"[..], "compressed")] {
            let mut answer = AnswerBody::default();
            assert!(answer.read(BodyPart::Bytes(bytes), |_| panic!("no event")));
            assert!(answer.foreign().is_some_and(|what| what.contains(name)));
        }
    }

    #[test]
    fn an_endless_plain_answer_is_refused() {
        let mut answer = AnswerBody::default();
        let long = format!("{{{}", "x".repeat(PLAIN_BYTES_MAX));
        assert!(!answer.read(BodyPart::Bytes(long.as_bytes()), |_| panic!("it has not ended")));
    }

    #[test]
    fn words_may_be_missed_and_parts_of_calls_may_not() {
        let garbage = ProviderError::InvalidResponse("x".into());
        let mut broken = BrokenEvents::default();
        assert!(!broken.skip("{\"choices\":[{\"delta\":{\"tool_calls\"", CallProgress::None, &garbage));
        assert!(!broken.skip("{\"ch", CallProgress::Partial, &garbage));
        assert!(!broken.skip("{\"ch", CallProgress::None, &ProviderError::refused(500, "x")));
        for _ in 0..BROKEN_MAX {
            assert!(broken.skip("{\"ch", CallProgress::None, &garbage));
        }
        assert!(!broken.skip("{\"ch", CallProgress::None, &garbage), "there is an end to it");
        assert_eq!(broken.take_last(), Some(garbage));
    }
}
