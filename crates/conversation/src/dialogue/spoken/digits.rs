//! Digits that are said: one by one, in pairs, doubled, or as numbers.

use super::numbers::number_words;
use super::words::{base, words};

/// Digits that one turn may have.
const DIGITS_MAX: usize = 64;

/// What a turn has of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpokenDigits {
    /// Nothing but digits and words around them.
    Only(String),
    /// Digits, and words that mean something else.
    Among(String),
    /// None.
    None,
}

/// Words that mean nothing beside digits.
fn fillers(language: &str) -> &'static [&'static str] {
    match base(language) {
        "nl" => {
            &["het", "is", "mijn", "de", "code", "nummer", "pincode", "en", "dan", "uh", "eh", "ja", "dat", "streepje"]
        }
        "de" => &[
            "es", "ist", "mein", "meine", "die", "der", "code", "nummer", "pin", "und", "dann", "ah", "ahm", "ja",
            "das",
        ],
        "fr" => &["c'est", "le", "la", "mon", "ma", "code", "numero", "est", "et", "puis", "euh", "oui", "ensuite"],
        "es" => &["es", "el", "la", "mi", "codigo", "numero", "y", "eh", "si", "luego", "despues"],
        "it" => &["e", "il", "la", "mio", "mia", "codice", "numero", "poi", "eh", "si"],
        "pt" => &["e", "o", "a", "meu", "minha", "codigo", "numero", "depois", "eh", "sim"],
        _ => &[
            "it's", "its", "it", "is", "my", "the", "code", "number", "pin", "and", "then", "uh", "um", "yes", "okay",
            "dash",
        ],
    }
}

/// The digits of a turn, as STT writes them in this language.
pub fn spoken_digits(text: &str, language: &str) -> SpokenDigits {
    let (mut digits, mut others) = (String::new(), 0_usize);
    // A comma parts numbers: "twenty, one" is not twenty-one.
    for part in text.replace(". ", ",").split([',', ';']) {
        others += read_part(&words(part), language, &mut digits);
    }
    digits.truncate(DIGITS_MAX);
    match (digits.is_empty(), others) {
        (true, _) => SpokenDigits::None,
        (false, 0) => SpokenDigits::Only(digits),
        (false, _) => SpokenDigits::Among(digits),
    }
}

/// Adds the digits of some words; returns how many words mean something else.
fn read_part(words: &[String], language: &str, digits: &mut String) -> usize {
    let (numbers, fillers) = (number_words(language), fillers(language));
    let (mut at, mut others) = (0_usize, 0_usize);
    while let Some(word) = words.get(at) {
        let rest = words.get(at..).unwrap_or_default();
        let times = numbers.repetition(word);
        let one = times.and_then(|_| rest.get(1)).and_then(|next| digit(next, language));
        if let (Some(times), Some(one)) = (times, one) {
            digits.extend(std::iter::repeat_n(one, times));
            at += 2;
        } else if is_figures(word) {
            digits.extend(word.chars().filter(char::is_ascii_digit));
            at += 1;
        } else if let Some((value, used)) = numbers.number(rest) {
            digits.push_str(&value.to_string());
            at += used;
        } else {
            others += usize::from(!fillers.contains(&word.as_str()));
            at += 1;
        }
    }
    others
}

/// Figures, perhaps with marks between them: `12.34`, `020/123`.
fn is_figures(word: &str) -> bool {
    word.chars().any(|c| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '/' | ':'))
}

fn digit(word: &str, language: &str) -> Option<char> {
    if let Some(c) = word.chars().next().filter(|c| c.is_ascii_digit() && word.len() == 1) {
        return Some(c);
    }
    let value = number_words(language).one_word(word)?;
    char::from_digit(u32::try_from(value).ok().filter(|value| *value < 10)?, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "one two three four", "1234"),
            ("en", "It's 4 2, 7 1.", "4271"),
            ("en", "oh two oh, double five", "02055"),
            ("en", "twenty one thirty four", "2134"),
            ("en", "triple seven", "777"),
            ("en", "4271", "4271"),
            ("en-US", "My PIN is nine eight seven six", "9876"),
            ("nl", "nul twee nul, eenendertig", "02031"),
            ("nl", "dubbel vijf, mijn code is 12", "5512"),
            ("de", "null null drei eins", "0031"),
            ("de", "zwo vierunddreißig", "234"),
            ("fr", "zéro six douze trente-quatre", "061234"),
            ("fr", "quatre-vingt-dix-sept, soixante-douze", "9772"),
            ("es", "seis uno dos, treinta y cuatro", "61234"),
            ("it", "tre due otto, ventuno", "32821"),
            ("pt", "nove meia um, vinte e dois", "96122"),
        ] {
            assert_eq!(spoken_digits(text, language), SpokenDigits::Only(wanted.to_owned()), "{language}: {text}");
        }
    }

    #[test]
    fn other_words_are_told_apart() {
        assert_eq!(spoken_digits("I don't know it", "en"), SpokenDigits::None);
        assert_eq!(spoken_digits("wait, I have 1 2 somewhere", "en"), SpokenDigits::Among("12".into()));
        assert_eq!(spoken_digits("", "en"), SpokenDigits::None);
    }
}
