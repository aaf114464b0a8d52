//! Reading messages. Tolerant where RFC 3261 lets a receiver be (line ends, folding, compact names, white space),
//! strict where a guess would be wrong; an invalid request is returned with the rejection to send.

use super::headers::Header;
use super::scan::{digits, is_token, strip_prefix_ignore_case};
use super::uri::UriError;
use super::wire_text::decode_wire;
use super::{HeaderName, Headers, Method, Request, Response, SipMessage, Uri, validate};
use crate::limits;
use compact_str::CompactString;
use std::borrow::Cow;

/// What a datagram or one framed stream message turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedMessage {
    /// A readable request or response whose required headers are valid.
    Message(SipMessage),
    /// A request that must be refused: its headers as far as they could be read, and the status.
    Invalid {
        /// Method of the request; never ACK, which has no response.
        method: Method,
        /// Headers that could be read, Via among them; the response copies from them.
        headers: Headers,
        /// Status to answer with: 400, 416, 505 or what header validation says.
        status: u16,
        /// Reason phrase that tells the sender what is wrong.
        reason: Cow<'static, str>,
    },
    /// CRLF keep-alive (RFC 5626 section 3.5.1); `ping` is the double CRLF that wants an answer.
    KeepAlive {
        /// True for four bytes or more (CRLF CRLF); a connection answers it with CRLF.
        ping: bool,
    },
    /// Cannot be answered: counted and dropped.
    Unparseable(&'static str),
}

/// Parses one datagram.
pub fn datagram(bytes: &[u8]) -> ParsedMessage {
    if bytes.len() > limits::MESSAGE_BYTES_MAX {
        return ParsedMessage::Unparseable("too large");
    }
    let trimmed = trim_leading_newlines(bytes);
    if trimmed.is_empty() {
        return ParsedMessage::KeepAlive { ping: bytes.len() >= 4 };
    }
    let Some((head, body)) = split_head(trimmed) else { return ParsedMessage::Unparseable("no end of headers") };
    message(head, body)
}

pub(in crate::sip) fn trim_leading_newlines(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r' | b'\n' | 0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits at the empty line; bare LF line ends are accepted.
pub(in crate::sip) fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut before = 0_usize;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if before > 0 && matches!(line, b"\n" | b"\r\n") {
            let (head, rest) = bytes.split_at_checked(before)?;
            return Some((head, rest.strip_prefix(line)?));
        }
        before = before.saturating_add(line.len());
    }
    None
}

/// The first line without its end, and the others.
pub(in crate::sip) fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (line, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

/// Reads a header block and the body that belongs to it.
pub(super) fn message(head: &[u8], body: &[u8]) -> ParsedMessage {
    let (start_line, rest) = split_line(head);
    let start_line = decode_wire(start_line);
    // White space at the end of the line says nothing.
    let start_line = start_line.trim_end_matches([' ', '\t']);
    let (headers, fault) = read_headers(rest);
    if let Some(status_line) = strip_prefix_ignore_case(start_line, "SIP/2.0 ") {
        return response(status_line, headers, fault, body);
    }
    if strip_prefix_ignore_case(start_line, "SIP/").is_some() {
        return ParsedMessage::Unparseable("response of another version");
    }
    request(start_line, headers, fault, body)
}

/// What is wrong with the header lines, in words for the sender.
pub(in crate::sip) type HeaderError = Option<Cow<'static, str>>;

/// Header lines with folding undone. Keeps the first error and continues, because the rejection needs Via, From, To,
/// Call-ID and CSeq.
pub(in crate::sip) fn read_headers(bytes: &[u8]) -> (Headers, HeaderError) {
    let mut headers: Vec<Header> = Vec::with_capacity(16);
    let mut fault: HeaderError = None;
    let mut note = |why: Cow<'static, str>| {
        fault.get_or_insert(why);
    };
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [] => continue,
            [b' ' | b'\t', ..] => match headers.last_mut() {
                Some(last) if last.value.len().saturating_add(line.len()) > limits::HEADER_BYTES_MAX => {
                    note(format!("{} is too long", last.name.as_str()).into());
                }
                Some(last) => unfold(&mut last.value, decode_wire(line).trim()),
                None => note("Folded line before any header".into()),
            },
            _ if headers.len() == limits::HEADERS_MAX => {
                note("Too many headers".into());
                break;
            }
            _ => match header(line) {
                Ok(header) => headers.push(header),
                Err(why) => note(why),
            },
        }
    }
    (headers.into(), fault)
}

/// One space for the fold, and none at the ends: a value may begin on its second line (RFC 3261 section 7.3.1).
fn unfold(value: &mut CompactString, line: &str) {
    if !value.is_empty() && !line.is_empty() {
        value.push(' ');
    }
    value.push_str(line);
}

fn header(line: &[u8]) -> Result<Header, Cow<'static, str>> {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let (name, value) = (parts.next().unwrap_or_default(), parts.next());
    let Some(value) = value else { return Err("Header without a colon".into()) };
    let name = name.trim_ascii_end();
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.bytes().all(is_token));
    let Some(name) = name.filter(|name| name.len() <= limits::HEADER_NAME_BYTES_MAX) else {
        return Err("Malformed header name".into());
    };
    let (name, value) = (HeaderName::parse(name), value.trim_ascii());
    if value.len() > limits::HEADER_BYTES_MAX {
        return Err(format!("{} is too long", name.as_str()).into());
    }
    Ok(Header { name, value: decode_wire(value).into() })
}

fn response(status_line: &str, headers: Headers, fault: HeaderError, body: &[u8]) -> ParsedMessage {
    let (status, reason) = status_line.split_once(' ').unwrap_or((status_line, ""));
    let status = digits(status).filter(|s| (100..700).contains(s) && status.len() == 3);
    let (Some(status), None) = (status, fault) else { return ParsedMessage::Unparseable("bad response") };
    if !headers.has_via() || headers.cseq().is_none() || headers.call_id().is_empty() {
        return ParsedMessage::Unparseable("response without Via, CSeq or Call-ID");
    }
    match body_of(&headers, body) {
        Some(body) => {
            ParsedMessage::Message(SipMessage::Response(Response { status, reason: reason.to_owned(), headers, body }))
        }
        None => ParsedMessage::Unparseable("truncated response"),
    }
}

fn request(start_line: &str, headers: Headers, fault: HeaderError, body: &[u8]) -> ParsedMessage {
    let mut parts = start_line.split(' ');
    let method_text = parts.next().unwrap_or("");
    let is_sip = start_line.as_bytes().windows(4).any(|part| part.eq_ignore_ascii_case(b"SIP/"));
    if method_text.is_empty() || !method_text.bytes().all(is_token) || !is_sip {
        return ParsedMessage::Unparseable("not SIP");
    }
    let method = Method::parse(method_text);
    // Nothing answers an ACK, so it can do without.
    if !headers.has_via() && method != Method::Ack {
        return ParsedMessage::Unparseable("no Via");
    }
    let (uri, version, extra) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    let refused = |status, reason: Cow<'static, str>| match method {
        Method::Ack if status != 505 => malformed_ack(uri, headers.clone(), body),
        Method::Ack => ParsedMessage::Unparseable("ACK of another version"),
        _ => ParsedMessage::Invalid { method: method.clone(), headers: headers.clone(), status, reason },
    };
    let last = start_line.rsplit(' ').next().unwrap_or("");
    if strip_prefix_ignore_case(last, "SIP/").is_some_and(|version| version != "2.0") {
        return refused(505, "Version Not Supported".into());
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") || extra.is_some() {
        return refused(400, "Malformed Request-Line".into());
    }
    if let Some(fault) = fault {
        return refused(400, fault);
    }
    if let Err((status, reason)) = validate::request(&method, &headers) {
        return refused(status, reason);
    }
    let uri = match Uri::parse(uri) {
        // RFC 3261 section 19.1.1: not allowed there.
        Ok(uri) if !uri.headers.is_empty() => return refused(400, "Headers in the Request-URI".into()),
        Ok(uri) => uri,
        Err(UriError::UnknownScheme) => return refused(416, "Unsupported URI Scheme".into()),
        Err(UriError::Malformed) => return refused(400, "Malformed Request-URI".into()),
    };
    match body_of(&headers, body) {
        Some(body) => ParsedMessage::Message(SipMessage::Request(Request { method, uri, headers, body })),
        None => refused(400, "Content-Length does not fit the message".into()),
    }
}

/// Nothing answers an ACK, and without it a call is lost: one that names its dialog and its INVITE is taken, whatever
/// else is wrong.
fn malformed_ack(uri: &str, headers: Headers, body: &[u8]) -> ParsedMessage {
    let names_invite = headers.cseq().is_some_and(|cseq| cseq.method == "ACK");
    if headers.call_id().is_empty() || headers.to_tag().is_none() || !names_invite {
        return ParsedMessage::Unparseable("malformed ACK");
    }
    let uri = Uri::parse(uri).unwrap_or_else(|_| Uri::sip(None, "invalid", None));
    let body = body_of(&headers, body).unwrap_or_else(|| body.to_vec());
    ParsedMessage::Message(SipMessage::Request(Request { method: Method::Ack, uri, headers, body }))
}

/// Body cut to Content-Length; `None` when the header is unreadable or asks for more than there is.
fn body_of(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    match headers.get(&HeaderName::ContentLength) {
        None => Some(body.to_vec()),
        Some(value) => body.get(..digits(value)?).map(<[u8]>::to_vec),
    }
}

/// A Content-Length: digits alone, where `parse` would also take a sign. More than can be counted is the largest
/// number there is.
pub(super) fn length(value: &str) -> Option<usize> {
    let digits = value.trim_ascii();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
        Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContact: <sip:a@h>\r\n";

    fn invite(extra: &str) -> String {
        format!("INVITE sip:b@h SIP/2.0\r\n{HEAD}{extra}\r\n")
    }

    fn status(text: &str) -> u16 {
        match datagram(text.as_bytes()) {
            ParsedMessage::Message(_) => 0,
            ParsedMessage::Invalid { status, .. } => status,
            ParsedMessage::KeepAlive { .. } => 1,
            ParsedMessage::Unparseable(_) => 2,
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

    /// White space around a colon may be a line end: a value is the same wherever it is folded.
    #[test]
    fn every_header_may_be_folded_before_and_behind_its_value() {
        for fold in [": \r\n ", ":\r\n\t", " :\r\n  \r\n "] {
            let text = (invite("Content-Length: 3\r\n") + "abc").replace(": ", fold);
            let ParsedMessage::Message(message) = datagram(text.as_bytes()) else {
                panic!("{:?}", datagram(text.as_bytes()))
            };
            let SipMessage::Request(request) = message else { panic!("a response") };
            assert_eq!((request.headers.call_id(), &request.body[..]), ("c1", &b"abc"[..]));
        }
        let text =
            invite("Content-Length: 0\r\n").replace("\r\n", "\r\n \r\n").replace("SIP/2.0\r\n \r\n", "SIP/2.0\r\n");
        let text = text.trim_end().to_owned() + "\r\n\r\n";
        assert_eq!(status(&text), 0, "{text}");
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
            (invite("Content-Length: +0\r\n"), 400),
            (invite("Content-Length: 18446744073709551615\r\n"), 400),
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

    /// espressif/esp-adf#732: a stack ends its request lines with a space.
    #[test]
    fn white_space_behind_a_start_line_does_no_harm() {
        for end in [" \r\n", "\t\r\n", "  \t \r\n", " \n"] {
            let text = invite("").replacen(" SIP/2.0\r\n", &format!(" SIP/2.0{end}"), 1);
            assert_eq!(status(&text), 0, "{text:?}");
            for line in ["SIP/2.0 200 OK", "SIP/2.0 200", "SIP/2.0 200 "] {
                let text = invite("").replacen("INVITE sip:b@h SIP/2.0\r\n", &format!("{line}{end}"), 1);
                assert_eq!(status(&text), 0, "{text:?}");
            }
        }
        assert_eq!(status(&invite("").replacen("SIP/2.0\r\n", "SIP/2.0 x\r\n", 1)), 400);
    }

    /// RFC 3261 section 7.1: the version is compared without regard to the letter case.
    #[test]
    fn the_version_is_read_in_any_letter_case() {
        for version in ["sip/2.0", "Sip/2.0", "sIP/2.0"] {
            let text = invite("").replacen("SIP/2.0\r\n", &format!("{version}\r\n"), 1);
            assert_eq!(status(&text), 0, "{text:?}");
            let all = text.replace("SIP/2.0/UDP", &format!("{version}/udp"));
            assert_eq!(status(&all), 0, "{all:?}");
            for line in ["200 OK", "200", "486 Busy Here"] {
                let text = invite("").replacen("INVITE sip:b@h SIP/2.0", &format!("{version} {line}"), 1);
                assert_eq!(status(&text), 0, "{text:?}");
            }
        }
        assert_eq!(status(&invite("").replacen("SIP/2.0\r\n", "sip/3.0\r\n", 1)), 505);
        assert_eq!(status(&invite("").replacen("INVITE sip:b@h SIP/2.0", "sip/3.0 200 OK", 1)), 2);
        assert_eq!(status(&invite("").replacen("SIP/2.0\r\n", "sip/2.00\r\n", 1)), 505);
    }

    #[test]
    fn an_ack_that_names_its_dialog_is_taken_whatever_else_is_wrong() {
        let ack = invite("").replace("INVITE", "ACK").replace("<sip:b@h>\r\n", "<sip:b@h>;tag=t\r\n");
        for text in [
            ack.replace("ACK sip:b@h SIP", "ACK  sip:b@h SIP"),
            ack.replace("ACK sip:b@h SIP", "ACK <sip:b@h> SIP"),
            ack.replace("Max-Forwards: 70", "Max-Forwards: many"),
            ack.replace("<sip:a@h>;tag=1", "\"A <sip:a@h>;tag=1"),
            ack.replace("\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n"),
            ack.replace("\r\n\r\n", "\r\nno colon\r\n\r\n"),
        ] {
            assert_eq!(status(&text), 0, "{text}");
        }
        for text in [
            ack.replace(";tag=t", "").replace(": 70", ": many"),
            ack.replace("1 ACK", "x ACK"),
            ack.replace("1 ACK", "1 INVITE"),
            ack.replace("Call-ID: c1\r\n", ""),
            ack.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"),
        ] {
            assert_eq!(status(&text), 2, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_answered_is_dropped() {
        assert_eq!(status("\r\n\r\n"), 1);
        assert_eq!(status("hello world\r\n\r\n"), 2);
        for line in ["GET / HTTP/1.1", "IN(VITE sip:b@h SIP/2.0", " sip:b@h SIP/2.0"] {
            assert_eq!(status(&invite("").replacen("INVITE sip:b@h SIP/2.0", line, 1)), 2, "{line}, with a Via");
        }
        assert_eq!(status(&invite("").replace("Via: SIP/2.0/UDP", "Via: nonsense")), 2);
        assert_eq!(status(&invite("Content-Length: 9\r\n").replace("INVITE", "ACK")), 2);
        assert_eq!(status("SIP/2.0 99 Low\r\n\r\n"), 2);
    }

    #[test]
    fn a_body_longer_than_content_length_is_cut() {
        let text = invite("Content-Length: 3\r\n") + "abcdef";
        let ParsedMessage::Message(SipMessage::Request(request)) = datagram(text.as_bytes()) else { panic!("refused") };
        assert_eq!(request.body, b"abc");
    }
}
