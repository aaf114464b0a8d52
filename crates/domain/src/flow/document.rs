//! A flow as customers write it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use utoipa::ToSchema;

/// States of a flow. A call in a longer one would be a form, not a conversation.
pub const STATES_MAX: usize = 100;
/// Slots of a flow.
pub const SLOTS_MAX: usize = 50;
/// Intents of a flow; each is compared with every turn of the caller.
pub const INTENTS_MAX: usize = 100;
/// Phrases of an intent, and of a choice.
pub const PHRASES_MAX: usize = 50;
/// Characters of a phrase.
pub const PHRASE_CHARS_MAX: usize = 100;
/// Choices of a menu, of a slot, and cases of a branch.
pub const CHOICES_MAX: usize = 50;
/// Documents of a flow.
pub const DOCUMENTS_MAX: usize = 200;
/// Bytes of all documents together: they are indexed in memory.
pub const DOCUMENTS_BYTES_MAX: usize = 256 * 1024;
/// Characters of what is said at once: a minute of speech.
pub const SPOKEN_CHARS_MAX: usize = 1_000;
/// Characters of a name in the document.
pub const NAME_CHARS_MAX: usize = 64;
/// How often a question is asked at most.
pub const TRIES: RangeInclusive<u8> = 1..=10;
/// How often it is asked where nothing is said about it.
pub const DEFAULT_TRIES: u8 = 3;
/// Arguments of a tool, and values that are taken from its result.
pub const ARGUMENTS_MAX: usize = 50;

/// A dialogue by rules, for the provider `local`: no model is asked. See docs/flows.md.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// Name of the state that a call begins in.
    #[schema(max_length = 64)]
    pub start: String,
    /// The states by their names: letters, digits, `_` and `-`. At most 100.
    pub states: BTreeMap<String, FlowState>,
    /// What is asked for, by name; at most 50. Texts use a value as `{{slots.name}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, FlowSlot>,
    /// What callers may want, in the order in which equal ones win; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub intents: Vec<FlowIntent>,
    /// Answers to questions, found by their words (BM25); at most 200, and 262,144 bytes in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 200)]
    pub documents: Vec<FlowDocument>,
}

/// A step of the dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FlowState {
    /// Asks what the caller wants.
    Menu(FlowMenu),
    /// Asks for a slot.
    Ask(FlowAsk),
    /// Says something and goes on.
    Say(FlowSay),
    /// Goes on by the value of a slot.
    Branch(FlowBranch),
    /// Calls a tool with slots as arguments.
    Tool(FlowTool),
    /// Puts the caller through.
    Transfer(FlowTransfer),
    /// Takes a message: name, phone number and words, into the slots `message_name`, `message_phone` and `message_text`.
    TakeMessage(FlowMessage),
    /// Says goodbye and ends the call.
    End(FlowEnd),
}

/// Asks what the caller wants; intents and pressed keys lead on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowMenu {
    /// What is asked.
    #[schema(max_length = 1_000)]
    pub question: String,
    /// What is asked when the answer was not understood. None: the question again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub reask: Option<String>,
    /// How often it is asked: 1 to 10; 3 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub tries: Option<u8>,
    /// Where intents and keys lead; at most 50. Intents with a `next` of their own work everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub choices: Vec<MenuChoice>,
    /// The state after the last try.
    #[schema(max_length = 64)]
    pub exhausted: String,
}

/// A way on from a menu.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MenuChoice {
    /// Name of the intent that leads on. None: only the key does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Keys that lead on, such as `1`. None: only the intent does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9*#]{1,8}$")]
    pub key: Option<String>,
    /// The next state.
    #[schema(max_length = 64)]
    pub next: String,
}

/// Asks for a slot that has no value yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowAsk {
    /// Name of the slot.
    #[schema(max_length = 64)]
    pub slot: String,
    /// Whether it is asked for even if it has a value; true by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<bool>,
    /// The state when there is a value.
    #[schema(max_length = 64)]
    pub next: String,
    /// The state after the last try.
    #[schema(max_length = 64)]
    pub exhausted: String,
}

/// Says something and goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowSay {
    /// What is said.
    #[schema(max_length = 1_000)]
    pub text: String,
    /// The next state.
    #[schema(max_length = 64)]
    pub next: String,
}

/// Goes on by the value of a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowBranch {
    /// Name of the slot, which may be one that a tool fills.
    #[schema(max_length = 64)]
    pub slot: String,
    /// The next state by value, as it is written: `yes` and `no`, the name of a choice, digits. At most 50.
    pub cases: BTreeMap<String, String>,
    /// The next state for any other value, and for none.
    #[schema(max_length = 64)]
    pub otherwise: String,
}

/// Calls a tool and goes on with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowTool {
    /// Name of a function in `llm_config.tools`, or of a tool of one of its servers.
    #[schema(max_length = 64)]
    pub tool: String,
    /// What is said before the call. None: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub text: Option<String>,
    /// The arguments; texts in it are templates: `{"order": "{{slots.order}}"}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub arguments: Map<String, Value>,
    /// Slots that the result fills, each with its path: `{"status": "$.status"}`. All must be there, or the tool failed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, String>,
    /// The state after a result.
    #[schema(max_length = 64)]
    pub next: String,
    /// The state after a failure.
    #[schema(max_length = 64)]
    pub failed: String,
}

/// Puts the caller through to one of the agent's destinations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowTransfer {
    /// Name of a destination of `transfer_config`.
    pub destination: String,
    /// What is said before. None: a phrase in the language of the voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub text: Option<String>,
    /// What the other side is told before it is connected, if the transfer announces the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub briefing: Option<String>,
    /// The state when nobody could be reached.
    #[schema(max_length = 64)]
    pub failed: String,
}

/// Takes a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowMessage {
    /// What is said before the first question. None: a phrase in the language of the voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub text: Option<String>,
    /// The state after the message.
    #[schema(max_length = 64)]
    pub next: String,
}

/// Ends the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowEnd {
    /// The last words.
    #[schema(max_length = 1_000)]
    pub text: String,
}

/// What a slot holds, and how the caller's words are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowSlotType {
    /// A name of a person.
    Name,
    /// Digits, as an order number has them.
    Number,
    /// A phone number, E.164.
    Phone,
    /// A day, ISO 8601.
    Date,
    /// An e-mail address.
    Email,
    /// An amount of money.
    Money,
    /// `yes` or `no`.
    YesNo,
    /// Letters and digits.
    Code,
    /// One of `choices`.
    Choice,
    /// The words of the caller as they are.
    Text,
}

/// A value that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowSlot {
    /// What it holds.
    pub r#type: FlowSlotType,
    /// What is asked.
    #[schema(max_length = 1_000)]
    pub question: String,
    /// What is asked when the answer was not understood. None: a phrase in the language of the voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub reask: Option<String>,
    /// Whether the value is read back, and used once the caller agrees. By default for `phone`, `email`, `code` and
    /// `money`; never for `yes_no`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<bool>,
    /// How often it is asked: 1 to 10; 3 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub tries: Option<u8>,
    /// Of `choice`: the values, each with the phrases that mean it beside its name; at most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub choices: BTreeMap<String, Vec<String>>,
    /// Of `number`: the fewest digits. None: any number of digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 32)]
    pub min_digits: Option<u8>,
    /// Of `number`: the most digits. None: any number of digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 32)]
    pub max_digits: Option<u8>,
}

impl FlowSlot {
    /// Whether the value is read back.
    pub fn is_confirmed(&self) -> bool {
        use FlowSlotType::{Code, Email, Money, Phone, YesNo};
        let by_default = matches!(self.r#type, Phone | Email | Code | Money);
        self.r#type != YesNo && self.confirm.unwrap_or(by_default)
    }

    /// How often it is asked.
    pub fn tries(&self) -> u8 {
        self.tries.unwrap_or(DEFAULT_TRIES)
    }
}

impl FlowAsk {
    /// Whether it asks even if there is a value.
    pub fn asks_again(&self) -> bool {
        self.again.unwrap_or(true)
    }
}

impl FlowMenu {
    /// How often it is asked.
    pub fn tries(&self) -> u8 {
        self.tries.unwrap_or(DEFAULT_TRIES)
    }
}

/// Something that callers may want.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowIntent {
    /// Name for menus: letters, digits, `_` and `-`.
    #[schema(max_length = 64)]
    pub name: String,
    /// What callers say; 1 to 50 of 100 characters. A phrase of several words is found if they are said in this order with
    /// at most two others between them; one word is a keyword. Endings of words do not matter.
    #[schema(min_items = 1, max_items = 50)]
    pub phrases: Vec<String>,
    /// The state that it leads to from everywhere. None: only menus use it, or it has an `answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 64)]
    pub next: Option<String>,
    /// What is said; then the last question is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub answer: Option<String>,
}

/// An answer to questions about something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowDocument {
    /// What it is about: its words count more than those of the text.
    #[schema(max_length = 200)]
    pub title: String,
    /// What is said. A blank line parts passages, of which the best one is said; each has at most 1,000 characters.
    pub text: String,
    /// Other words that callers use for it; they are not said. None: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1_000)]
    pub words: Option<String>,
}

impl FlowDocument {
    /// The passages of the text, each of which can be said.
    pub fn passages(&self) -> impl Iterator<Item = &str> {
        self.text.split("\n\n").map(str::trim).filter(|passage| !passage.is_empty())
    }
}

impl FlowState {
    /// The states that it leads to, each with the field that says so.
    pub fn exits(&self) -> Vec<(String, &str)> {
        fn one<'a>(field: &str, name: &'a str) -> (String, &'a str) {
            (field.to_owned(), name)
        }
        match self {
            Self::Menu(menu) => {
                let choices = menu.choices.iter().enumerate();
                let choices = choices.map(|(at, choice)| (format!("choices[{at}].next"), choice.next.as_str()));
                choices.chain([one("exhausted", &menu.exhausted)]).collect()
            }
            Self::Ask(ask) => vec![one("next", &ask.next), one("exhausted", &ask.exhausted)],
            Self::Say(say) => vec![one("next", &say.next)],
            Self::Branch(branch) => {
                let cases = branch.cases.iter().map(|(value, next)| (format!("cases.{value}"), next.as_str()));
                cases.chain([one("otherwise", &branch.otherwise)]).collect()
            }
            Self::Tool(tool) => vec![one("next", &tool.next), one("failed", &tool.failed)],
            Self::Transfer(transfer) => vec![one("failed", &transfer.failed)],
            Self::TakeMessage(message) => vec![one("next", &message.next)],
            Self::End(_) => Vec::new(),
        }
    }

    /// Whether it waits for words of the caller before it leads on.
    pub fn waits(&self) -> bool {
        match self {
            Self::Ask(ask) => ask.asks_again(),
            Self::Menu(_) | Self::TakeMessage(_) | Self::End(_) => true,
            Self::Say(_) | Self::Branch(_) | Self::Tool(_) | Self::Transfer(_) => false,
        }
    }
}

impl Flow {
    /// Changes every text that is said.
    pub fn each_text(&mut self, text: &mut impl FnMut(&mut String)) {
        for state in self.states.values_mut() {
            match state {
                FlowState::Menu(menu) => {
                    text(&mut menu.question);
                    menu.reask.iter_mut().for_each(&mut *text);
                }
                FlowState::Say(say) => text(&mut say.text),
                FlowState::Tool(tool) => {
                    tool.text.iter_mut().for_each(&mut *text);
                    tool.arguments.values_mut().for_each(|value| each_argument(value, text));
                }
                FlowState::Transfer(transfer) => {
                    let words = [&mut transfer.text, &mut transfer.briefing];
                    words.into_iter().flatten().for_each(&mut *text);
                }
                FlowState::TakeMessage(message) => message.text.iter_mut().for_each(&mut *text),
                FlowState::End(end) => text(&mut end.text),
                FlowState::Ask(_) | FlowState::Branch(_) => {}
            }
        }
        for slot in self.slots.values_mut() {
            text(&mut slot.question);
            slot.reask.iter_mut().for_each(&mut *text);
        }
        self.intents.iter_mut().filter_map(|intent| intent.answer.as_mut()).for_each(&mut *text);
        self.documents.iter_mut().for_each(|document| text(&mut document.text));
    }
}

/// Texts of arguments; [`trunkline_json`] bounds their depth when the document is read.
fn each_argument(value: &mut Value, text: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(one) => text(one),
        Value::Array(list) => list.iter_mut().for_each(|one| each_argument(one, text)),
        Value::Object(object) => object.values_mut().for_each(|one| each_argument(one, text)),
        _ => {}
    }
}
