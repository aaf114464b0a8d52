//! Writing messages. `Content-Length` is always written from the body, whatever the headers say.

use super::wire_text::encode_wire;
use super::{HeaderName, Headers, Request, Response};
use std::fmt::Write as _;

/// Writes a request as bytes for the wire; line breaks in header values become spaces.
pub fn request(request: &Request) -> Vec<u8> {
    let mut text = String::with_capacity(request.body.len().saturating_add(512));
    let _ = write!(text, "{} {} SIP/2.0\r\n", request.method.as_str(), request.uri);
    finish(text, &request.headers, &request.body)
}

/// Writes a response as bytes for the wire; line breaks in header values become spaces.
pub fn response(response: &Response) -> Vec<u8> {
    let mut text = String::with_capacity(response.body.len().saturating_add(512));
    let _ = write!(text, "SIP/2.0 {} {}\r\n", response.status, response.reason);
    finish(text, &response.headers, &response.body)
}

fn finish(mut text: String, headers: &Headers, body: &[u8]) -> Vec<u8> {
    for header in headers.iter().filter(|h| h.name != HeaderName::ContentLength) {
        text.push_str(header.name.as_str());
        text.push_str(": ");
        push_value(&mut text, &header.value);
        text.push_str("\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n", body.len());
    let mut bytes = encode_wire(text);
    bytes.extend_from_slice(body);
    bytes
}

/// A line break inside a value would end the header: it is written as a space.
fn push_value(text: &mut String, value: &str) {
    if value.contains(['\r', '\n']) {
        text.extend(value.chars().map(|c| if c == '\r' || c == '\n' { ' ' } else { c }));
    } else {
        text.push_str(value);
    }
}

/// Reason phrases of RFC 3261 section 21 and the extensions this user agent uses.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300..=399 => "Redirection",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        428 => "Use Identity Header",
        429 => "Provide Referrer Identity",
        433 => "Anonymity Disallowed",
        436 => "Bad Identity Info",
        437 => "Unsupported Credential",
        438 => "Invalid Identity Header",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        502 => "Bad Gateway",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, SipMessage, Uri, parse};
    use super::*;

    #[test]
    fn header_value_cannot_inject_a_header() {
        let mut headers = Headers::default();
        headers.push(HeaderName::Subject, "x\r\nEvil: yes");
        let bytes = request(&Request { method: Method::Info, uri: Uri::sip(None, "h", None), headers, body: vec![] });
        assert!(!String::from_utf8(bytes).unwrap().contains("\r\nEvil"));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_echoed_exactly() {
        let wire =
            b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"J\xF8rgen\" <sip:j@h>;tag=1\r\n\
            To: <sip:h>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
        let parse::ParsedMessage::Message(SipMessage::Request(parsed)) = parse::datagram(wire) else {
            panic!("not parsed")
        };
        assert_eq!(request(&parsed), wire);
    }
}
