//! Tool calls: what the LLM wants done, and results in whatever order they arrive.

use super::transfer::PendingTransfer;
use super::{CallMachine, CallOutput, CallPhase, CallTimer};
use crate::dialogue::response::AfterResponse;
use crate::dialogue::tools::{ToolAction, ToolSet};
use serde_json::Value;
use std::time::{Duration, Instant};
use trunkline_domain::chat::{ToolCall, ToolOffer};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transcript::{Turn, TurnRole};
use trunkline_domain::transfer::{TransferConfig, TransferTarget};
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::end_of_turn;

/// Rounds of tool results before the caller gets a turn.
const ROUNDS_MAX: u32 = 5;
/// What the model reads in place of a result that is not there yet.
const RESULT_PENDING: &str = "still being worked on; the result will follow by itself, do not call this again";
/// What it reads where none will come.
const NO_RESULT_EXPECTED: &str = "started; there will be no result";

/// Results that are waited for, and whether the model has read those that came.
#[derive(Debug, Default)]
pub(super) struct PendingToolCalls {
    waiting: Vec<ToolCall>,
    unread: bool,
    /// Results that arrived after the conversation moved on.
    late_results: Vec<String>,
}

impl PendingToolCalls {
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_unread_results(&self) -> bool {
        self.unread
    }

    /// Forgets all pending results.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// The LLM has been asked with all results.
    pub(super) fn mark_read(&mut self) {
        self.unread = false;
        self.late_results.clear();
    }
}

impl CallMachine {
    /// A tool server has listed its tools; some are left out because their schemas exceed the limits.
    pub fn add_tools(&mut self, tools: Vec<ToolOffer>, left_out: usize) {
        self.remote_tools.extend(tools);
        if left_out > 0 {
            self.metrics.record_provider_error("tool_server", "schema");
        }
    }

    /// The schema that the arguments of a tool are held against, if there is such a tool.
    pub fn tool_schema(&self, name: &str) -> Option<Value> {
        let transfers = self.spec.agent.transfers();
        self.abilities(&transfers).schema(name)
    }

    /// Records why a tool with required arguments cannot be called by DTMF; before the first digit.
    pub fn record_dtmf_tool_mismatch(&mut self, tool: String, schema_error: String) {
        self.dtmf_tool_errors.insert(tool, schema_error);
    }

    /// A tool server does not answer: its tools are missing.
    pub fn note_tool_server_failure(&mut self) {
        self.metrics.record_provider_error("tool_server", "unreachable");
    }

    pub(super) fn available_tools(&self) -> Vec<ToolOffer> {
        let transfers = self.spec.agent.transfers();
        self.abilities(&transfers).offers()
    }

    fn abilities<'a>(&'a self, transfers: &'a TransferConfig) -> ToolSet<'a> {
        ToolSet {
            custom: self.spec.agent.llm_config.as_ref().map_or(&[], |config| &config.tools),
            remote: &self.remote_tools,
            destinations: &transfers.destinations,
            voicemail: self.amd.is_some() && self.voicemail.is_none(),
        }
    }

    /// Calls a tool by DTMF.
    pub(super) fn call_tool_by_dtmf(&mut self, now: Instant, digits: &str, name: String) {
        let turn = end_of_turn::CallerTurn {
            text: format!("[DTMF {digits}]"),
            confidence: None,
            started: now,
            ended: now,
            final_at: None,
        };
        self.record_user(&turn);
        self.history.push_user(&turn.text);
        self.response_id += 1;
        let (id, schema_error) = (format!("key-{}", self.response_id), self.dtmf_tool_errors.get(&name).cloned());
        let call = ToolCall { id, name, arguments: "{}".to_owned(), schema_error };
        self.history.push_assistant("", vec![call.clone()]);
        self.tool_rounds = 0;
        self.run_tools(now, &[call], false);
    }

    pub(super) fn run_tools(&mut self, now: Instant, calls: &[ToolCall], said_something: bool) {
        let mut end = None;
        let mut filler = None;
        let mut transfer = None;
        let transfers = self.spec.agent.transfers();
        for call in calls {
            let action = self.abilities(&transfers).action(call);
            let result = match action {
                ToolAction::EndCall { farewell } => {
                    end = Some(farewell);
                    "the call ends".to_owned()
                }
                ToolAction::SendDigits { digits } => {
                    let result = format!("pressed {digits}");
                    self.output(CallOutput::SendDtmf(digits));
                    result
                }
                ToolAction::Transfer { destination, briefing } if transfer.is_none() => {
                    let one = &transfers.destinations[destination];
                    let Some(target) = TransferTarget::parse(&one.target) else { continue };
                    let (mode, id) = (one.mode.unwrap_or(transfers.mode), Some(call.id.clone()));
                    transfer = Some(PendingTransfer::new(one.name.clone(), target, mode, briefing, id));
                    self.tools.waiting.push(call.clone());
                    self.history.push_tool_result(&call.id, RESULT_PENDING);
                    continue;
                }
                ToolAction::Transfer { .. } => {
                    "error: the caller can be put through to one destination only".to_owned()
                }
                ToolAction::LeaveVoicemail { message } => {
                    self.leave_voicemail(now, message);
                    "the message is left after the beep, and the call ends".to_owned()
                }
                ToolAction::Custom { is_async, filler: words } => {
                    self.output(CallOutput::CallTool { call: call.clone(), is_async });
                    if !is_async {
                        self.tools.waiting.push(call.clone());
                        self.history.push_tool_result(&call.id, RESULT_PENDING);
                        filler = filler.or(words);
                        continue;
                    }
                    NO_RESULT_EXPECTED.to_owned()
                }
                ToolAction::Invalid(why) => format!("error: {why}"),
            };
            self.history.push_tool_result(&call.id, &result);
            self.send_tool_result_to_realtime(&call.id, &result);
            self.record_tool(now, &call.name, &result);
        }
        if self.voicemail.is_some() || !self.is_talking() {
            return;
        }
        if let Some(transfer) = transfer {
            return self.transfer(now, transfer, said_something);
        }
        match end {
            Some(Some(farewell)) if !said_something => {
                self.say(now, &farewell, AfterResponse::HangUp(EndReason::AgentHungUp))
            }
            Some(_) => self.handle_command(now, EndReason::AgentHungUp),
            None if self.tools.is_waiting() => {
                let new = |words: &String| {
                    !said_something && !words.trim().is_empty() && Some(words) != self.last_filler.as_ref()
                };
                match filler.filter(new) {
                    Some(words) => self.say_filler(now, words),
                    None => self.arm_filler(now),
                }
            }
            None => self.next_round(now),
        }
    }

    /// Says something while tools run.
    pub(super) fn say_filler(&mut self, now: Instant, words: String) {
        self.history.append_filler(&words);
        self.say(now, &words, AfterResponse::AwaitCaller);
        if let Some(response) = &mut self.response {
            response.is_filler = true;
            if !self.spec.agent.turn().tool_speech_interruptible {
                self.make_uninterruptible();
            }
        }
        self.last_filler = Some(words);
    }

    /// Filler timeout: a tool or the LLM takes too long.
    pub(super) fn handle_filler_timeout(&mut self, now: Instant) {
        let Some(words) = self.next_filler().filter(|_| self.is_talking()) else { return };
        if let Some(response) = self.response.as_mut().filter(|response| !response.is_scripted && !response.has_words())
        {
            let response_id = response.response_id;
            let Some((index, text)) = response.add_filler(&words) else { return };
            self.last_filler = Some(words);
            self.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
        } else if self.response.is_none() && self.tools.is_waiting() && !self.end_of_turn.is_speaking() {
            self.say_filler(now, words);
        }
    }

    /// The filler after the one that was used last; none when it is the only one.
    fn next_filler(&self) -> Option<String> {
        let fillers = &self.silence.as_ref()?.fillers;
        let last = self.last_filler.as_ref();
        let after = last.and_then(|last| fillers.iter().position(|one| one == last)).map_or(0, |at| at + 1);
        let next = fillers.get(after % fillers.len().max(1))?;
        (Some(next) != last).then(|| next.clone())
    }

    pub(super) fn arm_filler(&mut self, now: Instant) {
        if let Some(config) = self.silence.as_ref().filter(|config| !config.fillers.is_empty()) {
            let after = Duration::from_millis(config.filler_after_ms);
            self.timers.set(CallTimer::Filler, now + after);
        }
    }

    /// A tool has answered or failed; the text is for the LLM.
    pub fn handle_tool_result(&mut self, now: Instant, id: &str, result: &str) {
        let Some(index) = self.tools.waiting.iter().position(|call| call.id == id) else { return };
        let call = self.tools.waiting.remove(index);
        if !self.history.replace_tool(id, result) {
            self.history.push_note(format!("The tool {} answered: {result}", call.name));
        }
        self.send_tool_result_to_realtime(id, result);
        self.record_tool(now, &call.name, result);
        if !self.history.ends_with_tool() {
            // The conversation moved on: the LLM gets the result together with the latest history.
            self.tools.late_results.push(format!("The tool {} answered: {result}", call.name));
        }
        self.tools.unread = true;
        self.request_response_to_results(now);
    }

    /// Requests a response when a result came and neither side speaks. Otherwise the result waits in the history for
    /// the next request.
    pub(super) fn request_response_to_results(&mut self, now: Instant) {
        let quiet = self.phase == CallPhase::Talking
            && self.response.is_none()
            && self.waiting_turn.is_none()
            && !self.end_of_turn.is_speaking()
            && self.end_of_turn.words().is_empty();
        if self.tools.unread && quiet && !self.tools.is_waiting() {
            self.next_round(now);
        }
    }

    fn next_round(&mut self, now: Instant) {
        if self.tool_rounds < ROUNDS_MAX {
            self.tool_rounds += 1;
            let late_results = std::mem::take(&mut self.tools.late_results).join("\n");
            self.request_llm_response(now, Some(late_results.as_str()).filter(|late_results| !late_results.is_empty()));
        } else {
            self.arm_silence(now);
        }
    }

    pub(super) fn record_tool(&mut self, now: Instant, name: &str, result: &str) {
        let (number, at_ms) = (self.transcript.open(), self.ms(now));
        let turn = Turn {
            role: TurnRole::Tool,
            content: format!("{name}: {result}"),
            started_at_ms: at_ms,
            ended_at_ms: at_ms,
            interrupted: false,
            confidence: None,
        };
        self.record(number, turn);
    }
}
