//! Days counted from others: "a week from Tuesday", "in ten days", "Dienstag in einer Woche", "mardi en huit".

use super::numbers::NumberWords;

const WEEKS: &[&str] = &[
    "week",
    "weeks",
    "weken",
    "woche",
    "wochen",
    "semaine",
    "semaines",
    "semana",
    "semanas",
    "settimana",
    "settimane",
];
const DAYS: &[&str] =
    &["days", "day", "dagen", "dag", "tage", "tagen", "tag", "jours", "jour", "dias", "dia", "giorni", "giorno"];
/// One, before a week.
const ONE: &[&str] = &["a", "an", "een", "einer", "einem", "eine", "une", "una", "uma", "un", "um"];
/// Before a count of days or weeks that are to come.
const LATER: &[&str] = &["in", "over", "dans", "dentro", "tra", "fra", "daqui", "em", "binnen"];
/// Between a count and the day from which it counts.
const FROM: &[&str] = &["from", "on", "after", "na", "nach", "ab", "apres", "despues", "dopo", "depois", "vanaf"];
const AGO: &[&str] = &["ago", "geleden", "vor", "hace", "fa", "atras", "ha"];
/// Before or behind a day, a week, a month or a year that is over.
const PAST: &[&str] = &[
    "last",
    "past",
    "previous",
    "vorig",
    "vorige",
    "afgelopen",
    "verleden",
    "laatste",
    "letzte",
    "letzten",
    "letzter",
    "letztes",
    "vergangene",
    "vergangenen",
    "vergangener",
    "vergangenes",
    "vorigen",
    "voriger",
    "voriges",
    "dernier",
    "derniere",
    "passe",
    "passee",
    "pasado",
    "pasada",
    "ultimo",
    "ultima",
    "scorso",
    "scorsa",
    "passato",
    "passata",
    "passado",
    "passada",
];
const THIS: &[&str] = &[
    "this", "deze", "dit", "diese", "diesen", "dieser", "dieses", "diesem", "ce", "cette", "este", "esta", "questo",
    "questa", "neste", "nesta", "esse", "essa",
];
const NEXT: &[&str] = &[
    "next",
    "volgende",
    "nachste",
    "nachster",
    "nachsten",
    "prochaine",
    "proxima",
    "prossima",
    "kommende",
    "kommenden",
    "kommender",
    "nachstes",
    "volgend",
    "komende",
    "coming",
    "prochain",
    "proximo",
    "prossimo",
    "viene",
    "vem",
];

/// How a day is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// So many days after the day that is named with it, or after today.
    Days(i64),
    /// In this week, or so many weeks later.
    Week(i64),
}

/// Whether the words beside this one say that it is over (-1), this one (0), or the next one (1).
pub(super) fn beside(words: &[String], at: usize) -> Option<i64> {
    let before = at.checked_sub(1).and_then(|before| words.get(before));
    // "segunda-feira passada", "la semana que viene"
    let is_between = |word: &&String| matches!(word.as_str(), "feira" | "que" | "van" | "of" | "de" | "da");
    let behind = words.get(at + 1..).unwrap_or_default().iter().find(|word| !is_between(word));
    let is = |word: Option<&String>, list: &[&str]| word.is_some_and(|word| list.contains(&word.as_str()));
    // "this past Sunday"
    [(PAST, -1), (NEXT, 1), (THIS, 0)]
        .into_iter()
        .find(|(list, way)| is(before, list) || *way != 0 && is(behind, list))
        .map(|(_, way)| way)
}

/// The count in the words of a date; `weekday` is the place of a weekday. `None` if nothing is counted.
pub(super) fn counted(words: &[String], numbers: &NumberWords, weekday: Option<usize>) -> Option<Counted> {
    let is = |at: usize, list: &[&str]| words.get(at).is_some_and(|word| list.contains(&word.as_str()));
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if let Some(at) = weekday {
        let idiom = |word: &str| if word == "huit" { Some(7) } else { (word == "quinze").then_some(14) };
        let behind = words.get(at + 1..).unwrap_or_default();
        if let [en, count, ..] = behind
            && en == "en"
            && let Some(days) = idiom(count)
        {
            return Some(Counted::Days(days));
        }
        if behind.first().is_some_and(|word| word == "week") {
            return Some(Counted::Days(7));
        }
    }
    let sign = if has(AGO) { -1 } else { 1 };
    if let Some(at) = words.iter().position(|word| word == "fortnight") {
        return Some(Counted::Days(14 * if is(at + 1, AGO) { -1 } else { 1 }));
    }
    let at = (0..words.len()).find(|at| is(*at, WEEKS) || is(*at, DAYS))?;
    let is_week = is(at, WEEKS);
    if let Some(weeks) = beside(words, at).filter(|_| is_week) {
        return Some(Counted::Week(weeks));
    }
    let before = words.get(..at)?;
    let start = (before.len().saturating_sub(4)..before.len())
        .find(|start| numbers.number(&before[*start..]).is_some_and(|(_, used)| start + used == before.len()));
    let count = match start {
        Some(start) => i64::try_from(numbers.number(&before[start..])?.0).ok()?,
        None if before.last().is_some_and(|word| ONE.contains(&word.as_str())) => 1,
        None => return None,
    };
    // "Eight days" are a week in several languages, counted from a day.
    let days = match (is_week, count) {
        (true, count) => count.checked_mul(7)?,
        (false, 8) if weekday.is_some() => 7,
        (false, 15) if weekday.is_some() => 14,
        (false, count) => count,
    };
    let is_later = has(LATER) || is(at + 1, FROM) || weekday.is_some();
    (is_later || sign < 0).then_some(Counted::Days(sign * days)).filter(|_| days <= 3_660)
}
