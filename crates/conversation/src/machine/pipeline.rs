//! The pipeline of STT, LLM and TTS as the speaker of a call.

use crate::dialogue::response::AgentResponse;
use std::time::{Duration, Instant};

/// An LLM's answer to a turn that has probably ended. Nothing of it is spoken yet.
#[derive(Debug)]
pub(super) struct PreemptiveGeneration {
    /// The caller's words it answers.
    pub(super) text: String,
    pub(super) response: AgentResponse,
    pub(super) segments: Vec<(u32, String)>,
    pub(super) first_token_ms: Option<u64>,
    pub(super) first_segment_ms: Option<u64>,
    pub(super) done: bool,
}

/// STT hears the caller, an LLM answers, TTS speaks.
#[derive(Debug, Default)]
pub struct Pipeline {
    /// The preemptive generation for a likely end of turn.
    pub(super) preemptive: Option<PreemptiveGeneration>,
    /// A realtime model broke off in the middle of a response: the LLM continues it.
    pub(super) owes_continuation: bool,
    /// Consecutive utterances without any STT result.
    pub(super) stt_stalls: u32,
    /// When an STT without any result counts as stalled.
    pub(super) stt_stall_at: Option<Instant>,
    /// When the fallback STT is asked for a final result.
    pub(super) stt_late_at: Option<Instant>,
    /// Since when the caller makes the present sound.
    pub(super) speech_since: Option<Instant>,
    /// How long the caller's last sound was.
    pub(super) last_speech: Duration,
}

impl Pipeline {
    /// STT has sent a result.
    pub(super) fn clear_stt_timers(&mut self) {
        (self.stt_stall_at, self.stt_late_at) = (None, None);
    }
}
