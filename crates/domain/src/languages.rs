//! The languages of an agent that follows its caller: `languages` of an agent, by language code.

use super::provider_config::{TtsConfig, TtsProvider};
use super::rules::{at_most, chars, filled, fits, is_text};
use super::template;
use super::turn_config::TEXT_CHARS_MAX;
use garde::{Error, Validate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization as _;
use utoipa::ToSchema;

/// Languages of one agent: more than a vendor's model understands in one call.
const LANGUAGES_MAX: usize = 20;
/// Texts of a list at most.
const TEXTS_MAX: usize = 50;
/// Voices of OpenAI; other vendors' voices are accounts' own.
const OPENAI_VOICES: [&str; 13] =
    ["alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"];

/// What an agent speaks with, and says, in one of its languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[serde(deny_unknown_fields)]
pub struct LanguageConfig {
    /// A voice of the provider in `tts_config`. None: the voice of `tts_config`, speaking this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(filled()), custom(chars(200))))]
    pub voice_id: Option<String>,
    /// The provider's model for that voice. None: the model of `tts_config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    #[garde(inner(custom(filled()), custom(chars(200))))]
    pub model: Option<String>,
    /// What it asks a silent caller. None: as `silence_config` says in the agent's own language, a usual question in others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(text()), custom(template::said())))]
    pub prompt: Option<String>,
    /// More ways to ask; one after the other is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::said())))]
    pub prompts: Vec<String>,
    /// Said before the call ends because the caller stayed silent. None: as for `prompt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(text()), custom(template::said())))]
    pub goodbye: Option<String>,
    /// Said when a tool or the model takes longer. None: those of `silence_config` in the agent's own language, none in
    /// others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::said())))]
    pub fillers: Vec<String>,
}

fn text() -> impl FnOnce(&str, &()) -> garde::Result {
    let words = format!("must have 1 to {TEXT_CHARS_MAX} characters");
    fits(|text: &str| is_text(text, TEXT_CHARS_MAX), words)
}

/// The first part of a language code, in small letters: `nl` of `nl-BE`.
pub fn primary(code: &str) -> String {
    code.split(['-', '_']).next().unwrap_or(code).to_lowercase()
}

/// Whether two codes name the same language, whatever its region.
pub fn is_same_language(one: &str, other: &str) -> bool {
    primary(one) == primary(other)
}

/// A language tag of BCP 47 as vendors use it: a language of two or three letters, then script, region and variants.
pub fn is_language_code(code: &str) -> bool {
    let mut parts = code.split('-');
    let is_language = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    parts.next().is_some_and(is_language) && parts.all(is_subtag) && !code.ends_with("-x") && code.len() <= 35
}

/// Codes of the right form, each language once, and voices that the provider of `tts_config` has. Which voices the server
/// of a customer or an account of ElevenLabs or Cartesia has is not known here.
pub(super) fn check(languages: &BTreeMap<String, LanguageConfig>, tts: Option<&TtsConfig>) -> Result<(), Error> {
    if languages.len() > LANGUAGES_MAX {
        return Err(Error::new(format!("must have at most {LANGUAGES_MAX} languages")));
    }
    let mut seen: Vec<String> = Vec::new();
    for (code, config) in languages {
        if !is_language_code(code) {
            return Err(Error::new(format!("{code} is not a language code of BCP 47 such as nl or nl-BE")));
        }
        let language = primary(code);
        if seen.contains(&language) {
            return Err(Error::new(format!("{code} is there twice: STT tells languages apart, not regions")));
        }
        seen.push(language);
        if config.model.is_some() && config.voice_id.is_none() {
            return Err(Error::new(format!("{code} has a model without a voice_id")));
        }
        match (&config.voice_id, tts) {
            (Some(_), None) => return Err(Error::new(format!("{code} has a voice_id, which needs tts_config"))),
            (Some(voice), Some(tts))
                if tts.provider == TtsProvider::Openai
                    && tts.base_url.is_none()
                    && !OPENAI_VOICES.contains(&voice.as_str()) =>
            {
                let known = OPENAI_VOICES.join(", ");
                return Err(Error::new(format!("{code}: {voice} is no voice of openai; it has {known}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Names of languages by their codes: in English, in the language itself, and others that are usual.
const NAMES: [(&str, &str); 35] = [
    ("ar", "Arabic|العربية|عربي"),
    ("bg", "Bulgarian|Български"),
    ("cs", "Czech|Čeština|Česky"),
    ("da", "Danish|Dansk"),
    ("de", "German|Deutsch"),
    ("el", "Greek|Ελληνικά"),
    ("en", "English"),
    ("es", "Spanish|Español|Castellano|Castilian"),
    ("et", "Estonian|Eesti"),
    ("fi", "Finnish|Suomi"),
    ("fr", "French|Français"),
    ("he", "Hebrew|עברית"),
    ("hi", "Hindi|हिन्दी|हिंदी"),
    ("hr", "Croatian|Hrvatski"),
    ("hu", "Hungarian|Magyar"),
    ("id", "Indonesian|Bahasa Indonesia|Indonesia"),
    ("it", "Italian|Italiano"),
    ("ja", "Japanese|日本語"),
    ("ko", "Korean|한국어"),
    ("lt", "Lithuanian|Lietuvių"),
    ("lv", "Latvian|Latviešu"),
    ("nb", "Norwegian|Norsk|Bokmål|Norsk bokmål"),
    ("nl", "Dutch|Nederlands|Flemish|Vlaams"),
    ("pl", "Polish|Polski"),
    ("pt", "Portuguese|Português|Brazilian Portuguese|Português brasileiro"),
    ("ro", "Romanian|Română"),
    ("ru", "Russian|Русский"),
    ("sk", "Slovak|Slovenčina"),
    ("sl", "Slovenian|Slovenščina|Slovene"),
    ("sv", "Swedish|Svenska"),
    ("th", "Thai|ไทย|ภาษาไทย"),
    ("tr", "Turkish|Türkçe"),
    ("uk", "Ukrainian|Українська"),
    ("vi", "Vietnamese|Tiếng Việt"),
    ("zh", "Chinese|中文|Mandarin|普通话|汉语|漢語|國語|国语"),
];

fn names(code: &str) -> Option<&'static str> {
    let primary = match primary(code).as_str() {
        "no" | "nn" => "nb".to_owned(),
        primary => primary.to_owned(),
    };
    NAMES.iter().find(|(known, _)| *known == primary).map(|(_, names)| *names)
}

/// The English name of a language, for LLMs; the code itself for those that are not listed.
pub fn english_name(code: &str) -> String {
    match names(code).and_then(|names| names.split('|').next()) {
        Some(name) => name.to_owned(),
        None => format!("the language with the code {}", primary(code)),
    }
}

/// Whether a text is a name of a language, in English or in its own words, whatever its capitals and accents.
pub fn is_named(code: &str, text: &str) -> bool {
    let plain = |text: &str| -> String {
        // Accents are left out, and so are the marks of other scripts, on both sides.
        text.trim().nfd().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(text);
    !wanted.is_empty() && names(code).is_some_and(|names| names.split('|').any(|name| plain(name) == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentFields;
    use crate::faults;
    use serde_json::{Value, json};

    fn fault(languages: Value, tts: Value) -> Option<String> {
        let agent = json!({"name": "a", "languages": languages, "tts_config": tts});
        let agent: AgentFields = serde_json::from_value(agent).unwrap();
        faults(&agent).into_iter().next().map(|fault| format!("{}: {}", fault.field, fault.message))
    }

    #[test]
    fn codes_and_voices_are_checked() {
        let eleven = json!({"provider": "elevenlabs", "voice_id": "v", "language": "en"});
        let openai = json!({"provider": "openai", "voice_id": "alloy", "language": "en"});
        let good = json!({"nl": {"voice_id": "w", "fillers": ["Momentje."]}, "de-AT": {}, "zh-Hant-TW": {}});
        assert_eq!(fault(good, eleven.clone()), None);
        assert_eq!(fault(json!({"nl": {"voice_id": "nova"}}), openai.clone()), None);
        for (languages, tts, words) in [
            (json!({"dutch": {}}), &eleven, "languages: dutch is not a language code"),
            (json!({"n": {}}), &eleven, "languages: n is not a language code"),
            (json!({"nl_BE": {}}), &eleven, "languages: nl_BE is not a language code"),
            (json!({"multi": {}}), &eleven, "languages: multi is not a language code"),
            (json!({"nl": {}, "nl-BE": {}}), &eleven, "languages: nl-BE is there twice"),
            (json!({"nl": {"voice_id": "daan"}}), &openai, "languages: nl: daan is no voice of openai"),
            (json!({"nl": {"model": "m"}}), &eleven, "languages: nl has a model without a voice_id"),
            (json!({"nl": {"voice_id": "v"}}), &Value::Null, "languages: nl has a voice_id, which needs tts_config"),
            (json!({"nl": {"prompt": " "}}), &eleven, "languages"),
            (json!({"nl": {"goodbye": "Dag {{name"}}), &eleven, "languages"),
        ] {
            let found = fault(languages, tts.clone());
            assert!(found.as_deref().is_some_and(|found| found.starts_with(words)), "{words}: {found:?}");
        }
    }

    #[test]
    fn regions_do_not_make_another_language() {
        assert!(is_same_language("nl-BE", "nl") && is_same_language("EN", "en_US") && !is_same_language("nl", "en"));
        assert_eq!(
            (english_name("nl-BE"), english_name("xx")),
            ("Dutch".into(), "the language with the code xx".into())
        );
    }

    #[test]
    fn languages_are_known_by_their_english_and_their_own_names() {
        for (code, text) in [
            ("nl", "Nederlands"),
            ("nl-BE", "dutch"),
            ("nl", " Vlaams "),
            ("de", "DEUTSCH"),
            ("fr", "francais"),
            ("fr-CA", "Français"),
            ("es", "español"),
            ("pt-BR", "Português"),
            ("tr", "turkce"),
            ("no", "Norsk"),
            ("ru", "русский"),
            ("zh-TW", "中文"),
            ("ja", "日本語"),
            ("ko", "한국어"),
            ("hi", "हिन्दी"),
            ("ar", "العربية"),
        ] {
            assert!(is_named(code, text), "{code}: {text}");
        }
        for (code, text) in [("nl", "Deutsch"), ("nl", ""), ("xx", "xx"), ("nl", "Nederland"), ("de", "German!x")] {
            assert!(!is_named(code, text), "{code}: {text}");
        }
        assert!(NAMES.iter().all(|(code, _)| is_named(code, &english_name(code))));
    }
}
