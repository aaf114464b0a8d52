//! Commands from beside the call: what each mode does with them.

use super::call_machine::CallMachine;
use super::conversing::Conversing;
use super::held::Held;
use super::mode::Mode;
use super::talk::Talk;
use super::transfer::TransferRequest;
use std::time::Instant;
use trunkline_domain::call_control::{CONTROLS_MAX, CallControl, ControlError, TransferCommand};

impl CallMachine {
    /// Carries a command out, or says why the call cannot take it now. `by` names who gave it.
    ///
    /// # Errors
    ///
    /// The mode of the call does not allow the command, or one of its bounds is reached.
    pub fn handle_control(&mut self, now: Instant, control: &CallControl, by: &str) -> Result<(), ControlError> {
        if self.metrics().controls().len() >= CONTROLS_MAX {
            return Err(ControlError::TooMany);
        }
        match control {
            CallControl::Say(say) => {
                self.conversing()?.talk.take_operator_text(now, &say.text, say.interrupt)?;
            }
            CallControl::Instruct(instruct) => self.instructed()?.take_instruction(&instruct.text),
            CallControl::Transfer(transfer) => self.transfer_by_operator(now, transfer)?,
            CallControl::Hold => self.hold_by_operator(now)?,
            CallControl::Resume => self.resume_by_operator(now)?,
            // The driver of a chat takes messages: they are the caller's words and no command.
            CallControl::Message(_) => return Err(ControlError::NotAChat),
        }
        let at_ms = self.mode.line().map_or(0, |line| line.ms(now));
        self.mode.log_mut().metrics.record_control(at_ms, control, by);
        Ok(())
    }

    /// Whether STT and model get the caller's sound: not while an operator has put the caller on hold.
    pub fn hears_caller(&self) -> bool {
        !matches!(&self.mode, Mode::Held(held) if held.is_by_operator())
    }

    /// The conversation, for words.
    fn conversing(&mut self) -> Result<&mut Conversing, ControlError> {
        match &mut self.mode {
            Mode::Conversing(conversing) => Ok(conversing),
            other => Err(refusal(other)),
        }
    }

    /// The agent that goes on with the call.
    fn instructed(&mut self) -> Result<&mut Talk, ControlError> {
        match &mut self.mode {
            Mode::Conversing(Conversing { talk, .. }) | Mode::Held(Held { talk, .. }) => Ok(talk),
            Mode::Transferring(transferring) => Ok(&mut transferring.talk),
            other => Err(refusal(other)),
        }
    }

    fn hold_by_operator(&mut self, now: Instant) -> Result<(), ControlError> {
        match &self.mode {
            Mode::Held(held) if held.is_by_operator() => return Ok(()),
            Mode::Held(_) => return Err(ControlError::HeldByAgent),
            _ => {}
        }
        let talk = &self.conversing()?.talk;
        if talk.line.is_saying_last_words() || talk.is_saying_goodbye() {
            return Err(ControlError::Goodbye);
        }
        self.cancel_collecting(now);
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::Held(conversing.hold_by_operator(now)),
            unchanged => unchanged,
        });
        Ok(())
    }

    fn resume_by_operator(&mut self, now: Instant) -> Result<(), ControlError> {
        match &self.mode {
            Mode::Held(_) => self.resume_hold(now, "somebody has ended the hold"),
            Mode::Conversing(_) => return Err(ControlError::NotOnHold),
            other => return Err(refusal(other)),
        }
        Ok(())
    }

    /// The caller is told and put through, from a conversation or from hold.
    fn transfer_by_operator(&mut self, now: Instant, command: &TransferCommand) -> Result<(), ControlError> {
        let talk = match &self.mode {
            Mode::Conversing(Conversing { talk, .. }) | Mode::Held(Held { talk, .. }) => talk,
            other => return Err(refusal(other)),
        };
        if talk.line.is_saying_last_words() {
            return Err(ControlError::Goodbye);
        }
        let request =
            TransferRequest::by_operator(&talk.line.facts, command).ok_or(ControlError::UnknownDestination)?;
        self.resume_hold(now, "the caller is put through");
        if let Some(talk) = self.mode.talk_mut() {
            talk.interrupt_for_operator(now);
        }
        self.transfer(now, request, false);
        Ok(())
    }

    /// It is tried again to say an operator's text.
    pub(super) fn handle_operator_timeout(&mut self, now: Instant) {
        if let Mode::Conversing(conversing) = &mut self.mode {
            conversing.talk.try_operator_text(now);
        }
    }
}

/// Why a mode takes no command.
pub(super) fn refusal(mode: &Mode) -> ControlError {
    match mode {
        Mode::Held(_) => ControlError::OnHold,
        Mode::Transferring(_) => ControlError::Transferring,
        Mode::HandingOver(_) => ControlError::HandingOver,
        Mode::Bridged(_) => ControlError::Bridged,
        Mode::Voicemail(_) => ControlError::Voicemail,
        Mode::Conversing(_) | Mode::Ending(_) | Mode::Over(_) => ControlError::Over,
    }
}
