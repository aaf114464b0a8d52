//! What a caller has entered in a call, by name: kept for tools, and taken out of everything that is written down.

use super::secret::Secret;
use super::template::{COLLECTED, TemplateReport, TemplateUse, TemplateValues, fill};
use std::collections::HashSet;

/// Names of one call.
const NAMES_MAX: usize = 32;
/// Entries with fewer digits are not taken out of texts: they may be anything.
const MASKED_DIGITS_MIN: usize = 3;
/// Digits of a longer entry, in their order, that are taken out of texts.
const RUN_DIGITS_MIN: usize = 4;
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
pub struct CollectedValues {
    entries: Vec<Entry>,
    /// Secret digits that no name refers to: unfinished and replaced entries, and digits that were said in place of
    /// keys. The oldest go first.
    nameless: Vec<Secret>,
}

impl CollectedValues {
    /// Keeps an entry; a later one with the same name takes its place, and the oldest goes when there are too many. Secret
    /// digits stay secret.
    pub fn put(&mut self, name: &str, value: Secret, is_secret: bool) {
        let known = self.entries.iter().position(|entry| entry.name == name);
        let gone = known.or((self.entries.len() >= NAMES_MAX).then_some(0)).map(|at| self.entries.remove(at));
        if let Some(gone) = gone.filter(|gone| gone.is_secret) {
            self.hide(gone.value);
        }
        self.entries.push(Entry { name: name.to_owned(), value, is_secret });
    }

    /// Digits are secret that are no entry.
    pub fn hide(&mut self, digits: Secret) {
        if digits.expose().len() < MASKED_DIGITS_MIN || self.nameless.contains(&digits) {
            return;
        }
        if self.nameless.len() >= NAMES_MAX {
            self.nameless.remove(0);
        }
        self.nameless.push(digits);
    }

    /// Whether there are digits that nobody may read.
    pub fn has_secrets(&self) -> bool {
        self.secrets().next().is_some()
    }

    /// Digits that are looked for in texts.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let named = self.entries.iter().filter(|entry| entry.is_secret).map(|entry| &entry.value);
        let all = named.chain(&self.nameless).map(Secret::expose);
        all.filter(|digits| digits.len() >= MASKED_DIGITS_MIN && digits.is_ascii())
    }

    /// Runs of digits that are taken out of texts.
    fn runs(&self) -> HashSet<&str> {
        let of = |digits: &'_ str| {
            let length = digits.len().min(RUN_DIGITS_MIN);
            (0..=digits.len() - length).map(move |at| (at, length))
        };
        let places = self.secrets().flat_map(|digits| of(digits).map(move |place| (digits, place)));
        places.filter_map(|(digits, (at, length))| digits.get(at..at + length)).collect()
    }

    /// Whether digits have an entry in them, or four and more of it in their order.
    pub fn repeats(&self, digits: &str) -> bool {
        self.runs().into_iter().any(|run| digits.contains(run))
    }

    /// Whether digits, two at least, end as a secret entry begins.
    pub fn may_continue(&self, digits: &str) -> bool {
        self.secrets().any(|secret| {
            (2..secret.len()).any(|length| secret.get(..length).is_some_and(|beginning| digits.ends_with(beginning)))
        })
    }

    /// How a text refers to an entry.
    pub fn reference(name: &str) -> String {
        format!("{{{{{COLLECTED}{name}}}}}")
    }

    /// A JSON text with references replaced by what was entered. Digits need no escapes.
    pub fn fill_json(&self, text: &str) -> String {
        self.entries.iter().fold(text.to_owned(), |filled, entry| {
            let spaced = format!("{{{{ {COLLECTED}{} }}}}", entry.name);
            filled.replace(&Self::reference(&entry.name), entry.value.expose()).replace(&spaced, entry.value.expose())
        })
    }

    /// The value of a variable such as `collected.pin`; what was not entered is empty.
    pub fn value(&self, variable: &str) -> String {
        let found =
            variable.strip_prefix(COLLECTED).and_then(|name| self.entries.iter().find(|entry| entry.name == name));
        found.map_or_else(String::new, |entry| entry.value.expose().to_owned())
    }

    /// A URL with references replaced, percent-encoded.
    pub fn fill_url(&self, url: &str) -> String {
        if !url.contains(COLLECTED) {
            return url.to_owned();
        }
        fill(url, TemplateUse::Url, &CollectedOrNothing(self), &mut TemplateReport::default())
    }

    /// A text without secret digits, also where blanks or dashes part them. Four digits of an entry and more, in their
    /// order, count as much as all of it: three are in every other number.
    pub fn masked(&self, text: &str) -> String {
        let runs = self.runs();
        let digits: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| !is_separator(*c)).collect();
        let plain: String = digits.iter().map(|(_, c)| if is_key(*c) { *c } else { ' ' }).collect();
        let mut hidden = vec![false; digits.len()];
        for length in [MASKED_DIGITS_MIN, RUN_DIGITS_MIN] {
            for at in 0..plain.len().saturating_sub(length - 1) {
                if plain.get(at..at + length).is_some_and(|run| runs.contains(run)) {
                    hidden.iter_mut().skip(at).take(length).for_each(|one| *one = true);
                }
            }
        }
        without(text, &digits, &hidden)
    }
}

/// What was not entered is empty.
struct CollectedOrNothing<'a>(&'a CollectedValues);

impl TemplateValues for CollectedOrNothing<'_> {
    fn value(&self, name: &str) -> Option<String> {
        name.starts_with(COLLECTED).then(|| self.0.value(name))
    }
}

/// What may stand between the digits of an entry.
fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | ',' | '/' | ':' | '\u{a0}' | '\u{202f}')
}

/// The keys of a phone.
fn is_key(c: char) -> bool {
    matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')
}

/// A text with a mask in place of hidden digits and what stands between them; `digits` are all characters but separators.
fn without(text: &str, digits: &[(usize, char)], hidden: &[bool]) -> String {
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    let mut was_hidden = false;
    for ((at, c), is_hidden) in digits.iter().zip(hidden) {
        match (was_hidden, is_hidden) {
            (false, true) => {
                shown.push_str(text.get(from..*at).unwrap_or_default());
                shown.push_str(MASK);
            }
            (_, true) => {}
            (_, false) => {
                shown.push_str(text.get(from..at + c.len_utf8()).unwrap_or_default());
            }
        }
        (was_hidden, from) = (*is_hidden, at + c.len_utf8());
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
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
        assert_eq!(values.masked("4711 is a part, 471 is not"), "••• is a part, 471 is not");
        assert_eq!(values.masked("Ω 47:11 / 4711# é 47"), "Ω ••• é 47");
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
        assert_eq!((values.entries.len(), values.nameless.len()), (NAMES_MAX, 2));
        assert_eq!(values.masked("4711 or 1234"), "•••".to_owned() + " or •••", "what was replaced stays secret");
    }

    #[test]
    fn digits_without_a_name_are_secret_too() {
        let mut values = CollectedValues::default();
        assert!(!values.has_secrets());
        values.put("age", "1234".into(), false);
        assert!(!values.has_secrets());
        for digits in ["12", "9876"] {
            values.hide(digits.into());
        }
        assert!(values.has_secrets());
        assert_eq!(values.masked("12 9876 1234"), "12 ••• 1234");
        for n in 0..100 {
            values.hide(format!("{}", 5_000 + n).as_str().into());
        }
        assert_eq!(values.nameless.len(), NAMES_MAX);
    }

    #[test]
    fn parts_of_a_long_entry_are_found_in_every_place() {
        let mut values = CollectedValues::default();
        values.put("card", "5500123412341234".into(), true);
        values.put("cvc", "987".into(), true);
        for (text, shown) in [
            ("5500 1234 1234 1234", "•••"),
            ("It ends with 1234.", "It ends with •••."),
            ("5500 or 123 or 98", "••• or 123 or 98"),
            ("cvc 9 8 7!", "cvc •••!"),
            ("{\"number\":\"5500-1234\"}", "{\"number\":\"•••\"}"),
        ] {
            assert_eq!(values.masked(text), shown, "{text}");
        }
        assert!(values.repeats("0055001") && !values.repeats("5550 123"));
        assert!(values.may_continue("955") && !values.may_continue("5") && !values.may_continue("56"));
    }
}
