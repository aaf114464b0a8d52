//! Words that are counted by something: "99 Cent/Min.", "20 calls/min", "365 days/yr.".

use super::locale::Locale;
use super::tokens::{Reading, Sentence, TokenKind};
use super::units::{per_name, say_per};

/// Reads a word behind its number, with the unit behind its slash. Other words there are alternatives: "3 men/women".
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let word = sentence.word(at).filter(|word| word.chars().count() >= 3)?;
    let counted = sentence.before(at).is_some_and(|before| before.kind == TokenKind::Number);
    if !counted || !sentence.glued_sign(at + 1, &["/"]) || !sentence.is_glued(at + 2) {
        return None;
    }
    let (name, end) = per_name(sentence, at + 2, locale)?;
    let language = locale.language;
    let is_unit =
        language.units.iter().any(|unit| unit.one == name) || language.per_names.iter().any(|(_, one)| *one == name);
    is_unit.then(|| Reading { end, spoken: format!("{word} {}", say_per(&name, locale)) })
}
