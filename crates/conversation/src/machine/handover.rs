//! Handovers: another agent of the organization goes on with the call. Until it is ready the caller belongs to the
//! present agent, who continues with the reason if it fails.

use super::conversing::Conversing;
use super::language::ConversationLanguage;
use super::output::CallOutput;
use super::spec::CallSpec;
use super::talk::{Interruption, Talk};
use crate::dialogue::built_in_tools::BuiltInTool;
use crate::dialogue::response::{AfterResponse, is_sayable};
use std::time::{Duration, Instant};
use trunkline_domain::agent_handover::{HandoverHistory, HandoverOpening};
use trunkline_domain::ids::AgentId;
use trunkline_media::turn::end_of_turn::CallerTurn;

/// How long the next agent may take to be ready: a database and a connection of STT.
const PREPARATION_MAX: Duration = Duration::from_secs(6);
/// How long the present agent may go on speaking when the next one is ready; then it is cut.
const LAST_WORDS_MAX: Duration = Duration::from_secs(20);
/// Told to an agent that goes on without a greeting.
const CONTINUE_HINT: &str = "You have just taken over this call. Go on with what the caller wants at once, in one or \
two sentences. Do not greet the caller again.";
/// Told to an agent that greets and has no first message.
const GREETING_HINT: &str =
    "You have just taken over this call. Say in one sentence who you are, and go on with what the caller wants.";

/// A handover that the LLM asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandoverRequest {
    /// What the LLM calls the next agent.
    pub name: String,
    /// The next agent.
    pub agent: AgentId,
    /// What it learns of the conversation so far.
    pub history: HandoverHistory,
    /// How it begins.
    pub opening: HandoverOpening,
    /// What the LLM wrote for it.
    pub summary: Option<String>,
    /// What the present agent says before.
    pub announcement: Option<String>,
    /// Id of the tool call, which waits for the outcome.
    pub call_id: String,
}

#[derive(Debug)]
enum HandoverStage {
    /// The caller hears the announcement, while the next agent is prepared.
    Announcing { until: Instant },
    /// Nothing is being said any more; the next agent is still being prepared.
    Preparing { until: Instant },
    /// The next agent is ready; the caller still hears the present one.
    Ready { spec: Box<CallSpec>, until: Instant },
}

/// The call is being handed to another agent.
#[derive(Debug)]
pub struct HandingOver {
    pub(super) talk: Talk,
    request: HandoverRequest,
    stage: HandoverStage,
}

/// What a step of a handover led to.
#[derive(Debug)]
pub(super) enum HandoverStep {
    /// Something is still waited for.
    Waiting(HandingOver),
    /// The next agent was not ready in time.
    TooLate(HandingOver),
    /// The next agent has taken over.
    TakenOver(Conversing, HandoverOpening),
}

impl Conversing {
    /// Starts a handover; tells the caller, unless that was done.
    pub fn hand_over(mut self, now: Instant, request: HandoverRequest, told: bool) -> HandingOver {
        (self.talk.timers.silence, self.talk.timers.filler) = (None, None);
        self.talk.discard_preemptive_generation();
        self.talk.line.output(CallOutput::PrepareAgent { agent: request.agent });
        let until = now + PREPARATION_MAX;
        let stage = match request.announcement.clone().filter(|text| !told && is_sayable(text)) {
            Some(text) => {
                self.talk.say_instead(now, &text, AfterResponse::HandOver);
                HandoverStage::Announcing { until }
            }
            None => {
                self.talk.arm_filler_for_tools(now);
                HandoverStage::Preparing { until }
            }
        };
        HandingOver { talk: self.talk, request, stage }
    }
}

impl HandingOver {
    /// When the next agent, or the present one's last words, have taken too long.
    pub(super) fn until(&self) -> Instant {
        match self.stage {
            HandoverStage::Announcing { until }
            | HandoverStage::Preparing { until }
            | HandoverStage::Ready { until, .. } => until,
        }
    }

    /// The present stage has lasted for too long: an agent that is ready takes over, and one that is not does not.
    pub(super) fn handle_timeout(mut self, now: Instant) -> HandoverStep {
        match self.stage {
            HandoverStage::Announcing { .. } | HandoverStage::Preparing { .. } => HandoverStep::TooLate(self),
            HandoverStage::Ready { spec, .. } => {
                self.talk.cancel_response(now);
                take_over(now, self.talk, *spec, &self.request)
            }
        }
    }

    /// What the present agent said was heard or cut.
    pub(super) fn handle_announced(self, now: Instant) -> HandoverStep {
        let Self { mut talk, request, stage } = self;
        match stage {
            HandoverStage::Announcing { until } | HandoverStage::Preparing { until } => {
                talk.arm_filler_for_tools(now);
                HandoverStep::Waiting(Self { talk, request, stage: HandoverStage::Preparing { until } })
            }
            HandoverStage::Ready { spec, .. } => take_over(now, talk, *spec, &request),
        }
    }

    /// The next agent is ready: it takes over as soon as the present one has finished.
    pub(super) fn handle_ready(self, now: Instant, spec: Box<CallSpec>) -> HandoverStep {
        let Self { talk, request, stage } = self;
        if talk.line.playout.response.is_none() {
            return take_over(now, talk, *spec, &request);
        }
        let until = match stage {
            HandoverStage::Announcing { .. } | HandoverStage::Preparing { .. } => now + LAST_WORDS_MAX,
            // The same agent with what tools have set since.
            HandoverStage::Ready { until, .. } => until,
        };
        HandoverStep::Waiting(Self { talk, request, stage: HandoverStage::Ready { spec, until } })
    }

    /// A turn of the caller: whoever has the call at the end of the handover answers it.
    pub(super) fn handle_turn(&mut self, now: Instant, turn: CallerTurn) {
        if self.talk.is_backchannel(&turn.text, turn.confidence) {
            self.talk.line.record_user(&turn);
            return self.talk.dismiss_barge_in(now);
        }
        self.talk.line.caller.queue_turn(turn);
    }

    /// Ends the attempt: the present agent keeps the call.
    pub(super) fn give_up(mut self) -> (Conversing, HandoverRequest) {
        self.talk.line.output(CallOutput::CancelPreparation);
        (Conversing::returned(self.talk), self.request)
    }
}

/// From here on the call has the next agent's configuration.
fn take_over(now: Instant, mut talk: Talk, spec: CallSpec, request: &HandoverRequest) -> HandoverStep {
    let result = format!("handed over to {}", request.name);
    talk.line.record_tool(now, BuiltInTool::TransferAgent.name(), &result);
    talk.change_agent(now, spec, request);
    HandoverStep::TakenOver(Conversing::returned(talk), request.opening)
}

/// What the next agent is told about the handover.
fn note(from: &str, request: &HandoverRequest) -> String {
    let mut note = format!("You have taken over this call from {from}.");
    if let (Some(summary), HandoverHistory::Full | HandoverHistory::Summary) = (&request.summary, request.history) {
        note.push_str(&format!(" What is known: {summary}"));
    }
    if request.opening == HandoverOpening::Greet {
        note.push_str(" The caller does not know you yet.");
    }
    note
}

impl Talk {
    fn change_agent(&mut self, now: Instant, spec: CallSpec, request: &HandoverRequest) {
        self.discard_preemptive_generation();
        let note = note(&self.line.facts.spec.agent.name, request);
        self.history = self.history.passed_on(request.history, Vec::new(), note);
        self.tools.change_agent(&request.call_id, request.history);
        self.dtmf.set_rules(spec.agent.dtmf_rules.clone());
        (self.interruption, self.llm_failures) = (Interruption::default(), 0);
        self.fillers.change_agent();
        (self.timers.silence, self.timers.resume, self.timers.filler) = (None, None, None);
        self.handovers += 1;
        self.language = ConversationLanguage::new(spec.clone());
        self.line.change_agent(now, spec);
        // With what tools have set for earlier agents.
        self.renew_prompt();
    }

    /// The next agent begins: with the caller's words if there are any, else as it is configured.
    pub(super) fn open_after_handover(&mut self, now: Instant, opening: HandoverOpening) {
        if !self.line.caller.is_quiet() {
            // The caller has the word. If it was only a sound, the agent begins after it.
            self.tools.has_unread = true;
            return;
        }
        match (opening, self.line.facts.spec.first_message().map(str::to_owned)) {
            (HandoverOpening::Greet, Some(text)) => {
                self.say(now, &text, AfterResponse::AwaitCaller);
                if !self.line.facts.spec.agent.turn().first_message_interruptible {
                    self.line.make_uninterruptible();
                }
            }
            (HandoverOpening::Greet, None) => self.request_response(now, Some(GREETING_HINT)),
            (HandoverOpening::Continue, _) => self.request_response(now, Some(CONTINUE_HINT)),
        }
    }
}
