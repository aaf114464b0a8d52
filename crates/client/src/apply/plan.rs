//! What has to be done so that the server is as a file says.

use super::compare::changed_fields;
use super::item::{Item, Kind};
use super::server_state::{Known, ServerState};
use crate::output::table;
use crate::yaml::FileError;
use std::collections::BTreeMap;

/// What is done with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    /// With the names of the fields that change.
    Update(Vec<String>),
    Unchanged,
}

impl Action {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update(_) => "update",
            Self::Unchanged => "unchanged",
        }
    }

    pub(super) fn is_change(&self) -> bool {
        *self != Self::Unchanged
    }

    /// Names of the fields that change.
    pub(super) fn fields(&self) -> &[String] {
        match self {
            Self::Update(fields) => fields,
            Self::Create | Self::Unchanged => &[],
        }
    }
}

/// An item and what is done with it.
pub(super) struct Step {
    pub item: Item,
    pub action: Action,
    /// What the server has.
    pub known: Option<Known>,
}

/// All steps in their order, and the ids of what they name.
pub(super) struct Plan {
    pub steps: Vec<Step>,
    /// Ids that are known before the first step.
    pub ids: BTreeMap<(Kind, String), String>,
}

/// Compares a file with the server, or says what of it cannot be decided.
pub(super) fn plan(items: Vec<Item>, mut state: ServerState, update_secrets: bool) -> Result<Plan, Vec<FileError>> {
    let errors = undecided(&items, &state);
    if !errors.is_empty() {
        return Err(errors);
    }
    let ids: BTreeMap<(Kind, String), String> =
        state.iter().filter_map(|(key, known)| Some((key.clone(), known.first()?.id.clone()))).collect();
    let steps = items.into_iter().map(|mut item| {
        let known = state.remove(&(item.kind, item.name.clone())).and_then(|mut all| all.pop());
        fill_links(&mut item, &ids);
        let action = match &known {
            None => Action::Create,
            Some(known) => match changed_fields(&item, &known.document, update_secrets) {
                fields if fields.is_empty() => Action::Unchanged,
                fields => Action::Update(fields),
            },
        };
        Step { item, action, known }
    });
    Ok(Plan { steps: steps.collect(), ids })
}

/// Puts the ids that are known in the place of names. Returns the names that have none yet.
pub(super) fn fill_links(item: &mut Item, ids: &BTreeMap<(Kind, String), String>) -> Vec<String> {
    let Item { links, fields, .. } = item;
    let mut body = serde_json::Value::Object(std::mem::take(fields));
    let mut open = Vec::new();
    for link in links.iter() {
        match (ids.get(&(link.kind, link.name.clone())), body.pointer_mut(&link.pointer)) {
            (Some(id), Some(field)) => *field = id.as_str().into(),
            _ => open.push(link.name.clone()),
        }
    }
    if let serde_json::Value::Object(filled) = body {
        *fields = filled;
    }
    open
}

/// Names that several documents have, and links that lead nowhere.
fn undecided(items: &[Item], state: &ServerState) -> Vec<FileError> {
    let count = |kind: Kind, name: &str| state.get(&(kind, name.to_owned())).map_or(0, Vec::len);
    let mut errors = Vec::new();
    for item in items {
        let found = count(item.kind, &item.name);
        if found > 1 {
            let message =
                format!("{found} of the server's {} have this name: rename or delete all but one", item.kind.section());
            errors.push(item.error("name", message));
        }
        for link in &item.links {
            let is_in_file = items.iter().any(|other| other.kind == link.kind && other.name == link.name);
            match (is_in_file, count(link.kind, &link.name)) {
                (true, _) | (false, 1) => {}
                (false, 0) => {
                    let message = format!("neither the file nor the server has {} {:?}", article(link.kind), link.name);
                    errors.push(link.error(message));
                }
                (false, many) => {
                    errors.push(link.error(format!("{many} of the server's {} have this name", link.kind.section())))
                }
            }
        }
    }
    errors
}

fn article(kind: Kind) -> String {
    let article = if kind == Kind::Agent { "an" } else { "a" };
    format!("{article} {}", kind.word())
}

impl Plan {
    /// How many steps change something.
    pub(super) fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.action.is_change()).count()
    }

    /// A line for each step; values are not shown, they may be secrets.
    pub(super) fn table(&self) -> String {
        let row = |step: &Step| {
            let (action, kind) = (step.action.name().to_owned(), step.item.kind.word().to_owned());
            vec![action, kind, step.item.name.clone(), step.action.fields().join(", ")]
        };
        table(&["ACTION", "KIND", "NAME", "FIELDS"], &self.steps.iter().map(row).collect::<Vec<_>>())
    }

    /// How many of each.
    pub(super) fn summary(&self) -> String {
        let count = |name: &str| self.steps.iter().filter(|step| step.action.name() == name).count();
        format!("{} to create, {} to update, {} unchanged", count("create"), count("update"), count("unchanged"))
    }
}
