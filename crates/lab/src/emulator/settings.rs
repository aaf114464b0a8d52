//! How an emulator behaves.

use super::script::ReplyScript;
use serde::{Deserialize, Serialize};

/// How long the emulated providers take.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delays {
    /// From the end of an utterance (after its endpointing silence) to the final result.
    pub stt_final_ms: u64,
    /// From the request to the first token.
    pub llm_first_token_ms: u64,
    /// Between two tokens.
    pub llm_token_ms: u64,
    /// From the request to the first audio.
    pub tts_first_byte_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self { stt_final_ms: 50, llm_first_token_ms: 150, llm_token_ms: 5, tts_first_byte_ms: 100 }
    }
}

/// How an emulator behaves from the start.
#[derive(Clone, Debug, Default)]
pub struct EmulatorSettings {
    /// How long the emulated providers take.
    pub delays: Delays,
    /// What the emulated LLM answers.
    pub script: ReplyScript,
    /// Program that speaks; without it the voice is a buzz of the right length.
    pub espeak: Option<String>,
}
