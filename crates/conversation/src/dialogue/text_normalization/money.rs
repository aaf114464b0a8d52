//! Amounts of money: signs, codes and names of currencies before and behind the number, cents, millions, ranges,
//! "per kilogram".

use super::language::{Currency, Scale};
use super::locale::Locale;
use super::numbers::{Number, behind_hyphen, is_before_noun, number, range, say_range};
use super::tokens::{Reading, Sentence, has_capital, is_all_capitals};
use super::units;

/// Names of the currency of a text, and where they end.
struct Named {
    currency: &'static Currency,
    end: usize,
}

/// One value, or two of a range.
enum Value {
    One(Number),
    Range(Number, Number),
}

/// Reads an amount that begins at a token.
pub(super) fn read(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    if !sentence.starts_word(at) || behind_hyphen(sentence, at) {
        return None;
    }
    let (negative, start) = match sentence.minus(at) {
        Some(behind) => (true, behind),
        None => (false, at),
    };
    let amount = sign_first(sentence, at, start, locale)
        .or_else(|| number_first(sentence, at, start, locale))
        .or_else(|| scaled(sentence, start, locale))?;
    let minus = locale.language.signs.minus;
    let spoken = if negative { format!("{minus} {}", amount.spoken) } else { amount.spoken };
    Some(with_per(sentence, amount.end, spoken, locale))
}

/// `€12.50`, `US$ 5`, `EUR 12.50`, `$4.5-5 million`, `$10-$15`.
fn sign_first(sentence: &Sentence<'_>, at: usize, start: usize, locale: Locale) -> Option<Reading> {
    let named = with_sign(sentence, currency(sentence, start, locale, false)?, locale);
    // The name of a currency before a number is no sign of it: "euro 2024".
    let (negative, from) = match sentence.glued_sign(named.end, &["-", "−"]) {
        true => (true, named.end + 1),
        false => (false, named.end),
    };
    let first = number(sentence, from, locale).or_else(|| only_cents(sentence, from))?;
    let (first_scale, first_end) = with_scale(sentence, first.end, locale);
    let mut value = Value::One(first.clone());
    let (mut scale, mut end) = (first_scale, first_end);
    if let Some(behind) = sentence.dash(first_end) {
        let again =
            currency(sentence, behind, locale, false).filter(|again| std::ptr::eq(again.currency, named.currency));
        if let Some(second) = number(sentence, again.map_or(behind, |again| again.end), locale) {
            let (second_scale, second_end) = with_scale(sentence, second.end, locale);
            let same = |first: &Scale| second_scale.is_some_and(|second| std::ptr::eq(first, second));
            if first_scale.is_none_or(same) {
                (scale, end) = (second_scale, second_end);
                value = Value::Range(first, second);
            }
        }
    }
    if !sentence.ends_word(end) || goes_on(sentence, end) {
        return None;
    }
    let named = with_code(sentence, Named { end, ..named }, named.end, locale);
    let end = named.end;
    let spoken = say(sentence, at, end, &value, scale, named.currency, locale)?;
    let minus = locale.language.signs.minus;
    let end = without_full_stop(sentence, end, locale);
    Reading::new(end, if negative { format!("{minus} {spoken}") } else { spoken })
}

/// `12,50 €`, `12.50 EUR`, `7,50 euro`, `1,5 mln. euro`, `2,5 M€`, `12€50`, `1,5 millones de €`.
fn number_first(sentence: &Sentence<'_>, at: usize, start: usize, locale: Locale) -> Option<Reading> {
    let value = match range(sentence, start, locale) {
        Some((first, second)) => Value::Range(first, second),
        None => Value::One(number(sentence, start, locale)?),
    };
    let mut end = without_dash_ending(sentence, value.end());
    let mut scale_word = None;
    if let Some((found, behind)) = scale(sentence, end, Scaled::Plain, locale) {
        (scale_word, end) = (Some(found), behind);
        // "millones de €", "milioni di €".
        if matches!(sentence.text(end), "de" | "di") {
            end += 1;
        }
    }
    // "10 € - 15 €": the name between the numbers is said once.
    if let (Value::One(first), Some(named)) = (&value, currency(sentence, end, locale, true))
        && let Some(behind) = sentence.dash(named.end)
        && let Some(second) = number(sentence, behind, locale)
        && let Some(again) = currency(sentence, second.end, locale, true)
        && std::ptr::eq(named.currency, again.currency)
    {
        let value = Value::Range(first.clone(), second);
        let spoken = say(sentence, at, again.end, &value, None, again.currency, locale)?;
        return Reading::new(again.end, spoken);
    }
    if let (Value::One(number), None) = (&value, scale_word)
        && let Some(reading) = joint_code(sentence, end, number, locale)
    {
        return Some(reading);
    }
    let named = currency(sentence, end, locale, true)?;
    let named_end = named.end;
    let named = with_code(sentence, named, named_end, locale);
    if is_key(sentence, at, end, locale) {
        return None;
    }
    // "12€50".
    if let (Value::One(number), Some(cents)) = (&value, sentence.digits(named.end))
        && sentence.is_glued(named.end)
        && number.fraction.is_empty()
    {
        let fits = cents.len() == 2 && scale_word.is_none() && sentence.ends_word(named.end + 1);
        let full = Number { fraction: cents.to_owned(), ..number.clone() };
        let spoken = fits.then(|| amount(&full, named.currency, locale)).flatten()?;
        return Reading::new(named.end + 1, spoken);
    }
    if !sentence.ends_word(named.end) {
        return None;
    }
    let spoken = say(sentence, at, named.end, &value, scale_word, named.currency, locale)?;
    Reading::new(named.end, spoken)
}

/// "300 TEUR", "5 kEUR", "2 MUSD": the scale and the code of the currency are one word.
fn joint_code(sentence: &Sentence<'_>, at: usize, number: &Number, locale: Locale) -> Option<Reading> {
    let word = sentence.word(at).filter(|word| word.len() == 4 && word.is_ascii())?;
    let (letter, code) = word.split_at_checked(1)?;
    let wanted = match letter {
        "T" | "k" | "K" => 'k',
        "M" => 'M',
        _ => return None,
    };
    let money = &locale.language.money;
    let currency = money.currencies.iter().find(|currency| currency.signs.contains(&code))?;
    let scale = money.scales.iter().find(|scale| match wanted {
        'k' => scale.written.contains(&"K"),
        _ => scale.written.iter().any(|written| written.to_lowercase().starts_with("mil")) && scale.one.len() > 4,
    })?;
    let singular = number.is_one() || money.below_two && number.is_below_two();
    let name = if singular { scale.one } else { scale.many };
    sentence.ends_word(at + 1).then(|| Reading {
        end: at + 1,
        spoken: format!("{} {name} {}", number.say(locale), of(currency.many, scale, locale)),
    })
}

/// "star 2 1 pound" are keys of a phone.
fn is_key(sentence: &Sentence<'_>, at: usize, end: usize, locale: Locale) -> bool {
    let codes = &locale.language.codes;
    let before = sentence.before(at);
    sentence.text(end) == codes.hash
        && before.is_some_and(|before| {
            before.text == codes.star
                || before.text == codes.hash
                || before.text.parse::<u8>().is_ok_and(|digit| digit < 10)
        })
}

impl Value {
    fn end(&self) -> usize {
        match self {
            Self::One(number) | Self::Range(_, number) => number.end,
        }
    }
}

/// "25,-" and "20,--" are whole amounts.
fn without_dash_ending(sentence: &Sentence<'_>, end: usize) -> usize {
    if !sentence.glued_sign(end, &[",", "."]) || !sentence.glued_sign(end + 1, &["-", "–", "—"]) {
        return end;
    }
    let dashes = (end + 1..).take_while(|at| sentence.glued_sign(*at, &["-", "–", "—"])).count();
    match sentence.ends_word(end + 1 + dashes)
        && sentence.digits(end + 1 + dashes).is_none_or(|_| !sentence.is_glued(end + 1 + dashes))
    {
        true => end + 1 + dashes,
        false => end,
    }
}

/// Whether separators and digits follow that were not understood: such an amount stays as it is.
fn goes_on(sentence: &Sentence<'_>, end: usize) -> bool {
    sentence.glued_sign(end, &[".", ",", "-", "–", "'", ":"])
        && sentence.is_glued(end + 1)
        && sentence.digits(end + 1).is_some()
}

/// The currency whose sign, code or name stands at a token.
fn currency(sentence: &Sentence<'_>, at: usize, locale: Locale, with_names: bool) -> Option<Named> {
    let token = sentence.get(at)?;
    let mut best: Option<Named> = None;
    for currency in locale.language.money.currencies {
        let names = [currency.one, currency.many];
        let names = names.iter().filter(|_| with_names && token.is_spaced);
        let signs = currency.signs.iter().filter(|sign| !locale.peso || **sign != "$");
        let peso = (locale.peso && currency.one == "peso").then_some(&"$");
        for written in signs.chain(names).chain(peso) {
            let octets = token.start + written.len();
            if sentence.stands(token.start, written)
                && best.as_ref().is_none_or(|best| octets > token_end(sentence, best.end))
            {
                best = Some(Named { currency, end: sentence.token_from(octets) });
            }
        }
    }
    // The dot of "500 pts." is that of the sentence, too, where one ends.
    best.map(|named| match sentence.text(named.end - 1) == "." && sentence.is_end(named.end) {
        true => Named { end: named.end - 1, ..named },
        false => named,
    })
}

/// "$40 USD", "$55 CAD", "$1,499.00 MXN", "40 € EUR": the code behind an amount tells which dollar or peso is meant.
fn with_code(sentence: &Sentence<'_>, named: Named, sign_end: usize, locale: Locale) -> Named {
    let is_code = sentence.word(named.end).is_some_and(|word| word.len() == 3 && is_all_capitals(word));
    let code = currency(sentence, named.end, locale, false)
        .filter(|code| is_code && code.end == named.end + 1 && sentence.ends_word(code.end))
        .filter(|code| sentence.digits(code.end).is_none() || sentence.is_glued(code.end));
    match code {
        Some(code) if sentence.text(sign_end - 1) == "$" || is_family(named.currency, code.currency) => code,
        _ => named,
    }
}

/// "CAD $55", "MXN $1,499.00": a sign behind the code.
fn with_sign(sentence: &Sentence<'_>, named: Named, locale: Locale) -> Named {
    match currency(sentence, named.end, locale, false) {
        Some(sign) if sentence.text(named.end) == "$" || is_family(sign.currency, named.currency) => {
            Named { end: sign.end, ..named }
        }
        _ => named,
    }
}

/// Whether one currency is the other, or the kind of it: the dollar of the Canadian dollar.
fn is_family(kind: &Currency, currency: &Currency) -> bool {
    std::ptr::eq(kind, currency) || currency.one.split(' ').any(|word| word.eq_ignore_ascii_case(kind.one))
}

fn token_end(sentence: &Sentence<'_>, at: usize) -> usize {
    sentence.before(at).map_or(0, super::tokens::Token::end)
}

/// `$.99`.
fn only_cents(sentence: &Sentence<'_>, at: usize) -> Option<Number> {
    let digits = sentence.digits(at + 1).filter(|digits| digits.len() <= 2)?;
    let glued = sentence.glued_sign(at, &["."]) && sentence.is_glued(at + 1);
    let fraction = digits.to_owned();
    glued.then(|| Number { whole: "0".to_owned(), fraction, is_grouped: false, end: at + 2 })
}

/// The scale behind a number, if there is one, and where the amount goes on.
fn with_scale(sentence: &Sentence<'_>, end: usize, locale: Locale) -> (Option<&'static Scale>, usize) {
    let end = without_dash_ending(sentence, end);
    scale(sentence, end, Scaled::Amount, locale).map_or((None, end), |(scale, end)| (Some(scale), end))
}

/// The dot of "€ 3,2 mld." is that of the sentence, too, where one ends.
fn without_full_stop(sentence: &Sentence<'_>, end: usize, locale: Locale) -> usize {
    let dotted = sentence.before(end).is_some_and(|last| last.text == ".");
    let next_sentence = !locale.is_german() && sentence.word(end).is_some_and(has_capital);
    if dotted && (sentence.is_end(end) || next_sentence) { end - 1 } else { end }
}

/// "2,5 Tsd. Stück", "3 Mio. Menschen", "1 M d'habitants": a short form of a scale behind a number that is no amount.
fn scaled(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<Reading> {
    let (numbers, last) = match range(sentence, at, locale) {
        Some((first, second)) => (say_range(sentence, at, &first.say(locale), &second.say(locale), locale), second),
        None => {
            let number = number(sentence, at, locale)?;
            (number.say(locale), number)
        }
    };
    let (scale, end) = scale(sentence, last.end, Scaled::Plain, locale)?;
    let written = sentence.text.get(sentence.get(last.end)?.start..sentence.before(end)?.end())?;
    // "1 M d'habitants", "10 mi de pessoas".
    let counted = matches!(written, "M" | "mi" | "bi" | "tri") && matches!(sentence.text(end), "d" | "de" | "di");
    let is_short = written.ends_with('.') || SHORT_SCALES.contains(&written);
    if !is_short && !counted || !sentence.ends_word(end) {
        return None;
    }
    let singular = last.is_one() || locale.language.money.below_two && last.is_below_two();
    let name = if singular { scale.one } else { scale.many };
    Reading::new(without_full_stop(sentence, end, locale), format!("{numbers} {name}"))
}

/// Short forms of scales without a dot that mean nothing else behind a number.
const SHORT_SCALES: &[&str] = &[
    "Mio", "Mrd", "Mrd", "Tsd", "Mill", "mln", "mld", "mio", "mrd", "bln", "bn", "tn", "milj", "Mds", "Md", "Mrds",
    "mds", "md",
];
/// Those that may be units as well: only beside a currency.
const UNSURE_SCALES: &[&str] = &["m", "k", "b", "t", "mi", "bi", "tri", "mn", "mil", "cr", "Bio", "T"];

/// What is known of a number when its scale is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scaled {
    /// Nothing: "5 m" is a length.
    Plain,
    /// A currency stands before it: "R$ 5 mi".
    Amount,
}

/// "million", "bn", "Mrd.": the longest word, and where it ends.
fn scale(sentence: &Sentence<'_>, at: usize, known: Scaled, locale: Locale) -> Option<(&'static Scale, usize)> {
    let token = sentence.get(at)?;
    let mut best: Option<(&'static Scale, usize)> = None;
    for scale in locale.language.money.scales {
        for written in scale.written {
            let octets = token.start + written.len();
            let Some(rest) = sentence.text.get(token.start..).and_then(|rest| rest.strip_prefix(written)) else {
                continue;
            };
            let unsure = token.is_spaced && UNSURE_SCALES.contains(written) && scale.one != *written;
            if unsure && known == Scaled::Plain && !is_before_currency(sentence, octets, locale) {
                continue;
            }
            if !written.ends_with('.') && rest.starts_with(char::is_alphanumeric) {
                continue;
            }
            if best.is_none_or(|(_, longest)| octets > longest) {
                best = Some((scale, octets));
            }
        }
    }
    best.map(|(scale, octets)| (scale, sentence.token_from(octets)))
}

/// Whether a currency follows an octet, with "de" before it or without: "2,5 mi de reais", "3 k€".
fn is_before_currency(sentence: &Sentence<'_>, octets: usize, locale: Locale) -> bool {
    let at = sentence.token_from(octets);
    let joint = matches!(sentence.text(at), "de" | "di");
    // "10 mi de pessoas".
    let counted = joint && matches!(sentence.text(at.saturating_sub(1)), "mi" | "bi" | "tri");
    counted || names_currency(sentence, if joint { at + 1 } else { at }, locale)
}

fn say(
    sentence: &Sentence<'_>, at: usize, end: usize, value: &Value, scale: Option<&Scale>, currency: &Currency,
    locale: Locale,
) -> Option<String> {
    let last = match value {
        Value::One(number) | Value::Range(_, number) => number,
    };
    if let Some(scale) = scale {
        let singular = last.is_one() || locale.language.money.below_two && last.is_below_two();
        let name = if singular { scale.one } else { scale.many };
        let numbers = match value {
            Value::One(number) => number.say(locale),
            Value::Range(first, second) => say_range(sentence, at, &first.say(locale), &second.say(locale), locale),
        };
        return Some(format!("{numbers} {name} {}", of(currency.many, scale, locale)));
    }
    match value {
        Value::Range(first, second) => {
            let name = if second.is_one() { currency.one } else { currency.many };
            let numbers = say_range(sentence, at, &padded(first, locale), &padded(second, locale), locale);
            Some(format!("{numbers} {name}"))
        }
        Value::One(number) if is_before_noun(sentence, at, end, locale) => {
            let cents = number.fraction.trim_end_matches('0').len() <= 2 && !currency.cent.1.is_empty();
            let full = Currency { many: currency.one, ..*currency };
            amount(number, if cents && number.whole != "0" { &full } else { currency }, locale)
        }
        // "3.5 pounds" is a weight more often.
        Value::One(number) if number.fraction.len() == 1 && is_pound(sentence, end, locale) => {
            Some(format!("{} pounds", number.say(locale)))
        }
        Value::One(number) => amount(number, currency, locale),
    }
}

/// Whether the word "pounds" ends at a token, and no sign of the currency.
fn is_pound(sentence: &Sentence<'_>, end: usize, locale: Locale) -> bool {
    locale.is_english() && end.checked_sub(1).is_some_and(|last| matches!(sentence.text(last), "pound" | "pounds"))
}

fn padded(number: &Number, locale: Locale) -> String {
    let mut number = number.clone();
    if number.fraction.bytes().all(|digit| digit == b'0') {
        number.fraction.clear();
    } else if number.fraction.len() == 1 {
        number.fraction.push('0');
    }
    number.say(locale)
}

/// "million d'euros", "millones de euros"; nothing in between in other languages, or behind thousands.
fn of(name: &str, scale: &Scale, locale: Locale) -> String {
    let of = locale.language.money.of;
    let thousands = matches!(scale.one, "mille" | "mil" | "mila" | "MM");
    match of {
        _ if thousands || of.is_empty() => name.to_owned(),
        "de" if locale.is_french() && name.starts_with(['e', 'a', 'o', 'y']) && !name.starts_with("yen") => {
            format!("d'{name}")
        }
        _ => format!("{of} {name}"),
    }
}

/// Amount, currency and cents.
fn amount(number: &Number, currency: &Currency, locale: Locale) -> Option<String> {
    let whole = number.whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let french = locale.is_french();
    let exact = number.fraction.len() <= 2;
    let singular = number.is_one() && exact || french && number.is_below_two();
    let name = if singular { currency.one } else { currency.many };
    let (one_cent, many_cents) = currency.cent;
    if number.fraction.bytes().all(|digit| digit == b'0') && number.fraction.len() <= 2 {
        return Some(round(whole, name, currency, locale));
    }
    if number.fraction.len() > 2 || many_cents.is_empty() {
        return Some(format!("{} {name}", number.say(locale)));
    }
    let tens = number.fraction.len() == 1;
    let cents: u32 = number.fraction.parse::<u32>().ok()? * if tens { 10 } else { 1 };
    let cent_name = if cents == 1 { one_cent } else { many_cents };
    let joint = locale.language.money.joint;
    let joint = if joint.is_empty() { String::new() } else { format!("{joint} ") };
    // "1 euro 50": the whole part decides, unless it stands alone.
    let name = if whole == "1" { currency.one } else { name };
    Some(match (whole, cents) {
        ("0", _) => format!("{cents} {cent_name}"),
        (_, ..10) => format!("{whole} {name} {joint}{cents} {cent_name}"),
        _ => format!("{whole} {name} {joint}{cents}"),
    })
}

/// French and Spanish say "1 million d'euros" for the digits of a million.
fn round(whole: &str, name: &str, currency: &Currency, locale: Locale) -> String {
    let millions = whole.strip_suffix("000000").filter(|millions| !millions.is_empty() && millions.len() <= 3);
    let scale = locale.language.money.scales.iter().find(|scale| scale.one.starts_with("mill"));
    let two_words = locale.is_french() || locale.is_spanish();
    match (millions, scale) {
        (Some(millions), Some(scale)) if two_words => {
            let word = if millions == "1" { scale.one } else { scale.many };
            format!("{millions} {word} {}", of(currency.many, scale, locale))
        }
        _ => format!("{whole} {name}"),
    }
}

/// "$1.50/kg" is "per kilogram".
fn with_per(sentence: &Sentence<'_>, end: usize, spoken: String, locale: Locale) -> Reading {
    if sentence.glued_sign(end, &["/"])
        && sentence.is_glued(end + 1)
        && let Some((name, behind)) = units::per_name(sentence, end + 1, locale)
    {
        return Reading { end: behind, spoken: format!("{spoken} {}", units::say_per(&name, locale)) };
    }
    Reading { end, spoken }
}

/// The currency whose sign or code stands at a token, and where that ends.
pub(super) fn sign(sentence: &Sentence<'_>, at: usize, locale: Locale) -> Option<(&'static Currency, usize)> {
    currency(sentence, at, locale, false).map(|named| (named.currency, named.end))
}

/// Whether the sign, code or name of a currency stands at a token.
pub(super) fn names_currency(sentence: &Sentence<'_>, at: usize, locale: Locale) -> bool {
    currency(sentence, at, locale, true).is_some()
}
