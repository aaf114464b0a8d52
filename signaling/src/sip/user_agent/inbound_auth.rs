//! Authenticates incoming calls: identifies trunks by address, registration or credentials, before any state is
//! created.

use super::inbound_trunks::{TrunkCandidates, TrunkKey};
use super::{CallId, SipCommandError, SipSession, SipSessionState, UserAgent, increment};
use crate::limits;
use crate::sip::digest::{self, DigestCheck, DigestClaim};
use crate::sip::end_cause::EndCause;
use crate::sip::message::{HeaderName, Headers, Request};
use crate::sip::rate_limit::{SourceProof, SourceTransport, SourceTrust};
use std::net::IpAddr;
use std::time::Instant;
use trunkline_connections::SourceAddress;

pub(super) enum InboundAuth {
    /// The trunks the caller may be on: at least one. `has_received`: the source is verified: it returned something we
    /// sent there.
    Admitted {
        candidates: TrunkCandidates,
        has_received: bool,
    },
    Forbidden,
    /// Values of the `WWW-Authenticate` headers, the strongest first.
    Challenge([String; 2]),
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

impl UserAgent {
    /// Identifies the caller. All evidence is collected, so that a trunk that lists the source does not hide another
    /// trunk whose credentials the caller has.
    pub(super) fn admit(
        &mut self, now: Instant, source: IpAddr, path: SourceTransport, request: &Request,
    ) -> InboundAuth {
        if let Some(user) = request.uri.user.as_deref()
            && let Some(id) = self.registered.with_contact(user)
        {
            let candidates = TrunkCandidates { contact: Some(id), ..TrunkCandidates::default() };
            return InboundAuth::Admitted { candidates, has_received: path == SourceTransport::Stream };
        }
        let proof = self.authenticate(now, source, path, request);
        let has_received = path == SourceTransport::Stream || proof.has_received;
        let CredentialProof { trunks: digest, stale, limited, .. } = proof;
        let registrar = self.registered.registered_at(source);
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
        InboundAuth::Challenge(self.new_challenges(now, source, stale))
    }

    /// What the credentials of a request prove. Wrong ones are counted against their source and user name.
    fn authenticate(
        &mut self, now: Instant, source: IpAddr, path: SourceTransport, request: &Request,
    ) -> CredentialProof {
        let mut all = CredentialProof::default();
        for value in request.headers.all(&HeaderName::Authorization).take(limits::AUTHORIZATIONS_MAX) {
            let Some(DigestClaim { username, nonce }) = DigestClaim::from_header(value) else { continue };
            let source_proof = self.source_proof(now, source, path, Some(&nonce));
            if !self.rate_limit.may_check_credentials(now, source.into(), source_proof, &username) {
                increment(&mut self.counters.credentials_limited);
                all.limited = true;
                continue;
            }
            let proof = self.verify(now, &username, value, request);
            if !proof.trunks.is_empty() {
                return CredentialProof { has_received: source_proof != SourceProof::Unverified, ..proof };
            }
            if !proof.stale {
                self.rate_limit.record_wrong_credentials(now, source.into(), source_proof, &username);
            }
            all.stale |= proof.stale;
        }
        all
    }

    fn verify(&mut self, now: Instant, username: &str, value: &str, request: &Request) -> CredentialProof {
        let second = self.seconds_since_start(now);
        let (mut proof, mut used) = (CredentialProof::default(), None);
        for (id, credentials) in self.trunks.with_username(username) {
            let keyed = |input: &[u8]| self.tokens.keyed(input);
            match digest::verify(value, credentials, &self.config.realm, request.method.as_str(), second, keyed) {
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

    /// A message with our tag came from the source of the INVITE, which proves that the source receives there; it is
    /// trusted from now on.
    pub(super) fn trust_if_tag_received(&mut self, now: Instant, call: CallId, source: IpAddr) {
        if self.sessions.get(&call).is_some_and(|session| session.invited_from == Some(source)) {
            self.rate_limit.record_trust(now, source.into(), SourceTrust::Authenticated);
        }
    }

    fn seconds_since_start(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs()
    }

    pub(super) fn new_challenges(&mut self, now: Instant, source: IpAddr, stale: bool) -> [String; 2] {
        let unique = self.tokens.token();
        let peer = SourceAddress::of(source).to_bytes();
        let nonce = digest::nonce(self.seconds_since_start(now), &unique, &peer, |input| self.tokens.keyed(input));
        let stale = if stale { ", stale=true" } else { "" };
        ["SHA-256", "MD5"].map(|algorithm| {
            let realm = &self.config.realm;
            format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}")
        })
    }

    /// Assigns the call to one of its candidates; it has only that trunk's rights from now on.
    pub fn assign_trunk(&mut self, call: CallId, id: &TrunkKey) -> Result<(), SipCommandError> {
        let accept_refer = self.trunks.accept_refer(id);
        let session = self.sessions.get_mut(&call).ok_or(SipCommandError::UnknownCall)?;
        if !matches!(session.state, SipSessionState::IncomingRinging { .. }) {
            return Err(SipCommandError::WrongState);
        }
        session.assign_trunk(id.clone(), accept_refer);
        Ok(())
    }

    /// Refuses a call whose number belongs to none of its candidates. A caller identified only by address is challenged
    /// (401), because its credentials may belong to another trunk. The answer does not reveal whether the number exists
    /// elsewhere.
    pub fn reject_unknown_number(&mut self, now: Instant, call: CallId) -> Result<(), SipCommandError> {
        let session = self.sessions.get(&call).ok_or(SipCommandError::UnknownCall)?;
        let SipSessionState::IncomingRinging { tx, .. } = &session.state else {
            return Err(SipCommandError::WrongState);
        };
        let stale = match session.caller_proof {
            CallerProof::AddressOnly { stale } if self.trunks.have_credentials() => stale,
            _ => return self.reject(now, call, 404, None),
        };
        let (key, source) = (tx.clone(), session.source.map(|(_, source)| source.ip()));
        let source = source.unwrap_or(self.config.advertised);
        let challenges = self.new_challenges(now, source, stale);
        self.reply(now, &key, 401, |response| push_challenges(&mut response.headers, challenges));
        self.record_end(now, call, EndCause::LocalHangUp);
        self.remove_session(now, call);
        Ok(())
    }
}

/// How the caller was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerProof {
    /// Credentials, or the secret Contact of a registration: no other trunk is possible.
    Authenticated,
    /// An address, which several trunks may list. `stale`: its credentials were right, but too old.
    AddressOnly { stale: bool },
}

impl CallerProof {
    pub(super) fn of(candidates: &TrunkCandidates) -> Self {
        match candidates.is_proven() {
            true => Self::Authenticated,
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

impl SipSession {
    pub(super) fn assign_trunk(&mut self, trunk: TrunkKey, accept_refer: bool) {
        self.trunk = Some(trunk);
        self.accept_refer = accept_refer;
    }
}
