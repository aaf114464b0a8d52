//! xAI: chat completions, and the voice agent in OpenAI's realtime shape with its own differences.
//! <https://docs.x.ai/docs/api-reference>

use super::canonical_conversation::ToolIdStyle;
use super::openai::chat_completions::ChatCompletions;
use super::openai::realtime::{OpenaiRealtime, RealtimeDialect};

/// Reasoning is part of the model's name: `reasoning_effort` is refused by most.
pub static LLM: ChatCompletions = ChatCompletions {
    has_stream_options: true,
    has_cache_key: false,
    has_completion_tokens: true,
    effort: |_| None,
    tool_ids: ToolIdStyle::Plain,
};
/// The realtime client that the registry hands out.
pub static REALTIME: OpenaiRealtime = OpenaiRealtime(RealtimeDialect::Xai);
