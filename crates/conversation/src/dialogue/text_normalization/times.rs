//! Times of the day. The words around "3:10" decide whether it is one, or a ratio, a score, a place in a book.

use super::full_stops;
use super::language::Clock;
use super::locale::Locale;
use super::numbers::behind_hyphen;
use super::ranges::say_hours;
use super::tokens::{Reading, Sentence, TokenKind, has_capital};

/// A time as it was written.
#[derive(Clone, Copy, Debug)]
struct Time {
    hour: u32,
    minute: Option<u32>,
    half: Option<DayHalf>,
    word: HourWord,
    end: usize,
}

/// Whether the word of the hour was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HourWord {
    Left,
    /// "17:30 h".
    Behind,
    /// "17h30".
    Between,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DayHalf {
    Am,
    Pm,
}

/// Books whose places are written like times.
const BOOKS: &[&str] = &[
    "genesis", "exodus", "joshua", "judges", "ruth", "samuel", "kings", "job", "psalm", "psalms", "proverbs", "isaiah",
    "jeremiah", "daniel", "matthew", "mark", "luke", "john", "acts", "romans", "timothy", "hebrews", "james", "peter",
    "johannes", "lucas", "marcus", "matteüs", "lukas", "markus", "jean", "luc", "marc", "matthieu", "juan", "mateo",
    "giovanni", "luca", "matteo", "marco", "joão", "mateus", "sura", "surah", "psaume", "psalmen",
];
/// Those with longer names.
const LONG_BOOKS: &[&str] =
    &["leviticus", "deuteronomy", "corinthians", "galatians", "ephesians", "philippians", "revelation", "matthäus"];

/// Reads a time, a range of two, or a ratio.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) || sentence.digits(at).is_none() {
        return None;
    }
    if let Some(reading) = english_half_range(sentence, at, locale).or_else(|| english_hours(sentence, at, locale)) {
        return Some(reading);
    }
    if let Some(reading) = ratio(sentence, at, locale) {
        return Some(reading);
    }
    if let Some(reading) = to_full_hour(sentence, at, locale) {
        return Some(reading);
    }
    let first = time(sentence, at, locale)?;
    if first.minute.is_some_and(|minute| minute != 0) && is_duration(sentence, first.end) {
        return None;
    }
    if let Some(behind) = sentence.dash(first.end)
        && let Some(second) = time(sentence, behind, locale)
    {
        let (one, two) = (say(sentence, at, first, locale), say(sentence, behind, second, locale));
        let one = if second.half.is_some() && first.half.is_none() && first.minute == Some(0) {
            first.hour.to_string()
        } else {
            one
        };
        return Reading::new(second.end, say_hours(sentence, at, &one, &two, locale));
    }
    if !sentence.ends_word(first.end) {
        return None;
    }
    Reading::new(first.end, say(sentence, at, first, locale))
}

/// What is said for "20:30" at a token, and its end, whatever stands around it.
pub(super) fn clock(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(String, usize)> {
    let digits = sentence.digits(at).filter(|digits| digits.len() <= 2)?;
    let hour: u32 = digits.parse().ok().filter(|hour| *hour <= 24)?;
    let bare = Time { hour, minute: None, half: None, word: HourWord::Left, end: at + 1 };
    let glued = sentence.glued_sign(at + 1, &[":"]) && sentence.is_glued(at + 2);
    let time = with_minutes(sentence, bare, at + 2).filter(|_| glued)?;
    Some((say(sentence, at, time, locale), time.end))
}

/// From this hour on "18:30 hrs" is a time of the day; before, the word before decides.
const AFTERNOON: u32 = 13;

/// "18:00 hrs", "at 9:30 hours": a time of the day of English, and not how long something takes.
fn english_hours(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let glued = sentence.glued_sign(at + 1, &[":"]) && sentence.is_glued(at + 2);
    let hour: u32 = sentence.digits(at).filter(|_| glued && locale.is_english())?.parse().ok()?;
    let minute: u32 = sentence.digits(at + 2).filter(|minute| minute.len() == 2)?.parse().ok()?;
    let fits = hour <= 24 && minute < 60 && matches!(sentence.word(at + 3), Some("hrs" | "hr" | "hours"));
    let before = sentence.before(at).map_or("", |before| before.text);
    let wanted = matches!(before, "at" | "At" | "by" | "from" | "until" | "till" | "before" | "after" | "around");
    if !fits || hour < AFTERNOON && !wanted {
        return None;
    }
    let dotted = sentence.glued_sign(at + 4, &["."]);
    let end = if dotted { full_stops::without(sentence, at + 5, locale) } else { at + 4 };
    let minutes = match minute {
        0 => "hundred".to_owned(),
        1..=9 => format!("oh {minute}"),
        _ => minute.to_string(),
    };
    Reading::new(end, format!("{hour} {minutes} hours"))
}

/// "1:30 hours" is no time of the day.
fn is_duration(sentence: &Sentence<'_>, end: usize) -> bool {
    matches!(
        sentence.word(end),
        Some(
            "hours"
                | "hour"
                | "hrs"
                | "hr"
                | "minutes"
                | "minute"
                | "mins"
                | "min"
                | "Std"
                | "Stunden"
                | "Min"
                | "Minuten"
                | "minuten"
                | "minutos"
                | "minuti"
        )
    )
}

/// "7-9 PM", "7 - 9:30 pm": the half of the day belongs to both.
fn english_half_range(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if locale.language.calendar.clock != Clock::English {
        return None;
    }
    let first = sentence.digits(at).filter(|hour| hour.len() <= 2)?;
    let behind = sentence.dash(at + 1)?;
    let second = time(sentence, behind, locale).filter(|time| time.half.is_some())?;
    let hour: u32 = first.parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let two = say(sentence, behind, second, locale);
    Reading::new(second.end, format!("{hour} {} {two}", locale.language.signs.to))
}

/// "14:30–18 Uhr", "9–12:30 Uhr", "9–5:30", "9:30-5": one end has minutes. With a dot the word of the hour stands behind.
fn to_full_hour(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let full = |at: usize| {
        let hour = sentence.digits(at).filter(|hour| hour.len() <= 2)?.parse().ok().filter(|hour: &u32| *hour <= 24)?;
        Some(Time { hour, minute: Some(0), half: None, word: HourWord::Left, end: at + 1 })
    };
    let minutes = |time: &Time| time.minute.is_some_and(|minute| minute != 0) && time.half.is_none();
    let colon = |at: usize| sentence.glued_sign(at + 1, &[":"]);
    if let Some(first) = time(sentence, at, locale).filter(minutes) {
        let behind = sentence.dash(first.end)?;
        let second = full(behind).filter(|second| !sentence.glued_sign(second.end, &[":"]))?;
        let Some(end) = hour_word(sentence, second.end, locale) else {
            return bare_end(sentence, at, first, second, locale).filter(|_| colon(at));
        };
        let (one, two) = (
            say(sentence, at, first, locale),
            say(sentence, behind, Time { word: HourWord::Behind, end, ..second }, locale),
        );
        return Reading::new(end, say_hours(sentence, at, &one, &two, locale));
    }
    let first = full(at).filter(|first| sentence.dash(first.end).is_some())?;
    let behind = sentence.dash(first.end)?;
    let second = time(sentence, behind, locale).filter(minutes)?;
    if second.word == HourWord::Left && !colon(behind) || !sentence.ends_word(second.end) {
        return None;
    }
    let two = say(sentence, behind, second, locale);
    Reading::new(second.end, say_hours(sentence, at, &first.hour.to_string(), &two, locale))
}

/// "9:30-5 on Sunday": the second end is an hour alone, behind which nothing is counted.
fn bare_end(sentence: &Sentence<'_>, at: usize, first: Time, second: Time, locale: Locale) -> Option<Reading> {
    let counted = super::units::unit(sentence, second.end, locale).is_some()
        || followed_by_digits(sentence, second.end)
        || sentence.dash(second.end).is_some_and(|next| sentence.digits(next).is_some())
        || sentence.glued_sign(second.end, &["/", "%"]);
    let is_hour = (1..=24).contains(&second.hour) && sentence.ends_word(second.end);
    let one = say(sentence, at, first, locale);
    let two = second.hour.to_string();
    (is_hour && !counted).then(|| Reading { end: second.end, spoken: say_hours(sentence, at, &one, &two, locale) })
}

/// Reads the time at a token, without judging what follows it.
fn time(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Time> {
    let digits = sentence.digits(at).filter(|digits| digits.len() <= 2)?;
    let hour: u32 = digits.parse().ok().filter(|hour| *hour <= 24)?;
    let calendar = &locale.language.calendar;
    let english = calendar.clock == Clock::English;
    let bare = Time { hour, minute: None, half: None, word: HourWord::Left, end: at + 1 };
    let time = if sentence.glued_sign(at + 1, &[":"]) && sentence.is_glued(at + 2) {
        let time = with_minutes(sentence, bare, at + 2)?;
        // "10:30:15" is left alone.
        if sentence.glued_sign(time.end, &[":"])
            && sentence.digits(time.end + 1).is_some()
            && sentence.is_glued(time.end + 1)
        {
            return None;
        }
        time
    } else if let Some(letter) = letter_time(sentence, bare, locale) {
        return Some(letter);
    } else if sentence.glued_sign(at + 1, &["."]) && sentence.is_glued(at + 2) {
        let time = with_minutes(sentence, bare, at + 2)?;
        let before = sentence.words_before(at, 1);
        let wanted = before.first().is_some_and(|word| calendar.before_times.contains(&word.as_str()));
        let half = english && half_of_day(sentence, time.end).is_some();
        let word = !english && hour_word(sentence, time.end, locale).is_some();
        let ranged = opens_range(sentence, time.end, locale, RANGES_MAX);
        if !(wanted || half || word || ranged) || followed_by_digits(sentence, time.end) {
            return None;
        }
        time
    } else if english || calendar.half_words() {
        let (_, end) = half_of_day(sentence, at + 1)?;
        return with_half(sentence, Time { end: at + 1, ..bare }, end);
    } else {
        return None;
    };
    if let Some((_, end)) = half_of_day(sentence, time.end) {
        return with_half(sentence, time, end);
    }
    match hour_word(sentence, time.end, locale) {
        Some(end) => Some(Time { word: HourWord::Behind, end, ..time }),
        None => Some(time),
    }
}

impl super::language::Calendar {
    /// Whether "3 pm" is written in the language.
    fn half_words(&self) -> bool {
        matches!(self.clock, Clock::Joint { joint: "y", .. })
    }
}

fn followed_by_digits(sentence: &Sentence<'_>, end: usize) -> bool {
    sentence.glued_sign(end, &[".", ","]) && sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some()
}

/// Times in a row at most: "8.30 tot 12.00 en 13.00 tot 17.00 uur".
const RANGES_MAX: usize = 4;

/// Whether the times behind a dotted one end with the word of the hour: "9.00-17.00 uur", "8.30 tot 17 uur".
fn opens_range(sentence: &Sentence<'_>, end: usize, locale: Locale, left: usize) -> bool {
    let signs = &locale.language.signs;
    let joint = |word: &str| {
        [signs.to, signs.and].contains(&word) || matches!(word, "à" | "às" | "alle" | "a" | "of" | "oder" | "ou" | "o")
    };
    let through = sentence.text(end) == "t" && sentence.text(end + 2) == "m" && sentence.text(end + 1) == "/";
    let next = match sentence.dash(end) {
        Some(next) => next,
        None if through => end + 3,
        None if sentence.word(end).is_some_and(joint) => end + 1,
        None => return false,
    };
    let next = if matches!(sentence.text(next), "van" | "von" | "tussen" | "zwischen") { next + 1 } else { next };
    if left == 0 || sentence.digits(next).is_none_or(|hour| hour.len() > 2) {
        return false;
    }
    let dotted = sentence.glued_sign(next + 1, &["."]) && sentence.is_glued(next + 2);
    let minutes = sentence.digits(next + 2).is_some_and(|minutes| minutes.len() == 2);
    let behind = if dotted && minutes { next + 3 } else { next + 1 };
    hour_word(sentence, behind, locale).is_some()
        || dotted && minutes && opens_range(sentence, behind, locale, left - 1)
}

fn with_minutes(sentence: &Sentence<'_>, time: Time, at: usize) -> Option<Time> {
    let digits = sentence.digits(at).filter(|digits| digits.len() == 2)?;
    let minute: u32 = digits.parse().ok().filter(|minute| *minute < 60)?;
    Some(Time { minute: Some(minute), end: at + 1, ..time })
}

fn with_half(sentence: &Sentence<'_>, time: Time, end: usize) -> Option<Time> {
    let (half, _) = half_of_day(sentence, time.end)?;
    (time.hour <= 12).then_some(Time { half: Some(half), end, ..time })
}

/// `17h30`, `14 h 30`, `18u30`, `9h`.
fn letter_time(sentence: &Sentence<'_>, bare: Time, locale: Locale) -> Option<Time> {
    let letter = match locale.language.calendar.clock {
        Clock::English => return None,
        Clock::HourWord { one: "uur", .. } => "u",
        Clock::HourWord { .. } | Clock::Joint { .. } => "h",
    };
    let german = locale.language.calendar.hour_words.contains(&"Uhr");
    let spaced = sentence.get(bare.end).is_some_and(|token| token.is_spaced);
    if sentence.text(bare.end) != letter || german && !is_german_clock(sentence, bare) || letter == "u" && spaced {
        return None;
    }
    let behind = bare.end + 1;
    // "24h/24" is an expression.
    if sentence.glued_sign(behind, &["/"]) {
        return None;
    }
    let minutes = with_minutes(sentence, bare, behind).filter(|_| sentence.is_glued(behind) || spaced);
    // "dura 2 h" is how many of them; "alle 9h" and "9h-18h" are times.
    let italian = locale.language.calendar.hour_words.is_empty();
    let before = sentence.words_before(bare.end - 1, 1);
    let preposition =
        before.first().is_some_and(|word| matches!(word.as_str(), "alle" | "dalle" | "ore" | "le" | "entro"));
    let clock = preposition || sentence.dash(behind).is_some();
    if italian && minutes.is_none() && !clock {
        return None;
    }
    let time = match minutes {
        Some(time) => time,
        None if sentence.ends_word(behind) && letter == "h" => Time { minute: Some(0), end: behind, ..bare },
        None => return None,
    };
    // "17h30min".
    let end = if sentence.text(time.end) == "min" && time.minute != Some(0) { time.end + 1 } else { time.end };
    Some(Time { word: HourWord::Between, end, ..time })
}

/// "um 14h", "9 Uhr oder 14h": an hour and not how many of them.
fn is_german_clock(sentence: &Sentence<'_>, bare: Time) -> bool {
    let words = sentence.words_before(bare.end.saturating_sub(1), 3);
    let joined = words.first().is_some_and(|word| matches!(word.as_str(), "oder" | "und" | "bis" | "ab"));
    let adjacent = sentence.before(bare.end.saturating_sub(1)).is_some_and(|before| before.kind == TokenKind::Word);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let clock = word(1) == "uhr" || word(1) == "h" && word(2) == "um";
    if adjacent && is_german_end(sentence, bare, word(0), word(1)) {
        return true;
    }
    adjacent && (words.first().is_some_and(|word| matches!(word.as_str(), "um" | "gegen")) || joined && clock)
}

/// "ab 14 h", "von 9 bis 17 h": hours of a day, unless what they are hours of follows. Fewer are how long it takes.
fn is_german_end(sentence: &Sentence<'_>, bare: Time, before: &str, second: &str) -> bool {
    let next = sentence.word(bare.end + 1);
    let is_counted = next.is_some_and(|next| has_capital(next) || matches!(next, "pro" | "je" | "lang" | "täglich"));
    let opens = matches!((before, second), ("ab" | "bis", _) | ("und", "zwischen"));
    (6..24).contains(&bare.hour) && opens && !is_counted
}

/// "AM", "p.m.", "a. m.": which half, and where it ends. The last dot may be that of the sentence.
fn half_of_day(sentence: &Sentence<'_>, at: usize) -> Option<(DayHalf, usize)> {
    let word = sentence.word(at)?;
    let half = |letter: &str| match letter {
        "a" | "A" => Some(DayHalf::Am),
        "p" | "P" => Some(DayHalf::Pm),
        _ => None,
    };
    if let Some(first) = word.strip_suffix(['m', 'M']).filter(|first| first.len() == 1) {
        return half(first).map(|half| (half, at + 1));
    }
    let dotted = sentence.glued_sign(at + 1, &["."])
        && matches!(sentence.text(at + 2), "m" | "M")
        && sentence.glued_sign(at + 3, &["."]);
    let found = half(word).filter(|_| dotted)?;
    // "5 p. m. Gracias": a capital behind the form with a blank begins a sentence.
    let blank = sentence.get(at + 2).is_some_and(|letter| letter.is_spaced);
    let next_sentence = blank && sentence.word(at + 4).is_some_and(has_capital);
    let last = if sentence.is_end(at + 4) || next_sentence { at + 3 } else { at + 4 };
    Some((found, last))
}

/// The end of a word of the hour behind a time.
pub(super) fn hour_word(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<usize> {
    let start = sentence.get(at)?.start;
    let words = locale.language.calendar.hour_words.iter();
    let found = words.filter(|word| sentence.stands(start, word)).max_by_key(|word| word.len())?;
    let end = sentence.token_from(start + found.len());
    Some(if found.ends_with('.') { full_stops::without(sentence, end, locale) } else { end })
}

/// "3:10" of a ratio, "3:1" of a score; a time has two digits behind the colon.
fn ratio(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (first, second) = (sentence.digits(at)?, sentence.digits(at + 2)?);
    let glued = sentence.glued_sign(at + 1, &[":"]) && sentence.is_glued(at + 2);
    let end = at + 3;
    if !glued || !sentence.ends_word(end) || sentence.glued_sign(end, &[":"]) && sentence.digits(end + 1).is_some() {
        return None;
    }
    let words = sentence.words_before(at, 6);
    let near = words.first().is_some_and(|word| BOOKS.contains(&word.as_str()) || LONG_BOOKS.contains(&word.as_str()));
    let tells = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let calendar = &locale.language.calendar;
    let signs = &locale.language.signs;
    let is_clock = second.len() == 2 && first.len() <= 2;
    let spoken = if near || is_clock && tells(calendar.score_words) && !tells(calendar.ratio_words) {
        // A place in a book, or a score that looks like a time, stays as it is.
        sentence.text.get(sentence.get(at)?.start..sentence.get(at + 2)?.end())?.to_owned()
    } else if tells(calendar.ratio_words) {
        format!("{first} {} {second}", signs.ratio)
    } else if second.len() == 1 && first.len() <= 3 {
        let score = if signs.score.is_empty() { signs.ratio } else { signs.score };
        if tells(calendar.score_words) && signs.score.is_empty() {
            format!("{first} {second}")
        } else {
            format!("{first} {score} {second}")
        }
    } else if is_clock && is_named_place(sentence, at, second, locale) {
        sentence.text.get(sentence.get(at)?.start..sentence.get(at + 2)?.end())?.to_owned()
    } else {
        return None;
    };
    Reading::new(end, spoken)
}

/// "Ezra 7:13": a name before, and minutes that nobody meets at.
fn is_named_place(sentence: &Sentence<'_>, at: usize, minutes: &str, locale: Locale) -> bool {
    let Some(before) = sentence.before(at) else { return false };
    let calendar = &locale.language.calendar;
    let is_day = calendar.days.contains(&before.text) || calendar.months.contains(&before.text);
    let german = calendar.hour_words.contains(&"Uhr");
    before.kind == TokenKind::Word
        && has_capital(before.text)
        && !is_day
        && !german
        && !sentence.is_sentence_start(at - 1)
        && !minutes.ends_with(['0', '5'])
}

fn say(sentence: &Sentence<'_>, at: usize, time: Time, locale: Locale) -> String {
    let minute = time.minute.unwrap_or(0);
    match locale.language.calendar.clock {
        Clock::English => english(sentence, time, minute),
        Clock::HourWord { one, many, joint } => {
            let french = many == "heures";
            let word = if time.hour == 1 || french && time.hour == 0 { one } else { many };
            match minute {
                // "10:00 - 12:00 uur" and "9:00 tot 17:00 uur" say the word twice at most.
                0 => format!("{} {word}", time.hour),
                _ => format!("{} {word} {joint}{minute}", time.hour),
            }
        }
        Clock::Joint { one, many, joint } => {
            let half = time.half.map(|half| spanish_half(half, time.hour)).unwrap_or("");
            let article = is_behind_clock_word(sentence, at);
            let word = if time.hour == 1 { one } else { many };
            match minute {
                0 if !half.is_empty() => format!("{}{half}", time.hour),
                0 if (time.word != HourWord::Left || !article) && !word.is_empty() => format!("{} {word}", time.hour),
                0 => time.hour.to_string(),
                // "dura 2h30".
                _ if time.word == HourWord::Between && !article => {
                    let unit = locale.language.units.iter().find(|unit| unit.written.contains(&"h"));
                    let word = unit.map_or("", |unit| if time.hour == 1 { unit.one } else { unit.many });
                    format!("{} {word} {joint} {minute}", time.hour)
                }
                _ => format!("{} {joint} {minute}{half}", time.hour),
            }
        }
    }
}

/// Words before a time of the day.
fn is_behind_clock_word(sentence: &Sentence<'_>, at: usize) -> bool {
    let before = sentence.words_before(at, 1);
    before.first().is_some_and(|word| {
        matches!(
            word.as_str(),
            "las" | "la" | "alle" | "dalle" | "ore" | "le" | "a" | "de" | "y" | "e" | "all" | "ora" | "entro"
        )
    })
}

fn spanish_half(half: DayHalf, hour: u32) -> &'static str {
    match (half, hour) {
        (DayHalf::Am, _) => " de la mañana",
        (DayHalf::Pm, 12) => " del mediodía",
        (DayHalf::Pm, 1..=7) => " de la tarde",
        (DayHalf::Pm, _) => " de la noche",
    }
}

fn english(sentence: &Sentence<'_>, time: Time, minute: u32) -> String {
    let minutes = match minute {
        0 => String::new(),
        1..=9 => format!(" oh {minute}"),
        _ => format!(" {minute}"),
    };
    if let Some(half) = time.half {
        let half = if half == DayHalf::Am { "AM" } else { "PM" };
        return format!("{}{minutes} {half}", time.hour);
    }
    let said = matches!(sentence.word(time.end), Some("noon" | "midnight" | "o" | "hours" | "hrs"));
    match (time.hour, minute) {
        (0, 0) if !said => "midnight".to_owned(),
        (0, 30) => "half past midnight".to_owned(),
        (0, _) => format!("12{minutes} AM"),
        (24, 0) => "midnight".to_owned(),
        (hour, 0) if said => hour.to_string(),
        (hour @ 1..=12, 0) => format!("{hour} o'clock"),
        (hour, 0) => format!("{hour} hundred"),
        (hour, _) => format!("{hour}{minutes}"),
    }
}
