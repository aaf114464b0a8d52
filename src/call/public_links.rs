//! Public links: to a call, and to its recording for people without a key.

use crate::domain::ids::CallId;
use crate::domain::time::UnixMs;
use crate::store::OrgScope;
use crate::store::signed_tokens::{TokenPurpose, TokenSigner};

/// Makes the links that webhooks and the API hand out.
#[derive(Clone, Debug)]
pub struct PublicLinks {
    /// `https://voice.example.com`, without a slash at the end.
    pub base_url: String,
    /// Signs the tokens of recording links.
    pub secret: TokenSigner,
}

impl PublicLinks {
    /// Returns the URL of the call in the API; it needs an API key.
    pub fn call(&self, call: CallId) -> String {
        format!("{}/api/v1/calls/{call}", self.base_url)
    }

    /// The recording, for anyone with the link and for a week.
    pub fn recording(&self, scope: OrgScope, call: CallId, now: UnixMs) -> String {
        let token = self.secret.sign(TokenPurpose::Recording, scope, call, now.0.unsigned_abs() / 1_000);
        format!("{}/recording/stream?token={token}", self.call(call))
    }
}
