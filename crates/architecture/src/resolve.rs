//! What a path means: from which crate and module, and which file defines it.

use crate::facts::{Name, PathUse};
use crate::workspace::{Node, Source, Workspace};

/// A path from a crate's root, or from a foreign crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absolute {
    /// Of the workspace: the root module and the names below it, as written; re-exports are not followed.
    Ours {
        /// Index of the root module in [`Workspace::nodes`].
        root: usize,
        /// Names from the root on.
        names: Vec<String>,
    },
    /// Of a foreign crate, or of the prelude.
    Foreign(Vec<String>),
}

/// Names that lead through more imports than this lead in a circle.
const DEPTH_MAX: usize = 24;

impl Workspace {
    /// What a path is called from outside.
    #[must_use]
    pub fn absolute(&self, node: usize, path: &[String]) -> Absolute {
        self.expand(node, path, 0, false)
    }

    /// The file and the name of the item that a path leads to, behind all re-exports; none for modules and foreign items.
    #[must_use]
    pub fn definition(&self, node: usize, path: &[String]) -> Option<(usize, String)> {
        match self.follow(node, path, 0, false)? {
            Place::Item { node, name } => Some((self.nodes[node].source, name)),
            Place::Module(_) => None,
        }
    }

    fn root_of(&self, node: usize) -> usize {
        self.trees[self.nodes[node].tree].root
    }

    fn name(&self, node: usize, name: &str) -> Option<&Name> {
        let Node { source, module, .. } = self.nodes[node];
        self.sources[source].facts.modules[module].names.get(name)
    }

    fn globs(&self, node: usize) -> &[Vec<String>] {
        let Node { source, module, .. } = self.nodes[node];
        &self.sources[source].facts.modules[module].globs
    }

    fn expand(&self, node: usize, path: &[String], depth: usize, is_import: bool) -> Absolute {
        let Some((first, rest)) = path.split_first() else { return Absolute::Foreign(vec![]) };
        let ours = |node: usize, rest: &[String]| {
            let names = self.nodes[node].path.iter().chain(rest).cloned().collect();
            Absolute::Ours { root: self.root_of(node), names }
        };
        match first.as_str() {
            "crate" => return self.below_root(self.root_of(node), rest, depth),
            "self" => return ours(node, rest),
            "super" => {
                let Some(parent) = self.nodes[node].parent else { return Absolute::Foreign(path.to_vec()) };
                return if rest.first().is_some_and(|next| next == "super") {
                    self.expand(parent, rest, depth, is_import)
                } else {
                    ours(parent, rest)
                };
            }
            _ => {}
        }
        match self.name(node, first) {
            Some(Name::Import(target)) if depth < DEPTH_MAX && !(is_import && target.first() == Some(first)) => {
                let whole: Vec<String> = target.iter().chain(rest).cloned().collect();
                self.expand(node, &whole, depth + 1, true)
            }
            Some(Name::Item | Name::File { .. } | Name::Inline(_)) => ours(node, path),
            _ => match self.library(first) {
                Some(root) => self.below_root(root, rest, depth),
                None => Absolute::Foreign(path.to_vec()),
            },
        }
    }

    /// A path from a crate's root. Where the root names another crate of ours in one word (`pub use trunkline_store as
    /// store`), the path means that crate.
    fn below_root(&self, root: usize, rest: &[String], depth: usize) -> Absolute {
        if let Some((first, below)) = rest.split_first()
            && let Some(Name::Import(target)) = self.name(root, first)
            && target.first().is_some_and(|name| self.library(name).is_some())
            && depth < DEPTH_MAX
        {
            let whole: Vec<String> = target.iter().chain(below).cloned().collect();
            return self.expand(root, &whole, depth + 1, true);
        }
        Absolute::Ours { root, names: self.nodes[root].path.iter().chain(rest).cloned().collect() }
    }

    fn follow(&self, node: usize, path: &[String], depth: usize, is_import: bool) -> Option<Place> {
        let (first, rest) = path.split_first()?;
        if depth > DEPTH_MAX {
            return None;
        }
        let start = match first.as_str() {
            "crate" => Place::Module(self.root_of(node)),
            "self" => Place::Module(node),
            "super" => Place::Module(self.nodes[node].parent?),
            "Self" => return None,
            name => match self.look_up(node, name, depth, is_import) {
                Some(place) => place,
                None => Place::Module(self.library(name)?),
            },
        };
        rest.iter().try_fold(start, |place, name| match place {
            // What stands behind an item is of the item: a variant, a method.
            Place::Item { .. } => Some(place),
            Place::Module(node) if name == "super" => self.nodes[node].parent.map(Place::Module),
            // What no item is called, a macro has written.
            Place::Module(node) => {
                let found = self.look_up(node, name, depth, false);
                Some(found.unwrap_or_else(|| Place::Item { node, name: name.clone() }))
            }
        })
    }

    /// What a module calls so.
    fn look_up(&self, node: usize, name: &str, depth: usize, is_import: bool) -> Option<Place> {
        match self.name(node, name) {
            Some(Name::Item) => Some(Place::Item { node, name: name.to_owned() }),
            Some(Name::File { .. } | Name::Inline(_)) => {
                self.nodes[node].children.get(name).copied().map(Place::Module)
            }
            Some(Name::Import(target)) => {
                let is_itself = is_import && target.first().is_some_and(|first| first == name);
                if is_itself { None } else { self.follow(node, target, depth + 1, true) }
            }
            None => self.globs(node).iter().find_map(|glob| match self.follow(node, glob, depth + 1, true)? {
                Place::Module(module) if module != node && depth < DEPTH_MAX => {
                    self.look_up(module, name, depth + 1, false)
                }
                _ => None,
            }),
        }
    }

    /// Every path of a source with the module in which it stands.
    pub fn paths<'a>(&self, source: &'a Source) -> impl Iterator<Item = (usize, &'a PathUse)> + use<'a> {
        source.facts.paths.iter().filter_map(|path| source.nodes[path.module].map(|node| (node, path)))
    }
}

enum Place {
    Module(usize),
    Item { node: usize, name: String },
}
