//! Validates requests: required headers, headers allowed once, and list limits. The error names the header. Headers
//! that are not needed and cannot be read are ignored (RFC 3261 section 8.2.2).

use super::scan::{digits, has_too_many_params};
use super::uri::{UriError, header_params};
use super::wire_text::is_escaped_control;
use super::{HeaderName, Headers, Method, NameAddr, Scheme};
use crate::limits;
use std::borrow::Cow;

/// A status, and a reason phrase that names what is wrong.
pub(super) type RequestError = (u16, Cow<'static, str>);

/// Headers that may occur only once.
const SINGLE: [HeaderName; 16] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::Expires,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::Event,
    HeaderName::ReferTo,
    HeaderName::Replaces,
    HeaderName::SubscriptionState,
];

/// Lists that are read, each with the most elements it may have.
const LISTS: [(HeaderName, usize); 12] = [
    (HeaderName::Via, limits::VIAS_MAX),
    (HeaderName::Route, limits::ROUTES_MAX),
    (HeaderName::RecordRoute, limits::ROUTES_MAX),
    (HeaderName::Contact, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Require, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Supported, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Allow, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Reason, limits::LIST_ELEMENTS_MAX),
    (HeaderName::PAssertedIdentity, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Diversion, limits::LIST_ELEMENTS_MAX),
    (HeaderName::Identity, limits::LIST_ELEMENTS_MAX),
    (HeaderName::ContentEncoding, limits::LIST_ELEMENTS_MAX),
];

fn bad(what: &str, name: &HeaderName) -> RequestError {
    (400, format!("{what} {}", name.as_str()).into())
}

fn malformed(name: &HeaderName) -> RequestError {
    bad("Malformed", name)
}

/// The headers every request has exactly once (RFC 3261 section 8.1.1), readable, and what its method needs.
pub(super) fn request(method: &Method, headers: &Headers) -> Result<(), RequestError> {
    check_counts(headers)?;
    let call_id = headers.call_id();
    if call_id.is_empty() || call_id.contains(|c: char| c <= ' ' || is_escaped_control(c)) {
        return Err(malformed(&HeaderName::CallId));
    }
    if !headers.are_vias_readable() {
        return Err(malformed(&HeaderName::Via));
    }
    let cseq = headers.cseq().ok_or_else(|| malformed(&HeaderName::CSeq))?;
    if cseq.method != method.as_str() {
        return Err((400, "CSeq method does not match".into()));
    }
    for name in [HeaderName::From, HeaderName::To] {
        // A From or To with an unknown scheme is accepted (RFC 4475 section 3.1.2.15).
        if matches!(headers.get(&name).map(NameAddr::check), None | Some(Err(UriError::Malformed))) {
            return Err(malformed(&name));
        }
    }
    check_tags(headers)?;
    if let Some(value) = headers.get(&HeaderName::MaxForwards)
        && digits::<u8>(value).is_none()
    {
        return Err(malformed(&HeaderName::MaxForwards));
    }
    for name in [HeaderName::RecordRoute, HeaderName::Route] {
        if headers.list(&name).any(|route| NameAddr::check(route).is_err()) {
            return Err(malformed(&name));
        }
    }
    check_method(method, headers)
}

fn check_counts(headers: &Headers) -> Result<(), RequestError> {
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        if headers.count(&name) == 0 {
            return Err(bad("Missing", &name));
        }
    }
    if let Some(name) = SINGLE.into_iter().find(|name| headers.count(name) > 1) {
        return Err(bad("More than one", &name));
    }
    for (name, most) in LISTS {
        if headers.list(&name).nth(most).is_some() {
            return Err(bad("Too many elements in", &name));
        }
    }
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        if headers.count(&name) > limits::AUTHORIZATION_HEADERS_MAX {
            return Err(bad("Too many", &name));
        }
    }
    Ok(())
}

/// Tags are part of the dialog key, so control characters are rejected.
fn check_tags(headers: &Headers) -> Result<(), RequestError> {
    let is_odd = |tag: &str| tag.contains(|c: char| c <= ' ' || is_escaped_control(c));
    for (name, tag) in [(HeaderName::From, headers.from_tag()), (HeaderName::To, headers.to_tag())] {
        if tag.is_some_and(is_odd) {
            return Err(malformed(&name));
        }
    }
    if headers.from_tag().is_none() && headers.branch().is_some_and(|branch| branch.starts_with("z9hG4bK")) {
        return Err((400, "Missing From tag".into()));
    }
    Ok(())
}

fn check_method(method: &Method, headers: &Headers) -> Result<(), RequestError> {
    match method {
        Method::Invite => {
            match headers.list(&HeaderName::Contact).next() {
                Some(contact) if !is_target(contact) => Err(malformed(&HeaderName::Contact)),
                // Inside of a dialog the one that is known stays.
                None if headers.to_tag().is_none() => Err(bad("Missing", &HeaderName::Contact)),
                _ => Ok(()),
            }
        }
        // An invalid target refresh would make the peer unreachable.
        Method::Update => {
            let good = headers.list(&HeaderName::Contact).next().is_none_or(is_target);
            good.then_some(()).ok_or_else(|| malformed(&HeaderName::Contact))
        }
        Method::Prack => match headers.get(&HeaderName::RAck) {
            None => Err(bad("Missing", &HeaderName::RAck)),
            Some(value) if super::headers::RAck::parse(value).is_none() => Err(malformed(&HeaderName::RAck)),
            Some(_) => Ok(()),
        },
        Method::Refer => match headers.get(&HeaderName::ReferTo) {
            None => Err(bad("Missing", &HeaderName::ReferTo)),
            Some(value) if NameAddr::check(value).is_err() => Err(malformed(&HeaderName::ReferTo)),
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Where requests of a dialog can be sent to (section 12.1.1): a SIP URI with a host.
fn is_target(contact: &str) -> bool {
    let has_few_params = header_params(contact).is_some_and(|params| !has_too_many_params(params));
    has_few_params && NameAddr::parse_contact(contact).is_ok_and(|contact| contact.uri.scheme != Scheme::Tel)
}
