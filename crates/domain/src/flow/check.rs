//! What is wrong with a flow, each fault with its place: refused when an agent is saved, so that no call finds out.

use super::document::{
    ARGUMENTS_MAX, CHOICES_MAX, DOCUMENTS_BYTES_MAX, DOCUMENTS_MAX, Flow, FlowAsk, FlowDocument, FlowIntent, FlowMenu,
    FlowSlot, FlowSlotType, FlowState, FlowTool, INTENTS_MAX, NAME_CHARS_MAX, PHRASE_CHARS_MAX, PHRASES_MAX, SLOTS_MAX,
    SPOKEN_CHARS_MAX, STATES_MAX, TRIES,
};
use crate::template::{self, TemplateUse};
use crate::tool_request::JsonPath;
use crate::{FAULTS_MAX, FieldError};
use garde::Validate;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Levels of a tool's arguments.
const ARGUMENTS_DEPTH_MAX: usize = 8;
/// Characters of a document's title.
const TITLE_CHARS_MAX: usize = 200;
/// Digits that a slot may ask for.
const DIGITS_MAX: u8 = 32;
/// Slots that `take_message` fills.
const OF_MESSAGES: [&str; 3] = ["message_name", "message_phone", "message_text"];

/// What the rest of the agent has for a flow.
#[derive(Clone, Debug, Default)]
pub struct FlowContext {
    /// Names of the agent's own functions.
    pub tools: Vec<String>,
    /// The agent has tool servers, whose tools are known in calls only.
    pub has_servers: bool,
    /// Names of the destinations of transfers.
    pub destinations: Vec<String>,
}

impl Validate for Flow {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> garde::Path, report: &mut garde::Report) {
        for FieldError { field, message } in self.check() {
            report.append(parent().join(field), garde::Error::new(message));
        }
    }
}

/// Faults, and the place that is being looked at.
#[derive(Debug, Default)]
struct Faults(Vec<FieldError>);

impl Faults {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(FieldError::new(field, message));
        }
    }

    /// A text that is said.
    fn text(&mut self, field: String, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        } else if text.chars().count() > SPOKEN_CHARS_MAX {
            self.add(field, format!("must have at most {SPOKEN_CHARS_MAX} characters"));
        } else if let Err(error) = template::check_said(text) {
            self.add(field, format!("is not a valid template: {error}"));
        }
    }

    fn optional_text(&mut self, field: String, text: Option<&String>) {
        if let Some(text) = text {
            self.text(field, text);
        }
    }

    fn name(&mut self, field: &str, name: &str) {
        if !is_name(name) {
            self.add(field, format!("must be named with 1 to {NAME_CHARS_MAX} letters, digits, _ or -"));
        }
    }

    fn tries(&mut self, field: String, tries: Option<u8>) {
        if tries.is_some_and(|tries| !TRIES.contains(&tries)) {
            self.add(field, format!("must be between {} and {}", TRIES.start(), TRIES.end()));
        }
    }

    fn at_most(&mut self, field: &str, count: usize, max: usize) {
        if count > max {
            self.add(field, format!("must have at most {max} entries"));
        }
    }

    fn phrases(&mut self, field: &str, phrases: &[String]) {
        self.at_most(field, phrases.len(), PHRASES_MAX);
        for (at, phrase) in phrases.iter().enumerate() {
            let is_said = phrase.chars().any(char::is_alphanumeric) && phrase.chars().count() <= PHRASE_CHARS_MAX;
            if !is_said {
                self.add(
                    format!("{field}[{at}]"),
                    format!("must have words, and at most {PHRASE_CHARS_MAX} characters"),
                );
            }
        }
    }
}

fn is_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_part)
}

impl Flow {
    /// What is wrong with it by itself; at most [`FAULTS_MAX`] faults.
    pub fn check(&self) -> Vec<FieldError> {
        let mut faults = Faults::default();
        faults.at_most("states", self.states.len(), STATES_MAX);
        faults.at_most("slots", self.slots.len(), SLOTS_MAX);
        faults.at_most("intents", self.intents.len(), INTENTS_MAX);
        if !faults.0.is_empty() {
            // The rest would take time for a document that is refused anyway.
            return faults.0;
        }
        if self.states.is_empty() {
            faults.add("states", "must have at least one state");
        }
        self.check_exit(&mut faults, "start", &self.start);
        for (name, state) in &self.states {
            let place = format!("states.{name}");
            faults.name(&place, name);
            self.check_state(&mut faults, &place, state);
        }
        for (name, slot) in &self.slots {
            let place = format!("slots.{name}");
            faults.name(&place, name);
            check_slot(&mut faults, &place, slot);
        }
        for (at, intent) in self.intents.iter().enumerate() {
            self.check_intent(&mut faults, at, intent);
        }
        check_documents(&mut faults, &self.documents);
        if faults.0.is_empty() {
            self.check_ways(&mut faults);
        }
        faults.0
    }

    /// What is wrong with it in an agent: tools and destinations that there are not.
    pub fn check_in(&self, context: &FlowContext) -> Vec<FieldError> {
        let mut faults = Faults::default();
        for (name, state) in &self.states {
            match state {
                FlowState::Tool(FlowTool { tool, .. }) if !context.has_servers && !context.tools.contains(tool) => {
                    let words = format!("there is no tool named {tool} in llm_config.tools");
                    faults.add(format!("states.{name}.tool"), words);
                }
                FlowState::Transfer(transfer) if !context.destinations.contains(&transfer.destination) => {
                    let words = format!("there is no destination named {} in transfer_config", transfer.destination);
                    faults.add(format!("states.{name}.destination"), words);
                }
                _ => {}
            }
        }
        faults.0
    }

    fn check_exit(&self, faults: &mut Faults, field: &str, next: &str) {
        if !self.states.contains_key(next) {
            faults.add(field, format!("there is no state named {next}"));
        }
    }

    fn check_state(&self, faults: &mut Faults, place: &str, state: &FlowState) {
        for (field, next) in state.exits() {
            self.check_exit(faults, &format!("{place}.{field}"), next);
        }
        let at = |field: &str| format!("{place}.{field}");
        match state {
            FlowState::Menu(menu) => self.check_menu(faults, place, menu),
            FlowState::Ask(FlowAsk { slot, .. }) => {
                if !self.slots.contains_key(slot) {
                    faults.add(at("slot"), format!("there is no slot named {slot}"));
                }
            }
            FlowState::Say(say) => faults.text(at("text"), &say.text),
            FlowState::Branch(branch) => {
                faults.at_most(&at("cases"), branch.cases.len(), CHOICES_MAX);
                if !self.filled().contains(branch.slot.as_str()) {
                    faults.add(at("slot"), format!("there is no slot named {}", branch.slot));
                }
                let of = self.slots.get(&branch.slot);
                for case in branch.cases.keys() {
                    if of.is_some_and(|slot| !may_be(slot, case)) {
                        faults.add(format!("{place}.cases.{case}"), format!("is no value of {}", branch.slot));
                    }
                }
            }
            FlowState::Tool(tool) => check_tool(faults, place, tool),
            FlowState::Transfer(transfer) => {
                faults.optional_text(at("text"), transfer.text.as_ref());
                faults.optional_text(at("briefing"), transfer.briefing.as_ref());
            }
            FlowState::TakeMessage(message) => faults.optional_text(at("text"), message.text.as_ref()),
            FlowState::End(end) => faults.text(at("text"), &end.text),
        }
    }

    fn check_menu(&self, faults: &mut Faults, place: &str, menu: &FlowMenu) {
        faults.text(format!("{place}.question"), &menu.question);
        faults.optional_text(format!("{place}.reask"), menu.reask.as_ref());
        faults.tries(format!("{place}.tries"), menu.tries);
        faults.at_most(&format!("{place}.choices"), menu.choices.len(), CHOICES_MAX);
        let mut seen = BTreeSet::new();
        for (at, choice) in menu.choices.iter().enumerate() {
            let place = format!("{place}.choices[{at}]");
            if choice.intent.is_none() && choice.key.is_none() {
                faults.add(&place, "needs an intent or a key");
            }
            if let Some(intent) = &choice.intent
                && self.intents.iter().all(|known| known.name != *intent)
            {
                faults.add(format!("{place}.intent"), format!("there is no intent named {intent}"));
            }
            if let Some(key) = &choice.key {
                let is_key =
                    (1..=8).contains(&key.len()) && key.chars().all(|c| c.is_ascii_digit() || c == '*' || c == '#');
                if !is_key {
                    faults.add(format!("{place}.key"), "must be 1 to 8 of 0-9, * and #");
                } else if !seen.insert(key) {
                    faults.add(format!("{place}.key"), "is there twice");
                }
            }
        }
    }

    fn check_intent(&self, faults: &mut Faults, at: usize, intent: &FlowIntent) {
        let place = format!("intents[{at}]");
        faults.name(&format!("{place}.name"), &intent.name);
        if self.intents.iter().take(at).any(|other| other.name == intent.name) {
            faults.add(format!("{place}.name"), "is there twice");
        }
        if intent.phrases.is_empty() {
            faults.add(format!("{place}.phrases"), "must not be empty");
        }
        faults.phrases(&format!("{place}.phrases"), &intent.phrases);
        if let Some(next) = &intent.next {
            self.check_exit(faults, &format!("{place}.next"), next);
        }
        faults.optional_text(format!("{place}.answer"), intent.answer.as_ref());
        if intent.next.is_some() && intent.answer.is_some() {
            faults.add(format!("{place}.answer"), "must not be set together with next");
        }
        let in_menu = |state: &FlowState| match state {
            FlowState::Menu(menu) => menu.choices.iter().any(|one| one.intent.as_deref() == Some(&intent.name)),
            _ => false,
        };
        if intent.next.is_none() && intent.answer.is_none() && !self.states.values().any(in_menu) {
            faults.add(&place, "is used nowhere: it needs a next, an answer, or a menu that names it");
        }
    }

    /// Names of everything that may hold a value.
    fn filled(&self) -> BTreeSet<&str> {
        let results = self.states.values().filter_map(|state| match state {
            FlowState::Tool(tool) => Some(tool.results.keys().map(String::as_str)),
            _ => None,
        });
        let has_messages = self.states.values().any(|state| matches!(state, FlowState::TakeMessage(_)));
        let of_messages = OF_MESSAGES.into_iter().filter(|_| has_messages);
        self.slots.keys().map(String::as_str).chain(results.flatten()).chain(of_messages).collect()
    }

    /// Whether every state can be reached, and every circle waits for the caller.
    fn check_ways(&self, faults: &mut Faults) {
        let mut reached = BTreeSet::new();
        let global = self.intents.iter().filter_map(|intent| intent.next.as_deref());
        let mut open: Vec<&str> = global.chain([self.start.as_str()]).collect();
        while let Some(name) = open.pop() {
            if reached.insert(name)
                && let Some(state) = self.states.get(name)
            {
                open.extend(state.exits().into_iter().map(|(_, next)| next));
            }
        }
        for name in self.states.keys().filter(|name| !reached.contains(name.as_str())) {
            faults.add(format!("states.{name}"), "cannot be reached from start or by an intent");
        }
        for circle in self.circles() {
            let words = format!("goes round without waiting for the caller: {}", circle.join(" → "));
            let first = circle.first().copied().unwrap_or_default();
            faults.add(format!("states.{first}"), words);
        }
    }

    /// Circles of states that do not wait for the caller; each state is in one at most.
    fn circles(&self) -> Vec<Vec<&str>> {
        // States that lead only to states that wait, or to such states, are good; what is left goes round.
        let mut left: BTreeMap<&str, Vec<&str>> = self
            .states
            .iter()
            .filter(|(_, state)| !state.waits())
            .map(|(name, state)| (name.as_str(), state.exits().into_iter().map(|(_, next)| next).collect()))
            .collect();
        loop {
            let names: BTreeSet<&str> = left.keys().copied().collect();
            left.values_mut().for_each(|exits| exits.retain(|next| names.contains(next)));
            let before = left.len();
            left.retain(|_, exits| !exits.is_empty());
            if left.len() == before {
                break;
            }
        }
        let mut circles = Vec::new();
        let mut told = BTreeSet::new();
        for start in left.keys().copied() {
            let mut way = vec![start];
            let mut here = start;
            while let Some(next) = left.get(here).and_then(|exits| exits.first().copied()) {
                way.push(next);
                if let Some(at) = way.iter().position(|name| *name == next).filter(|at| at + 1 < way.len()) {
                    way.drain(..at);
                    begin_with_first(&mut way);
                    break;
                }
                here = next;
            }
            if way.iter().all(|name| !told.contains(name)) {
                told.extend(way.iter().copied());
                circles.push(way);
            }
        }
        circles
    }
}

/// A circle is told from the first of its names, wherever it was found.
fn begin_with_first(way: &mut Vec<&str>) {
    way.pop();
    let first = way.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
    way.rotate_left(first);
    way.extend(way.first().copied());
}

/// Whether a slot can have this value.
fn may_be(slot: &FlowSlot, value: &str) -> bool {
    match slot.r#type {
        FlowSlotType::YesNo => matches!(value, "yes" | "no"),
        FlowSlotType::Choice => slot.choices.contains_key(value),
        _ => true,
    }
}

fn check_slot(faults: &mut Faults, place: &str, slot: &FlowSlot) {
    faults.text(format!("{place}.question"), &slot.question);
    faults.optional_text(format!("{place}.reask"), slot.reask.as_ref());
    faults.tries(format!("{place}.tries"), slot.tries);
    let choices = format!("{place}.choices");
    faults.at_most(&choices, slot.choices.len(), CHOICES_MAX);
    match (slot.r#type, slot.choices.is_empty()) {
        (FlowSlotType::Choice, true) => faults.add(&choices, "must not be empty"),
        (FlowSlotType::Choice, false) | (_, true) => {}
        (_, false) => faults.add(&choices, "is only for slots of type choice"),
    }
    for (name, phrases) in &slot.choices {
        faults.phrases(&format!("{choices}.{name}"), phrases);
        if !name.chars().any(char::is_alphanumeric) || name.chars().count() > PHRASE_CHARS_MAX {
            faults.add(format!("{choices}.{name}"), "must have a name with words");
        }
    }
    let digits = [("min_digits", slot.min_digits), ("max_digits", slot.max_digits)];
    for (field, count) in digits.into_iter().filter_map(|(field, count)| Some((field, count?))) {
        if slot.r#type != FlowSlotType::Number {
            faults.add(format!("{place}.{field}"), "is only for slots of type number");
        } else if !(1..=DIGITS_MAX).contains(&count) {
            faults.add(format!("{place}.{field}"), format!("must be between 1 and {DIGITS_MAX}"));
        }
    }
    if slot.min_digits.zip(slot.max_digits).is_some_and(|(min, max)| min > max) {
        faults.add(format!("{place}.min_digits"), "must not be more than max_digits");
    }
}

fn check_tool(faults: &mut Faults, place: &str, tool: &FlowTool) {
    faults.optional_text(format!("{place}.text"), tool.text.as_ref());
    faults.at_most(&format!("{place}.arguments"), tool.arguments.len(), ARGUMENTS_MAX);
    faults.at_most(&format!("{place}.results"), tool.results.len(), ARGUMENTS_MAX);
    for (name, value) in &tool.arguments {
        check_argument(faults, &format!("{place}.arguments.{name}"), value, 0);
    }
    for (name, path) in &tool.results {
        faults.name(&format!("{place}.results.{name}"), name);
        if let Err(why) = JsonPath::parse(path) {
            faults.add(format!("{place}.results.{name}"), why);
        }
    }
}

fn check_argument(faults: &mut Faults, place: &str, value: &Value, depth: usize) {
    if depth > ARGUMENTS_DEPTH_MAX {
        return faults.add(place, format!("must have at most {ARGUMENTS_DEPTH_MAX} levels"));
    }
    match value {
        Value::String(text) => {
            if let Err(error) = template::check(text, TemplateUse::Text) {
                faults.add(place, format!("is not a valid template: {error}"));
            }
        }
        Value::Array(list) => {
            let entries = list.iter().enumerate();
            entries.for_each(|(at, one)| check_argument(faults, &format!("{place}[{at}]"), one, depth + 1));
        }
        Value::Object(object) => {
            object.iter().for_each(|(name, one)| check_argument(faults, &format!("{place}.{name}"), one, depth + 1));
        }
        _ => {}
    }
}

fn check_documents(faults: &mut Faults, documents: &[FlowDocument]) {
    faults.at_most("documents", documents.len(), DOCUMENTS_MAX);
    let words = |one: &FlowDocument| one.words.as_ref().map_or(0, String::len);
    let bytes: usize = documents.iter().map(|one| one.title.len() + one.text.len() + words(one)).sum();
    if bytes > DOCUMENTS_BYTES_MAX {
        return faults.add("documents", format!("must have at most {DOCUMENTS_BYTES_MAX} bytes in all"));
    }
    for (at, document) in documents.iter().enumerate() {
        let place = format!("documents[{at}]");
        if document.title.trim().is_empty() || document.title.chars().count() > TITLE_CHARS_MAX {
            faults.add(format!("{place}.title"), format!("must have 1 to {TITLE_CHARS_MAX} characters"));
        }
        if document.words.as_ref().is_some_and(|words| words.chars().count() > SPOKEN_CHARS_MAX) {
            faults.add(format!("{place}.words"), format!("must have at most {SPOKEN_CHARS_MAX} characters"));
        }
        if document.passages().next().is_none() {
            faults.add(format!("{place}.text"), "must not be empty");
        }
        if document.passages().any(|passage| passage.chars().count() > SPOKEN_CHARS_MAX) {
            let words = format!("must have passages of at most {SPOKEN_CHARS_MAX} characters, parted by blank lines");
            faults.add(format!("{place}.text"), words);
        }
        if let Err(error) = template::check_said(&document.text) {
            faults.add(format!("{place}.text"), format!("is not a valid template: {error}"));
        }
    }
}
