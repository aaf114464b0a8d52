//! Times to the second behind a word that wants one ("at 10:05:30"), and stamps of machines: "2026-11-29T20:30:00Z".

use super::locale::Locale;
use super::tokens::{Reading, Sentence, TokenKind};
use super::{dates, times};

/// Reads a stamp or a time with seconds that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || sentence.digits(at).is_none() {
        return None;
    }
    stamp(sentence, at, locale).or_else(|| with_seconds(sentence, at, locale))
}

/// Tokens of "2026-11-29T".
const DATE_TOKENS: usize = 6;

/// "2026-11-29T20:30:00.000+01:00": the day and the time as they are where it was written; parts of a second go.
fn stamp(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let day = dates::iso_day(sentence, at, locale)?;
    let clock = at + DATE_TOKENS;
    if sentence.text(clock - 1) != "T" || !sentence.is_glued(clock - 1) || !sentence.is_glued(clock) {
        return None;
    }
    let (mut said, mut end) = times::clock(sentence, clock, locale)?;
    if let Some((seconds, behind)) = seconds(sentence, end, locale) {
        end = behind;
        if let Some(seconds) = seconds {
            said = format!("{said} {} {seconds}", locale.language.signs.and);
        }
        if sentence.glued_sign(end, &[".", ","]) && sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some() {
            end += 2;
        }
    }
    let is_universal = sentence.text(end) == "Z" && sentence.is_glued(end);
    let has_offset = sentence.glued_sign(end, &["+", "-", "−"]) && sentence.is_glued(end + 1);
    let zone = if is_universal { " UTC" } else { "" };
    end = match (is_universal, has_offset && sentence.digits(end + 1).is_some()) {
        (true, _) => end + 1,
        (false, true) if sentence.glued_sign(end + 2, &[":"]) && sentence.digits(end + 3).is_some() => end + 4,
        (false, true) => end + 2,
        (false, false) => end,
    };
    let at_word = locale.language.calendar.at;
    sentence.ends_word(end).then(|| Reading { end, spoken: format!("{day} {at_word} {said}{zone}") })
}

/// "at 10:05:30"; without such a word it may be how long something took.
fn with_seconds(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let calendar = &locale.language.calendar;
    let before = sentence.before(at).filter(|before| before.kind == TokenKind::Word)?.text.to_lowercase();
    let is_wanted =
        calendar.at.rsplit(' ').next() == Some(before.as_str()) || calendar.before_times.contains(&before.as_str());
    let (said, behind) = times::clock(sentence, at, locale).filter(|_| is_wanted)?;
    let (seconds, end) = seconds(sentence, behind, locale)?;
    let goes_on = sentence.glued_sign(end, &[":", ".", ","]) && sentence.is_glued(end + 1);
    let end = times::hour_word(sentence, end, locale).unwrap_or(end);
    let spoken = match seconds {
        Some(seconds) => format!("{said} {} {seconds}", locale.language.signs.and),
        None => said,
    };
    (!goes_on && sentence.ends_word(end)).then_some(Reading { end, spoken })
}

/// ":30" behind hours and minutes: what is said for it, nothing for none, and its end.
fn seconds(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(Option<String>, usize)> {
    let digits = sentence.digits(at + 1).filter(|digits| digits.len() == 2 && sentence.is_glued(at + 1))?;
    let count: u32 = digits.parse().ok().filter(|count| *count < 60 && sentence.glued_sign(at, &[":"]))?;
    let names = ["second", "seconde", "Sekunde", "segundo", "secondo"];
    let unit = locale.language.units.iter().find(|unit| names.contains(&unit.one))?;
    let name = if count == 1 { unit.one } else { unit.many };
    Some(((count > 0).then(|| format!("{count} {name}")), at + 2))
}
