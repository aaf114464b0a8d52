//! Which voice stands in for a voice of the agent: one that speaks the language of the call, and if it can be a man's for a
//! man's and a woman's for a woman's. Pure.

use super::machine::voice_in_language;
use crate::domain::languages::{is_same_language, primary};
use crate::domain::provider::TtsProvider;
use crate::domain::provider_config::TtsConfig;
use crate::providers::local::piper::piper_voice;

/// Who speaks with a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gender {
    Woman,
    Man,
}

/// Voices that are known by name. The vendors' pages: <https://platform.openai.com/docs/guides/text-to-speech>,
/// <https://elevenlabs.io/docs/voices/default-voices>.
const WOMEN: [(TtsProvider, &[&str]); 2] = [
    (TtsProvider::Openai, &["coral", "marin", "nova", "sage", "shimmer"]),
    (
        TtsProvider::Elevenlabs,
        &[
            "21m00Tcm4TlvDq8ikWAM",
            "EXAVITQu4vr4xnSDxMaL",
            "XB0fDUnXU5powFXDhCwa",
            "FGY2WhTYpPnrIDTdsKH5",
            "pFZP5JQG7iQjIQuC4Bku",
            "Xb7hH8MSUJpSbSDYk0k2",
            "XrExE9yKIg1WjnnlVkGX",
            "cgSgspJ2msm6clMCda9W",
        ],
    ),
];
const MEN: [(TtsProvider, &[&str]); 2] = [
    (TtsProvider::Openai, &["ash", "cedar", "echo", "onyx", "verse"]),
    (
        TtsProvider::Elevenlabs,
        &[
            "pNInz6obpgDQGcFmaJgB",
            "ErXwobaYiN019PkySvjV",
            "onwK4e9ZLuTAKqWW03F9",
            "JBFqnCBsd6RMkjVDRZzb",
            "nPczCjzI2devNBz1zQrb",
            "TX3LPaxmHKxFdv7VOQHJ",
            "IKne3meq5aSn9XLyUdCD",
            "cjVigY5qzO86Huf0OWal",
            "iP95p4xoKVk53GoZ742B",
            "bIHbv24MWmeRgasZH58o",
            "pqHfZKP75CvOlQylNhV4",
            "CwhRBWXzGAHq8TQ4Fs17",
            "N2lVS1w4EtoT3dr4eOWO",
        ],
    ),
];
/// Models that speak English alone; others speak the language that they are told.
const ENGLISH_MODELS: [&str; 4] =
    ["eleven_flash_v2", "eleven_turbo_v2", "eleven_monolingual_v1", "eleven_english_sts_v2"];
/// The variant of the local program's voices that sounds like a woman.
const WOMANS_VARIANT: &str = "+f3";

/// Who speaks with a voice, as far as it is known.
fn gender(config: &TtsConfig) -> Option<Gender> {
    if config.provider == TtsProvider::Local {
        return local_gender(&config.voice_id);
    }
    let is_in = |known: &[(TtsProvider, &[&str])]| {
        let names = known.iter().filter(|(provider, _)| *provider == config.provider).flat_map(|(_, names)| *names);
        names.into_iter().any(|name| *name == config.voice_id)
    };
    match (is_in(&WOMEN), is_in(&MEN)) {
        (true, _) => Some(Gender::Woman),
        (false, true) => Some(Gender::Man),
        (false, false) => None,
    }
}

/// The same of the local programs' voices.
fn local_gender(voice: &str) -> Option<Gender> {
    if let Some(name) = voice.strip_prefix("flite") {
        return Some(if matches!(name.trim_start_matches(':'), "" | "slt") { Gender::Woman } else { Gender::Man });
    }
    let piper = voice.strip_prefix("piper:").and_then(|name| Some(piper_voice(name).ok()?.stand_in));
    let (_, variant) = piper.unwrap_or(voice).split_once('+')?;
    match variant.as_bytes().first()? {
        b'f' => Some(Gender::Woman),
        b'm' => Some(Gender::Man),
        _ => None,
    }
}

/// The local voice in place of an agent's; empty for the language's own.
pub(super) fn local_voice(chosen: Option<&TtsConfig>, language: &str) -> String {
    let is_woman = chosen.and_then(gender) == Some(Gender::Woman);
    let base = language.split(['-', '_']).next().unwrap_or_default();
    if is_woman && !base.is_empty() { format!("{base}{WOMANS_VARIANT}") } else { String::new() }
}

/// A fallback voice in the language of the call; `None` if it does not speak it.
fn in_language(config: &TtsConfig, language: &str) -> Option<TtsConfig> {
    let speaks_english_alone = config.model.as_deref().is_some_and(|model| ENGLISH_MODELS.contains(&model));
    if speaks_english_alone && !is_same_language(language, "en") {
        return None;
    }
    let is_known = is_same_language(&config.language, language) || primary(&config.language) == "multi";
    Some(if is_known { config.clone() } else { voice_in_language(config, language) })
}

/// The fallback voices in place of an agent's own one, in the order in which they are asked. A voice that does not speak the
/// language of the call is not asked. Of the others come first those that were chosen for this language, then those of the
/// same gender as far as it is known, and then those that the agent names first.
pub(super) fn in_place_of<'a>(
    own: &TtsConfig, language: &str, fallbacks: impl Iterator<Item = &'a TtsConfig>,
) -> Vec<TtsConfig> {
    if primary(language) == "multi" {
        return fallbacks.cloned().collect();
    }
    let wanted = gender(own);
    let is_other = |one: Option<Gender>| wanted.is_some() && one.is_some() && one != wanted;
    let ranked = fallbacks.filter_map(|config| {
        let rank = (!is_same_language(&config.language, language), is_other(gender(config)));
        Some((rank, in_language(config, language)?))
    });
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, config)| config).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn voice(provider: &str, voice: &str, language: &str, model: Value) -> TtsConfig {
        let mut config = json!({"provider": provider, "voice_id": voice, "language": language});
        if !model.is_null() {
            config["model"] = model;
        }
        serde_json::from_value(config).unwrap()
    }

    fn stands_in(provider: &str, id: &str, language: &str) -> String {
        local_voice(Some(&voice(provider, id, language, Value::Null)), language)
    }

    #[test]
    fn a_womans_voice_is_followed_by_a_womans_in_her_language() {
        assert_eq!(stands_in("openai", "nova", "nl-BE"), "nl+f3");
        assert_eq!(stands_in("elevenlabs", "21m00Tcm4TlvDq8ikWAM", "en"), "en+f3");
        assert_eq!(
            (stands_in("local", "en+f2", "en"), stands_in("local", "flite", "en")),
            ("en+f3".into(), "en+f3".into())
        );
        for (provider, voice) in [("openai", "onyx"), ("elevenlabs", "v"), ("cartesia", "nova"), ("local", "en+m1")] {
            assert_eq!(stands_in(provider, voice, "en"), "", "{provider} {voice}");
        }
        assert_eq!(local_voice(None, "en"), "");
        assert_eq!((local_gender("piper:joe"), local_gender("piper:nobody")), (Some(Gender::Man), None));
    }

    /// Voices and their languages in the order in which they are asked.
    fn order(own: &TtsConfig, fallbacks: &[TtsConfig]) -> Vec<String> {
        let voices = in_place_of(own, &own.language, fallbacks.iter());
        voices.iter().map(|one| format!("{} {}", one.voice_id, one.language)).collect()
    }

    #[test]
    fn a_fallback_speaks_the_language_of_the_call_or_is_not_asked() {
        let own = voice("elevenlabs", "v", "nl", Value::Null);
        let fallbacks = [
            voice("elevenlabs", "english", "en", json!("eleven_flash_v2")),
            voice("openai", "alloy", "en", Value::Null),
            voice("local", "en+f3", "en", Value::Null),
            voice("cartesia", "dutch", "nl-BE", Value::Null),
        ];
        assert_eq!(order(&own, &fallbacks), ["dutch nl-BE", "alloy nl", "nl+f3 nl"]);
        let english = voice("elevenlabs", "v", "en-GB", Value::Null);
        assert_eq!(order(&english, &fallbacks), ["english en", "alloy en", "en+f3 en", "dutch en-GB"]);
        let any = voice("elevenlabs", "v", "multi", Value::Null);
        assert_eq!(order(&any, &fallbacks[..2]), ["english en", "alloy en"]);
    }

    #[test]
    fn a_voice_of_the_same_gender_comes_first_and_the_language_before_that() {
        let woman = voice("openai", "nova", "nl", Value::Null);
        let man = voice("openai", "onyx", "nl", Value::Null);
        let (echo, sage) = (voice("openai", "echo", "nl", Value::Null), voice("openai", "sage", "nl", Value::Null));
        let unknown = voice("cartesia", "c", "nl", Value::Null);
        let fallbacks = [echo.clone(), unknown.clone(), sage.clone()];
        assert_eq!(order(&woman, &fallbacks), ["c nl", "sage nl", "echo nl"], "the other gender is the last resort");
        assert_eq!(order(&man, &fallbacks), ["echo nl", "c nl", "sage nl"]);
        assert_eq!(order(&unknown, &fallbacks), ["echo nl", "c nl", "sage nl"], "as the agent names them");
        let foreign = voice("openai", "shimmer", "en", Value::Null);
        assert_eq!(order(&woman, &[foreign, echo]), ["echo nl", "shimmer nl"]);
    }
}
