//! A turn of the caller: a value, a correction, something they want, or a question.

use super::matching::{best, content_words};
use super::position::{Position, Run, Step};
use super::prepared::{FlowDialogue, FlowRole, Intent};
use super::values::SlotValue;
use crate::dialogue::backchannel::is_call_opening;
use crate::dialogue::phrases::value_phrases;
use crate::dialogue::spoken::answers::{without_denial, yes_no};
use crate::dialogue::spoken::asides::meant;
use crate::dialogue::spoken::read_back::{confirmation, noted};
use trunkline_domain::flow::{FlowAsk, FlowMenu, FlowSlot, FlowSlotType, FlowState};

/// A turn, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeardTurn<'a> {
    pub(super) text: &'a str,
    /// Passage of the documents that answers it.
    pub(super) answer: Option<&'a str>,
    /// Names of the tools that can be called.
    pub(super) offered: &'a [String],
}

impl<'a> HeardTurn<'a> {
    /// The keys that were pressed.
    fn keys(self) -> Option<&'a str> {
        self.text.strip_prefix("[DTMF ").and_then(|rest| rest.strip_suffix(']'))
    }

    /// Keys count as said.
    fn words(self) -> &'a str {
        self.keys().unwrap_or(self.text)
    }
}

/// What comes of trying to understand a turn in one way.
type Understood = Option<Step>;

impl FlowDialogue {
    /// Goes on by a turn of the caller. Every turn has an answer.
    pub(super) fn hear(&self, run: &Run, turn: HeardTurn<'_>) -> Step {
        match &run.at {
            Position::Before => self.first_turn(run, turn),
            Position::Menu { state, tries } => self.menu_turn(run, turn, state, *tries),
            Position::Asking { state, tries } => self.slot_turn(run, turn, state, *tries),
            Position::Confirming { state, value, tries } => self.confirmation_turn(run, turn, (state, value, *tries)),
            Position::Calling { state, has_begun } => self.turn_before_call(run, turn, state, *has_begun),
        }
    }

    /// The flow begins with this turn: what it says already is not asked again.
    fn first_turn(&self, run: &Run, turn: HeardTurn<'_>) -> Step {
        let mut begun = self.begin(run, turn.offered);
        if !self.hears_first_turn() || matches!(begun.run.at, Position::Calling { .. }) {
            return begun;
        }
        // The greeting has asked already what the caller wants.
        begun.run.is_heard = self.role == FlowRole::Agent && matches!(begun.run.at, Position::Menu { .. });
        let mut answered = self.hear(&begun.run, turn);
        answered.said.splice(0..0, begun.said);
        answered
    }

    fn menu_turn(&self, run: &Run, turn: HeardTurn<'_>, name: &str, tries: u8) -> Step {
        let Some(FlowState::Menu(menu)) = self.states.get(name) else { return self.begin(run, turn.offered) };
        if let Some(step) = self.repeated(run, turn) {
            return step;
        }
        let choice = turn.keys().and_then(|keys| menu.choices.iter().find(|one| one.key.as_deref() == Some(keys)));
        if let Some(choice) = choice {
            return self.go(run, &choice.next, turn);
        }
        let understood =
            self.correction(run, turn).or_else(|| self.wish(run, turn, Some(menu))).or_else(|| self.faq(run, turn));
        // Tries are counted in a row.
        let understood = understood.map(|mut step| {
            if let Position::Menu { tries, .. } = &mut step.run.at {
                *tries = 0;
            }
            step
        });
        understood.unwrap_or_else(|| {
            let mut step = Step::from(run);
            if run.is_heard && !is_call_opening(turn.text, &self.context.language) {
                if tries + 1 >= menu.tries() {
                    return self.go(run, &menu.exhausted, turn);
                }
                step.run.at = Position::Menu { state: name.to_owned(), tries: tries + 1 };
                self.ask(&mut step, menu.reask.as_ref().unwrap_or(&menu.question));
            }
            step
        })
    }

    fn slot_turn(&self, run: &Run, turn: HeardTurn<'_>, name: &str, tries: u8) -> Step {
        let Some((ask, slot)) = self.asked(name) else { return self.begin(run, turn.offered) };
        if let Some(step) = self.repeated(run, turn).or_else(|| self.correction(run, turn)) {
            return step;
        }
        let takes_anything = matches!(slot.r#type, FlowSlotType::Text | FlowSlotType::Name);
        let is_question = self.words.is_question(turn.text) && slot.r#type != FlowSlotType::Text;
        let first = |of: bool| {
            of.then(|| self.wish(run, turn, None).or_else(|| self.faq(run, turn).filter(|_| is_question))).flatten()
        };
        if let Some(step) = first(is_question || matches!(slot.r#type, FlowSlotType::Name | FlowSlotType::YesNo)) {
            return step;
        }
        // Who has not heard the question has not answered it, unless it is plain that they have.
        let value = self.read(slot, turn.words()).filter(|_| run.is_heard || !takes_anything);
        let understood = value.map(|value| self.fill(run, turn, (name, ask, slot), value, tries));
        let understood = understood.or_else(|| self.wish(run, turn, None).filter(|_| !takes_anything));
        understood.or_else(|| self.faq(run, turn).filter(|_| !takes_anything)).unwrap_or_else(|| {
            if !run.is_heard {
                return Step::from(run);
            }
            let phrases = value_phrases(&self.context.spoken_language);
            let spells = matches!(slot.r#type, FlowSlotType::Email | FlowSlotType::Name | FlowSlotType::Code);
            let by_default = if spells { phrases.spell } else { phrases.again };
            self.ask_again(run, turn, (name, ask, slot), tries, by_default)
        })
    }

    /// The state that asks, and what for.
    fn asked(&self, name: &str) -> Option<(&FlowAsk, &FlowSlot)> {
        let Some(FlowState::Ask(ask)) = self.states.get(name) else { return None };
        Some((ask, self.slots.get(&ask.slot)?))
    }

    /// Asks for the slot once more, or gives up.
    fn ask_again(
        &self, run: &Run, turn: HeardTurn<'_>, (name, ask, slot): (&str, &FlowAsk, &FlowSlot), tries: u8, words: &str,
    ) -> Step {
        if tries + 1 >= slot.tries() {
            return self.go(run, &ask.exhausted, turn);
        }
        let mut step = Step::from(run);
        self.ask(&mut step, slot.reask.as_deref().unwrap_or(words));
        step.run.at = Position::Asking { state: name.to_owned(), tries: tries + 1 };
        step
    }

    /// There is a value: it is read back, or used.
    fn fill(
        &self, run: &Run, turn: HeardTurn<'_>, (name, ask, slot): (&str, &FlowAsk, &FlowSlot), value: SlotValue,
        tries: u8,
    ) -> Step {
        if slot.is_confirmed() {
            let mut step = Step::from(run);
            step.run.question = confirmation(&value.read_back(&self.context), &self.context.spoken_language);
            step.run.at = Position::Confirming { state: name.to_owned(), value, tries };
            return step;
        }
        self.accept(run, turn, (name, ask), value)
    }

    fn accept(&self, run: &Run, turn: HeardTurn<'_>, (name, ask): (&str, &FlowAsk), value: SlotValue) -> Step {
        let mut step = Step::from(run);
        step.run.slots.insert(ask.slot.clone(), value);
        step.run.filled = Some(name.to_owned());
        self.enter(&mut step, &ask.next, turn.offered);
        step
    }

    fn confirmation_turn(&self, run: &Run, turn: HeardTurn<'_>, (name, value, tries): (&str, &SlotValue, u8)) -> Step {
        let Some((ask, slot)) = self.asked(name) else { return self.begin(run, turn.offered) };
        if let Some(step) = self.repeated(run, turn) {
            return step;
        }
        let answer = match turn.keys() {
            Some("1") => Some(true),
            Some("2") => Some(false),
            _ => yes_no(turn.text, &self.context.language),
        };
        let rest = meant(turn.text, &self.context.language)
            .unwrap_or_else(|| without_denial(turn.words(), &self.context.language));
        let takes_anything = matches!(slot.r#type, FlowSlotType::Text | FlowSlotType::Name);
        let other = self.read(slot, &rest).filter(|_| !takes_anything || answer == Some(false));
        let phrases = value_phrases(&self.context.spoken_language);
        let again = |words: &str| self.ask_again(run, turn, (name, ask, slot), tries, words);
        match (answer, other) {
            (_, Some(other)) if other != *value && answer != Some(true) => {
                if tries + 1 >= slot.tries() {
                    return self.go(run, &ask.exhausted, turn);
                }
                self.fill(run, turn, (name, ask, slot), other, tries + 1)
            }
            // What was not heard was not agreed to.
            (Some(true), _) if !run.is_heard => Step::from(run),
            (Some(true), _) => self.accept(run, turn, (name, ask), value.clone()),
            (None, Some(_)) => self.accept(run, turn, (name, ask), value.clone()),
            (Some(false), _) => again(phrases.wrong),
            (None, None) => self.wish(run, turn, None).or_else(|| self.faq(run, turn)).unwrap_or_else(|| {
                if !run.is_heard {
                    return Step::from(run);
                }
                if tries + 1 >= slot.tries() {
                    return self.go(run, &ask.exhausted, turn);
                }
                let mut step = Step::from(run);
                phrases.confirm.clone_into(&mut step.run.question);
                let (state, value) = (name.to_owned(), value.clone());
                step.run.at = Position::Confirming { state, value, tries: tries + 1 };
                step
            }),
        }
    }

    /// The caller speaks before a call was made, or while its result is awaited.
    fn turn_before_call(&self, run: &Run, turn: HeardTurn<'_>, name: &str, has_begun: bool) -> Step {
        let mut step = Step::from(run);
        if has_begun {
            step.said.push(self.phrases.still_working.to_owned());
            return step;
        }
        if let Some(step) = self.correction(run, turn).or_else(|| self.wish(run, turn, None)) {
            return step;
        }
        let state = self.states.get(name);
        if let Some(FlowState::Transfer(transfer)) = state
            && yes_no(turn.text, &self.context.language) == Some(false)
        {
            return self.go(run, &transfer.failed, turn);
        }
        step.said.extend(turn.answer.map(|answer| self.filled(answer, &run.slots, false)));
        self.enter(&mut step, name, turn.offered);
        step
    }

    fn go(&self, run: &Run, state: &str, turn: HeardTurn<'_>) -> Step {
        let mut step = Step::from(run);
        self.enter(&mut step, state, turn.offered);
        step
    }

    /// "What?": the question again. It is no try.
    fn repeated(&self, run: &Run, turn: HeardTurn<'_>) -> Understood {
        self.words.asks_to_repeat(turn.text).then(|| Step::from(run))
    }

    /// What the caller wants, by the intents of the menu and those that work everywhere.
    fn wish(&self, run: &Run, turn: HeardTurn<'_>, menu: Option<&FlowMenu>) -> Understood {
        let words = content_words(turn.text, &self.context.language);
        let next_of = |intent: &Intent| {
            let choices = menu.into_iter().flat_map(|menu| &menu.choices);
            let choice =
                choices.filter(|one| one.intent.as_deref() == Some(intent.name.as_str())).map(|one| one.next.clone());
            choice.chain(intent.next.clone()).next()
        };
        let usable = self.intents.iter().filter(|intent| intent.answer.is_some() || next_of(intent).is_some());
        let (intent, _) = best(&words, usable.map(|intent| (intent, intent.phrases.as_slice())))?;
        if let Some(next) = next_of(intent) {
            return Some(self.go(run, &next, turn));
        }
        let mut step = Step::from(run);
        self.say(&mut step, intent.answer.as_ref()?);
        Some(step)
    }

    /// A question that the documents answer; then the last question comes again.
    fn faq(&self, run: &Run, turn: HeardTurn<'_>) -> Understood {
        let mut step = Step::from(run);
        self.say(&mut step, turn.answer?);
        Some(step)
    }

    /// "No, I meant 42": the slot that was filled last has another value, and the flow goes on from there once more.
    fn correction(&self, run: &Run, turn: HeardTurn<'_>) -> Understood {
        let name = run.filled.as_deref()?;
        let (ask, slot) = self.asked(name)?;
        let rest = match meant(turn.text, &self.context.language) {
            Some(meant) => meant,
            None if matches!(slot.r#type, FlowSlotType::Text | FlowSlotType::Name | FlowSlotType::YesNo) => {
                return None;
            }
            None => {
                let rest = without_denial(turn.text, &self.context.language);
                (rest.trim() != turn.text.trim() && !rest.is_empty()).then_some(rest)?
            }
        };
        let value = self.read(slot, &rest)?;
        let mut step = Step::from(run);
        step.said.push(noted(&value.said(&self.context), &self.context.spoken_language));
        step.run.slots.insert(ask.slot.clone(), value);
        self.enter(&mut step, &ask.next, turn.offered);
        Some(step)
    }
}
