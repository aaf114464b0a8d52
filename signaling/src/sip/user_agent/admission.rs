//! Who is heard and who may call: rate limits before a message is parsed, then trunks by address, registration or
//! credentials, before any state is created.

use super::inbound_trunks::{InboundTrunks, TrunkCandidates, TrunkKey};
use super::nonce_counts::NonceCounts;
use super::registered_trunks::RegisteredTrunks;
use crate::limits;
use crate::sip::digest::{self, DigestAlgorithm, DigestCheck, DigestClaim};
use crate::sip::message::{HeaderName, Headers, Request};
use crate::sip::rate_limit::{MessageKind, RateLimiter, SourceProof, SourceTransport, SourceTrust};
use crate::sip::token::TokenSource;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use trunkline_connections::SourceAddress;

/// Whether the caller of a new call is known.
#[derive(Debug)]
pub(super) enum InboundAuth {
    /// The trunks the caller may be on: at least one. `has_received`: the source is verified: it returned something we
    /// sent there.
    Admitted {
        candidates: TrunkCandidates,
        has_received: bool,
    },
    Forbidden,
    /// Values of the `WWW-Authenticate` headers, the preferred first.
    Challenge(Vec<String>),
    /// Too many wrong credentials; these were not checked.
    TooManyWrongCredentials,
}

/// What the credentials of a request prove.
#[derive(Debug, Default)]
struct CredentialProof {
    trunks: Vec<TrunkKey>,
    /// The right ones, too old or used before.
    stale: bool,
    /// Not looked at.
    limited: bool,
    /// The challenge that they answer was sent to where they come from.
    has_received: bool,
}

/// The rules of all trunks, and what sources and nonces have done so far.
#[derive(Debug)]
pub(super) struct Admission {
    realm: String,
    /// Nonces carry the second they were made in, counted from here.
    started: Instant,
    trunks: Arc<InboundTrunks>,
    nonces: NonceCounts,
    rate_limit: RateLimiter,
    /// Trunk of the last admitted message.
    admitted_trunk: Option<TrunkKey>,
    credentials_limited: u64,
}

impl Admission {
    pub(super) fn new(now: Instant, realm: String, trunks: Arc<InboundTrunks>) -> Self {
        Self {
            realm,
            started: now,
            trunks,
            nonces: NonceCounts::default(),
            rate_limit: RateLimiter::new(now),
            admitted_trunk: None,
            credentials_limited: 0,
        }
    }

    pub(super) fn trunks(&self) -> &InboundTrunks {
        &self.trunks
    }

    pub(super) fn set_trunks(&mut self, trunks: Arc<InboundTrunks>) {
        self.trunks = trunks;
    }

    /// Credentials not checked, because too many wrong ones came before; since the start.
    pub(super) fn credentials_limited(&self) -> u64 {
        self.credentials_limited
    }

    /// Whether a message is parsed. `is_known`: it belongs to a dialog, transaction or challenge of ours.
    pub(super) fn may_read(
        &mut self, now: Instant, ip: IpAddr, path: SourceTransport, kind: MessageKind,
        is_known: impl FnOnce(&Self) -> bool,
    ) -> bool {
        let source = SourceAddress::of(ip);
        let is_preferred = self.trunks.is_preferred_source(ip);
        self.rate_limit.admit(now, source, path, kind, is_preferred)
            || (is_known(self) && self.rate_limit.admit_known_traffic(now, source, path))
    }

    /// The source has shown that it receives what is sent to it, or we have called it.
    pub(super) fn record_trust(&mut self, now: Instant, source: IpAddr, trust: SourceTrust) {
        self.rate_limit.record_trust(now, source.into(), trust);
    }

    /// The connection of the last message is trusted from now on, as this trunk's; `None`: it is not.
    pub(super) fn set_admitted_trunk(&mut self, trunk: Option<TrunkKey>) {
        self.admitted_trunk = trunk;
    }

    /// Takes the trunk of the last admitted message.
    pub(super) fn take_admitted_trunk(&mut self) -> Option<TrunkKey> {
        self.admitted_trunk.take()
    }

    /// Identifies the caller. All evidence is collected, so that a trunk that lists the source does not hide another
    /// trunk whose credentials the caller has.
    pub(super) fn identify(
        &mut self, now: Instant, source: IpAddr, path: SourceTransport, request: &Request,
        registered: &RegisteredTrunks, tokens: &mut TokenSource,
    ) -> InboundAuth {
        if let Some(user) = request.uri.user.as_deref()
            && let Some(id) = registered.with_contact(user)
        {
            let candidates = TrunkCandidates { contact: Some(id), ..TrunkCandidates::default() };
            return InboundAuth::Admitted { candidates, has_received: path == SourceTransport::Stream };
        }
        let proof = self.authenticate(now, source, path, request, tokens);
        let has_received = path == SourceTransport::Stream || proof.has_received;
        let CredentialProof { trunks: digest, stale, limited, .. } = proof;
        let registrar = registered.registered_at(source);
        let candidates =
            TrunkCandidates { contact: None, digest, registrar, address: self.trunks.trunks_listing(source), stale };
        if !candidates.is_empty() {
            return InboundAuth::Admitted { candidates, has_received };
        }
        // Checked after the address lists, so that a listed carrier is admitted despite a foreign Authorization header.
        if limited {
            return InboundAuth::TooManyWrongCredentials;
        }
        if !self.trunks.have_credentials() {
            return InboundAuth::Forbidden;
        }
        InboundAuth::Challenge(self.new_challenges(now, source, &request.headers, stale, tokens))
    }

    /// What the credentials of a request prove. Wrong ones are counted against their source and user name.
    fn authenticate(
        &mut self, now: Instant, source: IpAddr, path: SourceTransport, request: &Request, tokens: &TokenSource,
    ) -> CredentialProof {
        let mut all = CredentialProof::default();
        for value in request.headers.all(&HeaderName::Authorization).take(limits::AUTHORIZATIONS_MAX) {
            let Some(claim) = DigestClaim::from_header(value) else { continue };
            let username = &claim.username;
            let source_proof = self.source_proof(now, source, path, &claim.nonce, tokens);
            if !self.rate_limit.may_check_credentials(now, source.into(), source_proof, username) {
                self.credentials_limited = self.credentials_limited.saturating_add(1);
                all.limited = true;
                continue;
            }
            let proof = self.verify(now, &claim, value, request, tokens);
            if !proof.trunks.is_empty() {
                return CredentialProof { has_received: source_proof != SourceProof::Unverified, ..proof };
            }
            if !proof.stale {
                self.rate_limit.record_wrong_credentials(now, source.into(), source_proof, username);
            }
            all.stale |= proof.stale;
        }
        all
    }

    fn verify(
        &mut self, now: Instant, claim: &DigestClaim, value: &str, request: &Request, tokens: &TokenSource,
    ) -> CredentialProof {
        let second = self.seconds_since_start(now);
        let (mut proof, mut used) = (CredentialProof::default(), None);
        for account in self.trunks.with_username(&claim.username) {
            if !claim.algorithm.is_some_and(|algorithm| account.algorithms.accept(algorithm)) {
                continue;
            }
            let (id, credentials) = (&account.trunk, &account.credentials);
            let keyed = |input: &[u8]| tokens.keyed(input);
            match digest::verify(value, credentials, &self.realm, request.method.as_str(), second, keyed) {
                DigestCheck::Verified(once) => {
                    proof.trunks.push(id.clone());
                    used = Some(once);
                }
                DigestCheck::Stale => proof.stale = true,
                DigestCheck::Invalid => {}
            }
        }
        self.nonces.forget_before(second.saturating_sub(digest::NONCE_LIFETIME.as_secs()));
        if let Some(digest::NonceUse { nonce, made_s, count }) = used
            && !self.nonces.record_use(&nonce, made_s, count)
        {
            return CredentialProof { stale: true, ..CredentialProof::default() };
        }
        proof
    }

    fn seconds_since_start(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }

    /// A challenge with this nonce went to the source not long ago: so the sender receives at that address.
    pub(super) fn nonce_was_sent_to(
        &self, now: Instant, source: SourceAddress, nonce: &str, tokens: &TokenSource,
    ) -> bool {
        let second = self.seconds_since_start(now);
        digest::was_sent_to(nonce, &source.to_bytes(), second, |input| tokens.keyed(input))
    }

    /// Proof of the source address of a request with credentials.
    fn source_proof(
        &self, now: Instant, source: IpAddr, path: SourceTransport, nonce: &str, tokens: &TokenSource,
    ) -> SourceProof {
        match path {
            SourceTransport::Stream => SourceProof::Connected,
            SourceTransport::Datagram if self.nonce_was_sent_to(now, source.into(), nonce, tokens) => {
                SourceProof::ReceivedChallenge
            }
            SourceTransport::Datagram => SourceProof::Unverified,
        }
    }

    /// Values of `WWW-Authenticate` for this source, with the algorithms of the account that the request seems to be of.
    pub(super) fn new_challenges(
        &self, now: Instant, source: IpAddr, request: &Headers, stale: bool, tokens: &mut TokenSource,
    ) -> Vec<String> {
        let unique = tokens.token();
        let peer = SourceAddress::of(source).to_bytes();
        let nonce = digest::nonce(self.seconds_since_start(now), &unique, &peer, |input| tokens.keyed(input));
        let (realm, stale) = (&self.realm, if stale { ", stale=true" } else { "" });
        let claims = request.all(&HeaderName::Authorization).take(limits::AUTHORIZATIONS_MAX);
        let claimed = claims.filter_map(DigestClaim::from_header).map(|claim| claim.username);
        let from = request.from().and_then(Result::ok).and_then(|from| from.uri.user);
        let users: Vec<String> = claimed.chain(from).collect();
        let algorithms = self.trunks.algorithms_for(users.iter().map(String::as_str));
        let of_algorithm = |algorithm: &DigestAlgorithm| {
            let name = algorithm.name();
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={name}{stale}")
        };
        algorithms.for_caller(request.get(&HeaderName::UserAgent)).iter().map(of_algorithm).collect()
    }
}

/// The headers of a challenge.
pub(super) fn push_challenges(headers: &mut Headers, challenges: Vec<String>) {
    for challenge in challenges {
        headers.push(HeaderName::WwwAuthenticate, challenge);
    }
}

#[expect(clippy::disallowed_methods, reason = "one real instant is the origin of virtual time")]
#[cfg(test)]
mod tests {
    use super::super::challenge_algorithms::ChallengeAlgorithms;
    use super::super::inbound_trunks::InboundTrunk;
    use super::*;
    use crate::sip::digest::{DigestChallenge, DigestClientSession, DigestCredentials};
    use crate::sip::message::{Method, Uri};

    struct Door {
        now: Instant,
        admission: Admission,
        registered: RegisteredTrunks,
        tokens: TokenSource,
    }

    fn door(credentials: Option<DigestCredentials>) -> Door {
        door_with(credentials, ChallengeAlgorithms::Automatic)
    }

    fn door_with(credentials: Option<DigestCredentials>, algorithms: ChallengeAlgorithms) -> Door {
        let allow = vec!["198.51.100.0/24".parse().unwrap()];
        let trunk = InboundTrunk { id: "t".into(), allow, credentials, algorithms, accept_refer: false };
        let now = Instant::now();
        let admission = Admission::new(now, "r".into(), Arc::new(vec![trunk].into()));
        Door { now, admission, registered: RegisteredTrunks::default(), tokens: TokenSource::new([7; 32]) }
    }

    fn invite(user: &str, authorization: Option<String>) -> Request {
        let uri = Uri::sip(Some(user), "192.0.2.1", None);
        let mut headers = Headers::default();
        if let Some(value) = authorization {
            headers.push(HeaderName::Authorization, value);
        }
        Request { method: Method::Invite, uri, headers, body: Vec::new() }
    }

    impl Door {
        fn challenges(&mut self, request: &Request) -> Vec<String> {
            match self.identify("203.0.113.1", request) {
                InboundAuth::Challenge(challenges) => challenges,
                other => panic!("{other:?}"),
            }
        }

        fn identify(&mut self, source: &str, request: &Request) -> InboundAuth {
            let source = source.parse().unwrap();
            let path = SourceTransport::Datagram;
            self.admission.identify(self.now, source, path, request, &self.registered, &mut self.tokens)
        }
    }

    #[test]
    fn callers_are_known_by_address_or_by_the_contact_of_a_registration() {
        let mut door = door(None);
        assert!(matches!(door.identify("203.0.113.1", &invite("x", None)), InboundAuth::Forbidden));
        let listed = door.identify("198.51.100.7", &invite("x", None));
        assert!(
            matches!(&listed, InboundAuth::Admitted { candidates, has_received: false } if candidates.contains("t"))
        );
        door.registered.add("secret", &"other".into());
        let called = door.identify("203.0.113.1", &invite("secret", None));
        assert!(matches!(&called, InboundAuth::Admitted { candidates, .. } if candidates.is_proven()));
    }

    #[test]
    fn an_account_takes_the_algorithms_that_it_names() {
        let credentials = DigestCredentials { username: "u".into(), password: "p".into() };
        for (algorithms, wanted) in [
            (ChallengeAlgorithms::Md5, &["MD5"][..]),
            (ChallengeAlgorithms::Sha256, &["SHA-256"]),
            (ChallengeAlgorithms::Md5First, &["MD5", "SHA-256"]),
            (ChallengeAlgorithms::Automatic, &["SHA-256", "MD5"]),
        ] {
            let mut door = door_with(Some(credentials.clone()), algorithms);
            let all = door.challenges(&invite("x", None));
            let names: Vec<&str> = all.iter().filter_map(|one| one.split("algorithm=").nth(1)).collect();
            assert_eq!(names, wanted);
            for name in ["MD5", "SHA-256"] {
                let fresh = door.challenges(&invite("x", None));
                let (before, _) = fresh[0].split_once("algorithm=").unwrap();
                let challenge = DigestChallenge::parse(&format!("{before}algorithm={name}")).unwrap();
                let mut session = DigestClientSession::new(challenge, "cnonce".into());
                let value = session.authorize(&credentials, "INVITE", "sip:x@192.0.2.1");
                let is_taken =
                    matches!(door.identify("203.0.113.1", &invite("x", Some(value))), InboundAuth::Admitted { .. });
                assert_eq!(is_taken, wanted.contains(&name), "{algorithms:?} {name}");
            }
        }
    }

    #[test]
    fn the_answer_to_a_challenge_admits_once() {
        let credentials = DigestCredentials { username: "u".into(), password: "p".into() };
        let mut door = door(Some(credentials.clone()));
        let challenges = door.challenges(&invite("x", None));
        let mut session = DigestClientSession::new(DigestChallenge::parse(&challenges[0]).unwrap(), "cnonce".into());
        let value = session.authorize(&credentials, "INVITE", "sip:x@192.0.2.1");
        let answer = invite("x", Some(value));
        let first = door.identify("203.0.113.1", &answer);
        assert!(matches!(first, InboundAuth::Admitted { has_received: true, .. }), "{first:?}");
        let again = door.identify("203.0.113.1", &answer);
        assert!(matches!(&again, InboundAuth::Challenge(all) if all[0].contains("stale=true")), "{again:?}");
        let elsewhere = door.identify("203.0.113.2", &invite("x", Some("Digest username=\"u\"".into())));
        assert!(matches!(elsewhere, InboundAuth::Challenge(_)), "{elsewhere:?}");
    }
}
