//! Words that STT heard while the agent spoke, and that are not the caller's: an echo of the agent, or said by somebody
//! behind the caller.

use super::interruption_counts::OverlapReason;
use super::line::Line;
use crate::dialogue::backchannel::is_echo_of;
use crate::dialogue::interruption::is_stop_command;
use std::time::{Duration, Instant};
use trunkline_media::turn::overlap::OverlapSource;
use trunkline_media::turn::script::words;
use trunkline_providers::SttEvent;

/// Words of the agent that come back, before an echo path is known: fewer may be the caller's own.
const ECHO_WORDS_MIN: usize = 4;
/// How late final words may come.
const WORDS_LATE_MAX: Duration = Duration::from_millis(1_500);

impl Line {
    /// Removes words that are not the caller's.
    pub(super) fn remove_foreign_words(&mut self, now: Instant, event: SttEvent) -> SttEvent {
        let reason = match &event {
            SttEvent::Interim(text) | SttEvent::Final { text, .. } | SttEvent::EndOfTurn { text, .. } => {
                self.foreign(now, text)
            }
            _ => None,
        };
        let Some(reason) = reason else { return event };
        let at_ms = self.ms(now);
        self.metrics().interruptions.record(at_ms, reason);
        match event {
            SttEvent::Final { speech_final, .. } => {
                SttEvent::Final { text: String::new(), confidence: None, speech_final }
            }
            _ => SttEvent::Interim(String::new()),
        }
    }

    /// Why a text is not the caller's; `None` if it is.
    fn foreign(&self, now: Instant, text: &str) -> Option<OverlapReason> {
        let (overlap, is_held) = (self.caller.overlap, self.playout.is_paused());
        let language = self.facts.spec.stt_language();
        let is_late = |at: Instant| now.saturating_duration_since(at) <= WORDS_LATE_MAX;
        let response = self.playout.response.as_ref().filter(|response| response.begun.is_some());
        let said = match (response, &self.caller.last_said) {
            (Some(response), _) => response.said(),
            (None, Some((at, said))) if overlap == Some(OverlapSource::Background) && is_late(*at) => said.clone(),
            (None, _) => return None,
        };
        let may_be_echo = self.caller.has_echo && response.is_some()
            || overlap != Some(OverlapSource::Caller) && !is_held && words(text).count() >= ECHO_WORDS_MIN;
        if may_be_echo && is_echo_of(text, &said) {
            return Some(OverlapReason::Echo);
        }
        let is_background = overlap == Some(OverlapSource::Background) && !is_held;
        (is_background && !text.trim().is_empty() && !is_stop_command(text, language))
            .then_some(OverlapReason::Background)
    }
}
