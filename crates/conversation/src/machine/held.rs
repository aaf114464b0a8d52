//! The caller is on hold: the agent is away for a moment, and comes back by itself.

use super::conversing::Conversing;
use super::output::CallOutput;
use super::talk::Talk;
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;

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

/// The caller is on hold. What they say is kept and not answered.
#[derive(Debug)]
pub struct Held {
    pub(super) talk: Talk,
    /// The call that waits for the end of the hold.
    call_id: String,
    since: Instant,
    pub(super) until: Instant,
}

impl Conversing {
    /// Puts the caller on hold. Another mode holds nobody.
    pub(super) fn hold(mut self, now: Instant, wanted: WantedHold) -> Held {
        (self.talk.timers.silence, self.talk.timers.filler) = (None, None);
        self.talk.line.output(CallOutput::Hold { music: wanted.music });
        Held { talk: self.talk, call_id: wanted.call.id, since: now, until: now + wanted.limit }
    }
}

impl Held {
    /// Whether nothing but the end of the hold is waited for: other tools have their results.
    pub(super) fn has_all_results(&self) -> bool {
        self.talk.tools.waiting.iter().all(|call| call.id == self.call_id)
    }

    /// Takes the caller off hold: they are back with the agent. Returns the call that has asked for the hold, and its
    /// result.
    pub(super) fn resume(mut self, now: Instant, why: &str) -> (Conversing, String, String) {
        self.talk.line.output(CallOutput::EndHold);
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let result = json!({"status": "resumed", "reason": why, "seconds": seconds}).to_string();
        (Conversing::returned(self.talk), self.call_id, result)
    }
}
