//! The tools of a call: what servers offer, which results are waited for, and whether the LLM has read those that came.

use super::call_ids::CallIds;
use std::collections::HashMap;
use trunkline_domain::agent_handover::HandoverHistory;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Rounds of tool results before the caller gets a turn.
const ROUNDS_MAX: u32 = 5;

/// Then the model has to answer in words.
const LAST_ROUND: u32 = ROUNDS_MAX + 1;
/// And then it has had its chance.
const FIRST_REFUSAL: u32 = ROUNDS_MAX + 2;
const NO_MORE_TOOLS: &str = "You have called tools several times in a row. Call no further tool now: tell the caller what \
you have found out, or what you could not do.";

/// Calls of earlier agents that are remembered: far more than run at once.
const INHERITED_MAX: usize = 64;

/// A call of an earlier agent.
#[derive(Debug)]
pub(super) struct InheritedCall {
    pub(super) call: ToolCall,
    /// The present agent may know the result; else only the transcript has it.
    pub(super) tells_agent: bool,
}

/// Offers, calls and results of tools.
#[derive(Debug, Default)]
pub(super) struct Toolbox {
    /// Tools that servers offer.
    pub(super) remote: Vec<ToolOffer>,
    /// Tools that DTMF cannot call, and why.
    pub(super) dtmf_errors: HashMap<String, String>,
    /// Calls that run before the words that announce them were heard.
    started: Vec<StartedCall>,
    /// Calls whose results are waited for.
    pub(super) waiting: Vec<ToolCall>,
    /// Calls of an earlier agent: their results are told when they come, and nobody waits for them.
    pub(super) inherited: Vec<InheritedCall>,
    /// Phrases that the caller has heard about them.
    pub(super) phrases: usize,
    /// A result has come that the LLM has not read.
    pub(super) has_unread: bool,
    /// Results that arrived after the conversation moved on.
    late_results: Vec<String>,
    /// Rounds of results since the caller's last turn.
    rounds: u32,
    /// Ids of the call's tool calls, of all agents.
    pub(super) ids: CallIds,
    /// What answers of tools have set, of all agents.
    pub(super) variables: CallVariables,
}

/// Who reads the results of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ToolsRead {
    /// The model, with these words about late ones.
    Round(String),
    /// The model, which may call no tool.
    LastRound(String),
    /// Nobody: the caller is to say it again.
    Lost,
    /// Nobody, and the caller knows.
    CallersTurn,
}

/// A call that runs while the agent still announces it.
#[derive(Debug)]
pub(super) struct StartedCall {
    pub(super) call: ToolCall,
    /// Its result, if it came before the announcement was over.
    pub(super) result: Option<String>,
}

impl Toolbox {
    /// Another agent has the call: it has tools of its own. Calls of the one before it go on.
    pub(super) fn change_agent(&mut self, handover_id: &str, history: HandoverHistory) {
        let goes_on = std::mem::take(self);
        let announced = goes_on.started.into_iter().map(|started| started.call);
        let running = goes_on.waiting.into_iter().chain(announced).filter(|call| call.id != handover_id);
        let tells_agent = history != HandoverHistory::None;
        // What an agent must not know, the one after it does not learn either.
        let before = goes_on
            .inherited
            .into_iter()
            .map(|one| InheritedCall { tells_agent: one.tells_agent && tells_agent, ..one });
        (self.ids, self.variables) = (goes_on.ids, goes_on.variables);
        self.inherited = before.chain(running.map(|call| InheritedCall { call, tells_agent })).collect();
        let dropped = self.inherited.len().saturating_sub(INHERITED_MAX);
        self.inherited.drain(..dropped);
    }

    /// Records that a call runs already.
    pub(super) fn start(&mut self, call: &ToolCall) {
        self.started.push(StartedCall { call: call.clone(), result: None });
    }

    /// Keeps the result of a call that is still being announced; false if there is none with this id.
    pub(super) fn keep_result(&mut self, id: &str, result: &str) -> bool {
        let Some(started) = self.started.iter_mut().find(|started| started.call.id == id) else { return false };
        started.result = Some(result.to_owned());
        true
    }

    /// Takes a call that was started early.
    pub(super) fn take_started(&mut self, id: &str) -> Option<StartedCall> {
        let index = self.started.iter().position(|started| started.call.id == id)?;
        Some(self.started.remove(index))
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A tool works; its result follows.
    pub(super) fn wait_for(&mut self, call: ToolCall) {
        if self.waiting.is_empty() {
            self.phrases = 0;
        }
        self.waiting.push(call);
    }

    /// The LLM has been asked with all results.
    pub(super) fn mark_read(&mut self) {
        self.has_unread = false;
        self.late_results.clear();
    }

    /// The caller had a turn: tools may run again.
    pub(super) fn start_over(&mut self) {
        self.rounds = 0;
    }

    /// Starts a round of results. After the most of them the model is asked for words alone, and if it calls tools even
    /// then, nothing is asked any more until the caller's next turn.
    pub(super) fn next_round(&mut self) -> ToolsRead {
        self.rounds += 1;
        let late = if self.rounds <= ROUNDS_MAX + 1 { std::mem::take(&mut self.late_results) } else { Vec::new() };
        match self.rounds {
            1..=ROUNDS_MAX => ToolsRead::Round(late.join("\n")),
            LAST_ROUND => {
                let hint = late.iter().map(String::as_str).chain([NO_MORE_TOOLS]).collect::<Vec<_>>();
                ToolsRead::LastRound(hint.join("\n"))
            }
            FIRST_REFUSAL => ToolsRead::Lost,
            _ => {
                self.rounds = FIRST_REFUSAL;
                ToolsRead::CallersTurn
            }
        }
    }

    pub(super) fn add_late_result(&mut self, call: &ToolCall, result: &str) {
        self.late_results.push(answer(call, result));
    }
}

/// Takes the call with this id from those that wait for their results.
pub(super) fn take_call(waiting: &mut Vec<ToolCall>, id: &str) -> Option<ToolCall> {
    let index = waiting.iter().position(|call| call.id == id)?;
    Some(waiting.remove(index))
}

/// A result in words for the LLM.
pub(super) fn answer(call: &ToolCall, result: &str) -> String {
    format!("The tool {} answered: {result}", call.name)
}
