//! Ordinals with º and ª, which many voices take for degrees.

use super::locale::Locale;
use super::numbers::behind_hyphen;
use super::tokens::{Reading, Sentence};

/// Reads "2º", "3.ª", "3.er" that begin at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let ordinals = locale.language.ordinals.as_ref()?;
    if let Some(reading) = weekday(sentence, at, locale) {
        return Some(reading);
    }
    let number: usize = sentence.digits(at).filter(|digits| digits.len() <= 2)?.parse().ok()?;
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let dotted = sentence.glued_sign(at + 1, &["."]);
    let mark = if dotted { at + 2 } else { at + 1 };
    if !sentence.is_glued(mark) || !sentence.ends_word(mark + 1) {
        return None;
    }
    let index = number.checked_sub(1)?;
    let next = sentence.text(mark + 1);
    if sentence.text(mark) == "°" {
        return degree_sign(sentence, at, mark + 1, number, locale);
    }
    let word = match sentence.text(mark) {
        "ª" => *ordinals.feminine.get(index)?,
        // A degree sign before a capital is a temperature: "5°C" is no "5º C".
        "º" if !matches!(next, "C" | "F") => {
            let noun = sentence.word(mark + 1).is_some_and(|word| {
                let side = word.starts_with("izq") || word.starts_with("dch") || matches!(word, "izda" | "derecha");
                word != ordinals.of && word.chars().count() > 2 && !side
            });
            let short = ordinals.short.iter().find(|(of, _)| *of == number).filter(|_| noun);
            short.map_or(*ordinals.masculine.get(index)?, |(_, word)| word)
        }
        "er" if !ordinals.short.is_empty() => ordinals.short.iter().find(|(of, _)| *of == number)?.1,
        _ => return None,
    };
    Reading::new(mark + 1, word)
}

/// The mark of a weekday of Portuguese behind its number, and where it ends: "3.ª", "3a".
fn weekday_mark(sentence: &Sentence<'_>, at: usize) -> Option<(usize, usize)> {
    let number: usize = sentence.digits(at)?.parse().ok().filter(|number| (2..=6).contains(number))?;
    let mark = if sentence.glued_sign(at + 1, &["."]) { at + 2 } else { at + 1 };
    (matches!(sentence.text(mark), "ª" | "a" | "as") && sentence.is_glued(mark)).then_some((number, mark + 1))
}

/// "3.ª-feira" is "terça-feira", not the third one; so is the first of "2.ª a 6.ª-feira".
fn weekday(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !locale.is_portuguese() || !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let (number, end) = weekday_mark(sentence, at)?;
    let day = locale.language.calendar.days.get(number - 2)?;
    let named = |end: usize| {
        let name = if sentence.glued_sign(end, &["-", "‑", "–"]) { end + 1 } else { end };
        matches!(sentence.text(name), "feira" | "feiras").then_some(name)
    };
    if let Some(name) = named(end) {
        let plural = sentence.text(name) == "feiras";
        let said = if plural { day.replace("-feira", "s-feiras") } else { (*day).to_owned() };
        return Reading::new(name + 1, said);
    }
    // "de 3.ª a 5.ª-feira", "2.ª, 4.ª e 6.ª-feira".
    let mut next = end;
    for _ in 0..4 {
        if !matches!(sentence.text(next), "a" | "à" | "e" | "ou" | ",") {
            return None;
        }
        let (_, behind) = weekday_mark(sentence, next + 1)?;
        if named(behind).is_some() {
            return Reading::new(end, day.trim_end_matches("-feira"));
        }
        next = behind;
    }
    None
}

/// The first of a month: "1° maggio".
fn is_month(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let months = &locale.language.calendar.months;
    sentence.word(at).is_some_and(|word| months.contains(&word.to_lowercase().as_str()))
}

/// "al 2° piano", "5° posto", "1° de mayo": the degree sign stands for the ordinal one. Behind an article of the singular
/// it does, and before a noun that has ordinals; elsewhere it is a temperature or an angle.
fn degree_sign(sentence: &Sentence<'_>, at: usize, end: usize, number: usize, locale: Locale) -> Option<Reading> {
    let ordinals = locale.language.ordinals.as_ref()?;
    let (masculine, feminine) = ordinals.articles;
    let noun = sentence.word(end).filter(|_| sentence.get(end).is_some_and(|next| next.is_spaced));
    let of_month = noun == Some(ordinals.of) && is_month(sentence, end + 1, locale);
    let before = sentence.before(at).filter(|_| sentence.get(at).is_some_and(|token| token.is_spaced));
    let before = before.map_or(String::new(), |before| before.text.to_lowercase());
    let named = noun.is_some_and(|noun| ordinals.nouns.contains(&noun.to_lowercase().as_str()))
        || of_month
        || ordinals.nouns.contains(&before.as_str()) && noun.is_none()
        || number == 1 && is_month(sentence, end, locale);
    let is_article = masculine.contains(&before.as_str()) || feminine.contains(&before.as_str());
    let is_temperature = matches!(sentence.text(end), "C" | "F" | "K")
        || sentence.glued_sign(end, &["/", "′", "'"])
        || sentence.word(end).is_some() && noun.is_none();
    if is_temperature || !named && !is_article {
        return None;
    }
    let ends_feminine = |noun: &str| {
        noun.ends_with('a') && !matches!(noun, "día" | "dia" | "tema" | "problema")
            || ["ção", "ción", "zione"].iter().any(|end| noun.ends_with(end))
            || matches!(noun, "vez" | "fase" | "parte" | "classe" | "clase" | "série" | "edição")
    };
    let is_feminine = match named && !is_article {
        true => ends_feminine(noun.unwrap_or(&before)),
        false => feminine.contains(&before.as_str()),
    };
    let index = number.checked_sub(1)?;
    let table = if is_feminine { ordinals.feminine } else { ordinals.masculine };
    let before_noun = noun.is_some_and(|noun| noun != ordinals.of && noun.chars().count() > 2);
    let short = ordinals.short.iter().find(|(of, _)| *of == number && before_noun && !is_feminine);
    Reading::new(end, short.map_or(*table.get(index)?, |(_, word)| word))
}
