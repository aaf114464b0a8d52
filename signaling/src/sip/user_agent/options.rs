//! Probing a peer with OPTIONS outside of a dialog (RFC 3261 section 11). Challenges are answered; any other response
//! counts as reachable, including errors.

use super::agent::UserAgent;
use super::client_authenticator::ClientAuthenticator;
use super::config::InviteRequest;
use super::event::{CallId, ProbeResult, SipCommandError, SipEvent};
use super::next_hop::NextHop;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::request_route::RequestRoute;
use super::session::{DialogIds, PendingRequest, SessionMode, SipSession};
use crate::limits;
use crate::sip::message::{HeaderName, Headers, Method, Request};
use std::time::{Duration, Instant};

/// A target without a response after this time is unreachable: four transmissions. The full transaction timeout of 32
/// seconds is not needed.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

impl UserAgent {
    /// The answer comes as [`SipEvent::OptionsAnswered`], after [`PROBE_TIMEOUT`] at the latest. Uses all fields of
    /// the invitation except SDP. Probes have their own limit and do not count as calls.
    pub fn send_options(&mut self, now: Instant, probe: InviteRequest) -> Result<CallId, SipCommandError> {
        if self.sessions.probes() >= limits::PROBES_MAX {
            return Err(SipCommandError::Overloaded);
        }
        let call = self.sessions.new_call();
        let (call_id, local_tag) = (self.new_call_id(), self.tokens.token());
        let user = probe.from.uri.user.clone();
        let mut headers = Headers::with_capacity(9);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{};tag={local_tag}", probe.from));
        headers.push(HeaderName::To, probe.to.to_string());
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, "1 OPTIONS");
        headers.push(HeaderName::Contact, "");
        headers.push(HeaderName::Accept, "application/sdp");
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        let has_way = probe.hops.is_empty() || probe.headers.get(&HeaderName::Route).is_some();
        let service_route = probe.trunk.as_ref().filter(|_| !has_way);
        let service_hops = self.add_service_route(service_route, &mut headers);
        let hops = if probe.hops.is_empty() { vec![NextHop::of(&probe.request_uri)] } else { probe.hops };
        let bound = probe.credentials.filter(|bound| bound.cover(&probe.request_uri, &hops));
        let hops = service_hops.unwrap_or(hops);
        let request = Request { method: Method::Options, uri: probe.request_uri, headers, body: Vec::new() };
        let route = RequestRoute::to(hops, probe.transport).with_authentication(bound.is_some());
        let mode = SessionMode::Probing {
            request: PendingRequest::Resolving,
            authenticator: bound.map(ClientAuthenticator::new),
            drop_at: now + PROBE_TIMEOUT,
        };
        let ids = DialogIds { call_id, local_tag, contact_user: user.clone() };
        self.sessions.insert(call, SipSession::new(ids, mode));
        self.arm_session(call);
        self.send_request(now, OutboundRequest::new(request, Some(call), OwnContact::Present(user), route));
        Ok(call)
    }

    pub(super) fn handle_options_response(&mut self, now: Instant, call: CallId, result: ProbeResult) {
        self.events.push_back(SipEvent::OptionsAnswered { call, result });
        self.remove_session(now, call);
    }

    /// Stops a probe and its request.
    pub(super) fn stop_probe(&mut self, now: Instant, call: CallId) {
        let Some(SessionMode::Probing { request, .. }) = self.sessions.get(call).map(|session| session.mode()) else {
            return;
        };
        match request {
            PendingRequest::Sent { key } => drop(self.clients.remove(key)),
            PendingRequest::Resolving => self.lookups.remove_calls(|other| other == call),
        }
        self.handle_options_response(now, call, ProbeResult::Silent);
    }
}
