//! Documents name tests that exist.

use super::target;
use crate::map::Area;
use crate::resolve::Absolute;
use crate::workspace::{Node, Workspace};
use std::collections::BTreeSet;

/// Rows of a table that name no test, or one that does not exist; and a table that has lost its rows. A test of an area is
/// `area::module::test`, one of a target of tests `module::test`.
#[must_use]
pub fn contract_faults(
    workspace: &Workspace, areas: &[Area], server_tests: &str, document: &str, rows_min: usize,
) -> Vec<String> {
    let known = tests(workspace, areas, server_tests);
    let rows: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| A |") || line.starts_with("| B |")).collect();
    let mut faults = vec![];
    if rows.len() <= rows_min {
        faults.push(format!("{} rows", rows.len()));
    }
    for row in rows {
        let proofs = row.rsplit('|').nth(1).unwrap_or_default().split(',').map(|proof| proof.trim().trim_matches('`'));
        let missing = proofs.filter(|proof| !known.contains(*proof));
        faults.extend(missing.map(|proof| format!("{proof:?} in {row}")));
    }
    faults
}

fn tests(workspace: &Workspace, areas: &[Area], server_tests: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for node in &workspace.nodes {
        let functions = &workspace.sources[node.source].facts.functions;
        for test in functions.iter().filter(|function| function.is_test && function.module == node.module) {
            found.extend(
                module_of(workspace, areas, server_tests, node).map(|module| format!("{module}::{}", test.name)),
            );
        }
    }
    found
}

fn module_of(workspace: &Workspace, areas: &[Area], server_tests: &str, node: &Node) -> Option<String> {
    let tree = &workspace.trees[node.tree];
    if tree.path == server_tests {
        return Some(node.path.join("::"));
    }
    let path = Absolute::Ours { root: tree.root, names: node.path.clone() };
    let (area, rest) = target(workspace, areas, &path)?;
    Some([&[area.name.to_owned()], rest.as_slice()].concat().join("::"))
}

/// Names in backticks that look like tests and begin the name of none; and a document that names too few.
#[must_use]
pub fn tests_without_name(workspace: &Workspace, document: &str, names_min: usize) -> Vec<String> {
    let functions = workspace.sources.iter().flat_map(|source| &source.facts.functions);
    let known: Vec<&str> =
        functions.filter(|function| function.is_test).map(|function| function.name.as_str()).collect();
    let quoted = document.split('`').skip(1).step_by(2);
    let named = quoted.filter(|name| name.contains('_') && !name.contains(['/', ' ', '.']));
    let named: Vec<&str> = named.map(|name| name.rsplit("::").next().unwrap_or(name).trim_end_matches('…')).collect();
    let missing = named.iter().filter(|name| !known.iter().any(|test| test.starts_with(**name)));
    let mut faults: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    if named.len() <= names_min {
        faults.push(format!("{} tests are named", named.len()));
    }
    faults
}

/// Rules in the table of a document that nothing checks, and rules that the table leaves out. A row of a rule ends with
/// its name: `| … | `imports_point_one_way` |`.
#[must_use]
pub fn unnamed_rules(rules: &[&str], document: &str) -> Vec<String> {
    let rules: BTreeSet<&str> = rules.iter().copied().collect();
    let section = document.split("### Rules").nth(1).and_then(|rest| rest.split("\n#").next()).unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"));
    let named: BTreeSet<&str> = rows.map(|(_, name)| name).collect();
    let missing = named.difference(&rules).map(|name| format!("{name} is in the table, and no rule"));
    missing.chain(rules.difference(&named).map(|name| format!("{name} is not in the table"))).collect()
}
