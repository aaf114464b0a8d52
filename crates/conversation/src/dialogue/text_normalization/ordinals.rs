//! Ordinals with º and ª, which many voices take for degrees.

use super::locale::Locale;
use super::numbers::behind_hyphen;
use super::tokens::{Reading, Sentence};

/// Reads "2º", "3.ª", "3.er" that begin at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let ordinals = locale.language.ordinals.as_ref()?;
    let number: usize = sentence.digits(at).filter(|digits| digits.len() <= 2)?.parse().ok()?;
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let dotted = sentence.glued_sign(at + 1, &["."]);
    let mark = if dotted { at + 2 } else { at + 1 };
    if !sentence.is_glued(mark) || !sentence.ends_word(mark + 1) {
        return None;
    }
    let index = number.checked_sub(1)?;
    let next = sentence.text(mark + 1);
    let word = match sentence.text(mark) {
        "ª" => *ordinals.feminine.get(index)?,
        // A degree sign before a capital is a temperature: "5°C" is no "5º C".
        "º" if !matches!(next, "C" | "F") => {
            let noun = sentence.word(mark + 1).is_some_and(|word| word != ordinals.of && word.chars().count() > 2);
            let short = ordinals.short.iter().find(|(of, _)| *of == number).filter(|_| noun);
            short.map_or(*ordinals.masculine.get(index)?, |(_, word)| word)
        }
        "er" if !ordinals.short.is_empty() => ordinals.short.iter().find(|(of, _)| *of == number)?.1,
        _ => return None,
    };
    Reading::new(mark + 1, word)
}
