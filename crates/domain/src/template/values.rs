//! Values of variables: what they are for, where they come from, and how they are written.

use super::url_template::percent_encoded;

/// Bytes of a text after its variables were filled in; what is beyond is cut.
pub(super) const FILLED_BYTES_MAX: usize = 400_000;
/// Characters of one value in a text.
pub(super) const VALUE_CHARS_MAX: usize = 10_000;
/// Characters of one value in a URL.
const SHORT_VALUE_CHARS_MAX: usize = 500;
/// Characters of one value in a header: tokens are long.
const HEADER_VALUE_CHARS_MAX: usize = 4_096;
/// Begins an open variable (Unicode, private use).
pub(super) const OPEN: char = '\u{F8F0}';
/// Between its name and its default.
pub(super) const DEFAULT: char = '\u{F8F1}';
/// Ends it.
pub(super) const CLOSE: char = '\u{F8F2}';

/// What a text is used for: how values are written into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateUse {
    /// Words that are said.
    Text,
    /// Words of a flow, which are read once more when they are said: for its slots. Braces of values, and those that the
    /// text means as such, stay braces then.
    FlowText,
    /// Prompts: a variable that changes during the call stays open until the prompt is used.
    Prompt,
    /// A URL: values are percent-encoded, and never become part of its host.
    Url,
    /// The value of an HTTP header: one line of visible ASCII.
    Header,
}

impl TemplateUse {
    /// Words for people and models, not for machines.
    pub(super) fn is_words(self) -> bool {
        matches!(self, Self::Text | Self::FlowText | Self::Prompt)
    }
}

/// Where values come from. `None`: there is no such value.
pub trait TemplateValues {
    /// The value of a variable, as text.
    fn value(&self, name: &str) -> Option<String>;

    /// Whether the value may change during the call: it is filled in when the text is used ([`settle`](super::settle)), where the text
    /// allows for that.
    fn changes(&self, _name: &str) -> bool {
        false
    }

    /// The same of a variable that others set, if they set it at all: where it is missing now, it is missing.
    fn may_come(&self, _name: &str) -> bool {
        false
    }
}

/// "Hi {{name}}, this is Acme." without a name is "Hi, this is Acme.", and "Hello, {{name}}, here is Acme." is "Hello, here is
/// Acme.": no blank and no comma stays that belonged to the name. Returns what is left of the text behind it.
pub(super) fn close_gap<'a>(filled: &mut String, next: &'a str) -> &'a str {
    let whole = next;
    let first = next.chars().next();
    if first.is_none_or(|c| c.is_whitespace() || ",.;:!?".contains(c)) && filled.ends_with(' ') {
        filled.pop();
    }
    let ends = first.is_none_or(|c| ",.;!?".contains(c));
    if ends && filled.ends_with([',', ';']) {
        filled.pop();
    }
    // "{{name}}, hello" begins with "hello".
    let is_start = filled.trim_end().is_empty() || filled.trim_end().ends_with(['.', '!', '?']);
    // The mark of a sentence of which nothing is left: "Welcome. {{name}}!" is "Welcome."
    let next = if is_start { next.trim_start_matches(['.', '!', '?']) } else { next };
    let is_beginning = filled.is_empty() || filled.ends_with(char::is_whitespace);
    if is_start && is_beginning && next.len() < whole.len() {
        return next.trim_start_matches(' ');
    }
    match next.strip_prefix([',', ';']) {
        Some(rest) if is_start && is_beginning => rest.trim_start_matches(' '),
        Some(rest) if is_start => rest,
        _ => next,
    }
}

/// Braces that are none of a variable, in a text that is read again.
pub(super) fn quoted_braces(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '{' => quoted.push_str("{{\"{\"}}"),
            '}' => quoted.push_str("{{\"}\"}}"),
            c => quoted.push(c),
        }
    }
    quoted
}

/// A value as its surroundings take it.
pub(super) fn written(value: &str, usage: TemplateUse) -> String {
    match usage {
        TemplateUse::Text | TemplateUse::Prompt => value
            .chars()
            .filter(|c| (!c.is_control() || "\n\t".contains(*c)) && !matches!(*c, OPEN | DEFAULT | CLOSE))
            .take(VALUE_CHARS_MAX)
            .collect(),
        TemplateUse::FlowText => quoted_braces(&written(value, TemplateUse::Text)),
        TemplateUse::Header => value.chars().filter(|c| (' '..='~').contains(c)).take(HEADER_VALUE_CHARS_MAX).collect(),
        // A segment of dots leads to another path, encoded or not.
        TemplateUse::Url if value.bytes().all(|byte| byte == b'.') => String::new(),
        TemplateUse::Url => percent_encoded(&value.chars().take(SHORT_VALUE_CHARS_MAX).collect::<String>()),
    }
}
