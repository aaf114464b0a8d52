//! Documents name tests that exist.

use crate::workspace::Workspace;
use std::collections::BTreeSet;

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
