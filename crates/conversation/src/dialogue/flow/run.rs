//! Where a conversation stands in a flow, and how it goes from state to state until somebody else has the next word.

use super::calls::FlowCall;
use super::values::SlotValue;
use super::{FlowDialogue, FlowRole};
use crate::dialogue::phrases::phrases;
use std::collections::BTreeMap;
use trunkline_domain::flow::{FlowState, FlowTransfer};
use trunkline_domain::template::{SLOTS, TemplateReport, TemplateUse, TemplateValues, fill};

/// States that are entered in one turn. A checked flow cannot go round, so this is only for one that was not.
const STATES_MAX: usize = 200;
/// Texts that were not heard and are still to be said.
const OWED_MAX: usize = 3;

/// Who has the next word, and about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Nothing was said yet.
    Before,
    /// The caller was asked what they want.
    Menu { state: String, tries: u8 },
    /// The caller was asked for a slot.
    Asking { state: String, tries: u8 },
    /// The caller was asked whether a value is right.
    Confirming { state: String, value: SlotValue, tries: u8 },
    /// A tool was called, or is to be called once the words before it were heard.
    Calling { state: String, has_begun: bool },
}

/// A conversation in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) at: Position,
    pub(super) slots: BTreeMap<String, SlotValue>,
    /// The state that asked for the slot that was filled last: what a correction is about.
    pub(super) filled: Option<String>,
    /// The last question, to be asked again.
    pub(super) question: String,
    /// The caller heard most of the last question.
    pub(super) is_heard: bool,
    /// What a tool brought and the caller has not heard.
    pub(super) owed: Vec<String>,
}

/// A conversation that went on by one turn or result, and what is said and done for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) run: Run,
    pub(super) said: Vec<String>,
    pub(super) call: Option<FlowCall>,
}

impl Run {
    pub(super) fn new() -> Self {
        Self {
            at: Position::Before,
            slots: BTreeMap::new(),
            filled: None,
            question: String::new(),
            is_heard: true,
            owed: Vec::new(),
        }
    }
}

impl Step {
    /// Begins with what the caller has not heard.
    pub(super) fn from(run: &Run) -> Self {
        let mut run = run.clone();
        let said = std::mem::take(&mut run.owed);
        run.is_heard = false;
        Self { run, said, call: None }
    }

    /// Everything that is said, the question last.
    pub(super) fn text(&self) -> String {
        let asks = !matches!(self.run.at, Position::Calling { .. } | Position::Before);
        let question = Some(self.run.question.as_str()).filter(|question| asks && !question.is_empty());
        let said = self.said.iter().map(String::as_str).filter(|text| !text.is_empty());
        said.chain(question).collect::<Vec<_>>().join(" ")
    }

    /// The run if nothing of this was heard: what a tool brought is said later.
    pub(super) fn unheard(mut self, owes: bool) -> Run {
        if owes {
            self.said.truncate(OWED_MAX);
            self.run.owed = self.said;
        }
        self.run.is_heard = false;
        self.run
    }
}

/// Values for the texts of a flow.
struct SlotTexts<'a> {
    dialogue: &'a FlowDialogue,
    slots: &'a BTreeMap<String, SlotValue>,
    /// For tools: as they are written, not as they are said.
    is_written: bool,
}

impl TemplateValues for SlotTexts<'_> {
    fn value(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix(SLOTS)?;
        let value = self.slots.get(name);
        let text = |value: &SlotValue| match self.is_written {
            true => value.written(),
            false => value.said(&self.dialogue.context),
        };
        Some(value.map(text).unwrap_or_default())
    }
}

impl FlowDialogue {
    /// A text with its slots filled in.
    pub(super) fn filled(&self, text: &str, slots: &BTreeMap<String, SlotValue>, is_written: bool) -> String {
        let values = SlotTexts { dialogue: self, slots, is_written };
        fill(text, TemplateUse::Text, &values, &mut TemplateReport::default())
    }

    pub(super) fn say(&self, step: &mut Step, text: &str) {
        let text = self.filled(text, &step.run.slots, false);
        step.said.push(text);
    }

    pub(super) fn ask(&self, step: &mut Step, question: &str) {
        step.run.question = self.filled(question, &step.run.slots, false);
    }

    /// Enters a state, and those behind it that need nobody else.
    pub(super) fn enter(&self, step: &mut Step, state: &str, offered: &[String]) {
        let mut name = state;
        for _ in 0..STATES_MAX {
            let Some(state) = self.states.get(name) else { break };
            match self.pass(step, name, state, offered) {
                Some(next) => name = next,
                None => return,
            }
        }
        // An agent that was saved before flows were checked like this: the caller has the next word.
        step.run.at = Position::Menu { state: name.to_owned(), tries: 0 };
    }

    /// Enters one state; returns the next one, unless it waits.
    fn pass<'a>(&'a self, step: &mut Step, name: &'a str, state: &'a FlowState, offered: &[String]) -> Option<&'a str> {
        match state {
            FlowState::Menu(menu) => {
                self.ask(step, &menu.question);
                step.run.at = Position::Menu { state: name.to_owned(), tries: 0 };
                None
            }
            FlowState::Ask(ask) => {
                if !ask.asks_again() && step.run.slots.contains_key(&ask.slot) {
                    return Some(&ask.next);
                }
                let question = self.slots.get(&ask.slot).map_or("", |slot| slot.question.as_str());
                self.ask(step, question);
                step.run.at = Position::Asking { state: name.to_owned(), tries: 0 };
                None
            }
            FlowState::Say(say) => {
                self.say(step, &say.text);
                Some(&say.next)
            }
            FlowState::Branch(branch) => {
                let value = step.run.slots.get(&branch.slot).map(SlotValue::written);
                Some(value.and_then(|value| branch.cases.get(&value)).unwrap_or(&branch.otherwise))
            }
            FlowState::Tool(tool) => {
                if !offered.contains(&tool.tool) {
                    return Some(&tool.failed);
                }
                tool.text.iter().for_each(|text| self.say(step, text));
                self.call(step, name, self.tool_call(&step.run, tool));
                None
            }
            FlowState::Transfer(transfer) => {
                let call = self.transfer_call(&step.run, transfer);
                if !offered.contains(&call.name) {
                    return Some(&transfer.failed);
                }
                self.say_transfer(step, transfer);
                self.call(step, name, call);
                None
            }
            FlowState::End(end) => {
                self.say(step, &end.text);
                self.call(step, name, FlowCall::end());
                None
            }
            // Three questions stand in its place.
            FlowState::TakeMessage(message) => Some(&message.next),
        }
    }

    fn say_transfer(&self, step: &mut Step, transfer: &FlowTransfer) {
        let own = transfer.text.as_deref();
        self.say(step, own.unwrap_or(phrases(&self.context.spoken_language).connecting));
    }

    fn call(&self, step: &mut Step, state: &str, call: FlowCall) {
        step.call = Some(call);
        step.run.at = Position::Calling { state: state.to_owned(), has_begun: false };
    }

    /// The first words. An agent is asked for them by the caller's first turn, or has to greet by itself.
    pub(super) fn begin(&self, run: &Run, offered: &[String]) -> Step {
        let mut step = Step::from(run);
        self.enter(&mut step, &self.start, offered);
        step
    }

    /// Says once more that no model can be reached, and asks again.
    pub(super) fn come_back(&self, run: &Run) -> Step {
        let mut step = Step::from(run);
        step.said.insert(0, self.phrases.sorry.to_owned());
        step
    }

    /// Whether the caller's first turn is for this flow.
    pub(super) fn hears_first_turn(&self) -> bool {
        self.role != FlowRole::StandIn
    }
}
