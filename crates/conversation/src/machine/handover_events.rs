//! What the server says about the next agent of a handover, and what the call makes of it.

use super::call_machine::CallMachine;
use super::handover::{HandingOver, HandoverRequest, HandoverStep};
use super::mode::Mode;
use super::spec::CallSpec;
use std::time::Instant;

impl CallMachine {
    /// Starts a handover out of a conversation; tells the caller, unless that was done.
    pub(super) fn hand_over(&mut self, now: Instant, request: HandoverRequest, told: bool) {
        self.cancel_collecting(now);
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::HandingOver(conversing.hand_over(now, request, told)),
            unchanged => unchanged,
        });
    }

    /// The next agent is ready, with the configuration that it takes the call over with, or why it is not, in words for
    /// the LLM. Without a handover that waits for it, nothing happens.
    pub fn handle_agent_prepared(&mut self, now: Instant, prepared: Result<Box<CallSpec>, String>) {
        match prepared {
            Ok(spec) => self.step_handover(now, |handover| handover.handle_ready(now, spec)),
            Err(why) => self.handover_failed(now, &why),
        }
    }

    /// What the present agent said before a handover was heard or cut.
    pub(super) fn handle_handover_announced(&mut self, now: Instant) {
        self.step_handover(now, |handover| handover.handle_announced(now));
    }

    /// The next agent, or the present one's last words, have taken too long.
    pub(super) fn handle_handover_timeout(&mut self, now: Instant) {
        self.step_handover(now, |handover| handover.handle_timeout(now));
    }

    fn step_handover(&mut self, now: Instant, step: impl FnOnce(HandingOver) -> HandoverStep) {
        let (mut taken_over, mut is_late) = (None, false);
        self.change(|mode| match mode {
            Mode::HandingOver(handover) => match step(handover) {
                HandoverStep::Waiting(handover) => Mode::HandingOver(handover),
                HandoverStep::TooLate(handover) => {
                    is_late = true;
                    Mode::HandingOver(handover)
                }
                HandoverStep::TakenOver(conversing, opening) => {
                    taken_over = Some(opening);
                    Mode::Conversing(conversing)
                }
            },
            unchanged => unchanged,
        });
        if is_late {
            return self.handover_failed(now, "it was not ready in time");
        }
        if let Some(opening) = taken_over
            && !self.answer_waiting_turn(now)
            && let Some(talk) = self.mode.talk_mut()
        {
            talk.open_after_handover(now, opening);
        }
    }

    /// Ends the attempt, if there is one: the present agent keeps the call.
    pub(super) fn give_up_handover(&mut self) -> Option<HandoverRequest> {
        let mut given_up = None;
        self.change(|mode| match mode {
            Mode::HandingOver(handover) => {
                let (conversing, request) = handover.give_up();
                given_up = Some(request);
                Mode::Conversing(conversing)
            }
            unchanged => unchanged,
        });
        given_up
    }

    /// The present agent goes on with the reason.
    fn handover_failed(&mut self, now: Instant, why: &str) {
        let Some(request) = self.give_up_handover() else { return };
        tracing::warn!(reason = why, "handover to another agent failed");
        let result = format!("error: the call was not handed over to {}: {why}", request.name);
        self.handle_tool_result(now, &request.call_id, &result);
        if self.mode.talk().is_some_and(|talk| talk.line.playout.response.is_none()) {
            self.answer_waiting_turn(now);
        }
    }
}
