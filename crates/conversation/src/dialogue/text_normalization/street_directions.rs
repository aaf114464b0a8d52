//! Directions in English addresses: "1600 W. Maple Ave.", "10 W 34th St.".

use super::locale::Locale;
use super::tokens::{Reading, Sentence, TokenKind, has_capital, is_all_capitals};

/// Directions of English streets.
const DIRECTIONS: &[(&str, &str)] = &[
    ("N", "North"),
    ("S", "South"),
    ("E", "East"),
    ("W", "West"),
    ("NE", "Northeast"),
    ("NW", "Northwest"),
    ("SE", "Southeast"),
    ("SW", "Southwest"),
];

/// What streets are called.
const STREETS: &[&str] = &[
    "St",
    "Street",
    "Ave",
    "Av",
    "Avenue",
    "Blvd",
    "Boulevard",
    "Rd",
    "Road",
    "Dr",
    "Drive",
    "Ln",
    "Lane",
    "Hwy",
    "Highway",
    "Ct",
    "Court",
    "Pl",
    "Place",
    "Pkwy",
    "Parkway",
    "Sq",
    "Square",
    "Ter",
    "Terrace",
    "Way",
    "Broadway",
    "Trail",
    "Cir",
    "Circle",
    "Loop",
    "Row",
    "Pike",
    "Expy",
    "Fwy",
];
/// Tokens between a direction and the name for its street.
const STREET_TOKENS: usize = 5;

/// "10 W 34th St.", "5 S. Elm Ave.": a house number before, and a street behind.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let word = sentence.word(at).filter(|_| locale.is_english())?;
    let (_, long) = DIRECTIONS.iter().find(|(short, _)| *short == word)?;
    let dotted = sentence.glued_sign(at + 1, &["."]);
    let behind = if dotted { at + 2 } else { at + 1 };
    is_street_direction(sentence, at, behind).then(|| Reading { end: behind, spoken: (*long).to_owned() })
}

/// Whether the letters before a token stand between a house number and a street.
fn is_street_direction(sentence: &Sentence<'_>, at: usize, behind: usize) -> bool {
    let spaced = |at: usize| sentence.get(at).is_some_and(|token| token.is_spaced);
    let house = sentence.before(at).is_some_and(|before| {
        before.kind == TokenKind::Number && before.text.len() <= 5
            // "45A W. Main St."
            || before.kind == TokenKind::Word && before.text.len() == 1 && !before.is_spaced
    });
    let numbered = sentence.digits(behind).is_some() && sentence.is_glued(behind + 1);
    let named = sentence.word(behind).is_some_and(has_capital);
    spaced(at)
        && spaced(behind)
        && house
        && (numbered || named)
        && (behind..=behind + STREET_TOKENS)
            .map_while(|at| sentence.get(at).filter(|token| token.kind != TokenKind::Sign || token.text == "."))
            .any(|token| STREETS.contains(&token.text))
}

/// Whether "W" behind a number is a direction and no unit: "1600 W. Maple Ave.", "10 W 34th St.".
pub(super) fn is_direction(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    if !locale.is_english() || !DIRECTIONS.iter().any(|(short, _)| *short == sentence.text(at)) {
        return false;
    }
    let dotted = sentence.glued_sign(at + 1, &["."]);
    let behind = if dotted { at + 2 } else { at + 1 };
    let capital = sentence.word(behind).is_some_and(|word| has_capital(word) && !is_all_capitals(word));
    let numbered =
        sentence.digits(behind).is_some() && sentence.word(behind + 1).is_some() && sentence.is_glued(behind + 1);
    numbered || dotted && capital || is_street_direction(sentence, at, behind)
}
