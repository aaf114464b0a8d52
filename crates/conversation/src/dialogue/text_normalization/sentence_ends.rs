//! Whether a dot behind a word ends a sentence, or belongs to an abbreviation, an initial or a number.

use super::SpeechStyle;
use super::full_stops::{is_german_start, may_become_german_start};
use super::language::Place;
use super::locale::Locale;
use super::tokens::has_capital;

/// What a dot is, given the word before it and the first character behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbbreviationEnd {
    /// It ends a sentence.
    No,
    /// It belongs to the word before, because of what follows.
    Here,
    /// It belongs to the word before, whatever follows.
    Always,
    /// What follows decides, and is not known yet.
    Unknown,
}

/// Abbreviations that texts of all languages have.
const COMMON: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "dr",
    "prof",
    "vs",
    "nr",
    "sr",
    "डॉ",
    "रु",
    "प्रो",
    "ดร",
    "रू",
    "สนง",
    "тел",
    "ул",
    "стр",
    "рис",
    "им",
    "корп",
    "напр",
    "просп",
];
/// Words of Hindi of one letter: they end sentences, and are no initials.
const HINDI_ENDS: &[&str] =
    &["है", "हैं", "हूँ", "हूं", "हो", "था", "थी", "थे", "थीं", "दो", "लो", "जी", "गा", "गी", "गे", "ना", "न", "दें", "लें", "तो"];
/// May end a list, and a sentence with it.
const LIST_ENDS: &[&str] = &["etc", "usw", "enz", "ecc", "uvm"];
/// Characters before a dot that can belong to an abbreviation.
const TAIL_CHARS: usize = 24;
/// Letters of an abbreviation that no table has.
const UNKNOWN_CHARS_MAX: usize = 8;

/// Judges a dot: `before` is the text up to it, `following` the first character behind it and its white space.
pub fn abbreviation_end(style: &SpeechStyle, before: &str, following: Option<char>) -> AbbreviationEnd {
    match known_end(style, before, following) {
        AbbreviationEnd::No => before_small_letter(before, following),
        end => end,
    }
}

/// Parts of a day of German: nouns, behind the short name of a day.
const GERMAN_DAY_PARTS: [&str; 8] =
    ["Morgen", "Vormittag", "Mittag", "Nachmittag", "Abend", "Nacht", "Früh", "Mitternacht"];

/// Judges the dot behind the short name of a day by the word behind it: "am Di. Vormittag" goes on.
pub fn day_end(style: &SpeechStyle, before: &str, behind: &str) -> AbbreviationEnd {
    let Some(locale) = style.locale.filter(|locale| locale.is_german()) else { return AbbreviationEnd::No };
    let last = before.rsplit(char::is_whitespace).next().unwrap_or("");
    if is_dotted_date(last.trim_start_matches(|c: char| !c.is_alphanumeric())) {
        return date_end(behind.trim_start());
    }
    let word = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or("").to_lowercase();
    if !locale.language.calendar.short_days.iter().any(|(short, _)| *short == word) {
        return AbbreviationEnd::No;
    }
    let behind = behind.trim_start();
    let length = behind.find(|c: char| !c.is_alphabetic());
    match length {
        Some(length) if GERMAN_DAY_PARTS.contains(&&behind[..length]) => AbbreviationEnd::Here,
        None if GERMAN_DAY_PARTS.iter().any(|part| part.starts_with(behind)) => AbbreviationEnd::Unknown,
        Some(_) | None => AbbreviationEnd::No,
    }
}

/// Behind "am 12.5." a noun goes on, and a word that begins sentences does not.
fn date_end(behind: &str) -> AbbreviationEnd {
    match behind.find(|c: char| !c.is_alphabetic()) {
        Some(length) if is_german_start(&behind[..length]) => AbbreviationEnd::No,
        None if may_become_german_start(behind) => AbbreviationEnd::Unknown,
        Some(_) | None => AbbreviationEnd::Here,
    }
}

/// Before a small letter a dot behind a short word ends nothing, whatever the word stands for. Where the sentence itself
/// began with a small letter, all of them do.
fn before_small_letter(before: &str, following: Option<char>) -> AbbreviationEnd {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let letters = word.chars().take(UNKNOWN_CHARS_MAX + 1).count();
    let is_word = (1..=UNKNOWN_CHARS_MAX).contains(&letters) && word.chars().all(char::is_alphabetic);
    let cased = word.chars().any(|c| c.is_lowercase() || c.is_uppercase());
    let starts_small = before.chars().find(|c| c.is_alphanumeric()).is_none_or(char::is_lowercase);
    if !is_word || !cased || starts_small {
        return AbbreviationEnd::No;
    }
    match following {
        None => AbbreviationEnd::Unknown,
        Some(next) if next.is_lowercase() => AbbreviationEnd::Here,
        Some(_) => AbbreviationEnd::No,
    }
}

fn known_end(style: &SpeechStyle, before: &str, following: Option<char>) -> AbbreviationEnd {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or("");
    let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
    let is_first = before.trim_start_matches(|c: char| !c.is_alphanumeric()).len() == word.len();
    if style.locale.is_some_and(Locale::is_german) && is_dotted_date(word) {
        // Before a capital the word itself decides.
        return match following {
            None => AbbreviationEnd::Unknown,
            Some(next) if next.is_uppercase() || next == '\n' => AbbreviationEnd::No,
            Some(_) => AbbreviationEnd::Here,
        };
    }
    if style.locale.is_none() && is_spaced_date(before) {
        return AbbreviationEnd::Always;
    }
    if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
        return number_end(style.locale, word, is_first, following);
    }
    let lower = word.to_lowercase();
    if HINDI_ENDS.contains(&word) {
        return AbbreviationEnd::No;
    }
    if is_initial(word) || COMMON.contains(&lower.as_str()) {
        return AbbreviationEnd::Always;
    }
    if let Some(end) = dotted(&lower, following) {
        return end;
    }
    match style.locale {
        Some(locale) => by_tables(locale, before, word, following),
        None => AbbreviationEnd::No,
    }
}

/// "12.5" and "30.06" of German, also as the end of a range: "3.4.-5.4", "15.–18".
fn is_dotted_date(word: &str) -> bool {
    let last = word.rsplit(['-', '–', '—', '/']).next().unwrap_or(word);
    let mut numbers = last.split('.').map(|part| {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u8>().unwrap_or(0))
    });
    let day = numbers.next().flatten().is_some_and(|day| (1..=31).contains(&day));
    let month = numbers.next();
    let fits = month.is_none_or(|month| month.is_some_and(|month| (1..=12).contains(&month)));
    let ranged = last.len() < word.len() && word[..word.len() - last.len()].contains('.');
    day && fits && numbers.next().is_none() && (month.is_some() || ranged)
}

/// "2026. 3. 12" of Korean, with its day.
fn is_spaced_date(before: &str) -> bool {
    let start = before.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    let mut parts = before[start..].rsplit(". ");
    let is_number = |part: &str, digits: std::ops::RangeInclusive<usize>| {
        digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let (day, month) = (parts.next(), parts.next());
    let year = parts.next().and_then(|head| head.rsplit(char::is_whitespace).next());
    day.is_some_and(|day| is_number(day, 1..=2))
        && month.is_some_and(|month| is_number(month, 1..=2))
        && year.is_some_and(|year| is_number(year, 4..=4))
}

/// "1." of a list, "3. März", "2026. 3. 12." of Korean.
fn number_end(locale: Option<Locale>, word: &str, is_first: bool, following: Option<char>) -> AbbreviationEnd {
    let german = locale.is_some_and(Locale::is_german);
    if word.len() <= 2 && (is_first || german) {
        return AbbreviationEnd::Always;
    }
    match following {
        _ if locale.is_some() || word.len() > 4 => AbbreviationEnd::No,
        None => AbbreviationEnd::Unknown,
        Some(next) if next.is_ascii_digit() => AbbreviationEnd::Here,
        Some(_) => AbbreviationEnd::No,
    }
}

/// A single letter is an initial, except in scripts whose letters are syllables or words.
fn is_initial(word: &str) -> bool {
    let is_syllable = |c: char| matches!(u32::from(c), 0x1100..=0x11FF | 0x3040..=0xD7AF | 0xF900..=0xFAFF);
    let is_mark =
        |c: char| matches!(u32::from(c), 0x300..=0x36F | 0x900..=0x903 | 0x93A..=0x94F | 0xE31 | 0xE34..=0xE4E);
    let mut letters = word.chars().filter(|c| !is_mark(*c));
    letters.next().is_some_and(|c| c.is_alphabetic() && !is_syllable(c)) && letters.next().is_none()
}

/// "U.S", "z.B", "i.v.m": short parts with dots between them. "a.m" may end a sentence.
fn dotted(lower: &str, following: Option<char>) -> Option<AbbreviationEnd> {
    let parts = lower.split('.').map(|part| part.trim_start_matches('-'));
    let short =
        |part: &str| (1..=2).contains(&part.chars().count()) && part.chars().all(|c| c.is_alphabetic() || c == '-');
    if !lower.contains('.') || !parts.clone().all(short) {
        return None;
    }
    if !matches!(lower, "a.m" | "p.m") {
        return Some(AbbreviationEnd::Always);
    }
    Some(before_capital(following))
}

/// A capital behind the dot begins a sentence.
fn before_capital(following: Option<char>) -> AbbreviationEnd {
    match following {
        None => AbbreviationEnd::Unknown,
        Some(next) if next.is_uppercase() => AbbreviationEnd::No,
        Some(_) => AbbreviationEnd::Here,
    }
}

fn by_tables(locale: Locale, before: &str, word: &str, following: Option<char>) -> AbbreviationEnd {
    let language = locale.language;
    let start = before.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    let tail = before[start..].to_lowercase();
    // "p. ex." is written with blanks, and without.
    let compact = tail.replace(['\u{a0}', '\u{202f}'], " ").replace(". ", ".");
    let ends_with = |short: &str| {
        let short = short.to_lowercase();
        let stands = |tail: &str| {
            tail.strip_suffix(short.as_str())
                .is_some_and(|head| !head.chars().next_back().is_some_and(char::is_alphanumeric))
        };
        stands(&tail) || short.contains('.') && stands(&compact)
    };
    if language.suffixes.iter().any(|(short, _)| word.len() > short.len() && word.ends_with(short)) {
        return AbbreviationEnd::Always;
    }
    let mut found = within_longer(locale, following, ends_with);
    if found == AbbreviationEnd::Here {
        return found;
    }
    let units = language.units.iter().flat_map(|unit| unit.written).copied();
    let named = units.chain(language.per_names.iter().map(|(short, _)| *short));
    let counted = behind_number(before, word);
    if counted && named.filter_map(|short| short.strip_suffix('.')).any(ends_with) {
        return match following {
            Some(next) if next.is_uppercase() && locale.is_german() => AbbreviationEnd::Here,
            _ => before_capital(following),
        };
    }
    for (written, _, place) in language.abbreviations {
        let Some(short) = written.strip_suffix('.').filter(|short| ends_with(short)) else { continue };
        match by_place(*place, short, word, following) {
            AbbreviationEnd::No => {}
            AbbreviationEnd::Unknown => found = AbbreviationEnd::Unknown,
            end => return end,
        }
    }
    if found != AbbreviationEnd::No {
        return found;
    }
    if language
        .money
        .scales
        .iter()
        .flat_map(|scale| scale.written)
        .any(|short| short.strip_suffix('.').is_some_and(ends_with))
    {
        return AbbreviationEnd::Always;
    }
    let written = language.units.iter().flat_map(|unit| unit.written);
    if counted && following.is_none_or(char::is_lowercase) && written.into_iter().any(|short| *short == word) {
        return following.map_or(AbbreviationEnd::Unknown, |_| AbbreviationEnd::Here);
    }
    match by_sign(locale, following, ends_with) {
        AbbreviationEnd::No => by_calendar(locale, counted, following, ends_with),
        end => end,
    }
}

/// "fl. 25", "500 pts. de entonces".
fn by_sign(locale: Locale, following: Option<char>, ends_with: impl Fn(&str) -> bool) -> AbbreviationEnd {
    let mut signs = locale.language.money.currencies.iter().flat_map(|currency| currency.signs);
    if !signs.any(|sign| sign.strip_suffix('.').is_some_and(&ends_with)) {
        return AbbreviationEnd::No;
    }
    match following {
        Some(next) if next.is_ascii_digit() => AbbreviationEnd::Here,
        _ => before_capital(following),
    }
}

/// "Jan. 5", "Mon. to Fri.".
fn by_calendar(
    locale: Locale, counted: bool, following: Option<char>, ends_with: impl Fn(&str) -> bool,
) -> AbbreviationEnd {
    let calendar = &locale.language.calendar;
    let mut short_names = calendar.short_months.iter().chain(calendar.short_days);
    if short_names.any(|(short, _)| ends_with(short)) {
        return match following {
            None => AbbreviationEnd::Unknown,
            Some(next) if next.is_ascii_digit() || next.is_lowercase() => AbbreviationEnd::Here,
            Some('-' | '–' | '—' | '&' | '/' | '+') => AbbreviationEnd::Here,
            Some(next) if counted && !next.is_uppercase() => AbbreviationEnd::Here,
            Some(_) => AbbreviationEnd::No,
        };
    }
    AbbreviationEnd::No
}

/// Whether the dot is an inner one of a longer form: "EE. UU.", "pol. ind.".
fn within_longer(locale: Locale, following: Option<char>, ends_with: impl Fn(&str) -> bool) -> AbbreviationEnd {
    let language = locale.language;
    let units = language.units.iter().flat_map(|unit| unit.written).copied();
    let written = language.abbreviations.iter().map(|(written, _, _)| *written).chain(units);
    let mut found = AbbreviationEnd::No;
    for (head, rest) in written.filter_map(|written| written.split_once(". ")) {
        match following {
            _ if head.chars().count() < 2 || !ends_with(head) => {}
            None => found = AbbreviationEnd::Unknown,
            Some(next) if rest.starts_with(next) => return AbbreviationEnd::Here,
            Some(_) => {}
        }
    }
    found
}

/// Whether the word before this one ends with a number or a sign of an amount: "20 min", "€/Min".
fn behind_number(before: &str, word: &str) -> bool {
    let head = before.strip_suffix(word).unwrap_or(before).trim_end();
    let glued = word.contains('/') || word.starts_with(|c: char| c.is_ascii_digit());
    glued || head.chars().next_back().is_some_and(|c| c.is_ascii_digit() || matches!(c, '/' | '½' | '€' | '$' | '.'))
}

fn by_place(place: Place, short: &str, word: &str, following: Option<char>) -> AbbreviationEnd {
    match (place, following) {
        (Place::Closing, _) if LIST_ENDS.contains(&short) => before_capital(following),
        (Place::Anywhere | Place::Closing | Place::AfterOrdinal | Place::AfterNumber | Place::AfterCentury, _) => {
            AbbreviationEnd::Always
        }
        (Place::Capital, _) if has_capital(word) => AbbreviationEnd::Always,
        (Place::BeforeBirth, _) if has_capital(word) => AbbreviationEnd::No,
        (Place::Title, _) if !has_capital(word) => AbbreviationEnd::No,
        (Place::Capital, _) => AbbreviationEnd::No,
        (_, None) => AbbreviationEnd::Unknown,
        (Place::BeforeNumber, Some(next)) if next.is_ascii_digit() => AbbreviationEnd::Here,
        (Place::BeforeNumber, Some('I' | 'V' | 'X')) if !matches!(short, "no" | "art") => AbbreviationEnd::Here,
        (Place::BeforeNumber, Some(_)) => AbbreviationEnd::No,
        (Place::BeforeName | Place::Title | Place::BeforeStreet, Some(next)) if next.is_alphabetic() => {
            AbbreviationEnd::Here
        }
        (Place::BeforeName | Place::Title | Place::BeforeStreet, Some(_)) => AbbreviationEnd::No,
        (Place::BeforeSmall, Some(next)) if next.is_lowercase() => AbbreviationEnd::Here,
        (Place::BeforeSmall, Some(_)) => AbbreviationEnd::No,
        (Place::BeforeBirth, Some(next)) if next.is_alphanumeric() => AbbreviationEnd::Here,
        (Place::BeforeBirth, Some(_)) => AbbreviationEnd::No,
        (Place::AfterName, Some(next)) if next.is_uppercase() => AbbreviationEnd::No,
        (Place::AfterName, Some(_)) => AbbreviationEnd::Here,
    }
}
