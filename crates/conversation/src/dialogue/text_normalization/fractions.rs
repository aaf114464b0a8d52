//! Fractions: "1/2", "3/4 of it", "2 1/2 hours", "½", "2¾". Dates, "24/7" and ratings such as "9/10" are none.

use super::language::{Currency, FractionStyle, Fractions};
use super::locale::Locale;
use super::money;
use super::numbers::behind_hyphen;
use super::tokens::{Reading, Sentence, TokenKind, has_capital};
use super::units;

/// A fraction as it is written, with the whole number before it.
#[derive(Clone, Copy, Debug)]
struct Fraction<'a> {
    whole: Option<&'a str>,
    above: usize,
    below: usize,
    end: usize,
}

/// What is divided: its name, and where it ends.
struct Measured {
    name: String,
    end: usize,
    /// It was written as a unit, or is the name of one.
    is_unit: bool,
}

/// Signs of Unicode.
const SIGNS: &[(&str, usize, usize)] = &[
    ("½", 1, 2),
    ("⅓", 1, 3),
    ("⅔", 2, 3),
    ("¼", 1, 4),
    ("¾", 3, 4),
    ("⅕", 1, 5),
    ("⅖", 2, 5),
    ("⅗", 3, 5),
    ("⅘", 4, 5),
    ("⅙", 1, 6),
    ("⅚", 5, 6),
    ("⅛", 1, 8),
    ("⅜", 3, 8),
    ("⅝", 5, 8),
    ("⅞", 7, 8),
];

/// Reads a fraction that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    if let Some((currency, behind)) = money::sign(sentence, at, locale) {
        return of_currency(sentence, behind, currency, locale);
    }
    let fraction = written(sentence, at)?;
    let measured = measured(sentence, fraction.end, locale);
    if !is_sure(sentence, at, &fraction, measured.as_ref(), locale) {
        return None;
    }
    Some(say(sentence, at, fraction, measured, locale))
}

/// An amount such as "$1/2", behind its sign: what is said for it, and its end.
fn of_currency(sentence: &Sentence<'_>, at: usize, currency: &Currency, locale: Locale) -> Option<Reading> {
    let fraction = written(sentence, at).filter(|found| found.below <= 4)?;
    let name = if fraction.whole.is_some() { currency.many } else { currency.one };
    let measured = Measured { name: name.to_owned(), end: fraction.end, is_unit: true };
    Some(say(sentence, at, fraction, Some(measured), locale))
}

/// The fraction at a token: "3/4", "¾", "2 3/4", "2¾".
fn written<'a>(sentence: &Sentence<'a>, at: usize) -> Option<Fraction<'a>> {
    if let Some((above, below, end)) = parts(sentence, at) {
        return Some(Fraction { whole: None, above, below, end });
    }
    let whole = sentence.digits(at).filter(|whole| whole.len() <= 3 && !whole.starts_with('0'))?;
    let (above, below, end) = parts(sentence, at + 1)?;
    let parted = sentence.get(at + 1).is_some_and(|token| token.is_spaced || token.kind == TokenKind::Sign);
    parted.then_some(Fraction { whole: Some(whole), above, below, end })
}

fn parts(sentence: &Sentence<'_>, at: usize) -> Option<(usize, usize, usize)> {
    let token = sentence.get(at)?;
    if let Some((_, above, below)) = SIGNS.iter().find(|(sign, _, _)| *sign == token.text) {
        return sentence.ends_word(at + 1).then_some((*above, *below, at + 1));
    }
    let (above, below) = (sentence.digits(at)?, sentence.digits(at + 2)?);
    let glued = sentence.glued_sign(at + 1, &["/", "⁄"]) && sentence.is_glued(at + 2);
    let goes_on = sentence.glued_sign(at + 3, &["/", ".", ",", ":", "-", "–", "%"])
        && sentence.is_glued(at + 4)
        && sentence.digits(at + 4).is_some();
    if !glued || goes_on || !sentence.ends_word(at + 3) || above.len() > 1 || below.len() > 2 {
        return None;
    }
    let (above, below): (usize, usize) = (above.parse().ok()?, below.parse().ok()?);
    let is_reduced = !(2..=above).any(|by| above.is_multiple_of(by) && below.is_multiple_of(by));
    (above >= 1 && above < below && below <= 10 && is_reduced).then_some((above, below, at + 3))
}

/// The unit or noun behind a fraction.
fn measured(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Measured> {
    let spaced = sentence.get(at)?.is_spaced;
    if let Some((unit, end)) = units::unit(sentence, at, locale).filter(|(_, end)| sentence.ends_word(*end)) {
        return Some(Measured { name: unit.one.to_owned(), end, is_unit: true });
    }
    let signed = money::sign(sentence, at, locale);
    if let Some((currency, end)) = signed.filter(|(_, end)| sentence.ends_word(*end) && sentence.digits(*end).is_none())
    {
        return Some(Measured { name: currency.one.to_owned(), end, is_unit: true });
    }
    let word = sentence.word(at).filter(|word| spaced && word.chars().count() >= 3)?;
    let is_unit = locale.language.units.iter().any(|unit| unit.one == word || unit.many == word)
        || money::names_currency(sentence, at, locale);
    Some(Measured { name: word.to_owned(), end: at + 1, is_unit })
}

/// Whether it is no date, page or rating.
fn is_sure(
    sentence: &Sentence<'_>, at: usize, fraction: &Fraction<'_>, measured: Option<&Measured>, locale: Locale,
) -> bool {
    let is_sign = fraction.end == at + 1 || fraction.whole.is_some() && fraction.end == at + 2;
    if is_sign || fraction.whole.is_some() && fraction.below <= 8 {
        return true;
    }
    let fractions = &locale.language.fractions;
    let of = sentence.word(fraction.end).is_some_and(|word| fractions.of.contains(&word));
    if of || measured.is_some_and(|measured| measured.is_unit) {
        return true;
    }
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    let adjacent = sentence.before(at).filter(|token| token.kind == TokenKind::Word);
    let named =
        adjacent.is_some_and(|word| has_capital(word.text)) && !sentence.is_sentence_start(at.saturating_sub(1));
    // "S. 1/2" is a page.
    let behind_short = sentence.before(at).is_some_and(|token| token.text == ".")
        && at.checked_sub(2).and_then(|two| sentence.word(two)).is_some_and(|word| word.chars().count() <= 4);
    let is_date = locale.language.calendar.before_dates.contains(&before);
    let is_numbered = fractions.numbered.contains(&before) || named && !locale.is_german();
    matches!(fraction.below, 2..=4 | 8) && !is_date && !is_numbered && !behind_short
}

fn say(
    sentence: &Sentence<'_>, at: usize, fraction: Fraction<'_>, measured: Option<Measured>, locale: Locale,
) -> Reading {
    let fractions = &locale.language.fractions;
    if let Some(whole) = fraction.whole {
        let unit = unit_to_say(sentence, &fraction, whole, measured.as_ref(), locale);
        let said = mixed(whole, fraction, measured, locale);
        return match unit.filter(|_| said.end == fraction.end) {
            Some((name, end)) => Reading { end, spoken: format!("{} {name}", said.spoken) },
            None => said,
        };
    }
    if (fraction.above, fraction.below) == (1, 2) {
        return half(sentence, at, fraction.end, measured, locale);
    }
    let name = fractions.names.get(fraction.below - 3);
    let (one, many) = name.copied().unwrap_or(("", ""));
    let said = match fraction.above {
        1 if has_article(sentence, at, fractions) => one.to_owned(),
        1 => format!("{} {one}", fractions.one),
        above => format!("{above} {many}"),
    };
    let unit = measured.filter(|measured| is_known(measured, fractions));
    let Some(unit) = unit else { return Reading { end: fraction.end, spoken: said } };
    let was_named = sentence.word(fraction.end).is_some_and(|word| word == unit.name);
    let joint = match fractions.style {
        // "a 3/4 cup measure", "a quarter mile", "3/4 miles".
        FractionStyle::English
            if was_named
                && (has_article(sentence, at, fractions)
                    || (fraction.above, fraction.below) == (1, 4)
                    || unit.name.ends_with('s') && unit.name != "glass") =>
        {
            String::new()
        }
        FractionStyle::English => format!("of {} ", article(&unit.name)),
        FractionStyle::Romance { elided, .. } if unit.name.starts_with(['a', 'e', 'h', 'o']) => elided.to_owned(),
        FractionStyle::Romance { of, .. } => of.to_owned(),
        FractionStyle::Dutch | FractionStyle::German => String::new(),
    };
    Reading { end: unit.end, spoken: format!("{said} {joint}{}", unit.name) }
}

/// The name of a unit that was written short: "2 1/2 lbs".
fn unit_to_say(
    sentence: &Sentence<'_>, fraction: &Fraction<'_>, whole: &str, measured: Option<&Measured>, locale: Locale,
) -> Option<(String, usize)> {
    let unit = measured.filter(|measured| measured.is_unit)?;
    // French has the singular below two.
    let name = plural(&unit.name, if locale.is_french() { whole } else { "2" }, locale);
    let is_written = sentence.word(fraction.end).is_some_and(|word| word == unit.name || word == name);
    (!is_written).then_some((name, unit.end))
}

fn article(noun: &str) -> &'static str {
    match noun.starts_with(['a', 'e', 'i', 'o', 'u']) || noun == "hour" {
        true => "an",
        false => "a",
    }
}

/// "2 1/2 hours", "2,5 uur", "2 heures et demie".
fn mixed(whole: &str, fraction: Fraction<'_>, measured: Option<Measured>, locale: Locale) -> Reading {
    let fractions = &locale.language.fractions;
    let (above, below, end) = (fraction.above, fraction.below, fraction.end);
    let name = |index: usize| fractions.names.get(index).copied().unwrap_or(("", ""));
    let is_half = (above, below) == (1, 2);
    match fractions.style {
        FractionStyle::English => {
            let part = match above {
                1 if is_half => "a half".to_owned(),
                1 => format!("{} {}", article(name(below - 3).0), name(below - 3).0),
                _ => format!("{above} {}", name(below - 3).1),
            };
            Reading { end, spoken: format!("{whole} and {part}") }
        }
        FractionStyle::Romance { and, demi, .. } if is_half => {
            match measured.filter(|noun| is_known(noun, fractions)) {
                Some(noun) => {
                    let feminine = is_feminine(&noun.name, fractions);
                    let half = if feminine { demi.1 } else { demi.0 };
                    let name = plural(&noun.name, whole, locale);
                    Reading { end: noun.end, spoken: format!("{whole} {name} {and} {half}") }
                }
                None => Reading { end, spoken: format!("{whole} {and} {}", demi.0) },
            }
        }
        FractionStyle::German if is_half && whole == "1" => Reading { end, spoken: "eineinhalb".to_owned() },
        FractionStyle::German | FractionStyle::Dutch | FractionStyle::Romance { .. } => {
            let thousandths = above * 1000 / below;
            let spoken = match (1000 * above).is_multiple_of(below) {
                true => {
                    let digits = format!("{thousandths:03}");
                    format!("{whole}{}{}", locale.decimal, digits.trim_end_matches('0'))
                }
                false if above == 1 => {
                    format!("{whole} {} {} {}", locale.language.signs.and, fractions.one, name(below - 3).0)
                }
                false => format!("{whole} {} {above} {}", locale.language.signs.and, name(below - 3).1),
            };
            Reading { end, spoken }
        }
    }
}

/// The name of a unit as the number before it asks for.
fn plural(name: &str, whole: &str, locale: Locale) -> String {
    let unit = locale.language.units.iter().find(|unit| unit.one == name);
    match unit {
        Some(unit) if whole != "1" => unit.many.to_owned(),
        _ => name.to_owned(),
    }
}

fn is_feminine(noun: &str, fractions: &Fractions) -> bool {
    let lower = noun.to_lowercase();
    let stem = lower.trim_end_matches('s');
    fractions.feminine.iter().any(|word| *word == lower || *word == stem)
}

/// Whether the word before makes an article superfluous.
fn has_article(sentence: &Sentence<'_>, at: usize, fractions: &Fractions) -> bool {
    let is_next = |token: &super::tokens::Token<'_>| token.kind == TokenKind::Word || matches!(token.text, "'" | "’");
    let before = sentence.words_before(at, 1);
    let word = before.first().is_some_and(|word| fractions.articles.contains(&word.as_str()));
    word && sentence.before(at).is_some_and(is_next)
}

/// Whether a word is the name of a measure.
fn is_known(noun: &Measured, fractions: &Fractions) -> bool {
    noun.is_unit || is_feminine(&noun.name, fractions)
}

fn half(sentence: &Sentence<'_>, at: usize, end: usize, measured: Option<Measured>, locale: Locale) -> Reading {
    let fractions = &locale.language.fractions;
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    let has_article = has_article(sentence, at, fractions);
    let next = sentence.word(end).unwrap_or("");
    let is_whole = fractions.of.contains(&next);
    match fractions.style {
        FractionStyle::English => english_half(has_article, end, next, measured),
        FractionStyle::Dutch => {
            let one = if has_article { "" } else { "een " };
            let neuter = measured
                .as_ref()
                .is_none_or(|noun| fractions.feminine.contains(&noun.name.as_str()) || noun.name.ends_with("je"));
            let half = if neuter || is_whole { "half" } else { "halve" };
            with_noun(end, format!("{one}{half}"), " ", measured.filter(|noun| noun.is_unit))
        }
        FractionStyle::German => {
            let half = german_half(
                if has_article { before } else { "" },
                measured.as_ref().map_or("", |noun| noun.name.as_str()),
                fractions,
            );
            let one = if has_article { "" } else { half.0 };
            with_noun(end, format!("{one}{}", half.1), " ", measured.filter(|noun| noun.is_unit))
        }
        FractionStyle::Romance { half_of, .. } if is_whole => {
            let said = if has_article { half_of.rsplit(' ').next().unwrap_or(half_of) } else { half_of };
            Reading { end, spoken: said.to_owned() }
        }
        FractionStyle::Romance { half, glue, .. } => {
            let feminine = measured.as_ref().is_some_and(|noun| {
                let ends = glue == " " && noun.name.ends_with('a') && noun.name != "día" && noun.name != "dia";
                ends || is_feminine(&noun.name, fractions)
            });
            let said = if feminine { half.1 } else { half.0 };
            let said = if has_article { said.rsplit(' ').next().unwrap_or(said) } else { said };
            with_noun(end, said.to_owned(), glue, measured.filter(|noun| is_known(noun, fractions)))
        }
    }
}

/// The half, and the unit that was written behind it.
fn with_noun(end: usize, half: String, glue: &str, unit: Option<Measured>) -> Reading {
    match unit {
        Some(unit) => Reading { end: unit.end, spoken: format!("{half}{glue}{}", unit.name) },
        None => Reading { end, spoken: half },
    }
}

/// "half price", "half of it", "half an hour", "one half cup".
fn english_half(has_article: bool, end: usize, next: &str, measured: Option<Measured>) -> Reading {
    let bare = has_article || matches!(next, "of" | "price" | "off" | "a" | "an" | "the" | "day" | "board" | "time");
    match measured.filter(|noun| noun.is_unit && noun.name != next && !has_article) {
        Some(unit) => {
            let spoken = format!("half {} {}", article(&unit.name), unit.name);
            Reading { end: unit.end, spoken }
        }
        None => Reading { end, spoken: if bare { "half" } else { "one half" }.to_owned() },
    }
}

/// The article and the half before a noun: "ein halber Liter", "eine halbe Stunde", "einen halben Liter".
fn german_half(before: &str, noun: &str, fractions: &Fractions) -> (&'static str, &'static str) {
    let feminine = fractions.feminine.contains(&noun);
    let masculine = MASCULINE.contains(&noun);
    match before {
        "eine" => ("", "halbe"),
        "einen" | "einer" | "einem" | "eines" | "der" | "den" | "dem" => ("", "halben"),
        "die" | "das" => ("", "halbe"),
        _ if feminine => ("eine ", "halbe"),
        _ if masculine => ("ein ", "halber"),
        _ if noun.is_empty() || !has_capital(noun) => ("ein ", "halb"),
        _ => ("ein ", "halbes"),
    }
}

/// German nouns that are measured.
const MASCULINE: &[&str] = &[
    "Liter",
    "Milliliter",
    "Deziliter",
    "Meter",
    "Kilometer",
    "Zentimeter",
    "Quadratmeter",
    "Hektar",
    "Tag",
    "Monat",
    "Becher",
    "Teelöffel",
    "Esslöffel",
    "Löffel",
    "Euro",
    "Dollar",
    "Franken",
    "Preis",
    "Karton",
    "Werktag",
];
