//! How an agent's voice says certain words: `pronunciation_dictionary`.

use super::rules::{before, fits, is_text};
use garde::Validate;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;

/// Entries of one agent. Each sentence is searched for all of them.
pub const ENTRIES_MAX: usize = 500;
/// Characters of an entry's text.
pub const TEXT_CHARS_MAX: usize = 100;
/// Characters of what is said for it.
pub const SAY_AS_CHARS_MAX: usize = 200;

/// One word or phrase, and how it is said. The voice alone gets it: transcript and LLM keep the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(context(Vec<Pronunciation> as entries))]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct Pronunciation {
    /// Whole words as they are written in answers; the longest entry wins. At most 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    #[garde(custom(fits(|text: &str| is_said(text, TEXT_CHARS_MAX), "must have 1 to 100 characters, a letter or digit among them, and no angle brackets")))]
    #[garde(custom(fits(|_: &str| !self.is_there_twice(entries), "is there twice for the same language")))]
    pub text: String,
    /// What is said instead, as it is: numbers in it are not written out, and no entry is looked for in it. At most 200
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(fits(|text: &str| is_said(text, SAY_AS_CHARS_MAX), "must have 1 to 200 characters, a letter or digit among them, and no angle brackets"))))]
    #[garde(custom(fits(|_: &_| self.say_as.is_some() || self.ipa.is_some(), "or ipa must be set")))]
    pub say_as: Option<String>,
    /// Its sounds in the International Phonetic Alphabet, for voices that take them (ElevenLabs' `eleven_flash_v2`,
    /// `eleven_turbo_v2` and `eleven_monolingual_v1`); others say `say_as`, or the text where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(fits(
        is_ipa,
        "must have 1 to 200 letters and marks of the International Phonetic Alphabet"
    ))))]
    pub ipa: Option<String>,
    /// Whether capitals and small letters differ; false by default. Such an entry wins over one that ignores case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub case_sensitive: bool,
    /// Only for a voice of this language, such as `en` or `pt-BR`. None: for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 35)]
    #[garde(inner(custom(fits(is_language, "must be a language such as en or pt-BR"))))]
    pub language: Option<String>,
}

impl Pronunciation {
    /// An entry before it stands for the same words of the same language.
    fn is_there_twice(&self, entries: &[Self]) -> bool {
        before(entries, self).any(|other| {
            let same_text = if self.case_sensitive {
                one_line(&other.text) == one_line(&self.text)
            } else {
                one_line(&other.text).to_lowercase() == one_line(&self.text).to_lowercase()
            };
            let language = |one: &Self| one.language.as_deref().unwrap_or_default().to_ascii_lowercase();
            other.case_sensitive == self.case_sensitive && same_text && language(other) == language(self)
        })
    }

    /// Whether it is for a voice of this language.
    pub fn is_for(&self, language: &str) -> bool {
        let Some(own) = self.language.as_deref() else { return true };
        let parts = |text: &str| text.to_ascii_lowercase().replace('_', "-");
        let (own, language) = (parts(own), parts(language));
        language == own || language.strip_prefix(&own).is_some_and(|rest| rest.starts_with('-'))
    }
}

/// A text as it is in the text for voices: single blanks, letters and their accents as one character.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

/// Something that can be heard, without markup.
fn is_said(text: &str, chars_max: usize) -> bool {
    is_text(text, chars_max)
        && text.chars().any(char::is_alphanumeric)
        && !text.contains(|c: char| matches!(c, '<' | '>') || c.is_control())
}

fn is_ipa(text: &str) -> bool {
    is_text(text, SAY_AS_CHARS_MAX)
        && text.chars().any(char::is_alphabetic)
        && !text.contains(|c: char| matches!(c, '<' | '>' | '"' | '&') || c.is_control() || c.is_ascii_digit())
}

fn is_language(text: &str) -> bool {
    let mut parts = text.split(['-', '_']);
    parts.next().is_some_and(|first| (2..=3).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic()))
        && text.len() <= 35
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentFields;
    use crate::faults;
    use serde_json::{Value, json};

    fn refused(entries: Value) -> Vec<(String, String)> {
        let agent: AgentFields =
            serde_json::from_value(json!({"name": "a", "pronunciation_dictionary": entries})).unwrap();
        faults(&agent).into_iter().map(|fault| (fault.field, fault.message)).collect()
    }

    #[test]
    fn contradictions_are_refused_by_their_places() {
        let twice = "is there twice for the same language";
        let at = |place: usize| vec![(format!("pronunciation_dictionary[{place}].text"), twice.to_owned())];
        let entry = |text: &str| json!({"text": text, "say_as": "x"});
        assert_eq!(refused(json!([entry("SQL"), entry("Nginx"), entry("sql")])), at(2));
        assert_eq!(refused(json!([entry("New  York"), entry("new york ")])), at(1));
        // The same letters, with the accent as a character of its own.
        assert_eq!(refused(json!([entry("Café"), entry("Cafe\u{301}")])), at(1));
        assert_eq!(refused(json!([entry("Z\u{fc}rich"), entry("zu\u{308}rich")])), at(1));
        assert_eq!(refused(json!([entry("\u{d55c}"), entry("\u{1112}\u{1161}\u{11ab}")])), at(1), "Hangul");
        assert_eq!(refused(json!([entry("Café"), entry("Cafe")])), [], "another word");
        let of = |text: &str, language: &str| json!({"text": text, "say_as": "x", "language": language});
        assert_eq!(refused(json!([of("SQL", "en"), of("SQL", "nl"), entry("SQL"), of("SQL", "EN")])), at(3));
        let exact = |text: &str| json!({"text": text, "say_as": "x", "case_sensitive": true});
        assert_eq!(refused(json!([exact("US"), exact("us"), entry("us")])), []);
        assert_eq!(refused(json!([exact("US"), exact("US")])), at(1));
        assert_eq!(refused(json!([{"text": "a", "say_as": "b"}, {"text": "b", "say_as": "a"}])), [], "applied once");
    }

    #[test]
    fn entries_have_bounds() {
        let field = |entry: Value| refused(json!([entry])).into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        let name = |field: &str| vec![format!("pronunciation_dictionary[0].{field}")];
        for text in ["", " ", "…", "a<b", &"x".repeat(101)] {
            assert_eq!(field(json!({"text": text, "say_as": "b"})), name("text"), "{text}");
        }
        for text in ["", "!", "<break/>", &"x".repeat(201)] {
            assert_eq!(field(json!({"text": "a", "say_as": text})), name("say_as"), "{text}");
        }
        for text in ["", "12", "a\"b", "ə&"] {
            assert_eq!(field(json!({"text": "a", "ipa": text})), name("ipa"), "{text}");
        }
        assert_eq!(field(json!({"text": "a"})), name("say_as"));
        assert_eq!(field(json!({"text": "a", "say_as": "b", "language": "english please"})), name("language"));
        assert_eq!(field(json!({"text": "Trunkline", "ipa": "ˈtrʌŋklaɪn", "language": "en-GB"})), name("")[..0]);
        let many: Vec<Value> = (0..501).map(|number| json!({"text": format!("w{number}"), "say_as": "b"})).collect();
        let words = "must have at most 500 entries".to_owned();
        assert_eq!(refused(json!(many)), [("pronunciation_dictionary".to_owned(), words)]);
        assert_eq!(refused(json!(many[..500])), []);
    }

    #[test]
    fn an_entry_is_for_a_language_and_its_regions() {
        let entry = |language: Option<&str>| Pronunciation {
            text: "a".to_owned(),
            say_as: None,
            ipa: None,
            case_sensitive: false,
            language: language.map(str::to_owned),
        };
        assert!(entry(None).is_for("nl") && entry(Some("pt")).is_for("pt-BR") && entry(Some("pt-BR")).is_for("pt_br"));
        assert!(!entry(Some("pt-BR")).is_for("pt") && !entry(Some("en")).is_for("enm"));
    }
}
