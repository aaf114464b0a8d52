//! A value of a kind, read from what the caller has said and written in one form.

use super::answers::yes_no;
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
    /// Reads a text; `None` if it is no such value.
    pub fn read(kind: ValueKind, text: &str, context: &ValueContext) -> Option<Self> {
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
