//! Which challenges of a response are answered (RFC 3261 section 22.3): each realm once, and again when its nonce was stale.

use super::client_authenticator::Challenger;
use crate::limits;
use crate::sip::digest::DigestChallenge;
use crate::sip::message::Headers;

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
    pub(super) fn to_be_answered(&self, headers: &Headers) -> Vec<(Challenger, DigestChallenge)> {
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

    /// These are answered now.
    pub(super) fn record(&mut self, answered: &[(Challenger, DigestChallenge)]) {
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
