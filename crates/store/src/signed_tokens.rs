//! Signed tokens: they name one call of one organization and what they are good for, for a while, so that
//! a browser or a reader of a report can be given one instead of a key.

use super::OrgScope;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use sha2::Sha256;
use trunkline_domain::ids::{AgentId, CallId, CallShareId, OrganizationId};

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPurpose {
    /// The live transcript: five minutes (document A).
    Live,
    /// One call from a browser, and its live transcript.
    Web,
    /// The recording, in links of reports: a week.
    Recording,
    /// A call that was shared, by the id of its link.
    Share,
}

impl TokenPurpose {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Web => "web",
            Self::Recording => "recording",
            Self::Share => "share",
        }
    }

    fn valid_s(self) -> u64 {
        match self {
            Self::Live => 300,
            // They say it themselves.
            Self::Web | Self::Share => 0,
            Self::Recording => 7 * 86_400,
        }
    }
}

/// The key tokens are signed with.
#[derive(Clone, Debug)]
pub struct TokenSigner(SecretSlice<u8>);

impl TokenSigner {
    /// An empty text makes a secret of this process: its tokens are good here and until the next start.
    pub fn new(text: &str) -> Self {
        let key = if text.is_empty() { rand::random::<[u8; 32]>().to_vec() } else { text.as_bytes().to_vec() };
        Self(key.into())
    }

    fn mac(&self, purpose: TokenPurpose, payload: &str) -> Hmac<Sha256> {
        // HMAC takes keys of any length.
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).unwrap_or_else(|_| unreachable!("any length fits"));
        mac.update(b"trunkline token 2 ");
        mac.update(purpose.name().as_bytes());
        mac.update(b"\n");
        mac.update(payload.as_bytes());
        mac
    }

    /// A token for a call.
    pub fn sign(&self, purpose: TokenPurpose, scope: OrgScope, call: CallId, now_s: u64) -> String {
        let payload = format!("{} {call} {}", scope.organization(), now_s + purpose.valid_s());
        let tag = self.mac(purpose, &payload).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..], payload.as_bytes()].concat())
    }

    /// A token for one call from a browser with an agent. It also opens the live transcript, which must not end
    /// before the call does. So the time limit for starting is in the token; [`WebCallGrant::may_begin`] checks it.
    pub fn sign_web(&self, scope: OrgScope, call: CallId, agent: AgentId, until_s: u64) -> String {
        let payload = format!("{} {call} {agent} {until_s}", scope.organization());
        let tag = self.mac(TokenPurpose::Web, &payload).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..], payload.as_bytes()].concat())
    }

    /// Reads the token of a web call; `None` if it is not ours. Its age is for `may_begin` to judge.
    pub fn verify_web(&self, token: &str) -> Option<WebCallGrant> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, payload) = bytes.split_at_checked(32)?;
        let payload = std::str::from_utf8(payload).ok()?;
        self.mac(TokenPurpose::Web, payload).verify_slice(tag).ok()?;
        let mut parts = payload.split(' ');
        Some(WebCallGrant {
            scope: OrgScope::new(OrganizationId::parse(parts.next()?)?),
            call: CallId::parse(parts.next()?)?,
            agent: AgentId::parse(parts.next()?)?,
            until_s: parts.next()?.parse().ok()?,
        })
    }

    /// A token for a link to a call, until it expires. Whether the link was revoked is in its row.
    pub fn sign_share(&self, scope: OrgScope, share: CallShareId, until_s: u64) -> String {
        let payload = format!("{} {share} {until_s}", scope.organization());
        let tag = self.mac(TokenPurpose::Share, &payload).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..], payload.as_bytes()].concat())
    }

    /// The scope and link of a token that is ours and not too old.
    pub fn verify_share(&self, token: &str, now_s: u64) -> Option<(OrgScope, CallShareId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, payload) = bytes.split_at_checked(32)?;
        let payload = std::str::from_utf8(payload).ok()?;
        self.mac(TokenPurpose::Share, payload).verify_slice(tag).ok()?;
        let mut parts = payload.split(' ');
        let organization = OrganizationId::parse(parts.next()?)?;
        let share = CallShareId::parse(parts.next()?)?;
        let until: u64 = parts.next()?.parse().ok()?;
        (now_s < until).then(|| (OrgScope::new(organization), share))
    }

    /// The scope and call of a token that is ours and not too old.
    pub fn verify(&self, purpose: TokenPurpose, token: &str, now_s: u64) -> Option<(OrgScope, CallId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, payload) = bytes.split_at_checked(32)?;
        let payload = std::str::from_utf8(payload).ok()?;
        self.mac(purpose, payload).verify_slice(tag).ok()?;
        let mut parts = payload.split(' ');
        let organization = OrganizationId::parse(parts.next()?)?;
        let call = CallId::parse(parts.next()?)?;
        let until: u64 = parts.next()?.parse().ok()?;
        (now_s < until).then(|| (OrgScope::new(organization), call))
    }
}

/// What a token of a web call allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebCallGrant {
    /// The organization that the call will belong to.
    pub scope: OrgScope,
    /// The call that the token is for; one call only.
    pub call: CallId,
    /// The agent that answers.
    pub agent: AgentId,
    until_s: u64,
}

impl WebCallGrant {
    /// Whether a call may still be begun with it; one that was begun may be mended and ended at any time.
    pub fn may_begin(&self, now_s: u64) -> bool {
        now_s < self.until_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_bound_to_its_share_and_its_time() {
        let secret = TokenSigner::new("a secret of some length");
        let (scope, share) = (OrgScope::new(OrganizationId::new()), CallShareId::new());
        let token = secret.sign_share(scope, share, 1_000);
        assert_eq!(secret.verify_share(&token, 999), Some((scope, share)));
        assert_eq!(secret.verify_share(&token, 1_000), None);
        assert_eq!(secret.verify(TokenPurpose::Recording, &token, 0), None);
        let recording = secret.sign(TokenPurpose::Recording, scope, CallId::new(), 0);
        assert_eq!(secret.verify_share(&recording, 0), None, "a token for something else");
    }

    #[test]
    fn tokens_are_bound_to_their_call_and_their_time() {
        let secret = TokenSigner::new("a secret of some length");
        let (scope, call) = (OrgScope::new(OrganizationId::new()), CallId::new());
        let token = secret.sign(TokenPurpose::Live, scope, call, 1_000);
        assert_eq!(secret.verify(TokenPurpose::Live, &token, 1_000), Some((scope, call)));
        assert_eq!(secret.verify(TokenPurpose::Live, &token, 1_299), Some((scope, call)));
        assert_eq!(secret.verify(TokenPurpose::Live, &token, 1_300), None);
        assert_eq!(secret.verify(TokenPurpose::Recording, &token, 1_000), None);
        assert_eq!(TokenSigner::new("").verify(TokenPurpose::Live, &token, 1_000), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(secret.verify(TokenPurpose::Live, &forged, 1_000), None, "{forged}");
        }
        for text in ["", "AAAA", "not base64!"] {
            assert_eq!(secret.verify(TokenPurpose::Live, text, 1_000), None);
        }
    }
}
