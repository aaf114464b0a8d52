//! Values that count how often they are read, and stop an evaluation that reads them too often.

use super::super::{normalize, pattern_options, reader};
use super::*;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use jsonschema::{JsonType, Validator};
use std::borrow::Cow;
use std::cell::Cell;

thread_local! {
    static LOOKS: Cell<u64> = const { Cell::new(0) };
    static LOOKS_MAX: Cell<u64> = const { Cell::new(u64::MAX) };
}

fn look(times: u64) {
    let looks = LOOKS.get() + times;
    LOOKS.set(looks);
    assert!(looks <= LOOKS_MAX.get(), "the evaluation exceeds the counted reads: {looks}");
}

pub(super) struct Counted;

#[derive(Clone, Copy)]
pub(super) struct CountedNode<'a>(pub &'a Value);

pub(super) struct Members<'a>(&'a serde_json::Map<String, Value>);

pub(super) struct Items<'a>(&'a [Value]);

impl Json for Counted {
    type Node<'a> = CountedNode<'a>;
    type PreparedKey = String;
    type StringBuffer = ();
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> String {
        key.to_owned()
    }

    fn with_string_node<T>((): &mut (), text: &str, f: impl FnOnce(CountedNode<'_>) -> T) -> T {
        f(CountedNode(&Value::String(text.to_owned())))
    }
}

impl<'a> Node<'a, Counted> for CountedNode<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = &'a serde_json::Number;

    fn as_object(&self) -> Option<Members<'a>> {
        look(1);
        self.0.as_object().map(Members)
    }

    fn as_array(&self) -> Option<Items<'a>> {
        look(1);
        self.0.as_array().map(|items| Items(items))
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        look(1 + self.0.as_str().map_or(0, |text| text.len() as u64 / 16));
        self.0.as_str().map(Cow::Borrowed)
    }

    fn as_number(&self) -> Option<&'a serde_json::Number> {
        look(1);
        self.0.as_number()
    }

    fn as_boolean(&self) -> Option<bool> {
        look(1);
        self.0.as_bool()
    }

    fn is_null(&self) -> bool {
        look(1);
        self.0.is_null()
    }

    fn json_type(&self) -> JsonType {
        look(1);
        match self.0 {
            Value::Null => JsonType::Null,
            Value::Bool(_) => JsonType::Boolean,
            Value::Number(_) => JsonType::Number,
            Value::String(_) => JsonType::String,
            Value::Array(_) => JsonType::Array,
            Value::Object(_) => JsonType::Object,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        look(1);
        Cow::Borrowed(self.0)
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(std::ptr::from_ref(self.0) as usize))
    }
}

impl<'a> Object<'a, Counted> for Members<'a> {
    type Node = CountedNode<'a>;
    type MemberName = &'a str;
    type MembersIter = std::vec::IntoIter<(&'a str, CountedNode<'a>)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, key: &String) -> Option<CountedNode<'a>> {
        look(1);
        self.0.get(key).map(CountedNode)
    }

    fn members(&self) -> Self::MembersIter {
        look(self.0.len() as u64);
        self.0.iter().map(|(name, value)| (name.as_str(), CountedNode(value))).collect::<Vec<_>>().into_iter()
    }
}

impl<'a> Array<'a, Counted> for Items<'a> {
    type Node = CountedNode<'a>;
    type ElementsIter = std::vec::IntoIter<CountedNode<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn elements(&self) -> Self::ElementsIter {
        look(self.0.len() as u64);
        self.0.iter().map(CountedNode).collect::<Vec<_>>().into_iter()
    }
}

/// A schema compiled for counted values.
pub(super) fn compile(schema: &Value) -> Option<Validator<Counted>> {
    let walked = reader::walk(schema, &mut SchemaBudget::default(), PatternPolicy::None).ok()?;
    let options = jsonschema::options_for::<Counted>().with_draft(walked.draft).offline();
    options.with_pattern_options(pattern_options()).build(&normalize::normal(&walked)).ok()
}

/// How often a value is looked at when it is held against a schema; panics beyond `max`.
pub(super) fn looks(validator: &Validator<Counted>, value: &Value, max: u64) -> (bool, u64) {
    LOOKS.set(0);
    LOOKS_MAX.set(max);
    let fits = validator.is_valid(CountedNode(value));
    LOOKS_MAX.set(u64::MAX);
    (fits, LOOKS.get())
}

/// The same when all faults are listed.
pub(super) fn looks_listing(validator: &Validator<Counted>, value: &Value, max: u64) -> u64 {
    LOOKS.set(0);
    LOOKS_MAX.set(max);
    let _ = validator.iter_errors(CountedNode(value)).count();
    LOOKS_MAX.set(u64::MAX);
    LOOKS.get()
}
