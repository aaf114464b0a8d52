//! Every sentence of the contract names tests that run, assert something, and know the names in the sentence.

use super::target;
use crate::facts::Function;
use crate::manifest::Files;
use crate::map::Area;
use crate::resolve::Absolute;
use crate::workspace::{Node, Workspace};
use std::collections::BTreeMap;
use std::path::Path;

/// What the rows of the contract are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Proofs<'a> {
    /// Where the tests are.
    pub workspace: &'a Workspace,
    /// Their modules are named from their area on.
    pub areas: &'a [Area],
    /// The target whose tests are named without it.
    pub server_tests: &'a str,
    /// Texts of the sources.
    pub sources: &'a Files,
    /// Texts of snapshots and recordings that tests compare with.
    pub fixtures: &'a Files,
}

/// A test: its file, and what it is worth.
struct Test<'a> {
    path: &'a str,
    is_ignored: bool,
    asserts: bool,
}

/// What is wrong with the rows of a table of sentences, one line each:
/// - a table that has lost its rows;
/// - a row that names no test, or one that does not exist (a test of an area is `area::module::test`, one of the
///   server's target `module::test`);
/// - a test that is ignored, or that asserts nothing, neither itself nor in a function of its file that it calls;
/// - a name in the sentence, such as `voice_settings` or `X-RateLimit-Limit`, that occurs neither in the files of the row's
///   tests nor in the fixtures they name.
#[must_use]
pub fn contract_faults(proofs: Proofs<'_>, document: &str, rows_min: usize) -> Vec<String> {
    let known = tests(proofs);
    let rows: Vec<&str> =
        document.lines().filter(|line| line.starts_with("| A |") || line.starts_with("| B |")).collect();
    let mut faults = vec![];
    if rows.len() <= rows_min {
        faults.push(format!("{} rows", rows.len()));
    }
    for row in rows {
        let (sentence, names) = cells(row);
        let mut read = String::new();
        for name in names {
            match known.get(name) {
                None => faults.push(format!("{name:?} in {row}")),
                Some(test) if test.is_ignored => faults.push(format!("{name} is ignored")),
                Some(test) if !test.asserts => faults.push(format!("{name} asserts nothing")),
                Some(test) => read.push_str(&what_it_reads(proofs, test)),
            }
        }
        let read = read.to_lowercase();
        let unread = names_in(sentence).filter(|name| !read.is_empty() && !read.contains(&name.to_lowercase()));
        faults.extend(unread.map(|name| format!("no test of the row knows {name:?}: {row}")));
    }
    faults
}

/// The sentence and the tests of a row.
fn cells(row: &str) -> (&str, impl Iterator<Item = &str>) {
    let sentence = row.split('|').nth(2).unwrap_or_default();
    let tests = row.rsplit('|').nth(1).unwrap_or_default();
    (sentence, tests.split(',').map(|proof| proof.trim().trim_matches('`')))
}

/// Words with an underscore or that begin with `X-`: fields, values and headers.
fn names_in(sentence: &str) -> impl Iterator<Item = &str> {
    let words = sentence.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
    words.filter(|word| word.contains('_') && !word.ends_with('_') || word.starts_with("X-"))
}

/// A function without any of these passes whatever the code does. `pin` compares with a snapshot.
fn asserts(function: &str) -> bool {
    ["assert", "panic!", "pin(", "unwrap", "expect("].iter().any(|word| function.contains(word))
}

/// The file of a test, and every fixture whose name or folder occurs in it.
fn what_it_reads(proofs: Proofs<'_>, test: &Test<'_>) -> String {
    let mut text = proofs.sources.get(test.path).cloned().unwrap_or_default();
    let is_named = |path: &str| {
        let path = Path::new(path);
        let named = |part: &std::ffi::OsStr| part.to_str().is_some_and(|part| text.contains(part));
        path.file_stem().is_some_and(named) || path.parent().is_some_and(|folder| named(folder.as_os_str()))
    };
    let fixtures: String =
        proofs.fixtures.iter().filter(|(path, _)| is_named(path)).map(|(_, fixture)| fixture.as_str()).collect();
    text.push_str(&fixtures);
    text
}

fn tests(proofs: Proofs<'_>) -> BTreeMap<String, Test<'_>> {
    let mut found = BTreeMap::new();
    for node in &proofs.workspace.nodes {
        let Some(module) = module_of(proofs, node) else { continue };
        let source = &proofs.workspace.sources[node.source];
        let all = proofs.sources.get(&source.path).map_or("", String::as_str);
        let functions = &source.facts.functions;
        let texts: Vec<String> = functions.iter().map(|function| text_of(all, function)).collect();
        let asserting = functions.iter().zip(&texts).filter(|(_, text)| asserts(text));
        let calls: Vec<String> = asserting.map(|(function, _)| format!("{}(", function.name)).collect();
        for (test, text) in functions.iter().zip(&texts) {
            if test.is_test && test.module == node.module {
                let asserts = asserts(text) || calls.iter().any(|call| text.contains(call.as_str()));
                let (path, is_ignored) = (source.path.as_str(), test.is_ignored);
                found.insert(format!("{module}::{}", test.name), Test { path, is_ignored, asserts });
            }
        }
    }
    found
}

fn text_of(file: &str, function: &Function) -> String {
    let lines =
        file.lines().skip(function.line.saturating_sub(1)).take((function.end + 1).saturating_sub(function.line));
    lines.collect::<Vec<_>>().join("\n")
}

fn module_of(proofs: Proofs<'_>, node: &Node) -> Option<String> {
    let tree = &proofs.workspace.trees[node.tree];
    if tree.path == proofs.server_tests {
        return Some(node.path.join("::"));
    }
    let path = Absolute::Ours { root: tree.root, names: node.path.clone() };
    let (area, rest) = target(proofs.workspace, proofs.areas, &path)?;
    Some([&[area.name.to_owned()], rest.as_slice()].concat().join("::"))
}
