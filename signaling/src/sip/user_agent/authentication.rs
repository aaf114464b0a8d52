//! Challenges of registrars and proxies (RFC 3261 section 22): the requests that answer them, and their ACKs.

use super::agent::UserAgent;
use super::client_authenticator::copy_authorization;
use super::event::CallId;
use super::next_hop::NextHop;
use super::request_route::RequestRoute;
use crate::sip::message::{Method, Request, Response};
use crate::sip::transport::TransmitTarget;
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Answers the challenges of each realm once, and again when a nonce was stale. True when it did.
    pub(super) fn retry_with_credentials(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response,
    ) -> bool {
        let Some(tx) = self.clients.get_mut(key).filter(|tx| tx.may_authenticate) else { return false };
        let wanted = tx.answered.to_be_answered(&response.headers);
        let Some(session) = self.sessions.get_mut(call).filter(|session| !session.is_canceling()) else { return false };
        let Some(authenticator) = session.authenticator().filter(|_| !wanted.is_empty()) else { return false };
        tx.answered.record(&wanted);
        let is_invite = tx.request.method == Method::Invite;
        for (challenger, challenge) in wanted {
            authenticator.add_challenge(challenge, challenger, self.tokens.token());
        }
        if is_invite {
            self.ack_rejection(key, response);
        }
        self.resend_request(now, key, call, |_| {});
        true
    }

    /// Puts the credentials of an INVITE into its ACK (RFC 3261 section 22.1), if the ACK goes to a place that they are
    /// for.
    pub(super) fn authorize_ack(
        &mut self, ack: &mut Request, invite: &str, route: &RequestRoute, target: &TransmitTarget,
    ) {
        let Some(tx) = self.clients.get(invite) else { return };
        let session = tx.call.and_then(|call| self.sessions.get_mut(call));
        let Some(authenticator) = session.and_then(|session| session.authenticator()) else { return };
        let may_authenticate = match target {
            TransmitTarget::Addr(addr) => {
                let is_hop = |hop: &NextHop| hop.as_address(route.transport).is_some_and(|one| one.addr == *addr);
                authenticator.covers_address(*addr)
                    || (route.hops.iter().any(is_hop) && authenticator.covers_route(route))
            }
            TransmitTarget::Name { .. } => authenticator.covers_route(route),
        };
        if may_authenticate {
            copy_authorization(&tx.request.headers, &mut ack.headers);
        }
    }
}
