//! What became of the sounds that callers made while the agent spoke, as the call's `metrics` show it.

use serde_json::{Value, json};

/// Why a sound or words over the agent had an effect, or none, at most this many.
const EVENTS_MAX: usize = 200;

/// From words that stop the agent to the report of the leg at most.
const FLUSH_MAX_MS: u64 = 200;

/// What was decided of a sound or words over the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OverlapReason {
    /// Voice for as long as `barge_in_min_speech_ms`: stopped.
    Voice,
    /// Words that are no backchannel: stopped.
    Words,
    /// "Stop", "wait", "hold on": stopped.
    Command,
    /// A whole turn of the caller: stopped.
    Turn,
    /// A backchannel: the agent went on.
    Backchannel,
    /// No words came: the agent went on.
    NoWords,
    /// Words that somebody said who is far quieter than the caller: ignored.
    Background,
    /// Words of the agent that came back: ignored.
    Echo,
    /// Words with which no sound came: they wait for the agent's end.
    NoVoice,
    /// The same, and such as STT makes of silence: ignored.
    Hallucination,
}

impl OverlapReason {
    fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Words => "words",
            Self::Command => "command",
            Self::Turn => "turn",
            Self::Backchannel => "backchannel",
            Self::NoWords => "no_words",
            Self::Background => "background",
            Self::Echo => "echo",
            Self::NoVoice => "no_voice",
            Self::Hallucination => "hallucination",
        }
    }
}

/// Counts of one call.
#[derive(Clone, Debug, Default)]
pub struct InterruptionCounts {
    /// How often playback was paused because the caller made a sound.
    pub held: u32,
    /// How often paused playback went on because the caller did not mean to interrupt.
    pub resumed: u32,
    /// How often the caller interrupted the agent.
    pub stopped: u32,
    /// How often the caller's words during playback were a backchannel.
    pub backchannels: u32,
    /// In order: time in the call, and why.
    events: Vec<(u64, OverlapReason)>,
}

impl InterruptionCounts {
    /// What was decided at a time of the call.
    pub(super) fn record(&mut self, at_ms: u64, reason: OverlapReason) {
        // Each interim result of the same words tells the same.
        let is_repeated = matches!(reason, OverlapReason::Background | OverlapReason::Echo)
            && self.events.last().is_some_and(|(_, last)| *last == reason);
        if self.events.len() < EVENTS_MAX && !is_repeated {
            self.events.push((at_ms, reason));
        }
    }

    /// The agent was stopped: by words that were recorded just now, or by the voice alone.
    pub(super) fn record_stop(&mut self, at_ms: u64) {
        self.stopped += 1;
        let is_said = |(said_ms, reason): &(u64, OverlapReason)| {
            at_ms.saturating_sub(*said_ms) <= FLUSH_MAX_MS
                && matches!(reason, OverlapReason::Words | OverlapReason::Command | OverlapReason::Turn)
        };
        if !self.events.last().is_some_and(is_said) {
            self.record(at_ms, OverlapReason::Voice);
        }
    }

    /// As `metrics.interruptions` shows it.
    pub(super) fn to_json(&self) -> Value {
        let decisions: Vec<Value> =
            self.events.iter().map(|(at_ms, reason)| json!({"at_ms": at_ms, "by": reason.name()})).collect();
        json!({
            "held": self.held, "resumed": self.resumed, "stopped": self.stopped, "backchannels": self.backchannels,
            "decisions": decisions,
        })
    }
}
