//! Calls we make: the INVITE.

use super::agent::UserAgent;
use super::client_authenticator::ClientAuthenticator;
use super::config::{ALLOW, InviteExtensions, InviteRequest, SUPPORTED};
use super::event::{CallId, SipCommandError};
use super::inbound_trunks::TrunkKey;
use super::next_hop::NextHop;
use super::outbound_request::{OutboundRequest, OwnContact};
use super::request_route::RequestRoute;
use super::session::{CallRights, DialogIds, Inviting, SessionMode, SipSession};
use crate::sip::early_media;
use crate::sip::message::{HeaderName, Headers, Method, NameAddr, Request};
use crate::sip::session_timer;
use std::time::Instant;

impl UserAgent {
    /// Starts an outgoing call. Its end, including rejections, comes as an event.
    pub fn send_invite(&mut self, now: Instant, invite: InviteRequest) -> Result<CallId, SipCommandError> {
        if self.is_at_calls_max() {
            return Err(SipCommandError::Overloaded);
        }
        let call = self.sessions.new_call();
        let (call_id, local_tag) = (self.new_call_id(), self.tokens.token());
        let user = invite.from.uri.user.clone();
        let mut headers = Headers::with_capacity(18);
        headers.push(HeaderName::MaxForwards, "70");
        headers.push(HeaderName::From, format!("{};tag={local_tag}", invite.from));
        headers.push(HeaderName::To, invite.to.to_string());
        headers.push(HeaderName::CallId, call_id.as_str());
        headers.push(HeaderName::CSeq, "1 INVITE");
        headers.push(HeaderName::Contact, "");
        headers.push(HeaderName::Allow, ALLOW);
        let sdp = invite.sdp.unwrap_or_default();
        // Without our own offer 100rel is not supported, because an offer in a provisional response would need its
        // answer in the PRACK.
        if invite.extensions == InviteExtensions::Offered {
            headers.push(HeaderName::Supported, if sdp.is_empty() { "timer, replaces" } else { SUPPORTED });
            headers.push(HeaderName::PEarlyMedia, early_media::SUPPORTED);
            if self.config.session_expires_s > 0 {
                headers.push(HeaderName::SessionExpires, self.config.session_expires_s.to_string());
                headers.push(HeaderName::MinSe, session_timer::MIN_SE_S.to_string());
            }
        }
        headers.push(HeaderName::UserAgent, self.config.user_agent.as_str());
        for header in invite.headers.iter() {
            headers.push(header.name.clone(), header.value.as_str());
        }
        if !sdp.is_empty() {
            headers.push(HeaderName::ContentType, "application/sdp");
        }
        let service_route = invite.trunk.as_ref().filter(|_| !invite.hops.is_empty());
        let hops = if invite.hops.is_empty() { vec![NextHop::of(&invite.request_uri)] } else { invite.hops };
        let bound = invite.credentials.filter(|bound| bound.cover(&invite.request_uri, &hops));
        let hops = self.add_service_route(service_route, &mut headers).unwrap_or(hops);
        let request = Request { method: Method::Invite, uri: invite.request_uri, headers, body: sdp.clone() };
        let route = RequestRoute::to(hops, invite.transport).with_authentication(bound.is_some());
        let rights = CallRights { trunk: invite.trunk, accept_refer: invite.accept_refer };
        let inviting = Inviting::new(bound.map(ClientAuthenticator::new), rights, sdp);
        let mode = SessionMode::Inviting(Box::new(inviting));
        self.sessions.insert(call, SipSession::new(DialogIds { call_id, local_tag, contact_user: user.clone() }, mode));
        self.send_request(now, OutboundRequest::new(request, Some(call), OwnContact::Present(user), route));
        Ok(call)
    }

    /// Takes the way that the trunk's registrar has asked for (RFC 3608 section 6.1): the first hop of it. A trunk with an
    /// outbound proxy has a way already, and the address of a URI is not the registrar's matter.
    pub(super) fn add_service_route(&self, trunk: Option<&TrunkKey>, headers: &mut Headers) -> Option<Vec<NextHop>> {
        let routes = self.registrations.service_route(trunk?);
        let first = NameAddr::parse(routes.first()?).ok().filter(|_| headers.get(&HeaderName::Route).is_none())?;
        for route in routes {
            headers.push(HeaderName::Route, route.as_str());
        }
        Some(vec![NextHop::of(&first.uri)])
    }

    pub(super) fn new_call_id(&mut self) -> String {
        format!("{}@{}", self.tokens.token(), self.config.advertised)
    }
}
