//! Dates: `2026-03-12`, `12.03.2026`, `12/03/2026`, `21.12.`, "Jan. 5", "3.-5. Juni", "March–May", "Mon-Fri".

use super::full_stops::{self, is_german_start};
use super::language::DateStyle;
use super::locale::{Locale, SlashOrder};
use super::numbers::behind_hyphen;
use super::ranges;
use super::tokens::{Reading, Sentence, has_capital};
use super::years;

/// Reads a date that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) {
        return None;
    }
    if sentence.word(at).is_some() {
        return names_range(sentence, at, locale).or_else(|| short_name(sentence, at, locale));
    }
    if behind_hyphen(sentence, at) {
        return None;
    }
    iso(sentence, at, locale)
        .or_else(|| three_parts(sentence, at, locale))
        .or_else(|| dotted(sentence, at, locale))
        .or_else(|| two_parts(sentence, at, locale))
        .or_else(|| first_of_month(sentence, at, locale))
}

/// Day, month and year in the order of the language; `None` if there is no such day.
fn say(day: u32, month: usize, year: &str, locale: Locale) -> Option<String> {
    let month = locale.language.calendar.months.get(month.checked_sub(1)?)?;
    let is_february = std::ptr::eq(month, &locale.language.calendar.months[1]);
    if !(1..=if is_february { 29 } else { 31 }).contains(&day) {
        return None;
    }
    let day_name = match locale.language.calendar.first {
        Some(first) if day == 1 => first.to_owned(),
        _ => day.to_string(),
    };
    let has_year = !year.is_empty();
    Some(match locale.style {
        DateStyle::MonthFirst if has_year => format!("{month} {day}, {year}"),
        DateStyle::MonthFirst => format!("{month} {day}"),
        DateStyle::DayFirst if has_year => format!("{day_name} {month} {year}"),
        DateStyle::DayFirst => format!("{day_name} {month}"),
        DateStyle::DayDotMonthYear if has_year => format!("{day}. {month} {year}"),
        DateStyle::DayDotMonthYear => format!("{day}. {month}"),
        DateStyle::DayWithOf if has_year => format!("{day} de {month} de {year}"),
        DateStyle::DayWithOf => format!("{day} de {month}"),
    })
}

fn iso(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let day = iso_day(sentence, at, locale).filter(|_| !goes_on(sentence, at + 5))?;
    Reading::new(at + 5, day)
}

/// What is said for the five tokens of "2026-03-12", whatever follows them.
pub(super) fn iso_day(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<String> {
    let (year, month, day) = parts(sentence, at, &["-", "‑"])?;
    if (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    say(day.parse().ok()?, month.parse().ok()?, year, locale)
}

/// Three numbers with the same sign between them.
fn parts<'a>(sentence: &Sentence<'a>, at: usize, signs: &[&str]) -> Option<(&'a str, &'a str, &'a str)> {
    let parts = (sentence.digits(at)?, sentence.digits(at + 2)?, sentence.digits(at + 4)?);
    let glued = (at + 1..at + 5).all(|one| sentence.is_glued(one));
    let sign = sentence.text(at + 1);
    (glued && signs.contains(&sign) && sentence.text(at + 3) == sign).then_some(parts)
}

fn goes_on(sentence: &Sentence<'_>, end: usize) -> bool {
    !sentence.ends_word(end)
        || sentence.glued_sign(end, &["-", "/", "."])
            && sentence.is_glued(end + 1)
            && sentence.digits(end + 1).is_some()
}

fn three_parts(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (first, second, year, end) = written(sentence, at)?;
    let sign = sentence.text(at + 1);
    let short_year = year.len() == 2
        && match sign {
            "/" => true,
            "." if locale.style == DateStyle::DayDotMonthYear => true,
            "-" if locale.is_dutch() && years::is_wanted(sentence, at, locale) => true,
            // "31-12-'26".
            _ => end > at + 5,
        };
    if first.len() > 2 || second.len() > 2 || !(year.len() == 4 || short_year) || goes_on(sentence, end) {
        return None;
    }
    let year = if short_year { years::in_full(sentence, at, year, locale)? } else { year.to_owned() };
    let (first, second): (usize, usize) = (first.parse().ok()?, second.parse().ok()?);
    let (day, month) = order(first, second, if sign == "." { SlashOrder::DayFirst } else { locale.slash })?;
    Reading::new(end, say(day as u32, month, &year, locale)?)
}

/// Three numbers, the last one perhaps behind an apostrophe, and their end.
fn written<'a>(sentence: &Sentence<'a>, at: usize) -> Option<(&'a str, &'a str, &'a str, usize)> {
    if let Some((first, second, year)) = parts(sentence, at, &["/", "-", "."]) {
        return Some((first, second, year, at + 5));
    }
    let (first, second, year) = (sentence.digits(at)?, sentence.digits(at + 2)?, sentence.digits(at + 5)?);
    let sign = sentence.text(at + 1);
    let glued = (at + 1..at + 6).all(|one| sentence.is_glued(one));
    let fits = matches!(sign, "/" | "-" | ".") && sentence.text(at + 3) == sign;
    (glued && fits && matches!(sentence.text(at + 4), "'" | "’") && year.len() == 2).then_some((
        first,
        second,
        year,
        at + 6,
    ))
}

/// Which of two numbers is the day.
fn order(first: usize, second: usize, slash: SlashOrder) -> Option<(usize, usize)> {
    let is_month = |number: usize| (1..=12).contains(&number);
    match slash {
        _ if !is_month(first) && !is_month(second) => None,
        _ if !is_month(first) => Some((first, second)),
        _ if !is_month(second) => Some((second, first)),
        _ if first == second => Some((first, second)),
        SlashOrder::DayFirst => Some((first, second)),
        SlashOrder::MonthFirst => Some((second, first)),
        SlashOrder::Unknown => None,
    }
}

/// "21.12." and "3.-5. Juni" of German.
fn dotted(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if locale.style != DateStyle::DayDotMonthYear || !sentence.glued_sign(at + 1, &["."]) {
        return None;
    }
    let day = sentence.digits(at).filter(|day| day.len() <= 2)?;
    if let Some(behind) = sentence.dash(at + 2)
        && let Some(last) = sentence.digits(behind).filter(|last| last.len() <= 2)
        && sentence.glued_sign(behind + 1, &["."])
    {
        let between = ranges::between(sentence, at, last, locale);
        let to = between.unwrap_or_else(|| format!("{} ", locale.language.signs.to));
        if let Some((second, end)) = day_and_month(sentence, behind, locale) {
            return Reading::new(end, format!("{day}. {to}{second}"));
        }
        let month = sentence.is_glued(behind + 2) && sentence.digits(behind + 2).is_some();
        return (!month).then(|| Reading { end: behind + 2, spoken: format!("{day}. {to}{last}.") });
    }
    let before = sentence.words_before(at, 1);
    if before.first().is_some_and(|word| NUMBERED.contains(&word.as_str())) {
        return None;
    }
    let (first, end) = day_and_month(sentence, at, locale)?;
    // "3.5.-5.5." has months of its own.
    if sentence.text(end - 1) == "."
        && let Some(behind) = sentence.dash(end)
        && let Some((second, end)) = day_and_month(sentence, behind, locale)
    {
        return Reading::new(end, format!("{first} {} {second}", locale.language.signs.to));
    }
    Reading::new(end, first)
}

/// Words of German before a number in parts that is no date.
const NUMBERED: &[&str] =
    &["version", "kapitel", "abschnitt", "punkt", "ziffer", "update", "release", "absatz", "nummer", "nr", "wert"];

/// "21.12." with both dots: what is said, and its end; the second dot may end the sentence as well.
fn day_and_month(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(String, usize)> {
    let day = sentence.digits(at).filter(|day| day.len() <= 2 && sentence.glued_sign(at + 1, &["."]))?;
    let month = sentence.digits(at + 2).filter(|month| month.len() <= 2 && sentence.is_glued(at + 2))?;
    if !sentence.glued_sign(at + 3, &["."]) || sentence.is_glued(at + 4) && sentence.digits(at + 4).is_some() {
        return None;
    }
    let spoken = say(day.parse().ok()?, month.parse().ok()?, "", locale)?;
    let ends = sentence.is_end(at + 4)
        || sentence.get(at + 4).is_some_and(|next| next.is_spaced && is_german_start(next.text));
    Some((spoken, if ends { at + 3 } else { at + 4 }))
}

/// "on 25/12": without the year only behind a word that wants a date.
fn two_parts(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (first, second) = (sentence.digits(at)?, sentence.digits(at + 2)?);
    let glued = sentence.glued_sign(at + 1, &["/"]) && sentence.is_glued(at + 2);
    if !glued || first.len() > 2 || second.len() > 2 || goes_on(sentence, at + 3) {
        return None;
    }
    let before = sentence.words_before(at, 1);
    let wanted = before.first().is_some_and(|word| locale.language.calendar.before_dates.contains(&word.as_str()));
    let (day, month) = wanted.then(|| order(first.parse().ok()?, second.parse().ok()?, locale.slash)).flatten()?;
    Reading::new(at + 3, say(day as u32, month, "", locale)?)
}

/// "1 mars" is "1er mars".
fn first_of_month(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let first = locale.language.calendar.first?;
    let month = sentence.word(at + 1)?.to_lowercase();
    let is_first = sentence.digits(at) == Some("1") && locale.language.calendar.months.contains(&month.as_str());
    is_first.then(|| Reading { end: at + 1, spoken: first.to_owned() })
}

/// The number of a month or day, and where its name ends; a short form may have a dot.
pub(super) fn named(
    sentence: &Sentence<'_>, at: usize, names: &[&'static str], short: &[(&str, usize)],
) -> Option<(&'static str, usize, bool)> {
    let word = sentence.word(at)?;
    let lower = word.to_lowercase();
    if let Some(name) = names.iter().find(|name| name.to_lowercase() == lower) {
        return Some((*name, at + 1, false));
    }
    let (_, index) = short.iter().find(|(short, _)| *short == lower)?;
    let dotted = sentence.glued_sign(at + 1, &["."]);
    Some((*names.get(*index)?, if dotted { at + 2 } else { at + 1 }, true))
}

/// "March–May", "Mon-Fri".
fn names_range(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    let months = (&calendar.months as &[&'static str], calendar.short_months);
    let days = (&calendar.days as &[&'static str], calendar.short_days);
    for (names, short) in [months, days] {
        let Some((first, end, _)) = named(sentence, at, names, short) else { continue };
        let Some(behind) = between(sentence, end) else { continue };
        let Some((second, end, _)) = named(sentence, behind.0, names, short) else { continue };
        let end = if sentence.text(end - 1) == "." && sentence.is_end(end) { end - 1 } else { end };
        let spoken = match behind.1 {
            Some(word) => format!("{} {word} {second}", capitalized(sentence, at, first)),
            None => ranges::say_range(sentence, at, first, second, locale),
        };
        return Reading::new(end, spoken);
    }
    None
}

/// A dash, or the Dutch "t/m".
fn between(sentence: &Sentence<'_>, at: usize) -> Option<(usize, Option<&'static str>)> {
    if let Some(behind) = sentence.dash(at) {
        return Some((behind, None));
    }
    let through = sentence.text(at) == "t" && sentence.text(at + 1) == "/" && sentence.text(at + 2) == "m";
    through.then_some((at + 3, Some("tot en met")))
}

/// Short forms that are words as well: before a small letter they need another day or month near them.
const WORDS: &[&str] =
    &["zo", "so", "mar", "set", "out", "mai", "ago", "mer", "ter", "sex", "seg", "dom", "mag", "gen", "sam"];
/// The same at the end of a text, where the dot is no sign.
const WORDS_AT_END: &[&str] = &["sun", "sat", "do", "di", "ma", "mo", "mi", "fr", "sa"];

/// "Jan. 5", "5 Jan. 2026", "ma. 4 mei", "Mon. and Tues.", "in Jan. or Feb.".
fn short_name(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    if !sentence.get(at)?.is_spaced && !sentence.before(at).is_some_and(|before| matches!(before.text, "(" | "/")) {
        return None;
    }
    let number_before = follows_day(sentence, at, locale);
    let month = named(sentence, at, &calendar.months, calendar.short_months).filter(|(_, _, short)| *short);
    let day = named(sentence, at, &calendar.days, calendar.short_days).filter(|(_, _, short)| *short);
    let year_after = |end: usize| sentence.digits(end).is_some_and(|digits| digits.len() == 4);
    // "mar. 5 giugno" is a day, "5 mar." and "mar. 2026" are a month.
    let is_month = month.is_some_and(|(_, end, _)| day.is_none() || number_before || year_after(end));
    let (name, end, _) = if is_month { month? } else { day? };
    if is_francs(sentence, at, end, locale) {
        return None;
    }
    let dotted = sentence.text(end - 1) == ".";
    let ends = sentence.is_end(end) || is_month && number_before && ends_behind_month(sentence, end, locale);
    let behind = if dotted && ends { end - 1 } else { end };
    if is_month {
        let number_after = sentence.digits(end).is_some_and(|digits| digits.len() <= 2 || digits.len() == 4);
        let is_word =
            matches!(sentence.text(at), "mar" | "mars" | "dec" | "set" | "out" | "mai" | "may" | "ago") && !dotted;
        if number_before || number_after && !is_word {
            return Reading::new(behind, capitalized(sentence, at, name));
        }
    }
    let capital = has_capital(name) == has_capital(sentence.text(at)) || sentence.is_sentence_start(at);
    (dotted && capital && goes_on_behind(sentence, at, end, locale))
        .then(|| Reading { end: behind, spoken: capitalized(sentence, at, name) })
}

/// "on 5 Dec. We are closed": a sentence begins, and no other month or day follows.
fn ends_behind_month(sentence: &Sentence<'_>, end: usize, locale: Locale) -> bool {
    let calendar = &locale.language.calendar;
    let is_named = |names, short| named(sentence, end, names, short).is_some();
    full_stops::ends_before(sentence, end, locale)
        && !is_named(&calendar.months, calendar.short_months)
        && !is_named(&calendar.days, calendar.short_days)
}

/// "Fr. 250", "Fr. 1'050.50": more than a day or an hour of Friday.
fn is_francs(sentence: &Sentence<'_>, at: usize, end: usize, locale: Locale) -> bool {
    let named = locale.is_german() && sentence.text(at) == "Fr" && sentence.text(end - 1) == ".";
    let Some(digits) = sentence.digits(end).filter(|_| named) else { return false };
    let group = sentence.glued_sign(end + 1, &["'", "’"])
        || sentence.digits(end + 1).is_some_and(|group| group.len() == 3)
        || sentence.glued_sign(end + 1, &["."]) && sentence.glued_sign(end + 2, &["-", "–", "—"]);
    group || digits.parse::<u32>().map_or(true, |number| number > 31)
}

/// Whether the number of a day stands before: "5 mar.", "5. Apr.", "1st Sept.", "5 de mar.".
pub(super) fn follows_day(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let day = |at: usize| sentence.digits(at).is_some_and(|digits| digits.len() <= 2);
    let Some(before) = sentence.before(at) else { return false };
    if day(at - 1) {
        return true;
    }
    let Some(two) = at.checked_sub(2) else { return false };
    match before.text {
        "." => locale.style == DateStyle::DayDotMonthYear && sentence.digits(two).is_some(),
        "st" | "nd" | "rd" | "th" | "er" | "º" | "°" => !before.is_spaced && day(two),
        "de" | "di" | "of" => {
            day(two) || at >= 3 && day(at - 3) && matches!(sentence.text(two), "st" | "nd" | "rd" | "th")
        }
        _ => false,
    }
}

/// A capital at the beginning of a sentence stays one.
pub(super) fn capitalized(sentence: &Sentence<'_>, at: usize, name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) if has_capital(sentence.text(at)) && sentence.is_sentence_start(at) => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => name.to_owned(),
    }
}

/// Whether a short form with a dot is followed by more of its sentence, or ends a text that speaks of days and months.
fn goes_on_behind(sentence: &Sentence<'_>, at: usize, end: usize, locale: Locale) -> bool {
    let next = sentence.text(end);
    if next.starts_with(|c: char| c.is_ascii_digit() || c.is_lowercase())
        || matches!(next, "," | ";" | ":" | ")" | "-" | "–" | "—" | "&" | "/" | "?" | "!")
    {
        let unsure = sentence.is_end(end) || !locale.is_english() && is_word(sentence, at, locale);
        return !unsure || listed(sentence, at, locale) || is_listed_behind(sentence, end, locale);
    }
    sentence.is_end(end) && listed(sentence, at, locale)
}

/// Whether a short form is a word of its own as well.
pub(super) fn is_word(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let word = sentence.text(at).to_lowercase();
    // "out." and "set." are none in Portuguese and Spanish, "sam" none in French.
    let iberian = locale.is_portuguese() || locale.is_spanish();
    let foreign = match word.as_str() {
        "out" | "set" | "ago" | "mai" | "gen" | "mag" | "mer" => iberian,
        "sam" | "zo" | "so" => iberian || locale.is_french(),
        _ => false,
    };
    WORDS.contains(&word.as_str()) && !foreign
}

fn is_word_at_end(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    is_word(sentence, at, locale) || WORDS_AT_END.contains(&sentence.text(at).to_lowercase().as_str())
}

/// Whether a number, another day or another month follows: "Sa. und So.", "el mar. y el jue.".
fn is_listed_behind(sentence: &Sentence<'_>, end: usize, locale: Locale) -> bool {
    let calendar = &locale.language.calendar;
    sentence.digits(end).is_some()
        || (end..end + 5).any(|at| {
            named(sentence, at, &calendar.months, calendar.short_months).is_some()
                || named(sentence, at, &calendar.days, calendar.short_days).is_some()
        })
}

/// Whether the words before a short form at the end of a text make it a day or month.
pub(super) fn listed(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let calendar = &locale.language.calendar;
    let from = at.saturating_sub(6);
    let other = (from..at).any(|back| {
        named(sentence, back, &calendar.months, calendar.short_months).is_some()
            || named(sentence, back, &calendar.days, calendar.short_days)
                .is_some_and(|(_, end, short)| !short || sentence.text(end - 1) == ".")
    });
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    let asked = matches!(
        before,
        "on" | "am"
            | "op"
            | "until"
            | "by"
            | "vom"
            | "im"
            | "le"
            | "au"
            | "du"
            | "il"
            | "el"
            | "al"
            | "del"
            | "no"
            | "na"
    );
    let in_month =
        matches!(before, "in" | "en" | "em" | "a" | "since" | "seit" | "sinds" | "ab" | "bis" | "depuis" | "desde");
    // "el mar." is the sea as well.
    let is_sea = sentence.text(at).eq_ignore_ascii_case("mar") && !locale.is_english();
    other
        || asked && !is_sea
        || !is_word_at_end(sentence, at, locale) && (in_month || calendar.before_dates.contains(&before))
}
