//! OpenAI, and servers that speak its protocols: chat completions, speech, transcription sessions and the
//! Realtime API. <https://platform.openai.com/docs/api-reference>

pub mod chat_completions;
mod chunks;
pub mod realtime;
mod realtime_items;
pub(crate) mod session_errors;
mod tool_deltas;
pub mod transcription;
mod transcription_items;
pub mod tts;

use crate::canonical_conversation::ToolIdStyle;
use chat_completions::ChatCompletions;

/// The LLM client that the registry hands out.
pub static LLM: ChatCompletions =
    ChatCompletions { has_stream_options: true, has_cache_key: true, effort, tool_ids: ToolIdStyle::Plain };
/// The TTS client that the registry hands out.
pub static TTS: tts::OpenaiTts = tts::OpenaiTts;
/// The STT client that the registry hands out.
pub static STT: transcription::OpenaiStt = transcription::OpenaiStt;
/// The realtime client that the registry hands out.
pub static REALTIME: realtime::OpenaiRealtime = realtime::OPENAI;

/// Callers wait for the first word: models that think are asked to think as little as they can. A value
/// that one does not take is learnt from its refusal.
fn effort(model: &str) -> Option<&'static str> {
    let series =
        |prefix: &str| model.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    match model {
        "gpt-5" | "gpt-5-mini" | "gpt-5-nano" => Some("minimal"),
        _ if model.contains("chat-latest") => None,
        _ if model.starts_with("gpt-5") || model.starts_with("gpt-6") => Some("none"),
        _ if series("o") => Some("low"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_think_are_known_by_their_names() {
        assert_eq!(effort("gpt-4o-mini"), None);
        assert_eq!(effort("gpt-5.4-mini"), Some("none"));
        assert_eq!(effort("gpt-5-mini"), Some("minimal"));
        assert_eq!(effort("o3"), Some("low"));
        assert_eq!(effort("omni-moderation"), None);
        assert_eq!(effort("llama3.1:8b"), None);
    }
}
