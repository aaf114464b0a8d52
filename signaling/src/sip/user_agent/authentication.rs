//! Challenges of registrars and proxies (RFC 3261 section 22): which are answered, and with what.

use super::agent::UserAgent;
use super::client_authenticator::{Challenger, copy_authorization};
use super::event::CallId;
use super::next_hop::NextHop;
use super::request_route::RequestRoute;
use crate::limits;
use crate::sip::digest::DigestChallenge;
use crate::sip::message::{Headers, Method, Request, Response};
use crate::sip::transport::TransmitTarget;
use std::sync::Arc;
use std::time::Instant;

/// The challenges that one request has answered so far.
#[derive(Clone, Debug, Default)]
pub(super) struct AnsweredChallenges {
    /// How often the request was sent again with credentials.
    attempts: u8,
    /// Whose challenges were answered since the request goes to its present address.
    realms: Vec<(Challenger, String)>,
}

impl AnsweredChallenges {
    /// The challenges of a response that are to be answered, one of each realm. A second challenge of a realm says that
    /// the password is wrong, unless it says that the nonce was too old.
    fn to_be_answered(&self, headers: &Headers) -> Vec<(Challenger, DigestChallenge)> {
        if self.attempts >= limits::AUTH_ATTEMPTS_MAX {
            return Vec::new();
        }
        let is_new = |challenger: Challenger, one: &DigestChallenge| {
            one.stale || !self.realms.iter().any(|(who, realm)| *who == challenger && *realm == one.realm)
        };
        let mut wanted: Vec<(Challenger, DigestChallenge)> = Vec::new();
        for challenger in [Challenger::Proxy, Challenger::Server] {
            let name = challenger.challenge_header();
            let values = headers.all(&name).flat_map(DigestChallenge::parse_all).take(limits::CHALLENGES_MAX);
            for challenge in values.filter(|one| is_new(challenger, one)) {
                let realm = challenge.realm.clone();
                let of_realm = |(who, one): &(Challenger, DigestChallenge)| *who == challenger && one.realm == realm;
                // RFC 8760 section 2.4 lets the client choose: the strongest.
                if let Some((_, other)) = wanted.iter_mut().find(|one| of_realm(one)) {
                    if other.algorithm < challenge.algorithm {
                        *other = challenge;
                    }
                } else if wanted.len() < limits::AUTH_REALMS_MAX {
                    wanted.push((challenger, challenge));
                }
            }
        }
        wanted
    }

    fn record(&mut self, answered: &[(Challenger, DigestChallenge)]) {
        self.attempts = self.attempts.saturating_add(1);
        for (challenger, challenge) in answered {
            let one = (*challenger, challenge.realm.clone());
            if !self.realms.contains(&one) && self.realms.len() < limits::AUTH_REALMS_MAX.saturating_mul(2) {
                self.realms.push(one);
            }
        }
    }

    /// The request goes to another server, which may challenge the same realm with a nonce of its own.
    pub(super) fn go_elsewhere(&mut self) {
        self.realms.clear();
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::HeaderName;

    fn response(challenges: &[(HeaderName, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in challenges {
            headers.push(name.clone(), *value);
        }
        headers
    }

    fn realms(found: &[(Challenger, DigestChallenge)]) -> Vec<String> {
        found.iter().map(|(who, one)| format!("{who:?} {} {:?}", one.realm, one.algorithm)).collect()
    }

    #[test]
    fn each_realm_is_answered_once_with_its_strongest_algorithm() {
        let all = response(&[
            (HeaderName::WwwAuthenticate, "Digest realm=\"b\", nonce=\"1\", algorithm=MD5"),
            (HeaderName::ProxyAuthenticate, "Digest realm=\"a\", nonce=\"2\", Digest realm=\"c\", nonce=\"3\""),
            (HeaderName::WwwAuthenticate, "Digest realm=\"b\", nonce=\"1\", algorithm=SHA-256"),
            (HeaderName::WwwAuthenticate, "Basic realm=\"d\""),
        ]);
        let mut answered = AnsweredChallenges::default();
        let found = answered.to_be_answered(&all);
        assert_eq!(realms(&found), ["Proxy a Md5", "Proxy c Md5", "Server b Sha256"]);
        answered.record(&found);
        assert!(answered.to_be_answered(&all).is_empty());
        // The same name of another challenger is another realm.
        let proxy = response(&[(HeaderName::ProxyAuthenticate, "Digest realm=\"b\", nonce=\"4\"")]);
        assert_eq!(realms(&answered.to_be_answered(&proxy)), ["Proxy b Md5"]);
        let stale = response(&[(HeaderName::ProxyAuthenticate, "Digest realm=\"a\", nonce=\"5\", stale=TRUE")]);
        assert_eq!(realms(&answered.to_be_answered(&stale)), ["Proxy a Md5"]);
        answered.go_elsewhere();
        assert_eq!(answered.to_be_answered(&all).len(), 3);
    }

    #[test]
    fn realms_and_attempts_are_bounded() {
        let mut many = Headers::default();
        for realm in 0..100 {
            many.push(HeaderName::WwwAuthenticate, format!("Digest realm=\"{realm}\", nonce=\"1\""));
        }
        let mut answered = AnsweredChallenges::default();
        let mut attempts = 0;
        while let found = answered.to_be_answered(&many)
            && !found.is_empty()
        {
            assert_eq!(found.len(), limits::AUTH_REALMS_MAX);
            answered.record(&found);
            answered.go_elsewhere();
            attempts += 1;
        }
        assert_eq!(attempts, limits::AUTH_ATTEMPTS_MAX);
    }
}
