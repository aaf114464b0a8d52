//! The workspace as trees of modules: which file defines a module, and what it is compiled into.

use crate::facts::{Facts, Name};
use crate::manifest::{Files, Member, TargetKind, members};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A file of a member.
#[derive(Debug)]
pub struct Source {
    /// Its path from the workspace's root.
    pub path: String,
    /// Index in [`Workspace::members`].
    pub member: usize,
    /// What it is compiled into.
    pub kind: TargetKind,
    /// All of it is compiled for tests alone.
    pub is_test: bool,
    /// What it contains.
    pub facts: Facts,
    /// For each module of the file, where it was read first, an index in [`Workspace::nodes`].
    pub nodes: Vec<Option<usize>>,
}

/// A module of a target.
#[derive(Debug)]
pub struct Node {
    /// Index in [`Workspace::trees`].
    pub tree: usize,
    /// Its path from the target's root.
    pub path: Vec<String>,
    /// Index in [`Workspace::sources`].
    pub source: usize,
    /// Index in the file's [`Facts::modules`].
    pub module: usize,
    /// The module around it, an index in [`Workspace::nodes`].
    pub parent: Option<usize>,
    /// The modules in it.
    pub children: BTreeMap<String, usize>,
    /// It is compiled for tests alone.
    pub is_test: bool,
}

/// A target with its modules.
#[derive(Debug)]
pub struct Tree {
    /// Index in [`Workspace::members`].
    pub member: usize,
    /// What it is.
    pub kind: TargetKind,
    /// The root module, an index in [`Workspace::nodes`].
    pub root: usize,
    /// The root file.
    pub path: String,
}

/// Everything that is compiled.
#[derive(Debug, Default)]
pub struct Workspace {
    /// The crates.
    pub members: Vec<Member>,
    /// The files, each once.
    pub sources: Vec<Source>,
    /// The targets.
    pub trees: Vec<Tree>,
    /// The modules of all targets.
    pub nodes: Vec<Node>,
}

/// Reads sources and manifests below a folder.
///
/// # Errors
///
/// A folder or a file cannot be read.
pub fn files(root: &Path) -> std::io::Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !["target", "node_modules", "data"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name == "Cargo.toml" || name.ends_with(".rs") {
                let short = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
                found.insert(short, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

impl Workspace {
    /// Reads all targets of all members.
    ///
    /// # Errors
    ///
    /// A manifest or a source does not parse, or a module has no file.
    pub fn load(files: &Files) -> Result<Self, String> {
        let mut workspace = Self { members: members(files)?, ..Self::default() };
        for member in 0..workspace.members.len() {
            for target in 0..workspace.members[member].targets.len() {
                let target = &workspace.members[member].targets[target];
                let (kind, path) = (target.kind, target.root.clone());
                let tree = workspace.trees.len();
                let root = workspace.nodes.len();
                workspace.trees.push(Tree { member, kind, root, path: path.clone() });
                let is_test = kind == TargetKind::Tests;
                workspace.add_file(files, Place { tree, path: vec![], parent: None, is_test }, &path, true)?;
            }
        }
        Ok(workspace)
    }

    /// The workspace that stands in a folder.
    ///
    /// # Errors
    ///
    /// As [`files`] and [`Workspace::load`].
    pub fn open(root: &Path) -> Result<Self, String> {
        Self::load(&files(root).map_err(|error| format!("{}: {error}", root.display()))?)
    }

    /// The member of a source.
    #[must_use]
    pub fn package(&self, source: &Source) -> &str {
        &self.members[source.member].package
    }

    /// The library that code names so, its root module.
    #[must_use]
    pub fn library(&self, name: &str) -> Option<usize> {
        let is_it = |tree: &&Tree| tree.kind == TargetKind::Library && self.members[tree.member].library == name;
        self.trees.iter().find(is_it).map(|tree| tree.root)
    }

    /// Files that libraries and programs consist of, without those of their tests.
    pub fn production(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_production())
    }

    fn add_file(&mut self, files: &Files, place: Place, path: &str, owns_folder: bool) -> Result<usize, String> {
        let (tree, is_test) = (place.tree, place.is_test);
        let source = match self.sources.iter().position(|source| source.path == path) {
            Some(source) => source,
            None => {
                let text = files.get(path).ok_or_else(|| format!("{path} is absent"))?;
                let facts = crate::read::read(text)
                    .map_err(|error| format!("{path}:{}: {error}", error.span().start().line))?;
                let (member, kind) = (self.trees[tree].member, self.trees[tree].kind);
                let nodes = vec![None; facts.modules.len()];
                self.sources.push(Source { path: path.to_owned(), member, kind, is_test, facts, nodes });
                self.sources.len() - 1
            }
        };
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let below = match owns_folder || file == "mod.rs" {
            true => folder.to_owned(),
            false => join(folder, file.trim_end_matches(".rs")),
        };
        self.add_module(files, place, source, 0, &below)
    }

    fn add_module(
        &mut self, files: &Files, place: Place, source: usize, module: usize, folder: &str,
    ) -> Result<usize, String> {
        let Place { tree, path, parent, is_test } = place;
        let node = self.nodes.len();
        self.sources[source].nodes[module].get_or_insert(node);
        let children = BTreeMap::new();
        self.nodes.push(Node { tree, path: path.clone(), source, module, parent, children, is_test });
        let names: Vec<(String, Name)> = {
            let names = &self.sources[source].facts.modules[module].names;
            names.iter().map(|(name, what)| (name.clone(), what.clone())).collect()
        };
        for (name, what) in names {
            let mut path = path.clone();
            path.push(name.clone());
            let below = |is_test| Place { tree, path, parent: Some(node), is_test };
            let child = match what {
                Name::Inline(inline) => {
                    let is_test = is_test || self.sources[source].facts.modules[inline].in_tests;
                    self.add_module(files, below(is_test), source, inline, &join(folder, &name))?
                }
                Name::File { path: written, in_tests } => {
                    let here = self.sources[source].path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let (file, owns_folder) = match written {
                        Some(written) => (normal(&join(here, &written)), true),
                        None => (self.file_of(files, folder, &name)?, false),
                    };
                    self.add_file(files, below(is_test || in_tests), &file, owns_folder)?
                }
                Name::Item | Name::Import(_) => continue,
            };
            self.nodes[node].children.insert(name, child);
        }
        Ok(node)
    }

    fn file_of(&self, files: &Files, folder: &str, name: &str) -> Result<String, String> {
        let places = [join(folder, &format!("{name}.rs")), join(folder, &format!("{name}/mod.rs"))];
        let found = places.iter().find(|place| files.contains_key(*place));
        found.cloned().ok_or_else(|| format!("{} is absent", places[0]))
    }
}

impl Source {
    /// It is compiled into a library or a program, and not for tests alone.
    #[must_use]
    pub fn is_production(&self) -> bool {
        !self.is_test && matches!(self.kind, TargetKind::Library | TargetKind::Program)
    }
}

/// Where a module stands.
struct Place {
    tree: usize,
    path: Vec<String>,
    parent: Option<usize>,
    is_test: bool,
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// A path without `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
