//! Mistral: chat completions. Its rules about the order of messages are those of the canonical conversation; ids of tool
//! calls have nine letters and digits. <https://docs.mistral.ai/api>

use super::canonical_conversation::ToolIdStyle;
use super::openai::chat_completions::ChatCompletions;

/// The LLM client that the registry hands out.
pub static LLM: ChatCompletions = ChatCompletions {
    has_stream_options: false,
    has_cache_key: true,
    has_completion_tokens: false,
    effort: |_| None,
    tool_ids: ToolIdStyle::NineCharacters,
};
