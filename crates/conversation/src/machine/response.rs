//! Turns and responses: the caller's turn to the LLM, its text to TTS, tools in between.

use super::{CallMachine, CallOutput, CallPhase, CallTimer, FAILURES_MAX, GOODBYE_MAX};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::{Duration, Instant};
use trunkline_domain::chat::ChatMessage;
use trunkline_domain::end_reason::EndReason;
use trunkline_media::playout::queue::SegmentId;
use trunkline_media::turn::end_of_turn;
use trunkline_providers::{LlmEvent, ProviderError};

impl CallMachine {
    pub(super) fn greet(&mut self, now: Instant) {
        if self.start_realtime_greeting(now) {
            return;
        }
        match self.spec.first_message().map(str::to_owned) {
            Some(text) => {
                self.say(now, &text, AfterResponse::AwaitCaller);
                if !self.spec.agent.turn().first_message_interruptible {
                    self.make_uninterruptible();
                }
            }
            None => {
                let hint = "The call has just been answered. Greet the other side and say how you can help.";
                self.request_llm_response(now, Some(hint));
            }
        }
    }

    /// Says a scripted text if nothing else is being said.
    pub(super) fn say(&mut self, now: Instant, text: &str, then: AfterResponse) {
        self.discard_preemptive_generation();
        if self.say_with_realtime(now, text, then) {
            return;
        }
        self.response_id += 1;
        let response_id = self.response_id;
        let (response, segments) = AgentResponse::scripted(response_id, text, then, self.spec.style());
        self.response = Some(response);
        self.timers.clear(CallTimer::Silence);
        if matches!(then, AfterResponse::HangUp(_)) {
            self.timers.set(CallTimer::Goodbye, now + GOODBYE_MAX);
        }
        self.speak(segments);
    }

    /// Says a scripted text in place of the current response.
    pub(super) fn say_instead(&mut self, now: Instant, text: &str, then: AfterResponse) {
        self.cancel_response(now);
        self.say(now, text, then);
    }

    /// Cancels the current response; the heard part stays in the history.
    pub(super) fn cancel_response(&mut self, now: Instant) {
        self.paused_response = None;
        let Some(response) = self.response.take() else { return };
        let response_id = response.response_id;
        self.output(CallOutput::CancelLlm);
        self.output(CallOutput::CancelSpeech { response_id });
        self.truncate_realtime_response(&response, &[]);
        if response.transcript_turn.is_some() && !response.is_filler {
            self.history.push_assistant(&response.said(), Vec::new());
        }
        let at_ms = self.ms(now);
        self.response = Some(response);
        self.record_response(at_ms, true, None);
        self.response = None;
    }

    pub(super) fn speak(&mut self, segments: Vec<(u32, String)>) {
        let response_id = self.response_id;
        for (index, text) in segments {
            self.output(CallOutput::Speak { segment: SegmentId { response_id, index }, text });
        }
    }

    /// The caller has finished a turn.
    pub(super) fn handle_turn(&mut self, now: Instant, turn: end_of_turn::CallerTurn) {
        self.timers.clear(CallTimer::Silence);
        self.timers.clear(CallTimer::Resume);
        self.timers.clear(CallTimer::SttStall);
        self.remainder = None;
        if self.voicemail.is_some() || self.is_transferring() {
            // An announcement needs no answer.
            self.record_user(&turn);
            return self.history.push_user(&turn.text);
        }
        if self.realtime.is_some() {
            return self.send_to_realtime(&turn);
        }
        if self.is_backchannel(&turn.text, turn.confidence) {
            // A backchannel is recorded but interrupts nothing.
            self.record_user(&turn);
            return self.dismiss_barge_in();
        }
        if let Some(response) = &self.response {
            let (response_id, heard) = (response.response_id, response.transcript_turn.is_some());
            if response.is_uninterruptible {
                return self.queue_turn(turn);
            }
            if response.is_scripted && !heard {
                // "Hello?" before our greeting is audible: the greeting answers it.
                self.record_user(&turn);
                self.history.push_user(&turn.text);
                return;
            }
            self.output(CallOutput::CancelLlm);
            self.output(CallOutput::CancelSpeech { response_id });
            if heard {
                // The history first needs the heard part of the response: wait for the report.
                return self.queue_turn(turn);
            }
            self.response = None;
        }
        self.answer_turn(now, &turn);
    }

    fn answer_turn(&mut self, now: Instant, turn: &end_of_turn::CallerTurn) {
        self.record_user(turn);
        if std::mem::take(&mut self.was_interrupted) {
            self.history.push_interruption_note();
        }
        self.history.push_user(&turn.text);
        self.tool_rounds = 0;
        self.last_turn = Some(turn.ended);
        let (ended_ms, now_ms) = (self.ms(turn.ended), self.ms(now));
        let final_ms = turn.final_at.map(|at| self.ms(at));
        if self.adopt_preemptive_generation(now, turn) {
            return;
        }
        self.metrics.record_turn(self.response_id + 1, ended_ms, final_ms, now_ms);
        self.request_llm_response(now, None);
    }

    /// Queues a turn until the current response has ended or was cut.
    fn queue_turn(&mut self, turn: end_of_turn::CallerTurn) {
        self.waiting_turn = Some(match self.waiting_turn.take() {
            Some(first) => end_of_turn::CallerTurn { text: format!("{} {}", first.text, turn.text), ..turn },
            None => turn,
        });
    }

    /// Requests an LLM response to everything said so far.
    pub(super) fn request_llm_response(&mut self, now: Instant, hint: Option<&str>) {
        if self.request_realtime_response(now, hint) {
            return;
        }
        self.discard_preemptive_generation();
        self.response_id += 1;
        let response_id = self.response_id;
        self.response = Some(AgentResponse::from_model(response_id, self.spec.style()));
        self.arm_filler(now);
        let mut messages = self.history.messages();
        messages.extend(hint.map(|hint| ChatMessage::System(hint.to_owned())));
        self.tools.mark_read();
        self.output(CallOutput::RequestLlm { response_id, messages, tools: self.available_tools() });
    }

    /// Handles an event of an LLM request; events of earlier responses are ignored.
    pub fn handle_llm_event(&mut self, now: Instant, response_id: u32, event: LlmEvent) {
        let at_ms = self.ms(now);
        if self.handle_preemptive_llm_event(now, response_id, &event) {
            return;
        }
        let Some(response) = self.response.as_mut().filter(|response| response.response_id == response_id) else {
            return;
        };
        match event {
            LlmEvent::Text(text) => {
                let segments = response.text(&text);
                if !segments.is_empty() {
                    self.timers.clear(CallTimer::Filler);
                    self.metrics.record_first_segment(response_id, at_ms);
                }
                self.metrics.record_first_token(response_id, at_ms);
                self.llm_failures = 0;
                self.speak(segments);
            }
            LlmEvent::ToolCalls(calls) => response.tool_calls = calls,
            LlmEvent::FailedOver(switch) => {
                if switch.reason != "slow" {
                    self.metrics.record_provider_error("llm", switch.reason);
                }
                self.record_failover(now, &switch);
            }
            LlmEvent::Done(usage) => {
                let last = response.finish();
                self.metrics.record_token_usage(response_id, &usage);
                self.speak(last.into_iter().collect());
                self.handle_llm_done(now);
            }
            LlmEvent::Failed(failure) => self.handle_llm_failed(now, &failure),
        }
    }

    pub(super) fn handle_llm_done(&mut self, now: Instant) {
        let Some(response) = &mut self.response else { return };
        if response.has_words() {
            self.llm_failures = 0;
            return self.advance(now);
        }
        if response.tool_calls.is_empty() {
            return self.handle_llm_failed(now, &ProviderError::InvalidResponse("empty answer".to_owned()));
        }
        self.llm_failures = 0;
        self.advance(now);
    }

    fn handle_llm_failed(&mut self, now: Instant, failure: &ProviderError) {
        tracing::warn!(error = %failure, "LLM failed");
        self.metrics.record_provider_error("llm", failure.kind());
        let Some(response) = &mut self.response else { return };
        response.tool_calls.clear();
        if response.has_words() {
            // Part of a response was spoken already: it ends there.
            let last = response.finish();
            self.speak(last.into_iter().collect());
            return self.advance(now);
        }
        self.response = None;
        self.llm_failures += 1;
        if self.llm_failures >= FAILURES_MAX || *failure == ProviderError::NotConfigured {
            return self.end_with_apology(now);
        }
        let text = self.phrases.repeat;
        self.say(now, text, AfterResponse::AwaitCaller);
    }

    /// Records that the first audio of a segment has arrived, for the figures of the turn.
    pub fn handle_tts_audio(&mut self, now: Instant, segment: SegmentId) {
        let at_ms = self.ms(now);
        self.metrics.record_first_audio(segment.response_id, at_ms);
    }

    /// TTS has finished a segment of this many samples.
    pub fn handle_tts_done(&mut self, segment: SegmentId, samples: u64) {
        if let Some(response) = self.response.as_mut().filter(|response| response.response_id == segment.response_id) {
            response.record_tts_done(segment.index, samples);
        }
    }

    /// TTS reports the positions of a segment's words: samples, and characters spoken by then.
    pub fn handle_tts_word_timestamps(&mut self, segment: SegmentId, marks: &[(u64, u32)]) {
        if let Some(response) = self.response.as_mut().filter(|response| response.response_id == segment.response_id) {
            response.add_word_timestamps(segment.index, marks);
        }
    }

    /// Neither the agent's TTS nor the local one could speak the segment.
    pub fn handle_tts_failed(&mut self, now: Instant, segment: SegmentId, failure: &ProviderError) {
        self.metrics.record_provider_error("tts", failure.kind());
        if let Some(response) = self.response.as_mut().filter(|response| response.response_id == segment.response_id) {
            response.record_tts_failed(segment.index);
            self.advance(now);
        }
    }

    /// Records text that was sent to TTS.
    pub fn record_tts_request(&mut self, voice: &str, characters: u64) {
        self.metrics.record_spoken_characters(voice, characters);
    }

    /// Records a TTS failure; a failover is recorded separately.
    pub fn record_tts_failure(&mut self, failure: &ProviderError) {
        self.metrics.record_provider_error("tts", failure.kind());
    }

    /// Goes on when everything of the reply was heard.
    pub(super) fn advance(&mut self, now: Instant) {
        let Some(response) = self.response.take_if(|response| response.is_over()) else { return };
        self.paused_response = None;
        self.timers.clear(CallTimer::Filler);
        if let CallPhase::Ending { reason, .. } = self.phase {
            return self.finish(now, reason);
        }
        if response.was_silent() {
            self.tts_failures += 1;
            if self.tts_failures >= FAILURES_MAX {
                return self.handle_command(now, EndReason::ProviderError);
            }
        }
        let said = response.said();
        let calls = response.tool_calls.clone();
        if !response.is_filler {
            self.history.push_assistant(&said, calls.clone());
        }
        match response.after {
            AfterResponse::HangUp(reason) => self.handle_command(now, reason),
            AfterResponse::Transfer => self.start_transfer(now),
            AfterResponse::AwaitCaller => {
                self.timers.clear(CallTimer::Goodbye);
                // A realtime model that broke off: its last audio was heard to the end before playback was flushed.
                if self.continue_response_with_llm(now) {
                    return;
                }
                if !calls.is_empty() {
                    return self.run_tools(now, &calls, !said.is_empty());
                }
                if let Some(turn) = self.waiting_turn.take() {
                    return self.answer_turn(now, &turn);
                }
                self.arm_silence(now);
                self.request_response_to_results(now);
            }
        }
    }

    /// After a response was truncated: `rest` is the part that was not heard.
    pub(super) fn handle_response_truncated(&mut self, now: Instant, then: AfterResponse, rest: Option<String>) {
        if let CallPhase::Ending { reason, until } = self.phase {
            // The final transcript of a caller who hung up may still come; without pending words the call is over.
            if until.saturating_duration_since(now) <= Duration::from_millis(100)
                || self.end_of_turn.words().is_empty() && !self.end_of_turn.is_speaking()
            {
                self.finish(now, reason);
            }
            return;
        }
        self.timers.clear(CallTimer::Goodbye);
        match then {
            AfterResponse::HangUp(reason @ (EndReason::MaxDuration | EndReason::ProviderError)) => {
                return self.handle_command(now, reason);
            }
            AfterResponse::Transfer => return self.start_transfer(now),
            // A caller who speaks during the goodbye wants to continue.
            AfterResponse::HangUp(_) | AfterResponse::AwaitCaller => {}
        }
        if let Some(turn) = self.waiting_turn.take() {
            return self.answer_turn(now, &turn);
        }
        if self.continue_response_with_llm(now) {
            return;
        }
        // A realtime model that cannot say given texts continues by itself, or not at all.
        let resumable = self.realtime.as_ref().is_none_or(super::realtime::RealtimeState::can_say);
        self.remainder = rest.filter(|rest| !rest.is_empty() && resumable);
        if self.end_of_turn.is_speaking() {
            return;
        }
        if self.remainder.is_some() {
            self.timers.set(CallTimer::Resume, now + super::RESUME_AFTER);
        } else {
            self.arm_silence(now);
            self.request_response_to_results(now);
        }
    }

    /// A required provider failed: says so and ends the call.
    pub(super) fn end_with_apology(&mut self, now: Instant) {
        if !self.is_talking() {
            return;
        }
        let ending = self.response.as_ref().is_some_and(|response| matches!(response.after, AfterResponse::HangUp(_)));
        if !ending {
            let text = self.phrases.give_up;
            self.say_instead(now, text, AfterResponse::HangUp(EndReason::ProviderError));
        }
    }

    /// Interim results without final ones: replays the audio to the fallback STT.
    pub(super) fn handle_stt_late(&mut self) {
        let owed = self.end_of_turn.is_waiting_for_final() || self.end_of_turn.is_final_outstanding();
        if self.is_talking() && owed && !self.end_of_turn.is_speaking() {
            self.metrics.record_provider_error("stt", "late");
            self.output(CallOutput::RestartStt);
        }
    }

    pub(super) fn handle_stt_stalled(&mut self, now: Instant) {
        if self.response.is_some() || !self.is_talking() || self.voicemail.is_some() || self.is_transferring() {
            return;
        }
        self.stt_stalls += 1;
        self.metrics.record_provider_error("stt", "stalled");
        if self.stt_stalls > FAILURES_MAX {
            return self.end_with_apology(now);
        }
        self.output(CallOutput::RestartStt);
        let text = self.phrases.repeat;
        self.say(now, text, AfterResponse::AwaitCaller);
    }
}
