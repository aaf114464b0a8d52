//! Authenticates incoming calls: identifies trunks by address, registration or credentials, before any state is
//! created.

use super::trunks::{TrunkCandidates, TrunkKey};
use super::{CallId, Endpoint, Refusal, Session, SessionState, count};
use crate::limits;
use crate::sip::digest::{self, Check, Claim};
use crate::sip::failure::Cause;
use crate::sip::message::{HeaderName, Headers, Request};
use crate::sip::rate_limit::{Guesser, Path, Trust};
use std::net::IpAddr;
use std::time::Instant;
use trunkline_connections::Source;

pub(super) enum Admission {
    /// The trunks the caller may be on: at least one. `has_received`: the source is verified: it returned something we
    /// sent there.
    Candidates {
        candidates: TrunkCandidates,
        has_received: bool,
    },
    Forbidden,
    /// Values of the `WWW-Authenticate` headers, the strongest first.
    Challenge([String; 2]),
    /// Too many wrong credentials; these were not checked.
    TooManyGuesses,
}

/// What the credentials of a request prove.
#[derive(Debug, Default)]
struct Proof {
    trunks: Vec<TrunkKey>,
    /// The right ones, too old or used before.
    stale: bool,
    /// Not looked at.
    limited: bool,
    /// The challenge that they answer was sent to where they come from.
    has_received: bool,
}

impl Endpoint {
    /// Identifies the caller. All evidence is collected, so that a trunk that lists the source does not hide another
    /// trunk whose credentials the caller has.
    pub(super) fn admit(&mut self, now: Instant, source: IpAddr, path: Path, request: &Request) -> Admission {
        if let Some(user) = request.uri.user.as_deref()
            && let Some(id) = self.registered.with_contact(user)
        {
            let candidates = TrunkCandidates { contact: Some(id), ..TrunkCandidates::default() };
            return Admission::Candidates { candidates, has_received: path == Path::Stream };
        }
        let proof = self.authenticate(now, source, path, request);
        let has_received = path == Path::Stream || proof.has_received;
        let Proof { trunks: digest, stale, limited, .. } = proof;
        let registrar = self.registered.at(source);
        let candidates =
            TrunkCandidates { contact: None, digest, registrar, address: self.trunks.listing(source), stale };
        if !candidates.is_empty() {
            return Admission::Candidates { candidates, has_received };
        }
        // Checked after the address lists, so that a listed carrier is admitted despite a foreign Authorization header.
        if limited {
            return Admission::TooManyGuesses;
        }
        if !self.trunks.have_credentials() {
            return Admission::Forbidden;
        }
        Admission::Challenge(self.challenges(now, source, stale))
    }

    /// What the credentials of a request prove. Wrong ones are counted against their source and user name.
    fn authenticate(&mut self, now: Instant, source: IpAddr, path: Path, request: &Request) -> Proof {
        let mut all = Proof::default();
        for value in request.headers.all(&HeaderName::Authorization).take(limits::AUTHORIZATIONS_MAX) {
            let Some(Claim { username, nonce }) = Claim::of(value) else { continue };
            let guesser = self.guesser(now, source, path, Some(&nonce));
            if !self.rate_limit.may_guess(now, source.into(), guesser, &username) {
                count(&mut self.counters.guesses_limited);
                all.limited = true;
                continue;
            }
            let proof = self.verify(now, &username, value, request);
            if !proof.trunks.is_empty() {
                return Proof { has_received: guesser != Guesser::Unproven, ..proof };
            }
            if !proof.stale {
                self.rate_limit.guessed_wrong(now, source.into(), guesser, &username);
            }
            all.stale |= proof.stale;
        }
        all
    }

    fn verify(&mut self, now: Instant, username: &str, value: &str, request: &Request) -> Proof {
        let second = self.second(now);
        let (mut proof, mut used) = (Proof::default(), None);
        for (id, credentials) in self.trunks.with_username(username) {
            let keyed = |input: &[u8]| self.tokens.keyed(input);
            match digest::verify(value, credentials, &self.config.realm, request.method.as_str(), second, keyed) {
                Check::Valid(once) => {
                    proof.trunks.push(id.clone());
                    used = Some(once);
                }
                Check::Stale => proof.stale = true,
                Check::Invalid => {}
            }
        }
        self.nonces.forget_before(second.saturating_sub(digest::NONCE_LIFETIME.as_secs()));
        if let Some(digest::Use { nonce, made_s, count }) = used
            && !self.nonces.is_fresh(&nonce, made_s, count)
        {
            return Proof { stale: true, ..Proof::default() };
        }
        proof
    }

    /// A message with our tag came from the source of the INVITE, which proves that the source receives there; it is
    /// trusted from now on.
    pub(super) fn has_received_tag(&mut self, now: Instant, call: CallId, source: IpAddr) {
        if self.sessions.get(&call).is_some_and(|session| session.invited_from == Some(source)) {
            self.rate_limit.trust(now, source.into(), Trust::Proven);
        }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }

    pub(super) fn challenges(&mut self, now: Instant, source: IpAddr, stale: bool) -> [String; 2] {
        let unique = self.tokens.token();
        let peer = Source::of(source).to_bytes();
        let nonce = digest::nonce(self.second(now), &unique, &peer, |input| self.tokens.keyed(input));
        let stale = if stale { ", stale=true" } else { "" };
        ["SHA-256", "MD5"].map(|algorithm| {
            let realm = &self.config.realm;
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}")
        })
    }

    /// Assigns the call to one of its candidates; it has only that trunk's rights from now on.
    pub fn choose_trunk(&mut self, call: CallId, id: &TrunkKey) -> Result<(), Refusal> {
        let accept_refer = self.trunks.accept_refer(id);
        let session = self.sessions.get_mut(&call).ok_or(Refusal::UnknownCall)?;
        if !matches!(session.state, SessionState::Ringing { .. }) {
            return Err(Refusal::WrongState);
        }
        session.choose(id.clone(), accept_refer);
        Ok(())
    }

    /// Refuses a call whose number belongs to none of its candidates. A caller identified only by address is challenged
    /// (401), because its credentials may belong to another trunk. The answer does not reveal whether the number exists
    /// elsewhere.
    pub fn reject_number(&mut self, now: Instant, call: CallId) -> Result<(), Refusal> {
        let session = self.sessions.get(&call).ok_or(Refusal::UnknownCall)?;
        let SessionState::Ringing { tx, .. } = &session.state else { return Err(Refusal::WrongState) };
        let stale = match session.caller_proof {
            CallerProof::AddressOnly { stale } if self.trunks.have_credentials() => stale,
            _ => return self.reject(now, call, 404, None),
        };
        let (key, source) = (tx.clone(), session.source.map(|(_, source)| source.ip()));
        let source = source.unwrap_or(self.config.advertised);
        let challenges = self.challenges(now, source, stale);
        self.reply(now, &key, 401, |response| push_challenges(&mut response.headers, challenges));
        self.end(now, call, Cause::Local);
        self.remove_session(now, call);
        Ok(())
    }
}

/// How the caller was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerProof {
    /// Credentials, or the secret Contact of a registration: no other trunk is possible.
    Proven,
    /// An address, which several trunks may list. `stale`: its credentials were right, but too old.
    AddressOnly { stale: bool },
}

impl CallerProof {
    pub(super) fn of(candidates: &TrunkCandidates) -> Self {
        match candidates.is_proven() {
            true => Self::Proven,
            false => Self::AddressOnly { stale: candidates.stale },
        }
    }
}

/// The headers of a challenge.
pub(super) fn push_challenges(headers: &mut Headers, challenges: [String; 2]) {
    for challenge in challenges {
        headers.push(HeaderName::WwwAuthenticate, challenge);
    }
}

impl Session {
    pub(super) fn choose(&mut self, trunk: TrunkKey, accept_refer: bool) {
        self.trunk = Some(trunk);
        self.accept_refer = accept_refer;
    }
}
