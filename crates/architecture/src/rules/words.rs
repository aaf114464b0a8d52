//! What files and fields are called.

use super::production;
use crate::facts::Field;
use crate::workspace::Workspace;

/// Files that do not begin with a sentence about them.
#[must_use]
pub fn silent(workspace: &Workspace) -> Vec<String> {
    let silent = workspace.sources.iter().filter(|source| !source.facts.has_header);
    silent.map(|source| source.path.clone()).collect()
}

/// Fields and owned parameters that are named like a secret and have the type of a text.
#[must_use]
pub fn unsealed(workspace: &Workspace, secrets: &[&str], exceptions: &[&str]) -> Vec<String> {
    let is_text =
        |field: &Field| matches!(field.kind.as_str(), "String" | "Option<String>" | "Arc<str>" | "Option<Arc<str>>");
    let is_secret = |field: &&Field| {
        !field.in_tests
            && is_text(field)
            && secrets.iter().any(|secret| field.name.contains(secret))
            && !exceptions.contains(&field.name.as_str())
    };
    let mut faults = vec![];
    for source in production(workspace) {
        let fields = source.facts.structs.iter().flat_map(|structure| &structure.fields);
        let found = fields.chain(&source.facts.parameters).filter(is_secret);
        faults.extend(found.map(|field| format!("{}:{}: {}", source.path, field.line, field.name)));
    }
    faults
}
