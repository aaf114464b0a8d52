//! Keys of a phone: `*21#`, "press *1", "press # to confirm".

use super::locale::Locale;
use super::phone::say_group;
use super::tokens::{Reading, Sentence, TokenKind};

/// Words before a key that may ask for it.
const WORDS_BEFORE: usize = 12;

/// Reads a key, or a code of several, that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    code(sentence, at, locale).or_else(|| key(sentence, at, locale))
}

fn is_asked(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let words = sentence.words_before(at, WORDS_BEFORE);
    words.iter().any(|word| locale.language.codes.press.contains(&word.as_str()))
}

fn sign_name(sign: &str, locale: Locale) -> Option<&'static str> {
    match sign {
        "*" => Some(locale.language.codes.star),
        "#" => Some(locale.language.codes.hash),
        _ => None,
    }
}

/// `*67`, `*21#`, `#31#`, and "1234#" behind "enter".
fn code(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let first = sentence.get(at)?;
    let opens = first.is_spaced
        || sentence
            .before(at)
            .is_some_and(|before| matches!(before.text, "(" | "\"" | "'" | "“" | "„" | "«" | "/" | "-" | "–" | ":"));
    if !opens {
        return None;
    }
    let mut end = at;
    let mut said: Vec<String> = Vec::new();
    let (mut signs, mut digits) = (0, 0);
    while let Some(token) = sentence.get(end).filter(|token| end == at || !token.is_spaced) {
        if let Some(name) = sign_name(token.text, locale) {
            signs += 1;
            said.push(name.to_owned());
        } else if token.kind == TokenKind::Number {
            digits += 1;
            said.push(say_group(token.text));
        } else {
            break;
        }
        end += 1;
    }
    let goes_on = !sentence.ends_word(end)
        || sentence.glued_sign(end, &[".", ","]) && sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some();
    if signs == 0 || digits == 0 || goes_on {
        return None;
    }
    let behind_number = sentence.before(at).is_some_and(|before| before.kind == TokenKind::Number);
    let fits = match first.text {
        // "15 *3" is meant to multiply.
        "*" => !behind_number || is_asked(sentence, at, locale),
        // "#1" is a number.
        "#" => signs >= 2,
        _ => sentence.text(end - 1) == "#" && is_asked(sentence, at, locale),
    };
    fits.then(|| Reading { end, spoken: said.join(" ") })
}

/// A key that stands alone behind "press".
fn key(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at)?;
    let name = sign_name(token.text, locale)?;
    let quoted = sentence.before(at).is_some_and(|before| matches!(before.text, "\"" | "'" | "“" | "„" | "«" | "("));
    let alone = (token.is_spaced || quoted)
        && sentence.get(at + 1).is_none_or(|next| {
            next.is_spaced
                || matches!(next.text, "." | "," | "!" | "?" | ";" | ":" | ")" | "\"" | "'" | "”" | "“" | "»" | "-")
        });
    (alone && is_asked(sentence, at, locale)).then(|| Reading { end: at + 1, spoken: name.to_owned() })
}
