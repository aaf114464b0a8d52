//! Tool calls: what the LLM wants done, and results in whatever order they arrive.

use super::transfer::Transfer;
use super::{Machine, Output, Phase, Timer};
use crate::dialogue::reply::Then;
use crate::dialogue::tools::{Abilities, Action};
use crate::domain::chat::{ToolCall, ToolOffer};
use crate::domain::end_reason::EndReason;
use crate::domain::transcript::{Role, Turn};
use crate::domain::transfer::{Target, TransferConfig};
use serde_json::Value;
use std::time::{Duration, Instant};
use trunkline_media::playout::queue::PieceId;
use trunkline_media::turn::endpoint;

/// Rounds of tool results before the caller gets a turn.
const ROUNDS_MAX: u32 = 5;
/// What the model reads in place of a result that is not there yet.
const NOT_YET: &str = "still being worked on; the result will follow by itself, do not call this again";
/// What it reads where none will come.
const STARTED: &str = "started; there will be no result";

/// Results that are waited for, and whether the model has read those that came.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: Vec<ToolCall>,
    unread: bool,
    /// Results that arrived after the conversation moved on.
    news: Vec<String>,
}

impl Pending {
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn has_news(&self) -> bool {
        self.unread
    }

    /// Forgets all pending results.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// The LLM has been asked with all results.
    pub(super) fn told(&mut self) {
        self.unread = false;
        self.news.clear();
    }
}

impl Machine {
    /// A tool server has listed its tools; some are left out because their schemas exceed the limits.
    pub fn add_tools(&mut self, tools: Vec<ToolOffer>, left_out: usize) {
        self.remote_tools.extend(tools);
        if left_out > 0 {
            self.metrics.provider_error("tool_server", "schema");
        }
    }

    /// The schema that the arguments of a tool are held against, if there is such a tool.
    pub fn tool_schema(&self, name: &str) -> Option<Value> {
        let transfers = self.brief.agent.transfers();
        self.abilities(&transfers).schema(name)
    }

    /// Records why a tool with required arguments cannot be called by DTMF; before the first digit.
    pub fn note_key_misfit(&mut self, tool: String, misfit: String) {
        self.key_misfits.insert(tool, misfit);
    }

    /// A tool server does not answer: its tools are missing.
    pub fn note_tool_server_failure(&mut self) {
        self.metrics.provider_error("tool_server", "unreachable");
    }

    pub(super) fn offers(&self) -> Vec<ToolOffer> {
        let transfers = self.brief.agent.transfers();
        self.abilities(&transfers).offers()
    }

    fn abilities<'a>(&'a self, transfers: &'a TransferConfig) -> Abilities<'a> {
        Abilities {
            custom: self.brief.agent.llm_config.as_ref().map_or(&[], |config| &config.tools),
            remote: &self.remote_tools,
            destinations: &transfers.destinations,
            voicemail: self.detection.is_some() && self.mailbox.is_none(),
        }
    }

    /// Calls a tool by DTMF.
    pub(super) fn press_tool(&mut self, now: Instant, digits: &str, name: String) {
        let turn = endpoint::Turn {
            text: format!("[DTMF {digits}]"),
            confidence: None,
            started: now,
            ended: now,
            final_at: None,
        };
        self.record_user(&turn);
        self.history.user(&turn.text);
        self.generation += 1;
        let (id, misfit) = (format!("key-{}", self.generation), self.key_misfits.get(&name).cloned());
        let call = ToolCall { id, name, arguments: "{}".to_owned(), misfit };
        self.history.assistant("", vec![call.clone()]);
        self.rounds = 0;
        self.run_tools(now, &[call], false);
    }

    pub(super) fn run_tools(&mut self, now: Instant, calls: &[ToolCall], said_something: bool) {
        let mut end = None;
        let mut filler = None;
        let mut transfer = None;
        let transfers = self.brief.agent.transfers();
        for call in calls {
            let action = self.abilities(&transfers).action(call);
            let result = match action {
                Action::EndCall { farewell } => {
                    end = Some(farewell);
                    "the call ends".to_owned()
                }
                Action::SendDigits { digits } => {
                    let result = format!("pressed {digits}");
                    self.output(Output::SendDigits(digits));
                    result
                }
                Action::Transfer { destination, briefing } if transfer.is_none() => {
                    let one = &transfers.destinations[destination];
                    let Some(target) = Target::parse(&one.target) else { continue };
                    let (mode, id) = (one.mode.unwrap_or(transfers.mode), Some(call.id.clone()));
                    transfer = Some(Transfer::new(one.name.clone(), target, mode, briefing, id));
                    self.tools.waiting.push(call.clone());
                    self.history.tool(&call.id, NOT_YET);
                    continue;
                }
                Action::Transfer { .. } => "error: the caller can be put through to one destination only".to_owned(),
                Action::LeaveVoicemail { message } => {
                    self.leave_voicemail(now, message);
                    "the message is left after the beep, and the call ends".to_owned()
                }
                Action::Custom { is_async, filler: words } => {
                    self.output(Output::CallTool { call: call.clone(), is_async });
                    if !is_async {
                        self.tools.waiting.push(call.clone());
                        self.history.tool(&call.id, NOT_YET);
                        filler = filler.or(words);
                        continue;
                    }
                    STARTED.to_owned()
                }
                Action::Invalid(why) => format!("error: {why}"),
            };
            self.history.tool(&call.id, &result);
            self.engine_result(&call.id, &result);
            self.record_tool(now, &call.name, &result);
        }
        if self.mailbox.is_some() || !self.is_talking() {
            return;
        }
        if let Some(transfer) = transfer {
            return self.transfer(now, transfer, said_something);
        }
        match end {
            Some(Some(farewell)) if !said_something => self.say(now, &farewell, Then::HangUp(EndReason::AgentHungUp)),
            Some(_) => self.handle_command(now, EndReason::AgentHungUp),
            None if self.tools.is_waiting() => {
                let new = |words: &String| {
                    !said_something && !words.trim().is_empty() && Some(words) != self.last_filler.as_ref()
                };
                match filler.filter(new) {
                    Some(words) => self.say_meanwhile(now, words),
                    None => self.arm_filler(now),
                }
            }
            None => self.next_round(now),
        }
    }

    /// Says something while tools run.
    pub(super) fn say_meanwhile(&mut self, now: Instant, words: String) {
        self.history.said_meanwhile(&words);
        self.say(now, &words, Then::Listen);
        if let Some(reply) = &mut self.reply {
            reply.is_filler = true;
            if !self.brief.agent.turn().tool_speech_interruptible {
                self.protect();
            }
        }
        self.last_filler = Some(words);
    }

    /// Filler timeout: a tool or the LLM takes too long.
    pub(super) fn fill(&mut self, now: Instant) {
        let Some(words) = self.next_filler().filter(|_| self.is_talking()) else { return };
        if let Some(reply) = self.reply.as_mut().filter(|reply| !reply.canned && !reply.has_words()) {
            let generation = reply.generation;
            let Some((index, text)) = reply.fill(&words) else { return };
            self.last_filler = Some(words);
            self.output(Output::Speak { piece: PieceId { generation, index }, text });
        } else if self.reply.is_none() && self.tools.is_waiting() && !self.endpoint.is_speaking() {
            self.say_meanwhile(now, words);
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
            self.timers.set(Timer::Filler, now + after);
        }
    }

    /// A tool has answered or failed; the text is for the LLM.
    pub fn handle_tool_result(&mut self, now: Instant, id: &str, result: &str) {
        let Some(index) = self.tools.waiting.iter().position(|call| call.id == id) else { return };
        let call = self.tools.waiting.remove(index);
        if !self.history.replace_tool(id, result) {
            self.history.note(format!("The tool {} answered: {result}", call.name));
        }
        self.engine_result(id, result);
        self.record_tool(now, &call.name, result);
        if !self.history.ends_with_tool() {
            // The conversation moved on: the LLM is told at its present state.
            self.tools.news.push(format!("The tool {} answered: {result}", call.name));
        }
        self.tools.unread = true;
        self.read_results(now);
    }

    /// Requests a response when a result came and nobody is speaking. Otherwise the result waits in the history for the
    /// next request.
    pub(super) fn read_results(&mut self, now: Instant) {
        let quiet = self.phase == Phase::Talking
            && self.reply.is_none()
            && self.waiting_turn.is_none()
            && !self.endpoint.is_speaking()
            && self.endpoint.words().is_empty();
        if self.tools.unread && quiet && !self.tools.is_waiting() {
            self.next_round(now);
        }
    }

    fn next_round(&mut self, now: Instant) {
        if self.rounds < ROUNDS_MAX {
            self.rounds += 1;
            let news = std::mem::take(&mut self.tools.news).join("\n");
            self.ask(now, Some(news.as_str()).filter(|news| !news.is_empty()));
        } else {
            self.arm_silence(now);
        }
    }

    pub(super) fn record_tool(&mut self, now: Instant, name: &str, result: &str) {
        let (number, at_ms) = (self.transcript.open(), self.ms(now));
        let turn = Turn {
            role: Role::Tool,
            content: format!("{name}: {result}"),
            started_at_ms: at_ms,
            ended_at_ms: at_ms,
            interrupted: false,
            confidence: None,
        };
        self.record(number, turn);
    }
}
