//! Turns and responses: the caller's turn to the LLM, and the LLM's text to TTS.

use super::interruption_counts::OverlapReason;
use super::line::AnsweredTurn;
use super::output::CallOutput;
use super::talk::{FAILURES_MAX, Speaker, Talk};
use crate::dialogue::response::{AfterResponse, AgentResponse};
use std::time::Instant;
use trunkline_domain::chat::CONTINUE_PROMPT;
use trunkline_domain::fallback::Fallbacks;
use trunkline_media::turn::end_of_turn::CallerTurn;
use trunkline_media::turn::is_question;
use trunkline_media::turn::taken_words::TurnCorrection;
use trunkline_providers::{LlmEvent, ProviderError};

impl Talk {
    /// A turn of the caller for the LLM; true when a response may be over by that.
    #[must_use]
    pub(super) fn handle_turn(&mut self, now: Instant, turn: CallerTurn) -> bool {
        if self.is_backchannel(&turn.text, turn.confidence) {
            // A backchannel is recorded but interrupts nothing.
            self.line.record_user(&turn);
            self.dismiss_barge_in(now);
            return false;
        }
        if let Some(response) = &self.line.playout.response {
            let (response_id, heard) = (response.response_id, response.begun.is_some());
            if response.is_uninterruptible {
                self.line.caller.queue_turn(turn);
                return false;
            }
            if response.is_scripted && !response.is_filler && !heard && self.is_due_all_the_same(response) {
                self.note_turn(&turn);
                self.dismiss_pause(now);
                return false;
            }
            self.line.output(CallOutput::CancelLlm);
            self.line.output(CallOutput::CancelSpeech { response_id });
            if heard {
                let at_ms = self.line.ms(now);
                self.line.metrics().interruptions.record(at_ms, OverlapReason::Turn);
                // The history first needs the heard part of the response: wait for the report.
                self.line.caller.queue_turn(turn);
                return false;
            }
            let unheard = self.line.playout.response.take();
            self.line.playout.end_pause();
            let calls = unheard.map(|response| response.tool_calls).unwrap_or_default();
            self.settle_cut_tools(now, "", &calls);
        }
        self.answer_turn(now, &turn)
    }

    /// Whether a scripted text that waits for its sound is said although the caller has spoken: "Hello?" before our
    /// greeting is audible is answered by the greeting. Whoever was asked "are you still there?", or was bid farewell, and
    /// speaks before it is heard, is answered.
    fn is_due_all_the_same(&self, response: &AgentResponse) -> bool {
        match response.after {
            AfterResponse::AwaitCaller => !self.history.has_agent_words(),
            AfterResponse::HangUp(_) => response.after.is_final(),
            AfterResponse::Transfer | AfterResponse::HandOver => true,
        }
    }

    /// STT sends more of the sound of a turn that is being answered: the answer is to half a turn, and nothing of it is heard.
    pub(super) fn take_half_answer_back(&mut self, now: Instant) {
        let caller = &self.line.caller;
        let is_due = caller.end_of_turn.goes_on_with_last_turn() && caller.waiting_turn.is_none();
        let is_unheard = |response: &mut AgentResponse| {
            response.begun.is_none() && !response.is_scripted && !response.is_uninterruptible
        };
        if !is_due || self.tools.is_waiting() || !matches!(self.speaker, Speaker::Pipeline(_)) {
            return;
        }
        let Some(response) = self.line.playout.response.take_if(is_unheard) else { return };
        self.line.playout.end_pause();
        self.timers.filler = None;
        self.line.output(CallOutput::CancelLlm);
        self.line.output(CallOutput::CancelSpeech { response_id: response.response_id });
        self.settle_cut_tools(now, "", &response.tool_calls);
        self.line.metrics().premature_ends_of_turn += 1;
        self.line.caller.has_half_turn = true;
    }

    /// The words for which an answer was taken back were none in the end: the turn was whole, and is answered.
    pub(super) fn answer_whole_turn(&mut self, now: Instant) {
        let caller = &self.line.caller;
        let is_due = caller.has_half_turn && caller.is_quiet() && caller.waiting_turn.is_none();
        if is_due && self.line.playout.response.is_none() && self.history.ends_with_user() {
            self.line.caller.has_half_turn = false;
            self.request_response(now, None);
        }
    }

    /// The caller's words for transcript and history. Those that STT has sent late complete the turn that nobody has answered.
    fn note_answered_turn(&mut self, turn: &CallerTurn) {
        let half = std::mem::take(&mut self.line.caller.has_half_turn);
        if let Some(was) = self.history.last_user().filter(|_| half).map(str::to_owned) {
            let correction = TurnCorrection { is: format!("{was} {}", turn.text), was };
            if self.line.correct_user(&correction) {
                return self.history.replace_user(&correction.was, &correction.is);
            }
        }
        self.line.record_user(turn);
        if std::mem::take(&mut self.interruption.is_untold) {
            self.history.push_interruption_note();
        }
        self.history.push_user(&turn.text);
    }

    /// Answers a turn; true when a preemptive answer may be over by that.
    #[must_use]
    pub(super) fn answer_turn(&mut self, now: Instant, turn: &CallerTurn) -> bool {
        self.speak_due_language(now);
        self.note_answered_turn(turn);
        self.tools.start_over();
        self.fillers.start_over(now, turn.ended);
        self.fillers.note_turn(turn);
        self.line.caller.last_turn = Some(AnsweredTurn { ended: turn.ended, decided: now });
        self.line.caller.possible_cut_off = None;
        if let Some(ahead) = self.take_preemptive_generation(turn) {
            return self.adopt_preemptive_generation(now, turn, ahead);
        }
        let (ended_ms, now_ms) = (self.line.ms(turn.ended), self.line.ms(now));
        let final_ms = turn.final_at.map(|at| self.line.ms(at));
        let response_id = self.line.playout.last_id + 1;
        let decision = self.line.decision_record(turn);
        self.line.metrics().record_turn(response_id, ended_ms, final_ms, now_ms);
        self.line.metrics().record_decision(response_id, decision);
        self.request_response(now, None);
        false
    }

    /// An event of an LLM request; events of earlier responses are ignored. True when the response may be over by that.
    #[must_use]
    pub(super) fn handle_llm_event(&mut self, now: Instant, request_id: u32, event: LlmEvent) -> bool {
        let at_ms = self.line.ms(now);
        if self.handle_preemptive_llm_event(now, request_id, &event) {
            return false;
        }
        let response = self.line.playout.response.as_mut();
        let Some(response) = response.filter(|response| response.request_id == request_id) else { return false };
        let response_id = response.response_id;
        match event {
            LlmEvent::Text(text) => {
                let segments = response.text(&text);
                self.line.metrics().record_first_token(response_id, at_ms);
                self.llm_failures = 0;
                self.speak_segments(response_id, at_ms, segments);
                false
            }
            LlmEvent::Stalled(_) | LlmEvent::ToolCallBegan => {
                let segment = match event {
                    LlmEvent::Stalled(stall) => response.end_sentence(stall),
                    _ => response.flush(),
                };
                self.speak_segments(response_id, at_ms, segment.into_iter().collect());
                false
            }
            LlmEvent::Retracted => {
                self.retract_response(now);
                false
            }
            LlmEvent::Cut => {
                response.cut();
                tracing::warn!("an answer was cut at its most tokens (max_tokens)");
                self.line.metrics().record_provider_error("llm", "cut");
                false
            }
            LlmEvent::ToolCalls(mut calls) => {
                // Before anything refers to them: a tool that starts at once is the same call when its turn comes.
                self.tools.ids.make_unique(&mut calls, response_id);
                response.tool_calls.clone_from(&calls);
                self.start_tools_at_once(&calls);
                false
            }
            LlmEvent::FailedOver(switch) => {
                if switch.reason != "slow" {
                    self.line.metrics().record_provider_error("llm", switch.reason);
                }
                self.line.record_failover(now, &switch);
                false
            }
            LlmEvent::Done(usage) => {
                let last = response.finish();
                self.line.metrics().record_token_usage(response_id, &usage);
                self.line.speak(last.into_iter().collect());
                self.handle_llm_done(now)
            }
            LlmEvent::Failed(failure) => self.handle_llm_failed(now, &failure),
        }
    }

    /// Segments of an answer go to the voice: there is nothing to fill any more.
    fn speak_segments(&mut self, response_id: u32, at_ms: u64, segments: Vec<(u32, String)>) {
        if !segments.is_empty() {
            self.timers.filler = None;
            self.line.metrics().record_first_segment(response_id, at_ms);
        }
        self.line.speak(segments);
    }

    /// The LLM's text is complete; true when the response may be over by that. Nothing is an answer too, and the caller
    /// has the next word, unless the caller has asked something.
    #[must_use]
    pub(super) fn handle_llm_done(&mut self, now: Instant) -> bool {
        self.llm_failures = 0;
        let Some(response) = &self.line.playout.response else { return false };
        let is_empty = !response.has_words() && response.tool_calls.is_empty();
        let language = self.line.facts.spec.stt_language();
        let is_owed = is_empty && self.history.last_user().is_some_and(|words| is_question(words, language));
        if is_owed {
            // The model was asked a second time by then.
            self.drop_response(now);
            self.ask_to_repeat(now);
        }
        !is_owed
    }

    /// What the model said so far was no answer: nothing more of it is heard, and its answer follows as another response.
    fn retract_response(&mut self, now: Instant) {
        let Some(thoughts) = self.drop_response(now) else { return };
        let response_id = thoughts.response_id;
        let answer_id = self.line.playout.next_id();
        let answer = thoughts.begun_anew(answer_id);
        self.line.metrics().continue_turn(response_id, answer_id);
        self.line.playout.response = Some(answer);
    }

    /// Nothing more of the response is heard. What was heard of it stays in the transcript alone.
    fn drop_response(&mut self, now: Instant) -> Option<AgentResponse> {
        let response = self.line.playout.response.take()?;
        self.line.playout.end_pause();
        self.line.output(CallOutput::CancelSpeech { response_id: response.response_id });
        let is_cut = response.unfinished().is_some();
        self.line.record_response(&response, self.line.ms(now), is_cut, response.said());
        Some(response)
    }

    fn handle_llm_failed(&mut self, now: Instant, failure: &ProviderError) -> bool {
        tracing::warn!(error = %failure, "LLM failed");
        self.line.metrics().record_provider_error("llm", failure.kind());
        let Some(response) = &mut self.line.playout.response else { return false };
        let calls = std::mem::take(&mut response.tool_calls);
        let last = response.finish();
        if response.has_words() {
            // The words that came are said. Where they are no answer, the caller is asked once they are heard.
            let apology = response.lacks_end().then(|| response.add_phrase(self.line.facts.phrases.repeat)).flatten();
            self.line.speak(last.into_iter().chain(apology).collect());
            self.settle_cut_tools(now, "", &calls);
            return true;
        }
        self.line.playout.response = None;
        self.settle_cut_tools(now, "", &calls);
        self.llm_failures += 1;
        // An agent that takes no messages goes on: the model is asked again at each turn.
        let takes_messages = self.line.facts.spec.agent.fallbacks.as_ref().is_none_or(Fallbacks::takes_messages);
        let has_failed = self.llm_failures >= FAILURES_MAX && takes_messages;
        if has_failed || *failure == ProviderError::NotConfigured {
            self.end_with_apology(now);
        } else {
            self.ask_to_repeat(now);
        }
        false
    }

    /// Lets the LLM, or the next session of a realtime model, continue a response that the realtime model left unfinished.
    pub(super) fn continue_unfinished_response(&mut self, now: Instant) -> bool {
        let Speaker::Pipeline(pipeline) = &mut self.speaker else { return self.ask_for_owed(now) };
        let cut_off = std::mem::take(&mut pipeline.owes_continuation);
        if cut_off {
            self.request_response(now, Some(CONTINUE_PROMPT));
        }
        cut_off
    }

    /// Keeps the part of a response that was not heard. A realtime model that cannot say given texts continues by
    /// itself, or not at all.
    pub(super) fn keep_remainder(&mut self, rest: Option<String>) {
        let resumable = match &self.speaker {
            Speaker::Pipeline(_) => true,
            Speaker::Realtime(realtime) => realtime.capabilities.can_say,
        };
        self.interruption.remainder = rest.filter(|rest| !rest.is_empty() && resumable);
    }

    /// The current response was cut: history and realtime model learn what was heard of it.
    pub(super) fn handle_response_cut(
        &mut self, now: Instant, response: &AgentResponse, said: &str, rest: &str, sent: &[(u32, u64)],
    ) {
        let begun = response.begun.is_some();
        let said = if begun && !response.is_filler { said } else { "" };
        self.settle_cut_tools(now, said, &response.tool_calls);
        self.interruption.is_untold = begun && !rest.is_empty();
        self.interruption.said_by = response.said_by;
        if let Speaker::Realtime(realtime) = &mut self.speaker {
            realtime.truncate(&mut self.line, response, sent);
        }
    }
}
