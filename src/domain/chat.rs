//! A conversation as a model sees it.

use serde_json::Value;

/// Told to a model that takes over in the middle of another one's answer.
pub const GO_ON: &str =
    "Your last answer was cut off by a technical fault. Go on from where it stopped, without repeating it.";

#[derive(Clone, Debug, PartialEq)]
pub enum ChatMessage {
    System(String),
    User(String),
    Assistant { content: String, tool_calls: Vec<ToolCall> },
    Tool { call_id: String, content: String },
}

/// A tool the model wants called; the arguments are JSON text, possibly invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// A tool offered to the model: name, description and JSON schema of its arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOffer {
    pub name: String,
    pub description: String,
    pub parameters: Value,
    /// The provider is to keep to the schema, where it can.
    pub strict: bool,
}
