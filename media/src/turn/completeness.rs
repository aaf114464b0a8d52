//! Whether the words so far form a complete utterance: complete answer, unfinished clause, or dictated number or name.
//! Function words are listed per language; unknown languages use the default timing.

use super::lexicon::{LanguageLexicon, language};
use super::script;

/// Completeness of an utterance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// A complete answer or a complete sentence.
    Complete,
    /// Could go on or not.
    Undecided,
    /// A clause that lacks its end: "my number is", "and".
    Unfinished,
    /// Digits, letters or an address, given part by part.
    Dictation,
}

/// Sentences of more words than these may end on a hanging word.
const HANGING_SENTENCE_WORDS_MIN: usize = 4;

/// Judges the words of a turn so far.
pub fn completeness(text: &str, code: &str) -> Completeness {
    let language = language(code);
    let text = text.trim();
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric() && c != '@' && c != '\''))
        .filter(|word| !word.is_empty())
        .collect();
    let Some(last) = words.last() else { return Completeness::Undecided };
    let whole = words.join(" ");
    let open = text.ends_with([',', '-', '–', '—', '…', ':', '、', '，', '：', '،']) || text.ends_with("...");
    // "Thank you," is followed by something.
    if !open && language.complete.contains(&whole.as_str()) {
        return Completeness::Complete;
    }
    if ends_in_dictation(language, &words) {
        return Completeness::Dictation;
    }
    let ends_with = |list: &[&str]| {
        list.iter().any(|entry| match entry.contains(' ') {
            true => whole.ends_with(entry),
            false => last == entry,
        })
    };
    let ends = !open && text.ends_with(['.', '?', '!', '。', '？', '！', '｡', '؟', '।']);
    // "Where my order is." has its dot; "my number is." has too few words for one.
    let hangs = ends_with(language.usually_continued) && !(ends && words.len() > HANGING_SENTENCE_WORDS_MIN);
    if open || ends_with(language.unfinished) || hangs {
        return Completeness::Unfinished;
    }
    // "Yes, that is correct" is as finished as "correct", whatever STT's punctuation.
    if ends && script::words(text).nth(1).is_some() || words.len() <= 4 && ends_with(language.complete) {
        return Completeness::Complete;
    }
    Completeness::Undecided
}

/// A string of digits or letters at the end, or an address that has begun and not ended.
fn ends_in_dictation(language: &LanguageLexicon, words: &[&str]) -> bool {
    let is_digits = |word: &str| word.len() >= 3 && word.chars().all(|c| c.is_ascii_digit() || c == '-');
    let is_piece = |word: &&&str| {
        language.digits.contains(*word)
            || language.address_words.contains(*word)
            || word.chars().count() == 1 && **word != "i"
            || word.chars().all(|c| c.is_ascii_digit())
    };
    let Some(last) = words.last() else { return false };
    let pieces = words.iter().rev().take_while(is_piece).count();
    let address = words.iter().rev().take(4).any(|word| word.contains('@'));
    if address {
        return last.rsplit_once('.').is_none_or(|(_, end)| end.len() < 2);
    }
    // A year or a price ends a sentence too; a number of three and more digits is more often the start of one.
    pieces >= 2 || is_digits(last) || language.address_words.contains(last)
}

#[cfg(test)]
mod tests;
