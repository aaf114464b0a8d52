//! From a list of subschemas to what is compiled and to the graph that costs are counted on.

use super::dialect;
use super::error::SchemaError;
use super::graph::{GraphError, SchemaGraph, SchemaNode};
use super::limits::{EXPANSIONS_MAX, IN_PLACE_DEPTH_MAX, UNEVALUATED_EXPANSIONS_MAX};
use super::reader::{KeywordPart, NamedEntry, ReadSchema, Subschema};
use serde_json::{Map, Value, json};

/// Steps of a multiplication table of large fractions.
const MULTIPLE_OF_STEPS: u64 = 20;

/// What a subschema holds, each with how it is held.
fn children(node: &Subschema<'_>) -> impl Iterator<Item = (usize, bool)> {
    node.parts.iter().flat_map(|part| {
        let all: Vec<(usize, bool)> = match part {
            KeywordPart::One(_, child) => vec![(*child, true)],
            KeywordPart::List(_, all) => all.iter().map(|child| (*child, true)).collect(),
            KeywordPart::Named(_, all) => all.iter().filter_map(|(_, entry)| Some((entry.schema()?, true))).collect(),
            KeywordPart::Reference(target) => vec![(*target, false)],
        };
        all
    })
}

impl NamedEntry {
    fn schema(&self) -> Option<usize> {
        match self {
            Self::Schema(at) => Some(*at),
            Self::Plain(_) => None,
        }
    }
}

/// Subschemas that the root leads to, and which of them are referred to.
struct ReachableSchemas {
    is_reached: Vec<bool>,
    /// The place among the definitions.
    definition: Vec<Option<usize>>,
}

fn reach(walked: &ReadSchema<'_>) -> ReachableSchemas {
    let count = walked.nodes.len();
    let (mut is_reached, mut is_shared, mut is_inside) = (vec![false; count], vec![false; count], vec![false; count]);
    let mut waiting = vec![0];
    is_reached[0] = true;
    while let Some(at) = waiting.pop() {
        for (child, inline) in children(&walked.nodes[at]) {
            // What is held in two places, or was found before its holder, stands among the definitions.
            is_shared[child] |= !inline || is_inside[child] || child <= at;
            is_inside[child] = true;
            if !std::mem::replace(&mut is_reached[child], true) {
                waiting.push(child);
            }
        }
    }
    let mut next = 0..;
    let definition = (0..count).map(|at| if is_reached[at] && is_shared[at] { next.next() } else { None }).collect();
    ReachableSchemas { is_reached, definition }
}

/// The schema as it is compiled: without annotations, with its own definitions.
pub(super) fn normal(walked: &ReadSchema<'_>) -> Value {
    let reached = reach(walked);
    let container = dialect::definitions_keyword(walked.draft);
    let reference = |index: usize| json!({"$ref": format!("#/{container}/{index}")});
    let mut built: Vec<Option<Value>> = walked.nodes.iter().map(|_| None).collect();
    let mut definitions = Map::new();
    // What stands inside of something was found after it.
    for at in (0..walked.nodes.len()).rev().filter(|at| reached.is_reached[*at]) {
        let mut take = |child: usize| match reached.definition[child] {
            Some(index) => reference(index),
            None => built[child].take().unwrap_or(Value::Bool(true)),
        };
        let value = assemble(&walked.nodes[at], &mut take);
        match reached.definition[at] {
            Some(index) => drop(definitions.insert(index.to_string(), value)),
            None => built[at] = Some(value),
        }
    }
    let mut root = match reached.definition[0] {
        Some(index) => reference(index),
        None => built[0].take().unwrap_or(Value::Bool(true)),
    };
    if let (Value::Object(root), false) = (&mut root, definitions.is_empty()) {
        root.insert(container.to_owned(), Value::Object(definitions));
    }
    root
}

fn assemble(node: &Subschema<'_>, take: &mut impl FnMut(usize) -> Value) -> Value {
    if !node.value.is_object() {
        return node.value.clone();
    }
    let mut members = node.plain.clone();
    let mut references = Vec::new();
    for part in &node.parts {
        match part {
            KeywordPart::One(keyword, child) => drop(members.insert((*keyword).to_owned(), take(*child))),
            KeywordPart::List(keyword, all) => {
                let all = all.iter().map(|child| take(*child)).collect();
                members.insert((*keyword).to_owned(), Value::Array(all));
            }
            KeywordPart::Named(keyword, all) => {
                let entry = |(name, entry): &(String, NamedEntry)| match entry {
                    NamedEntry::Schema(child) => (name.clone(), take(*child)),
                    NamedEntry::Plain(value) => (name.clone(), value.clone()),
                };
                members.insert((*keyword).to_owned(), Value::Object(all.iter().map(entry).collect()));
            }
            KeywordPart::Reference(target) => references.push(take(*target)),
        }
    }
    let mut references = references.into_iter();
    if let Some(Value::Object(first)) = references.next() {
        members.extend(first);
    }
    let others: Vec<Value> = references.collect();
    if !others.is_empty()
        && let Value::Array(all) = members.entry("allOf").or_insert_with(|| json!([]))
    {
        all.extend(others);
    }
    Value::Object(members)
}

/// The graph of what the root leads to.
pub(super) fn graph(walked: &ReadSchema<'_>) -> Result<SchemaGraph, SchemaError> {
    let reached = reach(walked);
    let mut dense = vec![0; walked.nodes.len()];
    let kept: Vec<usize> = (0..walked.nodes.len()).filter(|at| reached.is_reached[*at]).collect();
    kept.iter().enumerate().for_each(|(index, at)| dense[*at] = index);
    let nodes = kept.iter().map(|at| node(walked, &walked.nodes[*at], &dense)).collect();
    SchemaGraph::new(nodes).map_err(|(index, error)| SchemaError {
        place: walked.place(kept.get(index).copied().unwrap_or_default()),
        message: error.to_string(),
    })
}

impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cycle => f.write_str("refers to itself without going into a property or an item"),
            Self::TooDeep => {
                write!(f, "has more than {IN_PLACE_DEPTH_MAX} references and combinators inside of each other")
            }
            Self::TooManyExpansions => {
                write!(f, "leads to more than {EXPANSIONS_MAX} subschemas for one value, counted along every way")
            }
            Self::NestedUnevaluated => f.write_str("has unevaluatedProperties or unevaluatedItems above another one"),
            Self::UnevaluatedTooLarge => write!(
                f,
                "has unevaluatedProperties or unevaluatedItems above more than {UNEVALUATED_EXPANSIONS_MAX} subschemas"
            ),
        }
    }
}

fn node(walked: &ReadSchema<'_>, from: &Subschema<'_>, dense: &[usize]) -> SchemaNode {
    let states = |pattern: &str| walked.patterns.get(pattern).map_or(1, |size| size.states);
    let mut node = SchemaNode { steps: 1, ..SchemaNode::default() };
    for (keyword, value) in &from.plain {
        node.steps += match (keyword.as_str(), value) {
            ("multipleOf", _) => MULTIPLE_OF_STEPS,
            ("enum" | "const" | "required" | "dependentRequired", value) => size(value),
            _ => 1,
        };
        node.unique_items |= keyword == "uniqueItems" && *value == Value::Bool(true);
    }
    node.pattern_states = from.plain.get("pattern").and_then(Value::as_str).map(states);
    for part in &from.parts {
        match part {
            KeywordPart::One(keyword, child) => one(&mut node, keyword, dense[*child]),
            KeywordPart::List(keyword, all) => {
                let all = all.iter().map(|child| dense[*child]);
                if dialect::is_in_place(keyword) {
                    node.in_place.extend(all);
                } else {
                    node.array.get_or_insert_default().prefix.extend(all);
                }
            }
            KeywordPart::Named(keyword, all) => named(&mut node, keyword, all, dense, &states),
            KeywordPart::Reference(target) => node.in_place.push(dense[*target]),
        }
    }
    node
}

fn one(node: &mut SchemaNode, keyword: &str, child: usize) {
    match keyword {
        "additionalProperties" => node.object.get_or_insert_default().additional.push(child),
        "unevaluatedProperties" => {
            node.object.get_or_insert_default().additional.push(child);
            node.unevaluated = true;
        }
        "propertyNames" => node.object.get_or_insert_default().names = Some(child),
        "items" | "additionalItems" => node.array.get_or_insert_default().rest.push(child),
        "unevaluatedItems" => {
            node.array.get_or_insert_default().rest.push(child);
            node.unevaluated = true;
        }
        "contains" => node.array.get_or_insert_default().contains.push(child),
        _ => node.in_place.push(child),
    }
}

fn named(
    node: &mut SchemaNode, keyword: &str, all: &[(String, NamedEntry)], dense: &[usize], states: &impl Fn(&str) -> u64,
) {
    for (name, entry) in all {
        match (keyword, entry) {
            ("properties", NamedEntry::Schema(child)) => {
                node.object.get_or_insert_default().properties.insert(name.clone(), dense[*child]);
            }
            ("patternProperties", NamedEntry::Schema(child)) => {
                node.object.get_or_insert_default().patterns.push((states(name), dense[*child]));
            }
            (_, NamedEntry::Schema(child)) => node.in_place.push(dense[*child]),
            (_, NamedEntry::Plain(value)) => node.steps += size(value),
        }
    }
    // Properties are looked up one by one.
    node.steps += all.len() as u64;
}

/// Values in a value.
fn size(value: &Value) -> u64 {
    let (mut values, mut waiting) = (0, vec![value]);
    while let Some(value) = waiting.pop() {
        values += 1;
        match value {
            Value::Array(items) => waiting.extend(items),
            Value::Object(members) => waiting.extend(members.values()),
            _ => {}
        }
    }
    values
}
