//! Barge-in: the media leg has paused playback; here words and time decide whether it stops or resumes.

use super::interruption_counts::OverlapReason;
use super::line::PlayoutState;
use super::output::CallOutput;
use super::talk::{Speaker, Talk};
use crate::dialogue::backchannel::{is_backchannel, is_call_opening, may_be_backchannel};
use crate::dialogue::interruption::is_stop_command;
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::{Duration, Instant};
use trunkline_media::turn::overlap::OverlapSource;

/// How long to wait for words after the caller's sound before playback resumes.
const BARGE_IN_DECISION_AFTER: Duration = Duration::from_millis(350);
/// Quiet sound without words for this long is not a barge-in.
const PAUSED_MAX: Duration = Duration::from_millis(2_500);
/// If a barge-in was only noise, the agent resumes after this.
pub(super) const RESUME_AFTER: Duration = Duration::from_millis(1_500);
/// Below this STT confidence a result counts as noise.
const CONFIDENCE_MIN: f32 = 0.35;
/// Silence after a sound without any STT result for this long means STT has stalled: the caller hears that within three seconds.
pub(super) const STT_STALL_TIMEOUT: Duration = Duration::from_millis(2_400);
/// Silence without a final STT result after which the fallback STT is asked, if there is one: well before the interim
/// result has to do.
const STT_FINAL_TIMEOUT: Duration = Duration::from_millis(1_200);

impl Talk {
    /// The caller makes a sound.
    pub(super) fn handle_speech_started(&mut self, at: Instant) {
        self.discard_preemptive_generation();
        self.fillers.handle_sound();
        self.timers.silence = None;
        self.timers.unclear = None;
        if !self.line.playout.is_paused() {
            self.timers.resume = None;
        }
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.clear_stt_timers();
            pipeline.speech_since = Some(at);
        }
    }

    /// The caller is silent since `last_sound`.
    pub(super) fn handle_speech_ended(&mut self, now: Instant, last_sound: Instant) {
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            pipeline.stt_stall_at = Some((last_sound + STT_STALL_TIMEOUT).max(now));
            let since = pipeline.speech_since.take().unwrap_or(last_sound);
            pipeline.last_speech = last_sound.saturating_duration_since(since);
            let fallbacks = self.line.facts.spec.agent.fallbacks.as_ref();
            if fallbacks.is_some_and(|fallbacks| !fallbacks.stt.is_empty()) {
                pipeline.stt_late_at = Some(last_sound + STT_FINAL_TIMEOUT);
            }
        }
        if self.line.playout.is_paused() {
            let end_of_turn = &self.line.caller.end_of_turn;
            let is_known = self.is_backchannel(&end_of_turn.words(), end_of_turn.confidence());
            self.timers.resume = Some(if is_known { now } else { now + BARGE_IN_DECISION_AFTER });
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
    pub(super) fn handle_caller_words(&mut self, now: Instant) {
        self.interruption.remainder = None;
        self.clear_resume(now);
        if let Speaker::Pipeline(pipeline) = &mut self.speaker {
            (pipeline.stt_stalls, pipeline.stt_stall_at) = (0, None);
        }
    }

    /// What waits for the caller's words needs not wait: there are none but those of the turn that was taken.
    pub(super) fn handle_no_new_words(&mut self, now: Instant) {
        let waits = self.line.playout.is_paused() || self.interruption.remainder.is_some();
        if waits && !self.line.caller.end_of_turn.is_speaking() {
            self.timers.resume = Some(now);
        }
        self.answer_whole_turn(now);
    }

    /// Words decide now what becomes of the agent's speech. If they do not, playback goes on: it is never paused for good.
    pub(super) fn clear_resume(&mut self, now: Instant) {
        self.timers.resume = self.line.playout.is_paused().then(|| now + PAUSED_MAX);
    }

    /// Playback was paused because the caller made a sound.
    pub(super) fn handle_paused(&mut self, now: Instant, response_id: u32) {
        let Some(response) = self.line.playout.current(response_id) else { return };
        if response.is_uninterruptible {
            return self.line.output(CallOutput::Resume);
        }
        self.line.metrics().interruptions.held += 1;
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
        let (text, confidence) = (self.line.caller.end_of_turn.words(), self.line.caller.end_of_turn.confidence());
        self.judge_cut_off(&text, confidence, is_final);
        let Some((response_id, is_held)) = self.interruptible() else { return };
        // Without words it was played to the end, and the sound was nothing.
        let is_backchannel = self.is_backchannel(&text, confidence);
        if text.is_empty() || is_backchannel {
            let is_settled = is_final || is_backchannel;
            if is_held && is_settled && !self.line.caller.end_of_turn.is_speaking() {
                self.timers.resume = Some(now);
            }
            return;
        }
        let language = self.line.facts.spec.stt_language();
        let is_command = is_stop_command(&text, language);
        // Over an agent who was not held, or goes on already, only the caller's own words count.
        let caller = &self.line.caller;
        let is_heard = caller.overlap == Some(OverlapSource::Caller) && caller.end_of_turn.has_voiced_words();
        let is_callers = is_held || is_command || is_heard;
        if is_callers && (is_command || !self.may_be_backchannel(&text, is_final)) {
            let reason = if is_command { OverlapReason::Command } else { OverlapReason::Words };
            let at_ms = self.line.ms(now);
            self.line.metrics().interruptions.record(at_ms, reason);
            self.line.playout.state = PlayoutState::Running;
            self.timers.resume = None;
            self.line.output(CallOutput::Interrupt { response_id });
        }
    }

    /// The response that words may interrupt, and whether it is held. Before anything of it was heard there is none.
    fn interruptible(&self) -> Option<(u32, bool)> {
        let playout = &self.line.playout;
        let response = playout.response.as_ref().filter(|response| response.begun.is_some());
        match playout.state {
            PlayoutState::Paused { response_id } => Some((response_id, true)).filter(|_| response.is_some()),
            PlayoutState::Running => {
                let is_open = |response: &&AgentResponse| !response.is_uninterruptible;
                let may_be = self.line.facts.spec.agent.turn().barge_in;
                response.filter(is_open).filter(|_| may_be).map(|response| (response.response_id, false))
            }
        }
    }

    /// Whether words may still become a backchannel. Final ones may too if they are a part of one: "I" of "I see".
    fn may_be_backchannel(&self, text: &str, is_final: bool) -> bool {
        let language = self.line.facts.spec.stt_language();
        may_be_backchannel(text, language) && (!is_final || !is_backchannel(text, language, false, &[]))
    }

    /// Whether the caller, who spoke into the agent's first words, went on with the last turn.
    fn judge_cut_off(&mut self, text: &str, confidence: Option<f32>, is_final: bool) {
        if self.line.caller.possible_cut_off.is_none() || text.is_empty() || self.is_backchannel(text, confidence) {
            return;
        }
        if is_final || !may_be_backchannel(text, self.line.facts.spec.stt_language()) {
            self.line.confirm_cut_off();
        }
    }

    /// Resumes: the caller has said nothing that stops the agent.
    pub(super) fn dismiss_barge_in(&mut self, now: Instant) {
        self.line.metrics().interruptions.backchannels += 1;
        self.dismiss_pause(now);
    }

    /// The caller's words do not concern what is about to be said: it goes on if it was held.
    pub(super) fn dismiss_pause(&mut self, now: Instant) {
        if self.line.playout.end_pause() {
            self.timers.resume = None;
            self.resume_playback(now, OverlapReason::Backchannel);
        }
    }

    fn resume_playback(&mut self, now: Instant, reason: OverlapReason) {
        let at_ms = self.line.ms(now);
        let counts = &mut self.line.metrics().interruptions;
        counts.resumed += 1;
        counts.record(at_ms, reason);
        self.line.output(CallOutput::Resume);
    }

    /// The barge-in came to nothing. True if there was nothing to be resumed, so the caller is due.
    #[must_use]
    pub(super) fn resume_remainder(&mut self, now: Instant) -> bool {
        if self.line.playout.end_pause() {
            let has_words = !self.line.caller.end_of_turn.words().is_empty();
            let reason = if has_words { OverlapReason::Backchannel } else { OverlapReason::NoWords };
            self.resume_playback(now, reason);
            return false;
        }
        // Words still to be judged end as a turn.
        if !self.line.caller.end_of_turn.words().is_empty() {
            return false;
        }
        let Some(text) = self.interruption.remainder.take().filter(|text| !text.is_empty()) else { return true };
        self.interruption.is_untold = false;
        self.say_by(now, &text, AfterResponse::AwaitCaller, self.interruption.said_by);
        false
    }

    /// The turn may be over and the line is silent: asks STT to finalize, and starts preemptive generation. Neither
    /// decides anything.
    pub(super) fn handle_likely_end_of_turn(&mut self, now: Instant) {
        if matches!(self.speaker, Speaker::Realtime(_)) {
            return;
        }
        let end_of_turn = &mut self.line.caller.end_of_turn;
        if end_of_turn.wants_final() {
            end_of_turn.handle_finalize_asked(now);
            self.line.output(CallOutput::FinalizeStt);
        }
        let is_free = self.line.facts.spec.agent.answers_by_rules();
        let end_of_turn = &self.line.caller.end_of_turn;
        if end_of_turn.is_likely_over() || (is_free && end_of_turn.may_be_over()) {
            self.start_preemptive_generation(now);
        }
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
