//! Anthropic: the Messages API. <https://docs.claude.com/en/api/messages>

mod events;
pub mod messages;
mod options;

/// The LLM client that the registry hands out.
pub static LLM: messages::AnthropicMessages = messages::AnthropicMessages;
