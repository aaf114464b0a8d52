//! Imports point one way: between areas, between crates, and to crates of others.

use super::{area_of, names, production, stands_at, target};
use crate::facts::PathUse;
use crate::map::{Area, Foreign};
use crate::resolve::Absolute;
use crate::workspace::{Source, Workspace};
use std::collections::BTreeSet;

/// Paths that lead from an area to one that it may not use; tests are asked only in areas that stand apart.
#[must_use]
pub fn edge_faults(workspace: &Workspace, areas: &[Area], apart: &[&str]) -> Vec<String> {
    let mut faults = BTreeSet::new();
    for source in production(workspace) {
        match area_of(areas, &source.path) {
            Some(area) => faults.extend(faults_of(workspace, areas, area, source)),
            // The root of a crate with areas declares them.
            None if source.path.ends_with("/lib.rs") => {}
            None => drop(faults.insert(format!("{} is not on the map", source.path))),
        }
    }
    for source in &workspace.sources {
        let member = &workspace.members[source.member];
        let own = areas.iter().find(|area| apart.contains(&area.name) && stands_at(area.place, &member.folder));
        let Some(own) = own.filter(|_| !member.folder.is_empty()) else { continue };
        for (node, path) in workspace.paths(source) {
            let absolute = workspace.absolute(node, &path.segments);
            let Absolute::Ours { root, .. } = &absolute else { continue };
            let to = workspace.trees[workspace.nodes[*root].tree].member;
            let allowed = to == source.member
                || target(workspace, areas, &absolute).is_some_and(|(to, _)| own.uses.contains(&to.name));
            if !allowed {
                faults.insert(format!("{}:{} imports beyond its crate", source.path, path.line));
            }
        }
    }
    faults.into_iter().collect()
}

fn faults_of(workspace: &Workspace, areas: &[Area], area: &Area, source: &Source) -> Vec<String> {
    let mut faults = vec![];
    for (node, path) in workspace.paths(source).filter(|(_, path)| !path.in_tests) {
        let absolute = workspace.absolute(node, &path.segments);
        let Absolute::Ours { root, names: written } = &absolute else { continue };
        let fits = match target(workspace, areas, &absolute) {
            Some((to, rest)) => to.name == area.name || area.uses.iter().any(|entry| names(entry, to.name, &rest)),
            // A program's own modules, and `pub(crate)`.
            None => written.is_empty() || !workspace.trees[workspace.nodes[*root].tree].path.ends_with("/lib.rs"),
        };
        if !fits {
            faults.push(format!("{}:{} imports {}", source.path, path.line, path.segments.join("::")));
        }
    }
    faults
}

/// Files that name both sides of a negotiation, `signaling::sdp` and `media`.
#[must_use]
pub fn meeting_places(workspace: &Workspace, areas: &[Area], sides: (&str, &str)) -> Vec<String> {
    let leads = |node: usize, path: &PathUse, side: &str| {
        let found = target(workspace, areas, &workspace.absolute(node, &path.segments));
        found.is_some_and(|(to, rest)| names(side, to.name, &rest))
    };
    let meets = |source: &&Source| {
        let paths: Vec<_> = workspace.paths(source).collect();
        let has = |side: &str| paths.iter().any(|(node, path)| leads(*node, path, side));
        has(sides.0) && has(sides.1)
    };
    workspace
        .sources
        .iter()
        .filter(|source| source.is_production())
        .filter(meets)
        .map(|source| source.path.clone())
        .collect()
}

/// Uses of a foreign crate outside of its places, and manifests that name it without need. Finding none at all is a fault.
#[must_use]
pub fn foreign_faults(workspace: &Workspace, areas: &[Area], foreign: &Foreign) -> Vec<String> {
    let fits = |path: &str| {
        let area = area_of(areas, path).map(|area| area.name);
        foreign.places.iter().any(|place| area == Some(*place) || stands_at(path, place))
    };
    let mut faults = vec![];
    let mut found = false;
    for source in &workspace.sources {
        if !foreign.tests_too && !source.is_production() {
            continue;
        }
        for (node, path) in workspace.paths(source).filter(|(_, path)| foreign.tests_too || !path.in_tests) {
            if !is_of(&workspace.absolute(node, &path.segments), foreign.library) {
                continue;
            }
            found = true;
            if !fits(&source.path) {
                faults.push(format!("{}:{}: {}", source.path, path.line, foreign.library));
            }
        }
    }
    for member in &workspace.members {
        let is_named = member.dependencies.iter().any(|name| name.replace('-', "_") == foreign.library);
        let holds = |source: &Source| workspace.members[source.member].folder == member.folder && fits(&source.path);
        if is_named && foreign.tests_too && !workspace.sources.iter().any(holds) {
            faults.push(format!("{}/Cargo.toml: {}", member.folder, foreign.library));
        }
    }
    if !found {
        faults.push(format!("nothing uses {}: the rule looks for the wrong name", foreign.library));
    }
    faults
}

fn is_of(path: &Absolute, library: &str) -> bool {
    matches!(path, Absolute::Foreign(names) if names.len() > 1 && names[0] == library)
}
