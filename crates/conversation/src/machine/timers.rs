//! The timers of a call, each with a name. Every instant is kept by whom it concerns: a timer of one mode or speaker
//! goes with it.

use std::time::Instant;

/// Which timer fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTimer {
    /// `max_duration_seconds` is over.
    MaxDuration,
    /// A goodbye has been going on for too long.
    Goodbye,
    /// The caller has said nothing for a while.
    Silence,
    /// The caller has said something that STT did not understand.
    Unclear,
    /// A barge-in brought no words: resume.
    Resume,
    /// Speech was detected, but STT is silent.
    SttStall,
    /// The caller is silent, but STT has not sent its final result.
    SttLate,
    /// The final transcript has not arrived.
    FinalTranscript,
    /// A tool result came during speech, and nothing was said after all.
    ToolResult,
    /// A tool or the LLM is slow: say a filler.
    Filler,
    /// Voicemail: maximum announcement or message time, or the pause after the beep.
    Voicemail,
    /// The caller enters no digits.
    Collection,
    /// The caller has been on hold for as long as the agent wanted.
    Hold,
    /// The transfer target does not answer.
    Transfer,
    /// The next agent of a handover is not ready.
    Handover,
    /// An operator's text waits to be said.
    OperatorText,
    /// The realtime model was asked and does not respond, or stalls.
    RealtimeStall,
    /// The realtime model has not sent the caller's transcript.
    CallerTranscript,
}

impl CallTimer {
    /// All timers; of those that are due at once the first fires first.
    pub(super) const ALL: [Self; 18] = [
        Self::MaxDuration,
        Self::Goodbye,
        Self::Silence,
        Self::Unclear,
        Self::Resume,
        Self::SttStall,
        Self::SttLate,
        Self::FinalTranscript,
        Self::ToolResult,
        Self::Filler,
        Self::Voicemail,
        Self::Collection,
        Self::Hold,
        Self::Transfer,
        Self::Handover,
        Self::OperatorText,
        Self::RealtimeStall,
        Self::CallerTranscript,
    ];
}

/// The timers of an agent who takes part, with either speaker. Whatever the agent says stops `silence`.
#[derive(Debug, Default)]
pub(super) struct TalkTimers {
    pub(super) max_duration: Option<Instant>,
    pub(super) goodbye: Option<Instant>,
    pub(super) silence: Option<Instant>,
    pub(super) unclear: Option<Instant>,
    pub(super) resume: Option<Instant>,
    pub(super) tool_result: Option<Instant>,
    pub(super) filler: Option<Instant>,
}
