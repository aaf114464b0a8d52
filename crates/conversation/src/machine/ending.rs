//! The end of a call: the last words and the playback report are waited for, and then it is over.

use super::bridged::Bridged;
use super::conversing::Conversing;
use super::line::{CallLog, Line};
use super::output::CallOutput;
use super::realtime::{Realtime, ResponseEnd};
use super::talk::{Speaker, Talk};
use super::toolbox::take_call;
use crate::dialogue::response::AgentResponse;
use std::time::{Duration, Instant};
use trunkline_domain::chat::ToolCall;
use trunkline_domain::end_reason::EndReason;
use trunkline_providers::ProviderError;
use trunkline_providers::realtime::{RealtimeEvent, RealtimeInput};

/// How long to wait for the final transcript after the caller hung up.
pub(super) const FINAL_TRANSCRIPT_TIMEOUT: Duration = Duration::from_millis(700);
/// How long the results of tools are waited for that the agent has called together with `end_call`.
const TOOL_RESULTS_TIMEOUT: Duration = Duration::from_secs(5);
/// A wait that is this short is not for the final transcript.
const REPORT_TIMEOUT: Duration = Duration::from_millis(100);

/// Who still says what the caller has said.
#[derive(Debug)]
enum LastWords {
    Stt,
    Realtime(Realtime),
    /// Two people were bridged, or the realtime model is gone.
    Nobody,
}

/// Waiting for the final transcript and the playback report.
#[derive(Debug)]
pub struct Ending {
    pub(super) line: Line,
    last_words: LastWords,
    /// Tool calls whose results still belong into the transcript.
    waiting: Vec<ToolCall>,
    /// The call goes on until they have come.
    awaits_results: bool,
    reason: EndReason,
    /// When the call is over at the latest.
    pub(super) until: Instant,
}

/// Hung up: nobody is on the line.
#[derive(Debug, Default)]
pub struct Over {
    pub(super) log: CallLog,
}

impl Talk {
    /// The agent stops speaking and the call ends.
    pub(super) fn hang_up(self, now: Instant, reason: EndReason, wait: Duration) -> Ending {
        let last_words = match self.speaker {
            Speaker::Pipeline(_) => LastWords::Stt,
            Speaker::Realtime(realtime) => LastWords::Realtime(realtime),
        };
        Ending::begin(self.line, last_words, self.tools.waiting, reason, now + wait)
    }
}

impl Conversing {
    /// The same. What the agent wants done before it hangs up is done: a call that ends takes its tools with it.
    pub(super) fn hang_up(self, now: Instant, reason: EndReason, wait: Duration) -> Ending {
        let awaits_results = reason == EndReason::AgentHungUp && self.talk.tools.is_waiting();
        let wait = if awaits_results { TOOL_RESULTS_TIMEOUT.max(wait) } else { wait };
        Ending { awaits_results, ..self.talk.hang_up(now, reason, wait) }
    }
}

impl Bridged {
    /// The bridge ends with the call.
    pub(super) fn hang_up(self, now: Instant, reason: EndReason, wait: Duration) -> Ending {
        Ending::begin(self.line, LastWords::Nobody, Vec::new(), reason, now + wait)
    }
}

impl Ending {
    fn begin(mut line: Line, last_words: LastWords, waiting: Vec<ToolCall>, reason: EndReason, until: Instant) -> Self {
        line.output(CallOutput::CancelLlm);
        line.cancel_playback();
        Self { line, last_words, waiting, awaits_results: false, reason, until }
    }

    /// Nothing of the agent's is being played any more.
    pub(super) fn is_silent(&self) -> bool {
        self.line.playout.response.is_none()
    }

    /// Tools of the agent's last answer still work.
    pub(super) fn is_working(&self) -> bool {
        self.awaits_results && !self.waiting.is_empty()
    }

    /// Playback was stopped. True if nothing is left to wait for: the final transcript of a caller who hung up may
    /// still come.
    pub(super) fn is_over_after_playback(&self, now: Instant) -> bool {
        let is_late = self.until.saturating_duration_since(now) <= REPORT_TIMEOUT;
        !self.is_working() && (is_late || self.line.caller.is_quiet())
    }

    /// The last response was cut: the realtime model learns what was heard of it.
    pub(super) fn handle_response_cut(&mut self, response: &AgentResponse, sent: &[(u32, u64)]) {
        if let LastWords::Realtime(realtime) = &mut self.last_words {
            realtime.truncate(&mut self.line, response, sent);
        }
    }

    /// A realtime model's last events. True if nothing is left to wait for.
    pub(super) fn handle_realtime_event(&mut self, now: Instant, event: RealtimeEvent) -> bool {
        let LastWords::Realtime(realtime) = &mut self.last_words else { return false };
        let line = &mut self.line;
        match event {
            RealtimeEvent::SpeechStarted => {
                realtime.speech_started = Some(now);
                Realtime::handle_interrupted(line);
            }
            RealtimeEvent::Interrupted => Realtime::handle_interrupted(line),
            RealtimeEvent::SpeechStopped => realtime.handle_caller_turn_ended(line, now),
            RealtimeEvent::UserFinal(text) => {
                realtime.record_transcript(line, now, &text);
                return self.is_silent();
            }
            RealtimeEvent::ResponseStarted => Realtime::send(line, RealtimeInput::Interrupted { item: None }),
            RealtimeEvent::Text { item, text } => realtime.add_text(line, item, &text, false),
            RealtimeEvent::FinalText { item, text } => realtime.add_text(line, item, &text, true),
            RealtimeEvent::ResponseDone(usage) | RealtimeEvent::ResponseFailed { usage, .. } => {
                let end = realtime.handle_response_done(line, usage);
                return end == ResponseEnd::Complete && line.take_finished_response().is_some();
            }
            RealtimeEvent::Failed(failure) | RealtimeEvent::Reconnecting(failure) => {
                self.handle_realtime_failed(&failure)
            }
            RealtimeEvent::Ready
            | RealtimeEvent::Conversation(_)
            | RealtimeEvent::Audio { .. }
            | RealtimeEvent::ItemDone { .. }
            | RealtimeEvent::UserInterim(_)
            | RealtimeEvent::ToolCalls(_) => {}
        }
        false
    }

    fn handle_realtime_failed(&mut self, failure: &ProviderError) {
        if let LastWords::Realtime(realtime) = &mut self.last_words {
            realtime.leave(&mut self.line, failure);
            self.last_words = LastWords::Nobody;
        }
    }

    /// A tool has answered or failed: the transcript has it, the model does not read it any more. True if nothing is left to
    /// wait for.
    pub(super) fn handle_tool_result(&mut self, now: Instant, id: &str, result: &str) -> bool {
        let Some(call) = take_call(&mut self.waiting, id) else { return false };
        if matches!(self.last_words, LastWords::Realtime(_)) {
            Realtime::send_tool_result(&mut self.line, id, result);
        }
        self.line.record_tool(now, &call.name, result);
        self.awaits_results && self.waiting.is_empty() && self.is_silent()
    }

    /// Ends the call: writes down what is left and hangs up.
    pub(super) fn finish(self, now: Instant) -> Over {
        let Self { mut line, reason, .. } = self;
        if let Some(response) = line.playout.response.take() {
            // Without a playback report, the current response counts as heard up to its last finished segment.
            line.record_response(&response, line.ms(now), true, response.said());
        }
        let caller = &mut line.caller;
        let turns = [caller.unvoiced.take(), caller.waiting_turn.take(), caller.end_of_turn.take_turn(now)];
        for turn in turns.into_iter().flatten() {
            line.record_user(&turn);
        }
        line.transcript.close();
        line.emit_turns();
        line.output(CallOutput::HangUp { reason });
        Over { log: line.log }
    }
}
