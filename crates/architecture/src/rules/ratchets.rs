//! What is too long, too wide, in a circle, or sleeps: counted, so that `known.txt` can only shrink.

use super::area_of;
use crate::circles::circles;
use crate::facts::{PathRole, Struct};
use crate::manifest::TargetKind;
use crate::map::{
    AREAS, Area, FIELDS_MAX, FILE_LINES_MAX, FUNCTION_LINES_MAX, OWN_FIELDS_MAX, POLLING_HELPERS, SETTINGS,
};
use crate::resolve::Absolute;
use crate::workspace::{Source, Workspace};
use std::collections::BTreeMap;

/// Something beyond its limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offender {
    /// `function`, `file`, `struct`, `circle` or `sleep`.
    pub rule: String,
    /// `path`, `path::name`, `path::Type::name`.
    pub name: String,
    /// Lines, fields, files of the circle, sleeps.
    pub count: usize,
}

/// Everything beyond its limit.
#[must_use]
pub fn offenders(workspace: &Workspace) -> Vec<Offender> {
    let mut found: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for source in &workspace.sources {
        for (name, lines) in long_functions(source) {
            let longest = found.entry(("function", name)).or_default();
            *longest = lines.max(*longest);
        }
        found.extend(long_files(source).into_iter().map(|(name, lines)| (("file", name), lines)));
        for structure in source.facts.structs.iter().filter(|structure| is_wide(AREAS, source, structure)) {
            found.insert(("struct", format!("{}::{}", source.path, structure.name)), structure.fields.len());
        }
        for name in sleeps(workspace, source) {
            *found.entry(("sleep", name)).or_default() += 1;
        }
    }
    for circle in circles(workspace) {
        let size = circle.files.len();
        found.extend(circle.files.into_iter().map(|file| (("circle", file), size)));
    }
    found.into_iter().map(|((rule, name), count)| Offender { rule: rule.to_owned(), name, count }).collect()
}

fn long_functions(source: &Source) -> impl Iterator<Item = (String, usize)> {
    let long = source.facts.functions.iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
    long.map(|function| (format!("{}::{}", source.path, function.name), function.lines))
}

fn long_files(source: &Source) -> Vec<(String, usize)> {
    let parts =
        [(source.path.clone(), source.facts.code_lines), (format!("{}::tests", source.path), source.facts.test_lines)];
    parts.into_iter().filter(|(_, lines)| *lines > FILE_LINES_MAX).collect()
}

/// A document of a customer is as wide as the customer's word for it: it has a schema, it is validated, or it is a part
/// of the settings.
pub(crate) fn is_document(areas: &[Area], source: &Source, structure: &Struct) -> bool {
    let derives = |name: &str| structure.derives.iter().any(|derive| derive == name);
    let is_setting = area_of(areas, &source.path).is_some_and(|area| area.name == SETTINGS);
    derives("ToSchema") || derives("Validate") || is_setting && derives("Deserialize")
}

fn is_wide(areas: &[Area], source: &Source, structure: &Struct) -> bool {
    let own = OWN_FIELDS_MAX.iter().find(|(name, _)| *name == structure.name).map(|(_, limit)| *limit);
    structure.fields.len() > own.unwrap_or(FIELDS_MAX) && (own.is_some() || !is_document(areas, source, structure))
}

/// Sleeps of tests outside of the helpers, by function. Programs of customers and benches are no tests.
fn sleeps(workspace: &Workspace, source: &Source) -> Vec<String> {
    let sleeps = workspace.paths(source).filter(|(node, path)| {
        let is_test = source.is_test || path.in_tests;
        let is_import = matches!(path.role, PathRole::Import | PathRole::ReExport | PathRole::Glob);
        is_test
            && !is_import
            && source.kind != TargetKind::Demonstration
            && is_sleep(&workspace.absolute(*node, &path.segments))
    });
    let function = |line: usize| {
        let around = source.facts.functions.iter().filter(|function| (function.line..=function.end).contains(&line));
        around.min_by_key(|function| function.end - function.line).map_or("", |function| &function.name)
    };
    let names = sleeps.map(|(_, path)| format!("{}::{}", source.path, function(path.line)));
    names.filter(|name| !POLLING_HELPERS.contains(&name.as_str())).collect()
}

fn is_sleep(path: &Absolute) -> bool {
    let Absolute::Foreign(names) = path else { return false };
    let mut names = names.iter().rev().map(String::as_str);
    matches!(names.next(), Some("sleep" | "sleep_until")) && matches!(names.next(), Some("time" | "thread"))
}

/// Limits and helpers of the map that nothing has: the name has moved.
#[must_use]
pub fn unlimited(workspace: &Workspace) -> Vec<String> {
    let has_struct = |names: &[&str]| {
        let structs = workspace.production().flat_map(|source| &source.facts.structs);
        structs.into_iter().any(|structure| names.contains(&structure.name.as_str()))
    };
    let has_function = |helper: &str| {
        workspace.sources.iter().any(|source| {
            source.facts.functions.iter().any(|function| format!("{}::{}", source.path, function.name) == helper)
        })
    };
    let mut faults: Vec<String> =
        POLLING_HELPERS.iter().filter(|helper| !has_function(helper)).map(|helper| (*helper).to_owned()).collect();
    if !has_struct(&["CallMachine", "Machine"]) || !has_struct(&["Leg"]) {
        faults.push("the machine of a call or the leg has another name now".to_owned());
    }
    let has_file = |area: &&Area| workspace.sources.iter().any(|source| super::stands_at(&source.path, area.place));
    faults.extend(AREAS.iter().filter(|area| !has_file(area)).map(|area| format!("no file is at {}", area.place)));
    faults
}
