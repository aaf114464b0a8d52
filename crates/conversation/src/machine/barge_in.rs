//! Barge-in: the media leg has paused playback; here words and time decide whether it stops or resumes.

use super::line::PlayoutState;
use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use crate::dialogue::backchannel::{is_backchannel, is_call_opening, may_be_backchannel};
use crate::dialogue::response::AfterResponse;
use std::time::{Duration, Instant};

/// How long to wait for words after the caller's sound before playback resumes.
const BARGE_IN_DECISION_AFTER: Duration = Duration::from_millis(350);
/// Quiet sound without words for this long is not a barge-in.
const PAUSED_MAX: Duration = Duration::from_millis(2_500);
/// If a barge-in was only noise, the agent resumes after this.
pub(super) const RESUME_AFTER: Duration = Duration::from_millis(1_500);
/// Below this STT confidence a result counts as noise.
const CONFIDENCE_MIN: f32 = 0.35;
/// Speech without any STT result for this long means STT has stalled: the caller is asked to repeat within three seconds.
pub(super) const STT_STALL_TIMEOUT: Duration = Duration::from_millis(2_600);
/// Silence without a final STT result after which the fallback STT is asked, if there is one: well before the interim
/// result has to do.
const STT_FINAL_TIMEOUT: Duration = Duration::from_millis(1_200);

impl Talk {
    /// The caller makes a sound.
    pub(super) fn handle_speech_started(&mut self) {
        self.discard_preemptive_generation();
        self.fillers.handle_sound();
        self.timers.silence = None;
        if !self.line.playout.is_paused() {
            self.timers.resume = None;
        }
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.clear_stt_timers();
        }
    }

    /// The caller is silent since `last_sound`.
    pub(super) fn handle_speech_ended(&mut self, now: Instant, last_sound: Instant) {
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.stt_stall_at = Some(now + STT_STALL_TIMEOUT);
            let fallbacks = self.line.facts.spec.agent.fallbacks.as_ref();
            if fallbacks.is_some_and(|fallbacks| !fallbacks.stt.is_empty()) {
                pipeline.stt_late_at = Some(last_sound + STT_FINAL_TIMEOUT);
            }
        }
        if self.line.playout.is_paused() {
            self.timers.resume = Some(now + BARGE_IN_DECISION_AFTER);
        } else if self.interruption.remainder.is_some() {
            self.timers.resume = Some(now + RESUME_AFTER);
        }
        self.handle_likely_end_of_turn(now);
        if self.tools.has_unread {
            self.timers.tool_result = Some(now + RESUME_AFTER);
        }
    }

    /// STT has sent a final result.
    pub(super) fn handle_final_words(&mut self) {
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.clear_stt_timers();
        }
    }

    /// The caller has said something, which starts anew what counts silence and noise.
    pub(super) fn handle_caller_words(&mut self) {
        self.interruption.remainder = None;
        self.timers.resume = None;
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            (pipeline.stt_stalls, pipeline.stt_stall_at) = (0, None);
        }
    }

    /// Playback was paused because the caller made a sound.
    pub(super) fn handle_paused(&mut self, now: Instant, response_id: u32) {
        let Some(response) = self.line.playout.current(response_id) else { return };
        if response.is_uninterruptible {
            return self.line.output(CallOutput::Resume);
        }
        self.line.metrics().pauses += 1;
        self.line.playout.state = PlayoutState::Paused { response_id };
        self.timers.resume = Some(now + PAUSED_MAX);
        self.evaluate_barge_in(now, false);
    }

    /// Whether a text is only a backchannel, or noise that STT turned into words.
    pub(super) fn is_backchannel(&self, text: &str, confidence: Option<f32>) -> bool {
        let Some(response) = self.line.playout.response.as_ref().filter(|response| response.begun.is_some()) else {
            return false;
        };
        if confidence.is_some_and(|confidence| confidence < CONFIDENCE_MIN) {
            return true;
        }
        let spec = &self.line.facts.spec;
        let (turn, language) = (spec.agent.turn(), spec.stt_language());
        let asked = response.said().trim_end().ends_with('?');
        let greeting = response.is_scripted && self.history.is_empty();
        is_backchannel(text, language, asked, &turn.backchannels) || greeting && is_call_opening(text, language)
    }

    /// STT has recognised something while playback is paused.
    pub(super) fn evaluate_barge_in(&mut self, now: Instant, is_final: bool) {
        let PlayoutState::Paused { response_id } = self.line.playout.state else { return };
        let (text, confidence) = (self.line.caller.end_of_turn.words(), self.line.caller.end_of_turn.confidence());
        // Without words it was played to the end, and the sound was nothing.
        if text.is_empty() || self.is_backchannel(&text, confidence) {
            if is_final && !self.line.caller.end_of_turn.is_speaking() {
                self.timers.resume = Some(now);
            }
            return;
        }
        // Before anything of a response was heard there can be no backchannel.
        let language = self.line.facts.spec.stt_language();
        if self.line.playout.has_begun() && (is_final || !may_be_backchannel(&text, language)) {
            self.line.playout.state = PlayoutState::Running;
            self.timers.resume = None;
            self.line.output(CallOutput::Interrupt { response_id });
        }
    }

    /// Resumes: the caller has said nothing that stops the agent.
    pub(super) fn dismiss_barge_in(&mut self) {
        self.line.metrics().backchannels += 1;
        if self.line.playout.end_pause() {
            self.timers.resume = None;
            self.line.metrics().resumes += 1;
            self.line.output(CallOutput::Resume);
        }
    }

    /// The barge-in came to nothing. True if there was nothing to be resumed, so the caller is due.
    #[must_use]
    pub(super) fn resume_remainder(&mut self, now: Instant) -> bool {
        if self.line.playout.end_pause() {
            self.line.metrics().resumes += 1;
            self.line.output(CallOutput::Resume);
            return false;
        }
        // Words still to be judged end as a turn.
        if !self.line.caller.end_of_turn.words().is_empty() {
            return false;
        }
        let Some(text) = self.interruption.remainder.take().filter(|text| !text.is_empty()) else { return true };
        self.interruption.is_untold = false;
        self.say(now, &text, AfterResponse::AwaitCaller);
        false
    }

    /// The words are a complete sentence and the line is silent: ask STT to finalize, and start preemptive generation.
    pub(super) fn handle_likely_end_of_turn(&mut self, now: Instant) {
        let end_of_turn = &self.line.caller.end_of_turn;
        if matches!(self.speaker, Speaker::Realtime(_)) || !end_of_turn.is_likely_over() {
            return;
        }
        if end_of_turn.is_waiting_for_final() && end_of_turn.is_streaming() {
            self.line.output(CallOutput::FinalizeStt);
        }
        self.start_preemptive_generation(now);
    }

    /// Interim results without final ones: replays the audio to the fallback STT.
    pub(super) fn handle_stt_late(&mut self) {
        let end_of_turn = &self.line.caller.end_of_turn;
        let owed = end_of_turn.is_waiting_for_final() || end_of_turn.is_final_outstanding();
        if owed && !end_of_turn.is_speaking() {
            self.line.metrics().record_provider_error("stt", "late");
            self.line.output(CallOutput::RestartStt);
        }
    }
}
