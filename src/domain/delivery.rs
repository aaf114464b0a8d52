//! Something that has to reach somebody outside: a webhook or a mail.

use super::ids::{AgentId, CallId, DeliveryId, OrganizationId, TaskId};
use super::time::UnixMs;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryChannel {
    Webhook,
    Mail,
}

impl DeliveryChannel {
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Mail].into_iter().find(|channel| channel.name() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Not delivered yet; another attempt will be made.
    Pending,
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    pub const ALL: &[Self] = &[Self::Pending, Self::Delivered, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }
}

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Also `webhook-id` and `message_id`.
    pub id: DeliveryId,
    pub organization: OrganizationId,
    pub channel: DeliveryChannel,
    /// Deliveries of one key go out one after the other.
    pub order_key: String,
    pub call: Option<CallId>,
    pub task: Option<TaskId>,
    /// Whose secret signs it.
    pub agent: Option<AgentId>,
    pub event_type: String,
    /// URL, or e-mail address.
    pub target: String,
    pub body: String,
    pub created_at: UnixMs,
}

/// What became of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryProgress {
    pub status: DeliveryStatus,
    pub attempts: i64,
    pub next_attempt_at: Option<UnixMs>,
    pub response_status: Option<i64>,
    pub error: Option<String>,
    pub delivered_at: Option<UnixMs>,
}
