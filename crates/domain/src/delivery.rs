//! A message that must reach a receiver outside: a webhook or a mail.

use super::ids::{AgentId, CallId, DeliveryId, OrganizationId, TaskId};
use super::time::UnixMs;
use utoipa::ToSchema;

/// How a delivery leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryChannel {
    /// An HTTP POST to the customer's server.
    Webhook,
    /// An e-mail over SMTP.
    Mail,
}

impl DeliveryChannel {
    /// Returns the name in the database: `webhook` or `mail`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    /// Reads the name that the database uses; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Mail].into_iter().find(|channel| channel.name() == text)
    }
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Not delivered yet; another attempt will be made.
    Pending,
    /// The receiver accepted it: a 2xx answer, or the mail server took it.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: &[Self] = &[Self::Pending, Self::Delivered, Self::Failed];

    /// Returns the name in JSON and in the database, such as `pending`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }
}

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Also `webhook-id` and `message_id`.
    pub id: DeliveryId,
    /// The organization that the delivery belongs to; quotas and fair shares count it there.
    pub organization: OrganizationId,
    /// Whether it is a webhook or a mail.
    pub channel: DeliveryChannel,
    /// Deliveries of one key go out one after the other.
    pub order_key: String,
    /// The call that it reports about. `None` if it is about no call.
    pub call: Option<CallId>,
    /// The task that it reports about. `None` if it is about no task.
    pub task: Option<TaskId>,
    /// Whose secret signs it.
    pub agent: Option<AgentId>,
    /// Name of the event, such as `end-of-call-report` or `call_completed`.
    pub event_type: String,
    /// URL, or e-mail address.
    pub target: String,
    /// The JSON that is posted; for a mail, subject and text as JSON.
    pub body: String,
    /// When the event happened; deliveries are listed by it.
    pub created_at: UnixMs,
}

/// What became of it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryProgress {
    /// What has become of it so far.
    pub status: DeliveryStatus,
    /// Attempts that were made, failed ones included; starts at 0.
    pub attempts: i64,
    /// When the next attempt is due. `None` once it is delivered or given up.
    pub next_attempt_at: Option<UnixMs>,
    /// HTTP status of the last answer. `None` if there was no answer, and for mail.
    pub response_status: Option<i64>,
    /// Why the last attempt failed, in words. `None` if none has failed.
    pub error: Option<String>,
    /// When the receiver accepted it. `None` until then.
    pub delivered_at: Option<UnixMs>,
}

/// The body of a delivery that is a mail: its subject, in one line, and its text.
pub fn mail_body(subject: &str, text: &str) -> String {
    let line: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    serde_json::json!({"subject": line, "text": text}).to_string()
}
