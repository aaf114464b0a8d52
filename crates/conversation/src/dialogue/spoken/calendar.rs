//! Days that the calendar tells: "last Monday", "the end of the month", "the fifth of next month", "the twenty second".

use super::date_words::{DateWords, day_number, ordinal};
use super::digits::fillers;
use super::numbers::NumberWords;
pub(super) use super::weeks::beside;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

/// Names of months and days, and number words.
type Known<'a> = (&'a DateWords, &'a NumberWords);

const MONTHS: &[&str] = &["month", "maand", "monat", "monats", "mois", "mes", "mese"];
const YEARS: &[&str] =
    &["year", "jaar", "jahr", "jahres", "annee", "l'an", "l'annee", "ano", "anno", "dell'anno", "quest'anno"];
/// Before a month or a year.
const ENDS: &[&str] = &["end", "eind", "einde", "ende", "fin", "final", "fine", "fim"];
const LASTS: &[&str] = &["last", "laatste", "letzter", "letzte", "letzten", "dernier", "ultimo"];
const DAYS: &[&str] = &["day", "dag", "tag", "jour", "dia", "giorno"];
/// Before the number of a day.
const ARTICLES: &[&str] =
    &["the", "de", "der", "den", "dem", "am", "zum", "le", "el", "dia", "il", "giorno", "o", "no", "ao"];
/// Behind the day of a month.
const BEHIND_A_DAY: &[&str] = &["of", "at", "um", "om", "a", "alle", "as", "van", "des", "in", "if", "then"];
/// Of courtesy, around the number of a day.
const AROUND: &[&str] = &[
    "how",
    "what",
    "about",
    "on",
    "for",
    "by",
    "please",
    "op",
    "voor",
    "alstublieft",
    "bitte",
    "am",
    "pour",
    "para",
    "por",
    "favor",
    "per",
    "favore",
    "em",
    "den",
    "dem",
    "zum",
    "dia",
    "giorno",
    "ao",
    "no",
    "bis",
    "until",
    "tot",
];

fn is(word: Option<&String>, list: &[&str]) -> bool {
    word.is_some_and(|word| list.contains(&word.as_str()))
}

/// The day of the week that is meant: the next one, unless the words beside it say another.
pub(super) fn near_weekday(words: &[String], at: usize, weekday: Weekday, today: Date) -> Option<Date> {
    match beside(words, at) {
        Some(-1) => today.nth_weekday(-1, weekday).ok(),
        Some(0) if today.weekday() == weekday => Some(today),
        _ => today.nth_weekday(1, weekday).ok(),
    }
}

/// "Tuesday the 22nd", "mardi 22": the next one that is such a day.
pub(super) fn weekday_and_day(
    words: &[String], at: usize, weekday: Weekday, known: Known<'_>, today: Date,
) -> Option<Date> {
    let behind = words.get(at + 1..)?;
    let skipped = behind.iter().take_while(|word| is(Some(word), ARTICLES) || *word == "feira").count();
    let (day, used) = day_number(behind.get(skipped..)?, known)?;
    let rest = behind.get(skipped + used..)?;
    // "Monday first thing", "mardi 14 heures" are no days of a month.
    let number = behind.get(skipped..skipped + used)?;
    let has_figures = number.iter().any(|word| word.contains(|c: char| c.is_ascii_digit()));
    let is_ordinal = number.last().is_some_and(|last| ordinal(last, known).is_some());
    let is_english = known.0.weekdays.contains(&"monday");
    let is_day = skipped > 0 || if is_english { is_ordinal && has_figures } else { true };
    if !is_day || rest.first().is_some_and(|next| !is(Some(next), AROUND) && !is(Some(next), BEHIND_A_DAY)) {
        return None;
    }
    let day = i8::try_from(day).ok()?;
    let fits = |date: &Date| date.weekday() == weekday;
    if beside(words, at) == Some(-1) { days_before(day, today).find(fits) } else { days(day, today).find(fits) }
}

/// The days of this number before today, the last first.
fn days_before(day: i8, today: Date) -> impl Iterator<Item = Date> {
    let months = (0..12_i32).filter_map(move |months| today.first_of_month().checked_sub(months.months()).ok());
    months.filter_map(move |month| Date::new(month.year(), month.month(), day).ok()).filter(move |date| *date < today)
}

/// The days of this number from today on.
fn days(day: i8, today: Date) -> impl Iterator<Item = Date> {
    let months = (0..12_i32).filter_map(move |months| today.first_of_month().checked_add(months.months()).ok());
    months.filter_map(move |month| Date::new(month.year(), month.month(), day).ok()).filter(move |date| *date >= today)
}

/// Whether words end with those for the end of what follows: "at the end of the".
pub(super) fn ends_with_end(words: &[String]) -> bool {
    // "the end of this", "fin du", "am letzten Tag des"
    let last = words.iter().rposition(|word| is(Some(word), ENDS) || is(Some(word), DAYS));
    last.is_some_and(|at| {
        let is_close = words.len() - at <= 4;
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        is_close && (is(words.get(at), ENDS) || is(before, LASTS))
    })
}

/// How many years later than this one the words say: "last year"; `None` if they say nothing of it.
pub(super) fn year_beside(words: &[String]) -> Option<i16> {
    let at = words.iter().position(|word| YEARS.contains(&word.as_str()))?;
    beside(words, at).and_then(|years| i16::try_from(years).ok())
}

/// A day of a month or a year that is told by where it stands: "the end of the month", "the fifth of next month".
pub(super) fn day_of_unit(words: &[String], known: Known<'_>, today: Date) -> Option<Date> {
    if is(words.last(), &["monatsende", "maandeinde"]) {
        return Some(today.last_of_month());
    }
    if is(words.last(), &["jahresende"]) {
        return Some(today.last_of_year());
    }
    let at = words.iter().rposition(|word| is(Some(word), MONTHS) || is(Some(word), YEARS))?;
    let (before, way) = (words.get(..at)?, beside(words, at));
    let is_end = ends_with_end(before);
    if is(words.get(at), YEARS) {
        let year = today.checked_add(way.unwrap_or(0).years()).ok()?;
        return is_end.then(|| year.last_of_year());
    }
    let month = today.first_of_month().checked_add(way.unwrap_or(0).months()).ok()?;
    if is_end {
        return Some(month.last_of_month());
    }
    // "Over een maand", "dans un mois" count months.
    let numbers = (before.len().saturating_sub(5)..before.len())
        .filter_map(|start| day_number(before.get(start..)?, known).map(|(day, used)| (day, start + used, used)));
    let (day, ..) =
        numbers.filter(|(_, end, _)| way.is_some() || *end < before.len()).max_by_key(|(.., used)| *used)?;
    let day = i8::try_from(day).ok()?;
    match way {
        Some(_) => Date::new(month.year(), month.month(), day).ok(),
        None => days(day, today).next(),
    }
}

/// "The twenty second", "am 22.", "le vingt-deux", and nothing else.
pub(super) fn day_alone(words: &[String], language: &str, known: Known<'_>, today: Date) -> Option<Date> {
    let is_around = |word: &&String| fillers(language).contains(&word.as_str()) || is(Some(word), AROUND);
    let lead = words.iter().take_while(is_around).count();
    let end = words.len() - words.iter().skip(lead).rev().take_while(is_around).count();
    let said = words.get(lead..end)?;
    let (day, _) = day_number(said, known).filter(|(_, used)| *used == said.len())?;
    let has_article = lead.checked_sub(1).is_some_and(|before| is(words.get(before), ARTICLES));
    let last = said.last()?;
    // "A second" is no day.
    let is_ordinal = ordinal(last, known).is_some() && (said.len() > 1 || *last != "second");
    (has_article || is_ordinal).then(|| days(i8::try_from(day).ok()?, today).next()).flatten()
}
