//! How a value is read back: spelled where it matters, in the agent's language. Text normalization says numbers and amounts.

use super::super::phrases::value_phrases;
use super::super::text_normalization::SpeechStyle;
use super::money::minor_digits;
use super::phone::said;
use super::sign_names::{SignNames, month};
use super::value::{SpokenValue, ValueContext};
use super::words::base;
use jiff::civil::Date;
use trunkline_domain::built_in_tools::Spelling;

/// The question whether a value is right.
pub fn read_back(value: &SpokenValue, context: &ValueContext) -> String {
    confirmation(&spoken(value, context), &context.spoken_language)
}

/// The question whether a value is right, in words that stand for it.
pub fn confirmation(said: &str, language: &str) -> String {
    let (blank, phrases) = (blank(language), value_phrases(language));
    format!("{}{blank}{}", noted(said, language), phrases.after)
}

/// What is said of a value that was corrected.
pub fn noted(said: &str, language: &str) -> String {
    let (blank, before) = (blank(language), value_phrases(language).before);
    let stop = match base(language) {
        "ja" | "zh" => "。",
        "hi" => "।",
        _ => ".",
    };
    format!("{before}{blank}{said}{stop}")
}

/// Between two sentences.
fn blank(language: &str) -> &'static str {
    if matches!(base(language), "ja" | "zh") { "" } else { " " }
}

/// A value as it is said.
pub fn spoken(value: &SpokenValue, context: &ValueContext) -> String {
    match value {
        // Vendors that normalize text themselves would say a number of millions.
        SpokenValue::Phone(number) => format!("{} {}", SignNames::of(&context.spoken_language).plus, said(number)),
        SpokenValue::Email(address) => email(address, &context.spoken_language),
        SpokenValue::Date(date) => day(*date, &context.spoken_language),
        SpokenValue::Money(amount) => {
            let scale = 10_u64.pow(minor_digits(&amount.currency));
            let (whole, part) = (amount.minor_units / scale, amount.minor_units % scale);
            let point = if has_point(&context.spoken_language) { "." } else { "," };
            let number = if part == 0 { whole.to_string() } else { format!("{whole}{point}{part:02}") };
            match (amount.currency.as_str(), point) {
                ("EUR", ".") => format!("€{number}"),
                ("USD", ".") => format!("${number}"),
                ("GBP", ".") => format!("£{number}"),
                ("EUR", _) => format!("{number} €"),
                // Codes of currencies are letters to most voices.
                (currency, _) => {
                    SpeechStyle::new(&context.spoken_language, false).normalize(&format!("{number} {currency}")).spoken
                }
            }
        }
        SpokenValue::Answer(_) => String::new(),
        SpokenValue::Name(name) => {
            let letters: Vec<String> = name.split_whitespace().map(letters_apart).collect();
            format!("{name}, {}", letters.join(", "))
        }
        SpokenValue::Code(code) => spelled_code(code, context.spelling),
    }
}

/// Whether a language writes its decimals behind a point.
fn has_point(language: &str) -> bool {
    matches!(base(language), "en" | "ja" | "zh" | "ko" | "hi")
}

/// The part before the sign letter by letter, hosts as words: "j o h n dot s m i t h at example dot com".
fn email(address: &str, language: &str) -> String {
    let names = SignNames::of(language);
    let (user, host) = address.split_once('@').unwrap_or((address, ""));
    let sign = |c: char| match c {
        '.' => names.dot.to_owned(),
        '-' => names.dash.to_owned(),
        '_' => names.underscore.to_owned(),
        '+' => names.plus.to_owned(),
        c => c.to_string(),
    };
    let user: Vec<String> = user.chars().map(sign).collect();
    let mut parts = Vec::new();
    let mut word = String::new();
    for c in host.chars().chain(['\n']) {
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        parts.push(if is_sayable(&word, language) {
            std::mem::take(&mut word)
        } else {
            letters_apart(&std::mem::take(&mut word))
        });
        if c != '\n' {
            parts.push(sign(c));
        }
    }
    format!("{} {} {}", user.join(" "), names.at, parts.join(" "))
}

/// Whether a part of a host is said as a word: `nl`, `uk` and `gmx` are spelled.
fn is_sayable(word: &str, language: &str) -> bool {
    if matches!((base(language), word), (_, "co") | ("es", "es") | ("it", "it")) {
        return true;
    }
    let vowels = word.chars().filter(|c| "aeiouy".contains(*c)).count();
    word.len() > 2 && vowels > 0 && word.chars().all(char::is_alphabetic)
}

fn letters_apart(word: &str) -> String {
    word.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

const NATO: [&str; 26] = [
    "Alpha", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima",
    "Mike", "November", "Oscar", "Papa", "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey", "X-ray",
    "Yankee", "Zulu",
];

fn spelled_code(code: &str, spelling: Spelling) -> String {
    let sign = |c: char| match (spelling, u32::from(c).checked_sub(u32::from('A'))) {
        (Spelling::Nato, Some(place)) => {
            NATO.get(place as usize).map_or_else(|| c.to_string(), |word| (*word).to_owned())
        }
        _ => c.to_string(),
    };
    code.chars().map(sign).collect::<Vec<_>>().join(", ")
}

fn day(date: Date, language: &str) -> String {
    let place = usize::try_from(date.month() - 1).unwrap_or_default();
    let (day, year) = (date.day(), date.year());
    let month = month(language, place);
    match base(language) {
        "de" | "da" | "nb" | "nn" | "no" | "fi" | "cs" => format!("{day}. {month} {year}"),
        "fr" if day == 1 => format!("1er {month} {year}"),
        "nl" | "fr" | "it" | "sv" | "pl" | "tr" | "ar" | "hi" => format!("{day} {month} {year}"),
        "ru" => format!("{day} {month} {year} года"),
        "uk" => format!("{day} {month} {year} року"),
        "ja" | "zh" => format!("{year}年{}月{day}日", date.month()),
        "ko" => format!("{year}년 {}월 {day}일", date.month()),
        "es" | "pt" => format!("{day} de {month} de {year}"),
        _ => format!("{month} {day}, {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::money::Amount;
    use super::*;

    fn back(value: &SpokenValue, language: &str, spelling: Spelling) -> String {
        let today = jiff::civil::date(2026, 11, 28);
        let language = language.to_owned();
        let spoken_language = language.clone();
        let context =
            ValueContext { language, spoken_language, country: None, currency: "EUR".into(), spelling, today };
        spoken(value, &context)
    }

    #[test]
    fn values_are_said_in_each_language() {
        let email = SpokenValue::Email("john.smith_2@mail-server.nl".into());
        for (language, wanted) in [
            ("en", "j o h n dot s m i t h underscore 2 at mail dash server dot n l"),
            ("nl", "j o h n punt s m i t h underscore 2 apenstaartje mail streepje server punt n l"),
            ("de", "j o h n Punkt s m i t h Unterstrich 2 at mail Bindestrich server Punkt n l"),
            ("fr", "j o h n point s m i t h tiret bas 2 arobase mail tiret server point n l"),
            ("es", "j o h n punto s m i t h guion bajo 2 arroba mail guion server punto n l"),
            ("it", "j o h n punto s m i t h underscore 2 chiocciola mail trattino server punto n l"),
            ("pt", "j o h n ponto s m i t h underline 2 arroba mail hífen server ponto n l"),
        ] {
            assert_eq!(back(&email, language, Spelling::Letters), wanted);
        }
        let date = SpokenValue::Date(jiff::civil::date(2027, 3, 1));
        for (language, wanted) in [
            ("en", "March 1, 2027"),
            ("nl", "1 maart 2027"),
            ("de", "1. März 2027"),
            ("fr", "1er mars 2027"),
            ("es", "1 de marzo de 2027"),
            ("it", "1 marzo 2027"),
            ("pt", "1 de março de 2027"),
        ] {
            assert_eq!(back(&date, language, Spelling::Letters), wanted);
        }
        let address = SpokenValue::Email("a+b@x.nl".into());
        assert_eq!(back(&address, "es", Spelling::Letters), "a más b arroba x punto n l");
        let code = SpokenValue::Code("BX7".into());
        assert_eq!(back(&code, "en", Spelling::Nato), "Bravo, X-ray, 7");
        assert_eq!(back(&code, "en", Spelling::Letters), "B, X, 7");
        let amount = SpokenValue::Money(Amount { minor_units: 1_250, currency: "EUR".into() });
        assert_eq!(
            (back(&amount, "en", Spelling::Nato), back(&amount, "nl", Spelling::Nato)),
            ("€12.50".into(), "12,50 €".into())
        );
        assert_eq!(back(&SpokenValue::Name("Jan".into()), "nl", Spelling::Nato), "Jan, J a n");
    }

    #[test]
    fn numbers_amounts_and_hosts_are_said_without_normalization_too() {
        let phone = |number: &str| SpokenValue::Phone(number.into());
        for (number, language, wanted) in [
            ("+31612345678", "en", "plus 3 1, 6 1 2, 3 4 5, 6 7 8"),
            ("+15552345678", "en-US", "plus 1, 5 5 5, 2 3 4, 5 6 7 8"),
            ("+351912345678", "pt", "mais 3 5 1, 9 1 2, 3 4 5, 6 7 8"),
            ("+34612345678", "es", "más 3 4, 6 1 2, 3 4 5, 6 7 8"),
            ("+48601234567", "pl", "plus 4 8, 6 0 1, 2 3 4, 5 6 7"),
        ] {
            let read = back(&phone(number), language, Spelling::Letters);
            assert_eq!(read, wanted, "{language}");
            assert_eq!(SpeechStyle::new(language, false).normalize(&read).spoken, wanted, "{language}");
        }
        let money = |minor_units, currency: &str| SpokenValue::Money(Amount { minor_units, currency: currency.into() });
        for (amount, language, wanted) in [
            (money(1_250, "BRL"), "pt", "12 reais e 50"),
            (money(5_000, "BRL"), "pt-BR", "50 reais"),
            (money(20_000, "CHF"), "de", "200 Franken"),
        ] {
            assert_eq!(back(&amount, language, Spelling::Letters), wanted, "{language}");
        }
        for (address, language, wanted) in [
            ("a@example.co.uk", "en", "a at example dot co dot u k"),
            ("a@ejemplo.es", "es", "a arroba ejemplo punto es"),
            ("a@esempio.it", "it", "a chiocciola esempio punto it"),
        ] {
            assert_eq!(back(&SpokenValue::Email(address.into()), language, Spelling::Letters), wanted, "{language}");
        }
    }

    #[test]
    fn each_language_with_stock_phrases_reads_values_back_in_its_own_words() {
        let email = SpokenValue::Email("a.b-c_d+e@x.nl".into());
        let english = back(&email, "en", Spelling::Letters);
        for (language, _) in crate::dialogue::phrases::STOCK_LANGUAGES.iter().skip(1) {
            assert_ne!(back(&email, language, Spelling::Letters), english, "{language}");
            for month in 1..=12 {
                let date = SpokenValue::Date(jiff::civil::date(2027, month, 2));
                let words = back(&date, language, Spelling::Letters);
                let english = back(&date, "en", Spelling::Letters);
                assert!(words != english && !words.contains("  "), "{language}: {words}");
            }
        }
        let first = SpokenValue::Date(jiff::civil::date(2027, 3, 1));
        for (language, wanted) in [
            ("pl", "Zapisuję: 1 marca 2027. Czy to się zgadza?"),
            ("cs", "Poznamenávám si: 1. března 2027. Je to správně?"),
            ("ru", "Записываю: 1 марта 2027 года. Всё верно?"),
            ("ja", "確認いたします。2027年3月1日。お間違いございませんか。"),
            ("zh-TW", "我记下的是：2027年3月1日。对吗？"),
            ("ko", "확인하겠습니다: 2027년 3월 1일. 맞습니까?"),
            ("hi", "यह लिख लिया गया है: 1 मार्च 2027। क्या यह सही है?"),
        ] {
            assert_eq!(confirmation(&back(&first, language, Spelling::Letters), language), wanted);
        }
    }
}
