//! Groq: chat completions. <https://console.groq.com/docs/openai>

use super::canonical_conversation::ToolIdStyle;
use super::openai::chat_completions::ChatCompletions;

/// The LLM client that the registry hands out.
pub static LLM: ChatCompletions = ChatCompletions {
    has_stream_options: true,
    has_cache_key: false,
    has_completion_tokens: true,
    effort,
    tool_ids: ToolIdStyle::Plain,
};

/// The open-weight reasoning models think unless they are asked not to.
fn effort(model: &str) -> Option<&'static str> {
    model.contains("gpt-oss").then_some("low")
}
