//! A value of a kind, read from what the caller has said and written in one form.

use super::answers::yes_no;
use super::asides::{Correction, Marker, corrections, without_asides};
use super::dates::date;
use super::email::email;
use super::letters::code;
use super::money::{Amount, money};
use super::names::name;
use super::phone::phone;
use jiff::civil::Date;
use serde_json::{Value, json};
use trunkline_domain::built_in_tools::Spelling;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A phone number, in E.164.
    Phone,
    /// An e-mail address.
    Email,
    /// A date, ISO 8601.
    Date,
    /// An amount, in minor units with its currency.
    Money,
    /// Yes or no.
    YesNo,
    /// A name of a person.
    Name,
    /// Letters and digits.
    Code,
}

impl ValueKind {
    /// Names, as the LLM writes them.
    pub const NAMES: [&'static str; 7] = ["phone", "email", "date", "money", "yes_no", "name", "code"];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "phone" => Self::Phone,
            "email" => Self::Email,
            "date" => Self::Date,
            "money" => Self::Money,
            "yes_no" => Self::YesNo,
            "name" => Self::Name,
            "code" => Self::Code,
            _ => return None,
        })
    }
}

/// What a reading depends on beside the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueContext {
    /// Of the caller's words.
    pub language: String,
    /// Of the words that are said.
    pub spoken_language: String,
    /// Of national phone numbers.
    pub country: Option<String>,
    /// Of amounts without one.
    pub currency: String,
    /// How codes are read back.
    pub spelling: Spelling,
    /// In the agent's time zone.
    pub today: Date,
}

/// A value that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpokenValue {
    /// E.164.
    Phone(String),
    /// Small letters.
    Email(String),
    /// A day.
    Date(Date),
    /// An amount.
    Money(Amount),
    /// Yes or no.
    Answer(bool),
    /// As it is written.
    Name(String),
    /// Capitals and digits.
    Code(String),
}

impl SpokenValue {
    /// Reads a text; `None` if it is no such value. Of a value that was corrected the last one counts.
    pub fn read(kind: ValueKind, text: &str, context: &ValueContext) -> Option<Self> {
        if kind == ValueKind::YesNo {
            return Self::read_plain(kind, text, context);
        }
        for Correction { marker, before, behind } in corrections(text, &context.language) {
            if marker == Marker::Denial && kind == ValueKind::Name {
                continue;
            }
            let behind = without_asides(behind, &context.language);
            if let Some(value) = Self::read_plain(kind, &behind, context) {
                return Some(value);
            }
            // "…, no sorry, without h": what it should be is not known.
            let is_open = marker != Marker::Meant || kind == ValueKind::Email;
            if is_open && behind.contains(char::is_alphanumeric) && Self::read_plain(kind, before, context).is_some() {
                return None;
            }
        }
        Self::read_plain(kind, &without_asides(text, &context.language), context)
    }

    fn read_plain(kind: ValueKind, text: &str, context: &ValueContext) -> Option<Self> {
        let language = context.language.as_str();
        Some(match kind {
            ValueKind::Phone => Self::Phone(phone(text, language, context.country.as_deref())?.as_str().to_owned()),
            ValueKind::Email => Self::Email(email(text, language)?),
            ValueKind::Date => Self::Date(date(text, language, context.today)?),
            ValueKind::Money => Self::Money(money(text, language, &context.currency)?),
            ValueKind::YesNo => Self::Answer(yes_no(text, language)?),
            ValueKind::Name => Self::Name(name(text, language)?),
            ValueKind::Code => Self::Code(code(text, language)?),
        })
    }

    /// As the LLM reads it.
    pub fn json(&self) -> Value {
        match self {
            Self::Phone(text) | Self::Email(text) | Self::Name(text) | Self::Code(text) => json!(text),
            Self::Date(date) => json!(date.to_string()),
            Self::Money(amount) => json!({"minor_units": amount.minor_units, "currency": amount.currency}),
            Self::Answer(answer) => json!(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: ValueKind, text: &str, language: &str) -> Value {
        let context = ValueContext {
            language: language.into(),
            spoken_language: language.into(),
            country: Some("NL".into()),
            currency: "EUR".into(),
            spelling: Spelling::Letters,
            today: jiff::civil::date(2026, 11, 28),
        };
        SpokenValue::read(kind, text, &context).map_or(Value::Null, |value| value.json())
    }

    #[test]
    fn of_a_value_that_is_corrected_the_last_one_counts() {
        use ValueKind::{Code, Date, Email, Money, Name, Phone};
        let mut misread = Vec::new();
        for (kind, language, text, wanted) in [
            (Email, "en", "john at example dot com, no sorry, jon at example dot com", "jon@example.com"),
            (Email, "en", "john at example dot com, no sorry, jon without h at example dot com", "jon@example.com"),
            (Email, "en", "john at example dot com, no sorry, without h", ""),
            (Email, "en", "john dot smith, at, wait, example dot com", "john.smith@example.com"),
            (Email, "nl", "jan at voorbeeld punt nl, nee sorry, piet at voorbeeld punt nl", "piet@voorbeeld.nl"),
            (Email, "de", "max at web Punkt de, nein, moritz at web Punkt de", "moritz@web.de"),
            (Email, "fr", "paul arobase orange point fr, pardon, pol arobase orange point fr", "pol@orange.fr"),
            (Email, "en", "john dot smith, at, let me see, example dot com", "john.smith@example.com"),
            (Email, "en", "jane doe all one word at example dot com", "janedoe@example.com"),
            (Email, "en", "uh, it's um john dot smith all lowercase, at example dot com", "john.smith@example.com"),
            (Email, "nl", "jan jansen aan elkaar at, even kijken, ziggo punt nl", "janjansen@ziggo.nl"),
            (Email, "de", "max muster zusammengeschrieben at, Moment, web Punkt de", "maxmuster@web.de"),
            (Email, "fr", "marie dupont tout attaché arobase euh orange point fr", "mariedupont@orange.fr"),
            (Email, "es", "ana ruiz todo junto arroba, a ver, ejemplo punto es", "anaruiz@ejemplo.es"),
            (Email, "it", "luca rossi tutto attaccato chiocciola, un attimo, esempio punto it", "lucarossi@esempio.it"),
            (Email, "pt", "ana silva tudo junto arroba, deixe ver, exemplo ponto pt", "anasilva@exemplo.pt"),
            (Date, "en", "Monday, no sorry, Tuesday", "2026-12-01"),
            (Date, "nl", "maandag, ik bedoel dinsdag", "2026-12-01"),
            (Date, "de", "nicht Montag, sondern Dienstag", "2026-12-01"),
            (Date, "es", "el lunes, perdón, el martes", "2026-12-01"),
            (Date, "en", "tuesday scratch that wednesday", "2026-12-02"),
            (Date, "en", "Tuesday. Scratch that. Wednesday.", "2026-12-02"),
            (Date, "en", "It is on Tuesday... wait no, I meant Wednesday", "2026-12-02"),
            (Date, "en", "on tuesday no wait on wednesday", "2026-12-02"),
            (Date, "en", "Friday, actually", "2026-12-04"),
            (Code, "en", "B 7, sorry, D 8", "D8"),
            (Name, "en", "Sorry, it's Smith", "Smith"),
            (Name, "en", "let me spell it, S M Y T H E", "Smythe"),
            (Name, "en", "Rita Wait", "Rita Wait"),
            (Name, "en", "Smith, I mean Smyth", "Smyth"),
            (
                Phone,
                "en",
                "oh two oh one two three four five six seven, no, oh two oh one two three four five six eight",
                "+31201234568",
            ),
            (Phone, "en", "oh two oh, wait, one two three four five six seven", "+31201234567"),
        ] {
            if read(kind, text, language).as_str().unwrap_or_default() != wanted {
                misread.push((text, read(kind, text, language)));
            }
        }
        assert_eq!(misread, []);
        assert_eq!(read(Money, "five euros, no wait, ten euros", "en")["minor_units"], 1_000);
        assert_eq!(read(Money, "cinque euro, anzi dieci euro", "it")["minor_units"], 1_000);
    }
}
