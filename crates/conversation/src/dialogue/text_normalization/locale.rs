//! A language as it is spoken in a region.

use super::language::{Clock, DateStyle, Language};
use super::languages;

/// How `12/03/2026` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlashOrder {
    DayFirst,
    MonthFirst,
    /// Only a date whose other reading is none is read.
    Unknown,
}

/// A language as it is spoken in a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locale {
    pub(super) language: &'static Language,
    pub(super) slash: SlashOrder,
    pub(super) decimal: char,
    pub(super) style: DateStyle,
    /// What "$" is called here, when it is not the dollar.
    pub(super) peso: bool,
    /// Portuguese as it is written in Portugal.
    is_european: bool,
}

impl PartialEq for Locale {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.language, other.language)
            && (self.slash, self.decimal, self.peso) == (other.slash, other.decimal, other.peso)
            && self.is_european == other.is_european
    }
}

impl Eq for Locale {}

/// Regions of Spanish whose "$" is a peso, and whose decimal sign is a point.
const PESO: &[&str] = &["mx", "ar", "cl", "co", "uy", "do", "cu"];
const POINT: &[&str] = &["mx", "us", "gt", "hn", "ni", "pa", "pe", "pr", "sv", "do", "419"];

impl Locale {
    /// English words and customs.
    pub(super) fn is_english(self) -> bool {
        self.language.calendar.clock == Clock::English
    }

    /// Dutch words and customs.
    pub(super) fn is_dutch(self) -> bool {
        self.language.signs.and == "en"
    }

    /// German words and customs.
    pub(super) fn is_german(self) -> bool {
        self.language.signs.and == "und"
    }

    /// French words and customs.
    pub(super) fn is_french(self) -> bool {
        self.language.signs.and == "et"
    }

    /// Spanish words and customs.
    pub(super) fn is_spanish(self) -> bool {
        self.language.signs.and == "y"
    }

    /// Italian words and customs.
    pub(super) fn is_italian(self) -> bool {
        self.language.signs.at == "chiocciola"
    }

    /// Portuguese words and customs.
    pub(super) fn is_portuguese(self) -> bool {
        self.language.signs.at == "arroba" && self.language.signs.dot == "ponto"
    }

    /// What is said, in the spelling of the region: its voices stress "quilómetro" otherwise.
    pub(super) fn spelled(self, spoken: String) -> String {
        match self.is_european && spoken.contains("quilô") {
            true => spoken.replace("quilô", "quiló"),
            false => spoken,
        }
    }

    /// The locale of a code such as `nl` or `pt-BR`; `None` for a language without tables.
    pub(super) fn of(code: &str) -> Option<Self> {
        let code = code.to_ascii_lowercase();
        let mut parts = code.split(['-', '_']);
        let language = match parts.next().unwrap_or("") {
            "en" => &languages::en::ENGLISH,
            "nl" => &languages::nl::DUTCH,
            "de" => &languages::de::GERMAN,
            "fr" => &languages::fr::FRENCH,
            "es" => &languages::es::SPANISH,
            "it" => &languages::it::ITALIAN,
            "pt" => &languages::pt::PORTUGUESE,
            _ => return None,
        };
        let region = parts.next().unwrap_or("");
        let english = language.calendar.style == DateStyle::MonthFirst;
        let (slash, style) = match (english, region) {
            (true, "") => (SlashOrder::Unknown, DateStyle::MonthFirst),
            (true, "us") => (SlashOrder::MonthFirst, DateStyle::MonthFirst),
            (true, _) => (SlashOrder::DayFirst, DateStyle::DayFirst),
            _ => (SlashOrder::DayFirst, language.calendar.style),
        };
        let spanish = language.calendar.style == DateStyle::DayWithOf && language.signs.and == "y";
        let point = spanish && POINT.contains(&region) || region == "ch" && language.signs.decimal == ',';
        let decimal = if point && spanish { '.' } else { language.signs.decimal };
        let peso = spanish && PESO.contains(&region);
        let locale = Self { language, slash, decimal, style, peso, is_european: false };
        Some(Self { is_european: locale.is_portuguese() && region == "pt", ..locale })
    }
}
