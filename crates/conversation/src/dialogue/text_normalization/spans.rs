//! Spans whose ends are named: "Jan. 1–Mar. 31", "1 jan.–31 mrt.", and the hours of a day: "Sat 10–2", "Sa 10–14 Uhr".

use super::dates::{capitalized, follows_day, is_word, listed, named};
use super::locale::Locale;
use super::tokens::{Reading, Sentence, has_capital};

/// Reads the first end of a span, or a day before its hours, that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) {
        return None;
    }
    if sentence.word(at).is_none() {
        return until_month(sentence, at, locale);
    }
    day_of_hours(sentence, at, locale).or_else(|| until_day(sentence, at, locale))
}

/// "1 jan.–31 mrt.", "3 de ene. - 5 de feb.": a month behind its day, and a dash before another day.
fn until_day(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    let (month, end, _) =
        named(sentence, at, &calendar.months, calendar.short_months).filter(|_| follows_day(sentence, at, locale))?;
    let behind = sentence.dash(end)?;
    sentence.digits(behind).filter(|day| day.len() <= 2)?;
    let joint = matches!(sentence.text(behind + 1), "." | "de" | "di");
    let next = if joint { behind + 2 } else { behind + 1 };
    named(sentence, next, &calendar.months, calendar.short_months)?;
    let signs = &locale.language.signs;
    let words = sentence.words_before(at, 4);
    let bound = signs.bounds.iter().find(|(from, _)| words.iter().any(|word| word == from));
    Reading::new(behind, format!("{month} {}", bound.map_or(signs.to, |(_, to)| to)))
}

/// "Jan. 1–Mar. 31": a day or year behind its month, and a dash before another month.
fn until_month(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    let day = sentence.digits(at).filter(|day| day.len() <= 2 || day.len() == 4)?;
    let is_month = |at: usize| named(sentence, at, &calendar.months, calendar.short_months).is_some();
    if !(1..=4).any(|back| at.checked_sub(back).is_some_and(is_month)) {
        return None;
    }
    let behind = sentence.dash(at + 1)?;
    let (month, end, _) = named(sentence, behind, &calendar.months, calendar.short_months)?;
    sentence.digits(end).filter(|day| day.len() <= 2 || day.len() == 4)?;
    Reading::new(end, format!("{day} {} {month}", locale.language.signs.to))
}

/// Tokens beside a day in which another one makes it certain.
const DAYS_TOKENS: usize = 12;

/// "Sat 10–2", "Sa 10–14 Uhr", "za 10.00-16.00 uur": the short form of a day before its hours, without a dot.
fn day_of_hours(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    let (day, end, _) = named(sentence, at, &calendar.days, calendar.short_days)
        .filter(|(_, end, short)| *short && sentence.text(end - 1) != ".")?;
    let is_free = sentence.get(at)?.is_spaced || sentence.before(at).is_some_and(|before| before.text == "(");
    sentence.digits(end).filter(|hour| hour.len() <= 2 && is_free && !sentence.is_glued(end))?;
    let capital = has_capital(day) == has_capital(sentence.text(at)) || sentence.is_sentence_start(at);
    let hours = Hours::of(sentence, end, locale);
    let is_day = |at: usize| named(sentence, at, &calendar.days, calendar.short_days);
    let listed_before = (at.saturating_sub(DAYS_TOKENS)..at).any(|back| {
        is_day(back).and_then(|(_, end, _)| sentence.dash(end)).is_some_and(|behind| is_day(behind).is_some())
    });
    let listed_behind = (end..end + DAYS_TOKENS).any(|at| is_day(at).is_some());
    let near = listed(sentence, at, locale) || listed_before || listed_behind;
    let is_name = !is_word(sentence, at, locale);
    let long = sentence.text(at).chars().count() >= 3;
    let sure = match hours {
        Hours::None => false,
        Hours::Range => locale.is_english() || is_name && (near || long),
        Hours::Times => is_name || near,
    };
    (capital && sure).then(|| Reading { end, spoken: capitalized(sentence, at, day) })
}

/// What stands behind a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hours {
    /// No times.
    None,
    /// Two numbers with a dash: "10–2".
    Range,
    /// A time that is one by its own form: "10:30", "10–14 Uhr", "9am".
    Times,
}

impl Hours {
    fn of(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Self {
        let colon = |at: usize| {
            sentence.glued_sign(at, &[":"]) && sentence.digits(at + 1).is_some_and(|minutes| minutes.len() == 2)
        };
        let words = locale.language.calendar.hour_words;
        let hour = |at: usize| {
            let half = locale.is_english() && matches!(sentence.text(at), "am" | "pm" | "AM" | "PM");
            half || words.contains(&sentence.text(at)) || sentence.text(at) == "h" && !locale.is_english()
        };
        let minutes = sentence.glued_sign(at + 1, &[".", ":"]) && sentence.is_glued(at + 2);
        let first = if minutes { at + 3 } else { at + 1 };
        if colon(at + 1) || hour(first) {
            return Self::Times;
        }
        let Some(second) = sentence.dash(first).filter(|second| sentence.digits(*second).is_some()) else {
            return Self::None;
        };
        let minutes = sentence.glued_sign(second + 1, &[".", ":"]) && sentence.is_glued(second + 2);
        match colon(second + 1) || hour(if minutes { second + 3 } else { second + 1 }) {
            true => Self::Times,
            false => Self::Range,
        }
    }
}
