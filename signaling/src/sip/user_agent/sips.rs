//! Which requests need a SIPS Contact of ours (RFC 3261 sections 8.1.1.8 and 12.1.1).

use crate::sip::message::{HeaderName, NameAddr, Request, Scheme};

/// A request of the peer whose answer needs a SIPS Contact: its Request-URI is one, or the first element on its way back
/// is (RFC 3261 section 12.1.1).
pub(super) fn demands_sips(request: &Request) -> bool {
    let first = request.headers.list(&HeaderName::RecordRoute).next();
    let back = first.or_else(|| request.headers.list(&HeaderName::Contact).next());
    request.uri.scheme == Scheme::Sips || back.is_some_and(is_sips)
}

/// A request of ours that needs a SIPS Contact: its Request-URI is one, or its first Route (RFC 3261 section 8.1.1.8).
pub(super) fn goes_to_sips(request: &Request) -> bool {
    request.uri.scheme == Scheme::Sips || request.headers.list(&HeaderName::Route).next().is_some_and(is_sips)
}

fn is_sips(element: &str) -> bool {
    NameAddr::parse(element).is_ok_and(|element| element.uri.scheme == Scheme::Sips)
}
