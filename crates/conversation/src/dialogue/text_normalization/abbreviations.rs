//! Abbreviations, with the dots and blanks that they are written with.

use super::full_stops;
use super::language::Place;
use super::locale::Locale;
use super::tokens::{Reading, Sentence, TokenKind, has_capital};

/// Reads an abbreviation that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at)?;
    let glued = sentence.before(at).filter(|_| !token.is_spaced);
    let is_free = glued.is_none_or(|before| {
        before.kind == TokenKind::Sign
            && matches!(before.text, "(" | "\"" | "“" | "„" | "«" | "'" | "’" | "¿" | "¡" | "/" | "[")
            // "Kunden-Nr."
            || before.text == "-" && matches!(token.text, "nr" | "Nr" | "NR")
    });
    if !is_free {
        return None;
    }
    let mut best: Option<(usize, &'static str, Place)> = None;
    for (written, long, place) in locale.language.abbreviations {
        if let Some(octet) = matches(sentence.text, token.start, written)
            && best.is_none_or(|(longest, _, _)| octet > longest)
        {
            let end = sentence.token_from(octet);
            if is_place(sentence, at, end, *place, written) {
                best = Some((octet, long, *place));
            }
        }
    }
    if let Some((octet, long, place)) = best {
        let spoken = capitalized(sentence, at, token.text, feminine(sentence, at, long));
        return Reading::new(end_without_full_stop(sentence, octet, place, locale), spoken);
    }
    suffix(sentence, at, locale)
}

/// The end of an abbreviation that stands in a text; blanks may follow its inner dots, and its first letter may be a
/// capital.
fn matches(text: &str, start: usize, written: &str) -> Option<usize> {
    let mut rest = text.get(start..)?.char_indices().peekable();
    let mut wanted = written.chars().peekable();
    let mut is_first = true;
    let mut end = start;
    while let Some(c) = wanted.next() {
        let (at, found) = rest.next()?;
        let same = found == c || is_first && found.to_lowercase().eq(c.to_lowercase());
        if !same {
            return None;
        }
        end = start + at + found.len_utf8();
        is_first = false;
        if c == '.'
            && wanted.peek().is_some_and(|next| *next != ' ')
            && rest.peek().is_some_and(|(_, next)| *next == ' ')
        {
            rest.next();
        }
    }
    let next = text.get(end..)?.chars().next();
    let open = next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '\'' | '’' | '@'));
    let numbered = written.ends_with(['.', '°', 'º']) && next.is_some_and(|next| next.is_ascii_digit());
    let joined = written.ends_with('-') && next.is_some_and(char::is_uppercase);
    (!open || numbered || joined).then_some(end)
}

fn is_place(sentence: &Sentence<'_>, at: usize, end: usize, place: Place, written: &str) -> bool {
    let next = sentence.word(end);
    let before = sentence.before(at).filter(|before| before.kind == TokenKind::Word);
    match place {
        Place::Anywhere | Place::Closing => true,
        // "No. 5 more minutes" at a sentence's start is an answer.
        Place::BeforeNumber => {
            let roman = next.is_some_and(|next| next.chars().all(|c| matches!(c, 'I' | 'V' | 'X' | 'L' | 'C')));
            (sentence.digits(end).is_some() || roman && written != "no.")
                && !(written == "no." && sentence.is_sentence_start(at))
        }
        Place::AfterNumber => sentence.before(at).is_some_and(|before| before.kind == TokenKind::Number),
        Place::AfterOrdinal => {
            let dotted = sentence.before(at).is_some_and(|before| before.text == ".");
            dotted && at.checked_sub(2).and_then(|two| sentence.digits(two)).is_some_and(|number| number.len() <= 2)
        }
        Place::BeforeName => next.is_some_and(has_capital),
        Place::Title => has_capital(sentence.text(at)) && next.is_some_and(has_capital),
        Place::BeforeSmall => next.is_some_and(|next| next.starts_with(char::is_lowercase)),
        Place::Capital => has_capital(sentence.text(at)),
        Place::BeforeBirth if has_capital(sentence.text(at)) => {
            sentence.is_sentence_start(at) && next.is_some_and(|next| matches!(next, "am" | "in"))
        }
        Place::BeforeBirth => {
            let born = next.is_some_and(|next| has_capital(next) || matches!(next, "am" | "in" | "im" | "von"));
            born || sentence.digits(end).is_some()
        }
        Place::AfterCentury => before.is_some_and(|before| {
            let number = before.text.trim_end_matches(['e', 'è', 'm', 'r']);
            !number.is_empty() && number.chars().all(|c| matches!(c, 'I' | 'V' | 'X'))
        }),
        Place::BeforeStreet => next.is_some_and(|next| {
            let particle =
                ["de", "du", "des", "d", "la", "le", "les", "l", "del", "della", "dei", "das", "do", "da", "dos"];
            has_capital(next) || particle.contains(&next)
        }),
        Place::AfterName => {
            let numbered = before.is_some_and(|before| {
                matches!(before.text, "st" | "nd" | "rd" | "th")
                    && !before.is_spaced
                    && at >= 2
                    && sentence.digits(at - 2).is_some()
            });
            // "Smith Bros. Co.".
            let behind_short = sentence.before(at).is_some_and(|before| before.text == ".")
                && matches!(written, "co." | "inc." | "ltd." | "corp.")
                && at.checked_sub(2).and_then(|two| sentence.word(two)) == Some("Bros");
            if behind_short {
                return true;
            }
            (numbered || before.is_some_and(|before| has_capital(before.text) && before.text.len() > 1))
                && !sentence.is_sentence_start(at)
        }
    }
}

/// The dot of an abbreviation is that of the sentence, too, where one ends: behind those that may be its last word.
fn end_without_full_stop(sentence: &Sentence<'_>, octet: usize, place: Place, locale: Locale) -> usize {
    let end = sentence.token_from(octet);
    let Some(_) = sentence.before(end).filter(|last| last.text == ".") else { return end };
    let may_end = matches!(place, Place::Closing | Place::AfterNumber | Place::AfterCentury);
    let ends = sentence.is_end(end) || may_end && full_stops::ends_before_word(sentence, end, locale);
    if ends { end - 1 } else { end }
}

/// Titles of Spanish, Italian and Portuguese whose short form is that of men and women.
const FEMININE: &[(&str, &str)] = &[
    ("licenciado", "licenciada"),
    ("ingeniero", "ingeniera"),
    ("arquitecto", "arquitecta"),
    ("profesor", "profesora"),
    ("engenheiro", "engenheira"),
    ("arquiteto", "arquiteta"),
    ("deputado", "deputada"),
    ("senador", "senadora"),
    ("avvocato", "avvocata"),
    ("incluso", "inclusa"),
    ("escluso", "esclusa"),
    ("compreso", "compresa"),
];

/// "la Lic. Mora": the article before tells.
fn feminine(sentence: &Sentence<'_>, at: usize, long: &'static str) -> &'static str {
    let found = FEMININE.iter().find(|(masculine, _)| *masculine == long);
    let before = sentence.before(at).map_or("", |before| before.text);
    match found {
        // "IVA al 22% incl.", "colazione incl.".
        Some((_, said)) if long.starts_with("incl") || long.starts_with("escl") || long.starts_with("compr") => {
            let words = sentence.words_before(at, 4);
            let ends = words.first().is_some_and(|word| word.ends_with('a') || word.ends_with("ione"));
            if ends || words.iter().any(|word| word == "iva") { said } else { long }
        }
        Some((_, said)) if matches!(before, "la" | "La" | "una" | "da" | "à" | "na" | "della" | "alla") => said,
        _ => long,
    }
}

/// A capital at the beginning of a sentence stays one.
fn capitalized(sentence: &Sentence<'_>, at: usize, written: &str, long: &str) -> String {
    let mut chars = long.chars();
    match chars.next() {
        Some(first) if has_capital(written) && sentence.is_sentence_start(at) && !is_behind_title(sentence, at) => {
            first.to_uppercase().chain(chars).collect()
        }
        _ => long.to_owned(),
    }
}

/// "Sra. Dña.": the dot before is that of another title.
fn is_behind_title(sentence: &Sentence<'_>, at: usize) -> bool {
    let dotted = sentence.before(at).is_some_and(|before| before.text == ".");
    let title = at.checked_sub(2).and_then(|two| sentence.word(two));
    dotted
        && title.is_some_and(|title| {
            matches!(
                title,
                "Sr" | "Sra"
                    | "Srta"
                    | "Sres"
                    | "Dr"
                    | "Dra"
                    | "Excmo"
                    | "Ilmo"
                    | "Exmo"
                    | "Sig"
                    | "Dott"
                    | "Prof"
                    | "Hr"
            )
        })
}

/// "Hauptstr.": the end of a word.
fn suffix(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let word = sentence.word(at)?;
    let (short, long) =
        locale.language.suffixes.iter().find(|(short, _)| word.ends_with(short) && word.len() > short.len())?;
    if !sentence.glued_sign(at + 1, &["."]) {
        return None;
    }
    Reading::new(full_stops::without(sentence, at + 2, locale), format!("{}{long}", word.strip_suffix(short)?))
}
