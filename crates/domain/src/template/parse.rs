//! Reads a text with variables: literal parts and names, or where and why it cannot be read.

/// Characters of a name.
const NAME_CHARS_MAX: usize = 200;
/// Filters of other template languages: nobody means them as a default. One that is meant stands in quotes.
const FILTERS: &[&str] = &[
    "abs",
    "append",
    "base64_encode",
    "camelize",
    "capitalize",
    "capfirst",
    "ceil",
    "center",
    "compact",
    "concat",
    "date",
    "downcase",
    "escape",
    "escape_once",
    "first",
    "float",
    "floor",
    "forceescape",
    "groupby",
    "humanize",
    "indent",
    "int",
    "join",
    "json",
    "last",
    "length",
    "lower",
    "lowercase",
    "lstrip",
    "ltrim",
    "minus",
    "newline_to_br",
    "nl2br",
    "pluralize",
    "plus",
    "prepend",
    "replace",
    "replace_first",
    "reverse",
    "round",
    "rstrip",
    "rtrim",
    "safe",
    "size",
    "slice",
    "slugify",
    "sort",
    "split",
    "strftime",
    "strip",
    "strip_html",
    "strip_newlines",
    "striptags",
    "tojson",
    "title",
    "titlecase",
    "to_json",
    "trim",
    "truncate",
    "truncatewords",
    "uniq",
    "unique",
    "upcase",
    "upper",
    "uppercase",
    "url_decode",
    "url_encode",
    "urlencode",
    "wordcount",
    "wordwrap",
];
/// Facts of a call, as `call.` names them; without that prefix a value of the customer's comes first.
pub(crate) const CALL_NAMES: [&str; 12] = [
    "id",
    "direction",
    "from_number",
    "caller_number",
    "to_number",
    "called_number",
    "date",
    "time",
    "weekday",
    "now",
    "time_zone",
    "agent_name",
];

/// Why a text cannot be used as a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, character {character}: {reason}")]
pub struct TemplateError {
    /// Counts from 1.
    pub line: usize,
    /// Place in the line; counts from 1.
    pub character: usize,
    /// What is wrong there.
    pub reason: String,
}

impl TemplateError {
    pub(super) fn new(text: &str, at: usize, reason: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self { line: before.matches('\n').count() + 1, character: line.chars().count() + 1, reason: reason.into() }
    }
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// As it is.
    Text(&'a str),
    /// A variable that begins at this byte.
    Variable { at: usize, name: &'a str, default: Option<&'a str> },
}

/// The pieces of a text.
pub(super) fn parts(text: &str) -> Result<Vec<Part<'_>>, TemplateError> {
    let mut parts = Vec::new();
    // Braces of JSON in a prompt may end like a variable: `{"a": {"b": 1}}`.
    let mut open_braces = 0usize;
    let (mut literal, mut at) = (0, 0);
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    while at < text.len() {
        let here = rest(at);
        if here.starts_with("{{") {
            parts.push(Part::Text(text.get(literal..at).unwrap_or_default()));
            let end = at + 2 + end_of_variable(rest(at + 2)).map_err(|why| TemplateError::new(text, at, why))?;
            let inner = text.get(at + 2..end).unwrap_or_default();
            let (name, default) = variable(inner).map_err(|why| TemplateError::new(text, at, why))?;
            parts.push(match name {
                Some(name) => Part::Variable { at, name, default },
                None => Part::Text(default.unwrap_or_default()),
            });
            at = end + 2;
            literal = at;
        } else if here.starts_with("{%") {
            let reason = "loops and conditions ({% … %}) are not supported";
            return Err(TemplateError::new(text, at, reason));
        } else if here.starts_with("}}") && open_braces < 2 {
            return Err(TemplateError::new(text, at, "there is no {{ for this }}"));
        } else {
            match here.as_bytes().first() {
                Some(b'{') => open_braces += 1,
                Some(b'}') => open_braces = open_braces.saturating_sub(1),
                _ => {}
            }
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    parts.push(Part::Text(rest(literal)));
    parts.retain(|part| *part != Part::Text(""));
    Ok(parts)
}

/// Where the `}}` is that ends a variable; one in quotes does not.
fn end_of_variable(inner: &str) -> Result<usize, &'static str> {
    let mut quote = None;
    for (at, c) in inner.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            // An apostrophe in a word begins no text.
            None if matches!(c, '"' | '\'') && begins_text(inner.get(..at).unwrap_or_default()) => quote = Some(c),
            None => {
                let here = inner.get(at..).unwrap_or_default();
                if here.starts_with("}}") {
                    return Ok(at);
                }
                if here.starts_with("{{") {
                    return Err("a variable must not stand in another one: there is no }} before the next {{");
                }
            }
        }
    }
    Err("there is no }} for this {{")
}

fn begins_text(before: &str) -> bool {
    before.trim_end().is_empty() || before.trim_end().ends_with(['|', ':'])
}

/// Name and default of what stands between the braces. A text in quotes has no name: `{{"{{"}}`.
fn variable(inner: &str) -> Result<(Option<&str>, Option<&str>), String> {
    let (name, filter) = match inner.split_once('|') {
        Some((name, filter)) => (name.trim(), Some(filter.trim())),
        None => (inner.trim(), None),
    };
    if let Some(text) = quoted(inner.trim()) {
        return Ok((None, Some(text)));
    }
    if name.starts_with(['#', '/', '^', '>', '!', '&', '{', '~', '-']) || name.split_whitespace().nth(1).is_some() {
        return Err("only a name and a default may stand in {{ }}: no loops, conditions or expressions".to_owned());
    }
    if name.is_empty() {
        return Err("there is no name between {{ and }}".to_owned());
    }
    if name.chars().count() > NAME_CHARS_MAX || !name.split('.').all(is_segment) {
        let reason = "the name of a variable has letters, digits, _ and -, and dots between its parts";
        return Err(reason.to_owned());
    }
    if let Some(fact) = name.strip_prefix("call.").filter(|fact| !CALL_NAMES.contains(fact)) {
        let shown: String = fact.chars().take(40).collect();
        return Err(format!("there is no call.{shown}; there are {}", CALL_NAMES.join(", ")));
    }
    let default = filter.map(default_of).transpose()?;
    Ok((Some(name), default))
}

fn is_segment(segment: &str) -> bool {
    !segment.is_empty() && segment.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// What stands behind the bar: the default itself, or as Liquid writes it, `default: "text"`.
fn default_of(filter: &str) -> Result<&str, String> {
    let (word, rest) = filter.split_once(':').map_or((filter, None), |(word, rest)| (word.trim(), Some(rest.trim())));
    if word == "default"
        && let Some(text) = rest
    {
        return match quoted(text) {
            Some(text) => Ok(text),
            None if text.contains('|') => Err("only one default may follow a name".to_owned()),
            None => Ok(text),
        };
    }
    // As Jinja and Twig write them: `default("text")`, `truncate(20)`.
    let (name, argument) = match filter.split_once('(').and_then(|(name, rest)| Some((name, rest.strip_suffix(')')?))) {
        Some((name, argument)) => (name.trim(), Some(argument.trim())),
        None => (word, None),
    };
    if let (true, Some(text)) = (name == "default", argument.and_then(quoted)) {
        return Ok(text);
    }
    if FILTERS.contains(&name) {
        return Err(format!("the filter {name} is not supported; a default may follow the bar, such a word in quotes"));
    }
    match quoted(filter) {
        Some(text) => Ok(text),
        None if filter.contains('|') => Err("only one default may follow a name".to_owned()),
        None => Ok(filter),
    }
}

fn quoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.contains(quote)).then_some(inner)
    })
}
