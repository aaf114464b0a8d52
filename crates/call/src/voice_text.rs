//! The text of a segment as one voice gets it: with the tags that it takes, with numbers written out where it does not
//! read them, and how its word timestamps count in the text of the segment.

use super::machine::{CallSpec, acts_on_tags};
use super::provider_plan;
use crate::dialogue::text_normalization::{NormalizedText, SpeechStyle, without_tags};
use crate::domain::provider_config::TtsConfig;
use crate::domain::speech_tags;
use crate::providers::tts::TextAbilities;
use crate::providers::vendors;

/// A voice that may speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TtsVoice {
    /// `provider/model`, as prices and records have it.
    pub name: String,
    /// It acts on audio tags; others would read them aloud.
    pub acts_on_tags: bool,
    /// What it takes of pauses and sounds.
    pub abilities: TextAbilities,
    /// The texts of the call are those for a voice that reads numbers by itself, and this one does not: how they are
    /// written out for it.
    pub normalized: Option<SpeechStyle>,
}

/// A text for one voice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceText {
    /// What it gets.
    pub sent: String,
    /// The text of the segment without pauses and sounds, which timestamps count in.
    pub plain: String,
    /// How `plain` was written out.
    normalized: Option<NormalizedText>,
}

impl TtsVoice {
    /// A voice of a call.
    pub fn new(spec: &CallSpec, config: &TtsConfig) -> Self {
        let (acts_on_tags, abilities) = (acts_on_tags(config.model.as_deref()), vendors::text_abilities(config));
        let has_tags = spec.has_speech_tags();
        let normalized = (spec.style().is_plain() && !abilities.normalizes)
            .then(|| SpeechStyle::new(&config.language, acts_on_tags));
        let abilities = TextAbilities {
            takes_breaks: abilities.takes_breaks && has_tags,
            takes_phonemes: abilities.takes_phonemes && has_tags,
            ..abilities
        };
        Self { name: provider_plan::tts_name(config), acts_on_tags, abilities, normalized }
    }

    /// The text of a segment as it is sent to this voice.
    pub fn text(&self, source: &str) -> VoiceText {
        let source = if self.acts_on_tags || !source.contains('[') { source.to_owned() } else { without_tags(source) };
        let plain = speech_tags::removed(&source);
        let normalized = self.normalized.as_ref().map(|style| style.normalize(&plain));
        match normalized.filter(|normalized| !normalized.spoken.is_empty()) {
            Some(normalized) => {
                let (sent, plain) = (normalized.spoken.clone(), normalized.shown.clone());
                VoiceText { sent, plain, normalized: Some(normalized) }
            }
            None => VoiceText {
                sent: speech_tags::kept(&source, self.abilities.takes_breaks, self.abilities.takes_phonemes),
                plain,
                normalized: None,
            },
        }
    }
}

impl VoiceText {
    /// Characters of `plain` that are said with so many of what was sent, without its tags.
    pub fn chars_said(&self, chars: u32) -> u32 {
        let Some(normalized) = &self.normalized else { return chars };
        let octet = normalized.spoken.char_indices().nth(chars as usize).map_or(normalized.spoken.len(), |(at, _)| at);
        normalized.shown.get(..normalized.shown_by(octet)).map_or(0, |said| said.chars().count()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentFields;
    use serde_json::{Value, json};

    fn spec(agent: Value) -> CallSpec {
        let mut fields = json!({"name": "a"});
        fields.as_object_mut().unwrap().extend(agent.as_object().unwrap().clone());
        CallSpec {
            agent_id: None,
            agent: serde_json::from_value::<AgentFields>(fields).unwrap(),
            task: None,
            fixed_texts: Default::default(),
            known: Default::default(),
            spoken: None,
            is_web: false,
            today: jiff::civil::date(2026, 11, 2),
        }
    }

    fn voice(provider: &str, more: Value) -> Value {
        let mut config = json!({"provider": provider, "voice_id": "v", "language": "en"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    }

    /// What the agent's voice and the local one get of an answer.
    fn sent(agent: Value, answer: &str) -> (String, String) {
        let spec = spec(agent);
        let style = spec.style();
        let source = style.for_voice(answer, &style.normalize(answer));
        let text = |config: &TtsConfig| TtsVoice::new(&spec, config).text(&source).sent;
        let configs = provider_plan::tts_configs(&spec);
        (text(configs.first().unwrap()), text(configs.last().unwrap()))
    }

    const ANSWER: &str = "**It** costs $5. 🙂";
    const WRITTEN: &str = "It costs $5.";
    const WORDS: &str = "It costs 5 dollars.";

    #[test]
    fn voices_that_read_numbers_get_them_as_they_are_written() {
        for (provider, model, first) in [
            ("elevenlabs", Value::Null, WORDS),
            ("elevenlabs", json!("eleven_turbo_v2_5"), WORDS),
            ("elevenlabs", json!("eleven_multilingual_v2"), WRITTEN),
            ("elevenlabs", json!("eleven_v3"), WRITTEN),
            ("cartesia", Value::Null, WRITTEN),
            ("openai", Value::Null, WRITTEN),
            ("local", Value::Null, WORDS),
        ] {
            let with = |setting: &str| json!({"tts_config": voice(provider, json!({"model": model, "text_normalization": setting}))});
            let plain = json!({"tts_config": voice(provider, json!({"model": model}))});
            for agent in [plain, with("auto")] {
                assert_eq!(sent(agent, ANSWER), (first.to_owned(), WORDS.to_owned()), "{provider} {model}");
            }
            assert_eq!(sent(with("ours"), ANSWER), (WORDS.to_owned(), WORDS.to_owned()));
            assert_eq!(sent(with("vendor"), ANSWER).0, WRITTEN);
        }
        assert_eq!(sent(json!({}), ANSWER).0, WORDS, "without a voice the local one speaks");
    }

    #[test]
    fn pauses_go_to_voices_that_take_them_and_are_a_comma_to_others() {
        let answer = "One moment<break time=\"1.5s\"/> please.";
        let (tagged, comma) = ("One moment,<break time=\"1.5s\" /> please.", "One moment, please.");
        for (provider, model, first) in [
            ("elevenlabs", json!("eleven_flash_v2_5"), tagged),
            ("elevenlabs", json!("eleven_v3"), comma),
            ("cartesia", Value::Null, tagged),
            ("openai", Value::Null, comma),
        ] {
            let config = voice(provider, json!({"model": model}));
            let asked = json!({"tts_config": config, "system_prompt": "Pause with <break time=\"1s\"/>."});
            assert_eq!(sent(asked, answer), (first.to_owned(), comma.to_owned()), "{provider} {model}");
            assert_eq!(sent(json!({"tts_config": config}), answer).0, comma, "nobody asked for pauses");
        }
    }

    #[test]
    fn sounds_go_to_voices_that_take_them() {
        let entries =
            json!([{"text": "Reading", "ipa": "ˈrɛdɪŋ", "say_as": "Redding"}, {"text": "Bath", "ipa": "bɑːθ"}]);
        let with = |model: &str| json!({"tts_config": voice("elevenlabs", json!({"model": model})), "pronunciation_dictionary": entries});
        let answer = "From Reading to Bath.";
        let alias = "From Redding to Bath.";
        let (own, local) = sent(with("eleven_flash_v2"), answer);
        assert!(own.contains("<phoneme alphabet=\"ipa\" ph=\"ˈrɛdɪŋ\">Redding</phoneme>"), "{own}");
        assert_eq!(local, alias);
        assert_eq!(sent(with("eleven_flash_v2_5"), answer).0, alias);
    }

    #[test]
    fn an_entry_holds_for_voices_that_read_numbers_too() {
        let agent = json!({"tts_config": voice("cartesia", json!({})),
            "pronunciation_dictionary": [{"text": "SQL", "say_as": "sequel"}]});
        assert_eq!(sent(agent, "SQL costs $5."), ("sequel costs $5.".into(), "sequel costs 5 dollars.".into()));
    }
}
