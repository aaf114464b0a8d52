//! Values that stand elsewhere: `{env: NAME}` and `{file: path}`. Secrets may stand nowhere else.

use crate::yaml::{Entry, FileError, Node, NodeKind};
use serde_json::{Map, Value};
use std::io::Read as _;
use std::path::Path;

/// Bytes of a text that a file holds: more than any field takes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Fields whose objects are the customer's own: `env` and `file` are ordinary names in them.
const FREE_FORM: &[&str] =
    &["metadata", "headers", "parameters", "schema", "properties", "fields", "variables", "cases", "results"];
/// Fields that hold secrets, wherever they are.
const SECRET_FIELDS: &[&str] =
    &["webhook_secret", "previous_webhook_secret", "password", "inbound_password", "authorization", "token"];

/// Reads a variable of the environment; none for an empty one.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts values in the place of references.
pub(super) struct References<'a> {
    /// Of the file: paths are relative to it.
    pub folder: &'a Path,
    pub environment: Environment<'a>,
    /// A further field that holds a secret at the top of an item.
    pub own_secret: Option<&'static str>,
    /// Paths of the fields that hold secrets.
    pub secrets: Vec<String>,
    pub errors: Vec<FileError>,
}

impl References<'_> {
    /// The value of a node. `path` is that of the node in the document, `inside` the one in its item.
    pub(super) fn value(&mut self, node: &Node, path: &str, inside: &str, is_free: bool) -> Value {
        match &node.kind {
            NodeKind::Scalar(value) => {
                if self.is_secret(inside) && !is_free && !may_be_shown(value) {
                    let words = "must not stand in the file: write {env: NAME} or {file: path}";
                    self.errors.push(FileError::new(node.line, path, words));
                }
                value.clone()
            }
            NodeKind::List(items) => {
                let item = |(index, item): (usize, &Node)| {
                    self.value(item, &format!("{path}[{index}]"), &format!("{inside}[{index}]"), is_free)
                };
                Value::Array(items.iter().enumerate().map(item).collect())
            }
            NodeKind::Map(entries) => match reference(entries) {
                Some((source, name)) if !is_free => self.referenced(node.line, path, inside, source, name),
                _ => Value::Object(self.fields(entries, path, inside, is_free)),
            },
        }
    }

    fn fields(&mut self, entries: &[Entry], path: &str, inside: &str, is_free: bool) -> Map<String, Value> {
        let mut fields = Map::new();
        for entry in entries {
            let key = &entry.key;
            let below = if inside.is_empty() { key.clone() } else { format!("{inside}.{key}") };
            let is_free = is_free || FREE_FORM.contains(&key.as_str());
            fields.insert(key.clone(), self.value(&entry.node, &format!("{path}.{key}"), &below, is_free));
        }
        fields
    }

    fn referenced(&mut self, line: usize, path: &str, inside: &str, source: Source, name: &str) -> Value {
        let text = match source {
            Source::Env => {
                (self.environment)(name).ok_or_else(|| format!("the variable {name} is not set in the environment"))
            }
            Source::File => read(&self.folder.join(name)),
        };
        // What comes from the environment is shown nowhere either.
        if source == Source::Env || self.is_secret(inside) {
            self.secrets.push(inside.to_owned());
        }
        match text {
            Ok(text) => Value::String(text),
            Err(message) => {
                self.errors.push(FileError::new(line, path, message));
                // Stands for a value that fits, so that this error is the only one about it.
                Value::String("referenced".to_owned())
            }
        }
    }

    /// Whether the field at a path within its item holds a secret.
    fn is_secret(&self, inside: &str) -> bool {
        let mut parts = inside.rsplit('.');
        let last = parts.next().unwrap_or_default();
        let parent = parts.next().unwrap_or_default();
        SECRET_FIELDS.contains(&last) || parent == "secrets" || self.own_secret == Some(inside)
    }
}

/// Names of secrets (`{{secrets.NAME}}`) and what takes one away may stand in a file.
fn may_be_shown(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.starts_with("{{") && text.ends_with("}}"),
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Env,
    File,
}

/// An object with the only field `env` or `file`, and a text in it.
fn reference(entries: &[Entry]) -> Option<(Source, &str)> {
    let [entry] = entries else { return None };
    let NodeKind::Scalar(Value::String(name)) = &entry.node.kind else { return None };
    match entry.key.as_str() {
        "env" => Some((Source::Env, name)),
        "file" => Some((Source::File, name)),
        _ => None,
    }
}

/// A text without the line end that editors put behind it.
fn read(path: &Path) -> Result<String, String> {
    let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| at(&error))?;
    file.take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| at(&error))?;
    if bytes.len() as u64 > TEXT_BYTES_MAX {
        return Err(at(&format!("the file has more than {} MB", TEXT_BYTES_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| at(&"the file is no UTF-8"))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(at(&"the file is empty")),
        text => Ok(text.to_owned()),
    }
}
