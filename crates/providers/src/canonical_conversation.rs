//! A conversation in the one form that every server takes, whatever its chat template demands: one leading system text,
//! then turns in which user and assistant take one each and the user begins and ends; each tool call has one result, and
//! an id, a name and arguments that the protocols allow. The vendors' files print it.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use trunkline_domain::chat::{ChatMessage, OpaqueFields, ToolCall};
use trunkline_domain::tool_limits::is_tool_name;

/// What stands for the user where the agent speaks first.
const CALL_BEGINS: &str = "(The call begins.)";
/// What asks for an answer after the agent's own words.
const CALLER_WAITS: &str = "(The caller waits.)";
/// What a call is answered with whose result the history does not have.
const NO_RESULT: &str = "(no result)";
/// What an empty result is written as: some servers refuse an empty text.
const EMPTY_RESULT: &str = "(empty)";
/// Name of a function that the model called without one.
const NO_NAME: &str = "unknown";
/// Characters of ids and names.
const NAME_CHARS_MAX: usize = 64;

/// How a server wants the ids of tool calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolIdStyle {
    /// 1 to 64 letters, digits, `_` and `-`.
    Plain,
    /// Exactly nine letters and digits (Mistral).
    NineCharacters,
}

/// System text and turns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CanonicalConversation {
    /// All leading system messages; empty if there are none.
    pub system: String,
    /// Turns of user and assistant, alternating. An assistant's turn with calls may be followed by another one's.
    pub turns: Vec<CanonicalTurn>,
}

/// One side's turn.
#[derive(Clone, Debug, PartialEq)]
pub enum CanonicalTurn {
    /// The caller's words, and notes in brackets that neither side has spoken.
    User(String),
    /// What the agent said and which tools it called.
    Assistant {
        /// Empty only with calls.
        content: String,
        /// Calls with their results.
        calls: Vec<CanonicalCall>,
    },
}

/// A tool call and its result.
#[derive(Clone, Debug, PartialEq)]
pub struct CanonicalCall {
    /// Unique within the conversation.
    pub id: String,
    /// A name that every vendor takes.
    pub name: String,
    /// JSON text of an object.
    pub arguments: String,
    /// Never empty.
    pub result: String,
    /// What the model's own server wants to see again.
    pub opaque: Option<OpaqueFields>,
}

impl CanonicalCall {
    /// The arguments as a value.
    pub fn input(&self) -> Value {
        serde_json::from_str(&self.arguments).unwrap_or_else(|_| Value::Object(Map::new()))
    }
}

impl CanonicalConversation {
    /// Arranges messages of any order, for the model `origin` (`provider/model`).
    pub fn new(messages: &[ChatMessage], ids: ToolIdStyle, origin: &str) -> Self {
        let mut builder =
            Builder { ids, origin, conversation: Self::default(), known: HashMap::new(), used: HashSet::new() };
        for message in messages {
            builder.add(message);
        }
        builder.finish()
    }
}

/// The place of a call: turn and call.
type CallPlace = (usize, usize);

struct Builder<'a> {
    ids: ToolIdStyle,
    origin: &'a str,
    conversation: CanonicalConversation,
    /// Calls that have no result yet, by the id that the model gave them; the oldest first.
    known: HashMap<String, Vec<CallPlace>>,
    used: HashSet<String>,
}

impl Builder<'_> {
    fn add(&mut self, message: &ChatMessage) {
        match message {
            ChatMessage::System(text) | ChatMessage::User(text) if text.trim().is_empty() => {}
            ChatMessage::System(text) if self.conversation.turns.is_empty() => {
                let system = &mut self.conversation.system;
                if !system.is_empty() {
                    system.push_str("\n\n");
                }
                system.push_str(text);
            }
            ChatMessage::System(text) => self.add_user(&format!("[{text}]")),
            ChatMessage::User(text) => self.add_user(text),
            ChatMessage::Assistant { content, tool_calls } => self.add_assistant(content.trim_end(), tool_calls),
            ChatMessage::Tool { call_id, content } => self.add_result(call_id, content),
        }
    }

    fn add_user(&mut self, text: &str) {
        match self.conversation.turns.last_mut() {
            Some(CanonicalTurn::User(said)) => {
                said.push('\n');
                said.push_str(text);
            }
            _ => self.conversation.turns.push(CanonicalTurn::User(text.to_owned())),
        }
    }

    fn add_assistant(&mut self, words: &str, tool_calls: &[ToolCall]) {
        if words.trim().is_empty() && tool_calls.is_empty() {
            return;
        }
        if self.conversation.turns.is_empty() {
            self.add_user(CALL_BEGINS);
        }
        let joins =
            matches!(self.conversation.turns.last(), Some(CanonicalTurn::Assistant { calls, .. }) if calls.is_empty());
        if !joins {
            self.conversation.turns.push(CanonicalTurn::Assistant { content: String::new(), calls: Vec::new() });
        }
        let turn = self.conversation.turns.len() - 1;
        let calls: Vec<CanonicalCall> = tool_calls.iter().map(|call| self.call(call)).collect();
        for (place, call) in tool_calls.iter().enumerate() {
            self.known.entry(call.id.clone()).or_default().push((turn, place));
        }
        if let Some(CanonicalTurn::Assistant { content, calls: known }) = self.conversation.turns.last_mut() {
            if !content.is_empty() && !words.is_empty() {
                content.push(' ');
            }
            content.push_str(words);
            *known = calls;
        }
    }

    fn call(&mut self, call: &ToolCall) -> CanonicalCall {
        let opaque = call.opaque.as_deref().filter(|opaque| opaque.origin == self.origin).cloned();
        CanonicalCall {
            id: self.unique_id(&call.id),
            name: allowed_name(&call.name),
            arguments: allowed_arguments(&call.arguments),
            result: NO_RESULT.to_owned(),
            opaque,
        }
    }

    /// The same id for call and result; one that is used already, or not allowed, gets another one.
    fn unique_id(&mut self, id: &str) -> String {
        let is_allowed = match self.ids {
            ToolIdStyle::Plain => is_tool_name(id),
            ToolIdStyle::NineCharacters => id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric()),
        };
        let mut unique = if is_allowed { id.to_owned() } else { self.made_up_id(id, 0) };
        let mut again = 0;
        while !self.used.insert(unique.clone()) {
            again += 1;
            unique = self.made_up_id(id, again);
        }
        unique
    }

    fn made_up_id(&self, id: &str, again: usize) -> String {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
        let seed = if again == 0 { id.to_owned() } else { format!("{id} {again}") };
        let letters = Sha256::digest(seed);
        let letters = letters.iter().take(9).map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        match self.ids {
            ToolIdStyle::Plain => "call_".chars().chain(letters).collect(),
            ToolIdStyle::NineCharacters => letters.collect(),
        }
    }

    /// A result belongs to the oldest call of its id that has none; without one it is a note.
    fn add_result(&mut self, id: &str, content: &str) {
        let content = if content.trim().is_empty() { EMPTY_RESULT } else { content };
        let place = self.known.get_mut(id).filter(|places| !places.is_empty()).map(|places| places.remove(0));
        let turn = place.and_then(|(turn, place)| match self.conversation.turns.get_mut(turn) {
            Some(CanonicalTurn::Assistant { calls, .. }) => calls.get_mut(place),
            _ => None,
        });
        match turn {
            Some(call) => content.clone_into(&mut call.result),
            None => self.add_user(&format!("[A tool answered: {content}]")),
        }
    }

    fn finish(mut self) -> CanonicalConversation {
        match self.conversation.turns.last() {
            None => self.add_user(CALL_BEGINS),
            Some(CanonicalTurn::Assistant { calls, .. }) if calls.is_empty() => self.add_user(CALLER_WAITS),
            Some(_) => {}
        }
        self.conversation
    }
}

/// A name as the model wrote it, with what no vendor takes replaced.
fn allowed_name(name: &str) -> String {
    if is_tool_name(name) {
        return name.to_owned();
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = name.chars().take(NAME_CHARS_MAX).map(|c| if is_allowed(c) { c } else { '_' }).collect();
    if name.is_empty() { NO_NAME.to_owned() } else { name }
}

/// Arguments that are no JSON object become an empty one: the result says what was wrong with them.
fn allowed_arguments(text: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => "{}".to_owned(),
    }
}

#[cfg(test)]
mod tests;
