//! Ranges as a language says them: "3 to 5", "tra il 10 e il 15", "dal 3 al 5". The word before the range decides.

use super::locale::Locale;
use super::tokens::{Sentence, TokenKind};

/// "3 to 5"; "between 3 and 5", "du 3 au 5", "a 15, 20": behind a preposition or article that another one cannot follow,
/// neighbours are joined by "or", and others follow one another.
pub(super) fn say_range(sentence: &Sentence<'_>, at: usize, first: &str, second: &str, locale: Locale) -> String {
    let signs = &locale.language.signs;
    if let Some(joint) = between(sentence, at, second, locale) {
        return format!("{first} {joint}{second}");
    }
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    if let Some((_, to)) = signs.bounds.iter().find(|(from, _)| *from == before) {
        return format!("{first} {to} {second}");
    }
    let is_next =
        sentence.before(at).is_some_and(|token| token.kind == TokenKind::Word || matches!(token.text, "'" | "’"));
    if is_next && signs.ranges.no_range_behind.contains(&before) {
        return beside(first, second, locale);
    }
    match signs.from.is_empty() || signs.from == before {
        true => format!("{first} {} {second}", signs.to),
        false => format!("{} {first} {} {second}", signs.from, signs.to),
    }
}

/// The same for hours: "alle 9 fino alle 10 e 30".
pub(super) fn say_hours(sentence: &Sentence<'_>, at: usize, first: &str, second: &str, locale: Locale) -> String {
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    let bound = locale.language.calendar.hour_bounds.iter().find(|(from, _)| *from == before);
    match bound.filter(|_| between(sentence, at, second, locale).is_none()) {
        Some((_, to)) => format!("{first} {to} {second}"),
        None => say_range(sentence, at, first, second, locale),
    }
}

/// What joins the ends behind "between", with the article of the first one: "and ", "e il ", "y los ".
pub(super) fn between(sentence: &Sentence<'_>, at: usize, second: &str, locale: Locale) -> Option<String> {
    let signs = &locale.language.signs;
    let words = sentence.words_before(at, 2);
    let word = |index: usize| words.get(index).map_or("", String::as_str);
    if signs.between.contains(&word(0)) {
        return Some(format!("{} ", signs.and));
    }
    let article = signs.ranges.articles.iter().find(|article| **article == word(0))?;
    signs.between.contains(&word(1)).then(|| format!("{} {}", signs.and, article_before(second, article, locale)))
}

/// The article of the second end, with what parts it from its number: "il ", "l'" before 8 and 11 in Italian.
fn article_before(number: &str, article: &str, locale: Locale) -> String {
    let vowel = number.starts_with('8') || number == "11";
    match article {
        "il" | "lo" | "l" if locale.is_italian() && vowel => "l'".to_owned(),
        "il" | "lo" | "l" if locale.is_italian() => "il ".to_owned(),
        "i" | "gli" if locale.is_italian() => if vowel { "gli " } else { "i " }.to_owned(),
        _ => format!("{article} "),
    }
}

fn beside(first: &str, second: &str, locale: Locale) -> String {
    let signs = &locale.language.signs;
    let are_neighbours = match (first.parse::<u64>(), second.parse::<u64>()) {
        (Ok(low), Ok(high)) => low.checked_add(1) == Some(high),
        _ => false,
    };
    if are_neighbours {
        // "7 u 8": before a vowel of its own sound Spanish has another word.
        let vowel = locale.is_spanish() && (second.starts_with('8') || second == "11");
        return format!("{first} {} {second}", if vowel { "u" } else { signs.ranges.or });
    }
    let are_numbers =
        [first, second].iter().all(|end| end.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',')));
    // Two days in a row would be those alone.
    let joint = if are_numbers { signs.ranges.listed } else { signs.to };
    let blank = if joint == "," { "" } else { " " };
    format!("{first}{blank}{joint} {second}")
}
