//! Signs between words and numbers: "&", "2 + 2 = 4", "C++", "#1".

use super::locale::Locale;
use super::money;
use super::tokens::{Reading, Sentence, TokenKind};

/// Reads a sign that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let signs = &locale.language.signs;
    let token = sentence.get(at)?;
    if token.text == "x" && token.is_spaced && is_calculation(sentence, at) {
        return Reading::new(at + 1, signs.times);
    }
    if token.kind == TokenKind::Word {
        return programming(sentence, at, locale);
    }
    match token.text {
        "&" => between(sentence, at).then(|| Reading { end: at + 1, spoken: signs.and.to_owned() }),
        "+" if is_calculation(sentence, at) => Reading::new(at + 1, signs.plus),
        "+" if !token.is_spaced && is_number(sentence, at, -1) && sentence.ends_word(at + 1) => {
            Reading::new(at + 1, signs.plus)
        }
        "±" if is_number(sentence, at, 1) || sentence.text(at + 1) == "€" || sentence.text(at + 1) == "$" => {
            Reading::new(at + 1, signs.plus_minus)
        }
        "~" | "≈" if opens(sentence, at) && is_amount(sentence, at + 1, locale) => {
            Reading::new(at + 1, locale.language.sizes.about)
        }
        "@" if token.is_spaced && is_priced(sentence, at, locale) => Reading::new(at + 1, locale.language.sizes.priced),
        "=" if is_calculation(sentence, at) => Reading::new(at + 1, signs.equals),
        "*" | "×" if is_calculation(sentence, at) => Reading::new(at + 1, signs.times),
        "#" => numbered(sentence, at, locale),
        "24" | "7" => around_the_clock(sentence, at),
        _ => None,
    }
}

fn opens(sentence: &Sentence<'_>, at: usize) -> bool {
    sentence.get(at).is_some_and(|token| token.is_spaced)
        || sentence.before(at).is_some_and(|before| matches!(before.text, "(" | "\"" | ":"))
}

/// Whether a number or a currency stands at a token.
fn is_amount(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    sentence.digits(at).is_some() || money::sign(sentence, at, locale).is_some()
}

/// "2 @ $4.50": so many, at a price.
fn is_priced(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    (is_number(sentence, at, -1) || locale.is_english()) && is_amount(sentence, at + 1, locale)
}

fn is_number(sentence: &Sentence<'_>, at: usize, step: isize) -> bool {
    at.checked_add_signed(step).and_then(|at| sentence.get(at)).is_some_and(|token| token.kind == TokenKind::Number)
}

/// Numbers on both sides, with blanks or without.
fn is_calculation(sentence: &Sentence<'_>, at: usize) -> bool {
    is_number(sentence, at, -1)
        && is_number(sentence, at, 1)
        && sentence.get(at).map(|token| token.is_spaced) == sentence.get(at + 1).map(|token| token.is_spaced)
}

fn between(sentence: &Sentence<'_>, at: usize) -> bool {
    let is_text = |token: Option<&super::tokens::Token<'_>>| {
        token.is_some_and(|token| token.kind != TokenKind::Sign || matches!(token.text, "." | ")" | "(" | "\""))
    };
    is_text(sentence.before(at)) && is_text(sentence.get(at + 1))
}

/// "C++" and "C#".
fn programming(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let word = sentence.word(at).filter(|word| matches!(*word, "C" | "F" | "J"))?;
    if !sentence.starts_word(at) {
        return None;
    }
    if sentence.glued_sign(at + 1, &["+"]) && sentence.glued_sign(at + 2, &["+"]) {
        let plus = locale.language.signs.plus;
        return Reading::new(at + 3, format!("{word} {plus} {plus}"));
    }
    let sharp = sentence.glued_sign(at + 1, &["#"]) && sentence.ends_word(at + 2);
    sharp.then(|| Reading { end: at + 2, spoken: format!("{word} sharp") })
}

/// "#1".
fn numbered(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let is_numbered = sentence.get(at).is_some_and(|token| token.is_spaced)
        && sentence.is_glued(at + 1)
        && sentence.digits(at + 1).is_some();
    is_numbered.then(|| Reading { end: at + 1, spoken: locale.language.signs.number.to_owned() })
}

/// "24/7".
fn around_the_clock(sentence: &Sentence<'_>, at: usize) -> Option<Reading> {
    let fits = sentence.text(at) == "24"
        && sentence.starts_word(at)
        && sentence.glued_sign(at + 1, &["/"])
        && sentence.is_glued(at + 2)
        && sentence.text(at + 2) == "7"
        && sentence.ends_word(at + 3);
    fits.then(|| Reading { end: at + 3, spoken: "24 7".to_owned() })
}
