//! The tools of a call: what servers offer, which results are waited for, and whether the LLM has read those that came.

use std::collections::HashMap;
use trunkline_domain::agent_handover::HandoverHistory;
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Rounds of tool results before the caller gets a turn.
const ROUNDS_MAX: u32 = 5;

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
    /// Calls whose results are waited for.
    pub(super) waiting: Vec<ToolCall>,
    /// Calls of an earlier agent: their results are told when they come, and nobody waits for them.
    pub(super) inherited: Vec<InheritedCall>,
    /// A result has come that the LLM has not read.
    pub(super) has_unread: bool,
    /// Results that arrived after the conversation moved on.
    late_results: Vec<String>,
    /// Rounds of results since the caller's last turn.
    rounds: u32,
}

impl Toolbox {
    /// Another agent has the call: it has tools of its own. Calls of the one before it go on.
    pub(super) fn change_agent(&mut self, handover_id: &str, history: HandoverHistory) {
        let goes_on = std::mem::take(self);
        let running = goes_on.waiting.into_iter().filter(|call| call.id != handover_id);
        let tells_agent = history != HandoverHistory::None;
        // What an agent must not know, the one after it does not learn either.
        let before = goes_on
            .inherited
            .into_iter()
            .map(|one| InheritedCall { tells_agent: one.tells_agent && tells_agent, ..one });
        self.inherited = before.chain(running.map(|call| InheritedCall { call, tells_agent })).collect();
        let dropped = self.inherited.len().saturating_sub(INHERITED_MAX);
        self.inherited.drain(..dropped);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
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

    /// Starts a round of results, unless the caller is due; returns what the LLM is told about late ones.
    pub(super) fn next_round(&mut self) -> Option<String> {
        if self.rounds >= ROUNDS_MAX {
            return None;
        }
        self.rounds += 1;
        Some(std::mem::take(&mut self.late_results).join("\n"))
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
