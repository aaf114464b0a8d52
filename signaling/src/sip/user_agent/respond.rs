//! Responses: in their transaction, or without any state (RFC 3261 section 8.2).

use super::agent::{UserAgent, increment};
use super::config::{ALLOW, SUPPORTED};
use super::session_body::push_accepted_bodies;
use crate::sip::message::{HeaderName, Headers, Response, print};
use crate::sip::transport::{ResponsePath, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Responds inside a server transaction with the headers every response of ours has.
    pub(super) fn reply(&mut self, now: Instant, key: &Arc<str>, status: u16, add: impl FnOnce(&mut Response)) -> bool {
        let Some(tx) = self.servers.get(key) else { return false };
        let session = tx.call().and_then(|call| self.sessions.get(call));
        let tag = session.map_or_else(|| self.tokens.keyed(key.as_bytes()), |session| session.ids.local_tag.clone());
        let tag = (status > 100).then_some(tag.as_str());
        let mut response = Response::to_request(tx.headers(), status, tag);
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        add(&mut response);
        self.respond(now, key, &response)
    }

    /// Sends a response inside its server transaction; false when a final one was already sent.
    pub(super) fn respond(&mut self, now: Instant, key: &Arc<str>, response: &Response) -> bool {
        let Some((wire, reply_to)) = self.servers.respond(now, key, response) else { return false };
        self.arm_server(key);
        self.send(reply_to, wire);
        true
    }

    /// An offer while another one is open: rejected with a random Retry-After (RFC 3261 section 14.2).
    pub(super) fn reject_overlapping_offer(&mut self, now: Instant, key: &Arc<str>) {
        let after_s = self.tokens.number() % 11;
        self.reply(now, key, 500, |response| response.headers.push(HeaderName::RetryAfter, after_s.to_string()));
    }

    /// A final answer without any state (RFC 3261 section 8.2.7).
    pub(super) fn reject_stateless(
        &mut self, reply_to: (Transport, SocketAddr), headers: &Headers, status: u16, add: impl FnOnce(&mut Response),
    ) {
        increment(&mut self.counters.refused);
        self.respond_stateless(reply_to, headers, status, add);
    }

    /// Rejects a request with 503 and Retry-After.
    pub(super) fn reject_overloaded(&mut self, reply_to: (Transport, SocketAddr), headers: &Headers) {
        increment(&mut self.counters.overload);
        let after = self.config.retry_after_s;
        self.reject_stateless(reply_to, headers, 503, |response| {
            response.headers.push(HeaderName::RetryAfter, after.to_string());
        });
    }

    pub(super) fn respond_stateless(
        &mut self, reply_to: (Transport, SocketAddr), headers: &Headers, status: u16, add: impl FnOnce(&mut Response),
    ) {
        let via = headers.get(&HeaderName::Via).unwrap_or("");
        let tag = self.tokens.keyed(format!("{via}{}", headers.call_id()).as_bytes());
        let mut response = Response::to_request(headers, status, Some(&tag));
        response.headers.push(HeaderName::Server, self.config.user_agent.as_str());
        add(&mut response);
        self.send(ResponsePath::open_only(reply_to), print::response(&response).into());
    }
}

pub(super) fn add_allow(response: &mut Response) {
    response.headers.push(HeaderName::Allow, ALLOW);
}

pub(super) fn add_capabilities(response: &mut Response) {
    add_allow(response);
    response.headers.push(HeaderName::Supported, SUPPORTED);
    push_accepted_bodies(&mut response.headers);
}

pub(super) fn attach_sdp(response: &mut Response, sdp: Option<Vec<u8>>) {
    if let Some(sdp) = sdp {
        response.headers.push(HeaderName::ContentType, "application/sdp");
        response.body = sdp;
    }
}

/// Options that are required and that we do not know.
pub(super) fn unsupported(headers: &Headers) -> Option<String> {
    let known = |option: &&str| SUPPORTED.split(", ").any(|known| known.eq_ignore_ascii_case(option));
    let unknown: Vec<&str> = headers.list(&HeaderName::Require).filter(|option| !known(option)).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}
