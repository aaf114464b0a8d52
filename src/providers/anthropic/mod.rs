//! Anthropic: the Messages API. <https://docs.claude.com/en/api/messages>

pub mod messages;

pub static LLM: messages::AnthropicMessages = messages::AnthropicMessages;
