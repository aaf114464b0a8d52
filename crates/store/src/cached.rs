//! What the cache remembers: whose a key is, whose a number is, which provider keys an organization has.

use super::scope::OrgScope;
use trunkline_domain::ids::{AgentId, ApiKeyId, OrganizationId, TrunkId};
use trunkline_domain::permission::KeyScope;
use trunkline_domain::phone_number::PhoneNumber;
use trunkline_domain::secret::Secret;
use trunkline_domain::time::UnixMs;
use trunkline_domain::webhook_secret::{PreviousSecret, WebhookSecrets};

/// Whose key a request came with.
#[derive(Clone, Debug)]
pub struct AuthenticatedKey {
    /// The key that the request came with.
    pub id: ApiKeyId,
    /// The organization that the key acts for.
    pub scope: OrgScope,
    /// What the key may do. `None`: everything.
    pub scopes: Option<Vec<KeyScope>>,
    pub(super) expires_at: Option<UnixMs>,
}

impl AuthenticatedKey {
    /// Returns whether the key has this scope, or all of them.
    pub fn may(&self, what: KeyScope) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&what))
    }
}

/// What a customer says about a number.
#[derive(Clone, Debug, PartialEq)]
pub struct PhoneNumberFields {
    /// The number; set once, and unique among all organizations.
    pub number: PhoneNumber,
    /// The agent that answers. `None`: the webhook says who does.
    pub agent: Option<AgentId>,
    /// The one trunk that inbound calls may come over, and the first choice for outbound ones. `None`: any trunk.
    pub trunk: Option<TrunkId>,
    /// What people call the number. `None`: it has no name.
    pub name: Option<String>,
    /// Asked who answers where no agent is set.
    pub webhook_url: Option<String>,
    /// Key that signs requests to `webhook_url`. `None`: they are not signed.
    pub webhook_secret: Option<Secret>,
    /// The one before it, while it signs as well.
    pub previous_webhook_secret: Option<PreviousSecret>,
}

impl PhoneNumberFields {
    /// The secrets that sign requests to `webhook_url`.
    pub fn webhook_secrets(&self) -> WebhookSecrets {
        WebhookSecrets { present: self.webhook_secret.clone(), previous: self.previous_webhook_secret.clone() }
    }
}

/// Whose a number is. No two organizations have the same one.
#[derive(Clone, Debug)]
pub struct NumberOwner {
    /// The organization that has the number.
    pub organization: OrganizationId,
    /// Settings of the number.
    pub fields: PhoneNumberFields,
    /// When the organization got the number.
    pub created_at: UnixMs,
}

/// A key for a call.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// The account that the key is for, such as `openai`.
    pub provider: String,
    /// The only address the key is sent to. `None`: the provider's default address.
    pub base_url: Option<String>,
    /// None where it cannot be opened: with another master key, or none.
    pub key: Option<Secret>,
}
