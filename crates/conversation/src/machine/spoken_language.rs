//! The configuration of a call in another language: voice, phrases, what counts as silence, and what STT listens for.

use super::spec::CallSpec;
use crate::dialogue::phrases::phrases;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::languages::{LanguageConfig, is_same_language, primary};
use trunkline_domain::provider_config::{TtsConfig, TtsProvider};
use trunkline_providers::local::piper::piper_voice;

/// Gender of a local voice, as a variant of espeak-ng's names: `en+f3`.
fn local_variant(voice: &str) -> &str {
    if let Some(name) = voice.strip_prefix("piper:") {
        return piper_voice(name).map_or("", |voice| voice.stand_in);
    }
    match voice.strip_prefix("flite") {
        // `slt` is a woman, and the voice where none is named; all others are men.
        Some(name) if matches!(name.trim_start_matches(':'), "" | "slt") => "+f2",
        Some(_) => "+m3",
        None => voice.find('+').map_or("", |at| &voice[at..]),
    }
}

/// A voice in another language. Without one of the agent's own, the same person speaks it, if the vendor's voices do;
/// local voices are made for one language, so one of the same gender takes over.
fn voice(config: &mut TtsConfig, code: &str, own: Option<&LanguageConfig>) {
    code.clone_into(&mut config.language);
    match own.and_then(|own| Some((own.voice_id.as_ref()?, own.model.as_ref()))) {
        Some((voice, model)) => {
            config.voice_id.clone_from(voice);
            if let Some(model) = model {
                config.model = Some(model.clone());
            }
        }
        None if config.provider == TtsProvider::Local => {
            config.voice_id = format!("{}{}", primary(code), local_variant(&config.voice_id));
        }
        None => {}
    }
}

/// The same voice, or a local one of the same gender, in another language.
pub fn voice_in_language(config: &TtsConfig, code: &str) -> TtsConfig {
    let mut config = config.clone();
    voice(&mut config, code, None);
    config
}

/// What the agent says in another language of its own accord.
fn texts(agent: &mut AgentFields, code: &str, own: Option<&LanguageConfig>) {
    let Some(mut silence) = agent.silence() else { return };
    let usual = phrases(code);
    let own = own.cloned().unwrap_or_default();
    silence.prompts = own.prompts;
    silence.prompt = own.prompt.unwrap_or_else(|| usual.still_there.to_owned());
    silence.goodbye = own.goodbye.unwrap_or_else(|| usual.cannot_hear.to_owned());
    silence.fillers = own.fillers;
    agent.silence_config = Some(silence);
}

impl CallSpec {
    /// Whether the conversation follows the caller's language by what STT says.
    pub fn follows_language(&self) -> bool {
        self.agent.stt_config.as_ref().is_some_and(|stt| stt.language == "multi") && !self.agent.is_realtime()
    }

    /// The languages that the LLM can choose, where STT cannot tell them apart; empty if there are none.
    pub fn selectable_languages(&self) -> Vec<String> {
        let Some(languages) = self.agent.languages.as_ref().filter(|languages| !languages.is_empty()) else {
            return Vec::new();
        };
        if self.follows_language() || self.agent.is_realtime() {
            return Vec::new();
        }
        let mut codes: Vec<String> = languages.keys().cloned().collect();
        let own = self.language();
        if codes.iter().all(|code| !is_same_language(code, own)) {
            codes.insert(0, own.to_owned());
        }
        codes
    }

    /// The code under which a language is known to the agent; `None` for one that it does not speak. Without a list it
    /// speaks whatever its voice does.
    pub fn known_language(&self, code: &str) -> Option<String> {
        if is_same_language(code, self.language()) {
            return Some(self.language().to_owned());
        }
        match self.agent.languages.as_ref().filter(|languages| !languages.is_empty()) {
            Some(languages) => languages.keys().find(|known| is_same_language(known, code)).cloned(),
            None => self.follows_language().then(|| code.to_owned()),
        }
    }

    /// The same call in another language; `self` is in the agent's own one.
    pub fn in_language(&self, code: &str) -> Self {
        let mut spec = self.clone();
        if is_same_language(code, self.language()) {
            return spec;
        }
        let own = self.agent.languages.as_ref().and_then(|languages| {
            languages.iter().find(|(known, _)| is_same_language(known, code)).map(|(_, config)| config)
        });
        spec.spoken = Some(code.to_owned());
        if let Some(config) = &mut spec.agent.tts_config {
            voice(config, code, own);
        }
        for fallback in spec.agent.fallbacks.iter_mut().flat_map(|fallbacks| &mut fallbacks.tts) {
            voice(fallback, code, None);
        }
        // Models for one language stay with it.
        let fallbacks = spec.agent.fallbacks.iter_mut().flat_map(|fallbacks| &mut fallbacks.stt);
        for stt in spec.agent.stt_config.iter_mut().chain(fallbacks) {
            if stt.language != "multi" && !stt.model.starts_with("flux") {
                stt.language = primary(code);
            }
        }
        texts(&mut spec.agent, code, own);
        spec
    }
}
