//! Anthropic: the Messages API. <https://docs.claude.com/en/api/messages>

pub mod message;

pub static LLM: message::AnthropicMessages = message::AnthropicMessages;
