//! Why a call ended: a closed list, one of which every call gets exactly once.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal $failed:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EndReason { $($(#[$doc])* $variant),* }

        impl EndReason {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The call's and its task's status is `failed` instead of `completed`.
            pub fn is_failure(self) -> bool {
                match self { $(Self::$variant => $failed),* }
            }
        }

        impl PartialSchema for EndReason {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($name),*])).into()
            }
        }

        impl ToSchema for EndReason {}
    };
}

reasons! {
    CustomerHungUp "customer_hung_up" false,
    AgentHungUp "agent_hung_up" false,
    /// Ended by `POST /calls/:id/end`.
    EndedByApi "ended_by_api" false,
    MaxDuration "max_duration" false,
    Silence "silence" false,
    Voicemail "voicemail" false,
    Transferred "transferred" false,
    /// A fax machine answered.
    Fax "fax" true,
    Busy "busy" true,
    NoAnswer "no_answer" true,
    Rejected "rejected" true,
    /// The number does not exist (404, 410, 484, 604).
    InvalidNumber "invalid_number" true,
    /// `POST /calls/:id/cancel`, a task's reset, or the caller gave up before the answer.
    Canceled "canceled" true,
    ProviderError "provider_error" true,
    NetworkLost "network_lost" true,
    /// The carrier failed: 5xx, no common codec, unreachable.
    TrunkError "trunk_error" true,
    ServerShutdown "server_shutdown" true,
    /// The process died in mid-call and came back.
    ServerCrash "server_crash" true,
    Overload "overload" true,
}

impl EndReason {
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.name() == text)
    }

    /// Another call may end better (`retry_policy.on`).
    pub fn is_retryable(self) -> bool {
        self.is_failure() && self != Self::Canceled || self == Self::Voicemail
    }

    /// What a Q.850 cause of a refusal means (ITU-T Q.850 table 1); `None` when it says no more than that the call
    /// is over.
    pub fn from_q850(cause: u8) -> Option<Self> {
        Some(match cause {
            1 | 2 | 3 | 22 | 28 => Self::InvalidNumber,
            17 => Self::Busy,
            18..=20 => Self::NoAnswer,
            21 | 29 | 55 | 57 | 87 => Self::Rejected,
            27 | 34 | 38 | 41 | 42 | 44 | 47 | 50 | 58 | 63 | 65 | 79 | 88 | 102 | 111 => Self::TrunkError,
            _ => return None,
        })
    }

    /// What a SIP refusal of our INVITE means.
    pub fn from_sip_status(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 480 | 487 => Self::NoAnswer,
            404 | 410 | 484 | 604 => Self::InvalidNumber,
            401 | 403 | 407 | 603 => Self::Rejected,
            _ => Self::TrunkError,
        }
    }
}
