//! How many steps it takes to hold a value against a schema, counted before it is done.
//!
//! For each value it is known how often each subschema is held against it: as often as ways lead there. Counting that
//! takes as many steps as the result at most, and ends where the budget does.

use super::graph::{SchemaGraph, SchemaNode};
use super::limits::EVALUATION_LEVELS_MAX;
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of a text that are looked at in a step.
const BYTES_PER_STEP: u64 = 32;
/// States of a pattern that a byte may visit in a step.
const STATES_PER_STEP: u64 = 64;
/// `uniqueItems` compares short arrays pair by pair.
const UNIQUE_STEPS: u64 = 8;

/// The budget does not suffice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CostError {
    Steps,
    Levels,
}

/// A value, or the name of a member.
#[derive(Clone, Copy, Debug)]
enum EvaluatedItem<'a> {
    Value(&'a Value),
    Name(&'a str),
}

/// Subschemas that are held against an item: node, how often, and how far down.
type AppliedSchemas = Vec<(usize, u64, u32)>;

/// Counts the steps of holding a value against node 0, as far as `steps_max`.
pub(super) fn steps(graph: &SchemaGraph, value: &Value, steps_max: u64) -> Result<u64, CostError> {
    let mut count =
        StepCounter { graph, steps: 0, steps_max, waiting: vec![(EvaluatedItem::Value(value), vec![(0, 1, 1)])] };
    while let Some((item, applied)) = count.waiting.pop() {
        let applied = count.in_place(item, applied)?;
        match item {
            EvaluatedItem::Value(Value::Object(members)) => {
                for (name, member) in members {
                    count.member(name, member, &applied)?;
                }
            }
            EvaluatedItem::Value(Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    count.item(at, item, &applied)?;
                }
            }
            _ => {}
        }
    }
    Ok(count.steps)
}

struct StepCounter<'a> {
    graph: &'a SchemaGraph,
    steps: u64,
    steps_max: u64,
    waiting: Vec<(EvaluatedItem<'a>, AppliedSchemas)>,
}

impl<'a> StepCounter<'a> {
    fn add(&mut self, steps: u64) -> Result<(), CostError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.steps_max { Err(CostError::Steps) } else { Ok(()) }
    }

    /// All subschemas that are held against an item.
    fn in_place(&mut self, item: EvaluatedItem<'a>, applied: AppliedSchemas) -> Result<AppliedSchemas, CostError> {
        let graph = self.graph;
        let mut all = AppliedSchemas::new();
        let mut ranks: BTreeMap<usize, (u64, u32)> = BTreeMap::new();
        let add = |ranks: &mut BTreeMap<usize, (u64, u32)>, node: usize, times: u64, level: u32| {
            let entry = ranks.entry(graph.rank[node]).or_default();
            *entry = (entry.0.saturating_add(times), entry.1.max(level));
        };
        applied.into_iter().for_each(|(node, times, level)| add(&mut ranks, node, times, level));
        while let Some((rank, (times, level))) = ranks.pop_first() {
            let at = graph.order[rank];
            let node = &graph.nodes[at];
            // `unevaluated…` looks at everything below it once more for each level of combinators.
            let times = if node.unevaluated { times.saturating_mul(u64::from(graph.height[at]) + 2) } else { times };
            if level > EVALUATION_LEVELS_MAX {
                return Err(CostError::Levels);
            }
            self.add(times.saturating_mul(own_steps(node, item)))?;
            node.in_place.iter().for_each(|child| add(&mut ranks, *child, times, level + 1));
            all.push((at, times, level));
        }
        Ok(all)
    }

    fn member(&mut self, name: &'a str, member: &'a Value, applied: &AppliedSchemas) -> Result<(), CostError> {
        let (mut of_value, mut of_name) = (AppliedSchemas::new(), AppliedSchemas::new());
        for (at, times, level) in applied {
            let Some(rules) = &self.graph.nodes[*at].object else { continue };
            let mut steps = 1;
            let next = |node: usize| (node, *times, level + 1);
            match rules.properties.get(name) {
                Some(node) => of_value.push(next(*node)),
                None => of_value.extend(rules.additional.iter().map(|node| next(*node))),
            }
            for (states, node) in &rules.patterns {
                steps += match_steps(name, *states);
                of_value.push(next(*node));
            }
            of_name.extend(rules.names.map(next));
            self.add(times.saturating_mul(steps))?;
        }
        self.wait(EvaluatedItem::Value(member), of_value);
        self.wait(EvaluatedItem::Name(name), of_name);
        Ok(())
    }

    fn item(&mut self, at: usize, item: &'a Value, applied: &AppliedSchemas) -> Result<(), CostError> {
        let mut of_item = AppliedSchemas::new();
        for (node, times, level) in applied {
            let Some(rules) = &self.graph.nodes[*node].array else { continue };
            let own = rules.prefix.get(at).map_or(&rules.rest[..], std::slice::from_ref);
            of_item.extend(own.iter().chain(&rules.contains).map(|node| (*node, *times, level + 1)));
            self.add(*times)?;
        }
        self.wait(EvaluatedItem::Value(item), of_item);
        Ok(())
    }

    fn wait(&mut self, item: EvaluatedItem<'a>, applied: AppliedSchemas) {
        if !applied.is_empty() {
            self.waiting.push((item, applied));
        }
    }
}

/// Steps of a pattern on a text.
fn match_steps(text: &str, states: u64) -> u64 {
    1 + text.len() as u64 * (1 + states / STATES_PER_STEP) / BYTES_PER_STEP.min(8)
}

/// Steps of a node's keywords on an item.
fn own_steps(node: &SchemaNode, item: EvaluatedItem<'_>) -> u64 {
    let text = match item {
        EvaluatedItem::Value(Value::String(text)) => text,
        EvaluatedItem::Name(name) => name,
        EvaluatedItem::Value(value) => {
            return node.steps + if node.unique_items { UNIQUE_STEPS.saturating_mul(size(value)) } else { 0 };
        }
    };
    let pattern = node.pattern_states.map_or(0, |states| match_steps(text, states));
    node.steps + text.len() as u64 / BYTES_PER_STEP + pattern
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
