//! Transfers: by the trunk (REFER), or by a consultation call that is bridged. Until the result is known the caller
//! belongs to the agent, who continues with the reason if it fails.

use super::bridged::Bridged;
use super::conversing::Conversing;
use super::output::CallOutput;
use super::spec::CallFacts;
use super::talk::{GOODBYE_MAX, Talk};
use crate::dialogue::built_in_tools::BuiltInTool;
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};
use trunkline_domain::call_control::TransferCommand;
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transfer::{TransferMode, TransferTarget};

/// The trunk's answer to a REFER, over the ring timeout.
const REFER_EXTRA: Duration = Duration::from_secs(5);

/// How long a caller may leave the call after the trunk has ended its reports without an outcome: then it has worked.
const VERDICT_GRACE: Duration = Duration::from_secs(2);

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
    /// The trunk ended its reports without saying how its call went.
    Ended,
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

/// How a caller is put through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferMethod {
    /// The trunk is asked; if it refuses, we call the destination.
    Auto,
    /// The trunk is asked to connect both (REFER).
    Refer,
    /// We call the destination and connect both.
    Bridge,
    /// The same, and the destination first hears who is calling and why.
    Attended {
        /// The text for the transfer target.
        briefing: String,
    },
}

impl TransferMethod {
    /// As the agent is configured. An attended transfer without a text is a bridge.
    pub(super) fn new(mode: TransferMode, briefing: Option<String>) -> Self {
        match (mode, briefing) {
            (TransferMode::Auto, _) => Self::Auto,
            (TransferMode::Refer, _) => Self::Refer,
            (TransferMode::Attended, Some(briefing)) => Self::Attended { briefing },
            (TransferMode::Bridge | TransferMode::Attended, _) => Self::Bridge,
        }
    }
}

/// Who wanted a transfer, and so who learns how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferOrigin {
    /// A DTMF rule.
    Dtmf,
    /// Somebody beside the call.
    Operator,
    /// A tool call of the model, which waits for the outcome.
    Tool {
        /// Id of the call.
        call_id: String,
    },
}

/// A transfer that was asked for.
#[derive(Clone, Debug)]
pub struct TransferRequest {
    /// Name of the destination for the LLM or the customer.
    pub name: String,
    /// The number or SIP URI.
    pub target: TransferTarget,
    /// How the caller is put through.
    pub method: TransferMethod,
    /// Who asked for it.
    pub origin: TransferOrigin,
}

impl TransferRequest {
    /// A DTMF rule names the target; a destination of the agent's gives it name and mode.
    pub(super) fn by_dtmf(facts: &CallFacts, target: TransferTarget) -> Self {
        let config = facts.spec.agent.transfers();
        let known = config.destinations.iter().find(|one| one.target == target.as_str());
        let mode = known.and_then(|one| one.mode).unwrap_or(config.mode);
        let name = known.map_or(target.as_str(), |one| &one.name).to_owned();
        let method = TransferMethod::new(mode, Some(facts.phrases.caller_waits.to_owned()));
        Self { name, target, method, origin: TransferOrigin::Dtmf }
    }

    /// An operator names a number, or a destination of the agent's; `None` if the agent has no such destination.
    pub(super) fn by_operator(facts: &CallFacts, command: &TransferCommand) -> Option<Self> {
        let request = match (&command.destination, command.number()) {
            (Some(name), _) => {
                let config = facts.spec.agent.transfers();
                let one = config.destinations.iter().find(|one| one.name == *name)?;
                let briefing = Some(facts.phrases.caller_waits.to_owned());
                let method = TransferMethod::new(one.mode.unwrap_or(config.mode), briefing);
                Self { name: name.clone(), target: one.transfer_target()?, method, origin: TransferOrigin::Operator }
            }
            (None, number) => Self::by_dtmf(facts, number?),
        };
        Some(Self { origin: TransferOrigin::Operator, ..request })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransferStage {
    /// The agent announces the transfer to the caller.
    Announcing { until: Instant },
    /// The trunk was asked.
    Referring { accepted: bool, until: Instant },
    /// The trunk no longer reports and has not said how it went; the caller's leaving would say so.
    Unreported { until: Instant },
    /// The destination is called.
    Dialing { until: Instant },
    /// The destination has answered and is told who is calling.
    Briefing { until: Instant },
}

/// What became of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TransferOutcome {
    /// The trunk has connected both; we are out of the call.
    TakenOver,
    /// The destination is on the line, and is to be bridged.
    Answered,
    /// Why it failed, in words for the model.
    Failed(String),
}

/// The caller is being put through.
#[derive(Debug)]
pub struct Transferring {
    pub(super) talk: Talk,
    request: TransferRequest,
    stage: TransferStage,
}

impl Conversing {
    /// Starts a transfer; tells the caller, unless that was done.
    pub fn transfer(mut self, now: Instant, request: TransferRequest, told: bool) -> Transferring {
        (self.talk.timers.silence, self.talk.timers.filler) = (None, None);
        let mut transferring =
            Transferring { talk: self.talk, request, stage: TransferStage::Announcing { until: now + GOODBYE_MAX } };
        if told {
            transferring.start(now);
        } else {
            let text = transferring.talk.line.facts.phrases.connecting;
            transferring.talk.say_instead(now, text, AfterResponse::Transfer);
            transferring.talk.line.make_uninterruptible();
        }
        transferring
    }
}

impl Transferring {
    /// When the present stage has lasted for too long.
    pub(super) fn until(&self) -> Instant {
        match self.stage {
            TransferStage::Announcing { until }
            | TransferStage::Referring { until, .. }
            | TransferStage::Unreported { until }
            | TransferStage::Dialing { until }
            | TransferStage::Briefing { until } => until,
        }
    }

    /// Trunk or destination were asked already.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.stage, TransferStage::Announcing { .. })
    }

    /// The end reason when the caller is gone: once the trunk has taken over, it was no hang-up.
    pub(super) fn end_reason(&self, reason: EndReason) -> EndReason {
        match (self.stage, reason) {
            (
                TransferStage::Referring { accepted: true, .. } | TransferStage::Unreported { .. },
                EndReason::CustomerHungUp,
            ) => EndReason::Transferred,
            _ => reason,
        }
    }

    /// The caller has heard the announcement.
    pub(super) fn start(&mut self, now: Instant) {
        if self.is_under_way() {
            return;
        }
        match self.request.method {
            TransferMethod::Auto | TransferMethod::Refer => {
                let ring = Duration::from_millis(self.talk.line.facts.spec.agent.transfers().ring_timeout_ms);
                self.stage = TransferStage::Referring { accepted: false, until: now + ring + REFER_EXTRA };
                let target = self.request.target.clone();
                self.talk.line.output(CallOutput::Refer { target });
            }
            TransferMethod::Bridge | TransferMethod::Attended { .. } => self.start_consultation(now),
        }
    }

    fn start_consultation(&mut self, now: Instant) {
        let config = self.talk.line.facts.spec.agent.transfers();
        self.stage = TransferStage::Dialing { until: now + Duration::from_millis(config.ring_timeout_ms) };
        let target = self.request.target.clone();
        self.talk.line.output(CallOutput::Hold { music: config.hold_music });
        self.talk.line.output(CallOutput::StartConsultation { target });
    }

    /// Progress of the REFER; in `auto` mode the destination is called if the trunk refuses.
    pub(super) fn handle_refer_progress(&mut self, now: Instant, event: ReferProgress) -> Option<TransferOutcome> {
        let TransferStage::Referring { accepted, until } = &mut self.stage else { return None };
        match event {
            ReferProgress::Accepted => {
                *accepted = true;
                let music = self.talk.line.facts.spec.agent.transfers().hold_music;
                self.talk.line.output(CallOutput::Hold { music });
                None
            }
            // 481 and 408 have ended the dialog; any other failure is a trunk that does not support or allow REFER.
            ReferProgress::Refused { .. } if self.request.method == TransferMethod::Auto => {
                self.start_consultation(now);
                None
            }
            ReferProgress::Refused { status } => {
                Some(TransferOutcome::Failed(format!("the trunk refused it ({status})")))
            }
            ReferProgress::Progress { status: 200..300, .. } => Some(TransferOutcome::TakenOver),
            // A trunk may report once only, that it tries (RFC 3515 section 2.4.5).
            ReferProgress::Progress { status: 100..200, last: true } => {
                self.stage = TransferStage::Unreported { until: *until };
                None
            }
            ReferProgress::Ended => {
                self.stage = TransferStage::Unreported { until: now + VERDICT_GRACE };
                None
            }
            ReferProgress::Progress { status, last: true } => {
                Some(TransferOutcome::Failed(reason(EndReason::from_sip_status(status)).to_owned()))
            }
            ReferProgress::Progress { .. } => None,
        }
    }

    /// An event of the consultation call: a destination that answers is told first who is calling, if the agent wants it.
    pub(super) fn handle_consultation(&mut self, now: Instant, event: ConsultationEvent) -> Option<TransferOutcome> {
        match (event, self.stage) {
            (ConsultationEvent::Answered, TransferStage::Dialing { .. }) => match &self.request.method {
                TransferMethod::Attended { briefing } => {
                    let text = briefing.clone();
                    self.stage = TransferStage::Briefing { until: now + GOODBYE_MAX };
                    self.talk.line.output(CallOutput::BriefConsultation { text });
                    None
                }
                TransferMethod::Auto | TransferMethod::Refer | TransferMethod::Bridge => {
                    Some(TransferOutcome::Answered)
                }
            },
            (ConsultationEvent::Briefed, TransferStage::Briefing { .. }) => Some(TransferOutcome::Answered),
            (ConsultationEvent::Failed(why), _) => Some(TransferOutcome::Failed(reason(why).to_owned())),
            (ConsultationEvent::Ringing | ConsultationEvent::Answered | ConsultationEvent::Briefed, _) => None,
        }
    }

    /// The present stage has lasted for too long.
    pub(super) fn handle_timeout(&self) -> TransferOutcome {
        match self.stage {
            // The target has answered: the briefing took too long.
            TransferStage::Briefing { .. } => TransferOutcome::Answered,
            TransferStage::Unreported { .. } => TransferOutcome::Failed("the trunk did not say how it went".to_owned()),
            TransferStage::Announcing { .. } | TransferStage::Referring { .. } | TransferStage::Dialing { .. } => {
                TransferOutcome::Failed(reason(EndReason::NoAnswer).to_owned())
            }
        }
    }

    /// Connects both parties; the agent leaves the call.
    pub(super) fn connect(self, now: Instant) -> Bridged {
        let Self { mut talk, request, .. } = self;
        if request.origin != TransferOrigin::Dtmf {
            let result = format!("connected with {}", request.name);
            talk.line.record_tool(now, BuiltInTool::TransferCall.name(), &result);
        }
        talk.line.log.metrics.transferred = Some(talk.line.ms(now));
        talk.line.output(CallOutput::BridgeCalls);
        Bridged::new(now, talk.line)
    }

    /// Ends the attempt: the caller is back with the agent.
    pub(super) fn give_up(self) -> (Conversing, TransferRequest) {
        (Conversing::returned(self.talk), self.request)
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
