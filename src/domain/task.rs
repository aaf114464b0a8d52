//! A task: one call to be made.

use super::FieldError;
use super::ids::{AgentId, OrganizationId, TaskId};
use super::phone_number::Destination;
use super::schedule::{CallingWindow, RetryPolicy, next_allowed, validate_windows};
use super::time::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TaskStatus {
    Pending,
    InProgress,
    Completed,
    Failed,
}

impl TaskStatus {
    pub const ALL: &[Self] = &[Self::Pending, Self::InProgress, Self::Completed, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }
}

/// What a customer writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskFields {
    #[serde(default)]
    pub name: Option<String>,
    /// E.164, or a SIP URI where a trunk allows it.
    #[schema(example = "+31201234567")]
    pub to_number: String,
    /// The number shown to the callee, one of the organization's.
    #[serde(default)]
    pub from_number: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub starting_message: Option<String>,
    #[serde(default)]
    pub context_data: Option<Map<String, Value>>,
    #[serde(default)]
    pub priority: i64,
    #[serde(default)]
    #[schema(format = "date-time")]
    pub scheduled_at: Option<String>,
    #[serde(default)]
    /// https only.
    #[schema(format = "uri")]
    pub webhook_url: Option<String>,
    #[serde(default)]
    /// call_started, call_completed, call_failed; none set means all.
    pub webhook_events: Option<Vec<String>>,
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Headers of the INVITE: `X-…` and `User-to-User`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sip_headers: BTreeMap<String, String>,
    #[serde(default)]
    pub retry_policy: Option<RetryPolicy>,
    /// When the callee may be called; without any at all times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calling_windows: Vec<CallingWindow>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: TaskId,
    pub organization: OrganizationId,
    pub agent: AgentId,
    pub status: TaskStatus,
    pub fields: TaskFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    pub created_at: UnixMs,
    pub updated_at: UnixMs,
}

/// Far more ranks than anybody tells apart.
const PRIORITY_MAX: i64 = 1_000_000;

/// Events a task's webhook may ask for.
pub const WEBHOOK_EVENTS: &[&str] = &["call_started", "call_completed", "call_failed"];

impl TaskFields {
    /// Where an event goes, if it is wanted; without a list all are.
    pub fn webhook(&self, event: &str) -> Option<String> {
        let wanted =
            self.webhook_events.as_ref().is_none_or(|all| all.is_empty() || all.iter().any(|one| one == event));
        self.webhook_url.clone().filter(|_| wanted)
    }

    /// When the scheduler is to make the call, if somebody set a time.
    pub fn due_at(&self) -> Option<UnixMs> {
        Some(next_allowed(&self.calling_windows, UnixMs::parse(self.scheduled_at.as_deref()?)?))
    }

    pub fn validate(&self) -> Result<(), FieldError> {
        if Destination::parse(&self.to_number).is_none() {
            return Err(FieldError::new("to_number", "must be an E.164 number such as +31201234567, or a SIP URI"));
        }
        if self.from_number.as_deref().is_some_and(|n| super::phone_number::PhoneNumber::parse(n).is_none()) {
            return Err(FieldError::new("from_number", "must be an E.164 number such as +31201234567"));
        }
        if self.scheduled_at.as_deref().is_some_and(|at| UnixMs::parse(at).is_none()) {
            return Err(FieldError::new("scheduled_at", "must be an RFC 3339 time such as 2026-03-27T12:00:00Z"));
        }
        super::sip_headers::check("sip_headers", self.sip_headers.iter(), true)?;
        if let Some(url) = &self.webhook_url
            && !url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        {
            return Err(FieldError::new("webhook_url", "must be an HTTPS URL"));
        }
        if let Some(bad) = self.webhook_events.iter().flatten().find(|e| !WEBHOOK_EVENTS.contains(&e.as_str())) {
            let message = format!("{bad} is not an event; allowed are {}", WEBHOOK_EVENTS.join(", "));
            return Err(FieldError::new("webhook_events", message));
        }
        if !(-PRIORITY_MAX..=PRIORITY_MAX).contains(&self.priority) {
            return Err(FieldError::new("priority", format!("must be between -{PRIORITY_MAX} and {PRIORITY_MAX}")));
        }
        if let Some(policy) = &self.retry_policy {
            policy.validate()?;
        }
        validate_windows(&self.calling_windows)
    }
}
