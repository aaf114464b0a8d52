//! Dates as they are said: "the third of March", "morgen", "le 3 mars 2026", "3/4/2026".

use super::calendar::{beside, day_alone, day_of_unit, ends_with_end, near_weekday, weekday_and_day, year_beside};
use super::date_words::{DateWords, date_words, day_number};
use super::numbers::{NumberWords, number_words};
use super::weeks::{Counted, counted};
use super::words::words;
use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

/// The date in a text; without a year, the next one that is not before `today`. `None` if it is none.
pub fn date(text: &str, language: &str, today: Date) -> Option<Date> {
    if let Some(date) = figures(text, language, today) {
        return Some(date);
    }
    let (names, numbers, words) = (date_words(language), number_words(language), words(text));
    if let Some(date) = spoken_figures(&words, numbers, language, today) {
        return Some(date);
    }
    let month_at = |(at, word): (usize, &String)| {
        let month = names.months.iter().position(|names| names.contains(&word.as_str()))?;
        Some((at, i8::try_from(month + 1).ok()?))
    };
    if let Some((at, month)) = words.iter().enumerate().find_map(month_at) {
        return with_month(&words, at, month, (names, numbers), today);
    }
    if let Some(date) = day_of_unit(&words, (names, numbers), today) {
        return Some(date);
    }
    let said = format!(" {} ", words.join(" "));
    let near = names.near.iter().find(|(word, _)| said.contains(&format!(" {word} "))).map(|(_, days)| *days);
    let weekday = words.iter().enumerate().find_map(|(at, word)| {
        let day = names.weekdays.iter().position(|day| word == day)?;
        Some((at, Weekday::from_monday_zero_offset(i8::try_from(day).ok()?).ok()?))
    });
    let counted = counted(&words, numbers, weekday.map(|(at, _)| at));
    if let Some(Counted::Week(weeks)) = counted {
        let (_, weekday) = weekday?;
        let sunday = today.tomorrow().ok()?.nth_weekday(-1, Weekday::Monday).ok()?.yesterday().ok()?;
        return sunday.nth_weekday(1, weekday).ok()?.checked_add(weeks.weeks()).ok();
    }
    let day = match (near, weekday) {
        (Some(days), _) => today.checked_add(days.days()).ok()?,
        (None, Some((at, weekday))) => weekday_and_day(&words, at, weekday, (names, numbers), today)
            .map_or_else(|| near_weekday(&words, at, weekday, today), Some)?,
        (None, None) if counted.is_some() => today,
        (None, None) => return day_alone(&words, language, (names, numbers), today),
    };
    match counted {
        Some(Counted::Days(days)) => day.checked_add(days.days()).ok(),
        Some(Counted::Week(_)) | None => Some(day),
    }
}

/// A day, a month by its name, and perhaps a year.
fn with_month(words: &[String], at: usize, month: i8, known: (&DateWords, &NumberWords), today: Date) -> Option<Date> {
    let (before, after) = (words.get(..at)?, words.get(at + 1..)?);
    let relative = year_beside(words);
    let near_year = |month, day| match relative {
        Some(years) => Date::new(today.year() + years, month, day).ok(),
        None if beside(words, at) == Some(-1) => last_of(month, day, today),
        None => next_of(month, day, today),
    };
    if let Some(end) = end_of_month(before, after, month, known.1, &near_year) {
        return Some(end);
    }
    // The day stands close before the month, or follows it: "the third of March", "March third".
    let starts = (before.len().saturating_sub(4)..before.len()).rev();
    let mut day = None;
    for start in starts {
        if let Some((value, used)) = day_number(before.get(start..)?, known)
            && before.get(start + used..)?.iter().all(|word| word.len() <= 3)
        {
            day = Some(value);
        }
    }
    let (day, rest) = match day {
        Some(day) => (day, after),
        None => {
            let skipped = after.iter().take_while(|word| matches!(word.as_str(), "the" | "de" | "den")).count();
            let (day, used) = day_number(after.get(skipped..)?, known)?;
            (day, after.get(skipped + used..)?)
        }
    };
    let day = i8::try_from(day).ok()?;
    let skipped =
        rest.iter().take_while(|word| matches!(word.as_str(), "of" | "in" | "de" | "del" | "do" | "year")).count();
    match year(rest.get(skipped..)?, known.1) {
        Some(year) => Date::new(year, month, day).ok(),
        None => near_year(month, day),
    }
}

/// "The end of March", "Ende März 2027".
fn end_of_month(
    before: &[String], after: &[String], month: i8, numbers: &NumberWords, near: &dyn Fn(i8, i8) -> Option<Date>,
) -> Option<Date> {
    if !ends_with_end(before) {
        return None;
    }
    let skipped = after.iter().take_while(|word| matches!(word.as_str(), "of" | "de" | "del")).count();
    let first = match year(after.get(skipped..)?, numbers) {
        Some(year) => Date::new(year, month, 1).ok()?,
        None => near(month, 28)?,
    };
    Some(first.last_of_month())
}

/// A year of four digits, or of two numbers: "twenty twenty six", "nineteen eighty four".
fn year(words: &[String], numbers: &NumberWords) -> Option<i16> {
    let (first, used) = numbers.number(words)?;
    let whole = if (10..100).contains(&first) {
        let (second, _) = numbers.number(words.get(used..)?)?;
        (second < 100).then(|| first * 100 + second)?
    } else {
        first
    };
    i16::try_from(whole).ok().filter(|year| (1_800..=2_200).contains(year))
}

/// `2026-04-03`, `3.4.2026`, `3/4/26`, `3/4`. Americans write the month first.
fn figures(text: &str, language: &str, today: Date) -> Option<Date> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_digit());
        let parts: Vec<i16> = word.split(['-', '/', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        // "4-5" and "4.5" may be anything else.
        let is_date = parts.len() == 3 || word.contains('/') || word.starts_with('0');
        ordered(&parts, language, today).filter(|_| is_date)
    })
}

/// A date of two or three numbers, in the order of the language; in the other one where that is none.
fn ordered(parts: &[i16], language: &str, today: Date) -> Option<Date> {
    let (first, second, year) = match *parts {
        [year, month, day] if year > 31 => return Date::new(year, as_i8(month)?, as_i8(day)?).ok(),
        [first, second, year] if year < 100 => (first, second, Some(year + if year > 40 { 1_900 } else { 2_000 })),
        [first, second, year] => (first, second, Some(year)),
        [first, second] => (first, second, None),
        _ => return None,
    };
    let (first, second) = (as_i8(first)?, as_i8(second)?);
    let month_first = language.eq_ignore_ascii_case("en-US");
    let orders = [(first, second), (second, first)];
    let (day, month) = if month_first { (orders[1], orders[0]) } else { (orders[0], orders[1]) };
    [day, month].into_iter().find_map(|(day, month)| match year {
        Some(year) => Date::new(year, month, day).ok(),
        None => next_of(month, day, today),
    })
}

fn as_i8(value: i16) -> Option<i8> {
    i8::try_from(value).ok()
}

/// The next such day that is not before today.
fn next_of(month: i8, day: i8, today: Date) -> Option<Date> {
    let this_year = Date::new(today.year(), month, day).ok().filter(|date| *date >= today);
    this_year.or_else(|| (1..=4).find_map(|years| Date::new(today.year() + years, month, day).ok()))
}

/// The last such day before today.
fn last_of(month: i8, day: i8, today: Date) -> Option<Date> {
    (0..=4).find_map(|years| Date::new(today.year() - years, month, day).ok().filter(|date| *date < today))
}

/// What stands between the figures of a date that is said, folded: "oh four slash oh five".
const BETWEEN_FIGURES: [&str; 17] = [
    "/",
    "slash",
    "stroke",
    "dash",
    "dot",
    "streep",
    "streepje",
    "punt",
    "schragstrich",
    "strich",
    "punkt",
    "barre",
    "tiret",
    "point",
    "barra",
    "punto",
    "ponto",
];

/// "oh four slash oh five", "vier punkt fünf punkt zwanzig sechsundzwanzig".
fn spoken_figures(words: &[String], numbers: &NumberWords, language: &str, today: Date) -> Option<Date> {
    let is_between = |word: &String| BETWEEN_FIGURES.contains(&word.as_str());
    let is_number = |word: &&String| {
        word.bytes().all(|b| b.is_ascii_digit())
            || numbers.one_word(word).is_some()
            || numbers.is_thousand(word)
            || numbers.is_joiner(word)
    };
    let mut parts: Vec<&[String]> = words.split(is_between).collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    // Before the first and behind the last number are other words.
    let first = parts.first_mut()?;
    let before = first.iter().rev().take_while(is_number).count();
    *first = first.get(first.len() - before..)?;
    let last = parts.last_mut()?;
    *last = last.get(..last.iter().take_while(is_number).count())?;
    let values: Vec<i16> = parts.into_iter().map(|part| figure(part, numbers)).collect::<Option<_>>()?;
    ordered(&values, language, today)
}

/// A number of a date: "oh four", "04", "twenty twenty six", "two six".
fn figure(words: &[String], numbers: &NumberWords) -> Option<i16> {
    let joined = words.iter().take_while(|word| numbers.is_joiner(word)).count();
    let words = words.get(joined..)?;
    let whole = numbers.number(words).filter(|(_, used)| *used == words.len());
    if let Some((value, _)) = whole {
        return i16::try_from(value).ok();
    }
    if let Some(year) = year(words, numbers) {
        return Some(year);
    }
    let digit = |word: &String| match word.parse::<u64>() {
        Ok(_) => Some(word.clone()),
        Err(_) => numbers.one_word(word).map(|value| value.to_string()),
    };
    words.iter().map(digit).collect::<Option<String>>()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Saturday.
    const TODAY: Date = jiff::civil::date(2026, 11, 28);

    #[test]
    fn days_are_counted_from_others() {
        for (language, text, wanted) in [
            ("en", "a week from Tuesday", "2026-12-08"),
            ("en", "a week on Tuesday", "2026-12-08"),
            ("en", "Tuesday week", "2026-12-08"),
            ("en", "two weeks from Tuesday", "2026-12-15"),
            ("en", "a week from tomorrow", "2026-12-06"),
            ("en", "in a week", "2026-12-05"),
            ("en", "in ten days", "2026-12-08"),
            ("en", "ten days from now", "2026-12-08"),
            ("en", "a fortnight on Monday", "2026-12-14"),
            ("en", "a week ago", "2026-11-21"),
            ("en", "next week Friday", "2026-12-04"),
            ("en", "Tuesday next week", "2026-12-01"),
            ("nl", "dinsdag over een week", "2026-12-08"),
            ("nl", "over twee weken", "2026-12-12"),
            ("de", "Dienstag in einer Woche", "2026-12-08"),
            ("de", "Dienstag in acht Tagen", "2026-12-08"),
            ("de", "in zehn Tagen", "2026-12-08"),
            ("fr", "mardi en huit", "2026-12-08"),
            ("fr", "dans une semaine", "2026-12-05"),
            ("es", "dentro de dos semanas", "2026-12-12"),
            ("it", "tra una settimana", "2026-12-05"),
            ("pt", "daqui a uma semana", "2026-12-05"),
        ] {
            let read = date(text, language, TODAY).map(|date| date.to_string());
            assert_eq!(read.as_deref(), Some(wanted), "{language}: {text}");
        }
        for text in ["next week", "any day", "one day"] {
            assert_eq!(date(text, "en", TODAY), None, "{text}");
        }
    }

    const DAYS_AROUND: &[(&str, &str, &str)] = &[
        ("en", "last Monday", "2026-11-23"),
        ("en", "it was last Saturday", "2026-11-21"),
        ("en", "this past Friday", "2026-11-27"),
        ("en", "Monday last week", "2026-11-16"),
        ("en", "last week on Tuesday", "2026-11-17"),
        ("en", "Monday of this week", "2026-11-23"),
        ("en", "this Saturday", "2026-11-28"),
        ("en", "this coming Saturday", "2026-12-05"),
        ("en", "this Sunday", "2026-11-29"),
        ("en", "the third of March last year", "2025-03-03"),
        ("en", "the third of December next year", "2027-12-03"),
        ("en", "last March third", "2026-03-03"),
        ("en", "the end of the month", "2026-11-30"),
        ("en", "at the end of next month", "2026-12-31"),
        ("en", "the last day of this month", "2026-11-30"),
        ("en", "the end of February", "2027-02-28"),
        ("en", "the end of the year", "2026-12-31"),
        ("en", "the fifth of next month", "2026-12-05"),
        ("en", "the third of last month", "2026-10-03"),
        ("en", "the twenty second", "2026-12-22"),
        ("en", "on the 29th please", "2026-11-29"),
        ("en", "how about the 3rd?", "2026-12-03"),
        ("en", "the thirty first", "2026-12-31"),
        ("en", "the first of the month", "2026-12-01"),
        ("en", "Tuesday the twenty second", "2026-12-22"),
        ("en", "Tuesday 22nd at noon", "2026-12-22"),
        ("en", "Monday first thing", "2026-11-30"),
        ("en", "Monday, the first one you have", "2026-11-30"),
        ("en", "last Friday the thirteenth", "2026-11-13"),
        ("fr", "mardi quatorze heures", "2026-12-01"),
        ("nl", "dinsdag 14 uur", "2026-12-01"),
        ("nl", "afgelopen maandag", "2026-11-23"),
        ("nl", "maandag vorige week", "2026-11-16"),
        ("nl", "deze zaterdag", "2026-11-28"),
        ("nl", "eind van de maand", "2026-11-30"),
        ("nl", "eind volgende maand", "2026-12-31"),
        ("nl", "drie maart vorig jaar", "2025-03-03"),
        ("nl", "de tweeëntwintigste", "2026-12-22"),
        ("nl", "dinsdag de 22e", "2026-12-22"),
        ("de", "letzten Montag", "2026-11-23"),
        ("de", "am vergangenen Freitag", "2026-11-27"),
        ("de", "Montag letzter Woche", "2026-11-16"),
        ("de", "diesen Samstag", "2026-11-28"),
        ("de", "Ende des Monats", "2026-11-30"),
        ("de", "am Monatsende", "2026-11-30"),
        ("de", "Ende März", "2027-03-31"),
        ("de", "am dritten März letzten Jahres", "2025-03-03"),
        ("de", "am zweiundzwanzigsten", "2026-12-22"),
        ("de", "am Dienstag, dem 22.", "2026-12-22"),
        ("fr", "lundi dernier", "2026-11-23"),
        ("fr", "lundi de la semaine dernière", "2026-11-16"),
        ("fr", "ce samedi", "2026-11-28"),
        ("fr", "à la fin du mois", "2026-11-30"),
        ("fr", "fin du mois prochain", "2026-12-31"),
        ("fr", "le trois mars de l'année dernière", "2025-03-03"),
        ("fr", "le vingt-deux", "2026-12-22"),
        ("fr", "mardi 22", "2026-12-22"),
        ("es", "el lunes pasado", "2026-11-23"),
        ("es", "el pasado lunes", "2026-11-23"),
        ("es", "el lunes de la semana pasada", "2026-11-16"),
        ("es", "este sábado", "2026-11-28"),
        ("es", "a fin de mes", "2026-11-30"),
        ("es", "el último día del mes", "2026-11-30"),
        ("es", "el veintidós", "2026-12-22"),
        ("es", "el día veintidós", "2026-12-22"),
        ("it", "lunedì scorso", "2026-11-23"),
        ("it", "lo scorso lunedì", "2026-11-23"),
        ("it", "questo sabato", "2026-11-28"),
        ("it", "alla fine del mese", "2026-11-30"),
        ("it", "il ventidue", "2026-12-22"),
        ("it", "lunedì della settimana scorsa", "2026-11-16"),
        ("pt", "segunda-feira passada", "2026-11-23"),
        ("pt", "na segunda passada", "2026-11-23"),
        ("pt", "este sábado", "2026-11-28"),
        ("pt", "no fim do mês", "2026-11-30"),
        ("pt", "dia vinte e dois", "2026-12-22"),
    ];

    #[test]
    fn days_behind_and_days_of_a_month_are_read_in_each_language() {
        let mut misread = Vec::new();
        for &(language, text, wanted) in DAYS_AROUND {
            let read = date(text, language, TODAY).map(|date| date.to_string());
            if read.as_deref() != Some(wanted) {
                misread.push((language, text, wanted, read));
            }
        }
        assert_eq!(misread, []);
        for (language, text) in [
            ("nl", "over een maand"),
            ("fr", "dans un mois"),
            ("es", "dentro de un mes"),
            ("it", "tra un mese"),
            ("pt", "daqui a um mês"),
            ("en", "an hour"),
            ("en", "just a second"),
            ("en", "one second"),
            ("en", "last week"),
            ("en", "the end of the week"),
            ("en", "twenty two"),
            ("en", "the first one"),
            ("nl", "een seconde"),
            ("de", "zweiundzwanzig"),
        ] {
            assert_eq!(date(text, language, TODAY), None, "{text}");
        }
    }

    #[test]
    fn dates_of_figures_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "5/13/2027", "2027-05-13"),
            ("en", "4/5", "2027-05-04"),
            ("en", "oh four slash oh five", "2027-05-04"),
            ("en-US", "oh four slash oh five", "2027-04-05"),
            ("en", "it's zero four / zero five / twenty twenty seven please", "2027-05-04"),
            ("en", "04 slash 05 slash 27", "2027-05-04"),
            ("en", "three dash four dash nineteen eighty four", "1984-04-03"),
            ("en", "twelve slash thirty one", "2026-12-31"),
            ("nl", "nul vier streepje nul vijf", "2027-05-04"),
            ("nl", "vier slash vijf slash tweeduizend zevenentwintig", "2027-05-04"),
            ("de", "null vier Punkt null fünf Punkt zweitausendsiebenundzwanzig", "2027-05-04"),
            ("fr", "zéro quatre slash zéro cinq slash deux mille vingt-sept", "2027-05-04"),
            ("es", "cuatro barra cinco", "2027-05-04"),
            ("it", "zero quattro barra zero cinque", "2027-05-04"),
            ("pt", "quatro barra cinco barra dois mil e vinte e sete", "2027-05-04"),
        ] {
            let read = date(text, language, TODAY).map(|date| date.to_string());
            assert_eq!(read.as_deref(), Some(wanted), "{language}: {text}");
        }
    }

    #[test]
    fn dates_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "the third of March", "2027-03-03"),
            ("en", "December 24th", "2026-12-24"),
            ("en", "tomorrow", "2026-11-29"),
            ("en", "the day after tomorrow", "2026-11-30"),
            ("en", "next Friday", "2026-12-04"),
            ("en", "on Saturday", "2026-12-05"),
            ("en", "May twenty first, nineteen eighty four", "1984-05-21"),
            ("en", "2027-02-01", "2027-02-01"),
            ("en", "3/4/2027", "2027-04-03"),
            ("en-US", "3/4/2027", "2027-03-04"),
            ("en", "the 31st of January twenty twenty seven", "2027-01-31"),
            ("nl", "drie maart", "2027-03-03"),
            ("nl", "eenentwintig mei negentien vierentachtig", "1984-05-21"),
            ("nl", "morgen", "2026-11-29"),
            ("nl", "24 december", "2026-12-24"),
            ("nl", "vrijdag", "2026-12-04"),
            ("nl", "de derde april tweeduizend zevenentwintig", "2027-04-03"),
            ("de", "am dritten März", "2027-03-03"),
            ("de", "der einundzwanzigste Mai neunzehnhundertvierundachtzig", "1984-05-21"),
            ("de", "übermorgen", "2026-11-30"),
            ("de", "24. Dezember", "2026-12-24"),
            ("de", "3.4.2027", "2027-04-03"),
            ("fr", "le trois mars", "2027-03-03"),
            ("fr", "le premier avril deux mille vingt-sept", "2027-04-01"),
            ("fr", "demain", "2026-11-29"),
            ("fr", "le vingt et un mai mille neuf cent quatre-vingt-quatre", "1984-05-21"),
            ("es", "el tres de marzo", "2027-03-03"),
            ("es", "mañana", "2026-11-29"),
            ("es", "el veintiuno de mayo de mil novecientos ochenta y cuatro", "1984-05-21"),
            ("it", "il tre marzo", "2027-03-03"),
            ("it", "domani", "2026-11-29"),
            ("it", "ventuno maggio millenovecentottantaquattro", "1984-05-21"),
            ("pt", "três de março", "2027-03-03"),
            ("pt", "amanhã", "2026-11-29"),
            ("pt", "primeiro de abril de dois mil e vinte e sete", "2027-04-01"),
        ] {
            let read = date(text, language, TODAY).map(|date| date.to_string());
            assert_eq!(read.as_deref(), Some(wanted), "{language}: {text}");
        }
        for text in
            ["no idea", "the 35th of March", "30 February 2027", "", "4-5 people", "slash", "four slash", "a slash b"]
        {
            assert_eq!(date(text, "en", TODAY), None, "{text}");
        }
    }
}
