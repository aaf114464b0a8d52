//! Where a conversation stands, from its messages: each turn is answered once more, and what the caller heard of each
//! answer says whether it counts.

use super::faq::FaqFound;
use super::position::{Position, Run, Step};
use super::prepared::{FlowAnswer, FlowDialogue, FlowRole};
use super::turns::HeardTurn;
use crate::dialogue::built_in_tools::BuiltInTool;
use std::collections::BTreeMap;
use trunkline_domain::chat::{ChatMessage, ToolOffer};
use trunkline_domain::flow::FlowState;

/// Letters of its first words by which a flow is known that stands in for a model.
const BEGINNING_BYTES_MIN: usize = 16;

/// An answer that is given, and has not been heard yet.
#[derive(Clone, Debug)]
struct Given {
    step: Step,
    /// It is about the result of a tool.
    brings_result: bool,
}

/// Where a conversation stands after some of its messages.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    run: Run,
    given: Option<Given>,
    /// The last answer that was heard, squeezed, and its heard part.
    last: (String, String),
    /// Something was said that is not of this flow.
    strayed: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self { run: Run::new(), given: None, last: (String::new(), String::new()), strayed: false }
    }
}

/// A conversation that is gone through.
struct Replay<'a> {
    dialogue: &'a FlowDialogue,
    found: &'a FaqFound,
    offered: Vec<String>,
    at: Standing,
}

/// Letters and digits alone: marks and blanks differ between what is given and what is written down.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Replay<'_> {
    fn go_through(&mut self, messages: &[ChatMessage]) {
        for message in messages {
            match message {
                ChatMessage::System(_) => {}
                ChatMessage::User(text) => self.turn(text),
                ChatMessage::Assistant { content, .. } => self.heard(content),
                ChatMessage::Tool { content, .. } => self.result(content),
            }
        }
    }

    fn turn(&mut self, text: &str) {
        self.settle_unheard();
        let answer = self.dialogue.faq_answer(text, self.found);
        let turn = HeardTurn { text, answer, offered: &self.offered };
        let is_lost = self.at.strayed && self.at.run.at != Position::Before;
        let step = match is_lost && self.dialogue.role == FlowRole::StandIn {
            // The turn answers what the model has said.
            true => self.dialogue.come_back(&self.at.run, &self.offered),
            false => self.dialogue.hear(&self.at.run, turn),
        };
        self.at.given = Some(Given { step, brings_result: false });
    }

    fn result(&mut self, content: &str) {
        self.settle_heard();
        let step = self.dialogue.result(&mut self.at.run, content, &self.offered);
        self.at.given = step.map(|step| Given { step, brings_result: true });
    }

    /// The caller spoke before anything of the answer was heard.
    fn settle_unheard(&mut self) {
        let Some(given) = self.at.given.take() else { return };
        if self.dialogue.role == FlowRole::Agent || self.at.run.at != Position::Before {
            self.at.run = given.step.unheard(given.brings_result || !self.at.run.owed.is_empty());
        }
    }

    /// A tool was called after the answer, so it was heard, if it had words.
    fn settle_heard(&mut self) {
        if let Some(given) = self.at.given.take() {
            self.at.run = given.step.run;
            self.at.run.is_heard = true;
        }
    }

    /// Words of the agent, as far as the caller heard them.
    fn heard(&mut self, content: &str) {
        let content = squeezed(content);
        let Some(given) = self.at.given.take() else {
            // A remainder after a pause, or something scripted.
            if self.at.last.0.len() > self.at.last.1.len() && self.at.last.0.ends_with(&content) {
                self.at.last.1 = self.at.last.0.clone();
                self.at.run.is_heard = true;
            }
            return;
        };
        let whole = squeezed(&given.step.text());
        let is_ours = self.is_ours(&whole, &content);
        match self.dialogue.role {
            FlowRole::Fallback | FlowRole::StandIn if !is_ours => self.stray(),
            // Another agent of the call has said this.
            FlowRole::Agent if !is_ours && self.at.run.at == Position::Before => {}
            _ if is_ours => {
                let question = squeezed(&given.step.run.question);
                self.at.run = given.step.run;
                self.at.run.is_heard = 2 * whole.len().saturating_sub(content.len()) <= question.len();
                self.at.last = (whole, content);
                self.at.strayed = false;
            }
            FlowRole::Agent | FlowRole::Fallback | FlowRole::StandIn => {
                self.at.run = given.step.unheard(given.brings_result || !self.at.run.owed.is_empty());
                self.at.run.is_heard = !content.is_empty();
            }
        }
    }

    /// Whether words are those that are to be said, or their beginning. Markup that is not said may be missing from them.
    fn is_ours(&self, whole: &str, content: &str) -> bool {
        if content.is_empty() {
            return whole.is_empty();
        }
        let common = whole.bytes().zip(content.bytes()).take_while(|(one, other)| one == other).count();
        match (self.dialogue.role, &self.at.run.at) {
            (FlowRole::Agent, _) => 2 * common >= content.len(),
            // A model may be sorry too.
            (_, Position::Before) => common == content.len() && common >= BEGINNING_BYTES_MIN.min(whole.len()),
            _ => common == content.len(),
        }
    }

    /// The model is there again: what it says is not of this flow, which goes on where it was if the model fails again.
    fn stray(&mut self) {
        self.at.run.is_heard = false;
        self.at.strayed = true;
    }

    /// What is to be said at the end of the messages.
    fn answer(self) -> Step {
        match self.at.given {
            Some(given) => given.step,
            None if self.at.run.at == Position::Before => self.dialogue.begin(&self.at.run, &self.offered),
            // Nobody said anything new: what was not heard, and the question once more.
            None => match &self.at.run.at {
                Position::Calling { state, has_begun: false } => {
                    let mut step = Step::from(&self.at.run);
                    self.dialogue.enter(&mut step, state, &self.offered);
                    step
                }
                Position::Calling { .. } => Step { run: self.at.run.clone(), said: Vec::new(), call: None },
                _ => Step::from(&self.at.run),
            },
        }
    }
}

impl FlowDialogue {
    /// The answer to a conversation; `messages` are what a model would get, `tools` what it could call.
    pub fn answer(&self, messages: &[ChatMessage], tools: &[ToolOffer], found: &FaqFound) -> FlowAnswer {
        self.answer_after(&Standing::default(), messages, tools, found)
    }

    /// The same for the rest of a conversation.
    pub(super) fn answer_after(
        &self, before: &Standing, messages: &[ChatMessage], tools: &[ToolOffer], found: &FaqFound,
    ) -> FlowAnswer {
        let replay = self.replay(before, messages, names(tools), found);
        let step = replay.answer();
        let text = step.text();
        // Ids differ from message to message: a result belongs to one call.
        let id = format!("flow-{}", messages.len());
        let calls = step.call.iter().map(|call| call.tool_call(id.clone(), tools)).collect();
        FlowAnswer { text, calls }
    }

    /// Where a conversation stands after further messages.
    pub(super) fn stand_after(
        &self, before: &Standing, messages: &[ChatMessage], tools: &[ToolOffer], found: &FaqFound,
    ) -> Standing {
        self.replay(before, messages, names(tools), found).at
    }

    /// What a conversation has filled slots with, as it is written. Empty if the flow was never heard.
    pub fn collected(&self, messages: &[ChatMessage], found: &FaqFound) -> BTreeMap<String, String> {
        let offered = self.states.values().filter_map(|state| match state {
            FlowState::Tool(tool) => Some(tool.tool.clone()),
            _ => None,
        });
        let offered = offered.chain([BuiltInTool::TransferCall.name().to_owned()]).collect();
        let mut replay = self.replay(&Standing::default(), messages, offered, found);
        // The last words of a call are followed by its end, heard or not.
        replay.settle_unheard();
        replay.at.run.slots.iter().map(|(name, value)| (name.clone(), value.written())).collect()
    }

    fn replay<'a>(
        &'a self, before: &Standing, messages: &[ChatMessage], offered: Vec<String>, found: &'a FaqFound,
    ) -> Replay<'a> {
        let mut replay = Replay { dialogue: self, found, offered, at: before.clone() };
        replay.go_through(messages);
        replay
    }
}

fn names(tools: &[ToolOffer]) -> Vec<String> {
    tools.iter().map(|tool| tool.name.clone()).collect()
}
