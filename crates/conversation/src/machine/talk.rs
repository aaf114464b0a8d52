//! The agent's part in a call, as long as it takes part: what is said and asked, by a pipeline or a realtime model.

use super::language::ConversationLanguage;
use super::line::{Line, PlayoutState};
use super::operator_words::OperatorWords;
use super::output::CallOutput;
use super::pipeline::Pipeline;
use super::realtime::Realtime;
use super::said_fillers::SaidFillers;
use super::spec::CallSpec;
use super::timers::{CallTimer, TalkTimers};
use super::toolbox::Toolbox;
use crate::amd::AmdDetector;
use crate::dialogue::history::History;
use crate::dialogue::response::{AfterResponse, AgentResponse};
use crate::dialogue::{placeholders, prompt};
use crate::dtmf::DtmfCollector;
use std::time::{Duration, Instant};
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::chat::{ChatMessage, ToolChoice};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transcript::TurnAuthor;
use trunkline_media::turn::end_of_turn::CallerTurn;

/// Default maximum duration: long enough for ordinary calls, short enough to stop runaway ones.
const MAX_DURATION_DEFAULT: Duration = Duration::from_secs(1_800);
/// Maximum duration of a goodbye before hanging up anyway.
pub(super) const GOODBYE_MAX: Duration = Duration::from_secs(20);
/// Consecutive failures of one kind that end a call.
pub(super) const FAILURES_MAX: u32 = 2;

/// Who hears the caller and speaks for the agent.
#[derive(Debug)]
pub enum Speaker {
    /// STT, LLM and TTS.
    Pipeline(Pipeline),
    /// A realtime model.
    Realtime(Realtime),
}

impl Speaker {
    pub(super) fn pipeline_mut(&mut self) -> Option<&mut Pipeline> {
        match self {
            Self::Pipeline(pipeline) => Some(pipeline),
            Self::Realtime(_) => None,
        }
    }

    /// A realtime model was asked for something and has not begun to say it, or is saying it.
    pub(super) fn owes_response(&self) -> bool {
        match self {
            Self::Pipeline(_) => false,
            Self::Realtime(realtime) => realtime.owes_response(),
        }
    }

    /// Puts a pipeline in the place of a realtime model, which is returned; `None` if there is a pipeline already.
    pub(super) fn leave_realtime(&mut self) -> Option<Realtime> {
        match std::mem::replace(self, Self::Pipeline(Pipeline::default())) {
            Self::Realtime(realtime) => Some(realtime),
            pipeline @ Self::Pipeline(_) => {
                *self = pipeline;
                None
            }
        }
    }
}

/// What the last interruption left behind.
#[derive(Debug, Default)]
pub(super) struct Interruption {
    /// The unplayed rest of the response, to be resumed if the barge-in was noise.
    pub(super) remainder: Option<String>,
    /// Whose words the rest is, if not the agent's own.
    pub(super) said_by: Option<TurnAuthor>,
    /// The LLM has not been told that it was interrupted.
    pub(super) is_untold: bool,
}

/// A call in which the agent takes part.
#[derive(Debug)]
pub struct Talk {
    pub(super) line: Line,
    pub(super) speaker: Speaker,
    pub(super) history: History,
    pub(super) tools: Toolbox,
    pub(super) dtmf: DtmfCollector,
    /// AMD on calls that run it, until voicemail is known to have answered.
    pub(super) amd: Option<AmdDetector>,
    pub(super) interruption: Interruption,
    pub(super) fillers: SaidFillers,
    /// Consecutive failures of the LLM or the realtime model.
    pub(super) llm_failures: u32,
    /// How often the call was handed to another agent.
    pub(super) handovers: u32,
    pub(super) language: ConversationLanguage,
    pub(super) operator: OperatorWords,
    pub(super) timers: TalkTimers,
}

impl Talk {
    pub(super) fn new(now: Instant, spec: CallSpec, speaker: Speaker) -> Self {
        let longest =
            spec.agent.max_duration_seconds.map_or(MAX_DURATION_DEFAULT, |s| Duration::from_secs(u64::from(s)));
        Self {
            speaker,
            history: History::new(prompt::system_messages(&spec.agent, spec.task.as_ref())),
            tools: Toolbox::default(),
            dtmf: DtmfCollector::new(spec.agent.dtmf_rules.clone()),
            amd: spec.runs_amd().then(|| AmdDetector::new(now)),
            interruption: Interruption::default(),
            fillers: SaidFillers::default(),
            llm_failures: 0,
            handovers: 0,
            language: ConversationLanguage::new(spec.clone()),
            operator: OperatorWords::default(),
            timers: TalkTimers { max_duration: Some(now + longest), ..TalkTimers::default() },
            line: Line::new(now, spec),
        }
    }

    pub(super) fn deadline(&self, timer: CallTimer) -> Option<Instant> {
        match (timer, &self.speaker) {
            (CallTimer::MaxDuration, _) => self.timers.max_duration,
            (CallTimer::Goodbye, _) => self.timers.goodbye,
            (CallTimer::Silence, _) => self.timers.silence,
            (CallTimer::Resume, _) => self.timers.resume,
            (CallTimer::ToolResult, _) => self.timers.tool_result,
            (CallTimer::Unclear, _) => self.timers.unclear,
            (CallTimer::Filler, _) => self.timers.filler,
            (CallTimer::SttStall, Speaker::Pipeline(pipeline)) => pipeline.stt_stall_at,
            (CallTimer::SttLate, Speaker::Pipeline(pipeline)) => pipeline.stt_late_at,
            (CallTimer::RealtimeStall, Speaker::Realtime(realtime)) => realtime.stall_at,
            (CallTimer::CallerTranscript, Speaker::Realtime(realtime)) => realtime.transcript_at,
            (CallTimer::SttStall | CallTimer::SttLate, Speaker::Realtime(_))
            | (CallTimer::RealtimeStall | CallTimer::CallerTranscript, Speaker::Pipeline(_))
            | (
                CallTimer::FinalTranscript
                | CallTimer::Voicemail
                | CallTimer::Collection
                | CallTimer::Hold
                | CallTimer::Transfer
                | CallTimer::Handover
                | CallTimer::OperatorText,
                _,
            ) => None,
        }
    }

    /// Clears a timer that has fired.
    pub(super) fn clear(&mut self, timer: CallTimer) {
        match (timer, &mut self.speaker) {
            (CallTimer::MaxDuration, _) => self.timers.max_duration = None,
            (CallTimer::Goodbye, _) => self.timers.goodbye = None,
            (CallTimer::Silence, _) => self.timers.silence = None,
            (CallTimer::Resume, _) => self.timers.resume = None,
            (CallTimer::ToolResult, _) => self.timers.tool_result = None,
            (CallTimer::Unclear, _) => self.timers.unclear = None,
            (CallTimer::Filler, _) => self.timers.filler = None,
            (CallTimer::SttStall, Speaker::Pipeline(pipeline)) => pipeline.stt_stall_at = None,
            (CallTimer::SttLate, Speaker::Pipeline(pipeline)) => pipeline.stt_late_at = None,
            (CallTimer::RealtimeStall, Speaker::Realtime(realtime)) => realtime.stall_at = None,
            (CallTimer::CallerTranscript, Speaker::Realtime(realtime)) => realtime.transcript_at = None,
            (CallTimer::SttStall | CallTimer::SttLate, Speaker::Realtime(_))
            | (CallTimer::RealtimeStall | CallTimer::CallerTranscript, Speaker::Pipeline(_))
            | (
                CallTimer::FinalTranscript
                | CallTimer::Voicemail
                | CallTimer::Collection
                | CallTimer::Hold
                | CallTimer::Transfer
                | CallTimer::Handover
                | CallTimer::OperatorText,
                _,
            ) => {}
        }
    }

    /// Says the first message, or lets the model find one.
    pub(super) fn greet(&mut self, now: Instant) {
        if let Speaker::Realtime(realtime) = &mut self.speaker
            && realtime.capabilities.greets
        {
            return realtime.expect_response(now);
        }
        match self.line.facts.spec.first_message().map(str::to_owned) {
            Some(text) => {
                self.say(now, &text, AfterResponse::AwaitCaller);
                if !self.line.facts.spec.agent.turn().first_message_interruptible {
                    self.line.make_uninterruptible();
                }
            }
            None => {
                let hint = "The call has just been answered. Greet the other side and say how you can help.";
                self.request_response(now, Some(hint));
            }
        }
    }

    /// What a model or an operator has written to be said, with what its placeholders stand for. The agent's own texts are
    /// not read like that: they were filled in when the call began, and a value in them is no text of ours.
    pub(super) fn filled_in(&self, written: &str) -> String {
        match placeholders::may_have(written) {
            true => placeholders::resolve(written, &self.known_values()).into_owned(),
            false => written.to_owned(),
        }
    }

    /// Says a scripted text if nothing else is being said: with the realtime voice, if it can, or by TTS.
    pub fn say(&mut self, now: Instant, text: &str, then: AfterResponse) {
        self.say_by(now, text, then, None);
    }

    /// The same; the transcript tells whose words it is.
    pub(super) fn say_by(&mut self, now: Instant, text: &str, then: AfterResponse, said_by: Option<TurnAuthor>) {
        self.discard_preemptive_generation();
        self.timers.silence = None;
        if matches!(then, AfterResponse::HangUp(_)) {
            self.timers.goodbye = Some(now + GOODBYE_MAX);
        }
        if let Speaker::Realtime(realtime) = &mut self.speaker
            && realtime.capabilities.can_say
        {
            return realtime.say(&mut self.line, now, text, then, said_by);
        }
        let response_id = self.line.playout.next_id();
        let (mut response, segments) = AgentResponse::scripted(response_id, text, then, self.line.facts.spec.style());
        response.said_by = said_by;
        self.line.playout.response = Some(response);
        self.line.speak(segments);
    }

    /// Says a scripted text in place of the current response, unless the call's last words are being said.
    pub(super) fn say_instead(&mut self, now: Instant, text: &str, then: AfterResponse) {
        if self.line.is_saying_last_words() {
            return;
        }
        self.cancel_response(now);
        self.say(now, text, then);
    }

    /// Cancels the current response; the heard part stays in the history.
    pub(super) fn cancel_response(&mut self, now: Instant) {
        self.line.playout.state = PlayoutState::Running;
        let Some(response) = self.line.playout.response.take() else { return };
        let response_id = response.response_id;
        self.line.output(CallOutput::CancelLlm);
        self.line.output(CallOutput::CancelSpeech { response_id });
        if let Speaker::Realtime(realtime) = &mut self.speaker {
            realtime.truncate(&mut self.line, &response, &[]);
        }
        let said = if response.begun.is_some() && !response.is_filler { response.said() } else { String::new() };
        self.settle_cut_tools(now, &said, &response.tool_calls);
        self.line.record_response(&response, self.line.ms(now), true, response.said());
    }

    /// Stops the speech that was meant for a person.
    pub(super) fn stop_speaking(&mut self, now: Instant) {
        self.discard_preemptive_generation();
        self.cancel_response(now);
        self.interruption = Interruption::default();
        self.line.caller.waiting_turn = None;
        self.line.caller.unvoiced.take();
        (self.timers.silence, self.timers.resume, self.timers.filler) = (None, None, None);
    }

    /// Requests a response of the model to everything said so far.
    pub(super) fn request_response(&mut self, now: Instant, hint: Option<&str>) {
        self.request_answer(now, hint, ToolChoice::Auto);
    }

    /// An answer that the model will write, with what its placeholders stand for.
    pub(super) fn model_response(&self, response_id: u32) -> AgentResponse {
        AgentResponse::from_model(response_id, self.line.facts.spec.style()).with_variables(self.known_values())
    }

    /// What placeholders stand for that a model writes: what answers of tools have set, then what the call began with.
    pub(super) fn known_values(&self) -> CallVariables {
        let mut values = self.told_variables();
        for (name, value) in &self.line.facts.spec.known.0 {
            values.0.entry(name.clone()).or_insert_with(|| value.clone());
        }
        values
    }

    /// The same; the model may be asked for words alone.
    pub(super) fn request_answer(&mut self, now: Instant, hint: Option<&str>, tool_choice: ToolChoice) {
        if let Speaker::Realtime(realtime) = &mut self.speaker {
            self.tools.mark_read();
            return realtime.request_response(&mut self.line, now, hint);
        }
        self.discard_preemptive_generation();
        let response_id = self.line.playout.next_id();
        self.line.playout.response = Some(self.model_response(response_id));
        self.arm_filler(now);
        let mut messages = self.history.messages(|message| self.told(message));
        messages.extend(hint.map(|hint| ChatMessage::System(hint.to_owned())));
        self.tools.mark_read();
        let tools = self.available_tools();
        self.line.output(CallOutput::RequestLlm { response_id, messages, tools, tool_choice });
    }

    /// A required provider failed: says so and ends the call.
    pub(super) fn end_with_apology(&mut self, now: Instant) {
        let response = self.line.playout.response.as_ref();
        if response.is_none_or(|response| !matches!(response.after, AfterResponse::HangUp(_))) {
            let text = self.line.facts.phrases.give_up;
            self.say_last_words(now, text, EndReason::ProviderError);
        }
    }

    /// Words after which the call ends whatever the caller says: they are heard to their end.
    pub(super) fn say_last_words(&mut self, now: Instant, text: &str, reason: EndReason) {
        self.say_instead(now, text, AfterResponse::HangUp(reason));
        if self.line.is_saying_last_words() {
            self.line.make_uninterruptible();
        }
    }

    /// Asks the caller to repeat what was lost.
    pub(super) fn ask_to_repeat(&mut self, now: Instant) {
        let text = self.line.facts.phrases.repeat;
        self.say(now, text, AfterResponse::AwaitCaller);
    }

    /// A turn of the caller that needs no answer.
    pub(super) fn note_turn(&mut self, turn: &CallerTurn) {
        self.line.caller.has_half_turn = false;
        self.line.record_user(turn);
        self.history.push_user(&turn.text);
    }

    /// The caller's words have come to an end for now: nothing is resumed or waited for.
    pub(super) fn clear_before_turn(&mut self, now: Instant) {
        self.timers.silence = None;
        self.clear_resume(now);
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.stt_stall_at = None;
        }
        self.interruption.remainder = None;
    }

    /// The peer has hung up: asks STT for its final words. True if words of the caller are still to come.
    pub(super) fn expect_last_words(&mut self) -> bool {
        match &self.speaker {
            Speaker::Realtime(_) => !self.line.caller.is_quiet(),
            Speaker::Pipeline(pipeline) => {
                let pending = !self.line.caller.is_quiet() || pipeline.stt_stall_at.is_some();
                if pending {
                    self.line.output(CallOutput::FinalizeStt);
                }
                pending
            }
        }
    }
}
