//! The session description of a message: the one place that looks into bodies for it, whichever method or response
//! carries them (RFC 3261 sections 8.2.3 and 20.11, RFC 5621, RFC 2046 section 5.1).

use super::parse::read_headers;
use super::scan::param;
use super::{HeaderName, Headers};
use crate::limits;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};
use std::borrow::Cow;

/// Media types of bodies that are read, as the value of an `Accept` header.
pub const ACCEPT: &str = "application/sdp, multipart/mixed, multipart/alternative, multipart/related";

/// What the body of a message says about the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionBody<'a> {
    /// There is no body, or nothing in it but what may be skipped.
    Absent,
    /// The session description.
    Description(Cow<'a, [u8]>),
    /// Something has to be understood and is not: a request with it is refused with 415. What it says about the session
    /// all the same, for messages that cannot be refused.
    NotUnderstood(Option<Cow<'a, [u8]>>),
}

impl<'a> SessionBody<'a> {
    /// Finds the session description of a message in its body. A body without Content-Type is taken for one.
    pub fn find(headers: &Headers, body: &'a [u8]) -> Self {
        if body.is_empty() {
            return Self::Absent;
        }
        match read(headers, body, Untyped::Description, limits::BODY_DEPTH_MAX) {
            Part::Skipped => Self::Absent,
            Part::Description(description) => Self::Description(description),
            Part::Unknown => Self::NotUnderstood(None),
            Part::NotUnderstood(description) => Self::NotUnderstood(description),
        }
    }

    /// The description, for messages that cannot be refused: responses and ACK.
    pub fn description(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Absent => None,
            Self::Description(description) => Some(description),
            Self::NotUnderstood(description) => description,
        }
    }
}

/// What a body, or a part of one, means to us.
enum Part<'a> {
    /// Its sender says that it may be ignored.
    Skipped,
    Description(Cow<'a, [u8]>),
    /// It is not understood, and its sender does not say whether it has to be. Beside a description it is skipped: the
    /// location of a caller or the metadata of a session border controller are no reason to refuse the call.
    Unknown,
    /// It is not understood and has to be, with what stands beside it.
    NotUnderstood(Option<Cow<'a, [u8]>>),
}

impl<'a> Part<'a> {
    fn description(self) -> Option<Cow<'a, [u8]>> {
        match self {
            Self::Description(description) => Some(description),
            Self::NotUnderstood(description) => description,
            Self::Skipped | Self::Unknown => None,
        }
    }
}

/// What a body without Content-Type is.
#[derive(Clone, Copy)]
enum Untyped {
    /// The body of a message: what else would be in it.
    Description,
    /// A part is text (RFC 2046 section 5.1), unless it begins as only a description does.
    Text,
}

impl Untyped {
    fn media_type(self, body: &[u8]) -> &'static str {
        match self {
            Self::Text if !body.trim_ascii_start().starts_with(b"v=0") => "text/plain",
            Self::Description | Self::Text => "application/sdp",
        }
    }
}

/// Gateways to mail write base64 without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A part as its sender meant it (RFC 2045 section 6); `None` for an encoding that is not read.
fn decoded<'a>(headers: &Headers, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let encoding = headers.iter().find(|header| header.name.as_str().eq_ignore_ascii_case("Content-Transfer-Encoding"));
    let encoding = encoding.map_or_else(String::new, |header| header.value.trim().to_ascii_lowercase());
    match encoding.as_str() {
        "" | "7bit" | "8bit" | "binary" | "identity" => Some(Cow::Borrowed(body)),
        "base64" => {
            let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            BASE64.decode(text).ok().map(Cow::Owned)
        }
        _ => None,
    }
}

fn read<'a>(headers: &Headers, body: &'a [u8], untyped: Untyped, depth: u8) -> Part<'a> {
    let disposition = headers.get(&HeaderName::ContentDisposition).unwrap_or("");
    let content_type = headers.get(&HeaderName::ContentType).unwrap_or_else(|| untyped.media_type(body));
    let media_type = before_params(content_type).to_ascii_lowercase();
    let identity = headers.get(&HeaderName::ContentEncoding).is_none_or(|e| e.trim().eq_ignore_ascii_case("identity"));
    let read = match media_type.as_str() {
        _ if !identity => Part::Unknown,
        // An early session is another one than that of the call (RFC 3959).
        "application/sdp" if before_params(disposition).eq_ignore_ascii_case("early-session") => Part::Skipped,
        "application/sdp" => decoded(headers, body).map_or(Part::Unknown, Part::Description),
        multipart if multipart.starts_with("multipart/") && depth > 0 => {
            let parts = parts(content_type, body)
                .map(|(headers, body)| read(&headers, body, Untyped::Text, depth.saturating_sub(1)));
            if multipart == "multipart/alternative" { best_alternative(parts) } else { sum_of(parts) }
        }
        _ => Part::Unknown,
    };
    match (read, param(disposition, "handling")) {
        (read @ (Part::Unknown | Part::NotUnderstood(_)), Some(handling))
            if handling.eq_ignore_ascii_case("optional") =>
        {
            read.description().map_or(Part::Skipped, Part::Description)
        }
        (Part::Unknown, Some(handling)) if handling.eq_ignore_ascii_case("required") => Part::NotUnderstood(None),
        (read, _) => read,
    }
}

fn before_params(value: &str) -> &str {
    value.split(';').next().unwrap_or("").trim()
}

/// The parts belong together: the first description counts.
fn sum_of<'a>(parts: impl Iterator<Item = Part<'a>>) -> Part<'a> {
    let parts: Vec<Part<'a>> = parts.collect();
    let has_required = parts.iter().any(|part| matches!(part, Part::NotUnderstood(_)));
    let has_unknown = parts.is_empty() || parts.iter().any(|part| matches!(part, Part::Unknown));
    match parts.into_iter().find_map(Part::description) {
        description if has_required => Part::NotUnderstood(description),
        Some(description) => Part::Description(description),
        None if has_unknown => Part::Unknown,
        None => Part::Skipped,
    }
}

/// The parts say the same, the best one last (RFC 2046 section 5.1.4): the last one that is understood counts.
fn best_alternative<'a>(parts: impl Iterator<Item = Part<'a>>) -> Part<'a> {
    parts.fold(Part::Unknown, |best, part| match part {
        Part::Description(_) => part,
        Part::Skipped if matches!(best, Part::Unknown) => part,
        Part::Skipped | Part::Unknown | Part::NotUnderstood(_) => best,
    })
}

/// The parts of a multipart body with their headers, none if its type names no boundary; a missing last delimiter ends with the body.
pub(crate) fn parts<'a>(content_type: &str, body: &'a [u8]) -> impl Iterator<Item = (Headers, &'a [u8])> {
    let delimiter = param(content_type, "boundary").filter(|boundary| !boundary.is_empty());
    let delimiter = delimiter.map(|boundary| format!("--{boundary}").into_bytes());
    // What stands before the first delimiter is no part.
    let mut rest =
        delimiter.as_ref().and_then(|delimiter| cut_at_delimiter(body, delimiter)).and_then(|(_, rest)| rest);
    let all = std::iter::from_fn(move || {
        let delimiter = delimiter.as_ref()?;
        let part = rest.take()?;
        match cut_at_delimiter(part, delimiter) {
            Some((part, after)) => {
                rest = after;
                Some(part)
            }
            None => Some(part),
        }
    });
    all.take(limits::BODY_PARTS_MAX).map(|part| {
        let (head, body) = split_part(part);
        (read_headers(head).0, body)
    })
}

/// What stands before the next delimiter line, without the line end that belongs to the delimiter, and what follows that
/// line: `None` behind the last one.
fn cut_at_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let mut before = 0_usize;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let end = line.strip_prefix(delimiter).map(<[u8]>::trim_ascii);
        if let Some(end) = end.filter(|end| matches!(*end, b"" | b"--")) {
            let (part, rest) = bytes.split_at_checked(before)?;
            let part = part.strip_suffix(b"\n").map_or(part, |part| part.strip_suffix(b"\r").unwrap_or(part));
            return Some((part, if end.is_empty() { rest.get(line.len()..) } else { None }));
        }
        before = before.saturating_add(line.len());
    }
    None
}

/// The header lines of a part and its body. A part that begins with the empty line has no headers.
fn split_part(part: &[u8]) -> (&[u8], &[u8]) {
    let mut before = 0_usize;
    for line in part.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            let (head, rest) = part.split_at_checked(before).unwrap_or((part, b""));
            return (head, rest.strip_prefix(line).unwrap_or(b""));
        }
        before = before.saturating_add(line.len());
    }
    (part, b"")
}

#[cfg(test)]
mod tests;
