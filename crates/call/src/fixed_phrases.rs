//! What an agent says word for word in each of its calls, as one voice gets it. A voice that is made on this machine keeps
//! the sound of these texts, and of no others. Pure.

use super::machine::CallSpec;
use super::voice_text::TtsVoice;
use crate::dialogue::phrases::{fillers, phrases};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use crate::domain::provider_config::{TtsConfig, TtsProvider};

/// Texts of an agent that are looked at: their segments are the phrases.
const TEXTS_MAX: usize = 256;

/// The segments of the stored agent's texts without variables, and of the server's own phrases in the language of the call.
/// Nothing for vendors' voices, which keep nothing here.
pub(super) fn fixed_phrases(spec: &CallSpec, config: &TtsConfig) -> Vec<String> {
    if config.provider != TtsProvider::Local {
        return Vec::new();
    }
    let voice = TtsVoice::new(spec, config);
    let own = phrases(spec.language());
    // The server's own are few; a flow may have more texts than are kept.
    let own = own.all().into_iter().chain(fillers(spec.language()).iter().copied());
    let texts = own.chain(spec.fixed_texts.iter().map(String::as_str));
    let segments = texts.take(TEXTS_MAX).flat_map(|text| {
        let (_, segments) = AgentResponse::scripted(0, text, AfterResponse::AwaitCaller, spec.style());
        segments
    });
    segments.map(|(_, segment)| voice.text(&segment).sent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentFields;
    use serde_json::json;
    use std::sync::Arc;

    fn spec(texts: &[&str]) -> CallSpec {
        let agent =
            json!({"name": "a", "tts_config": {"provider": "local", "voice_id": "piper:joe", "language": "en"}});
        CallSpec {
            agent_id: None,
            agent: serde_json::from_value::<AgentFields>(agent).unwrap(),
            task: None,
            fixed_texts: texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().into(),
            known: Default::default(),
            spoken: None,
            is_web: false,
            today: jiff::civil::date(2026, 11, 2),
        }
    }

    #[test]
    fn phrases_are_the_segments_as_the_voice_gets_them() {
        let spec = spec(&["Good morning, this is Acme. We have 3 offers."]);
        let config = spec.agent.tts_config.clone().unwrap();
        let made = fixed_phrases(&spec, &config);
        assert!(
            made.ends_with(&["Good morning, this is Acme.".to_owned(), "We have 3 offers.".to_owned()]),
            "{made:?}"
        );
        let silent = phrases("en").still_there;
        assert!(made.iter().any(|phrase| phrase == silent), "{made:?}");
    }

    #[test]
    fn vendors_voices_have_none_and_a_dutch_call_has_dutch_phrases() {
        let spec = CallSpec { spoken: Some("nl".to_owned()), fixed_texts: Arc::default(), ..spec(&[]) };
        let mut config = spec.agent.tts_config.clone().unwrap();
        assert!(fixed_phrases(&spec, &config).contains(&phrases("nl").goodbye.to_owned()));
        config.provider = TtsProvider::Elevenlabs;
        assert_eq!(fixed_phrases(&spec, &config), [] as [&str; 0]);
    }
}
