//! Each rule finds what breaks it, planted in small sources.

mod circles;
mod imports;
mod ratchets;
mod reading;
mod words;
mod world;

use crate::manifest::Files;
use crate::map::Area;
use crate::workspace::Workspace;

const MANIFEST: &str = "[workspace]\nmembers = [\".\", \"crates/*\"]\n[package]\nname = \"trunkline\"\n";

/// A workspace of these files; the root crate is called `trunkline`.
#[track_caller]
fn workspace(sources: &[(&str, &str)]) -> Workspace {
    let mut files = Files::from([("Cargo.toml".to_owned(), MANIFEST.to_owned())]);
    files.extend(sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    Workspace::load(&files).unwrap_or_else(|error| panic!("{error}"))
}

fn area(name: &'static str, place: &'static str, uses: &'static [&'static str]) -> Area {
    Area { name, place, uses }
}

/// Texts that a format has written line by line.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}
