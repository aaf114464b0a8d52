//! Tool calls: what the LLM wants done, and results in whatever order they arrive.

use super::call_machine::CallMachine;
use super::caller_events::dtmf_turn;
use super::collect_events::WantedDigits;
use super::handover::HandoverRequest;
use super::held::{HoldReason, WantedHold};
use super::mode::Mode;
use super::output::CallOutput;
use super::realtime::Realtime;
use super::talk::{Speaker, Talk};
use super::toolbox::{InheritedCall, StartedCall, ToolsRead, answer, take_call};
use super::transfer::{TransferMethod, TransferOrigin, TransferRequest};
use super::value_events::WantedValue;
use crate::dialogue::history::RESULT_PENDING;
use crate::dialogue::prompt;
use crate::dialogue::response::AfterResponse;
use crate::dialogue::tools::{ToolAction, ToolSet};
use serde_json::Value;
use std::time::Instant;
use trunkline_domain::agent_handover::HANDOVERS_MAX;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::chat::{ToolCall, ToolChoice, ToolOffer};
use trunkline_domain::end_reason::EndReason;
use trunkline_domain::transfer::TransferConfig;
use trunkline_providers::realtime::RealtimeInput;

/// What it reads where none will come.
const NO_RESULT_EXPECTED: &str = "started; there will be no result";
const SKIPPED: &str = "you say nothing; the caller has the next word";
const ONE_ENTRY: &str = "error: the caller can be asked for one thing at a time";
/// What it reads of tools that an interrupted answer had announced, before their names.
const UNCALLED: &str = "You were interrupted before these tools were called, so they were not called and nothing was \
done; call them again if they are still wanted: ";
const NO_TARGET: &str = "error: the destination has no number that can be called; help the caller yourself";
const ONE_DESTINATION: &str = "error: the caller can be put through to one destination only";
const HANDED_OVER_TOO_OFTEN: &str = "error: this call was handed over too often; help the caller yourself";
const ALREADY_THERE: &str = "error: you are this agent; help the caller yourself";

impl Talk {
    pub(super) fn available_tools(&self) -> Vec<ToolOffer> {
        let transfers = self.line.facts.spec.agent.transfers();
        self.abilities(&transfers).offers()
    }

    fn abilities<'a>(&'a self, transfers: &'a TransferConfig) -> ToolSet<'a> {
        ToolSet {
            built_in: self.line.facts.spec.agent.built_in_tools.as_ref(),
            custom: self.line.facts.spec.agent.llm_config.as_ref().map_or(&[], |config| &config.tools),
            remote: &self.tools.remote,
            destinations: &transfers.destinations,
            handovers: self.line.facts.spec.agent.handovers(),
            languages: &self.language.selectable,
            voicemail: self.amd.is_some(),
        }
    }

    /// The caller is to go to somebody else; returns what the LLM reads at once.
    fn lead_away(&mut self, call: &ToolCall, action: ToolAction, round: &mut ToolRound) -> Option<String> {
        match action {
            ToolAction::Transfer { destination, briefing } => match self.begin_transfer(call, destination, briefing) {
                Some(request) => round.transfer = Some(request),
                None => return Some(NO_TARGET.to_owned()),
            },
            ToolAction::HandOver { target, summary } => match self.begin_handover(call, target, summary) {
                Ok(request) => round.handover = Some(request),
                Err(why) => return Some(why.to_owned()),
            },
            _ => {}
        }
        None
    }

    fn press(&mut self, digits: String) -> String {
        let result = format!("pressed {digits}");
        self.line.output(CallOutput::SendDtmf(digits));
        result
    }

    /// The transfer that a tool call asks for; `None` if its target cannot be read.
    fn begin_transfer(
        &mut self, call: &ToolCall, destination: usize, briefing: Option<String>,
    ) -> Option<TransferRequest> {
        let transfers = self.line.facts.spec.agent.transfers();
        let one = transfers.destinations.get(destination)?;
        let method = TransferMethod::new(one.mode.unwrap_or(transfers.mode), briefing);
        let origin = TransferOrigin::Tool { call_id: call.id.clone() };
        let request = TransferRequest { name: one.name.clone(), target: one.transfer_target()?, method, origin };
        self.await_tool(call);
        Some(request)
    }

    /// The handover that a tool call asks for, if the call may be handed over once more.
    fn begin_handover(
        &mut self, call: &ToolCall, target: usize, summary: Option<String>,
    ) -> Result<HandoverRequest, &'static str> {
        let spec = &self.line.facts.spec;
        let target = spec.agent.handovers().get(target).and_then(|target| Some((target, target.agent()?)));
        let Some((target, agent)) = target else { return Err(ONE_DESTINATION) };
        if self.handovers >= HANDOVERS_MAX {
            return Err(HANDED_OVER_TOO_OFTEN);
        }
        if spec.agent_id == Some(agent) {
            return Err(ALREADY_THERE);
        }
        let request = HandoverRequest {
            name: target.name.clone(),
            agent,
            history: target.history,
            opening: target.opening,
            summary,
            announcement: target.announcement.clone(),
            call_id: call.id.clone(),
        };
        self.await_tool(call);
        Ok(request)
    }

    /// A tool has its result at once.
    fn answer_tool(&mut self, now: Instant, call: &ToolCall, result: &str) {
        self.history.push_tool_result(&call.id, result);
        self.send_tool_result_to_realtime(&call.id, result);
        self.line.record_tool(now, &call.name, result);
    }

    /// A tool works; its result follows.
    fn await_tool(&mut self, call: &ToolCall) {
        self.tools.wait_for(call.clone());
        self.history.push_tool_result(&call.id, RESULT_PENDING);
    }

    /// What answers of tools have set, as the model may know it.
    pub(super) fn told_variables(&self) -> CallVariables {
        let variables = &self.tools.variables;
        if self.reveals_secrets() { variables.clone() } else { variables.masked(&self.line.collected) }
    }

    /// The prompt with what answers of tools have set.
    pub(super) fn renew_prompt(&mut self) {
        let spec = &self.line.facts.spec;
        let system = prompt::system_messages_with(&spec.agent, spec.task.as_ref(), &self.told_variables());
        if self.history.set_system(system) && matches!(self.speaker, Speaker::Realtime(_)) {
            let instructions = self.realtime_instructions();
            Realtime::send(&mut self.line, RealtimeInput::Instructions(instructions));
        }
    }

    /// A tool that was waited for has answered; false if none waits with this id.
    fn handle_tool_result(&mut self, now: Instant, id: &str, result: &str) -> bool {
        let shown = self.line.collected.masked(result);
        let told = if self.reveals_secrets() { result } else { &shown };
        if self.tools.keep_result(id, told) {
            return false;
        }
        self.handle_own_result(now, id, told, &shown) || self.handle_inherited_result(now, id, told, &shown)
    }

    /// The same; `told` is for the model, `shown` for the transcript.
    pub(super) fn handle_own_result(&mut self, now: Instant, id: &str, told: &str, shown: &str) -> bool {
        let (Some(call), result) = (take_call(&mut self.tools.waiting, id), told) else { return false };
        if !self.history.replace_tool(id, result) {
            self.history.push_note(answer(&call, result));
        }
        self.send_tool_result_to_realtime(id, result);
        self.line.record_tool(now, &call.name, shown);
        if !self.history.ends_with_tool() {
            // The conversation moved on: the LLM gets the result together with the latest history.
            self.tools.add_late_result(&call, result);
        }
        self.tools.has_unread = true;
        true
    }

    /// A tool that an earlier agent called has answered.
    fn handle_inherited_result(&mut self, now: Instant, id: &str, told: &str, shown: &str) -> bool {
        let Some(at) = self.tools.inherited.iter().position(|one| one.call.id == id) else { return false };
        let InheritedCall { call, tells_agent } = self.tools.inherited.remove(at);
        self.line.record_tool(now, &call.name, shown);
        if tells_agent {
            self.history.push_note(answer(&call, told));
            self.tools.has_unread = true;
        }
        tells_agent
    }

    /// The customer's server runs a tool.
    fn call_tool(&mut self, call: &ToolCall, is_async: bool) {
        let collected = self.line.collected.clone();
        self.line.output(CallOutput::CallTool { call: call.clone(), is_async, collected });
    }

    /// Runs a tool of the customer's, unless it runs already. Returns what the model reads at once; `None` if a result
    /// is waited for.
    fn run_custom(&mut self, call: &ToolCall, is_async: bool) -> Option<String> {
        let started = self.tools.take_started(&call.id);
        if started.is_none() {
            self.call_tool(call, is_async);
        }
        if is_async {
            return Some(NO_RESULT_EXPECTED.to_owned());
        }
        let result = started.and_then(|started| started.result);
        if result.is_none() {
            self.await_tool(call);
        }
        result
    }

    /// Starts the calls of an answer that need not wait until its words were heard.
    pub(super) fn start_tools_at_once(&mut self, calls: &[ToolCall]) {
        for call in calls {
            let transfers = self.line.facts.spec.agent.transfers();
            if let ToolAction::Custom { is_async, starts_at_once: true, .. } = self.abilities(&transfers).action(call) {
                self.tools.start(call);
                self.call_tool(call, is_async);
            }
        }
    }

    /// An answer was cut before its calls were due: the model learns which ones ran and which did not.
    pub(super) fn settle_cut_tools(&mut self, now: Instant, said: &str, calls: &[ToolCall]) {
        let (started, uncalled): (Vec<_>, Vec<_>) =
            calls.iter().map(|call| self.tools.take_started(&call.id).ok_or(call)).partition(Result::is_ok);
        let started: Vec<StartedCall> = started.into_iter().flatten().collect();
        self.history.push_assistant(said, started.iter().map(|started| started.call.clone()).collect());
        for StartedCall { call, result } in started {
            match result {
                Some(result) => self.answer_tool(now, &call, &result),
                None => self.await_tool(&call),
            }
        }
        let names: Vec<&str> =
            uncalled.iter().filter_map(|call| call.as_ref().err()).map(|call| call.name.as_str()).collect();
        if !names.is_empty() {
            self.history.push_note(format!("{UNCALLED}{}", names.join(", ")));
        }
    }

    /// Whether the model may be asked about results: neither side speaks or is about to.
    fn may_read_results(&self) -> bool {
        self.tools.has_unread
            && !self.tools.is_waiting()
            && self.line.playout.response.is_none()
            && self.line.caller.waiting_turn.is_none()
            && self.line.caller.is_quiet()
    }
}

/// Who has the next word after a round of tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum NextWord {
    /// The model reads the results.
    #[default]
    Agent,
    /// The model wants to say nothing.
    Caller,
}

/// What a round of tool calls leaves to be done.
#[derive(Debug, Default)]
struct ToolRound {
    /// The call ends, with these last words if none were said.
    end: Option<Option<String>>,
    /// Said while results are waited for.
    filler: Option<String>,
    transfer: Option<TransferRequest>,
    handover: Option<HandoverRequest>,
    next: NextWord,
    digits: Option<WantedDigits>,
    value: Option<WantedValue>,
    hold: Option<WantedHold>,
}

impl ToolRound {
    /// The caller goes to somebody else; one destination is all that a caller can go to.
    fn leads_away(&self) -> bool {
        self.transfer.is_some() || self.handover.is_some()
    }

    /// The caller stays with the agent.
    fn stays(&self) -> bool {
        !self.leads_away() && self.end.is_none()
    }

    /// Whether the caller is to be asked for something, or to wait.
    fn asks(&self) -> bool {
        self.digits.is_some() || self.value.is_some() || self.hold.is_some()
    }
}

impl CallMachine {
    /// A tool server has listed its tools; some are left out because their schemas exceed the limits.
    pub fn add_tools(&mut self, tools: Vec<ToolOffer>, left_out: usize) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.tools.remote.extend(tools);
            let offered = talk.available_tools();
            let beyond =
                talk.tools.remote.iter().filter(|tool| offered.iter().all(|one| one.name != tool.name)).count();
            if beyond > 0 {
                tracing::warn!(tools = beyond, "tools of servers are not offered: vendors take 128 in all");
                self.mode.log_mut().metrics.record_provider_error("tool_server", "too_many");
            }
        }
        if left_out > 0 {
            self.mode.log_mut().metrics.record_provider_error("tool_server", "schema");
        }
    }

    /// The schema that the arguments of a tool are held against, if there is such a tool.
    pub fn tool_schema(&self, name: &str) -> Option<Value> {
        let talk = self.mode.talk()?;
        let transfers = talk.line.facts.spec.agent.transfers();
        talk.abilities(&transfers).schema(name)
    }

    /// Records why a tool with required arguments cannot be called by DTMF; before the first digit.
    pub fn record_dtmf_tool_mismatch(&mut self, tool: String, schema_error: String) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.tools.dtmf_errors.insert(tool, schema_error);
        }
    }

    /// A tool server does not answer: its tools are missing.
    pub fn note_tool_server_failure(&mut self) {
        self.mode.log_mut().metrics.record_provider_error("tool_server", "unreachable");
    }

    /// Calls a tool by DTMF.
    pub(super) fn call_tool_by_dtmf(&mut self, now: Instant, digits: &str, name: String) {
        let Some(talk) = self.mode.talk_mut() else { return };
        talk.note_turn(&dtmf_turn(now, digits));
        let response_id = talk.line.playout.next_id();
        let schema_error = talk.tools.dtmf_errors.get(&name).cloned();
        let id = format!("key-{response_id}");
        let mut calls = [ToolCall { id, name, arguments: "{}".to_owned(), schema_error, opaque: None }];
        talk.tools.ids.make_unique(&mut calls, response_id);
        talk.history.push_assistant("", calls.to_vec());
        talk.tools.start_over();
        talk.fillers.start_over(now, now);
        self.run_tools(now, &calls, false);
    }

    /// Asks the caller for something, or puts them on hold, if the round wants that. False: the round goes on.
    fn take_ask(&mut self, now: Instant, round: &mut ToolRound, calls: usize, told: bool) -> bool {
        if let Some(wanted) = round.value.take() {
            if round.stays() {
                self.begin_value(now, wanted);
                return true;
            }
            self.refuse_value(now, &wanted);
        }
        if let Some(wanted) = round.digits.take() {
            if round.stays() {
                self.begin_collecting(now, wanted);
                return true;
            }
            self.refuse_collecting(now, wanted);
        }
        if let Some(wanted) = round.hold.take() {
            if round.stays() {
                let wait = if calls > 1 { HoldReason::Results } else { HoldReason::Time };
                return self.begin_hold(now, wanted, told, wait);
            }
            self.refuse_hold(now, &wanted);
        }
        false
    }

    pub(super) fn run_tools(&mut self, now: Instant, calls: &[ToolCall], said_something: bool) {
        let mut round = ToolRound::default();
        for call in calls {
            let result = self.run_tool(now, call, &mut round);
            if let (Some(result), Some(talk)) = (result, self.mode.talk_mut()) {
                talk.answer_tool(now, call, &result);
            }
        }
        if self.take_ask(now, &mut round, calls.len(), said_something) {
            return;
        }
        match &self.mode {
            Mode::Conversing(_) => {
                if let Some(request) = round.transfer {
                    return self.transfer(now, request, said_something);
                }
                if let Some(request) = round.handover {
                    return self.hand_over(now, request, said_something);
                }
            }
            Mode::Held(_) | Mode::Transferring(_) | Mode::HandingOver(_) => {}
            // A message is left, or nobody is left who could be told.
            Mode::Voicemail(_) | Mode::Bridged(_) | Mode::Ending(_) | Mode::Over(_) => return,
        }
        let Some(talk) = self.mode.talk_mut() else { return };
        match round.end {
            Some(Some(farewell)) if !said_something => {
                let farewell = talk.filled_in(&farewell);
                talk.say(now, &farewell, AfterResponse::HangUp(EndReason::AgentHungUp));
            }
            Some(_) => self.handle_command(now, EndReason::AgentHungUp),
            None if round.next == NextWord::Caller => self.leave_to_caller(now),
            None if talk.tools.is_waiting() => {
                let is_new = |words: &String| {
                    !said_something && !words.trim().is_empty() && Some(words) != talk.fillers.last.as_ref()
                };
                match round.filler.filter(is_new) {
                    Some(words) => talk.say_filler(now, words),
                    None => talk.arm_filler_for_tools(now),
                }
            }
            None => self.next_round(now, said_something),
        }
    }

    /// The model says nothing: no further answer, no filler. What was said meanwhile has its turn.
    fn leave_to_caller(&mut self, now: Instant) {
        if !self.answer_waiting_turn(now) {
            self.arm_silence(now);
            self.request_response_to_results(now);
        }
    }

    /// Runs one tool; `None` if its result follows later, or if the call takes no part in the conversation any more.
    fn run_tool(&mut self, now: Instant, call: &ToolCall, round: &mut ToolRound) -> Option<String> {
        let is_conversing = matches!(self.mode, Mode::Conversing(_));
        let is_collecting = self.is_collecting();
        let talk = self.mode.talk_mut()?;
        let transfers = talk.line.facts.spec.agent.transfers();
        let result = match talk.abilities(&transfers).action(call) {
            ToolAction::EndCall { farewell } => {
                round.end = Some(farewell);
                "the call ends".to_owned()
            }
            ToolAction::SendDigits { digits } => talk.press(digits),
            ToolAction::Transfer { .. } | ToolAction::HandOver { .. } if !is_conversing || round.leads_away() => {
                ONE_DESTINATION.to_owned()
            }
            action @ (ToolAction::Transfer { .. } | ToolAction::HandOver { .. }) => {
                return talk.lead_away(call, action, round);
            }
            ToolAction::SetLanguage { language } => talk.set_language(now, &language),
            ToolAction::LeaveVoicemail { message } => {
                self.leave_voicemail(now, message);
                "the message is left after the beep, and the call ends".to_owned()
            }
            ToolAction::Custom { is_async, filler, .. } => {
                let result = talk.run_custom(call, is_async);
                if result.is_none() {
                    round.filler = round.filler.take().or(filler);
                }
                return result;
            }
            ToolAction::CollectDigits { .. } | ToolAction::CollectValue { .. } | ToolAction::Hold { .. }
                if !is_conversing || is_collecting || round.asks() =>
            {
                ONE_ENTRY.to_owned()
            }
            ToolAction::CollectValue { kind, prompt, heard } => {
                talk.await_tool(call);
                round.value = Some(WantedValue { call: call.clone(), kind, prompt, heard });
                return None;
            }
            ToolAction::CollectDigits { request, prompt } => {
                talk.await_tool(call);
                round.digits = Some(WantedDigits { call: call.clone(), request, prompt });
                return None;
            }
            ToolAction::Hold { limit, music } => {
                talk.await_tool(call);
                round.hold = Some(WantedHold { call: call.clone(), limit, music });
                return None;
            }
            ToolAction::SkipTurn => {
                round.next = NextWord::Caller;
                SKIPPED.to_owned()
            }
            ToolAction::Invalid(why) => format!("error: {why}"),
        };
        Some(result)
    }

    /// A tool has answered or failed; the text is for the LLM.
    pub fn handle_tool_result(&mut self, now: Instant, id: &str, result: &str) {
        if let Mode::Ending(ending) = &mut self.mode {
            if ending.handle_tool_result(now, id, result) {
                self.finish(now);
            }
        } else if let Some(talk) = self.mode.talk_mut()
            && talk.handle_tool_result(now, id, result)
        {
            self.request_response_to_results(now);
            self.resume_with_results(now);
        }
    }

    /// Answers of tools have set variables: the prompt says so from the next request on. A realtime session is told.
    pub fn set_variables(&mut self, variables: &CallVariables) {
        if let Some(talk) = self.mode.talk_mut() {
            talk.tools.variables.clone_from(variables);
            talk.renew_prompt();
        }
    }

    /// Requests a response when a result came and neither side speaks. Otherwise the result waits in the history for
    /// the next request.
    pub(super) fn request_response_to_results(&mut self, now: Instant) {
        if self.mode.talk().is_some_and(Talk::may_read_results) && self.hears_caller() {
            self.next_round(now, false);
        }
    }

    /// The model reads the results, unless it has called tools too often and even where it may not. The caller never waits
    /// for nothing.
    fn next_round(&mut self, now: Instant, said_something: bool) {
        let Some(talk) = self.mode.talk_mut() else { return };
        match talk.tools.next_round() {
            ToolsRead::Round(late) => talk.request_response(now, Some(late.as_str()).filter(|late| !late.is_empty())),
            ToolsRead::LastRound(hint) => talk.request_answer(now, Some(&hint), ToolChoice::None),
            ToolsRead::Lost if said_something => self.arm_silence(now),
            ToolsRead::Lost => {
                tracing::warn!("a model goes on calling tools; the caller is asked to say it again");
                talk.line.metrics().record_provider_error("llm", "tool_rounds");
                talk.ask_to_repeat(now);
            }
            ToolsRead::CallersTurn => self.arm_silence(now),
        }
    }
}
