//! Chats: what a person writes is a turn of the caller, complete as it comes.

use super::call_machine::CallMachine;
use super::control_events::refusal;
use super::mode::Mode;
use std::time::Instant;
use trunkline_domain::call_control::ControlError;
use trunkline_media::turn::end_of_turn::CallerTurn;

impl CallMachine {
    /// Takes what the person in a chat has written. A message that comes while the agent answers cuts the answer and is
    /// answered next.
    ///
    /// # Errors
    ///
    /// The chat is over, or the caller is no longer with an agent.
    pub fn handle_message(&mut self, now: Instant, text: &str) -> Result<(), ControlError> {
        match &self.mode {
            Mode::Conversing(_) | Mode::Held(_) | Mode::HandingOver(_) | Mode::Transferring(_) => {}
            other => return Err(refusal(other)),
        }
        if self.mode.line().is_some_and(|line| line.is_saying_last_words()) {
            return Err(ControlError::Goodbye);
        }
        self.handle_caller_words(now, text);
        self.handle_turn(now, written_turn(now, text));
        Ok(())
    }
}

/// A message as a turn of the caller.
fn written_turn(now: Instant, text: &str) -> CallerTurn {
    CallerTurn {
        text: text.trim().to_owned(),
        confidence: None,
        started: now,
        ended: now,
        final_at: None,
        // Nobody doubts that it was said.
        is_voiced: true,
        decision: None,
    }
}
