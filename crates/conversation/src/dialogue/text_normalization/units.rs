//! Units behind numbers: "7 km", "-3 °C", "85 m²", "0.5%-1%", "1h 20min".

use super::full_stops;
use super::language::Unit;
use super::locale::Locale;
use super::numbers::{Number, behind_hyphen, is_before_noun, number, range};
use super::ranges::say_range;
use super::street_directions;
use super::tokens::{Reading, Sentence, TokenKind};

/// The unit that stands at a token, and where it ends. The longest one is meant.
pub(super) fn unit(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(&'static Unit, usize)> {
    let start = sentence.get(at)?.start;
    let mut best: Option<(&'static Unit, usize, bool)> = None;
    for unit in locale.language.units {
        for written in unit.written {
            let octets = start + written.len();
            // The Dutch "t/m" is no ton, nor are "t-shirts".
            if *written == "t" && sentence.glued_sign(at + 1, &["/", "-"]) {
                continue;
            }
            // "2020 art. 5" is a place in a law.
            if written.starts_with("art") && sentence.digits(at + 2).is_some() {
                continue;
            }
            if sentence.stands(start, written) && best.is_none_or(|(_, longest, _)| octets > longest) {
                best = Some((unit, octets, written.ends_with('.')));
            }
        }
    }
    let (unit, octets, dotted) = best?;
    if street_directions::is_direction(sentence, at, locale) {
        return None;
    }
    let end = sentence.token_from(octets);
    // "5 km. de aquí": no sentence ends before a small letter.
    if !dotted && sentence.glued_sign(end, &["."]) && goes_on_small(sentence, end + 1) {
        return Some((unit, end + 1));
    }
    // The dot of "min." belongs to a sentence that ends, or that is followed by another one.
    Some((unit, if dotted { full_stops::without(sentence, end, locale) } else { end }))
}

/// Whether a small letter follows behind a blank.
fn goes_on_small(sentence: &Sentence<'_>, at: usize) -> bool {
    let next = sentence.get(at).filter(|next| next.is_spaced);
    next.is_some_and(|next| next.text.starts_with(char::is_lowercase))
}

/// What stands behind "/" of an amount: a unit, or a word as it is.
pub(super) fn per_name(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(String, usize)> {
    let start = sentence.get(at)?.start;
    let named = locale.language.per_names.iter().filter(|(written, _)| sentence.stands(start, written));
    if let Some((written, name)) = named.max_by_key(|(written, _)| written.len()) {
        let end = sentence.token_from(start + written.len());
        let end = if written.ends_with('.') { full_stops::without(sentence, end, locale) } else { end };
        return Some(((*name).to_owned(), end));
    }
    if let Some((unit, end)) = unit(sentence, at, locale)
        && sentence.ends_word(end)
    {
        return Some((unit.one.to_owned(), end));
    }
    let word = sentence.word(at).filter(|word| word.chars().count() >= 3 && sentence.ends_word(at + 1))?;
    Some((word.to_owned(), at + 1))
}

/// Reads a number, or a range, with its unit.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let whole = feet_and_inches(sentence, at, locale)
        .or_else(|| hyphenated(sentence, at, locale))
        .or_else(|| without_number(sentence, at, locale));
    if whole.is_some() {
        return whole;
    }
    let (minus, start) = match sentence.minus(at) {
        Some(behind) => (format!("{} ", locale.language.signs.minus), behind),
        None if sentence.text(at) == "+" && sentence.is_glued(at + 1) => {
            (format!("{} ", locale.language.signs.plus), at + 1)
        }
        None => (String::new(), at),
    };
    // "0.5%-1%" and "3-5 km".
    let first = number(sentence, start, locale)?;
    let behind = unit(sentence, first.end, locale);
    let after_unit = behind.map_or(first.end, |(_, end)| end);
    if let Some(dash) = sentence.dash(after_unit)
        && let Some(second) = number(sentence, dash, locale)
        && let Some((unit, end)) = unit(sentence, second.end, locale)
        && behind.is_none_or(|(first, _)| std::ptr::eq(first, unit))
        && sentence.ends_word(end)
    {
        let numbers = say_range(sentence, at, &first.say(locale), &second.say(locale), locale);
        return Reading::new(end, format!("{minus}{numbers} {}", name(unit, &second, locale)));
    }
    if range(sentence, start, locale).is_some() {
        return None;
    }
    let (unit, end) = behind?;
    if !sentence.ends_word(end) && sentence.digits(end).is_none() {
        return None;
    }
    let spoken = format!("{minus}{}", first.say(locale));
    if let Some(reading) = compound(sentence, unit, end, &spoken, locale) {
        return Some(reading);
    }
    // "24h/24" is "24 hours of 24".
    if sentence.glued_sign(end, &["/"])
        && sentence.is_glued(end + 1)
        && sentence.digits(end + 1) == sentence.digits(start)
    {
        let of = if locale.is_french() { "sur" } else { "/" };
        return Reading::new(
            end + 2,
            format!("{spoken} {} {of} {}", name(unit, &first, locale), sentence.text(end + 1)),
        );
    }
    if let Some((per, end)) = per(sentence, end, locale) {
        return Reading::new(end, format!("{spoken} {} {per}", name(unit, &first, locale)));
    }
    if let Some((inches, end)) = inches(sentence, unit, end, locale) {
        return Reading::new(end, format!("{spoken} {} {inches}", name(unit, &first, locale)));
    }
    let unit_name = if is_before_noun(sentence, at, end, locale) { unit.one } else { name(unit, &first, locale) };
    Reading::new(end, format!("{spoken} {unit_name}"))
}

/// Signs of units that are no words of any language.
const PLAIN_SIGNS: &[&str] = &[
    "kg", "km", "km²", "m²", "m2", "m³", "m3", "cm", "mm", "qm", "cbm", "mq", "mc", "kWh", "MWh", "MB", "GB", "TB",
    "ml", "min", "Std", "Stk", "h", "l", "L",
];

/// A unit without its number: "pro m²", "le kg", "los km 12 y 18".
fn without_number(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at).filter(|token| token.is_spaced && token.kind == TokenKind::Word)?;
    let (unit, end) = unit(sentence, at, locale).filter(|(_, end)| sentence.ends_word(*end))?;
    if is_behind_scale(sentence, at, locale) {
        return Reading::new(end, unit.many);
    }
    let before = sentence.before(at).filter(|before| before.kind == TokenKind::Word)?.text.to_lowercase();
    let written = sentence.text.get(token.start..sentence.before(end)?.end())?;
    if written == "km" && sentence.digits(end).is_some() && !sentence.is_glued(end) {
        let plural =
            matches!(before.as_str(), "los" | "les" | "des" | "aux" | "os" | "dos" | "aos" | "i" | "ai" | "dei");
        return Reading::new(end, if plural { unit.many } else { unit.one });
    }
    let (per, articles): (&[&str], &[&str]) = match locale.language.signs.and {
        "und" => (&["pro", "je"], &[]),
        "et" => (&["par"], &["le", "au", "du"]),
        "y" => (&["por"], &["el", "al", "del"]),
        "e" if locale.is_portuguese() => (&["por"], &["o", "do"]),
        "e" => (&["per"], &["il", "al"]),
        _ => (&["per"], &[]),
    };
    let asked = per.contains(&before.as_str()) || articles.contains(&before.as_str()) && written.chars().count() > 1;
    (asked && PLAIN_SIGNS.contains(&written)).then(|| Reading { end, spoken: unit.one.to_owned() })
}

/// "93 Tsd. km²", "2 millones de kg": a number, a scale, and perhaps "de" stand before.
fn is_behind_scale(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let skips = |at: usize| at.checked_sub(1).filter(|back| matches!(sentence.text(*back), "." | "de" | "di" | "of"));
    let behind = skips(at).map_or(at, |back| skips(back).unwrap_or(back));
    let Some(last) = behind.checked_sub(1) else { return false };
    let word = sentence.word(last).unwrap_or("");
    let is_scale = |written: &str| written.trim_end_matches('.').rsplit(' ').next() == Some(word);
    let mut scales = locale.language.money.scales.iter().flat_map(|scale| scale.written);
    let counted = (last.saturating_sub(2)..last).any(|at| sentence.digits(at).is_some());
    word.chars().count() >= 2 && counted && scales.any(|written| is_scale(written))
}

/// "per kilogram", "al mese".
pub(super) fn say_per(name: &str, locale: Locale) -> String {
    let per = locale.language.per;
    match name {
        "mes" | "año" | "día" if locale.is_spanish() => return format!("al {name}"),
        "semana" if locale.is_spanish() => return format!("a la {name}"),
        _ => {}
    }
    if !locale.is_italian() {
        return format!("{per} {name}");
    }
    match name {
        "persona" | "notte" | "testa" | "copia" => format!("a {name}"),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("all'{name}"),
        _ if name.ends_with('a') => format!("alla {name}"),
        _ if name.ends_with(['o', 'e']) => format!("al {name}"),
        _ => format!("{per} {name}"),
    }
}

/// "15000 km-beurt", "10 kg-Sack": one word with what follows.
fn compound(sentence: &Sentence<'_>, unit: &Unit, end: usize, spoken: &str, locale: Locale) -> Option<Reading> {
    let joined = sentence.glued_sign(end, &["-"]) && sentence.is_glued(end + 1);
    let word = sentence.word(end + 1).filter(|_| joined)?;
    let joint = if locale.is_dutch() { "" } else { "-" };
    Reading::new(end + 2, format!("{spoken} {}{joint}{word}", unit.one))
}

/// "a 5-yr. warranty", "a 10-lb bag": English joins number and unit before a noun.
fn hyphenated(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let joined = sentence.glued_sign(at + 1, &["-", "‑"]) && sentence.is_glued(at + 2);
    let count = sentence.digits(at).filter(|_| joined && locale.is_english())?;
    let (unit, end) = unit(sentence, at + 2, locale)
        .or_else(|| singular(sentence, at + 2, locale))
        .filter(|(_, end)| sentence.ends_word(*end))?;
    // "a 3-pt. shot" is one of points, "Apollo 13-B" a name.
    let sure = sentence.text(at + 2).chars().count() >= 2 && !matches!(sentence.text(at + 2), "pt" | "pts");
    let goes_on = sentence.glued_sign(end, &["/", "-"]);
    (sure && !goes_on).then(|| Reading { end, spoken: format!("{count}-{}", unit.one) })
}

/// "yr" and "mo" without a dot, which are units only behind the hyphen of a number.
fn singular(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(&'static Unit, usize)> {
    let name = match sentence.word(at)? {
        "yr" => "year",
        "mo" => "month",
        "wk" => "week",
        "in" => "inch",
        _ => return None,
    };
    let dotted = sentence.glued_sign(at + 1, &["."]) && !sentence.is_end(at + 2);
    let unit = locale.language.units.iter().find(|unit| unit.one == name)?;
    Some((unit, if dotted { at + 2 } else { at + 1 }))
}

/// "/s", "/100 km" behind a unit: what is said for it.
fn per(sentence: &Sentence<'_>, end: usize, locale: Locale) -> Option<(String, usize)> {
    if !sentence.glued_sign(end, &["/"]) || !sentence.is_glued(end + 1) {
        return None;
    }
    let per = locale.language.per;
    if let Some(count) = sentence.digits(end + 1) {
        let (unit, behind) = unit(sentence, end + 2, locale).filter(|(_, behind)| sentence.ends_word(*behind))?;
        return Some((format!("{per} {count} {}", unit.many), behind));
    }
    let (name, behind) = per_name(sentence, end + 1, locale)?;
    sentence.ends_word(behind).then(|| (say_per(&name, locale), behind))
}

/// "6 in" behind feet.
fn inches(sentence: &Sentence<'_>, unit: &Unit, end: usize, locale: Locale) -> Option<(String, usize)> {
    let feet = locale.is_english() && unit.one == "foot";
    let count = sentence.digits(end).filter(|count| feet && count.len() <= 2)?;
    let written = sentence.text(end + 1) == "in" && sentence.ends_word(end + 2);
    let behind = if sentence.glued_sign(end + 2, &["."]) && !sentence.is_end(end + 3) { end + 3 } else { end + 2 };
    written.then(|| (format!("{count} {}", if count == "1" { "inch" } else { "inches" }), behind))
}

/// The name of a unit as its number asks for.
pub(super) fn name(unit: &Unit, number: &Number, locale: Locale) -> &'static str {
    let french = locale.is_french();
    if number.is_one() || french && number.is_below_two() { unit.one } else { unit.many }
}

/// `5'10"` of English.
fn feet_and_inches(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (feet, inches) = (sentence.digits(at)?, sentence.digits(at + 2)?);
    let marks = sentence.glued_sign(at + 1, &["'", "’", "′"]) && sentence.glued_sign(at + 3, &["\"", "”", "″"]);
    let sizes = feet.len() <= 2 && inches.parse::<u8>().is_ok_and(|inches| inches < 12);
    let fits = marks && sentence.is_glued(at + 2) && sizes && locale.is_english();
    fits.then(|| Reading { end: at + 4, spoken: format!("{feet} foot {inches}") })
}
