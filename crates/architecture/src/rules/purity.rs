//! Machines do not touch the world, and whatever is spawned contains its panics.

use super::{area_of, production};
use crate::facts::PathUse;
use crate::map::Area;
use crate::resolve::Absolute;
use crate::workspace::Workspace;

/// Clocks: the end of a path.
const CLOCKS: &[[&str; 2]] = &[["Instant", "now"], ["SystemTime", "now"]];
/// Calls that wait or start something.
const CALLS: &[&str] = &["sleep", "sleep_until", "spawn", "spawn_blocking", "spawn_local"];
/// Parts of names of locks and of queues without a bound.
const NAMES: &[&str] = &["Mutex", "RwLock", "unbounded"];
/// Beginnings of paths to sockets and files.
const PLACES: &[&[&str]] = &[
    &["std", "net", "UdpSocket"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "fs"],
    &["tokio", "fs"],
    &["tokio", "net"],
];

/// What machines do that only their drivers may.
#[must_use]
pub fn impure(workspace: &Workspace, areas: &[Area], machines: &[&str], drivers: &[&str]) -> Vec<String> {
    let mut faults = vec![];
    for source in production(workspace) {
        let is_machine = area_of(areas, &source.path).is_some_and(|area| machines.contains(&area.name));
        if !is_machine || drivers.iter().any(|driver| format!("/{}", source.path).contains(driver)) {
            continue;
        }
        for (node, path) in workspace.paths(source).filter(|(_, path)| !path.in_tests) {
            if touches_the_world(path, &workspace.absolute(node, &path.segments)) {
                faults.push(format!("{}:{}: {}", source.path, path.line, path.segments.join("::")));
            }
        }
    }
    faults
}

fn touches_the_world(path: &PathUse, absolute: &Absolute) -> bool {
    let names = match absolute {
        Absolute::Ours { names, .. } | Absolute::Foreign(names) => names,
    };
    let is_foreign = matches!(absolute, Absolute::Foreign(_));
    CLOCKS.iter().any(|clock| names.len() >= 2 && names[names.len() - 2..] == *clock)
        || path.call().is_some() && CALLS.contains(&path.last())
        || names.iter().any(|name| NAMES.iter().any(|forbidden| name.contains(forbidden)))
        || is_foreign && PLACES.iter().any(|place| names.len() >= place.len() && names[..place.len()] == **place)
}

/// Tasks and threads that nobody would miss: started without the name of their part, or around the supervision.
#[must_use]
pub fn uncontained(workspace: &Workspace, areas: &[Area], free: &[&str], free_in: &[&str]) -> Vec<String> {
    let mut faults = vec![];
    for source in production(workspace) {
        let is_free = area_of(areas, &source.path).is_some_and(|area| free.contains(&area.name));
        if is_free || free_in.iter().any(|folder| format!("/{}", source.path).contains(folder)) {
            continue;
        }
        for (node, path) in workspace.paths(source).filter(|(_, path)| !path.in_tests) {
            if is_uncontained(path, &workspace.absolute(node, &path.segments)) {
                faults.push(format!("{}:{}: {}", source.path, path.line, path.segments.join("::")));
            }
        }
    }
    faults
}

fn is_uncontained(path: &PathUse, absolute: &Absolute) -> bool {
    let Some(call) = path.call().filter(|_| matches!(path.last(), "spawn" | "spawn_blocking" | "spawn_local")) else {
        return false;
    };
    // A child process.
    let Some(first) = &call.first_argument else { return false };
    // `spawn("part", …)` of the supervision, or something that is contained before it is spawned.
    let is_contained = first.starts_with('"') || first == "part" || call.is_contained;
    let goes_around = match absolute {
        Absolute::Foreign(names) if !call.is_method => {
            names.iter().rev().nth(1).is_some_and(|module| matches!(module.as_str(), "tokio" | "task" | "thread"))
        }
        _ => false,
    };
    !is_contained || goes_around
}
