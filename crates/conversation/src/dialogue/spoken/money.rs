//! Amounts of money as they are said: "twelve fifty", "twaalf euro vijftig", "€12.50", "two hundred dollars".

use super::fractions::{Count, broken};
use super::numbers::{NumberWords, number_words};
use super::words::{WORDS_MAX, base, fold};

/// An amount in the smallest unit of its currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// Cents, pence, or whole yen.
    pub minor_units: u64,
    /// ISO 4217.
    pub currency: String,
}

/// Words of currencies; what has no minor unit is told by [`minor_digits`].
const CURRENCIES: &[(&str, &[&str])] = &[
    ("EUR", &["euro", "euros", "€", "eur"]),
    ("USD", &["dollar", "dollars", "dolares", "dolar", "dollari", "$", "usd", "buck", "bucks"]),
    (
        "GBP",
        &[
            "pound", "pounds", "pond", "pfund", "livre", "livres", "libra", "libras", "sterlina", "sterline", "£",
            "gbp", "quid",
        ],
    ),
    ("CHF", &["franken", "francs", "franc", "franchi", "frank", "chf"]),
    ("JPY", &["yen", "¥", "jpy"]),
    ("BRL", &["real", "reais", "r$", "brl"]),
];
const MINOR: &[&str] = &[
    "cent",
    "cents",
    "centen",
    "centime",
    "centimes",
    "centimos",
    "centimo",
    "centesimi",
    "centesimo",
    "centavos",
    "centavo",
    "pence",
    "penny",
    "p",
    "rappen",
    "ct",
    "c",
];
/// Before an amount below zero.
const MINUS: &[&str] = &["minus", "negative", "min", "moins", "menos", "meno", "-"];
/// Before two amounts.
const BETWEEN: &[&str] = &["between", "tussen", "zwischen", "entre", "tra", "fra"];
/// Between two amounts of which one is meant.
const ALTERNATIVES: &[&str] =
    &["or", "to", "of", "tot", "oder", "bis", "ou", "o", "u", "oppure", "a", "hasta", "ate", "until", "-"];
/// Words between two such amounts, at most: "five or maybe ten".
const ALTERNATIVE_WORDS_MAX: usize = 3;
/// Between whole and part of a decimal number.
const POINTS: &[&str] = &["point", "komma", "comma", "virgule", "coma", "virgola", "virgula", "punto", "ponto", "dot"];

/// How many digits the part of a currency has.
pub fn minor_digits(currency: &str) -> u32 {
    if matches!(currency, "JPY" | "KRW" | "ISK" | "CLP" | "VND") { 0 } else { 2 }
}

/// The amount in a text; without a currency it is of `default`. `None` if it is none.
pub fn money(text: &str, language: &str, default: &str) -> Option<Amount> {
    let (words, numbers) = (grouped(tokens(text), language), number_words(language));
    if is_open(&words, language) {
        return None;
    }
    // "cent" is a hundred in French, and the part of an amount everywhere.
    let currency = words.iter().find_map(|word| of_word(word)).unwrap_or(default).to_owned();
    let scale = 10_u64.pow(minor_digits(&currency));
    let amount = |minor_units| Some(Amount { minor_units, currency: currency.clone() });
    let is_currency = |word: &str| of_word(word).is_some();
    let broken = |at| broken(words.get(at..)?, numbers, |words| count(words, numbers), is_currency);
    if let Some(Count { hundredths, .. }) = (0..words.len()).find_map(broken) {
        return amount(if scale == 1 { hundredths / 100 } else { hundredths });
    }
    let start = (0..words.len()).find(|at| value(words.get(*at..).unwrap_or_default(), numbers).is_some())?;
    let (whole, used) = value(words.get(start..)?, numbers)?;
    let rest = words.get(start + used..)?;
    let is_noise = |word: &String| numbers.is_joiner(word) || of_word(word).is_some() || word == "a" || word == "con";
    let is_minor = |word: Option<&String>| word.is_some_and(|word| MINOR.contains(&word.as_str()));
    if let Value::Decimal(minor) = whole {
        return amount(if scale == 1 { minor / 100 } else { minor });
    }
    let Value::Whole(whole) = whole else { return None };
    if is_minor(rest.first()) {
        return amount(whole);
    }
    if rest.first().is_some_and(|word| POINTS.contains(&word.as_str())) {
        return amount(whole.checked_mul(scale)?.checked_add(decimals(rest.get(1..)?, numbers))?);
    }
    let skipped = rest.iter().take_while(|word| is_noise(word)).count();
    let part = value(rest.get(skipped..)?, numbers).and_then(|(part, used)| match part {
        Value::Whole(part) if part < 100 && scale == 100 => Some((part, used)),
        _ => None,
    });
    amount(whole.checked_mul(scale)?.checked_add(part.map_or(0, |(part, _)| part))?)
}

/// The code of a currency that a word names.
fn of_word(word: &str) -> Option<&'static str> {
    CURRENCIES.iter().find(|(_, names)| names.contains(&word)).map(|(code, _)| *code)
}

/// Whether no single amount is said: one below zero, "five or ten euros", "between five and ten".
fn is_open(words: &[String], language: &str) -> bool {
    let numbers = number_words(language);
    // "Two and a half thousand"; elsewhere "a" is "to".
    let joins = |word: &String| {
        ALTERNATIVES.contains(&word.as_str()) && (word != "a" || matches!(base(language), "fr" | "es" | "it" | "pt"))
    };
    let is_unit = |word: &&String| of_word(word).is_some() || MINOR.contains(&word.as_str());
    let (mut at, mut last) = (0, None);
    while at < words.len() {
        let rest = words.get(at..).unwrap_or_default();
        // In English "o" is a digit, elsewhere it is "or".
        let Some((_, used)) = value(rest, numbers).filter(|_| rest.first().is_some_and(|word| word != "o")) else {
            at += 1;
            continue;
        };
        let before: Vec<&String> = words.iter().take(at).rev().filter(|word| !is_unit(word)).take(2).collect();
        let is = |place: usize, list: &[&str]| before.get(place).is_some_and(|word| list.contains(&word.as_str()));
        // "più o meno", "plus ou moins", "min of meer"
        let is_minus = last.is_none() && is(0, MINUS) && !is(1, &["o", "ou", "plus"]);
        let between = last.and_then(|end| words.get(end..at)).unwrap_or_default();
        let mut joining = between.iter().filter(|word| !is_unit(word));
        let is_other = joining.clone().count() <= ALTERNATIVE_WORDS_MAX && joining.any(joins);
        if is_minus || is_other || last.is_none() && is(0, BETWEEN) {
            return true;
        }
        at += used;
        last = Some(at);
    }
    false
}

#[derive(Clone, Copy)]
enum Value {
    Whole(u64),
    /// In hundredths.
    Decimal(u64),
}

fn value(words: &[String], numbers: &NumberWords) -> Option<(Value, usize)> {
    let first = words.first()?;
    if first.contains(|c: char| c.is_ascii_digit()) {
        let read = figures(first)?;
        let next = words
            .get(1)
            .is_some_and(|word| numbers.number(&["2".to_owned(), word.clone()]).is_some_and(|(_, used)| used == 2));
        if let (Value::Whole(_), true) = (read, next) {
            return numbers.number(words).map(|(value, used)| (Value::Whole(value), used));
        }
        return Some((read, 1));
    }
    // "a hundred"
    let (value, used) = numbers.number(words)?;
    Some((Value::Whole(value), used))
}

/// A count of millions or thousands, in hundredths: `1.5`, "one point five", "two hundred".
fn count(words: &[String], numbers: &NumberWords) -> Option<Count> {
    let (whole, used) = match words.first().map(|first| figures(first)) {
        Some(Some(Value::Decimal(hundredths))) => return Some(Count { hundredths, used: 1 }),
        Some(Some(Value::Whole(whole))) => (whole, 1),
        _ => numbers.number(words)?,
    };
    let hundredths = whole.checked_mul(100)?;
    let point = words.get(used).filter(|word| POINTS.contains(&word.as_str()));
    let Some((first, first_used)) = point.and_then(|_| numbers.number(words.get(used + 1..)?)) else {
        return Some(Count { hundredths, used });
    };
    let behind = words.get(used + 1 + first_used..)?;
    let second = numbers.number(behind).filter(|(second, _)| first < 10 && *second < 10).map_or(0, |(_, used)| used);
    let part = decimals(words.get(used + 1..)?, numbers);
    Some(Count { hundredths: hundredths.checked_add(part)?, used: used + 1 + first_used + second })
}

/// `12`, `1.200`, `12,50`, `1,200.50`.
fn figures(word: &str) -> Option<Value> {
    let word: String = word.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).collect();
    let word = word.trim_matches(['.', ',']);
    let plain =
        |text: &str| text.replace(['.', ','], "").parse::<u64>().ok().filter(|value| *value < 1_000_000_000_000);
    match word.rsplit_once(['.', ',']) {
        Some((whole, part)) if part.len() == 2 || part.len() == 1 => {
            let part: u64 = part.parse::<u64>().ok()? * if part.len() == 1 { 10 } else { 1 };
            Some(Value::Decimal(plain(whole)? * 100 + part))
        }
        _ => plain(word).map(Value::Whole),
    }
}

/// Digits after a point: "five" is fifty, "five oh" and "fifty" too.
fn decimals(words: &[String], numbers: &NumberWords) -> u64 {
    let Some((first, used)) = numbers.number(words) else { return 0 };
    if first >= 10 {
        return first.min(99);
    }
    let second = words.get(used..).and_then(|rest| numbers.number(rest)).map(|(second, _)| second);
    first * 10 + second.filter(|second| *second < 10).unwrap_or(0)
}

/// Words; signs of currencies are words of their own, and so are a minus, the dash of a range and what follows figures: "5k".
fn tokens(text: &str) -> Vec<String> {
    let mut folded = fold(text).replace("r$", " brl ").replace(['–', '—', '−'], "-");
    for sign in ["€", "$", "£", "¥"] {
        folded = folded.replace(sign, &format!(" {sign} "));
    }
    let mut tokens = Vec::new();
    for chunk in folded.split_whitespace().take(WORDS_MAX) {
        let mut is_behind_figures = chunk.starts_with('-');
        for (place, part) in chunk.split('-').enumerate() {
            let part = part.trim_matches(|c: char| matches!(c, '.' | ',' | '?' | '!' | ':' | ';' | '\''));
            let begins_with_figure = part.starts_with(|c: char| c.is_ascii_digit());
            if place > 0 && is_behind_figures && (begins_with_figure || part.is_empty()) {
                tokens.push("-".to_owned());
            }
            let figures = part.trim_end_matches(char::is_alphabetic);
            let (figures, unit) = if begins_with_figure { (figures, part.strip_prefix(figures)) } else { (part, None) };
            tokens
                .extend([Some(figures), unit].into_iter().flatten().filter(|part| !part.is_empty()).map(str::to_owned));
            is_behind_figures = part.ends_with(|c: char| c.is_ascii_digit()) || part.is_empty();
        }
    }
    tokens
}

/// Thousands that stand apart become one number: "3 500". English has a comma there.
fn grouped(words: Vec<String>, language: &str) -> Vec<String> {
    let is_figures = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let (mut all, mut goes_on): (Vec<String>, bool) = (Vec::new(), false);
    for word in words {
        let head = word.split(['.', ',']).next().unwrap_or_default();
        let is_group = goes_on && head.len() == 3 && is_figures(head);
        goes_on =
            if is_group { is_figures(&word) } else { word.len() <= 3 && is_figures(&word) && !word.starts_with('0') };
        goes_on &= base(language) != "en";
        match all.last_mut().filter(|_| is_group) {
            Some(last) => last.push_str(&word),
            None => all.push(word),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_millions_are_read_in_each_language() {
        for (language, text, minor_units, currency) in [
            ("en", "one and a half million dollars", 150_000_000, "USD"),
            ("en", "about two and a half thousand euros", 250_000, "EUR"),
            ("en", "a million and a half dollars", 150_000_000, "USD"),
            ("en", "half a million pounds", 50_000_000, "GBP"),
            ("en", "two million five hundred thousand", 250_000_000, "EUR"),
            ("en", "1.5 million dollars", 150_000_000, "USD"),
            ("en", "$2.5 million", 250_000_000, "USD"),
            ("en", "one point two five million euros", 125_000_000, "EUR"),
            ("en", "twelve and a half euros", 1_250, "EUR"),
            ("en", "three million yen", 3_000_000, "JPY"),
            ("en", "a quarter of a million", 25_000_000, "EUR"),
            ("en", "two billion", 200_000_000_000, "EUR"),
            ("nl", "anderhalf miljoen euro", 150_000_000, "EUR"),
            ("nl", "tweeënhalf duizend euro", 250_000, "EUR"),
            ("nl", "twee en een half duizend euro", 250_000, "EUR"),
            ("de", "eineinhalb Millionen Euro", 150_000_000, "EUR"),
            ("de", "zweieinhalb Tausend Euro", 250_000, "EUR"),
            ("de", "eine halbe Million Euro", 50_000_000, "EUR"),
            ("fr", "un million et demi d'euros", 150_000_000, "EUR"),
            ("fr", "deux millions et demi", 250_000_000, "EUR"),
            ("fr", "douze euros et demi", 1_250, "EUR"),
            ("es", "un millón y medio de euros", 150_000_000, "EUR"),
            ("es", "dos millones", 200_000_000, "EUR"),
            ("it", "un milione e mezzo di euro", 150_000_000, "EUR"),
            ("pt", "um milhão e meio de reais", 150_000_000, "BRL"),
        ] {
            let wanted = Amount { minor_units, currency: currency.to_owned() };
            assert_eq!(money(text, language, "EUR"), Some(wanted), "{language}: {text}");
        }
    }

    #[test]
    fn amounts_are_read_in_each_language() {
        for (language, text, wanted) in [
            ("en", "twelve fifty", (1_250, "EUR")),
            ("en", "€12.50", (1_250, "EUR")),
            ("en", "twelve euros and fifty cents", (1_250, "EUR")),
            ("en", "a hundred dollars", (10_000, "USD")),
            ("en", "two hundred and five pounds", (20_500, "GBP")),
            ("en", "$1,200.50", (120_050, "USD")),
            ("en", "twelve point five euros", (1_250, "EUR")),
            ("en", "75 cents", (75, "EUR")),
            ("en", "three thousand yen", (3_000, "JPY")),
            ("nl", "twaalf euro vijftig", (1_250, "EUR")),
            ("nl", "€ 12,50", (1_250, "EUR")),
            ("nl", "twaalf komma vijf euro", (1_250, "EUR")),
            ("nl", "honderdvijf euro", (10_500, "EUR")),
            ("nl", "1.200 euro", (120_000, "EUR")),
            ("de", "zwölf Euro fünfzig", (1_250, "EUR")),
            ("de", "zwölf Euro und fünfzig Cent", (1_250, "EUR")),
            ("de", "zweihundert Franken", (20_000, "CHF")),
            ("de", "dreißig Komma fünf Euro", (3_050, "EUR")),
            ("fr", "douze euros cinquante", (1_250, "EUR")),
            ("fr", "deux cents euros", (20_000, "EUR")),
            ("fr", "12,50 €", (1_250, "EUR")),
            ("es", "doce euros con cincuenta", (1_250, "EUR")),
            ("es", "doscientos euros", (20_000, "EUR")),
            ("it", "dodici euro e cinquanta", (1_250, "EUR")),
            ("it", "duecento euro", (20_000, "EUR")),
            ("pt", "doze euros e cinquenta", (1_250, "EUR")),
            ("pt", "duzentos reais", (20_000, "BRL")),
        ] {
            let wanted = Amount { minor_units: wanted.0, currency: wanted.1.to_owned() };
            assert_eq!(money(text, language, "EUR"), Some(wanted), "{language}: {text}");
        }
        for text in ["nothing at all", ""] {
            assert_eq!(money(text, "en", "EUR"), None, "{text}");
        }
    }

    #[test]
    fn short_thousands_and_units_behind_figures_are_read() {
        for (language, text, wanted) in [
            ("en", "five k", (500_000, "EUR")),
            ("en", "twenty five k dollars", (2_500_000, "USD")),
            ("en", "5k", (500_000, "EUR")),
            ("en", "€1.5k", (150_000, "EUR")),
            ("en", "two grand", (200_000, "EUR")),
            ("en", "a grand", (100_000, "EUR")),
            ("en", "two grand five hundred", (250_000, "EUR")),
            ("en", "$2m", (200_000_000, "USD")),
            ("en", "50p", (50, "EUR")),
            ("en", "twenty-five euros", (2_500, "EUR")),
            ("nl", "vijf k", (500_000, "EUR")),
            ("nl", "€ 12,-", (1_200, "EUR")),
            ("de", "fünf Mille", (500_000, "EUR")),
            ("de", "2 Mio Euro", (200_000_000, "EUR")),
            ("fr", "cinq K", (500_000, "EUR")),
            ("fr", "3 500 euros", (350_000, "EUR")),
            ("nl", "1200 euro 500", (120_000, "EUR")),
            ("fr", "12 500,50 €", (1_250_050, "EUR")),
            ("de", "3 500 000 Euro", (350_000_000, "EUR")),
            ("fr", "cinq mille euros", (500_000, "EUR")),
            ("es", "cinco k", (500_000, "EUR")),
            ("it", "5k euro", (500_000, "EUR")),
            ("it", "più o meno cinque euro", (500, "EUR")),
            ("es", "más o menos cinco euros", (500, "EUR")),
            ("pt", "mais ou menos cinco euros", (500, "EUR")),
            ("pt", "R$ 12,50", (1_250, "BRL")),
            ("pt", "R$50", (5_000, "BRL")),
        ] {
            let wanted = Amount { minor_units: wanted.0, currency: wanted.1.to_owned() };
            assert_eq!(money(text, language, "EUR"), Some(wanted), "{language}: {text}");
        }
    }

    #[test]
    fn amounts_below_zero_and_several_ones_are_no_amount() {
        for (language, text) in [
            ("en", "minus five euros"),
            ("en", "-5 euros"),
            ("en", "-€5"),
            ("en", "negative twenty dollars"),
            ("en", "between five and ten euros"),
            ("en", "somewhere between twenty and thirty"),
            ("en", "five or ten euros"),
            ("en", "five or maybe ten euros"),
            ("en", "five to ten euros"),
            ("en", "five euros or ten euros"),
            ("en", "5-10 euros"),
            ("en", "$10–$15"),
            ("en", "10 - 20 euros"),
            ("nl", "min vijf euro"),
            ("nl", "tussen vijf en tien euro"),
            ("nl", "vijf of tien euro"),
            ("nl", "vijf tot tien euro"),
            ("de", "minus fünf Euro"),
            ("de", "zwischen fünf und zehn Euro"),
            ("de", "fünf oder zehn Euro"),
            ("de", "fünf bis zehn Euro"),
            ("fr", "moins cinq euros"),
            ("fr", "entre cinq et dix euros"),
            ("fr", "cinq ou dix euros"),
            ("fr", "cinq à dix euros"),
            ("es", "menos cinco euros"),
            ("es", "entre cinco y diez euros"),
            ("es", "cinco o diez euros"),
            ("es", "de cinco a diez euros"),
            ("it", "meno cinque euro"),
            ("it", "tra cinque e dieci euro"),
            ("it", "cinque o dieci euro"),
            ("it", "da cinque a dieci euro"),
            ("pt", "menos cinco euros"),
            ("pt", "entre cinco e dez euros"),
            ("pt", "cinco ou dez euros"),
        ] {
            assert_eq!(money(text, language, "EUR"), None, "{language}: {text}");
        }
    }
}
