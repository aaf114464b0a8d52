//! Asking whether somebody is there (RFC 3261 section 11): OPTIONS outside of a dialog. Any answer is a sign of
//! life, a refusal too.

use super::routing::target;
use super::{CallId, Endpoint, Event, Invite, Refusal, Session, SessionState};
use crate::sip::message::{HeaderName, Headers, Method, Request};
use std::time::Instant;

impl Endpoint {
    /// The status of the answer comes as [`Event::Probed`]. Of an invitation, everything but its SDP counts.
    pub fn options(&mut self, now: Instant, probe: Invite) -> Result<CallId, Refusal> {
        if self.sessions.len() >= self.config.calls_max {
            return Err(Refusal::Overload);
        }
        let call = self.new_call();
        let (call_id, local_tag) = (format!("{}@{}", self.tokens.token(), self.config.advertised), self.tokens.token());
        let mut headers = Headers::with_capacity(9);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{};tag={local_tag}", probe.from));
        headers.push(HeaderName::To, probe.to.to_string());
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Contact, self.contact(probe.transport, probe.from.uri.user.as_deref()));
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let hop = match &probe.proxy {
            Some((host, port)) => target(host, *port),
            None => target(&probe.request_uri.host, probe.request_uri.port),
        };
        let mut request = Request { method: Method::Options, uri: probe.request_uri, headers, body: Vec::new() };
        let branch = self.push_via(&mut request, probe.transport);
        self.start_client(now, request, &branch, (probe.transport, hop), Some(call), 0);
        let session = Session {
            state: SessionState::Closing,
            call_id,
            local_tag,
            credentials: None,
            auth: None,
            source: None,
            transport: probe.transport,
            ended: true,
        };
        self.sessions.insert(call, session);
        Ok(call)
    }

    pub(super) fn options_response(&mut self, call: CallId, status: Option<u16>) {
        self.events.push_back(Event::Probed { call, status });
        self.remove_session(call);
    }
}
