//! The languages of an agent that follows its caller: `languages` of an agent, by language code.

use super::provider_config::{TtsConfig, TtsProvider};
use super::rules::{at_most, chars, filled, fits, is_text};
use super::template::{self, TemplateUse};
use super::turn_config::TEXT_CHARS_MAX;
use garde::{Error, Validate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    #[garde(inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
    pub prompt: Option<String>,
    /// More ways to ask; one after the other is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
    pub prompts: Vec<String>,
    /// Said before the call ends because the caller stayed silent. None: as for `prompt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[garde(inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
    pub goodbye: Option<String>,
    /// Said when a tool or the model takes longer. None: those of `silence_config` in the agent's own language, none in
    /// others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    #[garde(custom(at_most(TEXTS_MAX)), inner(custom(text()), custom(template::rule(TemplateUse::Text))))]
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

/// The English name of a language, for LLMs; the code itself for those that are not listed.
pub fn english_name(code: &str) -> String {
    let primary = primary(code);
    let name = match primary.as_str() {
        "ar" => "Arabic",
        "bg" => "Bulgarian",
        "cs" => "Czech",
        "da" => "Danish",
        "de" => "German",
        "el" => "Greek",
        "en" => "English",
        "es" => "Spanish",
        "et" => "Estonian",
        "fi" => "Finnish",
        "fr" => "French",
        "he" => "Hebrew",
        "hi" => "Hindi",
        "hr" => "Croatian",
        "hu" => "Hungarian",
        "id" => "Indonesian",
        "it" => "Italian",
        "ja" => "Japanese",
        "ko" => "Korean",
        "lt" => "Lithuanian",
        "lv" => "Latvian",
        "nb" | "no" => "Norwegian",
        "nl" => "Dutch",
        "pl" => "Polish",
        "pt" => "Portuguese",
        "ro" => "Romanian",
        "ru" => "Russian",
        "sk" => "Slovak",
        "sl" => "Slovenian",
        "sv" => "Swedish",
        "th" => "Thai",
        "tr" => "Turkish",
        "uk" => "Ukrainian",
        "vi" => "Vietnamese",
        "zh" => "Chinese",
        _ => return format!("the language with the code {code}"),
    };
    name.to_owned()
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
}
