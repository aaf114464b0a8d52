//! What a call is about, fixed from its answer to its end.

use crate::dialogue::phrases::{ScriptedPhrases, phrases};
use crate::dialogue::text_normalization::SpeechStyle;
use jiff::civil::Date;
use std::time::Instant;
use trunkline_domain::agent::AgentFields;
use trunkline_domain::task::TaskFields;
use trunkline_domain::turn_config::SilenceConfig;

/// What the call is about: agent, task and kind of peer.
#[derive(Clone, Debug)]
pub struct CallSpec {
    /// The agent's configuration as it holds for this call.
    pub agent: AgentFields,
    /// The task of an outbound call, or the parameters of a web call; `None` for an inbound call.
    pub task: Option<TaskFields>,
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

    /// How text is normalized for TTS. Only one TTS model understands audio tags.
    pub fn style(&self) -> SpeechStyle {
        let tags = self.agent.tts_config.as_ref().is_some_and(|tts| acts_on_tags(tts.model.as_deref()));
        SpeechStyle::new(self.language(), tags)
    }

    /// Language of the caller (STT).
    pub fn stt_language(&self) -> &str {
        let stt = self.agent.stt_config.as_ref().map(|stt| stt.language.as_str());
        stt.filter(|language| *language != "multi").unwrap_or(self.language())
    }

    /// Language of the scripted phrases (TTS).
    pub fn language(&self) -> &str {
        let tts = self.agent.tts_config.as_ref().map(|tts| tts.language.as_str());
        tts.or(self.agent.stt_config.as_ref().map(|stt| stt.language.as_str())).unwrap_or("en")
    }
}

/// ElevenLabs documents audio tags for its version 3 models.
pub fn acts_on_tags(model: Option<&str>) -> bool {
    model.is_some_and(|model| model.starts_with("eleven_v3"))
}

/// What does not change while somebody is on the line.
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

    /// Milliseconds of the call at an instant; 0 before the answer.
    pub(super) fn ms(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.answered).as_millis() as u64
    }
}
