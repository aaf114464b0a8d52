//! What is asked of a provider, and what it says: the same for every vendor.

use super::error::ProviderError;
use bytes::Bytes;
use std::time::Duration;
use trunkline_domain::chat::{ChatMessage, ToolCall, ToolChoice, ToolOffer};
use trunkline_domain::llm_options::LlmOptions;
use trunkline_domain::provider::PipelineStage;

/// A failover: a fallback took over during a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// The stage whose provider was replaced.
    pub stage: PipelineStage,
    /// `provider/model`.
    pub from: String,
    /// `provider/model` that takes over.
    pub to: String,
    /// Kind of the failure, or `slow` where the other one was only faster.
    pub reason: &'static str,
    /// What the failure cost: time from the request to the failover.
    pub after: Duration,
}

/// Words of a final STT result in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanguageWords {
    /// Its code, as the vendor writes it.
    pub language: String,
    /// How many words.
    pub words: u32,
}

/// Events of STT.
#[derive(Clone, Debug, PartialEq)]
pub enum SttEvent {
    /// A connection is open; audio sent before is not lost.
    Ready,
    /// The words since the last final ones, which may still change.
    Interim(String),
    /// The languages of the final words that follow, where the vendor tells them apart.
    Languages(Vec<LanguageWords>),
    /// Words that no longer change.
    Final {
        /// The words since the last final ones; empty if there were none.
        text: String,
        /// From 0 to 1; `None` if the vendor gives none.
        confidence: Option<f32>,
        /// The vendor heard a pause after these words, or was asked to finalize.
        speech_final: bool,
    },
    /// Final words came again in another version, for audio whose words were final already: no new words.
    Corrected {
        /// The words as they came first.
        was: String,
        /// The same words now.
        is: String,
        /// The vendor heard a pause after these words, and had not said so before.
        speech_final: bool,
    },
    /// The caller has said something of some length, and STT is sure of no word of it: another language, as a rule.
    NotUnderstood,
    /// STT has failed at an utterance of the caller: what was said is lost.
    Lost,
    /// The vendor heard no more words for a while, so the utterance is over (Deepgram: 1 s).
    UtteranceEnd,
    /// STT detected the start of speech.
    StartOfTurn,
    /// The turn is likely over; `TurnResumed` takes it back.
    EagerEndOfTurn,
    /// The caller went on after a likely end of turn.
    TurnResumed,
    /// The vendor's end-of-turn model is certain: the text is the whole turn.
    EndOfTurn {
        /// All words of the turn.
        text: String,
        /// Mean of the words from 0 to 1; `None` if the vendor gives none.
        confidence: Option<f32>,
    },
    /// A connection was lost and is being reopened; audio is buffered.
    Reconnecting(ProviderError),
    /// Another candidate takes over.
    FailedOver(Failover),
    /// No further attempt is made.
    Failed(ProviderError),
}

/// Token usage of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// `provider/model` that said it.
    pub model: String,
    /// Tokens of the messages, those from the provider's cache included.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub completion_tokens: u64,
    /// Of the prompt, read from the provider's cache.
    pub cached_tokens: u64,
}

/// A request to a model.
#[derive(Clone, Debug, Default)]
pub struct LlmRequest {
    /// The vendor's name of the model.
    pub model: String,
    /// What the agent asks for.
    pub options: LlmOptions,
    /// System messages and history, the oldest first.
    pub messages: Vec<ChatMessage>,
    /// The tools that the model may call; empty if there are none.
    pub tools: Vec<ToolOffer>,
    /// Whether it may call them.
    pub tool_choice: ToolChoice,
    /// `provider/model` that is asked: it gets its own opaque fields back. Empty for none.
    pub origin: String,
    /// Requests of one agent begin alike: providers that cache prompts by name get this one.
    pub cache_key: Option<String>,
}

/// How long a model has stood still, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// Half a second: a sentence that is certainly whole need not wait.
    Brief,
    /// A second and a half: what may end there need not wait either.
    Long,
    /// Within a sentence, for some two seconds: the words that are certainly whole need not wait for the others.
    Within,
}

/// Events of an LLM.
#[derive(Clone, Debug, PartialEq)]
pub enum LlmEvent {
    /// A further part of the text.
    Text(String),
    /// All text so far was the model's thoughts: nothing of it is said.
    Retracted,
    /// No further word has come for a while behind the end of a sentence.
    Stalled(Stall),
    /// A tool call begins behind words: nothing of them is held back until it is complete.
    ToolCallBegan,
    /// The complete calls, after the text.
    ToolCalls(Vec<ToolCall>),
    /// The answer was cut at its most tokens: it ends with its last whole sentence.
    Cut,
    /// The answer is complete; the last event.
    Done(TokenUsage),
    /// Another model is asked, or has answered first.
    FailedOver(Failover),
    /// The request has failed, and no fallback is left; the last event.
    Failed(ProviderError),
}

/// A word timestamp: so much text is spoken after so much audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordTimestamp {
    /// Milliseconds from the start of the segment's audio.
    pub at_ms: u32,
    /// Characters of the text.
    pub chars: u32,
}

/// Events of TTS, in the format of its [`TtsStream`](crate::TtsStream).
#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    /// A further part of the audio, in any number of bytes.
    Audio(Bytes),
    /// Where the words are, as far as they are known.
    WordTimestamps(Vec<WordTimestamp>),
    /// All audio of the segment was sent; the last event.
    Done,
    /// The segment could not be spoken, or only in part; the last event.
    Failed(ProviderError),
}

/// Encoding of a voice's audio, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// Little-endian 16-bit samples.
    Pcm16 {
        /// Sampling rate in Hz, such as 22,050 or 24,000.
        rate_hz: u32,
    },
    /// mu-law at 8 kHz.
    Mulaw,
}
