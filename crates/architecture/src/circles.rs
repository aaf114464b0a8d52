//! Circles between files: who uses items that another file defines, and which of them use each other.

use crate::facts::PathRole;
use crate::workspace::Workspace;
use std::collections::{BTreeMap, BTreeSet};

/// Files of one crate that use each other, each of them directly or through others.
#[derive(Debug)]
pub struct Circle {
    /// The package.
    pub package: String,
    /// Their paths, in order.
    pub files: Vec<String>,
    /// From which file to which, and which items are used.
    pub edges: Vec<Edge>,
}

/// A file uses items of another one.
#[derive(Debug)]
pub struct Edge {
    /// The file that uses.
    pub from: String,
    /// The file that defines.
    pub to: String,
    /// The items.
    pub items: Vec<String>,
}

type Graph = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

/// All circles, tests left out.
#[must_use]
pub fn circles(workspace: &Workspace) -> Vec<Circle> {
    let graph = graph(workspace);
    let path = |source: &usize| workspace.sources[*source].path.clone();
    let components = components(&graph).into_iter().map(|members| {
        let mut files: Vec<String> = members.iter().map(path).collect();
        files.sort();
        let inside = members.iter().flat_map(|from| {
            graph[from].iter().filter(|(to, _)| members.contains(to)).map(move |(to, items)| (from, to, items))
        });
        let edges = inside.map(|(from, to, items)| Edge {
            from: path(from),
            to: path(to),
            items: items.iter().cloned().collect(),
        });
        let package = members.iter().next().map(|first| workspace.package(&workspace.sources[*first]).to_owned());
        Circle { package: package.unwrap_or_default(), files, edges: edges.collect() }
    });
    components.collect()
}

/// A re-export alone uses nothing; who uses the name, uses the file that defines it.
fn graph(workspace: &Workspace) -> Graph {
    let mut graph = Graph::new();
    for (from, source) in workspace.sources.iter().enumerate().filter(|(_, source)| source.is_production()) {
        for (node, path) in workspace.paths(source) {
            let is_name = path.segments.len() > 1 || could_be_item(path.last(), &path.role);
            let is_passed_on = matches!(path.role, PathRole::ReExport | PathRole::Glob);
            let is_method = path.call().is_some_and(|call| call.is_method);
            if path.in_tests || !is_name || is_passed_on || is_method {
                continue;
            }
            let Some((to, item)) = workspace.definition(node, &path.segments) else { continue };
            let same_crate = workspace.sources[to].member == source.member;
            if to != from && same_crate && workspace.sources[to].is_production() {
                graph.entry(from).or_default().entry(to).or_default().insert(item);
            }
        }
    }
    graph
}

/// A single small word is a variable more often than an item.
fn could_be_item(name: &str, role: &PathRole) -> bool {
    name.starts_with(char::is_uppercase) || !matches!(role, PathRole::Mention)
}

/// Strongly connected components of more than one file: files that reach each other.
fn components(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let reach: BTreeMap<usize, BTreeSet<usize>> = graph.keys().map(|from| (*from, reachable(graph, *from))).collect();
    let mut found: Vec<BTreeSet<usize>> = vec![];
    for (from, reached) in &reach {
        if found.iter().any(|component| component.contains(from)) || !reached.contains(from) {
            continue;
        }
        let mutual = |to: &&usize| reach.get(*to).is_some_and(|back| back.contains(from));
        found.push(reached.iter().filter(mutual).copied().collect());
    }
    found
}

fn reachable(graph: &Graph, from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for to in graph.get(&next).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(*to) {
                open.push(*to);
            }
        }
    }
    found
}
