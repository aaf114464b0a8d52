//! Which local voice stands in for a voice of the agent: the same language, and a man's for a man's. Pure.

use crate::domain::provider::TtsProvider;
use crate::domain::provider_config::TtsConfig;
use crate::providers::local::piper::piper_voice;

/// Voices that are known by name, women's and men's; others keep the local program's own voice. The vendors' pages:
/// <https://platform.openai.com/docs/guides/text-to-speech>, <https://elevenlabs.io/docs/voices/default-voices>.
const WOMEN: [(TtsProvider, &[&str]); 2] = [
    (TtsProvider::Openai, &["coral", "marin", "nova", "sage", "shimmer"]),
    (TtsProvider::Elevenlabs, &["21m00Tcm4TlvDq8ikWAM", "EXAVITQu4vr4xnSDxMaL", "XB0fDUnXU5powFXDhCwa"]),
];
/// The variant of the local program's voices that sounds like a woman.
const WOMANS_VARIANT: &str = "+f3";

/// The local voice in place of an agent's; empty for the language's own.
pub(super) fn local_voice(chosen: Option<&TtsConfig>, language: &str) -> String {
    let is_woman = chosen.is_some_and(|chosen| {
        let known = WOMEN.iter().filter(|(provider, _)| *provider == chosen.provider);
        known.flat_map(|(_, names)| names.iter()).any(|name| *name == chosen.voice_id)
    });
    let piper = chosen
        .and_then(|chosen| chosen.voice_id.strip_prefix("piper:").filter(|_| chosen.provider == TtsProvider::Local));
    let base = language.split(['-', '_']).next().unwrap_or_default();
    if let Some(Ok(voice)) = piper.map(piper_voice).filter(|_| !base.is_empty()) {
        return format!("{base}{}", voice.stand_in);
    }
    if is_woman && !base.is_empty() { format!("{base}{WOMANS_VARIANT}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stands_in(provider: &str, voice: &str, language: &str) -> String {
        let config = json!({"provider": provider, "voice_id": voice, "language": language});
        local_voice(Some(&serde_json::from_value(config).unwrap()), language)
    }

    #[test]
    fn a_womans_voice_is_followed_by_a_womans_in_her_language() {
        assert_eq!(stands_in("openai", "nova", "nl-BE"), "nl+f3");
        assert_eq!(stands_in("elevenlabs", "21m00Tcm4TlvDq8ikWAM", "en"), "en+f3");
        for (provider, voice) in [("openai", "onyx"), ("elevenlabs", "v"), ("cartesia", "nova")] {
            assert_eq!(stands_in(provider, voice, "en"), "", "{provider} {voice}");
        }
        assert_eq!(stands_in("local", "piper:joe", "en-GB"), "en+m3", "a neural voice of a man");
        assert_eq!(stands_in("local", "piper:nobody", "en"), "");
        assert_eq!(local_voice(None, "en"), "");
    }
}
