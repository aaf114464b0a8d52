//! One thing that a file asks for, with the lines it stands in.

use crate::resource::{AGENTS, NUMBERS, Resource, TRUNKS};
use crate::yaml::{FileError, Node};
use serde_json::{Map, Value};

/// A kind of thing, in the order in which they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    ProviderKey,
    Trunk,
    Agent,
    Number,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::ProviderKey, Self::Trunk, Self::Agent, Self::Number];

    /// Its list in the file.
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::ProviderKey => "secrets",
            Self::Trunk => "trunks",
            Self::Agent => "agents",
            Self::Number => "numbers",
        }
    }

    /// What people call one.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::ProviderKey => "provider key",
            Self::Trunk => "trunk",
            Self::Agent => "agent",
            Self::Number => "number",
        }
    }

    /// The field that says which one is meant.
    pub(super) fn identity(self) -> &'static str {
        match self {
            Self::ProviderKey => "provider",
            Self::Trunk | Self::Agent => "name",
            Self::Number => "number",
        }
    }

    /// Its list in the API, for those that keys may use.
    pub(super) fn resource(self) -> Option<&'static Resource> {
        match self {
            Self::ProviderKey => None,
            Self::Trunk => Some(&TRUNKS),
            Self::Agent => Some(&AGENTS),
            Self::Number => Some(&NUMBERS),
        }
    }
}

/// A field that names something by its name.
pub(super) struct Link {
    /// JSON pointer of the field that takes the id.
    pub pointer: String,
    pub kind: Kind,
    pub name: String,
    pub line: usize,
    /// Path in the document.
    pub field: String,
}

/// One thing that a file asks for. It holds secrets: nothing prints it.
pub(super) struct Item {
    pub kind: Kind,
    /// By which it is found again: the name, the number, or the provider with its address.
    pub name: String,
    /// Path in the document, `agents[0]`.
    pub path: String,
    pub node: Node,
    /// The body of a request; links stand for ids.
    pub fields: Map<String, Value>,
    /// Paths of fields that hold secrets.
    pub secrets: Vec<String>,
    pub links: Vec<Link>,
}

impl Item {
    /// What it is called in words.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind.word(), self.name)
    }

    /// An error about one of its fields.
    pub(super) fn error(&self, field: &str, message: impl Into<String>) -> FileError {
        FileError::new(self.node.line_of(field), format!("{}.{field}", self.path), message)
    }

    /// Whether a field at its top is, or holds, a secret.
    pub(super) fn holds_secret(&self, field: &str) -> bool {
        self.secrets
            .iter()
            .any(|path| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    }
}

impl Link {
    /// An error about the name.
    pub(super) fn error(&self, message: impl Into<String>) -> FileError {
        FileError::new(self.line, self.field.clone(), message)
    }
}
