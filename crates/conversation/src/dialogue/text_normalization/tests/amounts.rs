//! Amounts with each sign between thousands that callers' systems write, in each language.

use super::*;

/// How a language says an amount.
struct Said {
    language: &'static str,
    sentence: &'static str,
    decimal: char,
    joint: &'static str,
    /// One million and more of them, where the digits of a million are said so.
    millions: Option<(&'static str, &'static str)>,
    /// What is written, and what is said, of euro, dollar, pound and franc; with the word behind millions.
    currencies: [(&'static str, &'static str, &'static str, &'static str); 4],
}

const LANGUAGES: &[Said] = &[
    Said {
        language: "en",
        sentence: "It is {} now.",
        decimal: '.',
        joint: "",
        millions: None,
        currencies: [
            ("€", "EUR", "euros", ""),
            ("US$", "USD", "US dollars", ""),
            ("£", "GBP", "pounds", ""),
            ("CHF", "CHF", "Swiss francs", ""),
        ],
    },
    Said {
        language: "nl",
        sentence: "Dat is {} per maand.",
        decimal: ',',
        joint: "",
        millions: None,
        currencies: [
            ("€", "EUR", "euro", ""),
            ("$", "USD", "dollar", ""),
            ("£", "GBP", "pond", ""),
            ("CHF", "CHF", "frank", ""),
        ],
    },
    Said {
        language: "de",
        sentence: "Das macht {} im Monat.",
        decimal: ',',
        joint: "",
        millions: None,
        currencies: [
            ("€", "EUR", "Euro", ""),
            ("$", "USD", "Dollar", ""),
            ("£", "GBP", "Pfund", ""),
            ("CHF", "CHF", "Franken", ""),
        ],
    },
    Said {
        language: "fr",
        sentence: "Cela fait {} par mois.",
        decimal: ',',
        joint: "",
        millions: Some(("million", "millions")),
        currencies: [
            ("€", "EUR", "euros", "d'euros"),
            ("$", "USD", "dollars", "de dollars"),
            ("£", "GBP", "livres", "de livres"),
            ("CHF", "CHF", "francs", "de francs"),
        ],
    },
    Said {
        language: "es",
        sentence: "Son {} al mes.",
        decimal: ',',
        joint: "con ",
        millions: Some(("millón", "millones")),
        currencies: [
            ("€", "EUR", "euros", "de euros"),
            ("US$", "USD", "dólares", "de dólares"),
            ("£", "GBP", "libras", "de libras"),
            ("CHF", "CHF", "francos", "de francos"),
        ],
    },
    Said {
        language: "it",
        sentence: "Sono {} al mese.",
        decimal: ',',
        joint: "e ",
        millions: None,
        currencies: [
            ("€", "EUR", "euro", ""),
            ("$", "USD", "dollari", ""),
            ("£", "GBP", "sterline", ""),
            ("CHF", "CHF", "franchi", ""),
        ],
    },
    Said {
        language: "pt-PT",
        sentence: "São {} por mês.",
        decimal: ',',
        joint: "e ",
        millions: None,
        currencies: [
            ("€", "EUR", "euros", ""),
            ("US$", "USD", "dólares", ""),
            ("£", "GBP", "libras", ""),
            ("CHF", "CHF", "francos", ""),
        ],
    },
];

/// Blank, no-break space, narrow no-break space, thin space, apostrophes, dot, comma.
const SEPARATORS: &[&str] = &[" ", "\u{a0}", "\u{202f}", "\u{2009}", "'", "’", ".", ","];
const GROUPS: &[&[&str]] = &[
    &["1", "000"],
    &["1", "005"],
    &["12", "050"],
    &["250", "500"],
    &["1", "000", "000"],
    &["3", "005", "000"],
    &["12", "050", "005"],
    &["100", "500", "050"],
];

impl Said {
    fn amount(&self, groups: &[&str], cents: &str, currency: usize) -> String {
        let (_, _, name, of) = self.currencies[currency];
        let whole = groups.concat();
        let whole = match (self.millions, whole.strip_suffix("000000")) {
            (Some((one, many)), Some(millions)) if cents != "50" => {
                format!("{millions} {} {of}", if millions == "1" { one } else { many })
            }
            _ => format!("{whole} {name}"),
        };
        if cents == "50" { format!("{whole} {}50", self.joint) } else { whole }
    }

    /// Each form of an amount.
    fn written(&self, number: &str, currency: usize) -> Vec<String> {
        let (sign, code, ..) = self.currencies[currency];
        let mut all = vec![format!("{number} {code}"), format!("{code} {number}"), format!("{number}\u{a0}{code}")];
        if sign != code {
            all.extend([
                format!("{sign} {number}"),
                format!("{sign}{number}"),
                format!("{number} {sign}"),
                format!("{number}{sign}"),
                format!("{sign}\u{202f}{number}"),
            ]);
        }
        all
    }
}

#[test]
fn each_sign_between_thousands_keeps_the_amount_in_each_language() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (said, separator) in LANGUAGES.iter().flat_map(|said| SEPARATORS.iter().map(move |one| (said, *one))) {
        let style = SpeechStyle::new(said.language, false);
        let is_decimal = separator.starts_with(said.decimal);
        let decimal = match separator {
            "." => ',',
            "," => '.',
            _ => said.decimal,
        };
        for (groups, cents) in GROUPS.iter().flat_map(|groups| ["", "00", "50"].map(|cents| (*groups, cents))) {
            // "1.050 euros" of English is one euro and some.
            if is_decimal && groups.len() == 2 && cents.is_empty() {
                continue;
            }
            let number = groups.join(separator);
            let number = if cents.is_empty() { number } else { format!("{number}{decimal}{cents}") };
            // Euros each time, the others in turn.
            for currency in [0, 1 + groups.len() * 2 % 3, 1 + (groups[0].len() + cents.len()) % 3] {
                let wanted = said.sentence.replace("{}", &said.amount(groups, cents, currency));
                for written in said.written(&number, currency) {
                    count += 1;
                    let written = said.sentence.replace("{}", &written);
                    let spoken = style.normalize(&written).spoken;
                    if spoken != wanted {
                        wrong.push(format!("{}: {written:?} got {spoken:?} wanted {wanted:?}", said.language));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
}

#[test]
fn blanks_part_thousands_beside_currencies_units_and_words() {
    for (language, text, spoken) in [
        ("pt-BR", "O valor é de R$ 1 050,00.", "O valor é de 1050 reais."),
        ("en", "It costs CHF 1 050.- per month.", "It costs 1050 Swiss francs per month."),
        ("en", "The price is £1 050.00 including VAT.", "The price is 1050 pounds including VAT."),
        ("nl", "Het is € 1 000,- per jaar.", "Het is 1000 euro per jaar."),
        ("de", "Das kostet 1 000–2 000 €.", "Das kostet 1000 bis 2000 Euro."),
        ("de", "Das kostet € 1 000 – 2 000.", "Das kostet 1000 bis 2000 Euro."),
        ("de", "Der Umsatz ist 1 050 Mio. €.", "Der Umsatz ist 1050 Millionen Euro."),
        ("de", "Das sind CHF 1'050.- oder Fr. 1’050.50.", "Das sind 1050 Franken oder 1050 Franken 50."),
        ("de", "Fr. 250.– und am Fr. 12.30 Uhr.", "250 Franken und am Freitag 12 Uhr 30."),
        ("nl", "Dat kost 1 050,- of meer.", "Dat kost 1050,- of meer."),
        ("de", "Der Saldo ist -1 050,00 €.", "Der Saldo ist minus 1050 Euro."),
        ("it", "Sono 1 000 euro al mese.", "Sono 1000 euro al mese."),
        ("es", "Cuesta 1 000 €/mes.", "Cuesta 1000 euros al mes."),
        ("en", "That is 1 050 dollars.", "That is 1050 dollars."),
        ("fr", "Cela fait 100 000 000 €.", "Cela fait 100 millions d'euros."),
        ("es", "Está a 1 050 km de aquí.", "Está a 1050 kilómetros de aquí."),
        ("de", "Wir haben 10 000 Kunden.", "Wir haben 10000 Kunden."),
        ("it", "Ci sono 1 050 persone.", "Ci sono 1050 persone."),
        ("en", "We sold 1 000 000 tickets.", "We sold 1000000 tickets."),
        // Two numbers, phone numbers and codes.
        ("en", "We need 3 100 dollar bills.", "We need 3 100 dollars bills."),
        ("es", "Llame al 900 123 456.", "Llame al 9 0 0, 1 2 3, 4 5 6."),
        ("nl", "Bel 14 020 of mail ons.", "Bel 1 4, 0 2 0 of mail ons."),
        ("en", "The numbers are 4 8 15 016 23.", "The numbers are 4 8 15 016 23."),
        ("en", "In 2019 500 people came.", "In 2019 500 people came."),
    ] {
        check(language, text, spoken);
    }
}

#[test]
fn the_code_behind_a_sign_tells_the_currency_and_is_said_once() {
    for (language, text, spoken) in [
        ("es-MX", "El cargo de $1,499.00 MXN se hará hoy.", "El cargo de 1499 pesos se hará hoy."),
        ("es-MX", "Son $40 USD, no $40.", "Son 40 dólares, no 40 pesos."),
        ("es-MX", "Son MXN $250.", "Son 250 pesos."),
        ("es-MX", "Son USD $250.", "Son 250 dólares."),
        ("es-AR", "Son $250 ARS.", "Son 250 pesos."),
        ("en-US", "It costs $40 USD or $55 CAD.", "It costs 40 US dollars or 55 Canadian dollars."),
        ("en-US", "It costs CAD $55 or USD $40.50.", "It costs 55 Canadian dollars or 40 US dollars 50."),
        ("en", "It costs €40 EUR or £5 GBP.", "It costs 40 euros or 5 pounds."),
        (
            "en",
            "It costs $10-$15 AUD, or $5 million USD.",
            "It costs 10 to 15 Australian dollars, or 5 million US dollars.",
        ),
        ("en", "US $40 or CA $30.", "40 US dollars or 30 Canadian dollars."),
        ("en", "That is 55 dollars CAD.", "That is 55 Canadian dollars."),
        ("de", "Das kostet $55 CAD oder 40 $ USD.", "Das kostet 55 kanadische Dollar oder 40 Dollar."),
        ("nl", "Dat is 40 € EUR.", "Dat is 40 euro."),
        ("fr", "Cela coûte 55 $ CAD.", "Cela coûte 55 dollars canadiens."),
        ("it", "Costa $55 CAD.", "Costa 55 dollari canadesi."),
        ("pt-BR", "Custa R$ 50 BRL.", "Custa 50 reais."),
    ] {
        check(language, text, spoken);
    }
}
