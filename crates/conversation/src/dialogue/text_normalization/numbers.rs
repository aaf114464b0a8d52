//! Numbers: separators of thousands, decimals, minus, ranges, scores.

use super::locale::Locale;
use super::thousands;
use super::tokens::{Reading, Sentence, TokenKind, has_capital};

/// A number as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    /// Digits without separators.
    pub(super) whole: String,
    pub(super) fraction: String,
    /// It was written with separators of thousands.
    pub(super) is_grouped: bool,
    pub(super) end: usize,
}

impl Number {
    /// With the decimal sign of the language.
    pub(super) fn say(&self, locale: Locale) -> String {
        match self.fraction.is_empty() {
            true => self.whole.clone(),
            false => format!("{}{}{}", self.whole, locale.decimal, self.fraction),
        }
    }

    /// Whether it is exactly one.
    pub(super) fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.bytes().all(|digit| digit == b'0')
    }

    /// Whether it is less than two: singular in French.
    pub(super) fn is_below_two(&self) -> bool {
        matches!(self.whole.as_str(), "0" | "1")
    }

    fn value(&self) -> u64 {
        self.whole.parse().unwrap_or(u64::MAX)
    }
}

/// Reads a number that begins at a token. `None` for what is none: versions, lists, groups of a wrong size.
pub(super) fn number(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Number> {
    let first = sentence.digits(at)?;
    let mut groups = vec![first];
    let mut separators: Vec<char> = Vec::new();
    let mut end = at + 1;
    loop {
        let sign = sentence.text(end).chars().next().unwrap_or(' ');
        if sentence.glued_sign(end, &[".", ",", "'", "’"]) && sentence.is_glued(end + 1) {
            let Some(next) = sentence.digits(end + 1) else { break };
            separators.push(if sign == '’' { '\'' } else { sign });
            groups.push(next);
            end += 2;
        } else if separators.iter().all(|sign| *sign == ' ') && thousands::continues(sentence, at, end, locale) {
            separators.push(' ');
            groups.push(sentence.text(end));
            end += 1;
        } else {
            break;
        }
    }
    assemble(&groups, &separators, locale).map(|(whole, fraction)| Number {
        is_grouped: groups.len() > 1 + usize::from(!fraction.is_empty()),
        whole,
        fraction,
        end,
    })
}

/// Digits before and behind the decimal sign.
fn assemble(groups: &[&str], separators: &[char], locale: Locale) -> Option<(String, String)> {
    let (first, rest) = groups.split_first()?;
    let Some((last_sign, earlier)) = separators.split_last() else {
        return Some(((*first).to_owned(), String::new()));
    };
    let whole_first = first.len() <= 3 && !first.starts_with('0');
    let are_thousands = |groups: &[&str]| whole_first && groups.iter().all(|group| group.len() == 3);
    let uniform = earlier.iter().all(|sign| sign == last_sign);
    if uniform && (!earlier.is_empty() || matches!(last_sign, ' ' | '\'')) {
        return are_thousands(rest).then(|| (groups.concat(), String::new()));
    }
    let (fraction, middle) = rest.split_last()?;
    if earlier.is_empty() {
        let is_thousands = fraction.len() == 3 && whole_first && *last_sign != locale.decimal;
        return Some(match is_thousands {
            true => (groups.concat(), String::new()),
            false => ((*first).to_owned(), (*fraction).to_owned()),
        });
    }
    let thousands = earlier.first()?;
    let fits = earlier.iter().all(|sign| sign == thousands) && matches!(last_sign, '.' | ',');
    (fits && thousands != last_sign && are_thousands(middle))
        .then(|| (format!("{first}{}", middle.concat()), (*fraction).to_owned()))
}

/// A range of two numbers: both, and its end.
pub(super) fn range(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(Number, Number)> {
    let first = number(sentence, at, locale)?;
    let behind = sentence.dash(first.end)?;
    let second = number(sentence, behind, locale)?;
    // "1-2-3" is no range, nor is "3.-5.".
    let goes_on = sentence.dash(second.end).is_some_and(|next| sentence.digits(next).is_some());
    (!goes_on).then_some((first, second))
}

/// "3 to 5", as the language has it; the word before the range decides: "between 3 and 5", "du 3 au 5".
pub(super) fn say_range(sentence: &Sentence<'_>, at: usize, first: &str, second: &str, locale: Locale) -> String {
    let signs = &locale.language.signs;
    let before = sentence.words_before(at, 1);
    let before = before.first().map_or("", String::as_str);
    if signs.between.contains(&before) {
        return format!("{first} {} {second}", signs.and);
    }
    if let Some((_, to)) = signs.bounds.iter().find(|(from, _)| *from == before) {
        return format!("{first} {to} {second}");
    }
    match signs.from.is_empty() || signs.from == before {
        true => format!("{first} {} {second}", signs.to),
        false => format!("{} {first} {} {second}", signs.from, signs.to),
    }
}

/// Reads plain numbers: "1,250,000", "-12", "3-5", "3-1".
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let signs = &locale.language.signs;
    if let Some(behind) = sentence.minus(at) {
        let number = number(sentence, behind, locale)?;
        let plain = sentence.ends_word(number.end) && sentence.dash(number.end).is_none();
        return plain.then(|| Reading { end: number.end, spoken: format!("{} {}", signs.minus, number.say(locale)) });
    }
    if let Some(reading) = plus(sentence, at, locale) {
        return Some(reading);
    }
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let first = number(sentence, at, locale)?;
    if let Some((first, second)) = range(sentence, at, locale)
        && let Some(spoken) = plain_range(sentence, at, &first, &second, locale)
    {
        return Reading::new(second.end, spoken);
    }
    let version =
        sentence.words_before(at, 1).first().is_some_and(|word| matches!(word.as_str(), "version" | "versie"));
    let last = sentence.before(first.end).map_or("", |token| token.text);
    let plain = first.is_grouped && !version && !last.is_empty() && sentence.ends_word(first.end);
    (plain && !followed_by_digits(sentence, first.end)).then(|| Reading { end: first.end, spoken: first.say(locale) })
}

/// "+2 Grad", "soit +1,75 point": a sign before a short number, with a blank before it.
fn plus(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let token = sentence.get(at).filter(|token| token.text == "+")?;
    let opens = token.is_spaced || sentence.before(at).is_some_and(|before| before.text == "(");
    let number = number(sentence, at + 1, locale).filter(|_| opens && at > 0 && sentence.is_glued(at + 1))?;
    let fits = number.whole.len() <= 4
        && sentence.ends_word(number.end)
        && sentence.dash(number.end).is_none()
        && sentence.digits(number.end).is_none()
        && !followed_by_digits(sentence, number.end);
    fits.then(|| Reading { end: number.end, spoken: format!("{} {}", locale.language.signs.plus, number.say(locale)) })
}

/// Whether a number is the second part of something: "COVID-19", "A/4".
pub(super) fn behind_hyphen(sentence: &Sentence<'_>, at: usize) -> bool {
    let Some(sign) = sentence.before(at).filter(|_| sentence.is_glued(at)) else { return false };
    let first = at.checked_sub(2).and_then(|two| sentence.get(two)).filter(|_| sentence.is_glued(at - 1));
    first.is_some_and(|first| match sign.text {
        "-" | "/" | "." | "_" | "–" => first.kind != TokenKind::Sign,
        ":" | "'" | "’" | "," => first.kind == TokenKind::Number,
        _ => false,
    })
}

fn followed_by_digits(sentence: &Sentence<'_>, at: usize) -> bool {
    sentence.glued_sign(at, &["-", "–", "/", ":", ".", ","])
        && sentence.is_glued(at + 1)
        && sentence.digits(at + 1).is_some()
}

fn plain_range(sentence: &Sentence<'_>, at: usize, first: &Number, second: &Number, locale: Locale) -> Option<String> {
    let fits = |number: &Number| {
        (number.whole.len() <= 4 || number.is_grouped) && (number.whole == "0" || !number.whole.starts_with('0'))
    };
    let ends = sentence.ends_word(second.end) && !followed_by_digits(sentence, second.end);
    if !fits(first) || !fits(second) || !ends || sentence.glued_sign(second.end, &["/"]) {
        return None;
    }
    let (low, high) = (first.value(), second.value());
    let (one, other) = (first.say(locale), second.say(locale));
    let plain = first.fraction.is_empty() && second.fraction.is_empty();
    let words = sentence.words_before(at, 6);
    let tells_score = words.iter().any(|word| locale.language.calendar.score_words.contains(&word.as_str()));
    let small = plain && low < 100 && high < 100;
    if small && (low >= high || tells_score) {
        let score = locale.language.signs.score;
        return Some(if score.is_empty() { format!("{one} {other}") } else { format!("{one} {score} {other}") });
    }
    // "Boeing 737-800" is a name, "24-7" an expression.
    let named = sentence.before(at).is_some_and(|before| before.kind == TokenKind::Word && has_capital(before.text));
    let counted = sentence.word(second.end).is_some();
    let sure = small || counted && !named || low >= 1000 && high < 2200 || first.is_grouped;
    (low < high && sure).then(|| say_range(sentence, at, &one, &other, locale))
}

/// Words that cannot be the noun of "a $50 gift card".
const NO_NOUNS: &[&str] = &[
    "is", "was", "will", "for", "to", "in", "on", "and", "or", "you", "we", "that", "has", "per", "a", "an", "i",
    "from", "at", "of", "by", "if", "as", "with", "each", "plus", "more", "less", "than", "every", "the", "it", "are",
    "were",
];

/// Whether a noun follows that the amount describes: English says "a 50 dollar gift card", "a 10 kilogram bag".
pub(super) fn is_before_noun(sentence: &Sentence<'_>, at: usize, end: usize, locale: Locale) -> bool {
    let before =
        sentence.before(at).filter(|before| before.kind == TokenKind::Word).map(|token| token.text.to_lowercase());
    let opens =
        before.is_some_and(|word| matches!(word.as_str(), "a" | "an" | "another" | "our" | "your" | "the" | "this"));
    let noun = sentence.word(end).filter(|_| sentence.get(end).is_some_and(|token| token.is_spaced));
    locale.is_english() && opens && noun.is_some_and(|noun| !has_capital(noun) && !NO_NOUNS.contains(&noun))
}
