//! Bodies of messages that may describe the session: reduced to the description before anybody looks at them.

use super::agent::UserAgent;
use crate::sip::message::body::{ACCEPT, SessionBody};
use crate::sip::message::{HeaderName, Headers, Request, Response};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// A part of the body has to be understood and is not: 415 (RFC 3261 section 8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnsupportedBody;

/// Leaves the session description of a request as its body, or nothing.
pub(super) fn keep_description(request: &mut Request) -> Result<(), UnsupportedBody> {
    let found = SessionBody::find(&request.headers, &request.body);
    let is_understood = !matches!(found, SessionBody::NotUnderstood(_));
    let kept = other_than(&request.body, found.description());
    if let Some(kept) = kept {
        request.body = kept;
    }
    if is_understood { Ok(()) } else { Err(UnsupportedBody) }
}

/// The same for a message that cannot be refused: what is not understood in it is skipped.
pub(super) fn keep_description_of_response(response: &mut Response) {
    let found = SessionBody::find(&response.headers, &response.body).description();
    let kept = other_than(&response.body, found);
    if let Some(kept) = kept {
        response.body = kept;
    }
}

/// What takes the place of a body; `None` where it is the description already.
fn other_than(body: &[u8], description: Option<Cow<'_, [u8]>>) -> Option<Vec<u8>> {
    match description {
        Some(description) => (*description != *body).then(|| description.into_owned()),
        None => Some(Vec::new()),
    }
}

/// What a 415 says about the bodies that are understood.
pub(super) fn push_accepted_bodies(headers: &mut Headers) {
    headers.push(HeaderName::Accept, ACCEPT);
    headers.push(HeaderName::AcceptEncoding, "identity");
}

impl UserAgent {
    pub(super) fn reject_body(&mut self, now: Instant, key: &Arc<str>) {
        self.reply(now, key, 415, |response| push_accepted_bodies(&mut response.headers));
    }
}
