//! What an agent says by itself: apologies, questions around values, words of the rules that stand in for a model, fillers.
//! One table per language.

mod germanic;
mod other;
mod romance;
mod slavic;
mod wording;

use trunkline_domain::languages::primary;
pub use wording::{MessagePhrases, ScriptedPhrases, StockPhrases, ValuePhrases};

/// The languages with stock phrases, by their codes.
pub static STOCK_LANGUAGES: [(&str, &StockPhrases); 22] = [
    ("en", &germanic::ENGLISH),
    ("nl", &germanic::DUTCH),
    ("de", &germanic::GERMAN),
    ("sv", &germanic::SWEDISH),
    ("da", &germanic::DANISH),
    ("nb", &germanic::NORWEGIAN),
    ("fr", &romance::FRENCH),
    ("es", &romance::SPANISH),
    ("it", &romance::ITALIAN),
    ("pt-br", &romance::BRAZILIAN),
    ("pt", &romance::PORTUGUESE),
    ("pl", &slavic::POLISH),
    ("cs", &slavic::CZECH),
    ("ru", &slavic::RUSSIAN),
    ("uk", &slavic::UKRAINIAN),
    ("fi", &other::FINNISH),
    ("tr", &other::TURKISH),
    ("ar", &other::ARABIC),
    ("hi", &other::HINDI),
    ("ja", &other::JAPANESE),
    ("zh", &other::CHINESE),
    ("ko", &other::KOREAN),
];

/// What is said in a language; `None` for those without phrases.
fn known(language: &str) -> Option<&'static StockPhrases> {
    let tag = language.replace('_', "-").to_lowercase();
    let primary = match primary(&tag).as_str() {
        "no" | "nn" => "nb".to_owned(),
        // Chinese as it is spoken, by its own codes.
        "cmn" | "yue" => "zh".to_owned(),
        code => code.to_owned(),
    };
    let find = |code: &str| STOCK_LANGUAGES.iter().find(|(known, _)| *known == code).map(|(_, phrases)| *phrases);
    find(&tag).or_else(|| find(&primary))
}

/// What is said in a language; English for those without phrases.
pub fn stock_phrases(language: &str) -> &'static StockPhrases {
    known(language).unwrap_or(&germanic::ENGLISH)
}

/// By TTS language; English as default.
pub fn phrases(language: &str) -> &'static ScriptedPhrases {
    &stock_phrases(language).scripted
}

/// What is said around a value; English as default.
pub fn value_phrases(language: &str) -> &'static ValuePhrases {
    &stock_phrases(language).value
}

/// What the rules say that take a message; English as default.
pub fn message_phrases(language: &str) -> &'static MessagePhrases {
    &stock_phrases(language).message
}

/// What is said by default while the caller waits for a tool or the model, by TTS language; empty for languages without
/// phrases, because another language is worse than a pause.
pub fn fillers(language: &str) -> &'static [&'static str] {
    known(language).map_or(&[], |phrases| phrases.fillers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn all(phrases: &StockPhrases) -> Vec<&'static str> {
        let (scripted, value) = (phrases.scripted.all(), phrases.value.all());
        let own = scripted.into_iter().chain(value).chain(phrases.message.all());
        own.chain(phrases.fillers.iter().copied()).chain(phrases.message.message.split('|')).collect()
    }

    /// Whether a letter is one of those that a language is written in.
    fn is_of(language: &str, letter: char) -> bool {
        let code = u32::from(letter);
        match language {
            "ru" | "uk" => (0x400..0x530).contains(&code),
            "ar" => (0x600..0x700).contains(&code),
            "hi" => (0x900..0x980).contains(&code),
            "ja" => code == 0x3005 || (0x3040..0x3100).contains(&code) || (0x4e00..0xa000).contains(&code),
            "zh" => (0x4e00..0xa000).contains(&code),
            "ko" => (0xac00..0xd7b0).contains(&code),
            _ => code < 0x250,
        }
    }

    #[test]
    fn each_phrase_is_there_in_each_language_and_in_its_letters() {
        let english: BTreeSet<&str> = all(&germanic::ENGLISH).into_iter().collect();
        for (language, phrases) in &STOCK_LANGUAGES {
            let (said, fillers) = (all(phrases), phrases.fillers.len());
            assert!(fillers >= 3, "{language}: {fillers}");
            for phrase in &said {
                assert!(phrase.chars().any(char::is_alphabetic) && phrase.trim() == *phrase, "{language}: {phrase:?}");
                let foreign: String = phrase.chars().filter(|c| c.is_alphabetic() && !is_of(language, *c)).collect();
                assert_eq!(foreign, "", "{language}: {phrase}");
                // "message" is the one word that two languages share.
                assert!(*language == "en" || !english.contains(phrase) || *phrase == "message", "{language}: {phrase}");
            }
            let whole = said.iter().filter(|phrase| phrase.contains(['.', '。', '।', '?', '؟', '？'])).count();
            assert!(whole >= 28 - 3, "{language}: sentences have ends: {whole}");
        }
    }

    #[test]
    fn each_language_is_found_by_its_tags() {
        for (language, phrases) in &STOCK_LANGUAGES {
            let region = format!("{}-XX", language.split('-').next().unwrap_or_default());
            assert!(std::ptr::eq(stock_phrases(language), *phrases), "{language}");
            assert!(!fillers(&region).is_empty(), "{region}");
            assert_eq!(fillers(language).first(), phrases.fillers.first(), "{language}");
        }
        let same = |one: &str, other: &str| std::ptr::eq(stock_phrases(one), stock_phrases(other));
        assert!(same("pt-BR", "pt_br") && !same("pt-BR", "pt-PT") && same("no", "nb-NO") && same("zh-TW", "cmn-Hans"));
        assert!(same("xx", "en") && fillers("xx").is_empty());
    }
}
