//! Large and broken amounts: "one and a half million", "anderthalb Tausend", "a million and a half", "1.5 million".

use super::numbers::NumberWords;

/// A million, and a thousand of them, where a thousand millions have a word.
const SCALES: &[(&str, u64)] = &[
    ("million", 1_000_000),
    ("millions", 1_000_000),
    ("miljoen", 1_000_000),
    ("millionen", 1_000_000),
    ("millon", 1_000_000),
    ("millones", 1_000_000),
    ("milione", 1_000_000),
    ("milioni", 1_000_000),
    ("milhao", 1_000_000),
    ("milhoes", 1_000_000),
    ("billion", 1_000_000_000),
    ("miljard", 1_000_000_000),
    ("milliarde", 1_000_000_000),
    ("milliarden", 1_000_000_000),
    ("milliard", 1_000_000_000),
    ("milliards", 1_000_000_000),
    ("miliardo", 1_000_000_000),
    ("miliardi", 1_000_000_000),
    ("bilhao", 1_000_000_000),
    ("bilhoes", 1_000_000_000),
    ("m", 1_000_000),
    ("mn", 1_000_000),
    ("mio", 1_000_000),
    ("mln", 1_000_000),
    ("bn", 1_000_000_000),
    ("mrd", 1_000_000_000),
    ("mld", 1_000_000_000),
];
/// A thousand that is no number word; the French one is.
const SHORT_THOUSANDS: &[&str] = &["k", "grand", "mille"];
/// Parts behind a number, in hundredths.
const PARTS: &[(&[&str], u64)] = &[
    (&["and", "a", "half"], 50),
    (&["and", "one", "half"], 50),
    (&["and", "half"], 50),
    (&["and", "a", "quarter"], 25),
    (&["and", "three", "quarters"], 75),
    (&["en", "een", "half"], 50),
    (&["en", "een", "halve"], 50),
    (&["en", "half"], 50),
    (&["und", "ein", "halb"], 50),
    (&["und", "eine", "halbe"], 50),
    (&["ein", "halb"], 50),
    (&["et", "demi"], 50),
    (&["et", "demie"], 50),
    (&["y", "medio"], 50),
    (&["y", "media"], 50),
    (&["e", "mezzo"], 50),
    (&["e", "mezza"], 50),
    (&["e", "meio"], 50),
];
/// Halves without a number before them, in hundredths.
const HALVES: &[(&[&str], u64)] = &[
    (&["half", "a"], 50),
    (&["a", "half"], 50),
    (&["a", "quarter", "of", "a"], 25),
    (&["a", "quarter"], 25),
    (&["three", "quarters", "of", "a"], 75),
    (&["een", "half"], 50),
    (&["half"], 50),
    (&["eine", "halbe"], 50),
    (&["un", "demi"], 50),
    (&["medio"], 50),
    (&["mezzo"], 50),
    (&["meio"], 50),
    (&["anderthalb"], 150),
    (&["eineinhalb"], 150),
    (&["anderhalf"], 150),
    (&["anderhalve"], 150),
];
/// A larger amount is none.
const HUNDREDTHS_MAX: u64 = 100_000_000_000_000;

/// The count at the beginning of the words, in hundredths, and its words; `decimals` reads those behind a point.
pub(super) struct Count {
    pub(super) hundredths: u64,
    pub(super) used: usize,
}

/// An amount with a part of one, or of millions, in hundredths, and how many words it takes; `None` for what plain number
/// words say. `count` reads figures and what stands behind a point. Words of a currency may stand before a part.
pub(super) fn broken(
    words: &[String], numbers: &NumberWords, count: impl Fn(&[String]) -> Option<Count>,
    is_currency: impl Fn(&str) -> bool,
) -> Option<Count> {
    let (Count { hundredths, mut used }, mut is_broken) = match half(words, numbers) {
        Some(half) => (half, true),
        None => {
            let count = count(words).or_else(|| a_scale(words, numbers))?;
            let is_broken = !count.hundredths.is_multiple_of(100);
            (count, is_broken)
        }
    };
    let mut hundredths = hundredths;
    if let Some((part, length)) = part(words.get(used..)?) {
        (hundredths, used, is_broken) = (hundredths + part, used + length, true);
    }
    let rest = words.get(used..)?;
    let Some((scale, is_large)) = rest.first().and_then(|word| scale(word, numbers)) else {
        let behind = rest.first().filter(|word| is_currency(word)).and_then(|_| part(rest.get(1..)?));
        if let Some((part, length)) = behind.filter(|_| !is_broken) {
            return bounded(hundredths + part, used + 1 + length);
        }
        return is_broken.then(|| bounded(hundredths, used)).flatten();
    };
    let is_short = rest.first().is_some_and(|word| is_short_thousand(word, numbers));
    if !is_broken && !is_large && !is_short {
        return None;
    }
    used += 1;
    let mut total = hundredths.checked_mul(scale)?;
    let rest = words.get(used..)?;
    if let Some((part, length)) = part(rest) {
        return bounded(total.checked_add(part.checked_mul(scale)?)?, used + length);
    }
    // "two million five hundred thousand"
    let skipped = rest.iter().take(1).filter(|word| numbers.is_joiner(word)).count();
    if let Some((more, length)) = numbers.number(rest.get(skipped..)?)
        && more < scale
        && (is_large || is_short)
        && more >= 100
    {
        (total, used) = (total.checked_add(more.checked_mul(100)?)?, used + skipped + length);
    }
    bounded(total, used)
}

fn bounded(hundredths: u64, used: usize) -> Option<Count> {
    (hundredths <= HUNDREDTHS_MAX).then_some(Count { hundredths, used })
}

/// What a word multiplies by, and whether that is a million or more.
fn scale(word: &str, numbers: &NumberWords) -> Option<(u64, bool)> {
    let large = SCALES.iter().find(|(name, _)| *name == word).map(|(_, value)| (*value, true));
    let is_thousand = numbers.is_thousand(word) || is_short_thousand(word, numbers);
    large.or_else(|| is_thousand.then_some((1_000, false)))
}

fn is_short_thousand(word: &str, numbers: &NumberWords) -> bool {
    SHORT_THOUSANDS.contains(&word) && !numbers.is_thousand(word)
}

/// "a million", "a grand"
fn a_scale(words: &[String], numbers: &NumberWords) -> Option<Count> {
    let [first, next, ..] = words else { return None };
    let is_one = first == "a" && scale(next, numbers).is_some() && !numbers.is_thousand(next);
    is_one.then_some(Count { hundredths: 100, used: 1 })
}

/// A half before the word of its unit, or one that is part of a word: "zweieinhalb", "tweeenhalf".
fn half(words: &[String], numbers: &NumberWords) -> Option<Count> {
    let before_unit = |length: usize| {
        let unit = words.get(length).map(String::as_str);
        unit.is_some_and(|unit| scale(unit, numbers).is_some())
    };
    let listed =
        HALVES.iter().find(|(names, value)| begins(words, names) && (*value > 100 || before_unit(names.len())));
    if let Some((names, hundredths)) = listed {
        return Some(Count { hundredths: *hundredths, used: names.len() });
    }
    let first = words.first()?;
    let stem = ["einhalb", "enhalf", "enhalve"].iter().find_map(|ending| first.strip_suffix(ending))?;
    numbers.one_word(stem).filter(|value| *value < 1_000).map(|value| Count { hundredths: value * 100 + 50, used: 1 })
}

fn part(words: &[String]) -> Option<(u64, usize)> {
    PARTS.iter().find(|(names, _)| begins(words, names)).map(|(names, value)| (*value, names.len()))
}

fn begins(words: &[String], names: &[&str]) -> bool {
    names.len() <= words.len() && names.iter().zip(words).all(|(name, word)| name == word)
}
