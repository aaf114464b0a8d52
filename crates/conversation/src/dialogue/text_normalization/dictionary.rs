//! An agent's pronunciations in the text for its voice: whole words, the longest entry first, each place once.

use super::markup::{Manner, PlainText};
use std::collections::HashMap;
use std::ops::Range;
use trunkline_domain::pronunciation::{Pronunciation, one_line};
use trunkline_media::turn::script::has_no_blanks;

/// The entries for one voice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    entries: Vec<Entry>,
    /// Places of the entries by the first character in small letters, the longest text first.
    by_start: HashMap<char, Vec<usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// White space single; in small letters unless case counts.
    text: String,
    case_sensitive: bool,
    say_as: Option<String>,
    ipa: Option<String>,
}

impl Dictionary {
    /// The entries for a voice of this language.
    pub fn new(entries: &[Pronunciation], language: &str) -> Self {
        let mut found: Vec<&Pronunciation> = entries.iter().filter(|entry| entry.is_for(language)).collect();
        let length = |entry: &Pronunciation| one_line(&entry.text).chars().count();
        // Of equally long ones, the one that says more of its place comes first.
        found.sort_by_key(|entry| {
            (
                std::cmp::Reverse(length(entry)),
                !entry.case_sensitive,
                std::cmp::Reverse(entry.language.as_deref().map_or(0, str::len)),
            )
        });
        let entries: Vec<Entry> = found.into_iter().map(Entry::new).collect();
        let mut by_start: HashMap<char, Vec<usize>> = HashMap::new();
        for (place, entry) in entries.iter().enumerate() {
            if let Some(first) = entry.text.chars().next() {
                by_start.entry(small(first)).or_default().push(place);
            }
        }
        Self { entries, by_start }
    }

    /// Puts the entries that stand in a text among what the markup says; the markup wins.
    pub(super) fn mark(&self, plain: &mut PlainText) {
        if self.entries.is_empty() {
            return;
        }
        let mut found: Vec<(Range<usize>, Manner)> = Vec::new();
        let (mut at, mut before) = (0, None);
        while let Some(c) = plain.text.get(at..).and_then(|rest| rest.chars().next()) {
            match self.find(&plain.text, at, before) {
                Some((end, entry)) if !plain.manners.iter().any(|(taken, _)| taken.start < end && at < taken.end) => {
                    found.push((at..end, entry.manner(&plain.text[at..end])));
                    before = plain.text[..end].chars().next_back();
                    at = end;
                }
                _ => {
                    before = Some(c);
                    at += c.len_utf8();
                }
            }
        }
        plain.manners.append(&mut found);
        plain.manners.sort_by_key(|(range, _)| range.start);
    }

    fn find(&self, text: &str, at: usize, before: Option<char>) -> Option<(usize, &Entry)> {
        let rest = text.get(at..)?;
        let first = rest.chars().next()?;
        if is_inside_word(before, Some(first)) {
            return None;
        }
        self.by_start.get(&small(first))?.iter().filter_map(|place| self.entries.get(*place)).find_map(|entry| {
            let length = entry.length_in(rest)?;
            let (inner, behind) = rest.split_at(length);
            (!is_inside_word(inner.chars().next_back(), behind.chars().next())).then_some((at + length, entry))
        })
    }
}

impl Entry {
    fn new(entry: &Pronunciation) -> Self {
        let text = one_line(&entry.text);
        let text = if entry.case_sensitive { text } else { text.chars().map(small).collect() };
        let said = |text: &Option<String>| text.as_deref().map(one_line);
        Self { text, case_sensitive: entry.case_sensitive, say_as: said(&entry.say_as), ipa: said(&entry.ipa) }
    }

    /// Octets of a text that begins with it.
    fn length_in(&self, text: &str) -> Option<usize> {
        let mut chars = text.chars();
        let mut length = 0;
        for wanted in self.text.chars() {
            let c = chars.next()?;
            let is_same = if self.case_sensitive { c == wanted } else { small(c) == wanted };
            if !is_same {
                return None;
            }
            length += c.len_utf8();
        }
        Some(length)
    }

    fn manner(&self, written: &str) -> Manner {
        let said = self.say_as.clone().unwrap_or_else(|| written.to_owned());
        match &self.ipa {
            Some(ipa) => Manner::Sounds { ipa: ipa.clone(), said },
            None => Manner::Alias(said),
        }
    }
}

/// One character in small letters; those that become several stay.
fn small(c: char) -> char {
    let mut small = c.to_lowercase();
    match (small.next(), small.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// Whether two characters belong to one word; in languages without blanks none do.
fn is_inside_word(left: Option<char>, right: Option<char>) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !has_no_blanks(c));
    is_part(left) && is_part(right)
}

#[cfg(test)]
mod tests;
