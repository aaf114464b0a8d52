//! A flow, prepared for a call.

use super::caller_words::{CallerWords, caller_words};
use super::matching::Phrase;
use super::passages::{FaqPassage, passages, vocabulary};
use crate::dialogue::phrases::{MessagePhrases, message_phrases};
use crate::dialogue::spoken::value::ValueContext;
use std::collections::{BTreeMap, BTreeSet};
use trunkline_domain::chat::ToolCall;
use trunkline_domain::flow::{Flow, FlowAsk, FlowMessage, FlowSay, FlowSlot, FlowSlotType, FlowState};

/// Slots that a message fills: name, number, words.
pub const MESSAGE_SLOTS: [&str; 3] = ["message_name", "message_phone", "message_text"];

/// Whose place the rules have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowRole {
    /// They are the agent.
    Agent,
    /// They take the place of a model that does not answer: what the model and the caller said before is not theirs.
    Fallback,
    /// The same; they say that the model cannot be reached before they hear the caller.
    StandIn,
}

/// What is said next, and what is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowAnswer {
    /// Words for the caller; empty if only a tool is called, or its result is awaited.
    pub text: String,
    /// A tool of the agent, a transfer, or the end of the call; one at most.
    pub calls: Vec<ToolCall>,
}

/// A flow, ready to answer.
#[derive(Debug)]
pub struct FlowDialogue {
    pub(super) states: BTreeMap<String, FlowState>,
    pub(super) slots: BTreeMap<String, FlowSlot>,
    pub(super) start: String,
    pub(super) intents: Vec<Intent>,
    pub(super) passages: Vec<FaqPassage>,
    /// The words of all passages.
    pub(super) vocabulary: BTreeSet<String>,
    pub(super) context: ValueContext,
    pub(super) phrases: &'static MessagePhrases,
    pub(super) words: &'static CallerWords,
    pub(super) role: FlowRole,
}

/// An intent whose phrases are ready to be compared.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) name: String,
    pub(super) phrases: Vec<Phrase>,
    pub(super) next: Option<String>,
    pub(super) answer: Option<String>,
}

impl FlowDialogue {
    /// Prepares a flow that was checked.
    pub fn new(flow: Flow, context: ValueContext, role: FlowRole) -> Self {
        let phrases = message_phrases(&context.spoken_language);
        let words = caller_words(&context.spoken_language);
        let language = context.language.as_str();
        let intents = flow.intents.into_iter().map(|intent| Intent {
            phrases: intent.phrases.iter().map(|phrase| Phrase::new(phrase, language)).collect(),
            name: intent.name,
            next: intent.next,
            answer: intent.answer,
        });
        let intents = intents.collect();
        let passages = passages(&flow.documents);
        let vocabulary = vocabulary(&passages, language);
        let mut dialogue = Self {
            states: BTreeMap::new(),
            slots: flow.slots,
            start: flow.start,
            intents,
            passages,
            vocabulary,
            context,
            phrases,
            words,
            role,
        };
        for (name, state) in flow.states {
            match state {
                FlowState::TakeMessage(message) => dialogue.add_message(name, message),
                state => drop(dialogue.states.insert(name, state)),
            }
        }
        dialogue
    }

    /// A message is three questions, one after the other; what cannot be understood is left out.
    fn add_message(&mut self, name: String, message: FlowMessage) {
        let phrases = self.phrases;
        let kinds = [FlowSlotType::Name, FlowSlotType::Phone, FlowSlotType::Text];
        let questions = [phrases.ask_name, phrases.ask_phone, phrases.ask_text];
        let names = ["name", "phone", "text"].map(|part| format!("{name}.{part}"));
        let ends = [Some(&names[1]), Some(&names[2]), None].map(|next| next.unwrap_or(&message.next).clone());
        let first = FlowSay { text: message.text.unwrap_or_else(|| phrases.take.to_owned()), next: names[0].clone() };
        self.states.insert(name, FlowState::Say(first));
        for (((slot, kind), question), (state, next)) in
            MESSAGE_SLOTS.into_iter().zip(kinds).zip(questions).zip(names.into_iter().zip(ends))
        {
            let ask = FlowAsk { slot: slot.to_owned(), again: None, next: next.clone(), exhausted: next };
            self.states.insert(state, FlowState::Ask(ask));
            self.slots.insert(slot.to_owned(), message_slot(kind, question));
        }
    }
}

fn message_slot(kind: FlowSlotType, question: &str) -> FlowSlot {
    FlowSlot {
        r#type: kind,
        question: question.to_owned(),
        reask: None,
        confirm: None,
        tries: None,
        choices: BTreeMap::new(),
        min_digits: None,
        max_digits: None,
    }
}
