//! Challenges of registrars and proxies (RFC 3261 section 22): which are answered, and with what.

use super::agent::UserAgent;
use super::client_authenticator::has_authorization;
use super::event::CallId;
use crate::limits;
use crate::sip::digest::DigestChallenge;
use crate::sip::message::{HeaderName, Method, Response};
use std::sync::Arc;
use std::time::Instant;

impl UserAgent {
    /// Answers a challenge of each realm once, and once more when its nonce was stale. True when it did.
    pub(super) fn retry_with_credentials(
        &mut self, now: Instant, key: &Arc<str>, call: CallId, response: &Response,
    ) -> bool {
        let proxy = response.status == 407;
        let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
        let Some(tx) = self.clients.get(key) else { return false };
        let (attempts, is_invite) = (tx.auth_attempts, tx.request.method == Method::Invite);
        if !tx.may_authenticate || attempts >= limits::AUTH_ATTEMPTS_MAX {
            return false;
        }
        let is_new =
            |one: &DigestChallenge| attempts == 0 || one.stale || !has_authorization(&tx.request, proxy, &one.realm);
        let Some(challenge) = DigestChallenge::strongest(response.headers.all(&name), is_new) else { return false };
        let Some(session) = self.sessions.get_mut(call).filter(|session| !session.is_canceling()) else { return false };
        let Some(authenticator) = session.authenticator() else { return false };
        authenticator.add_challenge(challenge, proxy, self.tokens.token());
        if is_invite {
            self.ack_rejection(key, response);
        }
        self.resend_request(now, key, call, attempts.saturating_add(1), |_| {});
        true
    }
}
