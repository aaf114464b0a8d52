//! Why a call ended: a closed list, one of which every call gets exactly once.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $name:literal $failed:literal),* $(,)?) => {
        /// Why a call ended: a closed list, in JSON `end_reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EndReason { $($(#[$doc])* $variant),* }

        impl EndReason {
            /// Every reason, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the name in JSON and in the database, such as `no_answer`.
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
    /// The other party hung up after the answer.
    CustomerHungUp "customer_hung_up" false,
    /// The agent hung up, mostly with the tool `end_call`.
    AgentHungUp "agent_hung_up" false,
    /// Ended by `POST /calls/:id/end`.
    EndedByApi "ended_by_api" false,
    /// The agent's `max_duration_seconds` were over.
    MaxDuration "max_duration" false,
    /// The caller stayed silent through all prompts of `silence_config`.
    Silence "silence" false,
    /// Voicemail answered; the message was left if there was one.
    Voicemail "voicemail" false,
    /// The caller was connected to a transfer target.
    Transferred "transferred" false,
    /// A fax machine answered.
    Fax "fax" true,
    /// The number is busy (486, 600).
    Busy "busy" true,
    /// The call was not answered in time (408, 480, 487).
    NoAnswer "no_answer" true,
    /// Refused by the other end (401, 403, 407, 603), or by the customer's server.
    Rejected "rejected" true,
    /// The number does not exist (404, 410, 484, 604).
    InvalidNumber "invalid_number" true,
    /// `POST /calls/:id/cancel`, a task's reset, or the caller gave up before the answer.
    Canceled "canceled" true,
    /// A provider failed and no fallback was left.
    ProviderError "provider_error" true,
    /// No packets arrived any more, or the connection broke.
    NetworkLost "network_lost" true,
    /// The carrier failed: 5xx, no common codec, unreachable.
    TrunkError "trunk_error" true,
    /// The server stopped before the call was over.
    ServerShutdown "server_shutdown" true,
    /// The process died in mid-call and came back.
    ServerCrash "server_crash" true,
    /// The server had no capacity for the call, or could not keep its audio going.
    Overload "overload" true,
}

impl EndReason {
    /// Reads the name that JSON and the database use; `None` for any other text.
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
