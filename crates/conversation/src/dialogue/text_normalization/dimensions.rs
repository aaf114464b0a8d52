//! Dimensions, and how often: "30x40x10 cm", "2m x 3m", "1920x1080", "2x per day".

use super::language::Unit;
use super::locale::Locale;
use super::numbers::{Number, behind_hyphen, number};
use super::tokens::{Reading, Sentence, TokenKind, has_capital};
use super::units;

/// Sides at most.
const SIDES_MAX: usize = 4;

/// A side, and its unit if it has one.
struct Side {
    number: Number,
    unit: Option<&'static Unit>,
}

/// Reads dimensions, or a number of times, that begin at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let (first, mut end) = side(sentence, at, locale)?;
    let mut sides = vec![first];
    let mut is_glued = true;
    while sides.len() < SIDES_MAX {
        let Some(behind) = by(sentence, end) else { break };
        let Some((next, next_end)) = side(sentence, behind, locale) else { break };
        is_glued &= sentence.is_glued(end);
        sides.push(next);
        end = next_end;
    }
    if sides.len() == 1 {
        return times(sentence, at, locale);
    }
    if let Some(reading) = score(sentence, at, &sides, end, locale) {
        return Some(reading);
    }
    let last_unit = sides.last().and_then(|side| side.unit);
    // Without a unit, and with blanks, numbers are multiplied.
    let sure = last_unit.is_some() || is_glued && sentence.text(end) != "=";
    if !sure || !sentence.ends_word(end) || by(sentence, end).is_some() {
        return None;
    }
    let said: Vec<String> = sides.iter().map(|side| say(side, locale)).collect();
    Reading::new(end, said.join(&format!(" {} ", locale.language.sizes.by)))
}

fn say(side: &Side, locale: Locale) -> String {
    match side.unit {
        Some(unit) => format!("{} {}", side.number.say(locale), units::name(unit, &side.number, locale)),
        None => side.number.say(locale),
    }
}

/// "3 x 0", "2x1": scores of Portuguese, where a match, a word of winning or "no total" is near.
fn score(sentence: &Sentence<'_>, at: usize, sides: &[Side], end: usize, locale: Locale) -> Option<Reading> {
    let [first, second] = sides else { return None };
    let goals = |side: &Side| side.unit.is_none() && side.number.fraction.is_empty() && side.number.whole.len() <= 2;
    if !locale.is_portuguese() || !goals(first) || !goals(second) || !sentence.ends_word(end) {
        return None;
    }
    let words = sentence.words_before(at, 8);
    let tells = words.iter().any(|word| locale.language.calendar.score_words.contains(&word.as_str()));
    let team = |at: usize| sentence.word(at).is_some_and(|word| has_capital(word) && word.chars().count() >= 3);
    let match_of = at >= 1 && team(at - 1) && team(end);
    let total = matches!(sentence.text(end), "no" | "na" | "nos")
        && matches!(
            sentence.text(end + 1),
            "total" | "agregado" | "placar" | "pênaltis" | "prorrogação" | "jogo" | "final"
        );
    let score = locale.language.signs.score;
    (tells || match_of || total)
        .then(|| Reading { end, spoken: format!("{} {score} {}", first.number.say(locale), second.number.say(locale)) })
}

/// Inches and feet of English beside "x": `12 x 9 x 4 in.`, `10" x 12"`, `6' x 3'`.
fn english_unit(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(&'static Unit, usize)> {
    let named = |name: &str| locale.language.units.iter().find(|unit| locale.is_english() && unit.one == name);
    if sentence.glued_sign(at, &["\"", "″", "”"]) {
        return named("inch").map(|unit| (unit, at + 1));
    }
    if sentence.glued_sign(at, &["'", "′", "’"]) {
        return named("foot").map(|unit| (unit, at + 1));
    }
    let wordless = |next: usize| {
        sentence
            .word(next)
            .is_none_or(|word| matches!(word, "wide" | "tall" | "deep" | "long" | "high" | "thick" | "x"))
    };
    (sentence.text(at) == "in" && wordless(at + 1) && sentence.digits(at + 1).is_none())
        .then(|| named("inch").map(|unit| (unit, at + 1)))
        .flatten()
}

fn side(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(Side, usize)> {
    let number = number(sentence, at, locale)?;
    let unit = units::unit(sentence, number.end, locale)
        .filter(|(_, end)| sentence.ends_word(*end))
        .or_else(|| english_unit(sentence, number.end, locale));
    let end = unit.map_or(number.end, |(_, end)| end);
    Some((Side { number, unit: unit.map(|(unit, _)| unit) }, end))
}

/// Behind the sign between two sides, which has blanks on both of its sides or on none.
fn by(sentence: &Sentence<'_>, at: usize) -> Option<usize> {
    let sign = sentence.get(at).filter(|token| matches!(token.text, "x" | "X" | "×"))?;
    let next = sentence.get(at + 1).filter(|next| next.kind == TokenKind::Number)?;
    (sign.is_spaced == next.is_spaced).then_some(at + 1)
}

/// "2x per day"; "Model 3x" is a name.
fn times(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let number = number(sentence, at, locale)?;
    let end = number.end + 1;
    let named = sentence
        .before(at)
        .is_some_and(|before| before.kind == TokenKind::Word && before.text.contains(char::is_uppercase))
        && (!sentence.is_sentence_start(at - 1) || sentence.text(at - 1).chars().skip(1).any(char::is_uppercase));
    let fits = sentence.glued_sign(number.end, &["x", "×"])
        && sentence.ends_word(end)
        && !sentence.glued_sign(end, &["-", "/"])
        && (sentence.digits(end).is_none() || !sentence.is_glued(end))
        && !named;
    let name = if number.is_one() { locale.language.sizes.once } else { locale.language.sizes.repeated };
    fits.then(|| Reading { end, spoken: format!("{} {name}", number.say(locale)) })
}
