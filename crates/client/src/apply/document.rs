//! What a file asks for: trunks, agents, numbers and provider keys, with everything in it checked that can be checked
//! without the server.

use super::item::{Item, Kind, Link};
use super::references::{Environment, References};
use super::rules;
use crate::yaml::{self, Entry, FileError, Node, NodeKind};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Stands for the id of something that is named, until it is known.
const NIL_ID: &str = "00000000-0000-0000-0000-000000000000";
/// Entries of a file.
const ITEMS_MAX: usize = 5_000;

/// Reads a document, or returns everything that is wrong with it.
pub(super) fn items(text: &str, folder: &Path, environment: Environment<'_>) -> Result<Vec<Item>, Vec<FileError>> {
    let document = yaml::parse(text).map_err(|error| vec![error])?;
    let NodeKind::Map(sections) = &document.kind else {
        return Err(vec![FileError::new(document.line, "", format!("a document has the fields {}", section_names()))]);
    };
    let mut errors = Vec::new();
    let mut items = Vec::new();
    for section in sections {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.section() == section.key) else {
            let message = format!("unknown field, expected one of {}", section_names());
            errors.push(FileError::new(section.line, section.key.clone(), message));
            continue;
        };
        match &section.node.kind {
            NodeKind::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    match item(kind, index, node, folder, environment, &mut errors) {
                        Some(_) if items.len() >= ITEMS_MAX => {
                            let message = format!("a file has at most {ITEMS_MAX} entries");
                            errors.push(FileError::new(node.line, section.key.clone(), message));
                            return Err(errors);
                        }
                        Some(item) => items.push(item),
                        None => {}
                    }
                }
            }
            NodeKind::Scalar(Value::Null) => {}
            _ => errors.push(FileError::new(section.line, section.key.clone(), "must be a list")),
        }
    }
    find_doubles(&items, &mut errors);
    items.sort_by_key(|item| item.kind);
    if items.is_empty() && errors.is_empty() {
        errors.push(FileError::new(
            document.line,
            "",
            format!("the file asks for nothing: {} are empty", section_names()),
        ));
    }
    if errors.is_empty() { Ok(items) } else { Err(errors) }
}

fn section_names() -> String {
    Kind::ALL.map(Kind::section).join(", ")
}

fn item(
    kind: Kind, index: usize, node: &Node, folder: &Path, environment: Environment<'_>, errors: &mut Vec<FileError>,
) -> Option<Item> {
    let path = format!("{}[{index}]", kind.section());
    let NodeKind::Map(entries) = &node.kind else {
        errors.push(FileError::new(node.line, path, "must be an object with fields"));
        return None;
    };
    let own_secret = (kind == Kind::ProviderKey).then_some("value");
    let mut references = References { folder, environment, own_secret, secrets: Vec::new(), errors: Vec::new() };
    // The names of an item decide what it is: they stand in the file.
    let Value::Object(fields) = references.value(node, &path, "", false) else {
        errors.push(FileError::new(node.line, path, "must be an object with fields"));
        return None;
    };
    let References { secrets, errors: faults, .. } = references;
    let before = errors.len();
    errors.extend(faults);
    let name = identity(kind, &fields);
    let mut item = Item { kind, name, path, node: node.clone(), fields, secrets, links: Vec::new() };
    find_links(&mut item, entries, errors);
    // One error of a field is enough.
    let known: Vec<(usize, String)> = errors[before..].iter().map(|error| (error.line, error.field.clone())).collect();
    let more = rules::check(&mut item).into_iter();
    errors.extend(more.filter(|error| !known.contains(&(error.line, error.field.clone()))));
    Some(item)
}

/// What an item is found by; a missing one is a fault that the rules find.
fn identity(kind: Kind, fields: &Map<String, Value>) -> String {
    let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match (kind, text("base_url")) {
        (Kind::ProviderKey, base) if !base.is_empty() => {
            format!("{} at {}", text("provider"), base.trim_end_matches('/'))
        }
        _ => text(kind.identity()),
    }
}

/// `agent: Support` in the place of `agent_id`, and the like.
fn find_links(item: &mut Item, entries: &[Entry], errors: &mut Vec<FileError>) {
    let path = item.path.clone();
    if item.kind == Kind::Number {
        for (kind, name) in [(Kind::Agent, "agent"), (Kind::Trunk, "trunk")] {
            let link = take_link(&mut item.fields, kind, name, "", &path, entries, errors);
            item.links.extend(link);
        }
    }
    if item.kind == Kind::Agent
        && let Some(Value::Array(targets)) =
            item.fields.get_mut("handover_config").and_then(|config| config.get_mut("agents"))
    {
        for (index, target) in targets.iter_mut().enumerate() {
            let Value::Object(target) = target else { continue };
            let inside = format!("handover_config.agents[{index}]");
            let pointer = format!("/handover_config/agents/{index}");
            let line = item.node.line_of(&format!("{inside}.agent"));
            let at = Entry { key: "agent".into(), line, node: Node { line, kind: NodeKind::Scalar(Value::Null) } };
            let path = format!("{path}.{inside}");
            item.links.extend(take_link(target, Kind::Agent, "agent", &pointer, &path, &[at], errors));
        }
    }
}

fn take_link(
    fields: &mut Map<String, Value>, kind: Kind, name: &str, pointer: &str, path: &str, entries: &[Entry],
    errors: &mut Vec<FileError>,
) -> Option<Link> {
    let value = fields.remove(name)?;
    let line = entries.iter().find(|entry| entry.key == name).map_or(1, |entry| entry.line);
    let (id, field) = (format!("{name}_id"), format!("{path}.{name}"));
    if fields.contains_key(&id) {
        errors.push(FileError::new(line, field, format!("and {id} mean the same: leave one out")));
        return None;
    }
    match value {
        Value::Null => {
            fields.insert(id, Value::Null);
            None
        }
        Value::String(named) => {
            fields.insert(id.clone(), NIL_ID.into());
            Some(Link { pointer: format!("{pointer}/{id}"), kind, name: named, line, field })
        }
        _ => {
            errors.push(FileError::new(line, field, format!("must be the name of one of the {}", kind.section())));
            None
        }
    }
}

/// The same thing twice in one file would be changed to and fro.
fn find_doubles(items: &[Item], errors: &mut Vec<FileError>) {
    let mut first: BTreeMap<(Kind, &str), &str> = BTreeMap::new();
    for item in items.iter().filter(|item| !item.name.is_empty()) {
        if let Some(path) = first.insert((item.kind, item.name.as_str()), item.path.as_str()) {
            errors
                .push(item.error(item.kind.identity(), format!("{} is there twice: {path} is the same", item.title())));
        }
    }
}
