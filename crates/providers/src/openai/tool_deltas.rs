//! Puts the pieces of streamed tool calls together. What belongs together is told by the id first and by the place second:
//! several servers send all parallel calls with index 0, or with none.

use crate::tool_arguments::{is_object, unwrapped};
use serde_json::{Map, Value};
use std::collections::HashSet;
use trunkline_domain::chat::{OpaqueFields, ToolCall};

/// Where Gemini's compatible endpoint puts the signature of a call that it wants returned.
pub const CALL_EXTENSION: &str = "extra_content";
/// Most tool calls of one answer that are taken.
const TOOL_CALLS_MAX: usize = 16;

/// The calls of one answer so far.
#[derive(Debug, Default)]
pub struct ToolDeltas {
    calls: Vec<PartialCall>,
    /// Pieces of a call beyond the most that are taken go nowhere.
    is_full: bool,
}

#[derive(Debug, Default)]
struct PartialCall {
    index: Option<u64>,
    call: ToolCall,
    pieces: ArgumentPieces,
}

/// How a server sends the pieces of arguments.
#[derive(Debug, Default)]
enum ArgumentPieces {
    /// None has come.
    #[default]
    None,
    /// Each began with the one before: perhaps each holds everything so far. The last of them.
    Growing(String),
    /// Each goes on where the one before ended.
    Following,
}

impl ArgumentPieces {
    fn push(&mut self, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let grows = match self {
            Self::None => true,
            Self::Growing(last) => piece.len() <= ToolCall::ARGUMENTS_BYTES_MAX && piece.starts_with(last.as_str()),
            Self::Following => false,
        };
        *self = if grows { Self::Growing(piece.to_owned()) } else { Self::Following };
    }
}

impl PartialCall {
    /// Nothing can follow: its arguments are a whole JSON object.
    fn is_whole(&self) -> bool {
        is_object(&self.call.arguments)
    }

    /// The call with readable arguments, if it has any.
    fn finish(mut self) -> ToolCall {
        let text = std::mem::take(&mut self.call.arguments);
        self.call.arguments = match self.pieces {
            ArgumentPieces::Growing(last) if !is_object(&text) && is_object(&unwrapped(last.clone())) => {
                unwrapped(last)
            }
            _ => unwrapped(text),
        };
        self.call
    }
}

/// One piece, with what is missing, null or empty left out.
struct Piece<'a> {
    index: Option<u64>,
    id: Option<&'a str>,
    name: Option<&'a str>,
    arguments: &'a Value,
}

impl<'a> Piece<'a> {
    fn new(delta: &'a Value) -> Self {
        let index = &delta["index"];
        let function = if delta["function"].is_object() { &delta["function"] } else { delta };
        Self {
            index: index.as_u64().or_else(|| index.as_str().and_then(|text| text.parse().ok())),
            id: delta["id"].as_str().filter(|id| !id.trim().is_empty() && *id != "null"),
            name: function["name"].as_str().filter(|name| !name.is_empty() && *name != "null"),
            arguments: &function["arguments"],
        }
    }

    /// It says who is called: nothing of a call that stands already.
    fn begins(&self, last: &PartialCall) -> bool {
        self.name.is_some() && !last.call.name.is_empty() && (self.index.is_none() || last.is_whole())
    }

    /// The same piece once more, from a server that sends name and arguments again.
    fn repeats(&self, known: &PartialCall) -> bool {
        let is_empty = self.arguments.as_str().is_none_or(str::is_empty) && !self.arguments.is_object();
        self.index.is_some() && self.name == Some(known.call.name.as_str()) && (is_empty || !self.is_another(known))
    }

    /// A whole call with other arguments than the whole one that has its id.
    fn is_another(&self, known: &PartialCall) -> bool {
        let object = match self.arguments {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            other => other.clone(),
        };
        self.name.is_some()
            && object.is_object()
            && serde_json::from_str::<Value>(&known.call.arguments)
                .is_ok_and(|whole| whole.is_object() && whole != object)
    }

    /// A call at another place, from a server that gives all calls the same id.
    fn is_beside(&self, known: &PartialCall) -> bool {
        self.name.is_some() && self.index.is_some() && known.index.is_some() && self.index != known.index
    }
}

impl ToolDeltas {
    /// No call has begun.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// All calls have a name and arguments to which nothing can be added; false without calls.
    pub fn are_whole(&self) -> bool {
        !self.is_empty() && self.calls.iter().all(|one| one.is_whole() && !one.call.name.is_empty())
    }

    /// Takes `tool_calls` of a delta: a list, or one call.
    pub fn take(&mut self, deltas: &Value) {
        match deltas {
            Value::Array(all) => all.iter().filter(|delta| delta.is_object()).for_each(|delta| self.take_one(delta)),
            Value::Object(_) => self.take_one(deltas),
            _ => {}
        }
    }

    /// Takes `function_call` of a delta, which older servers send.
    pub fn take_legacy(&mut self, delta: &Value) {
        if delta.is_object() {
            let piece = Piece { index: Some(0), id: None, ..Piece::new(delta) };
            self.add(&piece, delta);
        }
    }

    fn take_one(&mut self, delta: &Value) {
        self.add(&Piece::new(delta), delta);
    }

    fn add(&mut self, piece: &Piece<'_>, delta: &Value) {
        let place = match self.place_of(piece) {
            Some(place) => place,
            None if self.calls.len() >= TOOL_CALLS_MAX => {
                self.is_full = true;
                return;
            }
            None => {
                self.calls.push(PartialCall { index: piece.index, ..PartialCall::default() });
                self.calls.len() - 1
            }
        };
        if self.is_full && piece.id.is_none() && piece.index.is_none() {
            return;
        }
        let Some(one) = self.calls.get_mut(place) else { return };
        let call = &mut one.call;
        if let Some(id) = piece.id {
            call.id = ToolCall::new(id.to_owned(), String::new(), String::new()).id;
        }
        if let Some(name) = piece.name {
            add_name(call, name);
        }
        if let Value::String(part) = piece.arguments {
            one.pieces.push(part);
        }
        add_arguments(call, piece.arguments);
        if call.opaque.is_none() {
            call.opaque = extension_of(delta);
        }
    }

    /// The call that a piece belongs to; `None` if it begins one.
    fn place_of(&self, piece: &Piece<'_>) -> Option<usize> {
        if let Some(id) = piece.id {
            let has_id = |one: &PartialCall| one.call.id == id;
            let same_place = self.calls.iter().rposition(|one| has_id(one) && one.index == piece.index);
            let elsewhere = || self.calls.iter().rposition(|one| has_id(one) && !piece.is_beside(one));
            if let Some(place) = same_place.or_else(elsewhere) {
                return Some(place).filter(|_| self.calls.get(place).is_some_and(|one| !piece.is_another(one)));
            }
            // The id may come after the name.
            let place = self.calls.iter().rposition(|one| one.index == piece.index)?;
            let known = self.calls.get(place)?;
            return Some(place).filter(|_| known.call.id.is_empty() && !piece.begins(known));
        }
        let place = match piece.index {
            Some(_) => self.calls.iter().rposition(|one| one.index == piece.index)?,
            None => self.calls.len().checked_sub(1)?,
        };
        let known = self.calls.get(place)?;
        Some(place).filter(|_| !piece.begins(known) || piece.repeats(known))
    }

    /// The calls with a name, each with an id of its own and arguments.
    pub fn finish(self) -> Vec<ToolCall> {
        let mut used = HashSet::new();
        let named = self.calls.into_iter().map(PartialCall::finish).filter(|call| !call.name.trim().is_empty());
        let mut calls: Vec<ToolCall> = named.collect();
        for (index, call) in calls.iter_mut().enumerate() {
            if call.id.is_empty() || used.contains(&call.id) {
                call.id = format!("call_{index}");
                while used.contains(&call.id) {
                    call.id.push('x');
                }
            }
            used.insert(call.id.clone());
            if call.arguments.trim().is_empty() || call.arguments.trim() == "null" {
                call.arguments = "{}".to_owned();
            }
        }
        calls
    }
}

/// Names come whole, in pieces, or whole with every piece.
fn add_name(call: &mut ToolCall, name: &str) {
    if name == call.name {
        return;
    }
    if !call.name.is_empty() && name.starts_with(&call.name) {
        call.name.clear();
    }
    // A name may follow its arguments; pieces of one come before them.
    if call.arguments.is_empty() || call.name.is_empty() {
        call.push_name(name);
    }
}

/// Arguments come in pieces of JSON text, or as a whole object. Whole ones that come again replace themselves.
fn add_arguments(call: &mut ToolCall, arguments: &Value) {
    match arguments {
        Value::String(part) if !part.trim().is_empty() && is_object(&call.arguments) && is_object(part) => {
            call.arguments.clear();
            call.push_arguments(part);
        }
        Value::String(part) => call.push_arguments(part),
        Value::Object(_) => {
            call.arguments.clear();
            call.push_arguments(&arguments.to_string());
        }
        _ => {}
    }
}

/// Neither null, nor empty, nor false.
pub fn has_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    }
}

/// The extension of a call, to be returned with it.
fn extension_of(delta: &Value) -> Option<Box<OpaqueFields>> {
    let extension = delta.get(CALL_EXTENSION).filter(|value| has_value(value))?;
    if extension.to_string().len() > ToolCall::OPAQUE_BYTES_MAX {
        return None;
    }
    let fields = Map::from_iter([(CALL_EXTENSION.to_owned(), extension.clone())]);
    Some(Box::new(OpaqueFields { fields, ..OpaqueFields::default() }))
}

#[cfg(test)]
mod tests;
