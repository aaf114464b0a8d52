//! Barge-in: the media leg has paused playback; here words and time decide whether it stops or resumes.

use super::{CallMachine, CallOutput, CallTimer};
use crate::dialogue::backchannel::{is_backchannel, is_call_opening, is_echo_of, may_be_backchannel};
use std::time::{Duration, Instant};
use trunkline_providers::SttEvent;

/// How long to wait for words after the caller's sound before playback resumes.
pub(super) const BARGE_IN_DECISION_AFTER: Duration = Duration::from_millis(350);
/// Quiet sound without words for this long is not a barge-in.
const PAUSED_MAX: Duration = Duration::from_millis(2_500);
/// Below this STT confidence a result counts as noise.
const CONFIDENCE_MIN: f32 = 0.35;
/// If the caller speaks again within this time, the turn had not ended.
const CONTINUATION_WINDOW: Duration = Duration::from_millis(1_500);

impl CallMachine {
    /// Playback was paused because the caller made a sound.
    pub fn handle_paused(&mut self, now: Instant, response_id: u32) {
        let present = self.response.as_ref().filter(|response| response.response_id == response_id);
        let Some(response) = present.filter(|_| self.is_talking()) else { return };
        if response.is_uninterruptible {
            return self.output(CallOutput::Resume);
        }
        self.metrics.pauses += 1;
        self.paused_response = Some(response_id);
        self.timers.set(CallTimer::Resume, now + PAUSED_MAX);
        self.evaluate_barge_in(now, false);
    }

    /// The line echoes the agent's voice.
    pub fn handle_echo(&mut self) {
        self.has_echo = true;
    }

    /// Removes words that are an echo of the agent.
    pub(super) fn remove_echo(&self, event: SttEvent) -> SttEvent {
        let said = match &self.response {
            Some(response) if self.has_echo => response.said(),
            _ => return event,
        };
        match event {
            SttEvent::Interim(text) if is_echo_of(&text, &said) => SttEvent::Interim(String::new()),
            SttEvent::Final { text, confidence, speech_final } if is_echo_of(&text, &said) => {
                SttEvent::Final { text: String::new(), confidence, speech_final }
            }
            event => event,
        }
    }

    /// Whether a text is only a backchannel, or noise that STT turned into words.
    pub(super) fn is_backchannel(&self, text: &str, confidence: Option<f32>) -> bool {
        let Some(response) = self.response.as_ref().filter(|response| response.transcript_turn.is_some()) else {
            return false;
        };
        if confidence.is_some_and(|confidence| confidence < CONFIDENCE_MIN) {
            return true;
        }
        let turn = self.spec.agent.turn();
        let language = self.spec.stt_language();
        let asked = response.said().trim_end().ends_with('?');
        let greeting = response.is_scripted && self.history.is_empty();
        is_backchannel(text, language, asked, &turn.backchannels) || greeting && is_call_opening(text, language)
    }

    /// STT has recognised something while playback is paused.
    pub(super) fn evaluate_barge_in(&mut self, now: Instant, is_final: bool) {
        let (Some(response_id), text) = (self.paused_response, self.end_of_turn.words()) else { return };
        if text.is_empty() {
            // It was played to the end, and the sound was nothing.
            if is_final && !self.end_of_turn.is_speaking() {
                self.timers.set(CallTimer::Resume, now);
            }
            return;
        }
        // Before anything of a response was heard there can be no backchannel.
        let begun = self.response.as_ref().is_some_and(|response| response.transcript_turn.is_some());
        if self.is_backchannel(&text, self.end_of_turn.confidence()) {
            if is_final && !self.end_of_turn.is_speaking() {
                self.timers.set(CallTimer::Resume, now);
            }
        } else if begun && (is_final || !may_be_backchannel(&text, self.spec.stt_language())) {
            self.paused_response = None;
            self.timers.clear(CallTimer::Resume);
            self.output(CallOutput::Interrupt { response_id });
        }
    }

    /// Resumes: the caller has said nothing that stops the agent.
    pub(super) fn dismiss_barge_in(&mut self) {
        self.metrics.backchannels += 1;
        if self.paused_response.take().is_some() {
            self.timers.clear(CallTimer::Resume);
            self.metrics.resumes += 1;
            self.output(CallOutput::Resume);
        }
    }

    /// The barge-in came to nothing.
    pub(super) fn resume_remainder(&mut self, now: Instant) {
        if self.paused_response.take().is_some() {
            self.metrics.resumes += 1;
            return self.output(CallOutput::Resume);
        }
        // Words still to be judged end as a turn.
        if !self.end_of_turn.words().is_empty() {
            return;
        }
        if let Some(text) = self.remainder.take().filter(|text| !text.is_empty()) {
            self.was_interrupted = false;
            self.say(now, &text, crate::dialogue::response::AfterResponse::AwaitCaller);
        } else {
            self.arm_silence(now);
        }
    }

    /// Makes the current response uninterruptible.
    pub(super) fn make_uninterruptible(&mut self) {
        if let Some(response) = &mut self.response {
            response.is_uninterruptible = true;
            let response_id = response.response_id;
            // Before its first segment.
            self.outputs.push_front(CallOutput::MakeUninterruptible { response_id });
        }
    }

    /// The caller speaks: a turn considered finished may not have been.
    pub(super) fn handle_caller_continues(&mut self, at: Instant) {
        self.discard_preemptive_generation();
        let unheard = self.response.as_ref().is_none_or(|response| response.transcript_turn.is_none());
        if let Some(ended) = self.last_turn.take()
            && unheard
            && at.saturating_duration_since(ended) <= CONTINUATION_WINDOW
        {
            self.metrics.premature_ends_of_turn += 1;
            self.end_of_turn.record_cut_off(at.saturating_duration_since(ended));
        }
    }

    /// The words are a complete sentence and the line is silent: ask STT to finalize, and start preemptive generation.
    pub(super) fn handle_likely_end_of_turn(&mut self, now: Instant) {
        if self.realtime.is_some() || !self.is_talking() || !self.end_of_turn.is_likely_over() {
            return;
        }
        if self.end_of_turn.is_waiting_for_final() && self.end_of_turn.is_streaming() {
            self.output(CallOutput::FinalizeStt);
        }
        self.start_preemptive_generation(now);
    }
}
