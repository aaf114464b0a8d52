//! What a call is about, as long as one agent has it.

use crate::dialogue::phrases::{ScriptedPhrases, phrases};
use crate::dialogue::text_normalization::SpeechStyle;
use jiff::civil::Date;
use std::sync::Arc;
use std::time::Instant;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::call_facts::CallVariables;
use trunkline_domain::ids::AgentId;
use trunkline_domain::task::TaskFields;
use trunkline_domain::turn_config::SilenceConfig;
use trunkline_providers::vendors::text_abilities;

/// What the call is about: agent, task and kind of peer.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// The stored agent; `None` where a webhook described one that is not stored.
    pub agent_id: Option<AgentId>,
    /// The agent's configuration as it holds for this call.
    pub agent: AgentFields,
    /// The task of an outbound call, or the parameters of a web call; `None` for an inbound call.
    pub task: Option<TaskFields>,
    /// What the stored agent says word for word in each of its calls: texts without variables.
    pub fixed_texts: Arc<[String]>,
    /// What placeholders stand for from the beginning on.
    pub known: CallVariables,
    /// Language of the conversation where it is not the agent's own one.
    pub spoken: Option<String>,
    /// The other side is a browser, so a person has just clicked.
    pub is_web: bool,
    /// The day on which it began, in the agent's time zone.
    pub today: Date,
}

impl CallSpec {
    /// The task's starting message takes precedence over the agent's.
    pub fn first_message(&self) -> Option<&str> {
        let task = self.task.as_ref().and_then(|task| task.starting_message.as_deref());
        task.or(self.agent.first_message.as_deref()).filter(|text| !text.trim().is_empty())
    }

    /// Whether to run AMD: on outbound calls, if the agent wants it.
    pub fn runs_amd(&self) -> bool {
        self.task.is_some() && !self.is_web && self.agent.voicemail_detection.unwrap_or(false)
    }

    /// How text is normalized for TTS, by the agent's own voice. Only one TTS model understands audio tags.
    pub fn style(&self) -> SpeechStyle {
        let voice = self.agent.tts_config.as_ref();
        let tags = voice.is_some_and(|tts| acts_on_tags(tts.model.as_deref()));
        let style = SpeechStyle::new(self.language(), tags);
        let style = style.pronouncing(&self.agent.pronunciation_dictionary, self.language());
        if voice.is_some_and(|tts| text_abilities(tts).normalizes) { style.plain() } else { style }
    }

    /// Whether texts for voices may have tags: the dictionary has sounds, or one of the agent's texts speaks of pauses.
    /// Without either, a pause that the LLM makes up is a comma.
    pub fn has_speech_tags(&self) -> bool {
        let agent = &self.agent;
        let examples = agent.llm_config.iter().flat_map(|config| config.messages.iter().map(|one| &one.content));
        let texts = [&agent.system_prompt, &agent.first_message, &agent.voicemail_message].into_iter().flatten();
        let start = self.task.iter().filter_map(|task| task.starting_message.as_ref());
        agent.pronunciation_dictionary.iter().any(|entry| entry.ipa.is_some())
            || texts.chain(examples).chain(start).any(|text| text.contains("<break"))
    }

    /// Language of the caller (STT).
    pub fn stt_language(&self) -> &str {
        let stt = self.agent.stt_config.as_ref().map(|stt| stt.language.as_str());
        stt.filter(|language| *language != "multi").unwrap_or(self.language())
    }

    /// Language of the scripted phrases (TTS).
    pub fn language(&self) -> &str {
        if let Some(spoken) = &self.spoken {
            return spoken;
        }
        let tts = self.agent.tts_config.as_ref().map(|tts| tts.language.as_str());
        tts.or(self.agent.stt_config.as_ref().map(|stt| stt.language.as_str())).unwrap_or("en")
    }
}

/// ElevenLabs documents audio tags for its version 3 models.
pub fn acts_on_tags(model: Option<&str>) -> bool {
    model.is_some_and(|model| model.starts_with("eleven_v3"))
}

/// What does not change while one agent has the call.
#[derive(Debug)]
pub(super) struct CallFacts {
    pub(super) spec: CallSpec,
    pub(super) phrases: &'static ScriptedPhrases,
    /// `None` when the agent leaves silence alone.
    pub(super) silence: Option<SilenceConfig>,
    answered: Instant,
}

impl CallFacts {
    pub(super) fn new(answered: Instant, spec: CallSpec) -> Self {
        Self { phrases: phrases(spec.language()), silence: spec.agent.silence(), answered, spec }
    }

    /// Another agent has the call from here on, or the same one in another language.
    pub(super) fn change_spec(&mut self, spec: CallSpec) {
        *self = Self::new(self.answered, spec);
    }

    /// Milliseconds of the call at an instant; 0 before the answer.
    pub(super) fn ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.answered).as_millis() as u64
    }
}
