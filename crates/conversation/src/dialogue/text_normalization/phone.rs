//! Phone numbers: one number, digit by digit, whatever stands between its groups.

use super::locale::Locale;
use super::numbers::behind_hyphen;
use super::tokens::{DASHES, Reading, Sentence, TokenKind};
use super::units;

/// A phone number has at most so many groups, and so many digits.
const GROUPS_MAX: usize = 9;
const DIGITS_MAX: usize = 18;

/// The groups of a number as they are written.
struct Groups<'a> {
    digits: Vec<&'a str>,
    is_international: bool,
    /// The first group stands in brackets.
    is_bracketed: bool,
    /// Something other than a blank parts the groups.
    has_signs: bool,
    end: usize,
}

/// Reads a phone number that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    if let Some(reading) = behind_dash(sentence, at, locale) {
        return Some(reading);
    }
    if let Some(reading) = short_number(sentence, at, locale).or_else(|| short_groups(sentence, at, locale)) {
        return Some(reading);
    }
    let groups = groups(sentence, at)?;
    if !sentence.ends_word(groups.end) || !is_phone(sentence, at, &groups, locale) {
        return None;
    }
    let said: Vec<String> = groups.digits.iter().map(|group| say_group(group)).collect();
    let said = said.join(", ");
    let plus = locale.language.signs.plus;
    Reading::new(groups.end, if groups.is_international { format!("{plus} {said}") } else { said })
}

/// Tokens between "extension" and the dash of its number.
const EXTENSION_TOKENS: usize = 8;
/// Digits of an extension at most.
const EXTENSION_DIGITS_MAX: usize = 6;

/// "Durchwahl -23", "Fax -99 or -98": the dash stands for the number before, and is no minus.
fn behind_dash(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let behind = sentence.minus(at)?;
    let digits = sentence.digits(behind).filter(|digits| digits.len() <= EXTENSION_DIGITS_MAX)?;
    let end = behind + 1;
    let goes_on = sentence.glued_sign(end, &[".", ",", ":", "%", "€", "°"]) && sentence.is_glued(end + 1);
    let counted = units::unit(sentence, end, locale).is_some_and(|(_, behind)| sentence.ends_word(behind));
    let fits = sentence.ends_word(end) && !goes_on && !counted && is_extension(sentence, at, locale);
    fits.then(|| Reading { end, spoken: say_group(digits) })
}

/// Whether a word for an extension, or for a line of its own, is the nearest one before a token.
fn is_extension(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let signs = &locale.language.signs;
    for back in 1..=EXTENSION_TOKENS {
        let Some(token) = at.checked_sub(back).and_then(|at| sentence.get(at)) else { return false };
        let word = token.text.to_lowercase();
        match token.kind {
            TokenKind::Number => {}
            TokenKind::Sign
                if DASHES.contains(&token.text) || matches!(token.text, "." | "," | ":" | "/" | "(" | ")") => {}
            TokenKind::Word if [signs.ranges.or, signs.and].contains(&word.as_str()) => {}
            TokenKind::Word => {
                let is_line = ["fax", "tel", "tél", "tlf", "tfno"].iter().any(|begin| word.starts_with(begin));
                let extensions = locale.language.codes.extensions;
                return is_line || extensions.iter().any(|name| word.starts_with(name));
            }
            TokenKind::Sign => return false,
        }
    }
    false
}

/// Numbers of three digits that are dialled and rarely counted.
const SHORT: &[&str] = &[
    "110", "111", "112", "113", "114", "115", "116", "117", "118", "119", "144", "101", "105", "211", "311", "411",
    "511", "611", "711", "811", "911", "933", "988", "999", "000", "061", "062", "091", "016", "190", "192", "193",
];
/// Tokens between "call" and its number.
const CALL_TOKENS: usize = 14;
/// Tokens between "tel." and its number.
const ASKED_TOKENS: usize = 5;
/// A slash with blanks around it parts the first groups of a number, not two numbers.
const HEAD_DIGITS_MAX: usize = 6;
/// Tokens between "+" and such a slash.
const AREA_TOKENS: usize = 7;

/// "Call 911": short numbers behind a word of calling. French says them as numbers.
fn short_number(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let digits = sentence.digits(at).filter(|digits| (3..=6).contains(&digits.len()))?;
    let end = at + 1;
    let goes_on = sentence.glued_sign(end, &["-", "–", "/", ".", ",", ":", "%", "€", "$", "°", "'", "’"])
        && (sentence.is_glued(end + 1) || !matches!(sentence.text(end), "." | "," | ":"));
    let ranged = sentence.dash(end).is_some_and(|next| sentence.digits(next).is_some());
    // "117" of "116 117" is no number of its own.
    let is_part = at > 0 && sentence.digits(at - 1).is_some() && !sentence.is_glued(at);
    if goes_on
        || ranged
        || is_part
        || !sentence.ends_word(end)
        || sentence.digits(end).is_some()
        || !is_called(sentence, at, locale)
    {
        return None;
    }
    if units::unit(sentence, end, locale).is_some_and(|(_, behind)| sentence.ends_word(behind)) {
        return None;
    }
    let known = SHORT.contains(&digits);
    let calls = &locale.language.codes;
    let next = sentence.word(end).map(str::to_lowercase);
    // "Call 250 people": what is counted follows.
    let is_last = next.is_none_or(|next| calls.call_fillers.contains(&next.as_str()) || next == "an");
    (known || is_last && digits.len() == 3 && !digits.ends_with("00") || is_last && digits.len() > 3)
        .then(|| Reading { end, spoken: say_group(digits) })
}

/// The European numbers for help, the same in each country: "116 117".
const HELP: &[&str] = &["000", "006", "016", "111", "117", "123"];
/// Before a number that is called, and not counted.
const ARTICLES: &[&str] = &["die", "der", "the", "het", "le", "au", "el", "al", "il", "o", "ao"];
/// Digits of a number in short groups.
const SHORT_GROUPS_DIGITS: std::ops::RangeInclusive<usize> = 4..=8;

/// "Bel 14 020", "die 116 117", "call 13 14 15": a short number in groups, which is one number whatever is dialled.
fn short_groups(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let fits = |one: usize| {
        let in_size = sentence.digits(one).is_some_and(|digits| (2..=4).contains(&digits.len()));
        in_size && (one == at || !sentence.is_glued(one))
    };
    let end = (at..at + GROUPS_MAX).find(|one| !fits(*one))?;
    let all: Vec<&str> = (at..end).map(|one| sentence.text(one)).collect();
    let digits: usize = all.iter().map(|group| group.len()).sum();
    let is_part = at > 0 && sentence.digits(at - 1).is_some() && !sentence.is_glued(at);
    if all.len() < 2 || is_part || !SHORT_GROUPS_DIGITS.contains(&digits) || !sentence.ends_word(end) {
        return None;
    }
    let goes_on = sentence.glued_sign(end, &["-", "–", "/", ".", ",", ":", "%", "€", "$", "°", "'", "’"])
        && (sentence.is_glued(end + 1) || !matches!(sentence.text(end), "." | "," | ":"));
    let calls = &locale.language.codes;
    let next = sentence.word(end).map(str::to_lowercase);
    let is_last = next.is_none_or(|next| calls.call_fillers.contains(&next.as_str()) || next == "an");
    let helps = matches!(all.as_slice(), ["116", last] if HELP.contains(last));
    let article = sentence.before(at).is_some_and(|before| ARTICLES.contains(&before.text));
    let is_help = helps && (is_last || article) && units::unit(sentence, end, locale).is_none();
    let said: Vec<String> = all.iter().map(|group| say_group(group)).collect();
    let dialled = is_last && is_called(sentence, at, locale);
    (!goes_on && (is_help || dialled)).then(|| Reading { end, spoken: said.join(", ") })
}

/// Whether a word of calling stands before, and nothing but other numbers and small words between.
fn is_called(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    let codes = &locale.language.codes;
    for back in 1..=CALL_TOKENS {
        let Some(index) = at.checked_sub(back) else { return false };
        let Some(token) = sentence.get(index) else { return false };
        let word = token.text.to_lowercase();
        match token.kind {
            TokenKind::Word if codes.call.contains(&word.as_str()) => {
                // "A call 300 miles away."
                let article =
                    sentence.before(index).is_some_and(|before| matches!(before.text, "a" | "the" | "A" | "The"));
                return !article;
            }
            TokenKind::Word if codes.call_fillers.contains(&word.as_str()) => {}
            TokenKind::Word if is_between_call(sentence, index) => {}
            TokenKind::Number => {}
            TokenKind::Sign
                if matches!(token.text, "," | ":" | "\"" | "“" | "„" | "«" | "(" | "/" | "-" | "–" | "+") => {}
            TokenKind::Word | TokenKind::Sign => return false,
        }
    }
    false
}

/// Small words between a word of calling and its number: "wählen Sie nachts die", "rufen Sie die 112 an, nicht die".
fn is_between_call(sentence: &Sentence<'_>, at: usize) -> bool {
    const SMALL: &[&str] = &[
        "nachts",
        "dann",
        "jetzt",
        "sofort",
        "direkt",
        "einfach",
        "bitte",
        "immer",
        "gleich",
        "zuerst",
        "now",
        "just",
        "then",
        "directly",
        "immediately",
        "always",
        "dan",
        "nu",
        "meteen",
        "direct",
        "gerust",
        "ahora",
        "subito",
        "ora",
        "agora",
        "maintenant",
    ];
    const NOT: &[&str] = &["nicht", "not", "niet", "pas", "no", "non", "não", "statt", "an"];
    let word = sentence.text(at).to_lowercase();
    // "Rufen Sie uns an, 250 Leute warten": only an article makes it a number.
    let article = |at: usize| matches!(sentence.text(at), "die" | "der" | "the" | "il" | "el" | "le" | "o" | "het");
    let behind = (at + 1..at + 4).find(|one| sentence.word(*one).is_some());
    let next = behind.is_some_and(|one| article(one) || NOT.contains(&sentence.text(one)));
    SMALL.contains(&word.as_str()) || NOT.contains(&word.as_str()) && next
}

/// Digits with a blank between them; more than five in groups of three.
pub(super) fn say_group(group: &str) -> String {
    let chars: Vec<char> = group.chars().collect();
    let spaced = |chars: &[char]| chars.iter().map(char::to_string).collect::<Vec<_>>().join(" ");
    if chars.len() <= 5 {
        return spaced(&chars);
    }
    let mut parts: Vec<&[char]> = chars.chunks(3).collect();
    // A single digit at the end joins the group before it.
    let alone = parts.last().is_some_and(|last| last.len() == 1);
    if alone {
        parts.truncate(parts.len() - 2);
    }
    let mut said: Vec<String> = parts.iter().map(|part| spaced(part)).collect();
    if alone {
        said.push(spaced(&chars[chars.len() - 4..]));
    }
    said.join(", ")
}

fn groups<'a>(sentence: &Sentence<'a>, at: usize) -> Option<Groups<'a>> {
    let mut end = at;
    let is_international = sentence.text(at) == "+";
    if is_international {
        end += 1;
        if !sentence.is_glued(end) {
            return None;
        }
    }
    let mut all = Groups { digits: Vec::new(), is_international, is_bracketed: false, has_signs: false, end };
    let mut total = 0;
    while all.digits.len() < GROUPS_MAX {
        let Some((group, behind, bracketed)) = next_group(sentence, all.end, total, all.digits.is_empty()) else {
            break;
        };
        total += group.len();
        if total > DIGITS_MAX {
            return None;
        }
        if bracketed && all.digits.is_empty() {
            all.is_bracketed = true;
        }
        let parted = sentence.get(behind - 1).is_some_and(|token| token.is_spaced) && !bracketed;
        all.has_signs |= !all.digits.is_empty() && !parted || bracketed;
        // "(0)" behind a country code is not dialled.
        if !(bracketed && group == "0" && !all.digits.is_empty()) {
            all.digits.push(group);
        }
        all.end = behind;
    }
    (!all.digits.is_empty()).then_some(all)
}

/// The next group of digits behind a blank, a hyphen, a dot, a slash or brackets.
fn next_group<'a>(sentence: &Sentence<'a>, at: usize, total: usize, is_first: bool) -> Option<(&'a str, usize, bool)> {
    let mut at = at;
    if !is_first {
        let sign = sentence.text(at);
        if DASHES.contains(&sign) {
            at = sentence.dash(at)?;
        } else if matches!(sign, "." | "/") && sentence.is_glued(at) && sentence.is_glued(at + 1)
            || sign == "/"
                && (2..=HEAD_DIGITS_MAX).contains(&total)
                && sentence.digits(at + 1).is_some()
                && is_behind_area(sentence, at)
        {
            at += 1;
        } else if sentence.digits(at).is_some() && sentence.is_glued(at) && sentence.text(at - 1) != ")" {
            return None;
        }
    }
    if sentence.text(at) == "(" {
        let group =
            sentence.digits(at + 1).filter(|_| sentence.is_glued(at + 1) && sentence.glued_sign(at + 2, &[")"]))?;
        return Some((group, at + 3, true));
    }
    let group = sentence.digits(at)?;
    // "020 1,5" or "5pm": the digits belong to something else.
    let other = !sentence.ends_word(at + 1)
        || sentence.glued_sign(at + 1, &[",", ":", "%", "€", "°"])
            && (sentence.text(at + 1) != "," && sentence.text(at + 1) != ":"
                || sentence.is_glued(at + 2) && sentence.digits(at + 2).is_some());
    (!other).then_some((group, at + 1, false))
}

/// "tel. 91 555 01 23", "tel. (é) 21 123 45 67": the dot belongs to the word of calling, and a small word may follow it.
fn is_behind_short_word(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    (1..=ASKED_TOKENS).map_while(|back| at.checked_sub(back)).any(|dot| {
        sentence.text(dot) == "."
            && dot >= 1
            && sentence.word(dot - 1).is_some_and(|word| {
                word.chars().count() <= 6 && locale.language.codes.phone.contains(&word.to_lowercase().as_str())
            })
    })
}

/// Whether an area code stands before: "030", "(030)", "+49 (0) 30"; "202 / 235" are two numbers.
fn is_behind_area(sentence: &Sentence<'_>, at: usize) -> bool {
    let text = |back: usize| at.checked_sub(back).map_or("", |at| sentence.text(at));
    text(1).starts_with('0') || text(1) == ")" || (2..=AREA_TOKENS).any(|back| text(back) == "+")
}

fn is_phone(sentence: &Sentence<'_>, at: usize, groups: &Groups<'_>, locale: Locale) -> bool {
    let total: usize = groups.digits.iter().map(|group| group.len()).sum();
    let first = groups.digits.first().copied().unwrap_or("");
    let sizes: Vec<usize> = groups.digits.iter().map(|group| group.len()).collect();
    let words = sentence.words_before(at, 4);
    let asked = words.iter().any(|word| locale.language.codes.phone.contains(&word.as_str()))
        || is_behind_short_word(sentence, at, locale);
    let many = groups.digits.len() >= 2;
    let plausible = sizes.iter().all(|size| *size <= 12);
    if !plausible {
        return false;
    }
    if groups.is_international {
        return total >= 6;
    }
    if groups.is_bracketed {
        return many && total >= 6;
    }
    // "0 800 123 456" of French.
    if first == "0" && locale.is_french() {
        return total == 10
            && sizes.get(1) == Some(&3)
            && groups.digits.get(1).is_some_and(|group| group.starts_with('8'));
    }
    // "118 218".
    if sizes.as_slice() == [3, 3] && first == "118" && locale.is_french() {
        return asked;
    }
    if first.starts_with('0') && first.len() >= 2 {
        // "007" and "00 1" are none; nor is a date.
        return many && total >= 7 && !(sizes.len() == 3 && sizes[2] == 4 && total == 8) || !many && total >= 8;
    }
    if matches!(sizes.as_slice(), [3, 3, 4] | [1, 3, 3, 4]) {
        return true;
    }
    if groups.has_signs {
        let local = matches!(sizes.as_slice(), [3, 4]);
        let zero = groups.digits.get(1).is_some_and(|group| group.starts_with('0'));
        return local && (asked || zero || first == "555") || asked && many && total >= 6;
    }
    let sizes_fit = sizes.iter().all(|size| (2..=5).contains(size));
    if many
        && sizes_fit
        && sizes.len() >= 3
        && total >= 9
        && (asked || sizes[0] >= 3)
        && !locale.language.signs.blank_thousands
    {
        return true;
    }
    let long_fit = total >= 9 && sizes.iter().all(|size| (2..=8).contains(size));
    if many && asked && total >= 7 && (sizes_fit || long_fit) {
        return true;
    }
    !many && (total >= 10 || asked && total >= 7)
}
