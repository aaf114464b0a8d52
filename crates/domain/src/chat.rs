//! A conversation as a model sees it.

use serde_json::{Map, Value};

/// Told to a model that takes over in the middle of another one's answer.
pub const CONTINUE_PROMPT: &str = "Your last answer was cut off by a technical fault. Go on from where it stopped, without repeating it. If its last \
     word was cut, begin with the whole word.";

/// One message of the conversation, in the roles of the chat APIs.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatMessage {
    /// An instruction for the LLM, such as the agent's prompt or a note about the call.
    System(String),
    /// What the caller said, or the digits that the caller pressed.
    User(String),
    /// What the LLM said, up to where the caller heard it, and the tools it called.
    Assistant {
        /// Text of the answer; empty if the LLM only called tools.
        content: String,
        /// Calls in the order in which the LLM made them; empty for plain speech.
        tool_calls: Vec<ToolCall>,
    },
    /// The result of a tool call.
    Tool {
        /// Id of the tool call that this answers.
        call_id: String,
        /// Result as text, mostly JSON; an error is described in words.
        content: String,
    },
}

/// A tool the model wants called; the arguments are JSON text, possibly invalid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of the call, at most 256 bytes; the result refers to it.
    pub id: String,
    /// Name of the function, at most 256 bytes. The LLM may invent one that was not offered.
    pub name: String,
    /// Arguments as JSON text, at most 64 KiB; longer ones are cut and count as too large.
    pub arguments: String,
    /// How the arguments do not fit the tool's schema, in words for the model. The call's driver finds out.
    pub schema_error: Option<String>,
    /// What the model's server wants to see again beside this call; most want nothing.
    pub opaque: Option<Box<OpaqueFields>>,
}

/// Fields of an answer that mean nothing to us and that its server wants returned: thoughts before a tool call,
/// signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpaqueFields {
    /// `provider/model` that wrote them; no other model gets them.
    pub origin: String,
    /// The fields by their names, as they came.
    pub fields: Map<String, Value>,
}

impl ToolCall {
    /// Bytes of arguments that are kept; what has more is too large for any tool.
    pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
    /// Bytes of opaque fields that are kept; longer ones are left out.
    pub const OPAQUE_BYTES_MAX: usize = 64 * 1024;
    /// Bytes of an id or a name that are kept: vendors allow 64.
    pub const NAME_BYTES_MAX: usize = 256;

    /// A whole one, as a vendor sends it.
    pub fn new(id: String, name: String, arguments: String) -> Self {
        let mut call = Self::default();
        call.push_arguments(&arguments);
        Self { id: bounded(id), name: bounded(name), ..call }
    }

    /// Adds a part of the arguments, as they stream in. What is too long stays so by one byte.
    pub fn push_arguments(&mut self, part: &str) {
        let room = (Self::ARGUMENTS_BYTES_MAX + 1).saturating_sub(self.arguments.len());
        self.arguments.push_str(part.get(..part.ceil_char_boundary(room)).unwrap_or(part));
    }

    /// Adds a part of the name.
    pub fn push_name(&mut self, part: &str) {
        let room = Self::NAME_BYTES_MAX.saturating_sub(self.name.len());
        self.name.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or(part));
    }
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ToolCall::NAME_BYTES_MAX));
    text
}

/// Whether a model may call the tools that it is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// It answers in words. The tools are named because vendors want them beside earlier calls.
    None,
}

/// A tool offered to the model: name, description and JSON schema of its arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolOffer {
    /// Name of the function: 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What the tool does, in words for the LLM; may be empty.
    pub description: String,
    /// JSON schema of the arguments; its type is `object`.
    pub parameters: Value,
    /// The provider is to keep to the schema, where it can.
    pub strict: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_goes_on_and_on_fills_no_memory() {
        let mut call = ToolCall::default();
        for _ in 0..100_000 {
            call.push_arguments("é");
            call.push_name("é");
        }
        assert_eq!(call.arguments.len(), ToolCall::ARGUMENTS_BYTES_MAX + 2);
        assert_eq!(call.name.len(), ToolCall::NAME_BYTES_MAX);
        let whole = ToolCall::new("i".repeat(1_000), "n".repeat(1_000), "x".repeat(100_000));
        assert_eq!((whole.id.len(), whole.name.len()), (256, 256));
        assert_eq!(whole.arguments.len(), ToolCall::ARGUMENTS_BYTES_MAX + 1);
    }
}
