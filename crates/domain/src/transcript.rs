//! The transcript: the words of both sides, as they were heard.

use super::ids::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who a turn of the transcript belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TurnRole)]
pub enum TurnRole {
    /// The caller, or the callee of an outbound call.
    User,
    /// The agent.
    Assistant,
    /// A tool call: name and result.
    Tool,
    /// A note of the server.
    System,
}

/// Who put words into the agent's mouth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = TurnAuthor)]
pub enum TurnAuthor {
    /// Somebody beside the call, by `POST /calls/{id}/say`.
    Operator,
}

impl TurnAuthor {
    /// Name in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
        }
    }

    /// Reads the name; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        (text == Self::Operator.name()).then_some(Self::Operator)
    }
}

/// One turn. Times are milliseconds since the call was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// Who spoke.
    pub role: TurnRole,
    /// Of an interrupted assistant turn only what the caller heard.
    pub content: String,
    /// When the turn began to be heard.
    pub started_at_ms: u64,
    /// When the turn ended; equals `started_at_ms` for tool calls.
    pub ended_at_ms: u64,
    /// Whether the caller interrupted the agent in this turn; always false for other roles.
    pub interrupted: bool,
    /// Between 0 and 1, to four places.
    #[serde(serialize_with = "round_to_four_decimals")]
    pub confidence: Option<f32>,
    /// The agent that spoke or called the tool. `None` for the caller, and where the agent is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub agent_id: Option<AgentId>,
    /// Whose words the agent said, where they are not its own. `None` for all other turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_by: Option<TurnAuthor>,
}

fn round_to_four_decimals<S: serde::Serializer>(value: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|value| (f64::from(value) * 10_000.0).round() / 10_000.0).serialize(serializer)
}
