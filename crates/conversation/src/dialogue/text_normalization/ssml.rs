//! Angle-bracket markup: HTML and SSML tags, comments, entities. A `<` that begins no tag stays.

/// A tag or comment is at most so long, in octets; a longer one is text.
pub(crate) const TAG_BYTES_MAX: usize = 400;

/// What stands behind a `<`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bracket<'a> {
    Comment,
    /// `<https://…>` and `<ann@…>`: the address.
    Address(&'a str),
    Tag(Tag<'a>),
}

/// A tag with its attributes as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    pub(super) is_closing: bool,
    pub(super) is_empty: bool,
    attributes: &'a str,
}

/// Tags that part what stands before them from what follows.
const BLOCKS: &[&str] = &[
    "p",
    "s",
    "br",
    "div",
    "li",
    "ul",
    "ol",
    "tr",
    "td",
    "th",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "break",
    "speak",
    "sentence",
    "paragraph",
];

impl<'a> Tag<'a> {
    /// Whether words on both sides of it are apart.
    pub(super) fn parts_words(&self) -> bool {
        BLOCKS.contains(&self.name.to_ascii_lowercase().as_str())
    }

    /// Whether its name is this one.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, wanted: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        while let Some((name, value, behind)) = next_attribute(rest) {
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value);
            }
            rest = behind;
        }
        None
    }
}

/// Name, value and what follows.
fn next_attribute(text: &str) -> Option<(&str, &str, &str)> {
    let text = text.trim_start();
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end();
    let rest = rest.trim_start();
    let valid =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'));
    if !valid {
        return None;
    }
    if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '“' | '”')) {
        let inner = rest.get(quote.len_utf8()..)?;
        let closes = |c: char| c == quote || quote == '“' && c == '”';
        let end = inner.find(closes)?;
        let behind = inner.get(end..)?.chars().next()?.len_utf8();
        return Some((name, inner.get(..end)?, inner.get(end + behind..)?));
    }
    let end = rest.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(rest.len());
    (end > 0).then(|| (name, &rest[..end], &rest[end..]))
}

/// Reads what a text that begins with `<` begins with, and how long it is.
pub(super) fn bracket(text: &str) -> Option<(Bracket<'_>, usize)> {
    let rest = text.strip_prefix('<')?;
    if let Some(comment) = rest.strip_prefix("!--") {
        let near = comment.get(..comment.floor_char_boundary(TAG_BYTES_MAX))?;
        return near.find("-->").map(|end| (Bracket::Comment, end + 7));
    }
    let end = end_of_tag(rest)?;
    let inner = rest.get(..end)?;
    if is_address(inner) {
        return Some((Bracket::Address(inner), end + 2));
    }
    let (is_closing, inner) = match inner.strip_prefix('/') {
        Some(inner) => (true, inner),
        None => (false, inner),
    };
    let (is_empty, inner) = match inner.strip_suffix('/') {
        Some(inner) => (true, inner),
        None => (false, inner),
    };
    let name_end =
        inner.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '_'))).unwrap_or(inner.len());
    let (name, attributes) = inner.split_at(name_end);
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let mut open = attributes;
    while let Some((_, _, behind)) = next_attribute(open) {
        open = behind;
    }
    (named && open.trim().is_empty()).then_some((Bracket::Tag(Tag { name, is_closing, is_empty, attributes }), end + 2))
}

/// Where the `>` of a tag is; quoted ones do not count.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices().take_while(|(at, _)| *at <= TAG_BYTES_MAX) {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '<' | '\n') => return None,
            // An apostrophe quotes only behind "=".
            (None, '"' | '\'') if text[..at].trim_end().ends_with('=') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
    }
    None
}

fn is_address(inner: &str) -> bool {
    let lower = inner.get(..8).unwrap_or(inner).to_ascii_lowercase();
    let scheme =
        ["https://", "http://", "mailto:", "www.", "tel:", "sip:"].iter().any(|scheme| lower.starts_with(scheme));
    let mail = inner.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'));
    (scheme || mail) && !inner.contains(char::is_whitespace)
}

/// Whether a text that begins with `<` may still become a tag or a comment when more of it comes.
pub(crate) fn may_become_tag(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('<') else { return false };
    if rest.len() > TAG_BYTES_MAX || end_of_tag(rest).is_some() {
        return false;
    }
    let begins = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    begins && !rest.contains(['<', '\n'])
}

/// How long the tag or comment is that a text begins with; 0 for none.
pub(crate) fn tag_len(text: &str) -> usize {
    match bracket(text) {
        Some((_, length)) => length,
        None => 0,
    }
}

/// The character of an entity that a text begins with, and how long that is.
pub(super) fn entity(text: &str) -> Option<(char, usize)> {
    const NAMED: &[(&str, char)] = &[
        ("&amp;", '&'),
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&quot;", '"'),
        ("&apos;", '\''),
        ("&nbsp;", ' '),
        ("&euro;", '€'),
    ];
    if let Some((name, c)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((*c, name.len()));
    }
    let rest = text.strip_prefix("&#")?;
    let end = rest.find(';').filter(|end| *end <= 7)?;
    let number = rest.get(..end)?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code).filter(|c| !c.is_control()).map(|c| (c, end + 3))
}
