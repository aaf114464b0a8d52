//! Words that repeat a secret entry: its digits are not written down and not read by the model, whether they come as
//! figures or as words.

use super::spoken::digits::{SpokenDigits, spoken_digits};
use trunkline_domain::collected::{CollectedValues, MASK};

/// Words that are read at once: an entry has at most 64 digits, and words around them.
const WINDOW_WORDS: usize = 96;
/// Every word is read in two windows.
const STEP_WORDS: usize = WINDOW_WORDS / 2;
/// Places of one text; a text with more is hidden as a whole.
const PLACES_MAX: usize = 16;
/// So few digits among other words are no entry.
const ENTRY_DIGITS_MIN: usize = 3;
/// Words at the end of interim words that may go on as a secret.
const TAIL_WORDS: usize = 8;

/// A text in this language without the digits of secret entries.
pub fn hidden(text: &str, language: &str, collected: &CollectedValues) -> String {
    if !collected.has_secrets() {
        return text.to_owned();
    }
    let mut text = collected.masked(text);
    for _ in 0..PLACES_MAX {
        let Some((start, end)) = place(&text, language, collected) else { return text };
        text.replace_range(start..end, MASK);
    }
    MASK.to_owned()
}

/// What may be written down of words that were said in place of keys: digits are nobody's, and words that mean something
/// else are.
pub fn hidden_entry(text: &str, language: &str) -> String {
    match spoken_digits(text, language) {
        SpokenDigits::Only(_) => MASK.to_owned(),
        SpokenDigits::Among(digits) if digits.len() >= ENTRY_DIGITS_MIN => MASK.to_owned(),
        SpokenDigits::Among(_) | SpokenDigits::None => text.to_owned(),
    }
}

/// Words that may go on: their end is hidden as well if a secret begins so.
pub fn hidden_interim(text: &str, language: &str, collected: &CollectedValues) -> String {
    let mut text = hidden(text, language, collected);
    if !collected.has_secrets() {
        return text;
    }
    let words = words_of(&text);
    let tail = |at: usize| {
        let (start, _) = *words.get(at)?;
        Some((start, digits(text.get(start..)?, language)?))
    };
    let tails: Vec<_> = (words.len().saturating_sub(TAIL_WORDS)..words.len()).filter_map(tail).collect();
    let longest = tails.iter().find(|(_, said)| collected.may_continue(said)).map(|(_, said)| said.clone());
    // Without the words before them that are no digits.
    if let Some((start, _)) = tails.into_iter().rfind(|(_, said)| Some(said) == longest.as_ref()) {
        text.replace_range(start.., MASK);
    }
    text
}

/// Where the words are that repeat an entry: the shortest ones, and digits beside them.
fn place(text: &str, language: &str, collected: &CollectedValues) -> Option<(usize, usize)> {
    let words = words_of(text);
    let said = |from: usize, to: usize| {
        let (start, end) = (words.get(from)?.0, words.get(to)?.1);
        digits(text.get(start..end)?, language)
    };
    let repeats = |from: usize, to: usize| said(from, to).is_some_and(|said| collected.repeats(&said));
    let count = |from: usize, to: usize| said(from, to).map_or(0, |said| said.len());
    let last = |from: usize| (from + WINDOW_WORDS - 1).min(words.len().saturating_sub(1));
    let from = (0..words.len()).step_by(STEP_WORDS).find(|from| repeats(*from, last(*from)))?;
    let to = last(from);
    let from = (from..=to).rev().find(|from| repeats(*from, to))?;
    let to = (from..=to).find(|to| repeats(from, *to))?;
    let is_more = |wider: (usize, usize), known: (usize, usize)| count(wider.0, wider.1) > count(known.0, known.1);
    let (mut from, mut to) = (from, to);
    while from > 0 && is_more((from - 1, to), (from, to)) {
        from -= 1;
    }
    while is_more((from, to + 1), (from, to)) {
        to += 1;
    }
    Some((words.get(from)?.0, words.get(to)?.1))
}

/// The words of a text, as octets from and to.
fn words_of(text: &str) -> Vec<(usize, usize)> {
    let start = text.as_ptr() as usize;
    let place = |word: &str| (word.as_ptr() as usize - start, word.as_ptr() as usize - start + word.len());
    text.split_whitespace().map(place).collect()
}

fn digits(text: &str, language: &str) -> Option<String> {
    match spoken_digits(text, language) {
        SpokenDigits::Only(digits) | SpokenDigits::Among(digits) => Some(digits),
        SpokenDigits::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected() -> CollectedValues {
        let mut values = CollectedValues::default();
        values.put("pin", "4711".into(), true);
        values.put("card", "5500000000000004".into(), true);
        values
    }

    #[test]
    fn words_for_a_secret_are_hidden_and_the_others_stay() {
        let values = collected();
        for (language, said, shown) in [
            ("en", "I said four seven one one, is that right?", "I said ••• is that right?"),
            ("en", "It is forty-seven eleven.", "It is •••"),
            ("en", "4 seven, uh, one 1 and when do you open", "••• and when do you open"),
            ("nl", "dat was vier zeven een een toch", "dat was ••• toch"),
            ("de", "vier sieben eins eins", "•••"),
            ("fr", "quatre sept un un merci", "••• merci"),
            ("en", "five five double zero double zero please", "••• please"),
            ("en", "I have four dogs and one cat", "I have four dogs and one cat"),
            ("en", "my number is one two three four", "my number is one two three four"),
        ] {
            assert_eq!(hidden(said, language, &values), shown, "{said}");
        }
        let twice = hidden("four seven one one or four seven one one", "en", &values);
        assert_eq!(twice, "••• or •••");
        assert_eq!(hidden("four seven one one", "en", &CollectedValues::default()), "four seven one one");
    }

    #[test]
    fn a_secret_in_a_long_text_is_found() {
        let long = format!("{}four seven one one {}", "so ".repeat(300), "and ".repeat(300));
        let shown = hidden(&long, "en", &collected());
        assert!(shown.contains(MASK) && !shown.contains("seven"), "{shown}");
        let many = "four seven one one or ".repeat(40);
        assert!(!hidden(&many, "en", &collected()).contains("seven"));
    }

    #[test]
    fn interim_words_do_not_show_how_a_secret_begins() {
        let values = collected();
        let shown = |said: &str| hidden_interim(said, "en", &values);
        assert_eq!(shown("it is 4"), "it is 4", "one digit is nothing");
        for said in ["it is 47", "it is 4 7", "it is four seven one", "it is 4711", "it is four seven one one"] {
            assert_eq!(shown(said), "it is •••", "{said}");
        }
        assert_eq!(shown("my 47 friends"), "my 47 friends", "the words went on");
    }
}
