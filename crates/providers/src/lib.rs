//! Clients of the STT, LLM, TTS and realtime providers. Each vendor has a folder: its messages are plain values without
//! sockets; `vendors` finds the client by name; `stt`, `llm`, `tts` and `realtime` add connections, deadlines, retries
//! and failover. They know nothing of calls; events come over a channel.
#![expect(clippy::disallowed_methods, reason = "clients drive sockets: tasks, clocks and deadlines are theirs")]

mod access;
mod answer_limit;
mod answer_seam;
pub mod anthropic;
pub mod canonical_conversation;
pub mod cartesia;
mod catalog_cache;
pub mod catalog_lists;
pub mod circuit_breaker;
mod context_limit;
#[cfg(test)]
mod damage;
pub mod deepgram;
pub mod elevenlabs;
mod error;
mod event;
mod event_stream;
mod extra_body;
mod final_repeats;
pub mod groq;
mod http_audio;
mod json_text;
pub mod llm;
mod llm_activity;
mod llm_attempt;
mod llm_body;
mod llm_completion;
mod llm_reader;
mod llm_send;
mod llm_vendor;
pub mod local;
pub mod mistral;
mod nullable;
pub mod openai;
mod plain_schemas;
pub mod provider_catalog;
pub mod provider_check;
pub mod realtime;
mod refusal;
mod refusal_words;
pub mod registry;
mod replay_buffer;
mod session_error;
mod spoken_length;
pub mod sse;
pub mod structured_output;
pub mod stt;
mod stt_connection;
mod stt_failback;
pub mod stt_session;
mod stt_trial;
mod stt_watch;
mod thoughts;
mod tool_arguments;
mod tool_dialect;
mod tool_messages;
pub mod transport;
pub mod tts;
pub mod tts_socket;
mod unreadable_frames;
mod unsupported_parameters;
pub mod vendors;
mod written_calls;
pub mod xai;

pub use access::{BlockReason, Deadlines, ProviderAccess};
pub use catalog_cache::CatalogResult;
pub use error::ProviderError;
pub use event::{
    AudioFormat, Failover, LanguageWords, LlmEvent, LlmRequest, Stall, SttEvent, TokenUsage, TtsEvent, WordTimestamp,
};
pub use event_stream::{EVENTS_MAX, EventStream, TtsStream};
pub use final_repeats::AudioSpan;
pub use local::speech::LocalSpeechSettings;
pub(crate) use refusal::{refusal, unreachable};
pub use registry::{
    LocalTtsPrograms, OrganizationKey, OrganizationKeys, ProviderRegistry, ProviderSettings, StageDeadlines,
};
