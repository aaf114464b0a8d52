//! Public links: to a call, and to its recording for people without a key.

use crate::domain::ids::CallId;
use crate::domain::secret::Secret;
use crate::domain::time::UnixMs;
use crate::store::signed_tokens::{TokenPurpose, TokenSigner};
use crate::store::{OrgScope, Store, StoreError};

/// Makes the links that webhooks and the API hand out.
#[derive(Clone, Debug)]
pub struct PublicLinks {
    /// `https://voice.example.com`, without a slash at the end.
    pub base_url: String,
    /// Signs the tokens of recording links.
    pub secret: TokenSigner,
}

/// Settings of links.
#[derive(Debug)]
pub struct LinksConfig {
    /// Our address as customers reach it; a slash at the end is ignored.
    pub base_url: String,
    /// Signs tokens; empty: the installation's own secret, which is made on first use.
    pub token_secret: Secret,
}

impl PublicLinks {
    /// Base URL and signing key of links: the same after a restart and on every node. Fails if the database cannot keep
    /// the key.
    pub async fn build(config: LinksConfig, store: &Store) -> Result<Self, StoreError> {
        let secret = match config.token_secret.expose() {
            "" => {
                let made: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
                store.get_or_create_setting("token_secret", &made).await?
            }
            secret => secret.to_owned(),
        };
        let base_url = config.base_url.trim_end_matches('/').to_owned();
        Ok(Self { base_url, secret: TokenSigner::new(&secret) })
    }

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
