//! Reading messages. Tolerant where RFC 3261 lets a receiver be (line ends, folding, compact names,
//! white space), strict where a guess would be wrong; a request that cannot be taken comes back with
//! the answer it must get, so that the sender learns why.

use super::headers::Header;
use super::uri::UriFault;
use super::{HeaderName, Headers, Message, Method, NameAddr, Request, Response, Uri};
use crate::limits;
use std::borrow::Cow;

/// What a datagram or one framed stream message turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    Message(Message),
    /// A request that must be refused: its headers as far as they could be read, and the status.
    Refused {
        method: Method,
        headers: Headers,
        status: u16,
        reason: &'static str,
    },
    /// CRLF keep-alive (RFC 5626 section 3.5.1); `ping` is the double CRLF that wants an answer.
    KeepAlive {
        ping: bool,
    },
    /// Not answerable: counted and dropped.
    Garbage(&'static str),
}

/// Parses one datagram.
pub fn datagram(bytes: &[u8]) -> Parsed {
    if bytes.len() > limits::MESSAGE_BYTES_MAX {
        return Parsed::Garbage("too large");
    }
    let trimmed = trim_leading_newlines(bytes);
    if trimmed.is_empty() {
        return Parsed::KeepAlive { ping: bytes.len() >= 4 };
    }
    let Some((head, body)) = split_head(trimmed) else { return Parsed::Garbage("no end of headers") };
    message(head, body)
}

/// Result of looking for one message at the front of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// More bytes are needed.
    Partial,
    /// The first `consumed` bytes are one message or keep-alive.
    Complete { consumed: usize, parsed: Parsed },
    /// The stream cannot be read any further and must be closed after answering `parsed`, if any.
    Broken { parsed: Parsed },
}

/// Frames one message at the front of a stream by its Content-Length (RFC 3261 section 18.3).
pub fn stream(buffer: &[u8]) -> Framed {
    let trimmed = trim_leading_newlines(buffer);
    let leading = buffer.len() - trimmed.len();
    if leading > 0 {
        return Framed::Complete { consumed: leading, parsed: Parsed::KeepAlive { ping: leading >= 4 } };
    }
    let Some((head, rest)) = split_head(buffer) else {
        return if buffer.len() > limits::MESSAGE_BYTES_MAX {
            Framed::Broken { parsed: Parsed::Garbage("headers too large") }
        } else {
            Framed::Partial
        };
    };
    let head_len = buffer.len() - rest.len();
    match content_length(head) {
        Ok(length) if head_len + length > limits::MESSAGE_BYTES_MAX => {
            Framed::Broken { parsed: refuse_oversized(head) }
        }
        Ok(length) if rest.len() < length => Framed::Partial,
        Ok(length) => Framed::Complete { consumed: head_len + length, parsed: message(head, &rest[..length]) },
        Err(()) => Framed::Broken { parsed: message(head, &[]) },
    }
}

fn refuse_oversized(head: &[u8]) -> Parsed {
    match message(head, &[]) {
        Parsed::Message(Message::Request(request)) => Parsed::Refused {
            method: request.method,
            headers: request.headers,
            status: 513,
            reason: "Message Too Large",
        },
        Parsed::Refused { method, headers, .. } => {
            Parsed::Refused { method, headers, status: 513, reason: "Message Too Large" }
        }
        _ => Parsed::Garbage("too large"),
    }
}

/// Content-Length of a raw head: absent counts as zero on a stream, unreadable is an error.
fn content_length(head: &[u8]) -> Result<usize, ()> {
    let text = String::from_utf8_lossy(head);
    let value = text.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let name = name.trim();
        (name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("l")).then(|| value.trim().to_owned())
    });
    value.map_or(Ok(0), |value| value.parse().map_err(|_| ()))
}

fn trim_leading_newlines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b != b'\r' && *b != b'\n' && *b != 0).unwrap_or(bytes.len());
    &bytes[start..]
}

/// Splits at the empty line; bare LF line ends are accepted.
fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|b| *b == b'\n') {
        let next = at + found + 1;
        match bytes.get(next..) {
            Some([b'\n', ..]) => return Some((&bytes[..next], &bytes[next + 1..])),
            Some([b'\r', b'\n', ..]) => return Some((&bytes[..next], &bytes[next + 2..])),
            _ => at = next,
        }
    }
    None
}

/// Bytes as text; bytes that are not UTF-8 become U+F700 plus the byte and are restored in `print`.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(0xF700 + u32::from(*b))));
    }
    Cow::Owned(text)
}

/// A header's value. A CR without its LF is no line end (RFC 3261 section 7); it is read as the white space
/// it is written as, so that both sides of us see the same value.
fn value_of(bytes: &[u8]) -> Cow<'_, str> {
    let text = text_of(bytes);
    if text.contains('\r') { Cow::Owned(text.replace('\r', " ")) } else { text }
}

fn message(head: &[u8], body: &[u8]) -> Parsed {
    let line_end = head.iter().position(|b| *b == b'\n').unwrap_or(head.len());
    let start_line = text_of(head[..line_end].strip_suffix(b"\r").unwrap_or(&head[..line_end]));
    let rest = head.get(line_end + 1..).unwrap_or(&[]);
    let (headers, header_fault) = read_headers(rest);
    if let Some(status_line) = start_line.strip_prefix("SIP/2.0 ") {
        return response(status_line, headers, header_fault, body);
    }
    if start_line.starts_with("SIP/") {
        return Parsed::Garbage("response of another version");
    }
    request(&start_line, headers, header_fault, body)
}

/// Header lines with folding undone. The first fault is kept and the reading goes on, because the
/// refusal needs Via, From, To, Call-ID and CSeq.
fn read_headers(bytes: &[u8]) -> (Headers, Option<&'static str>) {
    let mut headers: Vec<Header> = Vec::with_capacity(16);
    let mut fault = None;
    for line in bytes.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if line[0] == b' ' || line[0] == b'\t' {
            match headers.last_mut() {
                Some(last) => {
                    last.value.push(' ');
                    last.value.push_str(value_of(line).trim());
                }
                None => fault = fault.or(Some("folded line before any header")),
            }
            continue;
        }
        if headers.len() == limits::HEADERS_MAX {
            fault = fault.or(Some("too many headers"));
            break;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            fault = fault.or(Some("header without a colon"));
            continue;
        };
        let name = std::str::from_utf8(&line[..colon]).map(str::trim_end).unwrap_or("");
        if name.is_empty() || !name.bytes().all(is_token) {
            fault = fault.or(Some("bad header name"));
            continue;
        }
        let value = line[colon + 1..].trim_ascii();
        headers.push(Header { name: HeaderName::parse(name), value: value_of(value).into() });
    }
    (headers.into(), fault)
}

fn response(status_line: &str, headers: Headers, fault: Option<&'static str>, body: &[u8]) -> Parsed {
    let (status, reason) = status_line.split_once(' ').unwrap_or((status_line, ""));
    let status = status.parse().ok().filter(|s| (100..700).contains(s) && status.len() == 3);
    let (Some(status), None) = (status, fault) else { return Parsed::Garbage("bad response") };
    if !headers.has_via() || headers.cseq().is_none() || headers.call_id().is_empty() {
        return Parsed::Garbage("response without Via, CSeq or Call-ID");
    }
    match body_of(&headers, body) {
        Some(body) => Parsed::Message(Message::Response(Response { status, reason: reason.to_owned(), headers, body })),
        None => Parsed::Garbage("response cut short"),
    }
}

fn request(start_line: &str, headers: Headers, fault: Option<&'static str>, body: &[u8]) -> Parsed {
    let mut parts = start_line.split(' ');
    let method_text = parts.next().unwrap_or("");
    if method_text.is_empty() || !method_text.bytes().all(is_token) || !start_line.contains("SIP/") {
        return Parsed::Garbage("not SIP");
    }
    let method = Method::parse(method_text);
    if !headers.has_via() {
        return Parsed::Garbage("no Via to answer to");
    }
    let refused = |status, reason| {
        if method == Method::Ack {
            return Parsed::Garbage(reason);
        }
        Parsed::Refused { method: method.clone(), headers: headers.clone(), status, reason }
    };
    let (uri, version, extra) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    let last = start_line.rsplit(' ').next().unwrap_or("");
    if last.starts_with("SIP/") && last != "SIP/2.0" {
        return refused(505, "Version Not Supported");
    }
    if version != "SIP/2.0" || extra.is_some() {
        return refused(400, "Malformed Request-Line");
    }
    if let Some(fault) = fault {
        return refused(400, fault);
    }
    if let Err((status, reason)) = check_mandatory(&method, &headers) {
        return refused(status, reason);
    }
    let uri = match Uri::parse(uri) {
        // RFC 3261 section 19.1.1: not allowed there.
        Ok(uri) if !uri.headers.is_empty() => return refused(400, "Headers in the Request-URI"),
        Ok(uri) => uri,
        Err(UriFault::UnknownScheme) => return refused(416, "Unsupported URI Scheme"),
        Err(UriFault::Malformed) => return refused(400, "Malformed Request-URI"),
    };
    match body_of(&headers, body) {
        Some(body) => Parsed::Message(Message::Request(Request { method, uri, headers, body })),
        None => refused(400, "Content-Length does not fit the message"),
    }
}

/// The headers every request has exactly once (RFC 3261 section 8.1.1), readable.
fn check_mandatory(method: &Method, headers: &Headers) -> Result<(), (u16, &'static str)> {
    for (name, missing, twice) in [
        (HeaderName::From, "Missing From", "More than one From"),
        (HeaderName::To, "Missing To", "More than one To"),
        (HeaderName::CallId, "Missing Call-ID", "More than one Call-ID"),
        (HeaderName::CSeq, "Missing CSeq", "More than one CSeq"),
    ] {
        match headers.count(&name) {
            1 => {}
            0 => return Err((400, missing)),
            _ => return Err((400, twice)),
        }
    }
    if headers.count(&HeaderName::ContentLength) > 1 || headers.count(&HeaderName::MaxForwards) > 1 {
        return Err((400, "More than one Content-Length or Max-Forwards"));
    }
    if headers.call_id().is_empty() || headers.call_id().contains(|c: char| c <= ' ') {
        return Err((400, "Malformed Call-ID"));
    }
    if !headers.are_vias_readable() {
        return Err((400, "Malformed Via"));
    }
    let cseq = headers.cseq().ok_or((400, "Malformed CSeq"))?;
    if cseq.method != method.as_str() {
        return Err((400, "CSeq method does not match"));
    }
    for (name, reason) in [(HeaderName::From, "Malformed From"), (HeaderName::To, "Malformed To")] {
        // A From or To of a foreign scheme is none of our business (RFC 4475 section 3.1.2.15).
        if matches!(headers.get(&name).map(NameAddr::check), None | Some(Err(UriFault::Malformed))) {
            return Err((400, reason));
        }
    }
    if headers.from_tag().is_none() && headers.branch().is_some_and(|branch| branch.starts_with("z9hG4bK")) {
        return Err((400, "Missing From tag"));
    }
    if let Some(value) = headers.get(&HeaderName::MaxForwards)
        && value.parse::<u8>().is_err()
    {
        return Err((400, "Malformed Max-Forwards"));
    }
    let contact = headers.list(&HeaderName::Contact).next().map(NameAddr::check);
    if *method == Method::Invite && contact == Some(Err(UriFault::Malformed)) {
        return Err((400, "Malformed Contact"));
    }
    check_routes(headers)
}

fn check_routes(headers: &Headers) -> Result<(), (u16, &'static str)> {
    for name in [HeaderName::RecordRoute, HeaderName::Route] {
        if headers.list(&name).any(|route| NameAddr::check(route).is_err()) {
            return Err((400, "Malformed route"));
        }
        if headers.list(&name).count() > limits::ROUTES_MAX {
            return Err((400, "Too many routes"));
        }
    }
    Ok(())
}

/// Body cut to Content-Length; `None` when the header is unreadable or asks for more than there is.
fn body_of(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    match headers.get(&HeaderName::ContentLength) {
        None => Some(body.to_vec()),
        Some(value) => body.get(..value.parse().ok()?).map(<[u8]>::to_vec),
    }
}

/// `token` of RFC 3261 section 25.1.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
        Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n";

    fn invite(extra: &str) -> String {
        format!("INVITE sip:b@h SIP/2.0\r\n{HEAD}{extra}\r\n")
    }

    fn status(text: &str) -> u16 {
        match datagram(text.as_bytes()) {
            Parsed::Message(_) => 0,
            Parsed::Refused { status, .. } => status,
            Parsed::KeepAlive { .. } => 1,
            Parsed::Garbage(_) => 2,
        }
    }

    #[test]
    fn good_requests_in_many_spellings() {
        assert_eq!(status(&invite("")), 0);
        assert_eq!(status(&invite("").replace("\r\n", "\n")), 0, "bare LF");
        assert_eq!(status(&invite("Subject: a\r\n b\r\n\tc\r\n")), 0, "folding");
        assert_eq!(status(&format!("\r\n\r\n{}", invite(""))), 0, "leading CRLF");
        let compact = invite("").replace("Via", "v").replace("From", "f").replace("To:", "t :").replace("Call-ID", "i");
        assert_eq!(status(&compact), 0, "compact names, space before the colon");
        assert_eq!(status(&invite("X-\u{e9}: no\r\n")), 400, "header name that is no token");
    }

    #[test]
    fn bad_requests_get_the_answer_of_the_rfc() {
        for (text, wanted) in [
            (invite("").replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"), 505),
            (invite("").replace("INVITE sip:b@h SIP", "INVITE  sip:b@h SIP"), 400),
            (invite("").replace("1 INVITE", "1 OPTIONS"), 400),
            (invite("CSeq: 1 INVITE\r\n"), 400),
            (invite("From: <sip:x@h>;tag=2\r\n"), 400),
            (invite("Content-Length: 10\r\n"), 400),
            (invite("Content-Length: -1\r\n"), 400),
            (invite("").replace("Call-ID: c1\r\n", ""), 400),
            (invite("").replace("Max-Forwards: 70", "Max-Forwards: 300"), 400),
            (invite("").replace("sip:b@h SIP", "news:b SIP"), 416),
            (invite("").replace("sip:b@h SIP", "<sip:b@h> SIP"), 400),
            (invite("").replace("<sip:a@h>", "\"A <sip:a@h>"), 400),
            (invite("").replace("CSeq: 1", "CSeq: 4294967296"), 400),
        ] {
            assert_eq!(status(&text), wanted, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_dropped() {
        assert_eq!(status("\r\n\r\n"), 1);
        assert_eq!(status("hello world\r\n\r\n"), 2);
        assert_eq!(status(&invite("").replace("Via: SIP/2.0/UDP", "Via: nonsense")), 2);
        assert_eq!(status(&invite("Content-Length: 9\r\n").replace("INVITE", "ACK")), 2);
        assert_eq!(status("SIP/2.0 99 Low\r\n\r\n"), 2);
    }

    #[test]
    fn a_body_longer_than_content_length_is_cut() {
        let text = invite("Content-Length: 3\r\n") + "abcdef";
        let Parsed::Message(Message::Request(request)) = datagram(text.as_bytes()) else { panic!("refused") };
        assert_eq!(request.body, b"abc");
    }

    #[test]
    fn a_stream_is_framed_byte_by_byte() {
        let one = invite("Content-Length: 3\r\n") + "abc";
        let wire = format!("\r\n\r\n{one}{one}");
        let mut buffer = Vec::new();
        let mut found = 0;
        for byte in wire.bytes() {
            buffer.push(byte);
            while let Framed::Complete { consumed, parsed } = stream(&buffer) {
                buffer.drain(..consumed);
                found += usize::from(matches!(parsed, Parsed::Message(_)));
            }
        }
        assert_eq!((found, buffer.len()), (2, 0));
        let bad = invite("Content-Length: x\r\n");
        assert!(matches!(stream(bad.as_bytes()), Framed::Broken { parsed: Parsed::Refused { status: 400, .. } }));
    }
}
