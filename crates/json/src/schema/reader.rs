//! Reads a schema of a stranger into a list of subschemas, without recursion: what each of them asks, what it holds, and
//! what it refers to. References are resolved here, so that what is compiled refers to its own definitions only.

use super::budget::{PatternPolicy, SchemaBudget};
use super::dialect::{self, KeywordRole};
use super::error::SchemaError;
use super::limits::{
    PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, REFERENCES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_TEXT_BYTES_MAX,
    SCHEMA_VALUES_MAX, SUBSCHEMAS_MAX,
};
use super::pattern::{self, PatternError, PatternSize};
use jsonschema::Draft;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// Subschemas that a keyword holds.
#[derive(Debug)]
pub(super) enum KeywordPart {
    One(&'static str, usize),
    List(&'static str, Vec<usize>),
    Named(&'static str, Vec<(String, NamedEntry)>),
    /// Resolved.
    Reference(usize),
}

/// `dependencies` holds names beside subschemas.
#[derive(Debug)]
pub(super) enum NamedEntry {
    Schema(usize),
    Plain(Value),
}

/// A subschema.
#[derive(Debug)]
pub(super) struct Subschema<'a> {
    pub value: &'a Value,
    origin: SchemaOrigin,
    /// The subschema that what it refers to is counted from.
    base: usize,
    /// Keywords that hold no subschemas.
    pub plain: Map<String, Value>,
    pub parts: Vec<KeywordPart>,
    references: Vec<(&'static str, &'a str)>,
}

/// Where a subschema was found.
#[derive(Debug)]
enum SchemaOrigin {
    Child {
        parent: usize,
        keyword: &'static str,
        name: Option<String>,
    },
    /// By a pointer from the root of a resource.
    Pointer {
        base: usize,
        pointer: String,
    },
    Root,
}

/// Result of reading a schema.
#[derive(Debug)]
pub(super) struct ReadSchema<'a> {
    pub draft: Draft,
    pub nodes: Vec<Subschema<'a>>,
    pub patterns: HashMap<&'a str, PatternSize>,
    /// Patterns that need backtracking and are not checked.
    pub unchecked_patterns: usize,
}

/// Reads a schema within a budget.
pub(super) fn walk<'a>(
    schema: &'a Value, budget: &mut SchemaBudget, leniency: PatternPolicy,
) -> Result<ReadSchema<'a>, SchemaError> {
    measure(schema, budget)?;
    let draft = dialect::draft(schema.get("$schema"))
        .ok_or_else(|| SchemaError { place: "/$schema".to_owned(), message: dialect::DIALECTS.to_owned() })?;
    let mut walker = SchemaReader {
        walked: ReadSchema { draft, nodes: Vec::new(), patterns: HashMap::new(), unchecked_patterns: 0 },
        known: HashMap::new(),
        ids: HashMap::new(),
        anchors: HashMap::new(),
        references: 0,
        room: budget.clone(),
        leniency,
    };
    walker.node(schema, SchemaOrigin::Root, 0)?;
    let (mut read, mut resolved) = (0, 0);
    loop {
        if read < walker.walked.nodes.len() {
            walker.read(read)?;
            read += 1;
        } else if resolved < walker.walked.nodes.len() {
            walker.resolve(resolved)?;
            resolved += 1;
        } else {
            break;
        }
    }
    walker.spend(budget)?;
    Ok(walker.walked)
}

/// Depth, number and text of the values, iteratively.
fn measure(schema: &Value, budget: &mut SchemaBudget) -> Result<(), SchemaError> {
    let (mut values, mut bytes) = (0_usize, 0_usize);
    let mut waiting = vec![(schema, 1_usize)];
    while let Some((value, depth)) = waiting.pop() {
        values += 1;
        if depth > SCHEMA_DEPTH_MAX {
            return Err(SchemaError::root(format!("is nested more than {SCHEMA_DEPTH_MAX} levels deep")));
        }
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                bytes += members.keys().map(String::len).sum::<usize>();
                waiting.extend(members.values().map(|value| (value, depth + 1)));
            }
            _ => {}
        }
        if values > SCHEMA_VALUES_MAX {
            return Err(SchemaError::root(format!("has more than {SCHEMA_VALUES_MAX} values")));
        }
        if bytes > SCHEMA_TEXT_BYTES_MAX {
            return Err(SchemaError::root(format!("has more than {SCHEMA_TEXT_BYTES_MAX} bytes of text")));
        }
    }
    budget.spend_values(values, bytes)
}

struct SchemaReader<'a> {
    walked: ReadSchema<'a>,
    /// Subschemas by address.
    known: HashMap<usize, usize>,
    /// Resources by what they call themselves.
    ids: HashMap<&'a str, usize>,
    anchors: HashMap<(usize, &'a str), usize>,
    references: usize,
    /// What is left for patterns: each is compiled when it is found, and the next one only if there is room for it.
    room: SchemaBudget,
    leniency: PatternPolicy,
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

impl<'a> SchemaReader<'a> {
    fn error(&self, at: usize, keyword: &str, message: impl Into<String>) -> SchemaError {
        let mut place = self.walked.place(at);
        if !keyword.is_empty() {
            place.push('/');
            place.push_str(&escaped(keyword));
        }
        SchemaError { place, message: message.into() }
    }

    /// The subschema of a value, new or known.
    fn node(&mut self, value: &'a Value, origin: SchemaOrigin, base: usize) -> Result<usize, SchemaError> {
        if let Some(known) = self.known.get(&address(value)) {
            return Ok(*known);
        }
        let at = self.walked.nodes.len();
        if at >= SUBSCHEMAS_MAX {
            return Err(SchemaError::root(format!("has more than {SUBSCHEMAS_MAX} subschemas")));
        }
        self.known.insert(address(value), at);
        let (plain, parts, references) = (Map::new(), Vec::new(), Vec::new());
        self.walked.nodes.push(Subschema { value, origin, base, plain, parts, references });
        self.name(at)?;
        Ok(at)
    }

    /// Registers the names that a subschema declares: a separate resource, or an anchor in one.
    fn name(&mut self, at: usize) -> Result<(), SchemaError> {
        let node = &self.walked.nodes[at];
        let (value, draft, mut base) = (node.value, self.walked.draft, node.base);
        let Some(members) = value.as_object() else { return Ok(()) };
        if dialect::reference_stands_alone(draft) && members.contains_key("$ref") {
            return Ok(());
        }
        let keyword = dialect::id_keyword(draft);
        let id = members.get(keyword).and_then(Value::as_str);
        if let Some(id) = id.filter(|id| !id.starts_with('#') && !id.is_empty()) {
            base = at;
            self.walked.nodes[at].base = at;
            if self.ids.insert(id.trim_end_matches('#'), at).is_some() {
                return Err(self.error(at, keyword, "is there twice"));
            }
        }
        let old = id.and_then(|id| id.strip_prefix('#')).filter(|name| !name.is_empty() && !name.starts_with('/'));
        let new = |name: &str| members.get(name).and_then(Value::as_str);
        for anchor in [old, new("$anchor"), new("$dynamicAnchor")].into_iter().flatten() {
            if self.anchors.insert((base, anchor), at).is_some_and(|other| other != at) {
                return Err(self.error(at, "$anchor", "is there twice"));
            }
        }
        Ok(())
    }

    /// Reads the keywords of a subschema.
    fn read(&mut self, at: usize) -> Result<(), SchemaError> {
        let node = &self.walked.nodes[at];
        let Value::Object(members) = node.value else { return Ok(()) };
        let draft = self.walked.draft;
        let alone = dialect::reference_stands_alone(draft) && members.get("$ref").is_some_and(Value::is_string);
        for (keyword, value) in members {
            let (keyword, role) = dialect::role(draft, keyword, value);
            if alone && !matches!(role, KeywordRole::Reference | KeywordRole::Definitions) {
                continue;
            }
            self.keyword(at, keyword, role, value)?;
        }
        if let Some(other) = members.get("$schema").filter(|_| at > 0)
            && dialect::draft(Some(other)) != Some(draft)
        {
            return Err(self.error(at, "$schema", "differs from that of the whole schema"));
        }
        Ok(())
    }

    fn keyword(
        &mut self, at: usize, keyword: &'static str, role: KeywordRole, value: &'a Value,
    ) -> Result<(), SchemaError> {
        match (role, value) {
            (KeywordRole::Nothing, _) => {}
            (KeywordRole::Format, _) => {
                if dialect::is_checked_format(value) {
                    self.plain(at, keyword, value);
                }
            }
            (KeywordRole::Pattern, Value::String(text)) => {
                if self.pattern(at, keyword, text)? {
                    self.plain(at, keyword, value);
                }
            }
            (KeywordRole::One, Value::Object(_) | Value::Bool(_)) => {
                let child = self.child(at, keyword, None, value)?;
                self.walked.nodes[at].parts.push(KeywordPart::One(keyword, child));
            }
            (KeywordRole::List, Value::Array(items)) => {
                let mut all = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    all.push(self.child(at, keyword, Some(index.to_string()), item)?);
                }
                self.walked.nodes[at].parts.push(KeywordPart::List(keyword, all));
            }
            (KeywordRole::Named | KeywordRole::Patterned | KeywordRole::Definitions, Value::Object(members)) => {
                self.named(at, keyword, role, members)?;
            }
            (KeywordRole::Reference, Value::String(text)) => {
                self.references += 1;
                if self.references > REFERENCES_MAX {
                    return Err(self.error(at, keyword, format!("is one of more than {REFERENCES_MAX} references")));
                }
                self.walked.nodes[at].references.push((keyword, text));
            }
            // An assertion, or something that is not what the keyword takes: the compiler refuses it.
            _ => self.plain(at, keyword, value),
        }
        Ok(())
    }

    fn named(
        &mut self, at: usize, keyword: &'static str, role: KeywordRole, members: &'a Map<String, Value>,
    ) -> Result<(), SchemaError> {
        let mut all = Vec::with_capacity(members.len());
        for (name, value) in members {
            if role == KeywordRole::Patterned && !self.pattern(at, keyword, name)? {
                return Err(self.error(at, keyword, backtracks()));
            }
            let is_schema = keyword != "dependencies" || !value.is_array();
            let entry = if is_schema {
                NamedEntry::Schema(self.child(at, keyword, Some(name.clone()), value)?)
            } else {
                NamedEntry::Plain(value.clone())
            };
            all.push((name.clone(), entry));
        }
        if role != KeywordRole::Definitions {
            self.walked.nodes[at].parts.push(KeywordPart::Named(keyword, all));
        }
        Ok(())
    }

    fn child(
        &mut self, parent: usize, keyword: &'static str, name: Option<String>, value: &'a Value,
    ) -> Result<usize, SchemaError> {
        let base = self.walked.nodes[parent].base;
        self.node(value, SchemaOrigin::Child { parent, keyword, name }, base)
    }

    fn plain(&mut self, at: usize, keyword: &str, value: &Value) {
        self.walked.nodes[at].plain.insert(keyword.to_owned(), value.clone());
    }

    /// Whether a pattern is checked.
    fn pattern(&mut self, at: usize, keyword: &str, text: &'a str) -> Result<bool, SchemaError> {
        if self.walked.patterns.contains_key(text) {
            return Ok(true);
        }
        let message = match pattern::size(text) {
            Ok(size) => {
                self.room.spend_patterns(1, size.bytes)?;
                self.walked.patterns.insert(text, size);
                return Ok(true);
            }
            Err(PatternError::Backtracks) if self.leniency == PatternPolicy::SkipBacktracking => {
                self.walked.unchecked_patterns += 1;
                return Ok(false);
            }
            Err(PatternError::Backtracks) => backtracks(),
            Err(PatternError::TooLong) => format!("has a pattern of more than {PATTERN_BYTES_MAX} bytes"),
            Err(PatternError::TooLarge) => {
                format!("has a pattern that takes more than {PATTERN_COMPILED_BYTES_MAX} bytes when it is compiled")
            }
            Err(PatternError::Invalid) => "has a pattern that is no regular expression".to_owned(),
        };
        Err(self.error(at, keyword, message))
    }

    /// Finds what a subschema refers to.
    fn resolve(&mut self, at: usize) -> Result<(), SchemaError> {
        let references = std::mem::take(&mut self.walked.nodes[at].references);
        for (keyword, text) in references {
            if keyword != "$ref" && self.ids.values().any(|resource| *resource != 0) {
                let message = format!("{keyword} is taken only where no subschema has an {} of its own", "$id");
                return Err(self.error(at, keyword, message));
            }
            let target = self.target(at, keyword, text)?;
            self.walked.nodes[at].parts.push(KeywordPart::Reference(target));
        }
        Ok(())
    }

    fn target(&mut self, at: usize, keyword: &str, text: &str) -> Result<usize, SchemaError> {
        let (name, fragment) = text.split_once('#').unwrap_or((text, ""));
        let base = match self.ids.get(name) {
            _ if name.is_empty() => self.walked.nodes[at].base,
            Some(known) => *known,
            None => {
                let message = "refers to another document; only references within the schema are followed (#/…)";
                return Err(self.error(at, keyword, message));
            }
        };
        let nothing = "refers to something that is not there";
        let Some(fragment) = percent_decoded(fragment) else { return Err(self.error(at, keyword, nothing)) };
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let found = self.anchors.get(&(base, fragment.as_str())).copied();
            return found.ok_or_else(|| self.error(at, keyword, nothing));
        }
        let mut value = self.walked.nodes[base].value;
        let mut within = base;
        for part in fragment.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match value {
                Value::Object(members) => members.get(&part),
                Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            value = next.ok_or_else(|| self.error(at, keyword, nothing))?;
            if let Some(known) = self.known.get(&address(value)) {
                within = self.walked.nodes[*known].base;
            }
        }
        self.node(value, SchemaOrigin::Pointer { base, pointer: fragment }, within)
    }

    /// Takes the patterns from the budget.
    fn spend(&self, budget: &mut SchemaBudget) -> Result<(), SchemaError> {
        let bytes = self.walked.patterns.values().map(|size| size.bytes).sum();
        budget.spend_patterns(self.walked.patterns.len(), bytes)
    }
}

impl ReadSchema<'_> {
    /// The JSON pointer to a subschema.
    pub(super) fn place(&self, at: usize) -> String {
        /// A pointer that is longer says no more.
        const BYTES_MAX: usize = 200;
        let (mut parts, mut at) = (Vec::new(), at);
        let mut seen = HashSet::new();
        while seen.insert(at) {
            match &self.nodes[at].origin {
                SchemaOrigin::Child { parent, keyword, name } => {
                    parts.extend(name.as_deref().map(escaped));
                    parts.push((*keyword).to_owned());
                    at = *parent;
                }
                SchemaOrigin::Pointer { base, pointer } => {
                    parts.push(pointer.trim_start_matches('/').to_owned());
                    at = *base;
                }
                SchemaOrigin::Root => break,
            }
        }
        let mut place = String::new();
        for part in parts.iter().rev().filter(|part| !part.is_empty()) {
            place.push('/');
            place.extend(part.chars().take(BYTES_MAX));
            if place.len() > BYTES_MAX {
                place.push('…');
                break;
            }
        }
        place
    }
}

fn backtracks() -> String {
    "has a pattern with lookaround or a back-reference; patterns are matched in linear time, without them".to_owned()
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
