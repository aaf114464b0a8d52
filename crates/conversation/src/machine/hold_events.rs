//! A hold from its beginning to its end: results, time, and everything that makes it needless.

use super::call_machine::CallMachine;
use super::conversing::Conversing;
use super::held::{HoldEnd, HoldReason, WantedHold};
use super::mode::Mode;
use super::talk::{Speaker, Talk};
use std::time::Instant;

const UNSAID: &str = "error: the caller must hear first that you put them on hold; say so in the same answer";
const NOT_NEEDED: &str = "not needed: the results are there already";
const ENDED: &str = "error: the conversation went on without it";
const REALTIME: &str = "error: this model cannot leave the call for a while";

impl CallMachine {
    /// Puts the caller on hold at the end of a round of tools, if they were told. False: the conversation goes on.
    pub(super) fn begin_hold(&mut self, now: Instant, wanted: WantedHold, told: bool, reason: HoldReason) -> bool {
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
            | Mode::HandingOver(_)
            | Mode::Bridged(_)
            | Mode::Ending(_)
            | Mode::Over(_) => Some(ENDED),
        };
        if let Some(refusal) = refusal {
            if let Some(talk) = self.mode.talk_mut() {
                talk.handle_own_result(now, &wanted.call.id, refusal, refusal);
            }
            return false;
        }
        self.cancel_collecting(now);
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::Held(conversing.hold(now, wanted)),
            unchanged => unchanged,
        });
        true
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
                let (conversing, end) = held.resume(now, why);
                ended = Some(end);
                Mode::Conversing(conversing)
            }
            unchanged => unchanged,
        });
        match (ended, self.mode.talk_mut()) {
            (Some(HoldEnd::ToolResult { call_id, result }), _) => self.handle_tool_result(now, &call_id, &result),
            (Some(HoldEnd::GoOn { hint }), Some(talk)) => {
                if !talk.try_operator_text(now) {
                    talk.request_response(now, Some(&hint));
                }
            }
            (Some(HoldEnd::GoOn { .. }) | None, _) => {}
        }
    }
}
