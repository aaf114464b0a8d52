//! Calls answered by something else than a person: voicemail gets its message, call screening is told who calls, a fax
//! is hung up on.

use super::call_machine::CallMachine;
use super::mode::Mode;
use crate::amd::AmdDetector;
use crate::dialogue::amd_phrases::AmdResult;
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;
use trunkline_media::detect::tone::Tone;

const CALL_SCREENING_PROMPT: &str = "A call screening service has answered, not a person. Tell it in one or two short sentences \
who you are, on whose behalf you call and why, then wait. When a person comes to the phone, greet them.";
const IVR_PROMPT: &str = "An automated menu has answered. Listen to it and use send_dtmf to reach a person; say nothing \
that is not asked for.";

impl CallMachine {
    /// Takes over AMD results from early media.
    pub fn handle_early_media(&mut self, now: Instant, mut early: AmdDetector) {
        if let Some(amd) = self.mode.amd_mut() {
            early.handle_answered(now);
            let found = early.result();
            *amd = early;
            self.handle_amd_result(now, found);
        }
    }

    /// A single tone on the line.
    pub fn handle_tone(&mut self, now: Instant, tone: &Tone) {
        self.run_amd(now, |amd| amd.handle_tone(now, tone));
        if let Mode::Voicemail(voicemail) = &mut self.mode {
            voicemail.handle_tone(now, tone);
        }
    }

    /// Shows AMD something, and acts on what it makes of it.
    pub(super) fn run_amd(&mut self, now: Instant, look: impl FnOnce(&mut AmdDetector) -> Option<AmdResult>) {
        let found = self.mode.amd_mut().and_then(look);
        self.handle_amd_result(now, found);
    }

    fn handle_amd_result(&mut self, now: Instant, found: Option<AmdResult>) {
        let (Some(amd), Some(talk)) = (found, self.mode.talk_mut()) else { return };
        talk.line.log.metrics.answered_by = Some((amd.name(), talk.line.ms(now)));
        match amd {
            AmdResult::Human => {}
            AmdResult::Fax => self.handle_command(now, EndReason::Fax),
            AmdResult::Ivr => talk.history.push_note(IVR_PROMPT.to_owned()),
            AmdResult::CallScreening => {
                talk.stop_speaking(now);
                talk.history.push_note(CALL_SCREENING_PROMPT.to_owned());
            }
            AmdResult::Voicemail => self.handle_voicemail_answered(now, None),
        }
    }

    /// The LLM decided to leave a message; `None`: the agent's own.
    pub(super) fn leave_voicemail(&mut self, now: Instant, message: Option<String>) {
        if let Some(line) = self.mode.line_mut() {
            line.log.metrics.answered_by = Some((AmdResult::Voicemail.name(), line.ms(now)));
        }
        let message = match self.mode.talk_mut() {
            Some(talk) => message.map(|written| talk.filled_in(&written)),
            None => message,
        };
        self.handle_voicemail_answered(now, message);
    }

    /// Voicemail has answered: what was meant for a person is stopped, and the message is left. Without one the call
    /// ends.
    fn handle_voicemail_answered(&mut self, now: Instant, message: Option<String>) {
        self.cancel_collecting(now);
        let talk = match &mut self.mode {
            Mode::Conversing(conversing) => &mut conversing.talk,
            Mode::Held(held) => &mut held.talk,
            Mode::Transferring(transferring) => &mut transferring.talk,
            Mode::HandingOver(handover) => &mut handover.talk,
            Mode::Voicemail(_) | Mode::Bridged(_) | Mode::Ending(_) | Mode::Over(_) => return,
        };
        talk.stop_speaking(now);
        let message = message.or_else(|| talk.line.facts.spec.agent.voicemail_message.clone());
        let message = message.filter(|text| !text.trim().is_empty());
        let (Some(message), Some(amd)) = (message, talk.amd.take()) else {
            return self.handle_command(now, EndReason::Voicemail);
        };
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::Voicemail(conversing.leave_message(now, amd, message)),
            Mode::Held(held) => Mode::Voicemail(held.leave_message(now, amd, message)),
            Mode::Transferring(transferring) => Mode::Voicemail(transferring.leave_message(now, amd, message)),
            Mode::HandingOver(handover) => Mode::Voicemail(handover.give_up().0.leave_message(now, amd, message)),
            unchanged @ (Mode::Voicemail(_) | Mode::Bridged(_) | Mode::Ending(_) | Mode::Over(_)) => unchanged,
        });
    }
}
