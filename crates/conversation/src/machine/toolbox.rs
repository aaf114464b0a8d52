//! The tools of a call: what servers offer, which results are waited for, and whether the LLM has read those that came.

use super::fillers::ToolWords;
use std::collections::HashMap;
use trunkline_domain::chat::{ToolCall, ToolOffer};

/// Rounds of tool results before the caller gets a turn.
const ROUNDS_MAX: u32 = 5;

/// Offers, calls and results of tools.
#[derive(Debug, Default)]
pub(super) struct Toolbox {
    /// Tools that servers offer.
    pub(super) remote: Vec<ToolOffer>,
    /// Tools that DTMF cannot call, and why.
    pub(super) dtmf_errors: HashMap<String, String>,
    /// Calls whose results are waited for.
    pub(super) waiting: Vec<ToolCall>,
    /// What the caller has heard about them.
    pub(super) words: ToolWords,
    /// A result has come that the LLM has not read.
    pub(super) has_unread: bool,
    /// Results that arrived after the conversation moved on.
    late_results: Vec<String>,
    /// Rounds of results since the caller's last turn.
    rounds: u32,
}

impl Toolbox {
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A tool works; its result follows.
    pub(super) fn wait_for(&mut self, call: ToolCall) {
        if self.waiting.is_empty() {
            self.words = ToolWords::default();
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
