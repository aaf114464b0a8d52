//! Postcodes beside the name of a town or a state: "80331 München", "IL 62704", "C.P. 28028".

use super::locale::Locale;
use super::phone::say_group;
use super::tokens::{Reading, Sentence, has_capital};

/// States and territories of the United States, before a ZIP code.
const STATES: &[&str] = &[
    "AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "FL", "GA", "HI", "ID", "IL", "IN", "IA", "KS", "KY", "LA", "ME",
    "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH", "NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA",
    "RI", "SC", "SD", "TN", "TX", "UT", "VT", "VA", "WA", "WV", "WI", "WY", "DC", "PR",
];

/// Reads a postcode that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let code = sentence.digits(at).filter(|code| (4..=5).contains(&code.len()))?;
    if !sentence.starts_word(at) || !sentence.ends_word(at + 1) {
        return None;
    }
    if code.len() == 5 && is_behind_code_word(sentence, at) {
        return Reading::new(at + 1, say_group(code));
    }
    if locale.is_english() { zip(sentence, at, code) } else { before_town(sentence, at, code, locale) }
}

/// "C.P. 28028", "CP 75001".
fn is_behind_code_word(sentence: &Sentence<'_>, at: usize) -> bool {
    let text = |back: usize| at.checked_sub(back).map_or("", |index| sentence.text(index));
    matches!(text(1), "CP" | "CAP" | "PLZ")
        || [text(4), text(3), text(2), text(1)] == ["C", ".", "P", "."]
        || matches!((text(2), text(1)), ("CP" | "CAP" | "PLZ", ":" | "."))
}

/// "IL 62704", "CA 94107-1234".
fn zip(sentence: &Sentence<'_>, at: usize, code: &str) -> Option<Reading> {
    let mut back = at;
    // "TX. 75001", "Ill., 62704".
    if sentence.before(back).is_some_and(|before| matches!(before.text, "." | ",")) {
        back -= 1;
    }
    let state = back.checked_sub(1).and_then(|state| sentence.word(state)).is_some_and(|state| STATES.contains(&state));
    if !state || code.len() != 5 {
        return None;
    }
    let plus = sentence.digits(at + 2).filter(|plus| {
        plus.len() == 4
            && sentence.glued_sign(at + 1, &["-", "–"])
            && sentence.is_glued(at + 2)
            && sentence.ends_word(at + 3)
    });
    match plus {
        Some(plus) => Reading::new(at + 3, format!("{}, {}", say_group(code), say_group(plus))),
        None => Reading::new(at + 1, say_group(code)),
    }
}

/// "80331 München", "28013 Madrid", "1200-195 Lisboa": a code before the name of a town. German nouns have capitals, too:
/// there a house number and a comma, or "in", must stand before.
fn before_town(sentence: &Sentence<'_>, at: usize, code: &str, locale: Locale) -> Option<Reading> {
    let (said, end) = match sentence.digits(at + 2) {
        Some(second)
            if code.len() == 4
                && second.len() == 3
                && sentence.glued_sign(at + 1, &["-"])
                && sentence.is_glued(at + 2)
                && sentence.ends_word(at + 3) =>
        {
            (format!("{}, {}", say_group(code), say_group(second)), at + 3)
        }
        _ => (say_group(code), at + 1),
    };
    let town = sentence
        .get(end)
        .is_some_and(|next| next.is_spaced && next.text.chars().count() >= 3 && has_capital(next.text));
    let before = sentence.before(at).map_or("", |before| before.text);
    let prefixed = sentence.is_glued(at) && before == "-";
    let signed = sentence.is_glued(at) && !matches!(before, "(" | "\"" | "-");
    if !town || signed || prefixed && !is_country(sentence, at) {
        return None;
    }
    let behind_house = before == "," && at >= 2 && is_house_number(sentence, at - 2);
    let long = end == at + 3;
    let sure = match code.len() {
        5 if locale.is_german() => {
            behind_house && !code.ends_with("000")
                || prefixed
                || matches!(before, "in" | "nach" | "aus") && !code.ends_with("00")
        }
        5 => !locale.is_dutch() && !code.ends_with("000") && is_town_place(sentence, at, before, behind_house),
        4 => long || locale.is_german() && behind_house && !code.starts_with("19") && !code.starts_with("20"),
        _ => false,
    };
    (sure || prefixed).then_some(Reading { end, spoken: said })
}

/// "D-80331".
fn is_country(sentence: &Sentence<'_>, at: usize) -> bool {
    at.checked_sub(2).is_some_and(|two| {
        matches!(sentence.text(two), "D" | "A" | "CH" | "DE" | "AT" | "F" | "E" | "I" | "P")
            && sentence.starts_word(two)
    })
}

/// "14", "14a", "4B".
fn is_house_number(sentence: &Sentence<'_>, at: usize) -> bool {
    let number = |at: usize| sentence.digits(at).is_some_and(|digits| digits.len() <= 4);
    let letter = sentence.word(at).is_some_and(|word| word.len() == 1);
    number(at) || letter && at >= 1 && number(at - 1)
}

/// Where an address may go on: at the beginning, behind a comma, a dash, a bracket, or a preposition.
fn is_town_place(sentence: &Sentence<'_>, at: usize, before: &str, behind_house: bool) -> bool {
    behind_house
        || sentence.is_sentence_start(at)
        || matches!(before, "," | "(" | "-" | "–" | "à" | "en" | "a" | "in" | "em" | "de" | "di" | "da" | "CAP" | "CP")
}
