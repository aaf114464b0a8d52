//! A call as it is kept.

mod progress;

pub use progress::{CallProgress, CallStatus, IrregularProgress};

use super::end_reason::EndReason;
use super::ids::{AgentId, CallId, OrganizationId, TaskId, TrunkId};
use super::time::UnixMs;
use serde_json::Value;
use utoipa::ToSchema;

/// Who began a call, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Direction {
    /// A caller dialled one of the organization's numbers over a trunk.
    Inbound,
    /// The server called a number over a trunk, for a task.
    Outbound,
    /// From a browser.
    Web,
    /// Somebody writes with an agent, without sound.
    Chat,
}

impl Direction {
    /// Returns the name in JSON and in the database: `inbound`, `outbound`, `web` or `chat`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Web => "web",
            Self::Chat => "chat",
        }
    }

    /// What carries it.
    pub fn transport(self) -> &'static str {
        match self {
            Self::Inbound | Self::Outbound => "sip",
            Self::Web => "webrtc",
            Self::Chat => "text",
        }
    }

    /// Reads the name that JSON and the database use; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Inbound, Self::Outbound, Self::Web, Self::Chat].into_iter().find(|direction| direction.name() == text)
    }
}

/// A call as its row in the database describes it, live or over.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Chosen when the call begins; never changes.
    pub id: CallId,
    /// The organization whose call it is; limits and usage count it there.
    pub organization: OrganizationId,
    /// The agent that speaks. `None` until one is chosen, or where a webhook described one that is not stored.
    pub agent: Option<AgentId>,
    /// The task that the call was made for. `None` for inbound and web calls.
    pub task: Option<TaskId>,
    /// Who began the call, and over what.
    pub direction: Direction,
    /// The caller's number in E.164 where that is known, otherwise as the trunk sent it; empty until it is known.
    pub from_number: String,
    /// The number or SIP URI that was called; empty until it is known.
    pub to_number: String,
    /// When the call began: the first request, not the answer.
    pub started_at: UnixMs,
    /// How far the call has come: its answer and its end.
    pub progress: CallProgress,
    /// Call-ID of the SIP dialog (RFC 3261 section 20.8). `None` for web calls and before the INVITE.
    pub sip_call_id: Option<String>,
    /// Path of the recording relative to the recordings folder, once it is complete.
    pub recording: Option<String>,
    /// Latency of every turn, packets, tokens and errors as JSON. `None` until the call has measured something.
    pub metrics: Option<Value>,
    /// The customer's JSON, copied from the task or the agent. `None` if neither has any.
    pub metadata: Option<Value>,
    /// The trunk that carries the call. `None` for web calls, and before a trunk is chosen.
    pub trunk: Option<TrunkId>,
    /// Lines it holds: two while the caller is put through, or the peer hands its side on.
    pub legs: u32,
    /// The process that holds it.
    pub node: Option<String>,
    /// The configuration it runs with, as webhooks show it.
    pub assistant: Option<Value>,
    /// What the signalling said: `headers`, `identity`, causes of the end.
    pub signalling: Option<Value>,
    /// Results of the analysis after the call; empty before that.
    pub outcome: CallOutcome,
}

/// What is known of a call once it was thought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOutcome {
    /// What happened, in a few sentences. `None` until the call is analysed, or if that failed.
    pub summary: Option<String>,
    /// The analysis as JSON; its `analysed` says whether an LLM did it. `None` before the analysis.
    pub report: Option<Value>,
    /// Values that fit the agent's `structured_data_plan`. `None` without such a plan or without a result.
    pub extracted_data: Option<Value>,
    /// The bill as JSON: currency, total and items. `None` until the call is billed.
    pub cost: Option<Value>,
}

/// What a call used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallUsage {
    /// `2026-03-27`, of its end in UTC.
    pub day: String,
    /// Whole seconds between answer and end; 0 for a call without an answer.
    pub seconds: i64,
    /// Tokens sent to LLMs, those of the analysis included.
    pub prompt_tokens: i64,
    /// Tokens written by LLMs, those of the analysis included.
    pub completion_tokens: i64,
    /// Characters that were spoken by TTS.
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
            started_at: now,
            progress: CallProgress::Initiated,
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
            Direction::Inbound | Direction::Web | Direction::Chat => &self.from_number,
            Direction::Outbound => &self.to_number,
        }
    }

    /// The name of its state.
    pub fn status(&self) -> CallStatus {
        self.progress.status()
    }

    /// Why the call ended. `None` while it goes on, or where its row has no reason that this version knows.
    pub fn end_reason(&self) -> Option<EndReason> {
        self.progress.end_reason()
    }

    /// When the call was answered. `None` if it was not, or not yet.
    pub fn answered_at(&self) -> Option<UnixMs> {
        self.progress.answered_at()
    }

    /// When the call ended. `None` while it goes on.
    pub fn ended_at(&self) -> Option<UnixMs> {
        self.progress.ended_at()
    }

    /// Whole seconds between answer and end.
    pub fn duration_seconds(&self) -> Option<i64> {
        Some((self.ended_at()?.0 - self.answered_at()?.0 + 500) / 1_000)
    }
}
