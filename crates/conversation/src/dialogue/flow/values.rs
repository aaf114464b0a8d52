//! Values of slots: read from the caller's words by the readers of spoken values, read back, and put into texts.

use super::matching::{self, Phrase, content_words};
use super::prepared::FlowDialogue;
use crate::dialogue::spoken::digits::{SpokenDigits, spoken_digits};
use crate::dialogue::spoken::read_back::spoken;
use crate::dialogue::spoken::value::{SpokenValue, ValueContext, ValueKind};
use trunkline_domain::flow::{FlowSlot, FlowSlotType};

/// Digits of a phone number that cannot be read as one of a country.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 6..=15;
/// Words of a name: what is longer is a sentence.
const NAME_WORDS_MAX: usize = 5;
/// Characters of the caller's words that a slot keeps.
const TEXT_CHARS_MAX: usize = 2_000;

/// A value of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlotValue {
    /// Read by the reader of its kind.
    Spoken(SpokenValue),
    /// Digits that are said one by one.
    Digits(String),
    /// Name of a choice.
    Choice(String),
    /// As it was said, or as a tool wrote it.
    Text(String),
}

impl SlotValue {
    /// As tools, branches and reports get it.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Spoken(SpokenValue::Answer(answer)) => if *answer { "yes" } else { "no" }.to_owned(),
            Self::Spoken(SpokenValue::Money(amount)) => {
                let scale = 10_u64.pow(crate::dialogue::spoken::money::minor_digits(&amount.currency));
                let (whole, part) = (amount.minor_units / scale, amount.minor_units % scale);
                format!("{whole}.{part:02} {}", amount.currency)
            }
            Self::Spoken(SpokenValue::Date(date)) => date.to_string(),
            Self::Spoken(
                SpokenValue::Phone(text) | SpokenValue::Email(text) | SpokenValue::Name(text) | SpokenValue::Code(text),
            )
            | Self::Digits(text)
            | Self::Choice(text)
            | Self::Text(text) => text.clone(),
        }
    }

    /// As it is said in a sentence.
    pub(super) fn said(&self, context: &ValueContext) -> String {
        match self {
            Self::Spoken(SpokenValue::Answer(_) | SpokenValue::Name(_)) | Self::Choice(_) | Self::Text(_) => {
                self.written()
            }
            Self::Spoken(value) => spoken(value, context),
            Self::Digits(digits) => apart(digits),
        }
    }

    /// As it is read back, to be confirmed: names are spelled.
    pub(super) fn read_back(&self, context: &ValueContext) -> String {
        match self {
            Self::Spoken(value @ SpokenValue::Name(_)) => spoken(value, context),
            other => other.said(context),
        }
    }
}

/// Digit by digit: a number of an order is no amount.
fn apart(digits: &str) -> String {
    digits.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

impl FlowDialogue {
    /// The value of a slot in a turn of the caller; `None` if there is none.
    pub(super) fn read(&self, slot: &FlowSlot, text: &str) -> Option<SlotValue> {
        let kind = match slot.r#type {
            FlowSlotType::Number => return self.number(slot, text),
            FlowSlotType::Phone => return self.phone(text),
            FlowSlotType::Choice => return self.choice(slot, text),
            FlowSlotType::Text => {
                let words: String = text.trim().chars().take(TEXT_CHARS_MAX).collect();
                return words.chars().any(char::is_alphanumeric).then_some(SlotValue::Text(words));
            }
            FlowSlotType::Name => {
                let SpokenValue::Name(name) = self.spoken(ValueKind::Name, text)? else { return None };
                let is_short = name.split_whitespace().count() <= NAME_WORDS_MAX;
                return is_short.then_some(SlotValue::Spoken(SpokenValue::Name(name)));
            }
            FlowSlotType::Date => ValueKind::Date,
            FlowSlotType::Email => ValueKind::Email,
            FlowSlotType::Money => ValueKind::Money,
            FlowSlotType::YesNo => ValueKind::YesNo,
            FlowSlotType::Code => ValueKind::Code,
        };
        self.spoken(kind, text).map(SlotValue::Spoken)
    }

    fn spoken(&self, kind: ValueKind, text: &str) -> Option<SpokenValue> {
        SpokenValue::read(kind, text, &self.context)
    }

    fn digits(&self, text: &str) -> Option<String> {
        match spoken_digits(text, &self.context.language) {
            SpokenDigits::Only(digits) | SpokenDigits::Among(digits) => Some(digits),
            SpokenDigits::None => None,
        }
    }

    fn number(&self, slot: &FlowSlot, text: &str) -> Option<SlotValue> {
        let digits = self.digits(text)?;
        let min = slot.min_digits.map_or(1, usize::from);
        let max = slot.max_digits.map_or(usize::MAX, usize::from);
        (min..=max).contains(&digits.len()).then_some(SlotValue::Digits(digits))
    }

    /// A number that can be dialled; or the digits as they are, because a person can still make sense of them.
    fn phone(&self, text: &str) -> Option<SlotValue> {
        let read = self.spoken(ValueKind::Phone, text).map(SlotValue::Spoken);
        read.or_else(|| self.digits(text).filter(|digits| PHONE_DIGITS.contains(&digits.len())).map(SlotValue::Digits))
    }

    fn choice(&self, slot: &FlowSlot, text: &str) -> Option<SlotValue> {
        let language = self.context.language.as_str();
        let of = |(name, phrases): (&String, &Vec<String>)| {
            let all = phrases.iter().chain([name]).map(|phrase| Phrase::new(phrase, language));
            (name.clone(), all.collect::<Vec<_>>())
        };
        let choices: Vec<(String, Vec<Phrase>)> = slot.choices.iter().map(of).collect();
        let turn = content_words(text, language);
        let best = matching::best(&turn, choices.iter().map(|(name, phrases)| (name, phrases.as_slice())));
        best.map(|(name, _)| SlotValue::Choice(name.clone()))
    }
}
