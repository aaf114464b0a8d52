//! A call as it is kept.

use super::end_reason::EndReason;
use super::ids::{AgentId, CallId, OrganizationId, TaskId, TrunkId};
use super::time::UnixMs;
use serde_json::Value;
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Direction {
    Inbound,
    Outbound,
    /// From a browser.
    Web,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Web => "web",
        }
    }

    /// What carries it.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Inbound | Self::Outbound => "sip",
            Self::Web => "webrtc",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Inbound, Self::Outbound, Self::Web].into_iter().find(|direction| direction.name() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum CallStatus {
    Initiated,
    InProgress,
    Completed,
    Failed,
}

impl CallStatus {
    pub const ALL: &[Self] = &[Self::Initiated, Self::InProgress, Self::Completed, Self::Failed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|status| status.name() == text)
    }

    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: CallId,
    pub organization: OrganizationId,
    pub agent: Option<AgentId>,
    pub task: Option<TaskId>,
    pub direction: Direction,
    pub from_number: String,
    pub to_number: String,
    pub status: CallStatus,
    pub end_reason: Option<EndReason>,
    pub started_at: UnixMs,
    pub answered_at: Option<UnixMs>,
    pub ended_at: Option<UnixMs>,
    pub sip_call_id: Option<String>,
    /// Path of the recording relative to the recordings folder, once it is complete.
    pub recording: Option<String>,
    pub metrics: Option<Value>,
    pub metadata: Option<Value>,
    pub trunk: Option<TrunkId>,
    /// Lines it holds: two while the caller is put through, or the peer hands its side on.
    pub legs: u32,
    /// The process that holds it.
    pub node: Option<String>,
    /// The configuration it runs with, as webhooks show it.
    pub assistant: Option<Value>,
    /// What the signalling said: `headers`, `identity`, causes of the end.
    pub signalling: Option<Value>,
    pub outcome: CallOutcome,
}

/// What is known of a call once it was thought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOutcome {
    pub summary: Option<String>,
    pub report: Option<Value>,
    pub extracted_data: Option<Value>,
    pub cost: Option<Value>,
}

/// What a call used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallUsage {
    /// `2026-03-27`, of its end in UTC.
    pub day: String,
    pub seconds: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub characters: i64,
    /// Millionths of the price table's currency.
    pub micros: i64,
}

impl Call {
    /// A call that begins now and was not answered yet.
    pub fn begun(id: CallId, organization: OrganizationId, direction: Direction, now: UnixMs) -> Self {
        Self {
            id,
            organization,
            agent: None,
            task: None,
            direction,
            from_number: String::new(),
            to_number: String::new(),
            status: CallStatus::Initiated,
            end_reason: None,
            started_at: now,
            answered_at: None,
            ended_at: None,
            sip_call_id: None,
            recording: None,
            metrics: None,
            metadata: None,
            trunk: None,
            legs: 1,
            node: None,
            assistant: None,
            signalling: None,
            outcome: CallOutcome::default(),
        }
    }

    /// The number at the other end.
    pub fn other_party(&self) -> &str {
        match self.direction {
            Direction::Inbound | Direction::Web => &self.from_number,
            Direction::Outbound => &self.to_number,
        }
    }

    /// Whole seconds between answer and end.
    pub fn duration_seconds(&self) -> Option<i64> {
        Some((self.ended_at?.0 - self.answered_at?.0 + 500) / 1_000)
    }
}
