//! How a value is read back: spelled where it matters, in the agent's language. Text normalization says numbers and amounts.

use super::super::text_normalization::SpokenNames;
use super::money::minor_digits;
use super::value::{SpokenValue, ValueContext};
use super::words::{base, table_of};
use jiff::civil::Date;
use trunkline_domain::built_in_tools::Spelling;

/// What is said around a value in one language.
#[derive(Debug)]
pub struct ValuePhrases {
    /// Before the value.
    before: &'static str,
    /// After the value.
    after: &'static str,
    /// It was not understood.
    pub again: &'static str,
    /// It was not understood, and can be spelled.
    pub spell: &'static str,
    /// It was wrong.
    pub wrong: &'static str,
    /// Yes or no was not understood.
    pub confirm: &'static str,
}

static EN: ValuePhrases = ValuePhrases {
    before: "I have",
    after: "Is that right?",
    again: "Sorry, I did not get that. Could you say it again?",
    spell: "Sorry, I did not get that. Could you spell it for me?",
    wrong: "I am sorry. Please say it once more.",
    confirm: "Please say yes or no: is that right?",
};
static NL: ValuePhrases = ValuePhrases {
    before: "Ik heb genoteerd:",
    after: "Klopt dat?",
    again: "Sorry, dat heb ik niet verstaan. Kunt u het nog eens zeggen?",
    spell: "Sorry, dat heb ik niet verstaan. Kunt u het voor me spellen?",
    wrong: "Excuses. Zegt u het alstublieft nog eens.",
    confirm: "Zegt u alstublieft ja of nee: klopt dat?",
};
static DE: ValuePhrases = ValuePhrases {
    before: "Ich habe notiert:",
    after: "Ist das richtig?",
    again: "Entschuldigung, das habe ich nicht verstanden. Können Sie es noch einmal sagen?",
    spell: "Entschuldigung, das habe ich nicht verstanden. Können Sie es bitte buchstabieren?",
    wrong: "Entschuldigung. Bitte sagen Sie es noch einmal.",
    confirm: "Bitte sagen Sie ja oder nein: Ist das richtig?",
};
static FR: ValuePhrases = ValuePhrases {
    before: "J'ai noté :",
    after: "C'est bien ça ?",
    again: "Désolé, je n'ai pas compris. Pouvez-vous répéter ?",
    spell: "Désolé, je n'ai pas compris. Pouvez-vous l'épeler ?",
    wrong: "Désolé. Redites-le-moi, s'il vous plaît.",
    confirm: "Dites oui ou non, s'il vous plaît : c'est bien ça ?",
};
static ES: ValuePhrases = ValuePhrases {
    before: "He anotado:",
    after: "¿Es correcto?",
    again: "Perdón, no le he entendido. ¿Puede repetirlo?",
    spell: "Perdón, no le he entendido. ¿Puede deletrearlo?",
    wrong: "Lo siento. Dígamelo otra vez, por favor.",
    confirm: "Diga sí o no, por favor: ¿es correcto?",
};
static IT: ValuePhrases = ValuePhrases {
    before: "Ho annotato:",
    after: "È corretto?",
    again: "Scusi, non ho capito. Può ripetere?",
    spell: "Scusi, non ho capito. Può fare lo spelling?",
    wrong: "Mi scusi. Lo ripeta, per favore.",
    confirm: "Dica sì o no, per favore: è corretto?",
};
static PT: ValuePhrases = ValuePhrases {
    before: "Anotei:",
    after: "Está correto?",
    again: "Desculpe, não percebi. Pode repetir?",
    spell: "Desculpe, não percebi. Pode soletrar?",
    wrong: "Peço desculpa. Diga outra vez, por favor.",
    confirm: "Diga sim ou não, por favor: está correto?",
};

/// The phrases of a language; English for those that are not known.
pub fn value_phrases(language: &str) -> &'static ValuePhrases {
    table_of(language, [&EN, &NL, &DE, &FR, &ES, &IT, &PT])
}

/// The question whether a value is right.
pub fn read_back(value: &SpokenValue, context: &ValueContext) -> String {
    confirmation(&spoken(value, context), &context.spoken_language)
}

/// The question whether a value is right, in words that stand for it.
pub fn confirmation(said: &str, language: &str) -> String {
    let phrases = value_phrases(language);
    format!("{} {said}. {}", phrases.before, phrases.after)
}

/// What is said of a value that was corrected.
pub fn noted(said: &str, language: &str) -> String {
    format!("{} {said}.", value_phrases(language).before)
}

/// A value as it is said.
pub fn spoken(value: &SpokenValue, context: &ValueContext) -> String {
    match value {
        // The numbers' grammar says them in groups.
        SpokenValue::Phone(number) => number.clone(),
        SpokenValue::Email(address) => email(address, SpokenNames::of(&context.spoken_language)),
        SpokenValue::Date(date) => day(*date, &context.spoken_language),
        SpokenValue::Money(amount) => {
            let scale = 10_u64.pow(minor_digits(&amount.currency));
            let (whole, part) = (amount.minor_units / scale, amount.minor_units % scale);
            let point = if base(&context.spoken_language) == "en" { "." } else { "," };
            let number = if part == 0 { whole.to_string() } else { format!("{whole}{point}{part:02}") };
            match (amount.currency.as_str(), point) {
                ("EUR", ".") => format!("€{number}"),
                ("USD", ".") => format!("${number}"),
                ("GBP", ".") => format!("£{number}"),
                ("EUR", _) => format!("{number} €"),
                (currency, _) => format!("{number} {currency}"),
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

/// The part before the sign letter by letter, hosts as words: "j o h n dot s m i t h at example dot com".
fn email(address: &str, names: SpokenNames) -> String {
    let (user, host) = address.split_once('@').unwrap_or((address, ""));
    let sign = |c: char| match c {
        '.' => names.dot.to_owned(),
        '-' => names.dash.to_owned(),
        '_' => names.underscore.to_owned(),
        '+' => "plus".to_owned(),
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
        parts.push(if is_sayable(&word) {
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

/// Whether a part of a host is said as a word: `nl` and `gmx` are spelled.
fn is_sayable(word: &str) -> bool {
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
    let month = SpokenNames::of(language).months.get(place).copied().unwrap_or_default();
    let (day, year) = (date.day(), date.year());
    match base(language) {
        "de" => format!("{day}. {month} {year}"),
        "fr" if day == 1 => format!("1er {month} {year}"),
        "nl" | "fr" | "it" => format!("{day} {month} {year}"),
        "es" | "pt" => format!("{day} de {month} de {year}"),
        _ => format!("{month} {day}, {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::money::Amount;
    use super::*;

    fn said(value: &SpokenValue, language: &str, spelling: Spelling) -> String {
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
            assert_eq!(said(&email, language, Spelling::Letters), wanted);
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
            assert_eq!(said(&date, language, Spelling::Letters), wanted);
        }
        let code = SpokenValue::Code("BX7".into());
        assert_eq!(said(&code, "en", Spelling::Nato), "Bravo, X-ray, 7");
        assert_eq!(said(&code, "en", Spelling::Letters), "B, X, 7");
        let amount = SpokenValue::Money(Amount { minor_units: 1_250, currency: "EUR".into() });
        assert_eq!(
            (said(&amount, "en", Spelling::Nato), said(&amount, "nl", Spelling::Nato)),
            ("€12.50".into(), "12,50 €".into())
        );
        assert_eq!(said(&SpokenValue::Name("Jan".into()), "nl", Spelling::Nato), "Jan, J a n");
    }
}
