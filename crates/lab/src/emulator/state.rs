//! What all emulated providers share: delays, script, faults, recognizer and voice.

use super::fault_injection::FaultInjection;
use super::phrase_stt::PhraseRecognizer;
use super::precise_timer::PreciseTimer;
use super::script::ReplyScript;
use super::scripted_utterances::ScriptedUtterances;
use super::tts_audio::EmulatedVoice;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast;

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

/// What all emulated providers share.
#[derive(Clone)]
pub(super) struct Emulator {
    pub(super) delays: Delays,
    pub(super) clock: PreciseTimer,
    pub(super) script: Arc<ReplyScript>,
    pub(super) faults: FaultInjection,
    pub(super) utterances: ScriptedUtterances,
    pub(super) stt: Arc<PhraseRecognizer>,
    pub(super) voice: EmulatedVoice,
    pub(super) results: broadcast::Sender<(Instant, String)>,
}
