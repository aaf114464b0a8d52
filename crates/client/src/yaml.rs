//! Reads YAML, and with it JSON, into values that know their lines. Aliases, doubled keys and tags are refused: what a
//! file does to a server has to be seen in it.

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Bytes of a file. A prompt has 100,000 at most.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;
/// Levels of lists and objects in each other, as of the API's bodies.
const DEPTH_MAX: usize = 64;

/// A value and the line it begins in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub line: usize,
    pub kind: NodeKind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum NodeKind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    /// Of the key.
    pub line: usize,
    pub node: Node,
}

/// A file cannot be used: where, which field, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileError {
    pub line: usize,
    /// Path of the field; empty for the whole file.
    pub field: String,
    pub message: String,
}

impl FileError {
    pub(crate) fn new(line: usize, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { line, field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.line, self.message),
            field => write!(f, "{}: {field}: {}", self.line, self.message),
        }
    }
}

impl Node {
    /// The value without its lines.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            NodeKind::Scalar(value) => value.clone(),
            NodeKind::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeKind::Map(entries) => {
                let fields = entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// Line of the field at a path such as `tools[0].function.name`, or of the last part of it that is there.
    pub(crate) fn line_of(&self, path: &str) -> usize {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return self.line;
        }
        match &self.kind {
            NodeKind::Map(entries) => {
                let begins = |entry: &&Entry| {
                    path.strip_prefix(entry.key.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                };
                // Names of languages and headers hold dots: the longest is meant.
                let found = entries.iter().filter(begins).max_by_key(|entry| entry.key.len());
                found.map_or(self.line, |entry| {
                    let rest = &path[entry.key.len()..];
                    if rest.is_empty() { entry.line } else { entry.node.line_of(rest).max(entry.line) }
                })
            }
            NodeKind::List(items) => {
                let inside = path.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let item = inside.and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)));
                item.map_or(self.line, |(item, rest)| item.line_of(rest))
            }
            NodeKind::Scalar(_) => self.line,
        }
    }
}

/// Text of a file.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, FileError> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file has more than {} MB", FILE_BYTES_MAX >> 20);
        return Err(FileError::new(1, "", message));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        FileError::new(line, "", "this is no UTF-8: save the file in that encoding")
    })?;
    match text.find('\0') {
        Some(at) => Err(FileError::new(line_at(&text, at), "", "the file holds a null character")),
        None => Ok(text),
    }
}

fn line_at(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// Reads the only document of a text; an empty text is null.
pub(crate) fn parse(text: &str) -> Result<Node, FileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { events: Parser::new_from_str(text), text };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (Event::StreamEnd, _) => break,
            (_, span) if document.is_some() => {
                return Err(FileError::new(span.start.line(), "", "a second document begins here: one file has one"));
            }
            (event, span) => document = Some(reader.node(event, span, 0)?),
        }
    }
    Ok(document.unwrap_or(Node { line: 1, kind: NodeKind::Scalar(Value::Null) }))
}

struct Reader<'input> {
    events: Parser<'input, saphyr_parser::StrInput<'input>>,
    text: &'input str,
}

impl<'input> Reader<'input> {
    fn next(&mut self) -> Result<(Event<'input>, Span), FileError> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.broken(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn broken(&self, error: &ScanError) -> FileError {
        let line = error.marker().line().max(1);
        let written = self.text.lines().nth(line - 1).unwrap_or_default();
        let indentation = &written[..written.len() - written.trim_start().len()];
        let message = match indentation.contains('\t') {
            true => "the line begins with a tab: indent with blanks".to_owned(),
            false => format!("this is no YAML: {}", error.info()),
        };
        FileError::new(line, "", message)
    }

    fn node(&mut self, event: Event<'input>, span: Span, depth: usize) -> Result<Node, FileError> {
        let line = span.start.line();
        let refused = |message: &str| Err(FileError::new(line, "", message));
        if depth > DEPTH_MAX {
            return refused("lists and objects are nested too deeply");
        }
        match event {
            Event::Alias(_) => refused(NO_ALIASES),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                refused(NO_ALIASES)
            }
            Event::SequenceStart(_, Some(tag)) | Event::MappingStart(_, Some(tag)) => {
                refused(&format!("the tag {} is not taken", tag_name(&tag)))
            }
            Event::Scalar(text, style, _, tag) => match scalar(&text, style, tag.as_deref()) {
                Ok(value) => Ok(Node { line, kind: NodeKind::Scalar(value) }),
                Err(message) => refused(&message),
            },
            Event::SequenceStart(_, None) => self.list(line, depth),
            Event::MappingStart(_, None) => self.map(line, depth),
            _ => refused("this is no YAML: a value is missing"),
        }
    }

    fn list(&mut self, line: usize, depth: usize) -> Result<Node, FileError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node { line, kind: NodeKind::List(items) }),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, line: usize, depth: usize) -> Result<Node, FileError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines = std::collections::HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node { line, kind: NodeKind::Map(entries) });
            }
            let at = span.start.line();
            let key = match self.node(event, span, depth + 1)?.kind {
                NodeKind::Scalar(Value::String(key)) => key,
                NodeKind::Scalar(Value::Number(number)) => number.to_string(),
                _ => return Err(FileError::new(at, "", "a field's name is a text")),
            };
            if key == "<<" {
                return Err(FileError::new(at, "", NO_ALIASES));
            }
            if let Some(first) = lines.insert(key.clone(), at) {
                return Err(FileError::new(at, key, format!("is there twice, the first time in line {first}")));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            entries.push(Entry { key, line: at, node });
        }
    }
}

const NO_ALIASES: &str = "anchors, aliases and merges are not taken: write it out, or put the text into a file";

fn tag_name(tag: &Tag) -> String {
    tag.to_string()
}

/// A scalar by the core schema of YAML 1.2, but numbers that begin with `+` or with zeros are texts: they are phone
/// numbers and codes.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => return Ok(text.into()),
        Some(tag) => return Err(format!("the tag {tag} is not taken")),
        None => {}
    }
    if style != ScalarStyle::Plain {
        return Ok(text.into());
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    })
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    if !digits.starts_with(|c: char| c.is_ascii_digit()) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    // JSON's grammar of numbers is the rest of the rule.
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests;
