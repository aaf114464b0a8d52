//! What trunk and destination say about a transfer, and what the call makes of it.

use super::call_machine::CallMachine;
use super::mode::Mode;
use super::output::CallOutput;
use super::transfer::{ConsultationEvent, ReferProgress, TransferOrigin, TransferOutcome, TransferRequest};
use crate::dialogue::built_in_tools::BuiltInTool;
use std::time::Instant;
use trunkline_domain::end_reason::EndReason;

impl CallMachine {
    /// Starts a transfer out of a conversation; tells the caller, unless that was done. Other modes put nobody through.
    pub(super) fn transfer(&mut self, now: Instant, request: TransferRequest, told: bool) {
        self.cancel_collecting(now);
        self.change(|mode| match mode {
            Mode::Conversing(conversing) => Mode::Transferring(conversing.transfer(now, request, told)),
            unchanged @ (Mode::Voicemail(_)
            | Mode::Held(_)
            | Mode::Transferring(_)
            | Mode::HandingOver(_)
            | Mode::Bridged(_)
            | Mode::Ending(_)
            | Mode::Over(_)) => unchanged,
        });
    }

    /// The caller has heard that the transfer begins.
    pub(super) fn start_transfer(&mut self, now: Instant) {
        if let Mode::Transferring(transferring) = &mut self.mode {
            transferring.start(now);
        }
    }

    /// Handles progress of the REFER: completes the transfer, gives it up, or calls the destination instead in `auto` mode.
    pub fn handle_refer_progress(&mut self, now: Instant, event: ReferProgress) {
        // The trunk has connected both after all, although we no longer waited for it.
        if let (Mode::Conversing(_), ReferProgress::Progress { status: 200..300, .. }) = (&self.mode, event) {
            return self.handle_transfer_outcome(now, TransferOutcome::TakenOver);
        }
        if let Mode::Transferring(transferring) = &mut self.mode
            && let Some(outcome) = transferring.handle_refer_progress(now, event)
        {
            self.handle_transfer_outcome(now, outcome);
        }
    }

    /// Handles an event of the consultation call: starts the briefing, bridges the calls, or gives the transfer up.
    pub fn handle_consultation(&mut self, now: Instant, event: ConsultationEvent) {
        match (&mut self.mode, event) {
            (Mode::Transferring(transferring), event) => {
                if let Some(outcome) = transferring.handle_consultation(now, event) {
                    self.handle_transfer_outcome(now, outcome);
                }
            }
            (Mode::Bridged(_), ConsultationEvent::Failed(_)) => self.handle_command(now, EndReason::Transferred),
            (
                Mode::Conversing(_)
                | Mode::Voicemail(_)
                | Mode::Held(_)
                | Mode::HandingOver(_)
                | Mode::Bridged(_)
                | Mode::Ending(_)
                | Mode::Over(_),
                _,
            ) => {}
        }
    }

    /// The present stage of the transfer has lasted for too long.
    pub(super) fn handle_transfer_timeout(&mut self, now: Instant) {
        if let Mode::Transferring(transferring) = &mut self.mode {
            if !transferring.is_under_way() {
                // The announcement was not heard to its end: the caller is put through all the same.
                return transferring.start(now);
            }
            let outcome = transferring.handle_timeout();
            self.handle_transfer_outcome(now, outcome);
        }
    }

    fn handle_transfer_outcome(&mut self, now: Instant, outcome: TransferOutcome) {
        match outcome {
            TransferOutcome::TakenOver => {
                if let Some(line) = self.mode.line_mut() {
                    line.log.metrics.transferred = Some(line.ms(now));
                }
                self.handle_command(now, EndReason::Transferred);
            }
            TransferOutcome::Answered => self.change(|mode| match mode {
                Mode::Transferring(transferring) => Mode::Bridged(transferring.connect(now)),
                unchanged @ (Mode::Conversing(_)
                | Mode::Voicemail(_)
                | Mode::Held(_)
                | Mode::HandingOver(_)
                | Mode::Bridged(_)
                | Mode::Ending(_)
                | Mode::Over(_)) => unchanged,
            }),
            TransferOutcome::Failed(why) => self.transfer_failed(now, &why),
        }
    }

    /// Ends the attempt, if there is one: the caller is back with the agent.
    pub(super) fn give_up_transfer(&mut self) -> Option<TransferRequest> {
        let mut given_up = None;
        self.change(|mode| match mode {
            Mode::Transferring(transferring) => {
                let (mut conversing, request) = transferring.give_up();
                conversing.talk.line.output(CallOutput::EndConsultation);
                given_up = Some(request);
                Mode::Conversing(conversing)
            }
            unchanged @ (Mode::Conversing(_)
            | Mode::Voicemail(_)
            | Mode::Held(_)
            | Mode::HandingOver(_)
            | Mode::Bridged(_)
            | Mode::Ending(_)
            | Mode::Over(_)) => unchanged,
        });
        given_up
    }

    /// The agent goes on with the reason: whoever asked for the transfer learns it.
    fn transfer_failed(&mut self, now: Instant, why: &str) {
        let Some(request) = self.give_up_transfer() else { return };
        let what = format!("the transfer to {} failed: {why}", request.name);
        match (request.origin, &mut self.mode) {
            (TransferOrigin::Tool { call_id }, _) => {
                self.handle_tool_result(now, &call_id, &format!("error: {what}"));
            }
            (TransferOrigin::Dtmf | TransferOrigin::Operator, mode) => {
                let Some(talk) = mode.talk_mut() else { return };
                talk.line.record_tool(now, BuiltInTool::TransferCall.name(), &what);
                let hint = format!("{what}. Tell the caller in one sentence and ask how to go on.");
                talk.request_response(now, Some(&hint));
            }
        }
    }
}
