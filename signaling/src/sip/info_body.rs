//! Keys that a peer pressed, in the body of INFO (RFC 6086 section 1 calls it legacy usage; there is no common standard).

use super::message::body::parts;
use super::message::{HeaderName, Headers};
use crate::limits;

/// Value of Accept: the bodies that are understood.
pub const ACCEPTED: &str = "application/dtmf-relay, application/dtmf, application/telephone-event, \
     audio/telephone-event, application/vnd.nortelnetworks.digits, multipart/mixed";

/// What an INFO request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InfoBody {
    /// Nothing: it has no body, or one that may be ignored (RFC 3261 section 20.11).
    Nothing,
    /// Keys were pressed: at least one of 0-9, `*`, `#` and A-D.
    Digits(String),
    /// The body is of a kind that is understood, and names no key.
    Malformed,
    /// The body is of another kind, or encoded.
    Unsupported,
}

impl InfoBody {
    /// Reads the body of a request with these headers.
    pub fn of(headers: &Headers, body: &[u8]) -> Self {
        if body.iter().all(u8::is_ascii_whitespace) {
            Self::Nothing
        } else {
            read(headers, body, limits::BODY_DEPTH_MAX)
        }
    }
}

fn read(headers: &Headers, body: &[u8], depth: u8) -> InfoBody {
    let content_type = headers.get(&HeaderName::ContentType).unwrap_or("");
    let disposition = headers.get(&HeaderName::ContentDisposition).unwrap_or("");
    let is_identity = headers.get(&HeaderName::ContentEncoding).is_none_or(|e| e.eq_ignore_ascii_case("identity"));
    let Some(text) = std::str::from_utf8(body).ok().filter(|_| is_identity) else {
        return or_optional(InfoBody::Unsupported, disposition);
    };
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let keys = match kind.as_str() {
        "multipart/mixed" | "multipart/alternative" | "multipart/related" if depth > 0 => {
            return or_optional(of_parts(content_type, body, depth.saturating_sub(1)), disposition);
        }
        "application/vnd.nortelnetworks.digits" => value(text, &["d"]).map_or_else(String::new, key_string),
        "application/dtmf-relay" | "application/dtmf" | "application/telephone-event" | "audio/telephone-event" => {
            let signal = value(text, &["signal", "digit", "d"]);
            // Without a name the body is the key.
            signal.or(Some(text.trim()).filter(|text| !text.contains('='))).and_then(key).into_iter().collect()
        }
        _ => return or_optional(InfoBody::Unsupported, disposition),
    };
    if keys.is_empty() { InfoBody::Malformed } else { InfoBody::Digits(keys) }
}

/// A body that its sender marks as optional is ignored when it is not understood.
fn or_optional(body: InfoBody, disposition: &str) -> InfoBody {
    let is_optional = disposition.split(';').skip(1).any(|param| match param.split_once('=') {
        Some((name, value)) => {
            name.trim().eq_ignore_ascii_case("handling") && value.trim().eq_ignore_ascii_case("optional")
        }
        None => false,
    });
    if is_optional && body == InfoBody::Unsupported { InfoBody::Nothing } else { body }
}

/// The first part that presses keys; else what the parts say together.
fn of_parts(content_type: &str, body: &[u8], depth: u8) -> InfoBody {
    let mut found = None;
    for (headers, part) in parts(content_type, body) {
        match read(&headers, part, depth) {
            digits @ InfoBody::Digits(_) => return digits,
            InfoBody::Nothing => found = found.or(Some(InfoBody::Nothing)),
            other => found = Some(other),
        }
    }
    found.unwrap_or(InfoBody::Malformed)
}

/// The value of the first line `name=value` with one of these names.
fn value<'a>(text: &'a str, names: &[&str]) -> Option<&'a str> {
    text.split(['\r', '\n']).find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let value = value.split(';').next().unwrap_or("");
        names.iter().any(|one| name.trim().eq_ignore_ascii_case(one)).then(|| value.trim().trim_matches('"'))
    })
}

/// A key, or the number of its event (RFC 4733 section 3.2).
fn key(text: &str) -> Option<char> {
    let one = match text {
        "10" => '*',
        "11" => '#',
        "12" => 'A',
        "13" => 'B',
        "14" => 'C',
        "15" => 'D',
        _ => text.chars().next().filter(|first| first.len_utf8() == text.len())?.to_ascii_uppercase(),
    };
    "0123456789*#ABCD".contains(one).then_some(one)
}

/// Several keys; none if one of them is not a key.
fn key_string(text: &str) -> String {
    let keys: Option<String> = text.chars().map(|one| key(one.encode_utf8(&mut [0; 4]))).collect();
    keys.filter(|keys| keys.len() <= limits::INFO_DIGITS_MAX).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &str) -> InfoBody {
        let mut headers = Headers::default();
        headers.push(HeaderName::ContentType, content_type);
        InfoBody::of(&headers, body.as_bytes())
    }

    fn digits(text: &str) -> InfoBody {
        InfoBody::Digits(text.to_owned())
    }

    #[test]
    fn keys_in_every_form() {
        for (content_type, body, wanted) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
            ("application/dtmf-relay; x", "signal= *\n", "*"),
            ("Application/DTMF-Relay", "Signal=a\r\nDuration=250", "A"),
            ("application/dtmf-relay", "Duration=100\rSignal = d ", "D"),
            ("application/dtmf-relay", "Signal=\"#\"", "#"),
            ("application/dtmf-relay", "Signal=15\r\n", "D"),
            ("application/dtmf-relay", "7\r\n", "7"),
            ("application/dtmf", "11", "#"),
            ("application/dtmf", " b\r\n", "B"),
            ("application/dtmf", "Signal=3\r\nDuration=1", "3"),
            ("application/telephone-event", "d=5\r\n", "5"),
            ("audio/telephone-event", "d=10\r\n", "*"),
            ("audio/telephone-event;rate=8000", "d=5;v=10\r\n", "5"),
            ("audio/telephone-event", "5", "5"),
            ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\ny=Digits\r\ns=success\r\nd=5\r\n", "5"),
            ("application/vnd.nortelnetworks.digits", "d=11a#", "11A#"),
            ("application/vnd.nortelnetworks.digits", "d=12#", "12#"),
            ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\ny=Digits\ns=success\nd=12#\n", "12#"),
            ("Application/vnd.NortelNetworks.Digits;x", "D = \"12#\" \r\n", "12#"),
        ] {
            assert_eq!(of(content_type, body), digits(wanted), "{content_type} {body:?}");
        }
    }

    #[test]
    fn what_names_no_key_is_told_from_what_is_not_understood() {
        for (content_type, body) in [
            ("application/dtmf-relay", "Signal=\r\n"),
            ("application/dtmf-relay", "Signal=55\r\n"),
            ("application/dtmf-relay", "Signal=16\r\n"),
            ("application/dtmf-relay", "Signal=\u{e4}\r\n"),
            ("application/dtmf-relay", "Duration=160\r\n"),
            ("application/dtmf", "x"),
            ("application/vnd.nortelnetworks.digits", "d=1x"),
            ("application/vnd.nortelnetworks.digits", "s=success"),
            ("multipart/mixed", "--b\r\n\r\n"),
        ] {
            assert_eq!(of(content_type, body), InfoBody::Malformed, "{content_type} {body:?}");
        }
        let many = "1".repeat(limits::INFO_DIGITS_MAX + 1);
        assert_eq!(of("application/vnd.nortelnetworks.digits", &format!("d={many}")), InfoBody::Malformed);
        for content_type in ["text/plain", "", "application/media_control+xml", "application/dtmf-relayed"] {
            assert_eq!(of(content_type, "Signal=5"), InfoBody::Unsupported, "{content_type}");
        }
        assert_eq!(of("text/plain", ""), InfoBody::Nothing);
        assert_eq!(of("application/dtmf-relay", "\r\n"), InfoBody::Nothing);
        assert_eq!(InfoBody::of(&Headers::default(), &[0xff, 0xfe]), InfoBody::Unsupported);
    }

    #[test]
    fn encoded_bodies_are_refused_and_optional_ones_ignored() {
        let mut headers = Headers::default();
        headers.push(HeaderName::ContentType, "application/dtmf-relay");
        headers.push(HeaderName::ContentEncoding, "gzip");
        assert_eq!(InfoBody::of(&headers, b"Signal=5"), InfoBody::Unsupported);
        headers.push(HeaderName::ContentDisposition, "render; handling=optional");
        assert_eq!(InfoBody::of(&headers, b"Signal=5"), InfoBody::Nothing);
        let mut required = Headers::default();
        required.push(HeaderName::ContentDisposition, "render;handling=required");
        assert_eq!(InfoBody::of(&required, b"x"), InfoBody::Unsupported);
    }

    #[test]
    fn a_part_of_several_presses_a_key() {
        let mixed = "multipart/mixed;boundary=\"b 1\"";
        let key = "--b 1\r\nContent-Type: application/dtmf-relay\r\n\r\nSignal=4\r\nDuration=100\r\n";
        let other = "--b 1\r\nContent-Type: text/plain\r\n\r\nx\r\n";
        let optional = "--b 1\r\ncontent-type:text/plain\r\nContent-Disposition: info;handling=optional\r\n\r\nx\r\n";
        for (parts, wanted) in [
            (vec![key], digits("4")),
            (vec![other, key], digits("4")),
            (vec![optional, key, other], digits("4")),
            (vec![other], InfoBody::Unsupported),
            (vec![optional], InfoBody::Nothing),
            (vec![other, optional], InfoBody::Unsupported),
        ] {
            let body = format!("preamble\r\n{}--b 1--\r\n{key}", parts.concat());
            assert_eq!(of(mixed, &body), wanted, "{body}");
        }
        let nested = "--b 1\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n\
            --c\r\nContent-Type: application/dtmf\r\n\r\n9\r\n--c--\r\n--b 1--";
        assert_eq!(of(mixed, nested), digits("9"));
        let many = other.repeat(limits::BODY_PARTS_MAX) + key;
        assert_eq!(of(mixed, &many), InfoBody::Unsupported, "only so many parts are looked at");
    }
}
