//! The caller is on hold: the agent is away for a moment and comes back by itself, or an operator has wanted it.

use super::conversing::Conversing;
use super::output::CallOutput;
use super::talk::Talk;
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;

/// How long an operator leaves a caller on hold at most; the longest duration of the call ends it before.
const OPERATOR_HOLD_MAX: Duration = Duration::from_secs(3_600);

/// What a hold waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldReason {
    /// The results of the tools beside it.
    Results,
    /// Nothing but the time.
    Time,
}

/// A hold that a round of tools begins with.
#[derive(Debug)]
pub(super) struct WantedHold {
    pub(super) call: ToolCall,
    /// How long the caller waits at most.
    pub(super) limit: Duration,
    pub(super) music: bool,
}

/// Who wanted a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HoldOrigin {
    /// The model: this call of a tool waits for the end of the hold.
    Tool { call_id: String },
    /// Somebody beside the call. STT and model do not hear the caller.
    Operator,
}

/// What the end of a hold leaves to be done.
#[derive(Debug)]
pub(super) enum HoldEnd {
    /// The call of the tool that has asked for it has this result.
    ToolResult { call_id: String, result: String },
    /// The agent is to go on with this hint.
    GoOn { hint: String },
}

/// The caller is on hold. What they say is kept and not answered.
#[derive(Debug)]
pub struct Held {
    pub(super) talk: Talk,
    origin: HoldOrigin,
    since: Instant,
    pub(super) until: Instant,
}

impl Conversing {
    /// Puts the caller on hold. Another mode holds nobody.
    pub(super) fn hold(mut self, now: Instant, wanted: WantedHold) -> Held {
        (self.talk.timers.silence, self.talk.timers.filler) = (None, None);
        self.talk.line.output(CallOutput::Hold { music: wanted.music });
        let origin = HoldOrigin::Tool { call_id: wanted.call.id };
        Held { talk: self.talk, origin, since: now, until: now + wanted.limit }
    }

    /// The same for an operator: the agent stops what it says.
    pub(super) fn hold_by_operator(mut self, now: Instant) -> Held {
        self.talk.rest(now);
        let music = self.talk.line.facts.spec.agent.transfers().hold_music;
        self.talk.line.output(CallOutput::Hold { music });
        Held { talk: self.talk, origin: HoldOrigin::Operator, since: now, until: now + OPERATOR_HOLD_MAX }
    }
}

impl Held {
    /// Somebody beside the call has wanted it.
    pub(super) fn is_by_operator(&self) -> bool {
        self.origin == HoldOrigin::Operator
    }

    /// Whether nothing but the end of the hold is waited for: other tools have their results. An operator's hold waits
    /// for none.
    pub(super) fn has_all_results(&self) -> bool {
        match &self.origin {
            HoldOrigin::Tool { call_id } => self.talk.tools.waiting.iter().all(|call| call.id == *call_id),
            HoldOrigin::Operator => false,
        }
    }

    /// Takes the caller off hold: they are back with the agent.
    pub(super) fn resume(mut self, now: Instant, why: &str) -> (Conversing, HoldEnd) {
        self.talk.line.output(CallOutput::EndHold);
        // Until now there was music: nobody has waited in silence.
        self.talk.fillers.begin_silence(now);
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let end = match self.origin {
            HoldOrigin::Tool { call_id } => {
                let result = json!({"status": "resumed", "reason": why, "seconds": seconds}).to_string();
                HoldEnd::ToolResult { call_id, result }
            }
            HoldOrigin::Operator => {
                if let Some(pipeline) = self.talk.speaker.pipeline_mut() {
                    pipeline.clear_stt_timers();
                }
                let hint = format!(
                    "The person who supervises this call had put the caller on hold for {seconds} seconds. The caller is \
                     back: thank them for waiting in a few words, and go on where you were."
                );
                HoldEnd::GoOn { hint }
            }
        };
        (Conversing::returned(self.talk), end)
    }
}
