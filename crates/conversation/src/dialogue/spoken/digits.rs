//! Digits that are said: one by one, in pairs, doubled, or as numbers.

use super::numbers::{NumberWords, number_words};
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
pub(super) fn fillers(language: &str) -> &'static [&'static str] {
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

/// Readings of a turn at most.
const READINGS_MAX: usize = 64;

/// Digits that belong together, and how else they may be meant: "twenty seven" is 27, or 20 and 7.
#[derive(Debug)]
struct DigitGroup {
    joined: String,
    parted: Option<String>,
}

fn groups(text: &str, language: &str) -> (Vec<DigitGroup>, usize) {
    let (mut groups, mut others) = (Vec::new(), 0_usize);
    // A comma parts numbers: "twenty, one" is not twenty-one.
    for part in text.replace(". ", ",").split([',', ';']) {
        others += read_part(&words(part), language, &mut groups);
    }
    (groups, others)
}

/// The ways in which the digits of a turn may be meant, the likeliest first. Empty if there are none.
pub fn digit_readings(text: &str, language: &str) -> Vec<String> {
    let mut readings = vec![String::new()];
    for group in groups(text, language).0 {
        let forks = readings.len() * 2 <= READINGS_MAX;
        let parted = group.parted.filter(|_| forks);
        let mut other = parted.map_or_else(Vec::new, |parted| {
            readings.iter().map(|before| format!("{before}{parted}")).collect::<Vec<_>>()
        });
        readings.iter_mut().for_each(|reading| reading.push_str(&group.joined));
        readings.append(&mut other);
    }
    readings.iter_mut().for_each(|reading| reading.truncate(DIGITS_MAX));
    readings.retain(|reading| !reading.is_empty());
    readings
}

/// The digits of a turn, as STT writes them in this language.
pub fn spoken_digits(text: &str, language: &str) -> SpokenDigits {
    let (groups, others) = groups(text, language);
    let mut digits: String = groups.into_iter().map(|group| group.joined).collect();
    digits.truncate(DIGITS_MAX);
    match (digits.is_empty(), others) {
        (true, _) => SpokenDigits::None,
        (false, 0) => SpokenDigits::Only(digits),
        (false, _) => SpokenDigits::Among(digits),
    }
}

/// Adds the digits of some words; returns how many words mean something else.
fn read_part(words: &[String], language: &str, groups: &mut Vec<DigitGroup>) -> usize {
    let (numbers, fillers) = (number_words(language), fillers(language));
    let (mut at, mut others) = (0_usize, 0_usize);
    while let Some(word) = words.get(at) {
        let rest = words.get(at..).unwrap_or_default();
        let times = numbers.repetition(word);
        let one = times.and_then(|_| rest.get(1)).and_then(|next| digit(next, language));
        if let (Some(times), Some(one)) = (times, one) {
            groups.push(DigitGroup { joined: std::iter::repeat_n(one, times).collect(), parted: None });
            at += 2;
        } else if is_figures(word) {
            groups.push(DigitGroup { joined: word.chars().filter(char::is_ascii_digit).collect(), parted: None });
            at += 1;
        } else if let Some((value, used)) = numbers.number(rest) {
            let parted = parted(rest.get(..used).unwrap_or_default(), numbers);
            groups.push(DigitGroup { joined: value.to_string(), parted });
            at += used;
        } else {
            others += usize::from(!fillers.contains(&word.as_str()));
            at += 1;
        }
    }
    others
}

/// A ten and a unit that may have been meant one after the other.
fn parted(words: &[String], numbers: &NumberWords) -> Option<String> {
    let [ten, unit] = words else { return None };
    let (ten, unit) = (numbers.one_word(ten)?, numbers.one_word(unit)?);
    ((20..100).contains(&ten) && ten % 10 == 0 && unit < 20).then(|| format!("{ten}{unit}"))
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
    fn numbers_that_may_be_meant_in_two_ways_have_two_readings() {
        let readings = |text: &str, language: &str| digit_readings(text, language).join(" ");
        assert_eq!(readings("twenty seven nine", "en"), "279 2079");
        assert_eq!(readings("twenty, seven nine", "en"), "2079");
        assert_eq!(readings("forty four twenty seven", "en"), "4427 40427 44207 404207");
        assert_eq!(readings("vingt sept", "fr"), "27 207");
        assert_eq!(readings("zevenentwintig", "nl"), "27");
        assert_eq!(readings("no idea", "en"), "");
        let long = "twenty one ".repeat(40);
        let all = digit_readings(&long, "en");
        assert!(all.len() <= READINGS_MAX && all.iter().all(|one| one.len() <= DIGITS_MAX));
    }

    #[test]
    fn other_words_are_told_apart() {
        assert_eq!(spoken_digits("I don't know it", "en"), SpokenDigits::None);
        assert_eq!(spoken_digits("wait, I have 1 2 somewhere", "en"), SpokenDigits::Among("12".into()));
        assert_eq!(spoken_digits("", "en"), SpokenDigits::None);
    }
}
