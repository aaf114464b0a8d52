//! xAI: chat completions, and the voice agent in OpenAI's realtime shape with its own differences.
//! <https://docs.x.ai/docs/api-reference>

use super::canonical_conversation::ToolIdStyle;
use super::openai::chat_completions::ChatCompletions;
use super::openai::realtime::{OpenaiRealtime, RealtimeDialect};
use super::session_error::{SessionErrors, SessionFault};

/// Reasoning is part of the model's name: `reasoning_effort` is refused by most.
pub static LLM: ChatCompletions =
    ChatCompletions { has_stream_options: true, has_cache_key: false, effort: |_| None, tool_ids: ToolIdStyle::Plain };
/// The realtime client that the registry hands out.
pub static REALTIME: OpenaiRealtime = OpenaiRealtime { dialect: RealtimeDialect::Xai, errors: &SESSION_ERRORS };
/// What the codes of its error frames mean. <https://docs.x.ai/docs/guides/voice>
pub(crate) const SESSION_ERRORS: SessionErrors = SessionErrors {
    rows: &[
        ("unauthenticated", SessionFault::Key),
        ("api_key", SessionFault::Key),
        ("authentication", SessionFault::Key),
        ("permission", SessionFault::Key),
        ("quota", SessionFault::Credit),
        ("credit", SessionFault::Credit),
        ("billing", SessionFault::Credit),
        ("resource_exhausted", SessionFault::RateLimit),
        ("rate_limit", SessionFault::RateLimit),
        ("expired", SessionFault::Session),
        ("session_limit", SessionFault::Session),
        ("session_duration", SessionFault::Session),
        ("max_duration", SessionFault::Session),
        ("internal", SessionFault::Session),
        ("server_error", SessionFault::Session),
        ("unavailable", SessionFault::Session),
        ("timeout", SessionFault::Session),
        ("deadline", SessionFault::Session),
        ("model", SessionFault::Configuration),
    ],
    otherwise: SessionFault::Event,
};
