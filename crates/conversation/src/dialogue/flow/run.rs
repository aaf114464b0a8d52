//! How a conversation goes from state to state until somebody else has the next word.

use super::position::{FlowCall, Position, Run, Step};
use super::prepared::{FlowDialogue, FlowRole};
use super::values::SlotValue;
use crate::dialogue::phrases::phrases;
use trunkline_domain::flow::{FlowState, FlowTransfer};

/// States that are entered in one turn. A checked flow cannot go round, so this is only for one that was not.
const STATES_MAX: usize = 200;

impl FlowDialogue {
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
    pub(super) fn come_back(&self, run: &Run, offered: &[String]) -> Step {
        if matches!(run.at, Position::Calling { .. }) {
            return self.begin(run, offered);
        }
        let mut step = Step::from(run);
        step.said.insert(0, self.phrases.sorry.to_owned());
        step
    }

    /// Whether the caller's first turn is for this flow.
    pub(super) fn hears_first_turn(&self) -> bool {
        self.role != FlowRole::StandIn
    }
}
