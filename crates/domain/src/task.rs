//! A task: one call to be made.

use super::ids::{AgentId, BatchId, OrganizationId, TaskId};
use super::phone_number::{Destination, PhoneNumber, read_number, read_optional_number};
use super::rules::{at_most, between, chars, events, fits, is_http_url, parses};
use super::schedule::{CallingWindow, RetryPolicy, WINDOWS_MAX, next_allowed};
use super::sip_headers;
use super::template::{self, TemplateUse};
use super::time::UnixMs;
use garde::Validate;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How far a task has come. A failed or completed task becomes pending again when it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TaskStatus {
    /// Waits for its time, for `execute`, or for another attempt.
    Pending,
    /// Its call is being made or goes on.
    InProgress,
    /// Its last call ended without a failure, and no attempt is left to make.
    Completed,
    /// Its last call failed, and no attempt is left to make.
    Failed,
}

impl TaskStatus {
    /// Every status, in the order of a task's life.
    pub const ALL: &[Self] = &[Self::Pending, Self::InProgress, Self::Completed, Self::Failed];

    /// Returns the name in JSON and in the database, such as `in_progress`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }
}

/// What a customer writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct TaskFields {
    /// What people call the task; not told to the LLM.
    #[serde(default)]
    #[schema(max_length = 200)]
    #[garde(inner(custom(chars(200))))]
    pub name: Option<String>,
    /// E.164, or a SIP URI where a trunk allows it. Separators such as spaces, dots, hyphens and parentheses are left out.
    #[schema(example = "+31201234567")]
    #[serde(deserialize_with = "read_number")]
    #[garde(custom(parses(Destination::parse, "must be an E.164 number such as +31201234567, or a SIP URI")))]
    pub to_number: String,
    /// The number shown to the callee, one of the organization's.
    #[serde(default, deserialize_with = "read_optional_number")]
    #[garde(inner(custom(parses(PhoneNumber::parse, "must be an E.164 number such as +31201234567"))))]
    pub from_number: Option<String>,
    /// Purpose of the call, for the LLM.
    #[serde(default)]
    #[garde(inner(custom(template::rule(TemplateUse::Text))))]
    pub description: Option<String>,
    /// First words of the call, instead of the agent's `first_message`.
    #[serde(default)]
    #[garde(inner(custom(template::said())))]
    pub starting_message: Option<String>,
    /// Facts about the callee, any JSON object, for the LLM, and the values of `{{name}}` in texts.
    #[serde(default)]
    pub context_data: Option<Map<String, Value>>,
    /// Order among tasks that limits make wait, higher first: -1,000,000 to 1,000,000; 0 by default.
    #[serde(default)]
    #[garde(custom(between(-PRIORITY_MAX..=PRIORITY_MAX)))]
    pub priority: i64,
    /// When to call (RFC 3339), at most a second later. None: the call is made by `execute` only.
    #[serde(default)]
    #[schema(format = "date-time")]
    #[garde(inner(custom(parses(UnixMs::parse, "must be an RFC 3339 time such as 2026-03-27T12:00:00Z"))))]
    pub scheduled_at: Option<String>,
    #[serde(default)]
    /// https only.
    #[schema(format = "uri", max_length = 2_048)]
    #[garde(inner(custom(fits(is_http_url, "must be an HTTPS URL"))))]
    #[garde(inner(custom(chars(2_048))))]
    pub webhook_url: Option<String>,
    #[serde(default)]
    /// call_started, call_completed, call_failed; none set means all.
    #[garde(inner(custom(events(WEBHOOK_EVENTS))))]
    pub webhook_events: Option<Vec<String>>,
    /// Any JSON object of yours; it is copied into the calls of the task, instead of the agent's.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Headers of the INVITE: `X-…` and `User-to-User`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[garde(custom(sip_headers::rule(true)))]
    pub sip_headers: BTreeMap<String, String>,
    /// When to call again after a call that failed. None: one call only.
    #[serde(default)]
    #[garde(dive)]
    pub retry_policy: Option<RetryPolicy>,
    /// When the callee may be called; without any at all times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20)]
    #[garde(custom(at_most(WINDOWS_MAX)), dive)]
    pub calling_windows: Vec<CallingWindow>,
}

/// A stored task: the customer's document and what the server keeps beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Chosen by the server when the task is created; never changes.
    pub id: TaskId,
    /// The organization that owns the task.
    pub organization: OrganizationId,
    /// The agent that will speak.
    pub agent: AgentId,
    /// The batch it belongs to.
    pub batch: Option<BatchId>,
    /// How far the task has come.
    pub status: TaskStatus,
    /// Why it failed before anything was dialed.
    pub failure: Option<String>,
    /// The customer's document, as it was last saved.
    pub fields: TaskFields,
    /// Counts the changes; the `ETag` of the document.
    pub version: i64,
    /// When the task was created.
    pub created_at: UnixMs,
    /// When document or status last changed.
    pub updated_at: UnixMs,
}

/// Priorities are from minus to plus this: far more ranks than anybody tells apart.
pub const PRIORITY_MAX: i64 = 1_000_000;

/// Events a task's webhook may ask for.
pub const WEBHOOK_EVENTS: &[&str] = &["call_started", "call_completed", "call_failed"];

impl TaskFields {
    /// Where an event goes, if it is wanted; without a list all are.
    pub fn webhook(&self, event: &str) -> Option<String> {
        let wanted =
            self.webhook_events.as_ref().is_none_or(|all| all.is_empty() || all.iter().any(|one| one == event));
        self.webhook_url.clone().filter(|_| wanted)
    }

    /// When the scheduler should make the call, if the task has a time.
    pub fn due_at(&self) -> Option<UnixMs> {
        Some(next_allowed(&self.calling_windows, UnixMs::parse(self.scheduled_at.as_deref()?)?))
    }
}
