//! What an agent does on behalf of somebody beside the call: it says texts, follows instructions, rests.

use super::output::CallOutput;
use super::realtime::Realtime;
use super::talk::{Interruption, Speaker, Talk};
use crate::dialogue::prompt;
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::Instant;
use trunkline_domain::call_control::ControlError;
use trunkline_domain::transcript::TurnAuthor;
use trunkline_providers::realtime::RealtimeInput;

/// Before an instruction, so that the model tells it from the caller's words and does not read it out.
const INSTRUCTION: &str = "Instruction from the person who supervises this call. The caller has not heard it: follow it \
from your next answer on, and do not mention it. ";

impl Talk {
    /// Says an operator's text: at once, or when agent and caller are silent.
    pub(super) fn take_operator_text(&mut self, now: Instant, text: &str, interrupt: bool) -> Result<(), ControlError> {
        self.check_operator_text(text, interrupt)?;
        if interrupt {
            self.interrupt_for_operator(now);
            self.say_operator_text(now, text);
            return Ok(());
        }
        if !self.operator.queue(text) {
            return Err(ControlError::TextsWaiting);
        }
        self.try_operator_text(now);
        Ok(())
    }

    fn say_operator_text(&mut self, now: Instant, text: &str) {
        let text = self.filled_in(text);
        self.say_by(now, &text, AfterResponse::AwaitCaller, Some(TurnAuthor::Operator));
    }

    fn check_operator_text(&self, text: &str, interrupt: bool) -> Result<(), ControlError> {
        if self.line.is_saying_last_words() || self.is_saying_goodbye() && !interrupt {
            return Err(ControlError::Goodbye);
        }
        // Nothing may be left of it when its variables are filled in.
        let filled = self.filled_in(text);
        let style = self.line.facts.spec.style();
        let (_, segments) = AgentResponse::scripted(0, &filled, AfterResponse::AwaitCaller, style);
        if segments.is_empty() { Err(ControlError::Unsayable) } else { Ok(()) }
    }

    /// The call ends after the words that are being said.
    pub(super) fn is_saying_goodbye(&self) -> bool {
        let response = self.line.playout.response.as_ref();
        response.is_some_and(|response| matches!(response.after, AfterResponse::HangUp(_)))
    }

    /// The agent stops what it says; a goodbye is none any more.
    pub(super) fn interrupt_for_operator(&mut self, now: Instant) {
        self.discard_preemptive_generation();
        self.cancel_response(now);
        self.interruption = Interruption::default();
        (self.timers.goodbye, self.timers.silence) = (None, None);
        (self.timers.resume, self.timers.filler) = (None, None);
        self.timers.unclear = None;
    }

    /// Says the text that has waited longest, if agent and caller are silent; true if it is being said.
    pub(super) fn try_operator_text(&mut self, now: Instant) -> bool {
        let is_free = self.line.playout.response.is_none()
            && self.line.caller.is_quiet()
            && self.timers.resume.is_none()
            && !self.speaker.owes_response();
        let Some(text) = self.operator.next(now, is_free) else { return false };
        self.say_operator_text(now, &text);
        true
    }

    /// An instruction for the next request to the model. An answer that was written ahead does not know it.
    pub(super) fn take_instruction(&mut self, text: &str) {
        self.discard_preemptive_generation();
        let instruction = format!("{INSTRUCTION}{text}");
        self.history.push_note(instruction.clone());
        self.operator.instructions.push(instruction);
        if matches!(self.speaker, Speaker::Realtime(_)) {
            let instructions = self.realtime_instructions();
            Realtime::send(&mut self.line, RealtimeInput::Instructions(instructions));
        }
    }

    /// The prompt of a realtime model with the operator's instructions so far.
    pub(super) fn realtime_instructions(&self) -> String {
        let prompt = prompt::instructions(&self.history.messages(Clone::clone));
        let all = std::iter::once(prompt).chain(self.operator.instructions.iter().cloned());
        all.collect::<Vec<_>>().join("\n\n")
    }

    /// The caller is put on hold: nothing is said, resumed or waited for. A turn that waits for its answer is kept.
    pub(super) fn rest(&mut self, now: Instant) {
        self.interrupt_for_operator(now);
        self.timers.tool_result = None;
        if let Some(turn) = self.line.caller.waiting_turn.take() {
            self.note_turn(&turn);
        }
        match &mut self.speaker {
            Speaker::Pipeline(pipeline) => {
                pipeline.clear_stt_timers();
                self.line.output(CallOutput::FinalizeStt);
            }
            Speaker::Realtime(realtime) => realtime.rest(),
        }
    }
}
