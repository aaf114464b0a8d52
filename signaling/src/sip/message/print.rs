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
