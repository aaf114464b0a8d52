//! Words that STT heard while the agent spoke, and that are not the caller's: an echo of the agent, said by somebody behind
//! the caller, or by nobody. Some services make words of a silent line, or send them many seconds late.

use super::call_machine::CallMachine;
use super::interruption_counts::OverlapReason;
use super::line::Line;
use super::mode::Mode;
use super::talk::{Speaker, Talk};
use super::unvoiced_words::joined;
use crate::dialogue::backchannel::is_echo_of;
use crate::dialogue::hallucination::is_hallucination;
use crate::dialogue::interruption::is_stop_command;
use std::time::{Duration, Instant};
use trunkline_media::turn::end_of_turn::CallerTurn;
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

impl CallMachine {
    /// A turn without a sound that came while the agent spoke waits for the agent's end, or is dropped: then there is none
    /// now.
    pub(super) fn hold_unvoiced_turn(&mut self, now: Instant, turn: CallerTurn) -> Option<CallerTurn> {
        match &mut self.mode {
            Mode::Conversing(conversing) => conversing.talk.hold_unvoiced_turn(now, turn),
            Mode::HandingOver(handover) => handover.talk.hold_unvoiced_turn(now, turn),
            Mode::Voicemail(_)
            | Mode::Held(_)
            | Mode::Transferring(_)
            | Mode::Bridged(_)
            | Mode::Ending(_)
            | Mode::Over(_) => Some(turn),
        }
    }
}

impl Talk {
    fn hold_unvoiced_turn(&mut self, now: Instant, turn: CallerTurn) -> Option<CallerTurn> {
        // A realtime model hears the caller by itself.
        if matches!(self.speaker, Speaker::Realtime(_)) || self.is_backchannel(&turn.text, turn.confidence) {
            return Some(turn);
        }
        let is_speaking = self.line.playout.has_begun() && !self.line.playout.is_paused();
        let is_made_up = !turn.is_voiced && is_hallucination(&turn.text);
        let unvoiced = &mut self.line.caller.unvoiced;
        if turn.is_voiced || !is_speaking {
            unvoiced.record(&turn, is_made_up);
            return Some(joined(unvoiced.take(), turn));
        }
        if unvoiced.is_inaudible() || is_stop_command(&turn.text, self.line.facts.spec.stt_language()) {
            return Some(turn);
        }
        let reason = if is_made_up { OverlapReason::Hallucination } else { OverlapReason::NoVoice };
        let at_ms = self.line.ms(now);
        self.line.metrics().interruptions.record(at_ms, reason);
        if reason == OverlapReason::NoVoice {
            self.line.caller.unvoiced.queue(turn);
        }
        None
    }
}
