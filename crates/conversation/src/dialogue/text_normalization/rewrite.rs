//! Rewrites a sentence for the voice: at each word the grammars are asked in order, and what none of them understands
//! stays as it is written.

use super::locale::Locale;
use super::markup::{Manner, PlainText};
use super::tokens::{Reading, Sentence, TokenKind};
use super::{
    abbreviations, codes, dates, dimensions, fractions, keys, money, numbers, ordinals, per_word, phone, postcodes,
    spans, street_directions, symbols, times, timestamps, units, web_addresses,
};
use std::ops::Range;
use trunkline_domain::speech_tags;
use trunkline_media::turn::script::has_no_blanks;

/// A part of the text that is said as another one; octets of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    pub(super) shown: (usize, usize),
    pub(super) spoken: (usize, usize),
}

/// A text for the voice.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    pub(super) text: String,
    pub(super) parts: Vec<Rewritten>,
    /// Tags that belong into it: before which octet.
    pub(super) tags: Vec<(usize, String)>,
}

type Grammar = fn(&Sentence<'_>, usize, Locale) -> Option<Reading>;

/// The first one that understands a place wins.
const GRAMMARS: &[Grammar] = &[
    keys::read,
    street_directions::read,
    postcodes::read,
    web_addresses::read,
    fractions::read,
    spans::read,
    timestamps::read,
    dates::read,
    money::read,
    dimensions::read,
    times::read,
    phone::read,
    codes::read,
    ordinals::read,
    units::read,
    numbers::read,
    per_word::read,
    abbreviations::read,
    symbols::read,
];

/// What is said for a text, and which parts of it are said differently.
pub(super) fn rewrite(plain: &PlainText, locale: Option<Locale>) -> Spoken {
    let sentence = Sentence::new(&plain.text);
    let mut out =
        Output { text: &plain.text, spoken: String::with_capacity(plain.text.len() + 16), ..Output::default() };
    let mut manners = plain.manners.iter().peekable();
    let mut at = 0;
    while let Some(token) = sentence.get(at) {
        while manners.peek().is_some_and(|(range, _)| range.end <= token.start) {
            manners.next();
        }
        // Of a word without blanks around it, parts may be said in manners of their own.
        let (mut limit, mut behind) = (token.end(), None);
        while let Some((range, manner)) = manners.next_if(|(range, _)| range.start < limit) {
            out.say(range, manner, locale);
            let next = sentence.token_from(range.end);
            limit = next.checked_sub(1).and_then(|last| sentence.get(last)).map_or(limit, super::tokens::Token::end);
            behind = Some(next);
        }
        if let Some(behind) = behind {
            at = behind.max(at + 1);
            continue;
        }
        let next_manner = manners.peek().map_or(usize::MAX, |(range, _)| range.start);
        let end_of = |reading: &Reading| sentence.get(reading.end - 1).map_or(token.end(), super::tokens::Token::end);
        let reading = locale.and_then(|locale| GRAMMARS.iter().find_map(|grammar| grammar(&sentence, at, locale)));
        at = match reading.filter(|reading| reading.end > at && end_of(reading) <= next_manner) {
            Some(reading) => {
                let end = end_of(&reading);
                let spoken = locale.map_or_else(String::new, |locale| locale.spelled(reading.spoken));
                out.replace(token.start, end, &spoken);
                reading.end
            }
            None => behind_unread(&sentence, at),
        };
    }
    out.copy(plain.text.len());
    let Output { spoken: text, parts, mut tags, .. } = out;
    tags.extend(plain.pauses.iter().map(|(at, ms)| (spoken_at(&parts, *at), speech_tags::pause(*ms))));
    tags.sort_by_key(|(at, _)| *at);
    Spoken { text, parts, tags }
}

/// Where an octet of the shown text is in the spoken one; what is said differently ends before it.
fn spoken_at(parts: &[Rewritten], shown: usize) -> usize {
    let last = parts.iter().rev().find(|part| part.shown.0 < shown);
    last.map_or(shown, |part| part.spoken.1 + shown.saturating_sub(part.shown.1))
}

/// The next place where a grammar may begin: not within a number that was not understood.
fn behind_unread(sentence: &Sentence<'_>, at: usize) -> usize {
    let mut end = at + 1;
    if sentence.digits(at).is_none() {
        return end;
    }
    while sentence.glued_sign(end, &[".", ",", ":", "/", "-", "'"])
        && sentence.is_glued(end + 1)
        && sentence.digits(end + 1).is_some()
    {
        end += 2;
    }
    end
}

fn said_in_manner(inner: &str, manner: &Manner, locale: Option<Locale>) -> String {
    match manner {
        Manner::Spelled => codes::spell(inner),
        Manner::Alias(said) | Manner::Sounds { said, .. } => said.clone(),
        Manner::Phone => {
            let digits: String = inner.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
            let sentence = Sentence::new(inner);
            let read = locale.and_then(|locale| phone::read(&sentence, 0, locale));
            match read {
                Some(reading) if reading.end >= sentence.tokens.len() => reading.spoken,
                _ if digits.is_empty() => inner.to_owned(),
                _ => spelled_groups(&sentence, locale),
            }
        }
    }
}

fn spelled_groups(sentence: &Sentence<'_>, locale: Option<Locale>) -> String {
    let plus = locale.map_or("+", |locale| locale.language.signs.plus);
    let mut said = String::new();
    for token in &sentence.tokens {
        match token.kind {
            TokenKind::Number => {
                let comma = !said.is_empty() && !said.ends_with(plus);
                said.push_str(if comma {
                    ", "
                } else if said.is_empty() {
                    ""
                } else {
                    " "
                });
                said.push_str(&phone::say_group(token.text));
            }
            TokenKind::Sign if token.text == "+" && said.is_empty() => said.push_str(plus),
            TokenKind::Word | TokenKind::Sign => {}
        }
    }
    said
}

/// The text for the voice as it grows.
#[derive(Default)]
struct Output<'a> {
    text: &'a str,
    spoken: String,
    parts: Vec<Rewritten>,
    tags: Vec<(usize, String)>,
    /// Octets of the text that are done.
    at: usize,
}

impl Output<'_> {
    fn copy(&mut self, until: usize) {
        self.spoken.push_str(self.text.get(self.at..until).unwrap_or(""));
        self.at = self.at.max(until);
    }

    /// Says a part in a manner of its own.
    fn say(&mut self, range: &Range<usize>, manner: &Manner, locale: Option<Locale>) {
        let inner = self.text.get(range.start..range.end).unwrap_or("");
        let start = range.start.max(self.at);
        self.copy(start);
        let from = self.spoken.len();
        self.replace(start, range.end, &said_in_manner(inner, manner, locale));
        if let Manner::Sounds { ipa, .. } = manner {
            let (open, close) = speech_tags::sounds(ipa);
            self.tags.push((from, open));
            self.tags.push((self.spoken.len(), close.to_owned()));
        }
    }

    fn replace(&mut self, start: usize, end: usize, spoken: &str) {
        self.copy(start);
        if self.text.get(start..end) == Some(spoken) {
            self.copy(end);
            return;
        }
        // Words do not grow together: "AT&T" is "AT and T". The blanks belong to what is said.
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !has_no_blanks(c));
        let from = self.spoken.len();
        if is_letter(self.spoken.chars().next_back()) && is_letter(spoken.chars().next()) {
            self.spoken.push(' ');
        }
        self.spoken.push_str(spoken);
        let next = self.text.get(end..).and_then(|rest| rest.chars().next());
        if is_letter(spoken.chars().next_back()) && is_letter(next) {
            self.spoken.push(' ');
        }
        self.parts.push(Rewritten { shown: (start, end), spoken: (from, self.spoken.len()) });
        self.at = end;
    }
}
