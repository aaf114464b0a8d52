//! Reads the few header values that identify a message's dialog and transaction, without parsing it. One pass, no
//! allocation; unreadable values are skipped.

use super::scan::strip_prefix_ignore_case;
use super::{HeaderName, Headers, SipMessage};

/// Values as they stand in the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderPeek<'a> {
    /// The method of a request; none of a response.
    pub method: Option<&'a str>,
    /// Value of the first Via.
    pub via: &'a str,
    /// Value of the first Call-ID; empty if it is missing or not UTF-8.
    pub call_id: &'a str,
    /// Value of the first To; empty if it is missing or not UTF-8.
    pub to: &'a str,
    /// Value of the first CSeq; empty if it is missing or not UTF-8.
    pub cseq: &'a str,
    /// Value of the first Authorization.
    pub authorization: Option<&'a str>,
}

impl<'a> HeaderPeek<'a> {
    /// `None` when it is not SIP.
    pub fn of_datagram(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = text(lines.find(|line| !line.iter().all(|byte| matches!(byte, b'\r' | 0)))?);
        let mut peek = Self::default();
        if strip_prefix_ignore_case(start, "SIP/2.0 ").is_none() {
            let (method, rest) = start.split_once(' ')?;
            let is_sip = rest.as_bytes().last_chunk().is_some_and(|end: &[u8; 7]| end.eq_ignore_ascii_case(b"SIP/2.0"));
            peek.method = is_sip.then_some(method);
            peek.method?;
        }
        for line in lines {
            if line.is_empty() {
                break;
            }
            let mut parts = line.splitn(2, |byte| *byte == b':');
            let name = parts.next().unwrap_or_default().trim_ascii_end();
            let Some(value) = parts.next() else { continue };
            let is = |long: &[u8], short: &[u8]| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
            let slot = if is(b"via", b"v") {
                &mut peek.via
            } else if is(b"call-id", b"i") {
                &mut peek.call_id
            } else if is(b"to", b"t") {
                &mut peek.to
            } else if is(b"cseq", b"cseq") {
                &mut peek.cseq
            } else if is(b"authorization", b"authorization") {
                peek.authorization.get_or_insert("")
            } else {
                continue;
            };
            if slot.is_empty() {
                *slot = text(value);
            }
        }
        Some(peek)
    }

    /// The same of a message that is parsed already.
    pub fn of_message(message: &'a SipMessage) -> Self {
        let (method, headers): (_, &Headers) = match message {
            SipMessage::Request(request) => (Some(request.method.as_str()), &request.headers),
            SipMessage::Response(response) => (None, &response.headers),
        };
        let get = |name| headers.get(&name).unwrap_or("");
        Self {
            method,
            via: get(HeaderName::Via),
            call_id: get(HeaderName::CallId),
            to: get(HeaderName::To),
            cseq: get(HeaderName::CSeq),
            authorization: headers.get(&HeaderName::Authorization),
        }
    }

    /// Tag of the To header.
    pub fn to_tag(&self) -> Option<&'a str> {
        parameter(self.to, "tag")
    }

    /// Branch of the first Via.
    pub fn branch(&self) -> Option<&'a str> {
        parameter(self.via.split(',').next()?, "branch")
    }

    /// The method in CSeq: the one a response answers.
    pub fn cseq_method(&self) -> &'a str {
        self.cseq.split_ascii_whitespace().nth(1).unwrap_or("")
    }

    /// The nonce that an Authorization header answers.
    pub fn nonce(&self) -> Option<&'a str> {
        let mut parts = self.authorization?.split("nonce=\"");
        let mut before = parts.next()?;
        let after = parts.find(|part| {
            let is_other = before.ends_with(['c', 'C']); // cnonce
            before = part;
            !is_other
        });
        after?.split('"').next()
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes.trim_ascii()).unwrap_or("")
}

/// The last parameter of that name, because a quoted display name comes before it.
fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.rsplit(';').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::parse::{self, ParsedMessage};

    const BYE: &str = "BYE sip:b@h SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport, SIP/2.0/UDP h;branch=x\r\n\
        From: <sip:a@h>;tag=1\r\nTO : \"x;tag=no\" <sip:b@h>;tag=ours\r\ni: c1@h\r\nCSeq: 2 BYE\r\n\
        Authorization: Digest username=\"u\", cnonce=\"z\", nonce=\"n1\", uri=\"\"\r\n\r\nTo: <sip:body@h>;tag=body";

    #[test]
    fn peek_matches_parser() {
        let peek = HeaderPeek::of_datagram(BYE.as_bytes()).unwrap();
        let seen = (peek.method, peek.branch(), peek.call_id, peek.to_tag(), peek.cseq_method());
        assert_eq!(seen, (Some("BYE"), Some("z9hG4bK1"), "c1@h", Some("ours"), "BYE"));
        let ParsedMessage::Message(message) = parse::datagram(BYE.as_bytes()) else { panic!("refused") };
        let parsed = HeaderPeek::of_message(&message);
        assert_eq!((parsed.branch(), parsed.call_id, parsed.to_tag()), (peek.branch(), "c1@h", Some("ours")));
        assert_eq!(parsed.nonce(), peek.nonce());
        let response = BYE.replace("BYE sip:b@h SIP/2.0", "SIP/2.0 200 OK");
        let peek = HeaderPeek::of_datagram(response.as_bytes()).unwrap();
        assert_eq!((peek.method, peek.cseq_method()), (None, "BYE"));
        for start in ["BYE sip:b@h sip/2.0", "sip/2.0 200 OK"] {
            let text = BYE.replace("BYE sip:b@h SIP/2.0", start);
            assert_eq!(HeaderPeek::of_datagram(text.as_bytes()).unwrap().to_tag(), Some("ours"));
        }
    }

    #[test]
    fn the_nonce_is_not_the_cnonce() {
        let of = |value: &'static str| HeaderPeek { authorization: Some(value), ..HeaderPeek::default() }.nonce();
        assert_eq!(of("Digest nonce=\"n\", cnonce=\"c\""), Some("n"));
        assert_eq!(of("Digest cnonce=\"c\", nonce=\"n\""), Some("n"));
        assert_eq!(of("Digest cnonce=\"c\""), None);
    }

    #[test]
    fn non_sip_data_is_not_peeked() {
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"jaK",
            b"\x00",
            b"\x00\x01\x00\x00\x21\x12\xa4\x42",
            b"garbage\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            &[0xFF; 600],
        ] {
            assert_eq!(HeaderPeek::of_datagram(bytes), None);
        }
        let peek = HeaderPeek::of_datagram(b"BYE x SIP/2.0\r\n:\r\nTo\r\nVia: \xff\xfe\r\nTo: ;;;=\r\n").unwrap();
        assert_eq!((peek.branch(), peek.to_tag(), peek.nonce()), (None, None, None));
    }
}
