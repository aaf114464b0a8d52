//! The century of a year with two digits: births and what is long ago are in the last one.

use super::locale::Locale;
use super::tokens::Sentence;

/// Up to this year a birth is in this century: the release's own year, and some.
const BIRTH_MAX: u32 = 29;
/// Up to this year others are. What is valid until a later one says so.
const YEAR_MAX: u32 = 40;
/// Words near a year that are looked at.
const WORDS: usize = 4;
/// Words of birth.
const BIRTHS: &[&str] = &[
    "born",
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "geboren",
    "geboortedatum",
    "geboortedag",
    "geb",
    "geburtsdatum",
    "geburtstag",
    "né",
    "née",
    "naissance",
    "nacido",
    "nacida",
    "nació",
    "nacimiento",
    "nato",
    "nata",
    "nascita",
    "nascido",
    "nascida",
    "nasceu",
    "nascimento",
];
/// Words before what is still to come.
const LATER: &[&str] = &[
    "until",
    "till",
    "through",
    "expires",
    "expiring",
    "expiry",
    "valid",
    "due",
    "bis",
    "gültig",
    "fällig",
    "tot",
    "m",
    "geldig",
    "verloopt",
    "jusqu",
    "expire",
    "échéance",
    "hasta",
    "caduca",
    "vence",
    "fino",
    "entro",
    "scade",
    "até",
    "validade",
];

/// Four digits for two; the nearest word before that tells decides.
pub(super) fn in_full(sentence: &Sentence<'_>, at: usize, year: &str, locale: Locale) -> Option<String> {
    let short: u32 = year.parse().ok()?;
    let last = match nearest(sentence, at, locale) {
        Some(Near::Birth) => BIRTH_MAX,
        Some(Near::Later) => u32::MAX,
        None => YEAR_MAX,
    };
    Some(format!("{}{year}", if short <= last { "20" } else { "19" }))
}

/// What the words before say of a year.
enum Near {
    Birth,
    Later,
}

fn nearest(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Near> {
    // The dot of "geb." and "D.O.B." ends no sentence.
    let head = sentence.get(at).and_then(|token| sentence.text.get(..token.start)).unwrap_or("").trim_end();
    if ["geb.", "Geb.", "d.o.b.", "D.O.B."].iter().any(|short| head.ends_with(short)) {
        return Some(Near::Birth);
    }
    sentence.words_before(at, WORDS).iter().find_map(|word| match word.as_str() {
        // The Italian and Portuguese "m" is no "t/m".
        "m" if !locale.is_dutch() => None,
        word if BIRTHS.contains(&word) => Some(Near::Birth),
        word if LATER.contains(&word) => Some(Near::Later),
        _ => None,
    })
}

/// Whether the words before want a date, so that "31-12-26" is one.
pub(super) fn is_wanted(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let before = sentence.words_before(at, 1);
    let is_before = before.first().is_some_and(|word| {
        locale.language.calendar.before_dates.contains(&word.as_str()) || locale.is_dutch() && word == "m"
    });
    is_before || nearest(sentence, at, locale).is_some()
}
