//! What a caller has entered in a call, by name: kept for tools, and taken out of everything that is written down.

use super::secret::Secret;
use super::template::{COLLECTED, TemplateReport, TemplateUse, TemplateValues, fill};

/// Names of one call.
const NAMES_MAX: usize = 32;
/// Fewer digits are not taken out of texts: they may be anything.
const MASKED_DIGITS_MIN: usize = 3;
/// What stands in the place of secret digits.
pub const MASK: &str = "•••";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    value: Secret,
    is_secret: bool,
}

/// Entries of a caller; at most 32 names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectedValues(Vec<Entry>);

impl CollectedValues {
    /// Keeps an entry; a later one with the same name takes its place, and the oldest goes when there are too many.
    pub fn put(&mut self, name: &str, value: Secret, is_secret: bool) {
        self.0.retain(|entry| entry.name != name);
        if self.0.len() >= NAMES_MAX {
            self.0.remove(0);
        }
        self.0.push(Entry { name: name.to_owned(), value, is_secret });
    }

    /// Whether nothing was entered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How a text refers to an entry.
    pub fn reference(name: &str) -> String {
        format!("{{{{{COLLECTED}{name}}}}}")
    }

    /// A JSON text with references replaced by what was entered. Digits need no escapes.
    pub fn fill_json(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |filled, entry| {
            let spaced = format!("{{{{ {COLLECTED}{} }}}}", entry.name);
            filled.replace(&Self::reference(&entry.name), entry.value.expose()).replace(&spaced, entry.value.expose())
        })
    }

    /// The value of a variable such as `collected.pin`; what was not entered is empty.
    pub fn value(&self, variable: &str) -> String {
        let found = variable.strip_prefix(COLLECTED).and_then(|name| self.0.iter().find(|entry| entry.name == name));
        found.map_or_else(String::new, |entry| entry.value.expose().to_owned())
    }

    /// A URL with references replaced, percent-encoded.
    pub fn fill_url(&self, url: &str) -> String {
        if !url.contains(COLLECTED) {
            return url.to_owned();
        }
        fill(url, TemplateUse::Url, &CollectedOrNothing(self), &mut TemplateReport::default())
    }

    /// A text without secret digits, also where blanks or dashes part them.
    pub fn masked(&self, text: &str) -> String {
        let secrets = self.0.iter().filter(|entry| entry.is_secret).map(|entry| entry.value.expose());
        let mut secrets: Vec<&str> = secrets.filter(|digits| digits.len() >= MASKED_DIGITS_MIN).collect();
        // One entry may be a part of another one.
        secrets.sort_by_key(|digits| std::cmp::Reverse(digits.len()));
        secrets.into_iter().fold(text.to_owned(), |text, digits| mask(&text, digits))
    }
}

/// What was not entered is empty.
struct CollectedOrNothing<'a>(&'a CollectedValues);

impl TemplateValues for CollectedOrNothing<'_> {
    fn value(&self, name: &str) -> Option<String> {
        name.starts_with(COLLECTED).then(|| self.0.value(name))
    }
}

/// Replaces every occurrence of the digits.
fn mask(text: &str, digits: &str) -> String {
    let (mut masked, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(c) = rest.chars().next() {
        if let Some(after) = without(rest, digits) {
            masked.push_str(MASK);
            rest = after;
        } else {
            masked.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    masked
}

/// What follows the digits at the beginning of a text.
fn without<'a>(text: &'a str, digits: &str) -> Option<&'a str> {
    let mut rest = text;
    for (place, digit) in digits.chars().enumerate() {
        let here = if place == 0 { rest } else { rest.trim_start_matches([' ', '-', '.', ',', '\u{a0}']) };
        rest = here.strip_prefix(digit)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected() -> CollectedValues {
        let mut values = CollectedValues::default();
        values.put("pin", "4711#9".into(), true);
        values.put("age", "42".into(), false);
        values
    }

    #[test]
    fn references_are_replaced_and_others_stay() {
        let text = r#"{"pin": "{{collected.pin}}", "age": "{{ collected.age }}", "x": {"y": "{{collected.other}}"}}"#;
        let wanted = r#"{"pin": "4711#9", "age": "42", "x": {"y": "{{collected.other}}"}}"#;
        assert_eq!(collected().fill_json(text), wanted);
        assert_eq!(CollectedValues::reference("pin"), "{{collected.pin}}");
        let url = "https://a.example/x?p={{collected.pin}}&o={{collected.other}}";
        assert_eq!(collected().fill_url(url), "https://a.example/x?p=4711%239&o=");
    }

    #[test]
    fn secret_digits_are_taken_out_of_texts() {
        let values = collected();
        assert_eq!(values.masked("It was 4711#9, age 42."), "It was •••, age 42.");
        assert_eq!(values.masked("4 7-1 1 # 9"), "•••");
        assert_eq!(values.masked("4711 is short"), "4711 is short");
        assert!(!format!("{values:?}").contains("4711"));
        let mut values = CollectedValues::default();
        values.put("short", "1234".into(), true);
        values.put("long", "12345678".into(), true);
        assert_eq!(values.masked("12345678"), "•••");
    }

    #[test]
    fn a_name_has_one_value_and_their_number_is_bounded() {
        let mut values = collected();
        values.put("pin", "1234".into(), true);
        assert_eq!(values.fill_json("{{collected.pin}}"), "1234");
        for n in 0..100 {
            values.put(&format!("n{n}"), "1".into(), false);
        }
        assert_eq!(values.0.len(), NAMES_MAX);
    }
}
