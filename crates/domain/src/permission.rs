//! Who may do what: scopes of API keys, roles of people.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! named {
    ($(#[$doc:meta])* $name:ident as $schema:literal { $($variant:ident $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "` in JSON and in the database.")]
                #[serde(rename = $text)]
                $variant
            ),*
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($text),*])).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($schema)
            }
        }

        impl $name {
            /// Every value, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the text in JSON and in the database, such as `agents:read` or `owner`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// Reads the text that JSON and the database use; `None` for any other text.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == text)
            }
        }
    };
}

named! {
    /// What a key that is not for everything may do.
    KeyScope as "KeyScope" {
        AgentsRead "agents:read", AgentsWrite "agents:write",
        TasksRead "tasks:read", TasksWrite "tasks:write",
        CallsRead "calls:read", CallsWrite "calls:write",
        PhoneNumbersRead "phone-numbers:read", PhoneNumbersWrite "phone-numbers:write",
        TrunksRead "trunks:read", TrunksWrite "trunks:write",
        ProvidersRead "providers:read", ProvidersWrite "providers:write",
        UsageRead "usage:read",
        DoctorRead "doctor:read",
        WebhookDeliveriesRead "webhook-deliveries:read", WebhookDeliveriesWrite "webhook-deliveries:write",
        BatchesRead "batches:read", BatchesWrite "batches:write",
        DoNotCallRead "do-not-call:read", DoNotCallWrite "do-not-call:write",
        AnalyticsRead "analytics:read",
        AlertRulesRead "alert-rules:read", AlertRulesWrite "alert-rules:write",
    }
}

named! {
    /// A person's role in an organization. Members work with agents, tasks and calls and see who is there,
    /// admins also manage keys, people and secrets, owners also the organization itself.
    UserRole as "Role" { Owner "owner", Admin "admin", Member "member" }
}

impl KeyScope {
    /// What a request needs: the first word of its path, and whether it changes anything.
    pub fn needed(resource: &str, writes: bool) -> Option<Self> {
        Self::parse(&format!("{resource}:{}", if writes { "write" } else { "read" }))
    }
}

impl UserRole {
    /// At least as much as the other.
    pub fn includes(self, other: Self) -> bool {
        let rank = |role| match role {
            Self::Owner => 2,
            Self::Admin => 1,
            Self::Member => 0,
        };
        rank(self) >= rank(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_roles_are_ordered() {
        for scope in KeyScope::ALL {
            assert_eq!(KeyScope::parse(scope.name()), Some(*scope));
        }
        assert_eq!(KeyScope::needed("agents", true), Some(KeyScope::AgentsWrite));
        assert_eq!(KeyScope::needed("usage", true), None);
        assert!(UserRole::Owner.includes(UserRole::Admin) && !UserRole::Member.includes(UserRole::Admin));
    }
}
