//! A schema as a graph: which subschemas are held against the same value, which against its members and items.
//! Everything that is to be known about its cost is counted here, without evaluating anything.

use super::limits::{EXPANSIONS_MAX, IN_PLACE_DEPTH_MAX, UNEVALUATED_EXPANSIONS_MAX};
use std::collections::HashMap;

/// A subschema.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SchemaNode {
    /// Held against the same value: combinators, conditions, references.
    pub in_place: Vec<usize>,
    /// Steps of its keywords.
    pub steps: u64,
    /// States of `pattern`.
    pub pattern_states: Option<u64>,
    pub unique_items: bool,
    /// `unevaluatedProperties` or `unevaluatedItems`.
    pub unevaluated: bool,
    pub object: Option<Box<ObjectRules>>,
    pub array: Option<Box<ArrayRules>>,
}

/// What the members of an object are held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ObjectRules {
    pub properties: HashMap<String, usize>,
    /// States of each pattern, and its subschema.
    pub patterns: Vec<(u64, usize)>,
    /// Of members that `properties` does not name.
    pub additional: Vec<usize>,
    pub names: Option<usize>,
}

/// What the items of an array are held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ArrayRules {
    pub prefix: Vec<usize>,
    /// Of items behind `prefix`.
    pub rest: Vec<usize>,
    /// Of each item.
    pub contains: Vec<usize>,
}

/// Subschemas in an order in which those that are held against the same value come later.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SchemaGraph {
    pub nodes: Vec<SchemaNode>,
    /// Nodes by rank.
    pub order: Vec<usize>,
    /// Rank of each node.
    pub rank: Vec<usize>,
    /// Longest way of each node through what is held against the same value.
    pub height: Vec<u32>,
}

/// Why a graph is refused, and the node it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GraphError {
    /// It comes back to itself without going into a member or an item.
    Cycle,
    TooDeep,
    TooManyExpansions,
    /// One `unevaluated…` looks at another one.
    NestedUnevaluated,
    UnevaluatedTooLarge,
}

impl SchemaGraph {
    /// Orders the nodes and judges what holding one value against them takes.
    pub(super) fn new(nodes: Vec<SchemaNode>) -> Result<Self, (usize, GraphError)> {
        let order = order(&nodes)?;
        let mut rank = vec![0; nodes.len()];
        order.iter().enumerate().for_each(|(at, node)| rank[*node] = at);
        let mut graph = Self { height: vec![0; nodes.len()], nodes, order, rank };
        graph.check_limits()?;
        Ok(graph)
    }

    fn check_limits(&mut self) -> Result<(), (usize, GraphError)> {
        let mut expansions = vec![1_u64; self.nodes.len()];
        let mut sees_unevaluated = vec![false; self.nodes.len()];
        for &at in self.order.iter().rev() {
            let (mut height, mut total, mut sees) = (0, 1_u64, false);
            for &child in &self.nodes[at].in_place {
                height = height.max(self.height[child].saturating_add(1));
                total = total.saturating_add(expansions[child]);
                sees |= sees_unevaluated[child];
            }
            if height as usize > IN_PLACE_DEPTH_MAX {
                return Err((at, GraphError::TooDeep));
            }
            if total > EXPANSIONS_MAX {
                return Err((at, GraphError::TooManyExpansions));
            }
            if self.nodes[at].unevaluated && sees {
                return Err((at, GraphError::NestedUnevaluated));
            }
            if self.nodes[at].unevaluated && total > UNEVALUATED_EXPANSIONS_MAX {
                return Err((at, GraphError::UnevaluatedTooLarge));
            }
            self.height[at] = height;
            expansions[at] = total;
            sees_unevaluated[at] = sees || self.nodes[at].unevaluated;
        }
        Ok(())
    }
}

/// An order in which each node comes before those that are held against the same value, or a node of a cycle.
fn order(nodes: &[SchemaNode]) -> Result<Vec<usize>, (usize, GraphError)> {
    let mut referrers = vec![0_usize; nodes.len()];
    for child in nodes.iter().flat_map(|node| &node.in_place) {
        referrers[*child] += 1;
    }
    let mut order: Vec<usize> = (0..nodes.len()).filter(|at| referrers[*at] == 0).collect();
    let mut done = 0;
    while let Some(&at) = order.get(done) {
        done += 1;
        for &child in &nodes[at].in_place {
            referrers[child] -= 1;
            if referrers[child] == 0 {
                order.push(child);
            }
        }
    }
    match (0..nodes.len()).find(|at| referrers[*at] > 0) {
        // Not every such node is on the cycle; from each one a way leads back to one that is.
        Some(at) => Err((on_cycle(nodes, &referrers, at), GraphError::Cycle)),
        None => Ok(order),
    }
}

/// A node of a cycle, going backwards from one that has referrers left.
fn on_cycle(nodes: &[SchemaNode], referrers: &[usize], start: usize) -> usize {
    let mut parent = vec![None; nodes.len()];
    for (at, node) in nodes.iter().enumerate().filter(|(at, _)| referrers[*at] > 0) {
        node.in_place.iter().for_each(|child| parent[*child] = Some(at));
    }
    let mut at = start;
    // As many steps as there are nodes lead into the cycle, wherever it was begun.
    for _ in 0..nodes.len() {
        at = parent[at].unwrap_or(at);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(edges: &[&[usize]]) -> Vec<SchemaNode> {
        edges.iter().map(|to| SchemaNode { in_place: to.to_vec(), steps: 1, ..SchemaNode::default() }).collect()
    }

    #[test]
    fn a_cycle_is_found_where_it_is() {
        assert_eq!(SchemaGraph::new(nodes(&[&[0]])).unwrap_err(), (0, GraphError::Cycle));
        let (at, error) = SchemaGraph::new(nodes(&[&[1], &[2], &[3], &[2, 4], &[]])).unwrap_err();
        assert_eq!((error, at == 2 || at == 3), (GraphError::Cycle, true), "{at}");
        let (at, error) = SchemaGraph::new(nodes(&[&[], &[3], &[1], &[2, 4], &[5], &[]])).unwrap_err();
        assert_eq!((error, (1..4).contains(&at)), (GraphError::Cycle, true), "{at}");
        assert!(SchemaGraph::new(nodes(&[&[1, 2], &[3], &[3], &[]])).is_ok());
    }

    #[test]
    fn a_diamond_is_counted_and_not_walked() {
        let diamond = |levels: usize| {
            let mut edges: Vec<Vec<usize>> = (0..levels).map(|at| vec![at + 1, at + 1]).collect();
            edges.push(Vec::new());
            SchemaGraph::new(nodes(&edges.iter().map(Vec::as_slice).collect::<Vec<_>>()))
        };
        assert!(diamond(11).is_ok());
        assert_eq!(diamond(12).unwrap_err(), (0, GraphError::TooManyExpansions));
        assert_eq!(diamond(30).unwrap_err().1, GraphError::TooManyExpansions);
        let chain = |length: usize| {
            let mut edges: Vec<Vec<usize>> = (0..length).map(|at| vec![at + 1]).collect();
            edges.push(Vec::new());
            SchemaGraph::new(nodes(&edges.iter().map(Vec::as_slice).collect::<Vec<_>>()))
        };
        assert!(chain(IN_PLACE_DEPTH_MAX).is_ok());
        assert_eq!(chain(100_000).unwrap_err().1, GraphError::TooDeep);
    }

    #[test]
    fn one_unevaluated_does_not_look_at_another() {
        let mut all = nodes(&[&[1], &[2], &[]]);
        all[0].unevaluated = true;
        assert!(SchemaGraph::new(all.clone()).is_ok());
        all[2].unevaluated = true;
        assert_eq!(SchemaGraph::new(all).unwrap_err(), (0, GraphError::NestedUnevaluated));
        let mut wide = nodes(&[&[1; 200], &[]]);
        wide[0].unevaluated = true;
        assert_eq!(SchemaGraph::new(wide).unwrap_err(), (0, GraphError::UnevaluatedTooLarge));
    }
}
