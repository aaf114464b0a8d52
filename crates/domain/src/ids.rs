//! Identifiers: UUIDs with a type, so that an agent's cannot be taken for a task's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier; version 7, so that tables stay in the order of creation.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// Reads a UUID in any of its usual spellings and of any version; `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("is not a UUID"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

ids! {
    /// Identifies an organization, which is a tenant.
    OrganizationId,
    /// Identifies a user: one person in one organization.
    UserId,
    /// Identifies an API key; it is not the secret itself.
    ApiKeyId,
    /// Identifies an agent.
    AgentId,
    /// Identifies a task.
    TaskId,
    /// Identifies a call; unlike the Call-ID of SIP, it is ours.
    CallId,
    /// Identifies the row of a phone number.
    PhoneNumberId,
    /// Identifies a trunk.
    TrunkId,
    /// Identifies an invitation.
    InvitationId,
    /// Identifies a stored provider key.
    SecretId,
    /// Identifies a webhook or mail; also its `webhook-id`.
    DeliveryId,
    /// Identifies an entry of the audit log.
    AuditId,
    /// Identifies an entry of a do-not-call list.
    DoNotCallId,
    /// Identifies a batch of tasks.
    BatchId,
    /// Identifies a link to a call for people without an account.
    CallShareId,
    /// Identifies an alert rule.
    AlertRuleId,
    /// Identifies what an alert rule has told once.
    AlertEventId,
}
