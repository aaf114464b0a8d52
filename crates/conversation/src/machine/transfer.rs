//! Transfers: by the trunk (REFER), or by a consultation call that is bridged. Until the result is known the caller
//! belongs to the agent, who continues with the reason if it fails.

use super::{CallMachine, CallOutput, CallTimer};
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transfer::{TransferMode, TransferTarget};

/// Carriers end calls after four hours; bridged callers are not subject to the agent's limit.
const CONNECTED_MAX: Duration = Duration::from_secs(14_400);
/// The trunk's answer to a REFER, over the ring timeout.
const REFER_EXTRA: Duration = Duration::from_secs(5);

/// News of a REFER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferProgress {
    /// The trunk accepted the REFER; NOTIFY requests follow.
    Accepted,
    /// The trunk refused the REFER.
    Refused {
        /// Status of the SIP response, from 300 to 699; 501 for a web call, which has no trunk.
        status: u16,
    },
    /// A NOTIFY reports how the call of the trunk goes (RFC 3515 section 2.4.5).
    Progress {
        /// SIP status of that call, from 100 to 699.
        status: u16,
        /// The subscription ends with this NOTIFY.
        last: bool,
    },
}

/// Event of the consultation call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsultationEvent {
    /// The destination sent a provisional response (1xx).
    Ringing,
    /// The destination has answered.
    Answered,
    /// The transfer target has heard the briefing.
    Briefed,
    /// It failed or has ended.
    Failed(EndReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransferStage {
    /// The agent announces the transfer to the caller.
    Announcing,
    Referring {
        accepted: bool,
    },
    Dialing,
    Briefing,
    Bridged,
}

/// The requested transfer.
#[derive(Clone, Debug)]
pub(super) struct PendingTransfer {
    /// Name of the destination for the LLM or the customer.
    name: String,
    target: TransferTarget,
    mode: TransferMode,
    briefing: Option<String>,
    /// The tool call that waits for the outcome.
    tool: Option<String>,
    stage: TransferStage,
}

impl PendingTransfer {
    pub(super) fn new(
        name: String, target: TransferTarget, mode: TransferMode, briefing: Option<String>, tool: Option<String>,
    ) -> Self {
        Self { name, target, mode, briefing, tool, stage: TransferStage::Announcing }
    }

    /// Both parties hear each other.
    pub(super) fn is_connected(&self) -> bool {
        self.stage == TransferStage::Bridged
    }
}

impl CallMachine {
    pub(super) fn is_transferring(&self) -> bool {
        self.transfer.is_some()
    }

    /// Starts a transfer; tells the caller unless that was done.
    pub(super) fn transfer(&mut self, now: Instant, transfer: PendingTransfer, told: bool) {
        self.transfer = Some(transfer);
        self.timers.clear(CallTimer::Silence);
        self.timers.clear(CallTimer::Filler);
        if told {
            return self.start_transfer(now);
        }
        let text = self.phrases.connecting;
        self.say_instead(now, text, AfterResponse::Transfer);
        self.make_uninterruptible();
    }

    pub(super) fn start_transfer(&mut self, now: Instant) {
        let Some(transfer) = self.transfer.as_mut().filter(|transfer| transfer.stage == TransferStage::Announcing)
        else {
            return;
        };
        let ring = Duration::from_millis(self.spec.agent.transfers().ring_timeout_ms);
        self.silence_prompts = 0;
        match transfer.mode {
            TransferMode::Auto | TransferMode::Refer => {
                transfer.stage = TransferStage::Referring { accepted: false };
                let target = transfer.target.clone();
                self.timers.set(CallTimer::Transfer, now + ring + REFER_EXTRA);
                self.output(CallOutput::Refer { target });
            }
            TransferMode::Bridge | TransferMode::Attended => self.start_consultation(now),
        }
    }

    fn start_consultation(&mut self, now: Instant) {
        let config = self.spec.agent.transfers();
        let Some(transfer) = &mut self.transfer else { return };
        transfer.stage = TransferStage::Dialing;
        let target = transfer.target.clone();
        self.timers.set(CallTimer::Transfer, now + Duration::from_millis(config.ring_timeout_ms));
        self.output(CallOutput::Hold { music: config.hold_music });
        self.output(CallOutput::StartConsultation { target });
    }

    /// Handles progress of the REFER: completes the transfer, gives it up, or calls the destination instead in `auto` mode.
    pub fn handle_refer_progress(&mut self, now: Instant, event: ReferProgress) {
        let Some(transfer) = &mut self.transfer else { return };
        let TransferStage::Referring { accepted } = &mut transfer.stage else { return };
        match event {
            ReferProgress::Accepted => {
                *accepted = true;
                let music = self.spec.agent.transfers().hold_music;
                self.output(CallOutput::Hold { music });
            }
            // 481 and 408 have ended the dialog; any other failure is a trunk that does not support or allow REFER.
            ReferProgress::Refused { .. } if transfer.mode == TransferMode::Auto => self.start_consultation(now),
            ReferProgress::Refused { status } => self.transfer_failed(now, &format!("the trunk refused it ({status})")),
            ReferProgress::Progress { status: 200..300, .. } => {
                self.metrics.transferred = Some(self.ms(now));
                self.handle_command(now, EndReason::Transferred);
            }
            ReferProgress::Progress { status, last: true } => {
                let why = reason(EndReason::from_sip_status(status));
                self.transfer_failed(now, why);
            }
            ReferProgress::Progress { .. } => {}
        }
    }

    /// Handles an event of the consultation call: starts the briefing, bridges the calls, or gives the transfer up.
    pub fn handle_consultation(&mut self, now: Instant, event: ConsultationEvent) {
        let Some(transfer) = &mut self.transfer else { return };
        match (event, transfer.stage) {
            (ConsultationEvent::Answered, TransferStage::Dialing) => {
                let attended = transfer.mode == TransferMode::Attended;
                match transfer.briefing.clone().filter(|_| attended) {
                    Some(text) => {
                        transfer.stage = TransferStage::Briefing;
                        self.timers.set(CallTimer::Transfer, now + super::GOODBYE_MAX);
                        self.output(CallOutput::BriefConsultation { text });
                    }
                    None => self.connect(now),
                }
            }
            (ConsultationEvent::Briefed, TransferStage::Briefing) => self.connect(now),
            (ConsultationEvent::Failed(_), TransferStage::Bridged) => self.handle_command(now, EndReason::Transferred),
            (ConsultationEvent::Failed(why), _) => self.transfer_failed(now, reason(why)),
            _ => {}
        }
    }

    fn connect(&mut self, now: Instant) {
        let Some(transfer) = &mut self.transfer else { return };
        transfer.stage = TransferStage::Bridged;
        let (name, tool) = (transfer.name.clone(), transfer.tool.take());
        self.tools.forget();
        if let Some(id) = tool {
            let result = format!("connected with {name}");
            self.history.replace_tool(&id, &result);
            self.record_tool(now, "transfer_call", &result);
        }
        self.metrics.transferred = Some(self.ms(now));
        self.timers.clear_all();
        self.timers.set(CallTimer::MaxDuration, now + CONNECTED_MAX);
        self.output(CallOutput::BridgeCalls);
    }

    /// The transfer target did not answer in time.
    pub(super) fn transfer_timed_out(&mut self, now: Instant) {
        match self.transfer.as_ref().map(|transfer| transfer.stage) {
            // The target has answered: the briefing took too long.
            Some(TransferStage::Briefing) => self.connect(now),
            Some(_) => self.transfer_failed(now, reason(EndReason::NoAnswer)),
            None => {}
        }
    }

    fn transfer_failed(&mut self, now: Instant, why: &str) {
        let Some(transfer) = self.transfer.take() else { return };
        self.timers.clear(CallTimer::Transfer);
        self.output(CallOutput::EndConsultation);
        let what = format!("the transfer to {} failed: {why}", transfer.name);
        match transfer.tool {
            Some(id) => self.handle_tool_result(now, &id, &format!("error: {what}")),
            None => {
                self.record_tool(now, "transfer_call", &what);
                self.request_llm_response(
                    now,
                    Some(&format!("{what}. Tell the caller in one sentence and ask how to go on.")),
                );
            }
        }
    }

    /// The end reason when the caller is gone: a completed transfer is not a hang-up.
    pub(super) fn end_reason_after_transfer(&self, reason: EndReason) -> EndReason {
        match self.transfer.as_ref().map(|transfer| transfer.stage) {
            Some(TransferStage::Bridged | TransferStage::Referring { accepted: true })
                if reason == EndReason::CustomerHungUp =>
            {
                EndReason::Transferred
            }
            _ => reason,
        }
    }
}

fn reason(why: EndReason) -> &'static str {
    match why {
        EndReason::Busy => "they are busy",
        EndReason::NoAnswer => "nobody answered",
        EndReason::Rejected | EndReason::CustomerHungUp => "they declined",
        EndReason::InvalidNumber => "the number does not exist",
        _ => "the call could not be made",
    }
}
