//! The caller is on hold: the agent is away for a moment, and comes back by itself.

use super::call_machine::CallMachine;
use super::conversing::Conversing;
use super::mode::Mode;
use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use serde_json::json;
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;

const UNSAID: &str = "error: the caller must hear first that you put them on hold; say so in the same answer";
const NOT_NEEDED: &str = "not needed: the results are there already";
const ENDED: &str = "error: the conversation went on without it";
const REALTIME: &str = "error: this model cannot leave the call for a while";

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
    fn has_all_results(&self) -> bool {
        self.talk.tools.waiting.iter().all(|call| call.id == self.call_id)
    }

    /// Takes the caller off hold: they are back with the agent. Returns the call that has asked for the hold, and its
    /// result.
    fn resume(mut self, now: Instant, why: &str) -> (Conversing, String, String) {
        self.talk.line.output(CallOutput::EndHold);
        let seconds = now.saturating_duration_since(self.since).as_secs();
        let result = json!({"status": "resumed", "reason": why, "seconds": seconds}).to_string();
        (Conversing::returned(self.talk), self.call_id, result)
    }
}

impl CallMachine {
    /// Puts the caller on hold at the end of a round of tools, if they were told.
    pub(super) fn begin_hold(&mut self, now: Instant, wanted: WantedHold, told: bool, reason: HoldReason) {
        let is_waited_for = |talk: &Talk| talk.tools.waiting.iter().any(|call| call.id != wanted.call.id);
        let refusal = match &self.mode {
            Mode::Conversing(Conversing { talk: Talk { speaker: Speaker::Realtime(_), .. }, .. }) => Some(REALTIME),
            Mode::Conversing(_) if !told => Some(UNSAID),
            Mode::Conversing(Conversing { talk, .. }) if reason == HoldReason::Results && !is_waited_for(talk) => {
                Some(NOT_NEEDED)
            }
            Mode::Conversing(_) => None,
            Mode::Voicemail(_)
            | Mode::Held(_)
            | Mode::Transferring(_)
            | Mode::Bridged(_)
            | Mode::Ending(_)
            | Mode::Over(_) => Some(ENDED),
        };
        if let Some(refusal) = refusal {
            return self.handle_tool_result(now, &wanted.call.id, refusal);
        }
        self.cancel_collecting(now);
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::Held(conversing.hold(now, wanted)),
            unchanged => unchanged,
        });
    }

    /// The same round of tools ends or transfers the call.
    pub(super) fn refuse_hold(&mut self, now: Instant, wanted: &WantedHold) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.handle_own_result(now, &wanted.call.id, ENDED, ENDED);
        }
    }

    /// The tools that the agent went away for have answered: it comes back.
    pub(super) fn resume_with_results(&mut self, now: Instant) {
        if matches!(&self.mode, Mode::Held(held) if held.has_all_results()) {
            self.resume_hold(now, "the results are there");
        }
    }

    /// Takes the caller off hold, if they are: the agent has the word.
    pub(super) fn resume_hold(&mut self, now: Instant, why: &str) {
        let mut ended = None;
        self.change(|mode| match mode {
            Mode::Held(held) => {
                let (conversing, call_id, result) = held.resume(now, why);
                ended = Some((call_id, result));
                Mode::Conversing(conversing)
            }
            unchanged => unchanged,
        });
        if let Some((call_id, result)) = ended {
            self.handle_tool_result(now, &call_id, &result);
        }
    }
}
