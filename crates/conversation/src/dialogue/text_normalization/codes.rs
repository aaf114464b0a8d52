//! Codes: numbers behind words such as "order" and "code", postcodes, plates, IBANs: character by character.

use super::locale::Locale;
use super::phone::say_group;
use super::tokens::{DASHES, Reading, Sentence, TokenKind, is_all_capitals};
use super::{money, units};

/// Groups of a code at most.
const GROUPS_MAX: usize = 12;

/// Tokens that may stand between a word and its code.
const ASKING_TOKENS: usize = 6;

/// What the words before ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// A code of three digits and more.
    Strong,
    /// A number of four digits and more.
    Weak,
    /// A code in several groups.
    Grouped,
    /// The last digits of a card.
    Ending,
    /// Two digits are enough.
    Extension,
}

/// Reads a code that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at)?;
    if token.text == "#" {
        return hash_code(sentence, at, locale);
    }
    let opens = token.is_spaced
        || sentence.before(at).is_some_and(|before| matches!(before.text, "(" | "\"" | "#" | "“" | "„" | "«" | "'"));
    if !opens || token.kind == TokenKind::Sign {
        return None;
    }
    iban(sentence, at)
        .or_else(|| postcode(sentence, at, locale))
        .or_else(|| asked_for(sentence, at, locale))
        .or_else(|| plate(sentence, at, locale))
        .or_else(|| leading_zero(sentence, at))
}

/// A group without blanks: letters and digits, and where it ends.
fn group(sentence: &Sentence<'_>, at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut end = at;
    while let Some(token) = sentence.get(end) {
        let fits = match token.kind {
            TokenKind::Number => true,
            TokenKind::Word => is_all_capitals(token.text) && token.text.is_ascii(),
            TokenKind::Sign => false,
        };
        if !fits || end > at && token.is_spaced {
            break;
        }
        text.push_str(token.text);
        end += 1;
    }
    (end > at && sentence.ends_word(end)).then_some((text, end))
}

/// Groups with hyphens, dots or slashes between them, and with blanks if `blanks`.
fn groups(sentence: &Sentence<'_>, at: usize, blanks: bool) -> Option<(Vec<String>, usize)> {
    let (first, mut end) = group(sentence, at)?;
    let mut all = vec![first];
    while all.len() < GROUPS_MAX {
        let sign = sentence.text(end);
        let signed = (DASHES.contains(&sign) || matches!(sign, "." | "/"))
            && sentence.is_glued(end)
            && sentence.is_glued(end + 1);
        let next = match signed {
            true => end + 1,
            false if blanks && sentence.get(end).is_some_and(|token| token.is_spaced) => end,
            false => break,
        };
        let Some((text, behind)) = group(sentence, next) else { break };
        all.push(text);
        end = behind;
    }
    Some((all, end))
}

fn say(groups: &[String]) -> String {
    groups.iter().map(|group| say_code_group(group)).collect::<Vec<_>>().join(", ")
}

/// Digits alone are grouped; with letters each character is said.
fn say_code_group(group: &str) -> String {
    match group.bytes().all(|b| b.is_ascii_digit()) {
        true => say_group(group),
        false => spell(group),
    }
}

/// Characters with a blank between them.
pub(super) fn spell(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_string()).collect::<Vec<_>>().join(" ")
}

/// "#INV-20394": letters and digits behind a hash; "#5" is a number, "#COVID19" a word.
fn hash_code(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let opens =
        sentence.get(at)?.is_spaced || sentence.before(at).is_some_and(|before| matches!(before.text, "(" | "\""));
    let (all, end) = groups(sentence, at + 1, false).filter(|_| opens && sentence.is_glued(at + 1))?;
    let digits: usize = all.iter().map(|group| group.bytes().filter(u8::is_ascii_digit).count()).sum();
    let letters = all.iter().flat_map(|group| group.bytes()).filter(u8::is_ascii_alphabetic).count();
    if digits < 2 || !(1..=4).contains(&letters) || digits + letters < 4 {
        return None;
    }
    let number = locale.language.signs.number;
    let is_named = sentence.words_before(at, 1).first().is_some_and(|word| *word == number.to_lowercase());
    Reading::new(end, if is_named { say(&all) } else { format!("{number} {}", say(&all)) })
}

/// `GB29 NWBK 6016 …`, with or without a word before.
fn iban(sentence: &Sentence<'_>, at: usize) -> Option<Reading> {
    let (first, _) = group(sentence, at)?;
    let head = first.len() >= 4
        && first.bytes().take(2).all(|b| b.is_ascii_uppercase())
        && first.bytes().skip(2).take(2).all(|b| b.is_ascii_digit());
    if !head {
        return None;
    }
    let (all, end) = groups(sentence, at, true)?;
    let total: usize = all.iter().map(String::len).sum();
    let shaped = all.len() >= 4 && all.iter().take(all.len() - 1).all(|group| group.len() == 4);
    if shaped && (15..=34).contains(&total) {
        return Reading::new(end, say(&all));
    }
    if all.len() == 1 && (15..=34).contains(&total) && first.len() >= 15 {
        let chars: Vec<char> = first.chars().collect();
        let parts: Vec<String> = chars.chunks(4).map(|part| spell(&part.iter().collect::<String>())).collect();
        return Reading::new(end, parts.join(", "));
    }
    None
}

fn asked_for(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let asked = asked(sentence, at, locale)?;
    let (all, end) = groups(sentence, at, asked == Asked::Grouped)?;
    if let Some(reading) = spaced_digits(sentence, at, locale).filter(|_| asked != Asked::Grouped) {
        return Some(reading);
    }
    if asked == Asked::Weak && is_house_number(sentence, at, &all) {
        return None;
    }
    // "Flight UA 1234".
    let letters_only = all.first().filter(|only| all.len() == 1 && only.len() <= 3);
    let letters_only = letters_only.is_some_and(|only| {
        let is_word = kind_of_word(sentence, at, &only.to_lowercase(), locale).is_some();
        only.bytes().all(|b| b.is_ascii_uppercase()) && !is_word
    });
    let next = group(sentence, end)
        .filter(|(next, _)| letters_only && next.len() >= 2 && next.bytes().all(|b| b.is_ascii_digit()));
    let (all, end) = match next {
        Some((next, behind)) => (vec![all.concat(), next], behind),
        None => (all, end),
    };
    // Spaced characters are spelled already.
    let is_spaced = (at + 1..end).any(|one| sentence.get(one).is_some_and(|token| token.is_spaced));
    if all.iter().all(|group| group.len() == 1) && (is_spaced || all.len() == 1) {
        return None;
    }
    let digits: usize = all.iter().map(|group| group.bytes().filter(u8::is_ascii_digit).count()).sum();
    let letters = all.iter().any(|group| group.bytes().any(|b| b.is_ascii_alphabetic()));
    let fits = match asked {
        Asked::Strong => digits >= 3 || letters && digits >= 1 && all.iter().any(|group| group.len() >= 3),
        Asked::Weak => digits >= 4 || letters && digits >= 2,
        Asked::Grouped => digits >= 2,
        Asked::Ending => digits == 4 && !letters,
        Asked::Extension => digits >= 2 && !letters,
    };
    if !fits || is_counted(sentence, end, locale) || sentence.glued_sign(end, &["%", ":"]) && sentence.is_glued(end + 1)
    {
        return None;
    }
    if sentence.glued_sign(end, &[".", ","]) && sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some() {
        return None;
    }
    Reading::new(end, say(&all))
}

/// "Die Kundennummer lautet 77 41 20": groups of two to four digits, behind which nothing is counted.
fn spaced_digits(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let fits = |at: usize| sentence.digits(at).is_some_and(|digits| (2..=4).contains(&digits.len()));
    let end = (at..at + GROUPS_MAX).find(|one| !fits(*one) || *one > at && sentence.is_glued(*one))?;
    let all: Vec<String> = (at..end).map(|one| sentence.text(one).to_owned()).collect();
    let counted = sentence.get(end).is_some_and(|next| {
        let joins = matches!(next.text, "," | "." | ";" | "!" | "?" | ")" | "\"" | "”" | "“" | "»");
        let goes_on = sentence.is_glued(end + 1) && sentence.digits(end + 1).is_some();
        !joins || goes_on || next.is_spaced
    });
    let joined = sentence.word(end).is_some_and(|word| word == locale.language.signs.and);
    (all.len() >= 2 && (!counted || joined)).then(|| Reading { end, spoken: say(&all) })
}

/// "nr. 24-B", "number 12 A": the number of a house.
fn is_house_number(sentence: &Sentence<'_>, at: usize, groups: &[String]) -> bool {
    const NUMBER: &[&str] = &["nr", "no", "nummer", "number", "numéro", "número", "numero", "n"];
    let dotted = at > 0 && sentence.text(at - 1) == ".";
    let word = at.checked_sub(if dotted { 2 } else { 1 }).and_then(|back| sentence.word(back));
    let named = word.is_some_and(|word| NUMBER.contains(&word.to_lowercase().as_str()));
    let whole = groups.concat();
    let digits = whole.trim_end_matches(|c: char| c.is_ascii_uppercase());
    named
        && (1..=3).contains(&digits.len())
        && whole.len() == digits.len() + 1
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Whether a unit or a currency follows: then it is a quantity.
fn is_counted(sentence: &Sentence<'_>, end: usize, locale: Locale) -> bool {
    units::unit(sentence, end, locale).is_some_and(|(_, behind)| sentence.ends_word(behind))
        || money::names_currency(sentence, end, locale)
}

fn asked(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Asked> {
    let codes = &locale.language.codes;
    let head = sentence.get(at).and_then(|token| sentence.text.get(..token.start)).unwrap_or("");
    if locale.is_dutch() && head.trim_end().ends_with("o.v.v.") {
        return Some(Asked::Weak);
    }
    let mut back = at;
    let mut ending_only = false;
    for _ in 0..ASKING_TOKENS {
        back = back.checked_sub(1)?;
        let token = sentence.get(back)?;
        if let Some(before) = behind_example(sentence, back) {
            back = before;
            continue;
        }
        match token.kind {
            TokenKind::Number => {
                // "471, then 093": the first code asks for the second one as well.
                continue;
            }
            TokenKind::Sign
                if matches!(
                    token.text,
                    ":" | "#" | "," | "\"" | "." | "'" | "’" | "“" | "„" | "«" | "*" | "(" | "°" | "º" | "-"
                ) =>
            {
                let is_end = |before: &super::tokens::Token<'_>| before.text.len() > 6 && !before.text.ends_with("nr");
                if matches!(token.text, ".") && sentence.before(back).is_some_and(is_end) {
                    return None;
                }
                continue;
            }
            TokenKind::Sign => return None,
            TokenKind::Word => {}
        }
        let word = token.text.to_lowercase();
        if let Some(found) = kind_of_word(sentence, back, &word, locale) {
            return Some(found).filter(|found| !ending_only || *found == Asked::Ending);
        }
        if !codes.fillers.contains(&word.as_str()) {
            ending_only = true;
            if !codes.ending_fillers.contains(&word.as_str()) {
                return None;
            }
        }
    }
    None
}

/// Before "e.g.", "i.e.", "z. B.", "bijv.", "for example" and their like, which stand between a word and its code.
fn behind_example(sentence: &Sentence<'_>, at: usize) -> Option<usize> {
    const SHORT: &[(&str, &str)] =
        &[("e", "g"), ("i", "e"), ("z", "B"), ("z", "b"), ("d", "h"), ("p", "ex"), ("p", "ej"), ("p", "es")];
    const LONG: &[(&str, &str)] = &[
        ("for", "example"),
        ("for", "instance"),
        ("zum", "Beispiel"),
        ("par", "exemple"),
        ("por", "ejemplo"),
        ("por", "exemplo"),
        ("ad", "esempio"),
        ("per", "esempio"),
        ("por", "ej"),
        ("por", "ex"),
        ("par", "ex"),
        ("ad", "es"),
        ("per", "es"),
        ("that", "is"),
        ("das", "heißt"),
    ];
    const WORDS: &[&str] = &["bijv", "bijvoorbeeld", "bv", "bspw", "beispielsweise", "namely", "eg", "ie"];
    let last = if sentence.text(at) == "." { at.checked_sub(1)? } else { at };
    let word = sentence.word(last)?;
    if WORDS.contains(&word) {
        return Some(last);
    }
    let first = last.checked_sub(1)?;
    if LONG.contains(&(sentence.text(first), word)) {
        return Some(first);
    }
    let start = first.checked_sub(1).filter(|_| sentence.text(first) == "." && last < at)?;
    SHORT.contains(&(sentence.text(start), word)).then_some(start)
}

fn kind_of_word(sentence: &Sentence<'_>, at: usize, word: &str, locale: Locale) -> Option<Asked> {
    let codes = &locale.language.codes;
    if codes.extensions.contains(&word) {
        return Some(Asked::Extension);
    }
    if codes.grouped.contains(&word) {
        return Some(Asked::Grouped);
    }
    if codes.ending.contains(&word) {
        let before = sentence.words_before(at, 5);
        return before.iter().any(|one| codes.cards.contains(&one.as_str())).then_some(Asked::Ending);
    }
    if codes.strong.iter().any(|one| word == *one || one.len() >= 4 && word.ends_with(one)) {
        return Some(Asked::Strong);
    }
    let short = (locale.is_dutch() || locale.is_german()) && word.ends_with("nr");
    let weak = short || codes.weak.iter().any(|one| word == *one || one.len() >= 6 && word.ends_with(one));
    // "La ville compte 250000 habitants": only behind an article it is a noun.
    let (nouns, articles) = codes.behind_articles;
    if nouns.contains(&word) {
        let before = sentence.words_before(at, 1);
        return before.first().filter(|before| articles.contains(&before.as_str())).map(|_| Asked::Weak);
    }
    // "We order 1500 boxes": a verb asks for no code.
    let verb = sentence.words_before(at, 1).first().is_some_and(|before| codes.subjects.contains(&before.as_str()));
    (weak && !verb).then_some(Asked::Weak)
}

/// `SW1A 1AA` and `1012 AB`.
fn postcode(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (first, end) = group(sentence, at)?;
    let (second, end) = group(sentence, end).filter(|_| sentence.get(end).is_some_and(|token| token.is_spaced))?;
    let shape = |text: &str| -> String { text.bytes().map(|b| if b.is_ascii_digit() { '9' } else { 'A' }).collect() };
    let british =
        matches!(shape(&first).as_str(), "A9" | "A99" | "AA9" | "AA99" | "A9A" | "AA9A") && shape(&second) == "9AA";
    let dutch = locale.is_dutch() && shape(&first) == "9999" && shape(&second) == "AA" && !first.starts_with('0');
    let canadian = shape(&first) == "A9A" && shape(&second) == "9A9";
    (british || dutch || canadian).then(|| Reading { end, spoken: say(&[first, second]) })
}

/// `AB-123-C`: three groups of letters and digits with hyphens.
fn plate(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (all, end) = groups(sentence, at, false)?;
    let letters = all.iter().filter(|group| group.bytes().all(|b| b.is_ascii_uppercase())).count();
    let digits = all.iter().filter(|group| group.bytes().all(|b| b.is_ascii_digit())).count();
    let small = all.iter().all(|group| group.len() <= 3);
    let known = locale.is_dutch() || locale.is_french();
    (known && all.len() == 3 && small && letters >= 1 && digits >= 1 && letters + digits == 3)
        .then(|| Reading { end, spoken: say(&all) })
}

/// "02134": a number does not begin with a zero.
fn leading_zero(sentence: &Sentence<'_>, at: usize) -> Option<Reading> {
    let (text, end) = group(sentence, at)?;
    let is_code = text.len() >= 4 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    let goes_on = sentence.glued_sign(end, &[".", ",", ":", "-", "/", "%"]) && sentence.is_glued(end + 1);
    (is_code && !goes_on).then(|| Reading { end, spoken: say_group(&text) })
}
