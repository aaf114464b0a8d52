//! The rules. Each takes the workspace and returns what breaks it, one line a fault.

mod contract;
mod documents;
mod imports;
mod known;
mod purity;
mod ratchets;
mod words;

pub use contract::{Proofs, contract_faults};
pub use documents::{tests_without_name, unnamed_rules};
pub use imports::{edge_faults, foreign_faults, meeting_places};
pub use known::{Known, compare};
pub use purity::{impure, uncontained};
pub(crate) use ratchets::is_document;
pub use ratchets::{Offender, offenders, unlimited};
pub use words::{silent, unsealed};

use crate::map::Area;
use crate::resolve::Absolute;
use crate::workspace::{Source, Workspace};

/// Whether a file stands at a place: it is the file, or below the folder.
fn stands_at(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

/// The area of a file.
fn area_of<'a>(areas: &'a [Area], path: &str) -> Option<&'a Area> {
    areas.iter().filter(|area| stands_at(path, area.place)).max_by_key(|area| area.place.len())
}

/// The area to which a path leads, and the names behind it.
fn target<'a>(workspace: &Workspace, areas: &'a [Area], path: &Absolute) -> Option<(&'a Area, Vec<String>)> {
    let Absolute::Ours { root, names } = path else { return None };
    let library = &workspace.trees[workspace.nodes[*root].tree].path;
    let folder = library.strip_suffix("/lib.rs")?;
    let behind = |area: &'a Area| {
        let below = area.place.strip_prefix(folder)?;
        let mut rest = names.iter();
        for part in below.split('/').filter(|part| !part.is_empty()) {
            if rest.next()? != part {
                return None;
            }
        }
        Some((area, rest.cloned().collect::<Vec<_>>()))
    };
    areas.iter().filter_map(behind).min_by_key(|(_, rest)| rest.len())
}

/// Whether an entry, `store` or `outbox::mail`, names an area and what stands behind it.
fn names(entry: &str, area: &str, rest: &[String]) -> bool {
    let mut parts = entry.split("::");
    parts.next() == Some(area) && parts.enumerate().all(|(at, part)| rest.get(at).is_some_and(|name| name == part))
}

/// Files whose whole text is part of the program.
fn production(workspace: &Workspace) -> impl Iterator<Item = &Source> {
    workspace.production().filter(|source| !source.path.ends_with("build.rs"))
}
