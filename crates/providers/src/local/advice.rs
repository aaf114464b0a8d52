//! What an agent asks of this machine that it does not have, and what to do about it.

use super::piper::piper_voice;
use super::speech::LocalSpeech;
use trunkline_domain::languages::is_same_language;
use trunkline_domain::provider::{SttProvider, TtsProvider};
use trunkline_domain::provider_config::{SttConfig, TtsConfig};
use trunkline_local_speech::models::Model;

/// The same for an STT configuration; `field` is its name in the agent.
pub fn stt_warning(speech: &LocalSpeech, field: &str, config: &SttConfig) -> Option<String> {
    if config.provider != SttProvider::Local {
        return None;
    }
    let model = Model::named(&config.model)?;
    let advice = speech.state(model).advice(model)?;
    Some(format!("{field}: {advice}; until then calls are heard by the next of fallbacks.stt"))
}

/// The same for a voice.
pub fn tts_warning(speech: &LocalSpeech, field: &str, config: &TtsConfig) -> Option<String> {
    let name = config.voice_id.strip_prefix("piper:").filter(|_| config.provider == TtsProvider::Local)?;
    let voice = piper_voice(name).ok()?;
    if !is_same_language(&config.language, voice.language) {
        let (own, other) = (voice.language, &config.language);
        return Some(format!("{field}: {} speaks {own}; espeak-ng speaks {other} in its place", config.voice_id));
    }
    let advice = speech.state(&voice.model).advice(&voice.model)?;
    Some(format!("{field}: {advice}; until then espeak-ng speaks in its place"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalSpeechSettings;
    use serde_json::json;

    fn speech(models: &str) -> LocalSpeech {
        LocalSpeech::new(LocalSpeechSettings { models: models.into(), worker: None })
    }

    #[test]
    fn what_this_machine_lacks_is_named_with_what_to_do() {
        let stt: SttConfig =
            serde_json::from_value(json!({"provider": "local", "model": "moonshine-tiny-en", "language": "en"}))
                .unwrap();
        let warning = stt_warning(&speech("/nowhere"), "fallbacks.stt[0]", &stt).unwrap();
        assert_eq!(
            warning,
            "fallbacks.stt[0]: the model moonshine-tiny-en is not on this machine: run `trunkline models fetch`; \
             until then calls are heard by the next of fallbacks.stt"
        );
        let voice = |provider: &str, voice: &str, language: &str| -> Option<String> {
            let config = json!({"provider": provider, "voice_id": voice, "language": language});
            tts_warning(&speech("/nowhere"), "tts_config", &serde_json::from_value(config).unwrap())
        };
        let joe = voice("local", "piper:joe", "en-GB").unwrap();
        assert!(joe.starts_with("tts_config: the model piper-joe is not on this machine: run"), "{joe}");
        let dutch = voice("local", "piper:joe", "nl").unwrap();
        assert_eq!(dutch, "tts_config: piper:joe speaks en; espeak-ng speaks nl in its place");
        assert_eq!((voice("local", "nl", "nl"), voice("cartesia", "piper:joe", "nl")), (None, None));
    }
}
